"""What an ensemble costs beside the model: Multiplex, bare LangGraph, bare aiohttp, and Plurals.

Every persona states its position and a moderator writes the synthesis: two waves of calls. The endpoint
(bench/endpoint.py) takes the same time for every call, so that one question cannot take less than twice
its latency, and neither can twenty that are asked at once. All send the same prompts and schemas, byte
for byte, except Plurals, which is given the same texts its own way and has no schemas. Multiplex is measured
twice: as a `Session` that keeps nothing, and as the command line runs it, with checkpoints, run folders and
the response cache.

Run `python bench/orchestration.py` from the root of a checkout. For Plurals, install it apart with
`python -m venv DIR && DIR/bin/pip install plurals litellm`, and add `--plurals-python DIR/bin/python`.
Prints tables, and writes bench/results/orchestration.json; with `--profile` it says instead where the
processor time of Multiplex goes, and writes bench/results/orchestration_profile.json.
"""

import argparse
import asyncio
import gc
import itertools
import json
import operator
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Protocol, TypedDict

import aiohttp
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from openai import AsyncOpenAI, DefaultAioHttpClient
from rich.console import Console
from rich.table import Table

from bench.sampler import Sampler
from multiplex.acts import Act, Synthesise, TakePosition, Turn
from multiplex.api import Session
from multiplex.content.personas import Persona
from multiplex.content.protocols import Protocol as Stages
from multiplex.content.roles import load_role, load_roles
from multiplex.content.scenarios import Scenario
from multiplex.models.served import Served
from multiplex.responders.language_model import LanguageModelResponder

HERE = Path(__file__).parent
MODEL = "bench"
SHAPES = {"one": "one question", "in_turn": "{} in turn", "at_once": "{} at once"}
NEARNESS = 1.15
"""How many times the ideal one question may take."""
AT_ONCE = {6: 0.35, 24: 1.0}
"""Seconds that twenty questions at once may take, by how many personas there are."""
CPU_MS = 1.8
"""Milliseconds of the client's processor that one call may take, with all questions at once."""
ENSEMBLE = Stages.model_validate(
    {"name": "ensemble", "summary": "An opening and a synthesis.", "stages": ["open", "synthesise"]}
)

_GAP = "[a statement]"
_WAYS = (
    "fishers of a delta who share their boats",
    "herders who leave the high pasture to rest",
    "lamplighters of a port that never sleeps",
    "bellmakers who cast for three valleys",
    "weavers who sign no cloth",
    "ferrymen who take nobody's side of the river",
)
_STANDS = (
    (
        "Kept word",
        "A promise outlives whoever gave it, and those who grew up under it may rely on it as on a roof.",
    ),
    (
        "Open door",
        "Whoever comes in need is heard before anyone asks what it will cost, and is told the truth.",
    ),
    (
        "Measured hand",
        "What is taken today has to leave as much again for those who will stand here after us.",
    ),
)


def personas(count: int) -> list[Persona]:
    """Return made-up personas with three short commitments each."""
    return [_persona(number) for number in range(count)]


def _persona(number: int) -> Persona:
    way, label = _WAYS[number % len(_WAYS)], f"Voice {number + 1}"
    commitments = [
        {
            "key": title.lower().replace(" ", "_"),
            "title": title,
            "statement": statement,
            "attends_to": ["PROMISES that others rely on", "PEOPLE who wait", "THINGS that do not grow back"],
            "schwartz": ["Helpful"],
            "topics": ["community"],
            "source": {"work": f"The book of {label}", "locus": f"chapter {chapter}"},
        }
        for chapter, (title, statement) in enumerate(_STANDS, start=1)
    ]
    return Persona.model_validate(
        {
            "name": f"voice_{number + 1}",
            "label": label,
            "perspective": f"view_{number + 1}",
            "region": "nowhere",
            "summary": f"Speaks for {way}, house number {number + 1}.",
            "ontology": "People, places and what they owe one another are one fabric.",
            "epistemology": "One knows by staying, and by asking those who stayed longer.",
            "ethics": "Good is what can be passed on without shame.",
            "voice": "Short sentences, from the work of the day.",
            "diversity": "The young hold that the rules were made for other weather.",
            "limits": "It cannot speak for those who left.",
            "commitments": commitments,
        }
    )


def scenarios(count: int) -> list[Scenario]:
    """Return that many questions of the same length."""
    return [
        Scenario(
            name=f"question_{number}",
            question=f"Case {number:03d}: should a city give the care of its elders over to machines?",
        )
        for number in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Question:
    """What Multiplex sends for one question, for others to send too."""

    openings: list[dict[str, Any]]
    synthesis: dict[str, Any]
    """The moderator's request, with a gap for every statement."""

    def closing(self, statements: Sequence[str]) -> dict[str, Any]:
        """Return the moderator's request with the statements filled in."""
        *before, last = self.synthesis["messages"]
        parts = last["content"].split(_GAP)
        words = [part for pair in zip(parts, statements, strict=False) for part in pair]
        return {
            **self.synthesis,
            "messages": [*before, {**last, "content": "".join([*words, *parts[len(statements) :]])}],
        }


def questions(count: int, panel: Sequence[Persona]) -> list[Question]:
    """Render every prompt that does not depend on a reply."""
    responder, roles = LanguageModelResponder(Served(MODEL)), load_roles()

    def request(act: Act[Any], seed: int) -> dict[str, Any]:
        role, schema = roles[act.agent, act.role], act.schema()
        return {
            "model": MODEL,
            "messages": list(responder.messages(act)),
            "temperature": role.temperature,
            "top_p": 1.0,
            "max_tokens": role.max_tokens,
            "seed": 2**62 + seed,  # as long in writing as the seeds that Multiplex derives
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": schema["title"], "schema": schema, "strict": True},
            },
        }

    def question(scenario: Scenario) -> Question:
        gaps = tuple(Turn(speaker=p.name, label=p.label, round=0, statement=_GAP) for p in panel)
        return Question(
            openings=[request(TakePosition(scenario=scenario, persona=p), i) for i, p in enumerate(panel)],
            synthesis=request(Synthesise(scenario=scenario, panel=tuple(panel), transcript=gaps), len(panel)),
        )

    return [question(scenario) for scenario in scenarios(count)]


Call = Callable[[dict[str, Any]], Awaitable[str]]
Ask = Callable[[int], Awaitable[object]]


class Contender(Protocol):
    """Whoever is measured."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    async def run(self, shape: str) -> tuple[float, float]:
        """Go through one of the shapes; return the seconds and the processor time that it took."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """What runs in this process: an async function that takes the number of a question."""

    name: str
    ask: Ask
    count: int

    async def run(self, shape: str) -> tuple[float, float]:
        """Go through one of the shapes."""
        gc.collect()
        started, used = time.perf_counter(), time.process_time()
        if shape == "one":
            await self.ask(0)
        elif shape == "in_turn":
            for number in range(self.count):
                await self.ask(number)
        else:
            await asyncio.gather(*(self.ask(number) for number in range(self.count)))
        return time.perf_counter() - started, time.process_time() - used


class Plurals:
    """Plurals, in a process of another Python."""

    def __init__(self, python: Path, plan: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [python, HERE / "plurals_runner.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions = self._told(json.dumps(plan))
        self.name = f"Plurals {self.versions['version']}"

    async def run(self, shape: str) -> tuple[float, float]:
        """Go through one of the shapes; at once means a thread for every question."""
        took = await asyncio.to_thread(self._told, shape)
        return took["seconds"], took["cpu_seconds"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _told(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("bench/plurals_runner.py ended early; what it said stands above")
        told: dict[str, Any] = json.loads(answer)
        return told


def plurals_plan(base_url: str, count: int, panel: Sequence[Persona]) -> dict[str, Any]:
    """Return the texts of the prompts, cut up the way Plurals takes them."""
    rules = load_role("common/rules").render()
    asked = []
    for scenario, question in zip(scenarios(count), questions(count, panel), strict=True):
        task = load_role("common/scenario").render(scenario=scenario)
        *_, transcript = question.synthesis["messages"]
        asked.append(
            {
                "task": task,
                "personas": [
                    f"{rules}\n\n{request['messages'][-1]['content'].removeprefix(task).strip()}"
                    for request in question.openings
                ],
                "combine": f"${{previous_responses}}\n\n{transcript['content'].split('</transcript>')[-1].strip()}",
            }
        )
    role = load_role("persona/take_position")
    sampling = {"api_key": "none", "temperature": role.temperature, "max_tokens": role.max_tokens}
    return {"base_url": base_url, "model": MODEL, "rules": rules, "sampling": sampling, "questions": asked}


async def _gathered(call: Call, question: Question) -> str:
    replies = await asyncio.gather(*(call(request) for request in question.openings))
    closing = question.closing([json.loads(reply)["statement"] for reply in replies])
    return str(json.loads(await call(closing))["consensus"])


class _State(TypedDict, total=False):
    question: Question
    statements: Annotated[list[str], operator.add]
    consensus: str


class _Opening(TypedDict):
    request: dict[str, Any]


def _in_langgraph(call: Call) -> Callable[[Question], Awaitable[str]]:
    async def position(state: _Opening) -> _State:
        return {"statements": [json.loads(await call(state["request"]))["statement"]]}

    async def synthesise(state: _State) -> _State:
        reply = await call(state["question"].closing(state["statements"]))
        return {"consensus": json.loads(reply)["consensus"]}

    def fan_out(state: _State) -> list[Send]:
        return [Send("position", {"request": request}) for request in state["question"].openings]

    builder: StateGraph[_State, None, _State, _State] = StateGraph(_State)
    builder.add_node("position", position, input_schema=_Opening)
    builder.add_node("synthesise", synthesise)
    builder.add_conditional_edges(START, fan_out, ["position"])
    builder.add_edge("position", "synthesise")
    builder.add_edge("synthesise", END)
    graph = builder.compile()

    async def ask(question: Question) -> str:
        state = await graph.ainvoke({"question": question})
        return str(state["consensus"])

    return ask


@asynccontextmanager
async def in_this_process(base_url: str, count: int, panel: Sequence[Persona]) -> AsyncIterator[list[Here]]:
    """Open clients, and return everyone who is measured in this process; Multiplex is the last."""
    asked, url = questions(count, panel), f"{base_url}/chat/completions"
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        compact = partial(json.dumps, separators=(",", ":"))  # as the openai client writes it
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, json_serialize=compact)
        )
        client = await stack.enter_async_context(
            AsyncOpenAI(base_url=base_url, api_key="none", http_client=DefaultAioHttpClient())
        )

        async def by_aiohttp(request: dict[str, Any]) -> str:
            async with http.post(url, json=request) as response:
                return str((await response.json())["choices"][0]["message"]["content"])

        async def by_openai(request: dict[str, Any]) -> str:
            completion = await client.chat.completions.create(**request)
            return str(completion.choices[0].message.content)

        by_graph, by_graph_and_client = _in_langgraph(by_aiohttp), _in_langgraph(by_openai)
        kept = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        multiplex = await stack.enter_async_context(_multiplex(base_url, count, panel))
        on_disk = await stack.enter_async_context(_multiplex(base_url, count, panel, kept))
        yield [
            Here("aiohttp and gather", lambda number: _gathered(by_aiohttp, asked[number]), count),
            Here("LangGraph, aiohttp", lambda number: by_graph(asked[number]), count),
            Here("LangGraph, openai client", lambda number: by_graph_and_client(asked[number]), count),
            multiplex,
            on_disk,
        ]


@asynccontextmanager
async def _multiplex(
    base_url: str, count: int, panel: Sequence[Persona], kept: Path | None = None
) -> AsyncIterator[Here]:
    """Yield Multiplex, without a bound on calls; with a folder it keeps checkpoints, runs and answers there."""
    asked = scenarios(count)
    seeds = itertools.count(1)  # where answers are kept, no question is asked twice
    session = Session(model=f"openai:{MODEL}", base_url=base_url, concurrency=512, cache=kept or False)
    async with session:

        async def ask(number: int) -> None:
            seed = next(seeds) if kept else 1
            run = await session.deliberate(
                asked[number], personas=list(panel), protocol=ENSEMBLE, seed=seed, scores=False, out=kept
            )
            if len(run.answers.steered) != len(panel) or run.answers.overton is None:
                raise SystemExit(f"Multiplex gave up on an act: {run.answers.reasons}")

        yield Here("Multiplex, all on disk" if kept else "Multiplex", ask, count)


@dataclass(slots=True)
class Measured:
    """One contender and one shape, over all repeats."""

    seconds: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    """A call."""
    endpoint_cpu_ms: list[float] = field(default_factory=list)
    most_at_once: int = 0
    request_bytes: int = 0
    """A call."""
    reply_bytes: int = 0

    @property
    def median(self) -> float:
        """Return the median of the seconds."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """Return the median of the processor time, in ms a call."""
        return statistics.median(self.cpu_ms)


@contextmanager
def endpoint(latency_ms: float) -> Iterator[str]:
    """Start the endpoint in a process of its own; yield its address."""
    command = [sys.executable, str(HERE / "endpoint.py"), "--port", "0", "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def _request(address: str, method: str = "GET") -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(address, method=method)) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


async def _measure(contender: Contender, root: str, shape: str, calls: int, into: Measured) -> None:
    _request(f"{root}/reset", "POST")
    seconds, cpu = await contender.run(shape)
    stats = _request(f"{root}/stats")
    if stats["requests"] != calls:
        raise SystemExit(f"{contender.name}: {stats['requests']} calls for {calls}; some were tried again")
    into.seconds.append(seconds)
    into.cpu_ms.append(cpu * 1000 / calls)
    into.endpoint_cpu_ms.append(stats["cpu_seconds"] * 1000 / calls)
    into.most_at_once = max(into.most_at_once, stats["most_at_once"])
    into.request_bytes = round(stats["request_bytes"] / calls)
    into.reply_bytes = round(stats["reply_bytes"] / calls)


async def compare(
    root: str, panel: Sequence[Persona], count: int, repeats: int, plurals: Path | None
) -> dict[str, dict[str, Measured]]:
    """Measure everyone, in turns, so that whatever else the machine does falls on all alike."""
    base_url, each = f"{root}/v1", len(panel) + 1
    calls = {"one": each, "in_turn": each * count, "at_once": each * count}
    other = Plurals(plurals, plurals_plan(base_url, count, panel)) if plurals else None
    try:
        async with in_this_process(base_url, count, panel) as here:
            contenders: list[Contender] = [*here, *([other] if other else [])]
            found = {c.name: {shape: Measured() for shape in SHAPES} for c in contenders}
            for _ in range(repeats):
                for contender in contenders:
                    await contender.run("at_once")  # connections of its last turn may have been closed
                    for shape in SHAPES:
                        for _ in range(3 if shape == "one" else 1):
                            measured = found[contender.name][shape]
                            await _measure(contender, root, shape, calls[shape], measured)
    finally:
        if other:
            other.close()
    return found


def show(found: dict[str, dict[str, Measured]], seated: int, count: int, console: Console) -> None:
    """Print one table: medians, and how many times Multiplex' time the others take."""
    table = Table(title=f"{seated} personas and a moderator: seconds, and CPU ms a call")
    table.add_column("", no_wrap=True)
    for shape in SHAPES.values():
        table.add_column(shape.format(count), justify="right")
        table.add_column("x", justify="right")
    for heading in ("CPU: one", "in turn", "at once", "in flight", "kB a call"):
        table.add_column(heading, justify="right")
    for name, shapes in found.items():
        cells = []
        for shape, measured in shapes.items():
            cells += [f"{measured.median:.3f}", f"{measured.median / found['Multiplex'][shape].median:.2f}"]
        last = shapes["at_once"]
        table.add_row(
            name,
            *cells,
            *(f"{measured.cpu:.2f}" for measured in shapes.values()),
            str(last.most_at_once),
            f"{last.request_bytes / 1000:.1f} + {last.reply_bytes / 1000:.1f}",
        )
    console.print(table)


def judge(shapes: dict[str, Measured], seated: int, count: int, latency: float) -> list[dict[str, Any]]:
    """Compare Multiplex with its targets, as far as they are set for what was measured."""
    judged = [
        ("one question, times the ideal", shapes["one"].median / (2 * latency), NEARNESS),
        ("CPU, ms a call with all at once", shapes["at_once"].cpu, CPU_MS),
    ]
    if count == 20 and seated in AT_ONCE:
        judged.insert(1, ("twenty questions at once, s", shapes["at_once"].median, AT_ONCE[seated]))
    return [
        {"what": what, "value": value, "target": target, "passed": value <= target}
        for what, value, target in judged
    ]


async def profile(
    root: str, panel: Sequence[Persona], count: int, repeats: int, kept: Path | None
) -> dict[str, Any]:
    """Say where Multiplex' processor time goes with all questions at once, in microseconds a call."""
    calls = (len(panel) + 1) * count
    async with _multiplex(f"{root}/v1", count, panel, kept) as contender:
        await contender.run("at_once")
        plain = [(await contender.run("at_once"))[1] / calls * 1e6 for _ in range(repeats)]
        with Sampler() as sampler:
            for _ in range(4 * repeats):
                await contender.run("at_once")
    total, ticks = statistics.median(plain), sampler.packages.total()
    return {
        "contender": contender.name,
        "us_a_call": total,
        "ticks": ticks,
        "by_package": {name: total * n / ticks for name, n in sampler.packages.most_common()},
        "by_function": {name: total * n / ticks for name, n in sampler.functions.most_common(20)},
    }


def show_profile(found: dict[str, Any], seated: int, console: Console) -> None:
    """Print both tables of a profile."""
    for key, heading in (("by_package", "own time"), ("by_function", "for which of our functions")):
        who, spent = found["contender"], f"{found['us_a_call']:.0f} us of CPU a call"
        table = Table(title=f"{who}, {seated} personas: {spent}, {heading}")
        table.add_column("")
        table.add_column("us a call", justify="right")
        table.add_column("share", justify="right")
        for name, value in list(found[key].items())[:24]:
            table.add_row(name, f"{value:.0f}", f"{value / found['us_a_call']:.0%}")
        console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--personas", type=int, nargs="+", default=[6, 24], help="sizes of the panel")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5, help="medians are taken over them")
    parser.add_argument("--latency-ms", type=float, default=50, help="what every call takes at the endpoint")
    parser.add_argument("--plurals-python", type=Path, help="a Python that has plurals and litellm")
    parser.add_argument("--profile", action="store_true", help="say where Multiplex' processor time goes")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    rows: list[dict[str, Any]] = []
    load = os.getloadavg()[0]
    if load > 0.5:
        console.print(f"The machine is busy with other things (load {load:.1f}): times will be too long.")
    with endpoint(options.latency_ms) as root:
        for seated in options.personas:
            panel = personas(seated)
            if options.profile:
                with tempfile.TemporaryDirectory() as folder:
                    for kept in (None, Path(folder)):
                        profiled = asyncio.run(profile(root, panel, options.questions, options.repeats, kept))
                        show_profile(profiled, seated, console)
                        rows.append({"personas": seated, **profiled})
                continue
            found = asyncio.run(
                compare(root, panel, options.questions, options.repeats, options.plurals_python)
            )
            show(found, seated, options.questions, console)
            judged = judge(found["Multiplex"], seated, options.questions, options.latency_ms / 1000)
            for entry in judged:
                verdict = "pass" if entry["passed"] else "FAIL"
                console.print(f"{verdict}  {entry['what']}: {entry['value']:.3f} (at most {entry['target']})")
            rows.append({"personas": seated, "targets": judged, "contenders": _plain(found)})
    out = HERE / "results" / ("orchestration_profile.json" if options.profile else "orchestration.json")
    out.parent.mkdir(exist_ok=True)
    report = {
        "questions": options.questions,
        "repeats": options.repeats,
        "latency_ms": options.latency_ms,
        "machine": {
            "cpus": os.cpu_count(),
            "load_before": load,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("langgraph", "openai", "aiohttp", "pydantic")},
        "panels": rows,
    }
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    console.print(f"written: {out}")


def _plain(found: dict[str, dict[str, Measured]]) -> dict[str, Any]:
    return {
        name: {
            shape: {
                "median_s": measured.median,
                "seconds": measured.seconds,
                "cpu_ms_a_call": measured.cpu,
                "endpoint_cpu_ms_a_call": statistics.median(measured.endpoint_cpu_ms),
                "most_at_once": measured.most_at_once,
                "request_bytes_a_call": measured.request_bytes,
                "reply_bytes_a_call": measured.reply_bytes,
            }
            for shape, measured in shapes.items()
        }
        for name, shapes in found.items()
    }


if __name__ == "__main__":
    main()
