"""Kill builds of a dataset at random moments, run them again, and compare what comes out with one never killed.

    python bench/dataset_kills.py --kills 50

Every kill is a SIGKILL to the process that builds: while prompts are taken in, during the deliberations, while
rows are made, while files are written. It is run again until it ends. Two kinds of model take turns: the
extractive default, and a scripted language model behind the response cache. What counts as the same: every
byte of every file, but for the time at which the build began. A folder that has a manifest must be whole at
any moment, and no call whose answer had arrived may be made again. Exit code 1 if anything differs.

The parts are those that `multiplex dataset build` puts together, but for the embeddings, which hash words, and
for the masking, which hangs on the text alone: a process that is killed forty times should start quickly.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing.context
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.kills import _PANEL, Kind, _Noting, _repeated, _Slow, _Words, fork_server
from multiplex.api import Session
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import BUILD, Plan, Publication, build, sources_of
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.manifest import MANIFEST
from multiplex.dataset.producing import Producer, Recipe
from multiplex.dataset.prompts import Prompt, Skipped, read_prompts
from multiplex.dataset.store import Store
from multiplex.models.cached import Cached, ResponseStore

__all__ = ["KINDS", "Killed", "kill_and_build_again"]

_QUESTIONS = (
    "May I put my father in a nursing home far away?",
    "Should our village sell its forest to pay for a school?",
    "Who ought to decide when a grandmother may stop her treatment?",
    "may I put my father in a nursing home far away?",
    "",
    "Is it right to keep a promise that a friend has forgotten?",
    "Could a city ask newcomers to learn its songs?",
)
_AT_ONCE: dict[Kind, int] = {"extractive": 1, "scripted": 4}
KINDS = tuple(_AT_ONCE)
"""A build always keeps a response cache."""


def _write_inputs(folder: Path) -> None:
    """Write the prompts and the protocol, which all builds read."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"question": question} for question in _QUESTIONS]
    lines[1]["options"] = ["sell it", "keep it"]  # type: ignore[assignment]
    (folder / "prompts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    stages = ["open", "articulate", {"compare": {"pairs_per_persona": 1}}, "synthesise", "ratify"]
    (folder / "killed.yaml").write_text(
        yaml.safe_dump({"name": "killed", "summary": "Short.", "stages": stages})
    )


def _session(kind: Kind, place: Path) -> Session:
    if kind == "extractive":
        return Session(embedder=_Words(), cache=False)
    log = place / "calls.log"
    store = ResponseStore(place / "dataset" / BUILD / "responses.sqlite")
    return Session(model=_Noting(Cached(_Slow(log, 0.01), store), log), embedder=_Words())


def _build(kind: Kind, folder: Path, place: Path) -> None:
    """Build, or go on with, the dataset of a place: what a process is started for and killed in."""
    recipe = Recipe(personas=_PANEL, protocol=str(folder / "killed.yaml"), seed=11, contrast=True)
    prompts = folder / "prompts.jsonl"
    plan = Plan(
        model=kind,
        recipe=recipe,
        embedding=_Words.name,
        multiplex="killed",
        sources=sources_of([prompts]),
    )

    def phase(begun: str, states: Mapping[str, int]) -> None:
        with (place / "phases.log").open("ab", buffering=0) as stream:
            stream.write(f"{begun}\n".encode())

    async def run() -> None:
        async with _session(kind, place) as session:
            producer = Producer(session, _Words(), recipe)

            async def taken() -> Iterable[Prompt | Skipped]:
                return read_prompts([prompts])

            async def deliberate(store: Store) -> None:
                await deliberate_all(store, producer.produce, at_once=_AT_ONCE[kind])

            await build(
                place / "dataset",
                plan,
                Assembly(seed=11),
                Publication(shard_rows=5),
                prompts=taken,
                deliberate=deliberate,
                embedder=_Words(),
                masks=None,
                on_phase=phase,
            )

    asyncio.run(run())


@dataclass(slots=True)
class Killed:
    """What became of builds that were killed: how often and when, what differed, and the calls made twice."""

    kills: int = 0
    builds: int = 0
    differing: list[str] = field(default_factory=list)
    repeated: int = 0
    seconds: float = 0.0
    most_at_one_build: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    """How many kills fell into each phase; `start` is before the first."""
    files: int = 0
    """How many files of a dataset were compared."""


def _server() -> multiprocessing.context.ForkServerContext:
    """Return what forks processes from one that has imported what a build needs."""
    context = fork_server()
    warm = ["bench.kills", "multiplex.deliberation.run", "bench.warm", "bench.dataset_kills"]
    context.set_forkserver_preload(
        [*warm, "pyarrow.parquet", "matplotlib.figure", "matplotlib.backends.backend_svg"]
    )
    return context


def kill_and_build_again(kind: Kind, folder: Path, *, kills: int, seed: int) -> Killed:
    """Kill and build again until there have been so many kills, and compare every dataset that is finished."""
    context = _server()
    dice = random.Random(seed)  # noqa: S311
    found = Killed()
    began = time.perf_counter()
    _write_inputs(folder)

    def conducted(place: Path, patience: float | None) -> bool:
        """Run a process to its end, or kill it when its time is up; tell whether it came to its end."""
        process = context.Process(target=_build, args=(kind, folder, place))
        process.start()
        process.join(patience)
        if ended := process.exitcode is not None:
            if process.exitcode != 0:
                raise RuntimeError(f"a build ended with exit code {process.exitcode}")
        else:
            process.kill()
            process.join()
        process.close()
        return ended

    usual = 0.0
    for name in ("first", "whole"):  # the first one has to start the server
        (folder / name).mkdir()
        started = time.perf_counter()
        conducted(folder / name, None)
        usual = time.perf_counter() - started
    expected = _outcome(folder / "whole")
    found.files = len(expected)
    found.differing += [
        f"the first build: {what}" for what in _differences(expected, _outcome(folder / "first"))
    ]
    while found.kills < kills:
        found.builds += 1
        (place := folder / f"build{found.builds}").mkdir()
        at_this = 0
        while True:
            # Early moments are drawn more often than late ones: they pass quickly.
            patience = 0.02 + 1.2 * usual * dice.random() ** 1.5 if found.kills < kills else None
            if conducted(place, patience):
                break
            at_this += 1
            found.kills += 1
            found.phases[_phase(place)] += 1
            if (place / "dataset" / MANIFEST).exists():
                wrong = _differences(_files(expected), _files(_outcome(place)))
                found.differing += [f"build {found.builds}, not whole after a kill: {what}" for what in wrong]
        found.most_at_one_build = max(found.most_at_one_build, at_this)
        found.differing += [
            f"build {found.builds}: {what}" for what in _differences(expected, _outcome(place))
        ]
        found.repeated += _repeated(place / "calls.log")
    found.seconds = time.perf_counter() - began
    return found


def _phase(place: Path) -> str:
    """Return the phase that a killed build was in: the last that its process noted, `start` for none."""
    log = place / "phases.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines[-1] if lines else "start"


def _outcome(place: Path) -> dict[str, str]:
    """Return the hash of every file, without the time at which the build began and what hangs on it."""
    out = place / "dataset"
    manifest = json.loads((out / MANIFEST).read_bytes())
    created = manifest.pop("created")
    del manifest["sha256"]
    for entry in manifest["files"]:
        if entry["path"] == "README.md":
            del entry["sha256"]
    found = {MANIFEST: _hash(json.dumps(manifest, sort_keys=True).encode())}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and name not in found:
            inside = BUILD in path.relative_to(out).parts  # what is left there is told by its name
            found[name.removesuffix("-wal").removesuffix("-shm")] = (
                "" if inside else _hash(path.read_bytes().replace(created.encode(), b""))
            )
    return found


def _files(outcome: Mapping[str, str]) -> dict[str, str]:
    """Return what is of the dataset itself: beside it there may be unfinished work."""
    return {name: digest for name, digest in outcome.items() if not name.startswith(BUILD)}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def main() -> int:
    """Kill, build again, compare, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path, default=Path("bench/results/dataset_kills.json"))
    options = parser.parse_args()
    share = [options.kills - options.kills // 2, options.kills // 2]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, kills in zip(KINDS, share, strict=True):
            found = kill_and_build_again(kind, Path(folder) / kind, kills=kills, seed=options.seed)
            rows.append({"model": kind, **{name: getattr(found, name) for name in Killed.__slots__}})
            when = ", ".join(f"{phase} {number}" for phase, number in found.phases.most_common())
            print(
                f"{kind:<11} {found.kills} kills of {found.builds} builds (at most {found.most_at_one_build} of one; "
                f"{when}), {found.files} files each, {len(found.differing)} differences, "
                f"{found.repeated} answered calls made again, {found.seconds:.0f} s"
            )
            for line in found.differing:
                print(f"  {line}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"seed": options.seed, "rows": rows}, indent=2) + "\n")
    return int(any(row["differing"] or row["repeated"] for row in rows))


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    sys.path.insert(0, str(Path.cwd()))
    from bench.dataset_kills import main as run_as_module  # children import it by this name

    sys.exit(run_as_module())
