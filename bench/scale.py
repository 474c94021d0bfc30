"""Many scenarios in one session: whether the time, or the memory, that each takes grows with their number.

    python bench/scale.py                                  200 through an endpoint, and 40 with scores
    .venv-engine/bin/python bench/scale.py --engine        50 through vLLM, with 3.4 million random weights

Scenarios are made here, each with a question, facts and options of its own. They are deliberated on a few at
a time and written out, as `multiplex run` does, with an empty cache; first one to warm up. Time per scenario
is counted from one end of a deliberation to the next over the first quarter and over the last. Memory is
this process's own (an endpoint or vLLM's processes are counted apart); its growth is the slope over the last
three quarters.

The endpoint (bench/endpoint.py) takes 50 ms for every call. With the engine, replies are kept short
(`Short` in bench/engine.py), the panel is three personas and the protocol small, so that it ends in
minutes. With `--trace` it says what the memory that grew was allocated for, and takes longer. Prints a table,
and writes bench/results/scale.json.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.engine import descendants, started
from bench.orchestration import endpoint
from bench.short import Short
from bench.tiny_model import make_model
from multiplex.api import Session
from multiplex.content.panels import Panel, seat
from multiplex.content.protocols import Protocol, load_protocol
from multiplex.content.scenarios import Scenario
from multiplex.models.cached import Cached, ResponseStore
from multiplex.runs import Run

HERE = Path(__file__).parent
GROWTH = 1.10
"""How many times the first quarter's time per scenario the last quarter's may be."""
WHOLE = Protocol.model_validate(
    {
        "name": "whole",
        "summary": "What `multiplex` has but the poll, which asks for letters: the endpoint knows none.",
        "stages": [stage for stage in load_protocol("multiplex").stages if stage.name != "poll"],
    }
)
SMALL = Protocol.model_validate(
    {
        "name": "small",
        "summary": "One round, one statement.",
        "stages": ["open", {"exchange": {"rounds": 1}}, "synthesise", {"ratify": {"revise": 0}}],
    }
)

_WHO = ("A harbour town", "A school board", "A hill village", "A hospital", "A family of five", "A newspaper")
_WHAT = ("close its ferry", "sell the common field", "open its records", "take in a stranger", "mend the dam")
_WHY = ("the money is nearly gone", "half of the people want it", "nobody was asked the last time")
_FACT = (
    "Two winters ago {who} promised the opposite.",
    "The work would take {n} months.",
    "{n} people signed.",
)


def scenarios(number: int) -> list[Scenario]:
    """Return that many scenarios, no two of which share their question or their facts."""
    return [_scenario(n) for n in range(number)]


def _scenario(n: int) -> Scenario:
    who, what, why = _WHO[n % 6], _WHAT[n // 6 % 5], _WHY[n // 30 % 3]
    facts = " ".join(fact.format(who=who.lower(), n=n + 7) for fact in _FACT)
    return Scenario.model_validate(
        {
            "name": f"made_{n}",
            "question": f"Case {n}: should {who.lower()} {what}, now that {why}?",
            "context": f"{who} has to decide before spring, and {why}. {facts}",
            "options": [
                {"key": "yes", "text": f"{what.capitalize()} before spring"},
                {"key": "wait", "text": f"Wait {n + 2} months and ask again"},
                {"key": "no", "text": f"Do not {what}"},
            ],
        }
    )


@asynccontextmanager
async def served(latency_ms: float, scratch: Path, concurrency: int) -> AsyncIterator[Session]:
    """Yield a session with an endpoint of its own."""
    with endpoint(latency_ms) as root:
        options: dict[str, Any] = {"base_url": f"{root}/v1", "concurrency": concurrency}
        async with Session(model="openai:bench", cache=scratch / "responses.sqlite", **options) as session:
            yield session


@asynccontextmanager
async def engine(scratch: Path) -> AsyncIterator[Session]:
    """Yield a session with an engine, and a tiny model, of its own."""
    options = {"enforce_eager": True, "kv_cache_memory_bytes": 2**30}
    async with started(make_model(scratch / "tiny"), options) as (running, _):
        store = ResponseStore(scratch / "responses.sqlite")
        async with Session(model=Short(Cached(running, store), 240), concurrency=512, cache=False) as session:
            yield session
        store.close()


def resident() -> float:
    """Return how much memory this process has, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def measure(
    session: Session,
    number: int,
    panel: Panel,
    protocol: Protocol,
    *,
    scores: bool,
    at_once: int,
    out: Path,
    trace: bool,
) -> dict[str, Any]:
    """Deliberate on that many scenarios, and note time and memory whenever one ends."""
    first, *others = scenarios(number + 1)
    ends: list[float] = []
    took: list[float] = []
    memory: list[float] = []
    calls = failures = 0
    places = asyncio.Semaphore(at_once)
    snapshots: list[tracemalloc.Snapshot] = []

    async def one(scenario: Scenario) -> Run:
        return await session.deliberate(
            scenario, personas=panel, protocol=protocol, seed=1, scores=scores, out=out
        )

    async def noted(scenario: Scenario) -> None:
        nonlocal calls, failures
        async with places:
            began = time.perf_counter()
            run = await one(scenario)
            ends.append(time.perf_counter())
            took.append(ends[-1] - began)
            memory.append(resident())
            calls += run.usage["calls"]
            failures += run.usage["failures"]
            if trace and len(ends) in (number // 4, number - at_once):
                gc.collect()
                snapshots.append(tracemalloc.take_snapshot())

    await one(first)
    gc.collect()
    if trace:
        tracemalloc.start(12)
    warm, used, began = resident(), time.process_time(), time.perf_counter()
    await asyncio.gather(*map(noted, others))
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    children = sum(mb for _, mb in descendants())
    gc.collect()
    quarter = number // 4
    early, late = (ends[quarter - 1] - began) / quarter, (ends[-1] - ends[-quarter - 1]) / quarter
    return {
        "scenarios": number,
        "scores": scores,
        "at_once": at_once,
        "calls": calls,
        "failures": failures,
        "seconds": seconds,
        "cpu_ms_a_call": cpu * 1000 / calls,
        "first_quarter_s": early,
        "last_quarter_s": late,
        "ratio": late / early,
        "duration_first_quarter_s": statistics.median(took[:quarter]),
        "duration_last_quarter_s": statistics.median(took[-quarter:]),
        "warm_mb": warm,
        "mb_by_quarter": [memory[max(0, quarter * k - 1)] for k in range(1, 4)] + [memory[-1]],
        "mb_at_the_end": resident(),
        "growth_kb_a_scenario": _slope(memory[quarter:]) * 1000,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "children_mb": children,
        "grew": _grown(snapshots, number - at_once - quarter) if trace else [],
    }


def _slope(values: Sequence[float]) -> float:
    """Return the slope of the least-squares line, a step."""
    return statistics.linear_regression(range(len(values)), values).slope


def _grown(snapshots: Sequence[tracemalloc.Snapshot], between: int) -> list[str]:
    """Say where the most was allocated that is still there, in kB a scenario."""
    early, late = snapshots
    found = late.compare_to(early, "lineno")
    return [
        f"{each.size_diff / 1000 / between:8.1f} kB in {each.count_diff / between:.1f} blocks a scenario: "
        + str(each.traceback[-1])
        for each in found[:15]
    ]


def show(name: str, found: dict[str, Any], console: Console) -> list[dict[str, Any]]:
    """Print what was measured; return what it says of the target."""
    table = Table(title=f"{name}: {found['calls']} calls, {found['at_once']} deliberations at once")
    for number, heading in enumerate(
        (
            "scenarios",
            "seconds",
            "first quarter, s each",
            "last",
            "CPU ms a call",
            "MB warm",
            "MB peak",
            "kB more each",
        )
    ):
        table.add_column(heading, justify="right" if number else "left")
    table.add_row(
        f"{found['scenarios']}, {'with' if found['scores'] else 'without'} scores",
        f"{found['seconds']:.1f}",
        f"{found['first_quarter_s']:.3f}",
        f"{found['last_quarter_s']:.3f}",
        f"{found['cpu_ms_a_call']:.2f}",
        f"{found['warm_mb']:.0f}",
        f"{found['peak_mb']:.0f}",
        f"{found['growth_kb_a_scenario']:.0f}",
    )
    console.print(table)
    console.print(
        f"{found['scenarios'] / found['seconds']:.2f} scenarios a second; "
        f"other processes {found['children_mb']:.0f} MB; "
        f"{found['failures']} acts failed; MB by quarter: {', '.join(f'{mb:.0f}' for mb in found['mb_by_quarter'])}"
    )
    for line in found["grew"]:
        console.print(line, highlight=False)
    passed = found["ratio"] <= GROWTH
    verdict = "pass" if passed else "FAIL"
    what = f"{name}, {'with' if found['scores'] else 'without'} scores: last quarter's time, of the first's"
    console.print(f"{verdict}  {what}: {found['ratio']:.3f} (at most {GROWTH})")
    return [{"what": what, "value": found["ratio"], "target": GROWTH, "passed": passed}]


async def through(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Measure what was asked for."""
    report: dict[str, Any] = {"targets": [], "rows": []}
    plan: list[tuple[int, bool]] = []
    if options.scores is not True:
        plan.append((options.scenarios, False))
    if options.scores is not False and not options.engine:
        plan.append((options.scored, True))
    for number, scores in plan:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            os.environ["MULTIPLEX_CACHE"] = folder  # every embedding is computed here, and once
            if options.engine:
                opened, panel, protocol = engine(scratch), seat(("western", "confucian", "african")), SMALL
            else:
                opened = served(options.latency_ms, scratch, options.concurrency)
                panel, protocol = seat("civilizations"), WHOLE
            async with opened as session:
                found = await measure(
                    session,
                    number,
                    panel,
                    protocol,
                    scores=scores,
                    at_once=options.at_once,
                    out=scratch / "runs",
                    trace=options.trace,
                )
        report["targets"] += show("engine" if options.engine else "endpoint", found, console)
        report["rows"].append(found)
    return report


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", action="store_true", help="through vLLM instead of an endpoint")
    parser.add_argument("--scenarios", type=int, help="how many without scores; 200, or 50 with --engine")
    parser.add_argument("--scored", type=int, default=40, help="how many with scores")
    parser.add_argument("--scores", action=argparse.BooleanOptionalAction, help="only with, or only without")
    parser.add_argument("--at-once", type=int, help="deliberations; 10, or 4 with --engine")
    parser.add_argument("--concurrency", type=int, default=32, help="calls in flight at the endpoint")
    parser.add_argument("--latency-ms", type=float, default=50, help="what every call takes at the endpoint")
    parser.add_argument("--trace", action="store_true", help="say what the memory that grew is for")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.scenarios = options.scenarios or (50 if options.engine else 200)
    options.at_once = options.at_once or (4 if options.engine else 10)
    console = Console(width=None if sys.stdout.isatty() else 140)
    report = asyncio.run(through(options, console))
    gc.collect()  # what is left of an engine, before the interpreter takes itself apart
    report["load"] = os.getloadavg()
    report["machine"] = {"cpus": os.cpu_count(), "system": platform.platform()}
    out: Path = options.out or HERE / "results" / ("scale_engine.json" if options.engine else "scale.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    console.print(f"written: {out}")


if __name__ == "__main__":
    main()
