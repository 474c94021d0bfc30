"""Runs that are cut off, and what becomes of them."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bench.kills import KINDS, Kind, fork_server, kill_and_resume
from multiplex.acts import Act
from multiplex.api import Session, resume
from multiplex.errors import NoQuorumError, RunError
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import load_run
from multiplex.unfinished import Unfinished, unfinished_runs
from tests.table import PERSONAS, SCENARIO, Words, answer, protocol

WHOLE = protocol("open", "exchange", "articulate", "compare", "synthesise", "ratify")


class Stop(BaseException):
    """What ends a process, as far as a test of one process can tell."""


def stopping(after: int) -> ScriptedResponder:
    """Return a responder that ends the run at its nth act."""
    left = iter(range(after))

    def say(act: Act[Any], seed: int) -> Any:
        if next(left, None) is None:
            raise Stop
        return answer(act, seed)

    return ScriptedResponder(say)


def begin(responder: ScriptedResponder, out: Path, **options: Any) -> Any:
    async def run() -> Any:
        async with Session(model=responder, embedder=Words()) as session:
            return await session.deliberate(SCENARIO, personas=PERSONAS, protocol=WHOLE, out=out, **options)

    return asyncio.run(run())


def go_on(responder: ScriptedResponder, folder: Path) -> Any:
    async def run() -> Any:
        async with Session(model=responder, embedder=Words()) as session:
            return await session.resume(folder)

    return asyncio.run(run())


def cut_off(out: Path, after: int = 5, **options: Any) -> Path:
    """Return the folder that a run would have had which stopped at its nth act."""
    with pytest.raises(Stop):
        begin(stopping(after), out, **options)
    [left] = unfinished_runs(out)
    return left.target


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_runs_killed_at_random_moments_end_as_if_they_never_had_been(kind: Kind, tmp_path: Path) -> None:
    found = kill_and_resume(kind, tmp_path, kills=7, seed=20261121)
    assert found.kills >= 7
    assert found.differing == []
    assert found.repeated == 0


@pytest.mark.parametrize("after", [0, 1, 4, 9, 16, 20])
def test_a_run_that_was_cut_off_goes_on_where_it_was(after: int, tmp_path: Path) -> None:
    whole = begin(ScriptedResponder(answer), tmp_path / "whole")
    folder = cut_off(tmp_path / "cut", after)
    responder = ScriptedResponder(answer)
    resumed = go_on(responder, folder)
    assert resumed.answers == whole.answers
    assert resumed.moral_graph == whole.moral_graph
    assert resumed.scores == whole.scores
    assert len(responder.acts) == whole.usage["acts"] - after
    assert resumed.manifest["resumed"] == 1
    assert whole.manifest["resumed"] == 0
    assert load_run(folder) == resumed
    assert not (tmp_path / "cut" / ".unfinished").exists()


def test_a_run_is_resumed_with_the_content_that_it_began_with(tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    request = Unfinished(tmp_path, folder.name).request()
    assert request.scenario == SCENARIO
    assert list(request.panel.personas) == list(PERSONAS)
    resumed = go_on(ScriptedResponder(answer), folder)
    whole = begin(ScriptedResponder(answer), tmp_path)
    assert resumed.manifest["sha256"] == whole.manifest["sha256"]
    assert resumed.manifest["content"] == whole.manifest["content"]


def test_no_key_is_written_down_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    async def run() -> None:
        responder = stopping(2)
        secrets: dict[str, Any] = {"api_key": "sesame", "engine": {"hf_token": "sesame", "tokenizer": "open"}}
        async with Session(model=responder, embedder=Words(), **secrets) as session:
            await session.deliberate(SCENARIO, personas=PERSONAS, protocol=WHOLE, out=tmp_path)

    with pytest.raises(Stop):
        asyncio.run(run())
    [left] = unfinished_runs(tmp_path)
    assert all(b"sesame" not in file.read_bytes() for file in left.folder.iterdir())
    assert left.folder.stat().st_mode & 0o077 == 0
    assert left.request().engine == {"tokenizer": "open"}


def test_what_is_finished_or_unknown_is_not_resumed(tmp_path: Path) -> None:
    done = begin(ScriptedResponder(answer), tmp_path)
    with pytest.raises(RunError, match=r"is finished; there is nothing to resume"):
        resume(done.path)
    with pytest.raises(RunError, match=r"no unfinished run of that name; there are none"):
        resume(tmp_path / "other")
    folder = cut_off(tmp_path)
    with pytest.raises(RunError, match=f"did you mean '{folder.name}'"):
        resume(tmp_path / folder.name[:-1])


def test_another_model_or_other_roles_are_refused(tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    with pytest.raises(RunError, match=r"began with the model 'scripted', not 'extractive'; give that one"):
        resume(folder, model="extractive")
    path = Unfinished(tmp_path, folder.name).folder / "request.json"
    request = json.loads(path.read_text())
    request["roles"]["agents/persona/reply.md"] = "0" * 64
    path.write_text(json.dumps(request))
    with pytest.raises(RunError, match=r"began with other roles than those that are here"):
        go_on(ScriptedResponder(answer), folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("run", "../../elsewhere"), ("pack", {}), ("protocol", {"name": "x"}), ("personas", ["nobody"])],
)
def test_a_request_that_was_tampered_with_is_told(key: str, value: Any, tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    path = Unfinished(tmp_path, folder.name).folder / "request.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(RunError, match=r"request\.json: is damaged; start the run again"):
        resume(folder)


def test_a_request_of_another_version_is_told(tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    path = Unfinished(tmp_path, folder.name).folder / "request.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(RunError, match=r"began with another version of Multiplex; start it again"):
        resume(folder)


def test_options_that_are_no_json_are_told_and_leave_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with Session(model=stopping(2), embedder=Words(), engine={"x": object()}) as session:
            await session.deliberate(SCENARIO, personas=PERSONAS, protocol=WHOLE, out=tmp_path)

    with pytest.raises(RunError, match=r"options that are no JSON"):
        asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", '{"format": 3}', "no json", "[" * 200_000])
def test_a_damaged_request_is_told(text: str, tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    (Unfinished(tmp_path, folder.name).folder / "request.json").write_text(text)
    with pytest.raises(RunError, match=r"request\.json: is damaged; start the run again"):
        resume(folder)


def test_damaged_checkpoints_are_told(tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    left = Unfinished(tmp_path, folder.name)
    for path in left.folder.glob("checkpoints.sqlite*"):
        path.write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match=r"checkpoints\.sqlite: is damaged; start the run again"):
        go_on(ScriptedResponder(answer), folder)


def _hold(out: Path, name: str, held: Any, done: Any) -> None:
    with Unfinished(out, name).held():
        held.set()
        done.wait(timeout=30)


@pytest.mark.heavy
def test_a_run_that_another_process_conducts_is_left_alone(tmp_path: Path) -> None:
    folder = cut_off(tmp_path)
    context = fork_server()
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, folder.name, held, done))
    other.start()
    try:
        assert held.wait(timeout=30)
        assert Unfinished(tmp_path, folder.name).running
        with pytest.raises(RunError, match=r"is being run by another process"):
            go_on(ScriptedResponder(answer), folder)
    finally:
        done.set()
        other.join(timeout=30)
    assert not Unfinished(tmp_path, folder.name).running


def test_whoever_only_looks_whether_a_run_is_running_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Unfinished(tmp_path, cut_off(tmp_path).name)
    looking = FileLock(left.folder / "lock")  # as `running` has it, for a moment
    looking.acquire()
    monkeypatch.setattr(time, "sleep", lambda seconds: looking.release())
    with left.held():
        assert left.running


def test_a_run_without_a_quorum_leaves_nothing_to_resume(tmp_path: Path) -> None:
    from multiplex.acts import Failure

    with pytest.raises(NoQuorumError):
        begin(ScriptedResponder(lambda act, seed: Failure("refused", "gone")), tmp_path)
    assert list(tmp_path.iterdir()) == []
