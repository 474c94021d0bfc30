"""Kill runs at random moments, resume them, and compare what comes out with a run that was never killed.

    python bench/kills.py --kills 100

Every kill is a SIGKILL to the process that conducts the run. Three kinds take turns: the extractive
default, a scripted language model behind the response cache, and the same without it, where nothing but
the run's own record of acts keeps what was answered. What counts as the same: answers, moral graph, scores
and every act on record, all but the time and tokens that it took. No call (without the cache: no act)
that was answered may be made again. Exit code 1 if anything differs.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import multiprocessing.context
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel

from bench.endpoint import write_reply
from multiplex.acts import Act, Performed
from multiplex.api import Session
from multiplex.content.panels import seat
from multiplex.content.personas import Persona
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario, load_scenario
from multiplex.models.base import Completion, Message, Model, Sampling
from multiplex.models.cached import Cached, ResponseStore
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.runs import list_runs, load_run
from multiplex.unfinished import unfinished_runs

__all__ = ["Killed", "fork_server", "kill_and_resume"]

Kind = Literal["extractive", "scripted", "uncached"]
KINDS: tuple[Kind, ...] = ("extractive", "scripted", "uncached")
R = TypeVar("R", bound=BaseModel)
_PANEL = ("confucian", "western", "african")


class _Words:
    """An embedding that hashes words: quick, and the same in every process."""

    name = "hashed words"

    def embed(self, texts: Sequence[str]) -> Any:
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[hashlib.md5(word.encode(), usedforsecurity=False).digest()[0] % 64] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) if len(texts) else rows


class _Slow:
    """A scripted model that takes a while over a call, and notes what it is asked before it answers."""

    name = "scripted:slow"

    def __init__(self, log: Path, longest: float) -> None:
        self._log = log
        self._longest = longest

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        _note(self._log, "asked", messages, sampling)
        await asyncio.sleep(self._longest * random.Random(sampling.seed).random())  # noqa: S311
        if sampling.choices:
            return Completion(text=sampling.choices[sampling.seed % len(sampling.choices)])
        prompt = "\n".join(message["content"] for message in messages)
        return Completion(
            text=write_reply(prompt, sampling.seed, schema), prompt_tokens=7, completion_tokens=7
        )

    async def aclose(self) -> None:
        pass


class _Noting:
    """Note what was answered, once the answer is safe."""

    def __init__(self, model: Model, log: Path) -> None:
        self._model = model
        self._log = log
        self.name = model.name

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        completion = await self._model.complete(messages, sampling=sampling, schema=schema)
        _note(self._log, "answered", messages, sampling)
        return completion

    async def aclose(self) -> None:
        await self._model.aclose()


class _Remembered:
    """Note which acts are asked, by their seeds, and which are done, once the run has taken that in."""

    weighs = True

    def __init__(self, model: Model, log: Path) -> None:
        self._responder = LanguageModelResponder(model)
        self._log = log
        self.name = model.name

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        _write(self._log, "asked", str(seed))
        performed = await self._responder.perform(act, seed=seed)
        asyncio.get_running_loop().call_soon(_write, self._log, "answered", str(seed))
        return performed


def _note(log: Path, what: str, messages: Sequence[Message], sampling: Sampling) -> None:
    asked = json.dumps([list(messages), sampling.seed, sampling.choices])
    _write(log, what, hashlib.sha256(asked.encode()).hexdigest())


def _write(log: Path, what: str, key: str) -> None:
    with log.open("ab", buffering=0) as stream:
        stream.write(f"{what} {key}\n".encode())


def _session(kind: Kind, folder: Path) -> Session:
    if kind == "extractive":
        return Session(embedder=_Words(), cache=False)
    log = folder / "calls.log"
    if kind == "uncached":
        return Session(model=_Remembered(_Slow(log, 0.05), log), embedder=_Words())
    model = Cached(_Slow(log, 0.01), ResponseStore(folder / "responses.sqlite"))
    return Session(model=_Noting(model, log), embedder=_Words())


def _scenario() -> tuple[Scenario, Protocol]:
    compare = {"compare": {"pairs_per_persona": 2}}
    stages = ["open", {"exchange": {"rounds": 1}}, "poll", "articulate", compare, "synthesise", "ratify"]
    protocol = Protocol.model_validate({"name": "killed", "summary": "All stages.", "stages": stages})
    return load_scenario("eldercare"), protocol


def _personas() -> list[Persona]:
    """Return a small panel, scored against itself: what is tried here is resuming, not the classifier."""
    return [
        persona.model_copy(
            update={
                "perspective": f"{persona.name}_here",
                "commitments": persona.commitments[:4],
                "plain_speech": (),
            }
        )
        for persona in seat(_PANEL).personas
    ]


def _begin(kind: Kind, folder: Path) -> None:
    scenario, protocol = _scenario()

    async def run() -> None:
        async with _session(kind, folder) as session:
            await session.deliberate(
                scenario, personas=_personas(), protocol=protocol, seed=11, out=folder / "runs"
            )

    asyncio.run(run())


def _resume(kind: Kind, folder: Path, name: str) -> None:
    async def run() -> None:
        async with _session(kind, folder) as session:
            await session.resume(folder / "runs" / name)

    asyncio.run(run())


@dataclass(slots=True)
class Killed:
    """What became of runs that were killed: how often, what differed, and the calls made twice for nothing."""

    kills: int = 0
    runs: int = 0
    differing: list[str] = field(default_factory=list)
    repeated: int = 0
    seconds: float = 0.0
    most_at_one_run: int = 0


def fork_server() -> multiprocessing.context.ForkServerContext:
    """Return what forks processes from one that has done once what each would do anew (see `bench.warm`)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.kills", "multiplex.deliberation.run", "bench.warm"])
    return context


def kill_and_resume(kind: Kind, folder: Path, *, kills: int, seed: int) -> Killed:
    """Kill and resume until there have been so many kills, and compare every run that ends."""
    context = fork_server()
    dice = random.Random(seed)  # noqa: S311
    found = Killed()
    began = time.perf_counter()

    def conducted(target: Any, *args: Any, patience: float | None) -> bool:
        """Run a process to its end, or kill it when its time is up; tell whether it came to its end."""
        process = context.Process(target=target, args=args)
        process.start()
        process.join(patience)
        if ended := process.exitcode is not None:
            if process.exitcode != 0:
                raise RuntimeError(f"{target.__name__} ended with exit code {process.exitcode}")
        else:
            process.kill()
            process.join()
        process.close()
        return ended

    (whole := folder / "whole").mkdir(parents=True)
    conducted(_begin, kind, whole, patience=None)
    started = time.perf_counter()
    shutil.rmtree(whole)
    whole.mkdir()
    conducted(_begin, kind, whole, patience=None)  # the first one had to start the server
    usual = time.perf_counter() - started
    expected = _outcome(whole)
    while found.kills < kills:
        found.runs += 1
        (place := folder / f"run{found.runs}").mkdir()
        at_this = 0
        ended = conducted(_begin, kind, place, patience=dice.uniform(0.02, usual))
        while not ended or not (names := [path.name for path in list_runs(place / "runs")]):
            at_this += not ended
            found.kills += not ended
            # To read what was kept takes a while too: who resumes is given more, or it would never get on.
            patience = dice.uniform(0.02, 1.25 * usual) if found.kills < kills else None
            if cut_off := unfinished_runs(place / "runs"):
                ended = conducted(_resume, kind, place, cut_off[0].run, patience=patience)
            elif (place / "runs").is_dir() and any(list_runs(place / "runs")):
                ended = True  # killed after its end
            else:  # killed before it had begun
                ended = conducted(_begin, kind, place, patience=patience)
        found.most_at_one_run = max(found.most_at_one_run, at_this)
        found.differing += [f"run {found.runs}: {what}" for what in _differences(expected, _outcome(place))]
        if len(names) != 1:
            found.differing.append(f"run {found.runs}: left {len(names)} folders")
        found.repeated += _repeated(place / "calls.log")
    found.seconds = time.perf_counter() - began
    return found


def _outcome(folder: Path) -> dict[str, Any]:
    [path] = list_runs(folder / "runs")
    run = load_run(path)
    left = [entry.run for entry in unfinished_runs(folder / "runs")]
    transcript = [{k: v for k, v in act.items() if k != "usage"} for act in run.transcript]
    files = sorted(entry.name for entry in path.iterdir())
    kept = run.summary()
    for key in ("run", "path", "usage"):
        del kept[key]
    return {**kept, "transcript": transcript, "files": files, "unfinished": left}


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [key for key in expected if expected[key] != found[key]]


def _repeated(log: Path) -> int:
    """Return how many calls (or acts) were asked again whose answers had already arrived."""
    answered: set[str] = set()
    again = 0
    for line in log.read_text().splitlines() if log.exists() else []:
        what, _, key = line.partition(" ")
        if what == "asked":
            again += key in answered
        else:
            answered.add(key)
    return again


def main() -> int:
    """Kill, resume, compare, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path, default=Path("bench/results/kills.json"))
    options = parser.parse_args()
    share = [
        options.kills * (n + 1) // len(KINDS) - options.kills * n // len(KINDS) for n in range(len(KINDS))
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, kills in zip(KINDS, share, strict=True):
            found = kill_and_resume(kind, Path(folder) / kind, kills=kills, seed=options.seed)
            rows.append({"model": kind, **{name: getattr(found, name) for name in Killed.__slots__}})
            print(
                f"{kind:<11} {found.kills} kills of {found.runs} runs (at most {found.most_at_one_run} of one), "
                f"{len(found.differing)} differences, {found.repeated} answered calls made again, {found.seconds:.0f} s"
            )
            for line in found.differing:
                print(f"  {line}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"seed": options.seed, "rows": rows}, indent=2) + "\n")
    return int(any(row["differing"] or row["repeated"] for row in rows))


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    sys.path.insert(0, str(Path.cwd()))
    from bench.kills import main as run_as_module  # children import it by this name

    sys.exit(run_as_module())
