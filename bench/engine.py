"""A whole deliberation on real vLLM, against feeding the same engine the same prompts without Multiplex.

Six shipped personas, three rounds of exchange, every stage; models with random weights, made on the spot
(bench/tiny_model.py): `tiny` has 3.4 million parameters, `100m` about 100 million.

- Tokens a second: Multiplex through a `Session`, response cache and all, against a replay of what it asked:
  the same token ids, sampling parameters, seeds and schemas, in the same waves. A wave is what was in
  flight together; the next one starts when it is wholly done, as the steps of the graph do, and a call
  that came after another in one act (a repair) comes after it here too. Both start with an empty prefix
  cache, and take turns at going first.
- Prompt tokens computed (those of the prompts less those that vLLM says it had) against the floor: the
  distinct blocks of the prefix cache in the trie of all prompts, and what is left of each prompt after
  its last full block. And against layouts with the persona's card in front of everything, or always on the
  one or the other side of the transcript.
- Eight scenarios at once against one after another, with one round of exchange.
- The processor time of this process, with Multiplex and without.

Random weights write until they may not: the schemas are narrowed before they reach the engine, in what is
measured and in the replay alike, so that texts have about `--words` words (a position; other texts are
shorter in proportion) and lists few items. Replies are then short, and fit. Run it with the Python that has
vLLM: `.venv-engine/bin/python bench/engine.py`. Prints tables, and writes JSON.
"""

import argparse
import asyncio
import copy
import gc
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.sampler import Sampler
from bench.short import Short
from bench.tiny_model import make_model
from multiplex.acts import Act
from multiplex.api import Session
from multiplex.content.panels import seat
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario, load_scenario, scenario_names
from multiplex.embedding import SentenceEmbedder
from multiplex.models.base import Message
from multiplex.models.cached import Cached, ResponseStore
from multiplex.models.engine import Engine
from multiplex.models.limited import Limited
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.responders.relevance import Relevance
from multiplex.runs import Run

__all__ = ["descendants", "started"]

HERE = Path(__file__).parent
SIZES: dict[str, dict[str, Any]] = {"tiny": {}, "100m": {"hidden": 768, "layers": 10, "heads": 12}}
SHARE = {"tiny": 0.90, "100m": 0.97}
"""The least share of the replay's tokens a second that Multiplex is to reach."""
OVER_FLOOR = 1.10
"""How many times the floor of prompt tokens may be computed."""
AT_ONCE = 512
"""Calls in flight: what `vllm:NAME` has by default."""
KV_GIB = {"tiny": 2, "100m": 5}
PANEL = ("western", "islamic", "confucian", "hindu", "buddhist", "african")
PROTOCOL = Protocol.model_validate(
    {
        "name": "whole",
        "summary": "Every stage, with three rounds of exchange.",
        "stages": [
            "open",
            {"exchange": {"rounds": 3, "still": 0}},
            "articulate",
            {"compare": {"pairs_per_persona": 4}},
            "synthesise",
            "ratify",
        ],
    }
)

SHORT = Protocol.model_validate(
    {
        "name": "short",
        "summary": "One round, one statement, one ballot: for many scenarios.",
        "stages": ["open", {"exchange": {"rounds": 1}}, "synthesise", {"ratify": {"revise": 0}}],
    }
)


class CardFirst(LanguageModelResponder):
    """The layout of most frameworks: who speaks comes first, and what all share after it."""

    def messages(self, act: Act[Any]) -> list[Message]:
        """Return the prompt with the persona's card in front of rules, scenario and transcript."""
        *system, last = super().messages(act)
        card, rest = _cut_card(last["content"])
        if not card:
            return [*system, last]
        rules = "\n\n".join([card, *(message["content"] for message in system)])
        return [{"role": "system", "content": rules}, {"role": "user", "content": rest}]


class CardAfter(LanguageModelResponder):
    """Rules and scenario, the transcript if there is one, and then the persona's card."""

    after: tuple[str, ...] = ("</transcript>", "</scenario>")

    def messages(self, act: Act[Any]) -> list[Message]:
        """Return the prompt with the persona's card after the first of `after` that is there."""
        *system, last = super().messages(act)
        card, rest = _cut_card(last["content"])
        if not card:
            return [*system, last]
        before, mark, task = rest.partition(next(mark for mark in self.after if mark in rest))
        return [*system, {"role": "user", "content": f"{before}{mark}\n\n{card}{task}"}]


class CardBefore(CardAfter):
    """Rules and scenario, and then the persona's card: every persona has a prefix of its own, which grows."""

    after = ("</scenario>",)


def _cut_card(content: str) -> tuple[str, str]:
    """Return the persona's card, empty where there is none, and the prompt without it."""
    before, opened, after = content.partition("<persona>\n")
    card, closed, rest = after.partition("</persona>")
    return (f"{opened}{card}{closed}", before + rest.lstrip("\n")) if closed else ("", content)


LAYOUTS: dict[str, type[LanguageModelResponder]] = {
    "as it is": LanguageModelResponder,
    "card first of all": CardFirst,
    "card before transcript": CardBefore,
    "card after transcript": CardAfter,
}


@dataclass(slots=True)
class Call:
    """One request to vLLM, and what came of it."""

    prompt: list[int]
    params: Any
    task: Any
    """The asyncio task that made it: all calls of one act are made by one."""
    started: float
    ended: float = float("inf")
    cached: int = 0


class Watch:
    """Seconds, this process's processor time and its children's, from when it was made."""

    def __init__(self) -> None:
        self._began = self._now()

    def read(self) -> tuple[float, float, float]:
        """Return what has passed of the three."""
        seconds, here, there = (now - then for now, then in zip(self._now(), self._began, strict=True))
        return seconds, here, there

    @staticmethod
    def _now() -> tuple[float, float, float]:
        children = sum(seconds for seconds, _ in descendants())
        return time.perf_counter(), time.process_time(), children


def descendants() -> list[tuple[float, float]]:
    """Return processor seconds and MB of memory of every process that was started from here, or from there."""
    parents: dict[int, list[int]] = {}
    figures: dict[int, tuple[float, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                figures[int(entry.name)] = (used, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += [figures[each] for each in below]
        waiting += below
    return found


Chain = list[Call]
"""Calls of which each waited for the one before it."""
Wave = list[Chain]


@dataclass(frozen=True, slots=True)
class Took:
    """What some calls took: seconds, processor time, and the tokens written meanwhile."""

    seconds: float
    cpu: float
    """Of this process."""
    engine_cpu: float
    """Of vLLM's processes."""
    written: int
    calls: int
    computed: int
    """Prompt tokens."""

    @property
    def speed(self) -> float:
        """Return tokens written a second."""
        return self.written / self.seconds

    @property
    def thrift(self) -> float:
        """Return tokens written for a second of processor time, in whichever process: others' load spares it."""
        return self.written / (self.cpu + self.engine_cpu)


class Bench:
    """One engine, and the ways to put it to work."""

    def __init__(self, engine: Engine, llm: Any, folder: Path, characters: int) -> None:
        self.llm = llm
        self.block: int = llm.vllm_config.cache_config.block_size
        self.panel = seat(PANEL)
        self._engine = engine
        self._embedder = SentenceEmbedder()
        self._folder = folder
        self._characters = characters
        self._numbers = count()

    async def clear(self) -> None:
        """Empty the prefix cache, and collect what lies about."""
        if not await self.llm.reset_prefix_cache():
            raise SystemExit("vLLM did not empty its prefix cache")
        gc.collect()

    async def deliberate(
        self,
        scenarios: Sequence[Scenario],
        *,
        at_once: bool = True,
        protocol: Protocol = PROTOCOL,
        layout: type[LanguageModelResponder] | None = None,
        characters: int | None = None,
    ) -> tuple[list[Run], Took]:
        """Deliberate on every scenario, all at once or one after another, with an empty cache of each kind."""
        await self.clear()
        store = ResponseStore(self._folder / f"responses{next(self._numbers)}.sqlite")
        short = Short(Cached(self._engine, store), characters or self._characters)
        model: Any = short
        if layout is not None:
            relevance = Relevance(self._embedder, self.panel.personas)
            model = layout(Limited(short, concurrency=AT_ONCE), relevance=relevance)

        async def one(scenario: Scenario) -> Run:
            return await session.deliberate(
                scenario, personas=self.panel, protocol=protocol, seed=1, scores=False
            )

        async with Session(model=model, concurrency=AT_ONCE, embedder=self._embedder, cache=False) as session:
            watch = Watch()
            if at_once:
                runs = list(await asyncio.gather(*map(one, scenarios)))
            else:
                runs = [await one(scenario) for scenario in scenarios]
            seconds, cpu, engine_cpu = watch.read()
        store.close()
        for run in runs:
            check(run, protocol)
        written = sum(run.usage["tokens"]["completion"] for run in runs)
        computed = sum(run.usage["tokens"]["prompt"] - run.usage["tokens"]["cached"] for run in runs)
        calls = sum(run.usage["calls"] for run in runs)
        return runs, Took(seconds, cpu, engine_cpu, written, calls, computed)

    async def replay(self, waves: Sequence[Wave]) -> Took:
        """Feed the engine waves of calls, with nothing between it and them."""
        await self.clear()
        # Made beforehand, one for each: vLLM writes into the parameters that it is given.
        made = [[[(call.prompt, copy.deepcopy(call.params)) for call in chain] for chain in w] for w in waves]

        written = computed = 0

        async def follow(chain: list[tuple[list[int], Any]]) -> None:
            nonlocal written, computed
            for prompt, params in chain:
                tokens = {"type": "token", "prompt_token_ids": prompt}
                async for output in self.llm.generate(tokens, params, f"replay{next(self._numbers)}"):
                    written += len(output.outputs[0].token_ids)
                    if output.finished:
                        computed += len(prompt) - (output.num_cached_tokens or 0)

        watch = Watch()
        for wave in made:
            await asyncio.gather(*map(follow, wave))
        seconds, cpu, engine_cpu = watch.read()
        calls = sum(len(chain) for wave in waves for chain in wave)
        return Took(seconds, cpu, engine_cpu, written, calls, computed)

    @contextmanager
    def recording(self) -> Iterator[list[Call]]:
        """Record what is asked of vLLM inside the block."""
        calls: list[Call] = []
        generate = self.llm.generate

        async def recorded(prompt: Any, params: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            ids, task = prompt["prompt_token_ids"], asyncio.current_task()
            call = Call(list(ids), copy.deepcopy(params), task, time.perf_counter())
            calls.append(call)
            async for output in generate(prompt, params, *args, **kwargs):
                if output.finished:
                    call.cached, call.ended = output.num_cached_tokens or 0, time.perf_counter()
                yield output

        self.llm.generate = recorded
        try:
            yield calls
        finally:
            del self.llm.generate


def check(run: Run, protocol: Protocol) -> None:
    """See to it that a deliberation was whole: all rounds were played, and hardly an act was given up."""
    asked = next(stage.rounds for stage in protocol.stages if stage.name == "exchange")
    played = max(
        (result["round"] for result in run.transcript if result["step"] == "exchange.reply"), default=0
    )
    if played != asked or run.usage["failures"] > 0.05 * run.usage["acts"]:
        reasons = {r["failure"]["reason"] for r in run.transcript if r["failure"]}
        raise SystemExit(
            f"{played} rounds, {run.usage['failures']} of {run.usage['acts']} acts failed: {reasons}"
        )


def waves_of(calls: Sequence[Call]) -> list[Wave]:
    """Put calls into waves: one begins with whatever starts when nothing is in flight, but for repairs."""
    waves: list[Wave] = []
    chains: dict[Any, Chain] = {}
    ended = -1.0
    for call in sorted(calls, key=lambda call: call.started):
        if call.task in chains:
            chains[call.task].append(call)
        else:
            if call.started >= ended:
                chains = {}
                waves.append([])
            chains[call.task] = [call]
            waves[-1].append(chains[call.task])
        ended = max(ended, call.ended)
    return waves


def floor_of(prompts: Sequence[Sequence[int]], block: int) -> int:
    """Return how many tokens the trie of all prompts holds, where only whole blocks can be shared."""
    nodes: dict[tuple[int, tuple[int, ...]], int] = {}
    total = 0
    for prompt in prompts:
        node = 0
        for start in range(0, len(prompt), block):
            part = tuple(prompt[start : start + block])
            if (node, part) not in nodes:
                total += len(part)
                nodes[node, part] = len(nodes) + 1
            node = nodes[node, part]
    return total


@asynccontextmanager
async def started(folder: Path, options: Mapping[str, Any]) -> AsyncIterator[tuple[Engine, Any]]:
    """Start an engine, and yield it with the AsyncLLM behind it."""
    from vllm.v1.engine.async_llm import AsyncLLM

    untyped: Any = AsyncLLM
    make, made = untyped.from_engine_args, []

    def kept(*args: Any, **kwargs: Any) -> Any:
        made.append(make(*args, **kwargs))
        return made[0]

    untyped.from_engine_args = kept
    engine = Engine(str(folder), options=options)
    try:
        await engine.start()
    finally:
        untyped.from_engine_args = make
    try:
        yield engine, made[0]
    finally:
        await engine.aclose()
        made.clear()


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def _same(left: Run, right: Run) -> float:
    """Return the share of acts with the same prompt."""
    prompts = Counter(result["prompt_sha256"] for result in left.transcript)
    shared = prompts & Counter(result["prompt_sha256"] for result in right.transcript)
    return shared.total() / max(len(left.transcript), len(right.transcript))


async def throughput(bench: Bench, scenario: Scenario, repeats: int) -> dict[str, Any]:
    """Compare Multiplex with a replay of what it asked, in pairs."""
    with bench.recording() as calls:  # it warms up too: embeddings, compiled graphs, grammars
        [first], _ = await bench.deliberate([scenario])
    waves = waves_of(calls)
    pairs: list[tuple[Took, Took]] = []
    same: list[float] = []
    for number in range(repeats):
        if number % 2:
            without = await bench.replay(waves)
            [run], with_us = await bench.deliberate([scenario])
        else:
            [run], with_us = await bench.deliberate([scenario])
            without = await bench.replay(waves)
        pairs.append((with_us, without))
        print(
            f"{with_us.seconds:.1f} s, replayed {without.seconds:.1f} s, "
            f"ratio {with_us.speed / without.speed:.3f}, by processor time {with_us.thrift / without.thrift:.3f}",
            file=sys.stderr,
        )
        same.append(_same(first, run))
    return {
        "calls": len(calls),
        "acts": first.usage["acts"],
        "failures": first.usage["failures"],
        "waves": [sum(map(len, wave)) for wave in waves],
        "written": {"multiplex": [a.written for a, _ in pairs], "replay": [b.written for _, b in pairs]},
        "computed": {"multiplex": [a.computed for a, _ in pairs], "replay": [b.computed for _, b in pairs]},
        "seconds": {"multiplex": [a.seconds for a, _ in pairs], "replay": [b.seconds for _, b in pairs]},
        "speed": {
            "multiplex": _spread([a.speed for a, _ in pairs]),
            "replay": _spread([b.speed for _, b in pairs]),
        },
        "ratio": _spread([a.speed / b.speed for a, b in pairs]),
        "cpu_ms_a_call": {
            "multiplex": _spread([a.cpu * 1000 / a.calls for a, _ in pairs]),
            "replay": _spread([b.cpu * 1000 / b.calls for _, b in pairs]),
        },
        "thrift": {
            "multiplex": _spread([a.thrift for a, _ in pairs]),
            "replay": _spread([b.thrift for _, b in pairs]),
            "ratio": _spread([a.thrift / b.thrift for a, b in pairs]),
        },
        "same_prompts": statistics.fmean(same),
    }


async def prefixes(bench: Bench, scenario: Scenario, characters: int) -> dict[str, Any]:
    """Count prompt tokens with every layout: asked, computed, and the floor."""
    found: dict[str, Any] = {}
    for name, layout in LAYOUTS.items():
        with bench.recording() as calls:
            [run], took = await bench.deliberate([scenario], layout=layout, characters=characters)
        prompts = [call.prompt for call in calls]
        statements = [
            len(r["reply"]["statement"]) for r in run.transcript if r["reply"] and "statement" in r["reply"]
        ]
        computed = sum(len(call.prompt) - call.cached for call in calls)
        floor = floor_of(prompts, bench.block)
        found[name] = {
            "calls": len(calls),
            "asked": sum(map(len, prompts)),
            "computed": computed,
            "floor": floor,
            "over_floor": computed / floor,
            "floor_in_tokens": floor_of(prompts, 1),
            "floor_in_16": floor_of(prompts, 16),
            "statement_characters": statistics.fmean(statements),
            "seconds": took.seconds,
            "by_wave": [
                {
                    "calls": sum(map(len, wave)),
                    "asked": sum(len(call.prompt) for chain in wave for call in chain),
                    "computed": sum(len(call.prompt) - call.cached for chain in wave for call in chain),
                }
                for wave in waves_of(calls)
            ],
        }
    return found


async def together(bench: Bench, repeats: int) -> dict[str, Any]:
    """Compare eight scenarios at once with the same eight one after another, in pairs."""
    scenarios = [load_scenario(name) for name in scenario_names()[:8]]
    await bench.deliberate(scenarios, protocol=SHORT)
    pairs: list[tuple[Took, Took]] = []
    for number in range(repeats):
        took = {}
        for at_once in (True, False) if number % 2 else (False, True):
            _, took[at_once] = await bench.deliberate(scenarios, at_once=at_once, protocol=SHORT)
        pairs.append((took[True], took[False]))
    return {
        "scenarios": len(scenarios),
        "seconds": {
            "at_once": _spread([a.seconds for a, _ in pairs]),
            "in_turn": _spread([b.seconds for _, b in pairs]),
        },
        "speed": {
            "at_once": _spread([a.speed for a, _ in pairs]),
            "in_turn": _spread([b.speed for _, b in pairs]),
        },
        "ratio": _spread([a.speed / b.speed for a, b in pairs]),
        "cpu_ms_a_call": {"at_once": _spread([a.cpu * 1000 / a.calls for a, _ in pairs])},
    }


async def profile(bench: Bench, scenario: Scenario, repeats: int) -> dict[str, Any]:
    """Say where this process's time goes, in milliseconds a call: by package, and by our functions."""
    calls, used = 0, 0.0
    with Sampler() as sampler:
        for _ in range(repeats):
            _, took = await bench.deliberate([scenario])
            calls, used = calls + took.calls, used + took.cpu
    each, ticks = used * 1000 / calls, sampler.packages.total()
    return {
        "ms_a_call": each,
        "ticks": ticks,
        "by_package": {name: each * n / ticks for name, n in sampler.packages.most_common(24)},
        "by_function": {name: each * n / ticks for name, n in sampler.functions.most_common(20)},
    }


def _entry(what: str, value: float, target: float, *, least: bool) -> dict[str, Any]:
    passed = value >= target if least else value <= target
    return {"what": what, "value": value, "target": target, "least": least, "passed": passed}


def _table(title: str, heading: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    table = Table(title=title)
    for number, name in enumerate(heading):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show(size: str, found: Mapping[str, Any], console: Console) -> None:
    """Print what was measured with one model."""
    heading: Sequence[str]
    if "throughput" in found:
        t = found["throughput"]
        rows = [
            (
                name,
                f"{statistics.median(t['seconds'][key]):.2f}",
                f"{statistics.median(t['written'][key]):.0f}",
                f"{t['speed'][key]['median']:.0f}",
                f"{t['cpu_ms_a_call'][key]['median']:.2f}",
                f"{t['thrift'][key]['median']:.0f}",
            )
            for name, key in (("Multiplex", "multiplex"), ("the same calls, replayed", "replay"))
        ]
        heading = (
            "",
            "seconds",
            "tokens",
            "tokens a second",
            "CPU ms a call, this process",
            "tokens a CPU second",
        )
        _table(f"{size}: {t['calls']} calls in {len(t['waves'])} waves", heading, rows, console)
        console.print(
            f"ratio {t['ratio']['median']:.3f} ({t['ratio']['lowest']:.3f} to {t['ratio']['highest']:.3f}); "
            f"by processor time {t['thrift']['ratio']['median']:.3f}; "
            f"{t['same_prompts']:.0%} of prompts the same in every repeat; {t['failures']} acts failed"
        )
    if "prefixes" in found:
        layouts = [
            (
                name,
                f"{p['asked']:,}",
                f"{p['computed']:,}",
                f"{p['floor']:,}",
                f"{p['over_floor']:.3f}",
                f"{p['floor_in_16']:,}",
                f"{p['floor_in_tokens']:,}",
                f"{p['computed'] / found['prefixes']['as it is']['computed']:.2f}",
            )
            for name, p in found["prefixes"].items()
        ]
        heading = ("prompt tokens", "asked", "computed", "floor", "over it", "in 16s", "in tokens", "x")
        mean = found["prefixes"]["as it is"]["statement_characters"]
        _table(
            f"{size}: blocks of {found['block']}, statements of {mean:.0f} characters",
            heading,
            layouts,
            console,
        )
    if "together" in found:
        e = found["together"]
        eight = [
            (name, f"{e['seconds'][key]['median']:.1f}", f"{e['speed'][key]['median']:.0f}")
            for name, key in (("at once", "at_once"), ("one after another", "in_turn"))
        ]
        _table(f"{size}: {e['scenarios']} scenarios", ("", "seconds", "tokens a second"), eight, console)
        console.print(f"at once {e['ratio']['median']:.2f} times as fast")
    if "profile" in found:
        for key, of in (("by_package", "own time"), ("by_function", "for which of our functions")):
            p = found["profile"]
            shares = [
                (name, f"{v:.2f}", f"{v / p['ms_a_call']:.0%}") for name, v in list(p[key].items())[:14]
            ]
            _table(
                f"{size}: {p['ms_a_call']:.2f} ms of CPU a call, {of}",
                ("", "ms", "share"),
                shares,
                console,
            )


def judge(size: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare what was measured with the targets."""
    judged = []
    if "throughput" in found:
        ratio = found["throughput"]["ratio"]["median"]
        judged.append(_entry(f"{size}: tokens a second, of the replay's", ratio, SHARE[size], least=True))
    if "prefixes" in found:
        over = found["prefixes"]["as it is"]["over_floor"]
        judged.append(_entry(f"{size}: prompt tokens computed, of the floor", over, OVER_FLOOR, least=False))
    return judged


async def measure(size: str, scratch: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that is asked for with one model."""
    folder = make_model(scratch / size, **SIZES[size])
    scenario = load_scenario(options.scenario)
    arguments = {"kv_cache_memory_bytes": KV_GIB[size] * 2**30, "enforce_eager": True}
    async with started(folder, arguments) as (engine, llm):
        characters = options.words * 6
        bench = Bench(engine, llm, scratch, characters)
        found: dict[str, Any] = {
            "block": bench.block,
            "dtype": str(llm.vllm_config.model_config.dtype),
            "load_before": os.getloadavg(),
        }
        if "throughput" in options.what:
            found["throughput"] = await throughput(bench, scenario, options.repeats)
        if "prefixes" in options.what:
            found["prefixes"] = await prefixes(bench, scenario, options.full_words * 6)
        if "together" in options.what:
            found["together"] = await together(bench, options.repeats)
        if "profile" in options.what:
            found["profile"] = await profile(bench, scenario, options.repeats)
        found["load_after"] = os.getloadavg()
    return found


def main() -> None:
    """Measure, print and write."""
    whats = ("throughput", "prefixes", "together", "profile")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--what", nargs="+", default=list(whats), choices=whats)
    parser.add_argument("--repeats", type=int, default=5, help="medians are taken over them")
    parser.add_argument("--words", type=int, default=50, help="about how long a position is")
    parser.add_argument("--full-words", type=int, default=220, help="the same where prefixes are counted")
    parser.add_argument("--scenario", default="eldercare")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "engine.json")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    report: dict[str, Any] = {
        "repeats": options.repeats,
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {"torch": version("torch"), "langgraph": version("langgraph"), "vllm": _vllm()},
        "models": {},
        "targets": [],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for size in options.models:
        with tempfile.TemporaryDirectory() as scratch:
            found = asyncio.run(measure(size, Path(scratch), options))
        gc.collect()  # what is left of the engine, before the interpreter takes itself apart
        show(size, found, console)
        for entry in judge(size, found):
            bound = "at least" if entry["least"] else "at most"
            verdict = "pass" if entry["passed"] else "FAIL"
            console.print(f"{verdict}  {entry['what']}: {entry['value']:.3f} ({bound} {entry['target']})")
            report["targets"].append(entry)
        report["models"][size] = found
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    console.print(f"written: {options.out}")


def _vllm() -> str:
    import vllm

    return str(vllm.__version__)


if __name__ == "__main__":
    main()
