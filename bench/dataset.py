"""A dataset from a thousand prompts: rate, memory, what is left out, how evenly its perspectives spread.

    python bench/dataset.py                                1,000 prompts with the extractive default, on disk
    .venv-engine/bin/python bench/dataset.py --engine      200 through vLLM, with random weights

Without `--prompts FILE` the diversity agent writes the prompts. A twentieth more are planted that repeat one of
them with a word or a mark changed, and are to be found again. `multiplex dataset build` runs in a process of its
own with an empty cache; its memory and the number of deliberations that are done are read from outside, twice a
second. Rates are taken over the first and the last quarter of the deliberations.

With the engine, tokens a second of the deliberations (what they write, over the time that they take, the work file
and all) are set against feeding the same engine the same token ids, sampling parameters, seeds and schemas all at
once, 512 in flight, without Multiplex; both begin with an empty prefix cache. Replies are kept short (`Short` in
bench/short.py), the panel is three personas and the protocol small. Prints a table, and writes JSON.
"""

import argparse
import asyncio
import copy
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ENGINE_SHARE = 0.90
"""The least share of the raw tokens a second that building a dataset is to reach."""
PLANTED = 20
"""One in so many prompts is repeated with a word or a mark changed."""
_CHANGES = ("Please: {}", "{} Say why.", "{}!", "So, {}", "{} ")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a build from outside at one moment."""

    seconds: float
    done: int
    mb: float


def prompts(count: int, given: Path | None, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Write the prompts as JSONL, the planted ones among them; return the file, and what is known of it."""
    from multiplex.content.panels import seat
    from multiplex.dataset.prompts import Prompt, read_prompts
    from multiplex.dataset.proposing import propose_prompts
    from multiplex.embedding import SentenceEmbedder
    from multiplex.responders.extractive import ExtractiveResponder

    began = time.perf_counter()
    found: list[Prompt] = []
    if given is not None:
        found = [each for each in read_prompts([given]) if isinstance(each, Prompt)][:count]
    else:
        panel, embedder = seat("civilizations"), SentenceEmbedder()
        responder = ExtractiveResponder(embedder, panel.personas)

        async def written() -> None:
            async for each in propose_prompts(
                count, panel=panel, responder=responder, embed=embedder.embed, seed=1
            ):
                if isinstance(each, Prompt):
                    found.append(each)

        asyncio.run(written())
    seconds = time.perf_counter() - began
    lines = [{"question": p.scenario.question, "domain": p.scenario.domain} for p in found]
    planted = 0
    for place in range(0, len(found), PLANTED):
        change = _CHANGES[planted % len(_CHANGES)]
        lines.append(
            {
                "question": change.format(found[place].scenario.question),
                "domain": found[place].scenario.domain,
            }
        )
        planted += 1
    path = folder / "prompts.jsonl"
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    return path, {
        "asked": count,
        "found": len(found),
        "planted": planted,
        "seconds": seconds if given is None else None,
    }


def extractive(count: int, given: Path | None) -> dict[str, Any]:
    """Build with the extractive default, and return what was measured."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path, source = prompts(count, given, folder)
        out = folder / "dataset"
        command = [
            sys.executable,
            "-m",
            "multiplex",
            "dataset",
            "build",
            str(path),
            "--out",
            str(out),
            "--quiet",
        ]
        environment = {**os.environ, "MULTIPLEX_CACHE": str(folder / "cache")}
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        seen: list[Seen] = []
        while process.poll() is None:
            seen.append(Seen(time.perf_counter() - began, _done(out), _mb(process.pid)))
            time.sleep(0.5)
        seconds = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"the build ended with {process.returncode}")
        manifest = json.loads((out / "manifest.json").read_text())
        report = json.loads((out / "report.json").read_text())
        audit = subprocess.run(
            [sys.executable, "-m", "multiplex", "dataset", "audit", str(out), "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        repeated = _repeated(out)
        problems = subprocess.run(
            [sys.executable, "-m", "multiplex", "dataset", "check", str(out), "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            check=False,
        )
    at_work = [each for each in seen if 0 < each.done < max(each.done for each in seen)]
    working = [each.mb for each in at_work]
    quarter = max(len(at_work) // 4, 2)
    return {
        "prompts": source,
        "seconds": seconds,
        "deliberations": report["prompts"]["deliberated"],
        "deliberating_seconds": at_work[-1].seconds - at_work[0].seconds,
        "a_minute": [_rate(at_work[:quarter]), _rate(at_work[-quarter:])],
        "mb": {
            "first_quarter": statistics.median(working[:quarter]),
            "last_quarter": statistics.median(working[-quarter:]),
            "peak": max(each.mb for each in seen),
        },
        "near_duplicate_prompts": report["left_out"]
        .get("prompts", {})
        .get("near_duplicate", {})
        .get("number", 0),
        "near_duplicate_completions": report["near_duplicates"],
        "left_out_for_balance": {unit: each["over"] for unit, each in report["curation"].items()},
        "gate": {name: report["gate"][name] for name in ("judged", "passed", "dropped_for")},
        "rules": report["rules"],
        "rows": manifest["counts"],
        "test_sentences_in_train": repeated,
        "audit": json.loads(audit.stdout),
        "check": json.loads(problems.stdout),
    }


def _repeated(out: Path) -> float | None:
    """Return the share of the sentences that the test split of `dpo` prefers which its train split prefers too."""
    from multiplex.sentences import sentences

    said: dict[str, set[str]] = {"train": set(), "test": set()}
    for split, parts in said.items():
        for path in sorted((out / "jsonl" / "dpo").glob(f"{split}-*.jsonl")):
            for line in path.read_text(encoding="utf-8").split("\n"):
                parts.update(sentences(json.loads(line)["chosen"][0]["content"]) if line else ())
    return len(said["test"] & said["train"]) / len(said["test"]) if said["test"] else None


def _done(out: Path) -> int:
    """Return how many deliberations are done."""
    path = out / ".build" / "work.sqlite"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        return int(store.execute("SELECT count(*) FROM prompts WHERE state = 'done'").fetchone()[0])
    return 0


def _mb(pid: int) -> float:
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0


def _rate(part: Sequence[Seen]) -> float:
    return (part[-1].done - part[0].done) / (part[-1].seconds - part[0].seconds) * 60


def engine(count: int, size: str, repeats: int, given: Path | None) -> dict[str, Any]:
    """Deliberate through vLLM as a build does, and feed it the same without Multiplex."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path, _ = prompts(count, given, folder)
        pairs = asyncio.run(_pairs(count, size, repeats, path, folder))
    return {
        "size": size,
        "prompts": count,
        "pairs": pairs,
        "share": statistics.median(pair["share"] for pair in pairs),
    }


async def _pairs(count: int, size: str, repeats: int, path: Path, folder: Path) -> list[dict[str, Any]]:
    """Return what each repeat took, with Multiplex and without."""
    from bench.engine import KV_GIB, SIZES, Watch, started
    from bench.engine import Bench as EngineBench
    from bench.scale import SMALL
    from bench.short import Short
    from bench.tiny_model import make_model
    from multiplex.api import Session
    from multiplex.dataset.deliberating import deliberate_all
    from multiplex.dataset.producing import Producer, Recipe
    from multiplex.dataset.prompts import Prompt, read_prompts
    from multiplex.dataset.spending import RESPONSES, Spending
    from multiplex.dataset.store import Store
    from multiplex.embedding import SentenceEmbedder
    from multiplex.models.cached import Cached, ResponseStore

    pairs: list[dict[str, Any]] = []
    asked = [each for each in read_prompts([path]) if isinstance(each, Prompt)][:count]
    (folder / "small.yaml").write_text(SMALL_YAML.format(stages=_stages(SMALL)))
    model = make_model(folder / size, **SIZES[size])
    options = {"kv_cache_memory_bytes": KV_GIB[size] * 2**30, "enforce_eager": True}
    embedder = SentenceEmbedder()
    async with started(model, options) as (vllm, llm):
        bench = EngineBench(vllm, llm, folder, 120)
        for number in range(repeats + 1):  # the first warms up
            part = asked if number else asked[: max(count // 20, 4)]
            work = folder / f"work{number}"
            with Store(work) as store:
                for prompt in part:
                    store.add_prompt(prompt)
                await bench.clear()
                recipe = Recipe(
                    personas=("western", "islamic", "confucian"),
                    protocol=str(folder / "small.yaml"),
                    seed=number,
                )
                kept = ResponseStore(work / RESPONSES)
                with bench.recording() as calls:
                    short = Short(Cached(vllm, kept), 120)
                    async with Session(
                        model=short, concurrency=512, embedder=embedder, cache=False
                    ) as session:
                        producer = Producer(session, embedder, recipe)
                        watch = Watch()
                        await deliberate_all(store, producer.produce, at_once=64)
                        seconds, cpu, engine_cpu = watch.read()
                kept.close()
                written = Spending(work).total()["completion"]
                states = store.states()
            raw = await _fed(bench, calls)
            if number:
                pairs.append(
                    {
                        "deliberations": states,
                        "calls": len(calls),
                        "seconds": seconds,
                        "tokens_a_second": written / seconds,
                        "raw_seconds": raw["seconds"],
                        "raw_tokens_a_second": raw["written"] / raw["seconds"],
                        "share": (written / seconds) / (raw["written"] / raw["seconds"]),
                        "cpu_ms_a_call": cpu / len(calls) * 1000,
                        "raw_cpu_ms_a_call": raw["cpu"] / len(calls) * 1000,
                        "engine_cpu": engine_cpu,
                    }
                )
    return pairs


SMALL_YAML = "name: small\nsummary: For a benchmark.\nstages: {stages}\n"


def _stages(protocol: Any) -> str:
    return json.dumps([{stage.name: stage.model_dump(mode="json")} for stage in protocol.stages])


async def _fed(bench: Any, calls: Sequence[Any]) -> dict[str, float]:
    """Feed the engine the same calls with nothing between it and them, 512 at a time in the order they came."""
    from bench.engine import Watch

    await bench.clear()
    made = [(call.prompt, copy.deepcopy(call.params)) for call in calls]
    places = asyncio.Semaphore(512)
    written = 0

    async def feed(number: int, prompt: list[int], params: Any) -> None:
        nonlocal written
        async with places:
            tokens = {"type": "token", "prompt_token_ids": prompt}
            async for output in bench.llm.generate(tokens, params, f"raw{id(made)}-{number}"):
                written += len(output.outputs[0].token_ids)

    watch = Watch()
    await asyncio.gather(*(feed(number, *each) for number, each in enumerate(made)))
    seconds, cpu, _ = watch.read()
    return {"seconds": seconds, "written": written, "cpu": cpu}


def show(found: dict[str, Any], console: Console) -> None:
    """Print what was measured."""
    if "pairs" in found:
        table = Table(title=f"{found['prompts']} prompts through vLLM, {found['size']}")
        for column in ("calls", "s", "tokens/s", "raw s", "raw tokens/s", "share", "CPU ms a call", "raw"):
            table.add_column(column, justify="right")
        for each in found["pairs"]:
            table.add_row(
                *(f"{each['calls']:,}", f"{each['seconds']:.1f}", f"{each['tokens_a_second']:,.0f}"),
                *(
                    f"{each['raw_seconds']:.1f}",
                    f"{each['raw_tokens_a_second']:,.0f}",
                    f"{each['share']:.3f}",
                ),
                *(f"{each['cpu_ms_a_call']:.1f}", f"{each['raw_cpu_ms_a_call']:.1f}"),
            )
        console.print(table)
        verdict = "pass" if found["share"] >= ENGINE_SHARE else "MISS"
        console.print(
            f"{verdict}  median share of the raw tokens a second: {found['share']:.3f} (at least {ENGINE_SHARE})"
        )
        return
    table = Table(title=f"{found['deliberations']:,} deliberations, extractive", show_header=False)
    first, last = found["a_minute"]
    entropy = found["audit"].get("perspective_entropy", {})
    for name, value in (
        ("all of it", f"{found['seconds']:,.0f} s"),
        ("deliberations a minute, first and last quarter", f"{first:,.0f}, {last:,.0f}"),
        ("MB, first and last quarter, peak", ", ".join(f"{each:,.0f}" for each in found["mb"].values())),
        (
            "near-duplicate prompts found, planted",
            f"{found['near_duplicate_prompts']}, {found['prompts']['planted']}",
        ),
        ("near-duplicate completions", json.dumps(found["near_duplicate_completions"])),
        ("left out for balance", json.dumps(found["left_out_for_balance"])),
        ("texts judged, passed", f"{found['gate']['judged']:,}, {found['gate']['passed']:,}"),
        ("rows", json.dumps({config: sum(each.values()) for config, each in found["rows"].items()})),
        ("sentences preferred in test that stand in train", str(found["test_sentences_in_train"])),
        ("entropy of the set", json.dumps(entropy)[:400]),
    ):
        table.add_row(name, value)
    console.print(table)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=Path, help="a file of prompts; else they are written")
    parser.add_argument("--count", type=int, help="how many prompts; else 1,000, or 200 with --engine")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--model", choices=("tiny", "100m"), default="tiny")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "dataset.json")
    options = parser.parse_args()
    load = os.getloadavg()
    if options.engine:
        found = engine(options.count or 200, options.model, options.repeats, options.prompts)
    else:
        found = extractive(options.count or 1000, options.prompts)
    show(found, Console(width=160))
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"machine": machine, "load_before": load, **found}, indent=2))
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
