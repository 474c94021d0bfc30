"""`multiplex resume`: runs that were killed or interrupted, and what is asked again."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from multiplex.api import Session
from multiplex.cli.app import app
from multiplex.content.panels import seat
from multiplex.content.protocols import load_protocol
from multiplex.content.scenarios import load_scenario
from multiplex.deliberation.events import ActFinished, Event
from multiplex.runs import list_runs, load_run
from multiplex.unfinished import Unfinished, unfinished_runs
from tests.endpoint import Endpoint, endpoint
from tests.files import write_scenario, write_table
from tests.processes import started
from tests.table import PERSONAS, Words

pytestmark = pytest.mark.heavy

WAVE = len(PERSONAS)


@pytest.fixture(autouse=True)
def _at_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(here)
    write_table(here, "open", {"exchange": {"rounds": 1}}, "articulate", "synthesise", "ratify")
    write_scenario(here, "ferry")
    write_scenario(here, "bells")


def multiplex(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.01)


def status() -> list[tuple[str, str]]:
    rows = json.loads(multiplex("runs", "--json").stdout)["runs"]
    return [(row["run"], row["status"]) for row in rows]


def keys(requests: list[dict[str, Any]]) -> list[str]:
    return [json.dumps([body["messages"], body["seed"], body["model"]]) for body in requests]


class Stop(BaseException):
    """What ends a process, as far as one process can tell."""


def cut_off(server: Endpoint, *, after: int, base_url: dict[str, str] | None = None, **options: Any) -> str:
    """Begin a run, end it at its nth finished act, and return its name."""
    finished = iter(range(after))

    def stop(event: Event) -> None:
        if isinstance(event, ActFinished) and next(finished, None) is None:
            raise Stop

    async def begin() -> None:
        scenario = load_scenario("ferry.yaml")
        given: dict[str, Any] = {
            "model": "openai:test",
            "base_url": base_url or {"": server.base_url},
            **options,
        }
        async with Session(**given, embedder=Words()) as session:
            await session.deliberate(
                scenario,
                personas=seat(scenario.personas),
                protocol=load_protocol(scenario.protocol),
                scores=False,
                out="runs",
                on_event=stop,
            )

    with pytest.raises(Stop):
        asyncio.run(begin())
    [left] = unfinished_runs(Path("runs"))
    return left.run


def on(server: Endpoint, *files: str) -> list[str]:
    return ["run", *files, "--model", "openai:test", "--no-scores", "--base-url", server.base_url]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_nothing_that_was_answered_is_asked_again(tmp_path: Path) -> None:
    with endpoint(latency=0.4) as server:
        with started(*on(server, "ferry.yaml"), "--quiet", said=tmp_path / "said") as process:
            wait_until(lambda: server.count > WAVE)
            [(name, while_running)] = status()
            wait_until(lambda: server.count > 2 * WAVE)
            process.kill()
            process.join(timeout=30)
        asked = server.count
        assert while_running == "running"
        assert status() == [(name, "cut off: multiplex resume")]
        shown = multiplex("runs").stdout
        assert name in shown
        assert "cut off: multiplex resume" in shown
        assert list(list_runs(Path("runs"))) == []

        result = multiplex("resume", name, "--json")
        assert result.exit_code == 0, result.stderr
        answered = set(keys(server.requests[: 2 * WAVE]))
        assert len(answered) == 2 * WAVE
        assert not answered & set(keys(server.requests[asked:]))
        resumed = json.loads(result.stdout)
        # The same, never cut off; what the resumed run was told is in the cache.
        whole = json.loads(
            multiplex(
                *("run", "ferry.yaml", "--model", "openai:test", "--base-url", server.base_url),
                *("--no-scores", "--json"),
            ).stdout
        )
    assert resumed["run"] == name
    for key in ("answers", "moral_graph", "scores", "personas", "model"):
        assert resumed[key] == whole[key]
    assert whole["usage"]["calls"] == 0
    run = load_run(Path("runs") / name)
    assert run.manifest["resumed"] == 1
    assert status() == [(whole["run"], "done"), (name, "done")]
    assert not Path("runs/.unfinished").exists()
    assert (
        multiplex("resume", name).stderr == f"error: runs/{name}: is finished; there is nothing to resume\n"
    )


def test_ctrl_c_ends_at_once_says_how_to_go_on_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    words = tmp_path / "said"
    with (
        endpoint(latency=30) as server,
        started(*on(server, "ferry.yaml", "bells.yaml"), said=words) as process,
    ):
        wait_until(lambda: server.count == 2 * WAVE)
        began = time.monotonic()
        assert process.pid
        os.kill(process.pid, signal.SIGINT)
        process.join(timeout=30)
        assert time.monotonic() - began < 10  # 2 s on a quiet machine; every call would take 30 s
    assert process.exitcode == 130
    said = words.read_text(encoding="utf-8")
    left = [entry.run for entry in unfinished_runs(Path("runs"))]
    assert len(left) == 2
    for name in left:
        assert f"go on with: multiplex resume runs/{name}\n" in said
    assert said.endswith("interrupted\n")
    assert "Traceback" not in said
    assert [path.name for path in Path("runs").iterdir()] == [".unfinished"]
    with endpoint() as server:
        for name in left:
            assert (
                multiplex("resume", f"runs/{name}", "--base-url", server.base_url, "--quiet").exit_code == 0
            )
    assert {load_run(path).scenario for path in list_runs(Path("runs"))} == {"ferry", "bells"}


@pytest.mark.parametrize("after", [0, 2, WAVE + 1, 3 * WAVE])
def test_where_the_endpoint_has_moved_resume_is_told_where(after: int) -> None:
    with endpoint() as server:
        name = cut_off(server, after=after)
        before = len(set(keys(server.requests)))
    with endpoint() as moved:
        result = multiplex("resume", name, "--base-url", moved.base_url, "--quiet")
        assert result.exit_code == 0, result.stderr
        asked = moved.count
    assert result.stdout == f"runs/{name}\n"
    run = load_run(Path("runs") / name)
    assert run.usage["failures"] == 0
    # What had been settled stays; what was under way is asked of the new endpoint.
    assert asked <= run.usage["calls"]
    assert asked >= run.usage["calls"] - before
    if after > WAVE:
        assert asked <= run.usage["calls"] - WAVE


def test_an_endpoint_that_has_moved_can_be_told_by_its_models_name() -> None:
    with endpoint() as server, endpoint() as other:
        write_scenario(Path(), "ferry", models={"moderator": "openai:large"})
        name = cut_off(server, after=4, base_url={"": server.base_url, "large": "http://127.0.0.1:9/v1"})
        result = multiplex("resume", name, "--base-url", f"large={other.base_url}", "--quiet")
        assert result.exit_code == 0, result.stderr
        assert {body["model"] for body in other.requests} == {"large"}
        assert {body["model"] for body in server.requests} == {"test"}


def test_a_runs_own_endpoint_goes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as server, endpoint() as other:
        name = cut_off(server, after=4)
        monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
        assert multiplex("resume", name, "--quiet").exit_code == 0
        assert other.count == 0


def kept(name: str) -> dict[str, Any]:
    path = Path("runs/.unfinished") / name / "request.json"
    request: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return request


def test_a_run_is_resumed_with_the_options_that_it_began_with() -> None:
    with endpoint(latency=0.02) as server:
        multiplex(*on(server, "ferry.yaml"), "--quiet")  # the cache now has it all
        name = cut_off(server, after=2, concurrency=1, cache=False)
        wait_until(lambda: server.at_once == 0)  # what was under way is answered all the same
        server.most_at_once, asked = 0, server.count
        assert multiplex("resume", name, "--quiet").exit_code == 0
        assert server.most_at_once == 1
        assert server.count > asked
    assert load_run(Path("runs") / name).usage["recalled"] == 0


def test_resume_takes_other_options_where_they_are_given() -> None:
    with endpoint(latency=0.02) as server:
        multiplex(*on(server, "ferry.yaml"), "--quiet")
        name = cut_off(server, after=2, concurrency=1, cache=False)
        asked = server.count
        assert multiplex("resume", name, "--cache", "--concurrency", "2", "--quiet").exit_code == 0
        assert server.count == asked
        name = cut_off(server, after=0, concurrency=1, cache=False)
    with endpoint(latency=0.02) as other:  # what was cut off may still be on its way to the first
        options = ("--concurrency", "2", "--base-url", other.base_url)
        assert multiplex("resume", name, *options, "--quiet").exit_code == 0
        assert other.most_at_once == 2


def test_how_long_and_how_often_is_kept_too() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1, timeout=0.2, retries=0)
    with endpoint("timeout") as silent:
        result = multiplex("resume", name, "--base-url", silent.base_url, "--quiet")
        assert "no answer within 0.2 s" in result.stderr
        result = multiplex("resume", name, "--timeout", "0.3", "--quiet")
        assert "no answer within 0.3 s" in result.stderr
        assert len(set(keys(silent.requests))) == silent.count > 0  # no call was tried again
    assert {key: kept(name)[key] for key in ("timeout", "retries")} == {"timeout": 0.3, "retries": 0}


def test_a_run_that_an_older_version_kept_without_them_is_resumed_with_the_usual_options() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1, concurrency=1, timeout=60)
        older = {
            k: v for k, v in kept(name).items() if k not in {"timeout", "retries", "concurrency", "cache"}
        }
        path = Path("runs/.unfinished") / name / "request.json"
        path.write_text(json.dumps(older), encoding="utf-8")
        assert multiplex("resume", name, "--quiet").exit_code == 0


def test_a_timeout_without_end_can_be_read_again() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1)
    left = Unfinished(Path("runs"), name)
    left.write(left.request().model_copy(update={"timeout": float("inf")}))
    assert left.request().timeout == float("inf")


def test_where_the_endpoint_is_gone_that_is_told() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1)
    result = multiplex("resume", name, "--retries", "0", "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "personas answered" in result.stderr
    assert "cannot be reached" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(list_runs(Path("runs"))) == []


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("--no-cache",), "nothing of this run is kept"),
        ((), "its answers stay in the response cache"),
    ],
)
def test_where_the_replies_do_not_fit_no_resume_is_promised(words: tuple[str, ...], kept: str) -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1)
    with endpoint("schema_breaking") as worse:
        result = multiplex("resume", name, "--base-url", worse.base_url, "--quiet", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("error: articulate: only 0 of 3 personas answered")
    assert line.endswith(
        "; the model does not manage this act under this seed: start again with another seed or another "
        f"model ({kept})"
    )
    assert not Path("runs/.unfinished").exists()


def test_where_calls_do_not_get_through_resuming_is_offered_and_helps() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1)
        with endpoint("status_500") as broken:
            result = multiplex("resume", name, "--base-url", broken.base_url, "--retries", "0", "--quiet")
        hint, error = result.stderr.splitlines()
        assert hint == f"go on with: multiplex resume runs/{name}"
        assert error.startswith("error: articulate: only 0 of 3 personas answered")
        assert "seed" not in error
        assert "response cache" not in error
        assert multiplex("resume", name, "--base-url", server.base_url, "--quiet").exit_code == 0


def test_without_the_cache_it_is_told_that_resuming_asks_for_everything_again() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1, cache=False)
        with endpoint("status_500") as broken:
            result = multiplex("resume", name, "--base-url", broken.base_url, "--retries", "0", "--quiet")
        hint, error = result.stderr.splitlines()
        assert hint == f"go on with: multiplex resume runs/{name}"
        assert error.endswith(
            "; without the response cache nothing that was answered is kept: resuming asks for it all again"
        )
        assert multiplex("resume", name, "--base-url", server.base_url, "--quiet").exit_code == 0


def test_a_run_that_is_not_there_names_the_near_miss() -> None:
    with endpoint() as server:
        name = cut_off(server, after=1)
    result = multiplex("resume", name[:-1])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: runs/{name[:-1]}: no unfinished run of that name; did you mean {name!r}?\n"
    )


def test_people_see_the_stages_and_the_answers_of_a_resumed_run() -> None:
    with endpoint() as server:
        name = cut_off(server, after=WAVE + 1)
        result = multiplex("resume", name)
    assert result.exit_code == 0, result.stderr
    assert "The spectrum of views" in result.stdout
    assert "synthesise" in result.stderr
    assert "  open" not in result.stderr


def test_a_run_of_ones_own_responder_says_that_the_command_line_cannot_resume_it() -> None:
    with endpoint() as server:
        name = cut_off(server, after=1)
    path = Path("runs/.unfinished") / name / "request.json"
    request = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**request, "model": "scripted"}), encoding="utf-8")
    result = multiplex("resume", name)
    assert result.exit_code == 1
    assert "scripted" in result.stderr
    assert "did you mean" not in result.stderr
