"""`multiplex runs`: what became of runs that left no result."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from multiplex.api import Session
from multiplex.cli.app import app
from multiplex.errors import NoQuorumError, RunError
from multiplex.runs import load_run
from multiplex.unfinished import Unfinished
from tests.table import PERSONAS, SCENARIO, Words, protocol


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unfinished:
    """A run that was begun, and of which nothing has come."""
    monkeypatch.chdir(tmp_path)
    unfinished = Unfinished(Path("runs"), "20260101-ferry-1")
    unfinished.folder.mkdir(parents=True)
    (unfinished.folder / "request.json").write_text("{}")
    return unfinished


def listed() -> dict[str, str | None]:
    result = CliRunner().invoke(app, ["runs", "--json"])
    assert result.exit_code == 0, result.output
    [row] = json.loads(result.stdout)["runs"]
    return {name: row[name] for name in ("status", "failed") if name in row}


def fail(unfinished: Unfinished) -> None:
    with unfinished.held():
        assert listed() == {"status": "running"}
        raise NoQuorumError("open: 1 of 3 answered")


def interrupt(unfinished: Unfinished) -> None:
    with unfinished.held():
        raise KeyboardInterrupt


def test_a_run_that_failed_is_told_from_one_that_was_cut_off(left: Unfinished) -> None:
    with pytest.raises(NoQuorumError):
        fail(left)
    assert listed() == {"status": "failed: multiplex resume", "failed": "open: 1 of 3 answered"}
    shown = CliRunner().invoke(app, ["runs"]).stdout
    assert "failed: multiplex resume" in shown
    with pytest.raises(KeyboardInterrupt):
        interrupt(left)
    assert listed() == {"status": "cut off: multiplex resume"}


def test_a_run_that_is_nested_beyond_reading_is_damaged_and_hides_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "run.json").write_text("[" * 200_000)
    done = CliRunner().invoke(app, ["runs", "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert "deep" in done.stdout
    with pytest.raises(RunError, match="deep: is damaged"):
        load_run(folder)


def test_a_run_that_was_cut_off_is_told_with_what_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def cut(_: object) -> None:
        raise KeyboardInterrupt

    async def begin() -> None:
        async with Session(embedder=Words()) as session:
            await session.deliberate(
                SCENARIO,
                personas=PERSONAS,
                protocol=protocol("open", "synthesise"),
                seed=5,
                out="runs",
                on_event=cut,
            )

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(begin())
    [row] = json.loads(CliRunner().invoke(app, ["runs", "--json"]).stdout)["runs"]
    assert row["status"] == "cut off: multiplex resume"
    began = [row[key] for key in ("scenario", "protocol", "model", "seed")]
    assert began == [SCENARIO.name, protocol("open").name, "extractive", 5]
    [line] = [each for each in CliRunner().invoke(app, ["runs"]).stdout.splitlines() if row["run"] in each]
    assert "extractive" in line
