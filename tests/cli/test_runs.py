"""`multiplex runs`: what became of runs that left no result."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from multiplex.api import Session
from multiplex.cli.app import app
from multiplex.errors import NoQuorumError, RunError
from multiplex.runs import check_writable, load_run
from multiplex.unfinished import Request, Unfinished
from tests.table import PANEL, PERSONAS, SCENARIO, Words, protocol


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unfinished:
    """A run that was begun, and of which nothing has come."""
    monkeypatch.chdir(tmp_path)
    unfinished = Unfinished(Path("runs"), "20260101-ferry-1")
    request = Request.of(
        scenario=SCENARIO,
        panel=PANEL,
        protocol=protocol("open"),
        roles={},
        run=unfinished.run,
        created="2026-01-01T00:00:00+00:00",
        model="extractive",
        embedding="words",
        seed=0,
        scores=False,
        version="0",
    )
    unfinished.begin(request)
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


def test_an_error_of_a_callers_own_fails_a_run_as_well(left: Unfinished) -> None:
    with pytest.raises(ZeroDivisionError), left.held():
        raise ZeroDivisionError
    assert listed() == {"status": "failed: multiplex resume", "failed": "ZeroDivisionError"}


def test_a_run_that_another_version_began_is_not_said_to_be_one_to_resume(left: Unfinished) -> None:
    request = left.folder / "request.json"
    kept = json.loads(request.read_text())
    request.write_text(json.dumps({**kept, "format": kept["format"] - 1}))
    assert listed() == {"status": "cannot be resumed"}
    [row] = json.loads(CliRunner().invoke(app, ["runs", "--json"]).stdout)["runs"]
    assert row["damaged"].endswith("began with another version of Multiplex; start it again")


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


@pytest.mark.parametrize("command", [["report"], ["score"], ["graph", "show"]])
def test_whoever_asks_for_a_run_that_was_cut_off_is_told_to_go_on_with_it(
    left: Unfinished, command: list[str]
) -> None:
    (left.target.parent / f"{left.run}-other").mkdir()
    done = CliRunner().invoke(app, [*command, str(left.target)])
    said = f"error: {left.target}: was cut off; go on with it: multiplex resume {left.target}\n"
    assert (done.exit_code, done.stderr) == (1, said)


def test_where_nothing_can_be_written_is_told_whatever_the_name(left: Unfinished) -> None:
    with pytest.raises(
        RunError, match="runs cannot be written there: File name too long; name another folder"
    ):
        check_writable(Path("a" * 300) / "runs")
