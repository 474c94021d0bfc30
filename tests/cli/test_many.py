"""`multiplex run` with many scenarios: at the same time, on several models, and where some of them fail."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from multiplex.api import Session
from multiplex.cli.app import app
from multiplex.cli.run import endpoints
from multiplex.errors import ContentError
from multiplex.models.engine.options import known_options, known_quantizations
from multiplex.runs import list_runs, load_run
from tests.endpoint import Endpoint, endpoint
from tests.files import write_scenario, write_table
from tests.table import MILLER, NURSE, SAILOR, Words

NAMES = ("ferry", "bells", "well", "oak")
FILES = tuple(f"{name}.yaml" for name in NAMES)


@pytest.fixture(autouse=True)
def _at_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(here)
    write_table(here, "open", "synthesise")
    for name in NAMES:
        write_scenario(here, name)


def multiplex(*words: str) -> Result:
    return CliRunner().invoke(app, ["run", *words], catch_exceptions=False)


def on(server: Endpoint, *words: str, model: str = "openai:test") -> list[str]:
    return [*words, "--model", model, "--base-url", server.base_url, "--no-scores", "--retries", "0"]


def runs() -> dict[str, Any]:
    return {run.scenario: run for run in map(load_run, list_runs(Path("runs")))}


def one_fails(server: Endpoint) -> list[str]:
    """Return the words for scenarios of which the last has its personas on an endpoint that is gone."""
    gone = dict.fromkeys(("miller", "sailor", "nurse"), "openai:gone")
    write_scenario(Path(), "oak", models=gone)
    return [*on(server, *FILES), "--base-url", "gone=http://127.0.0.1:9/v1"]


# --- at the same time ------------------------------------------------------------------------


def test_scenarios_run_at_the_same_time_within_one_bound() -> None:
    with endpoint(latency=0.03) as server:
        result = multiplex(*on(server, *FILES), "--concurrency", "6", "--quiet")
        assert result.exit_code == 0, result.stderr
        assert server.most_at_once == 6
        assert server.count == 4 * 4
    assert set(runs()) == set(NAMES)


def test_many_at_once_come_to_what_one_after_another_comes_to() -> None:
    with endpoint(latency=0.01) as server:
        multiplex(*on(server, *FILES), "--concurrency", "8", "--no-cache", "--quiet", "--seed", "5")
        for file in FILES:
            multiplex(*on(server, file), "--no-cache", "--quiet", "--seed", "5", "--out", "alone")
        assert server.count == 2 * 4 * 4
    together = runs()
    alone = {run.scenario: run for run in map(load_run, list_runs(Path("alone")))}
    assert {name: run.answers for name, run in together.items()} == {n: r.answers for n, r in alone.items()}


def test_scenarios_that_name_served_models_run_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.api.SentenceEmbedder", Words)  # the usual one takes seconds to load
    for name in NAMES:
        write_scenario(Path(), name, models=dict.fromkeys(("miller", "sailor", "nurse"), "openai:test"))
    with endpoint(latency=0.1) as server:
        assert multiplex(*on(server, *FILES, model="extractive"), "--quiet").exit_code == 0
        assert server.most_at_once > 3


# --- where one fails -------------------------------------------------------------------------


def test_one_that_fails_neither_stops_nor_hides_the_others() -> None:
    with endpoint() as server:
        result = multiplex(*one_fails(server))
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert set(runs()) == {"ferry", "bells", "well"}
    [told] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert told.startswith("error: oak: open: only 0 of 3 personas answered")
    assert "4/4" in result.stderr
    assert "failed: oak" in result.stderr
    table = result.stdout.splitlines()
    for name, run in runs().items():
        [row] = [line for line in table if line.startswith(f"{name} ")]
        assert run.run in row
    [row] = [line for line in table if line.startswith("oak ")]
    assert "only 0 of 3 personas answered" in row
    assert "cannot be reached" in row
    assert table[-1].startswith("3 done, 1 failed. ")
    assert not list(Path("runs").glob(".*"))


def test_json_holds_the_runs_and_the_failures() -> None:
    with endpoint() as server:
        result = multiplex(*one_fails(server), "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert list(found) == ["runs", "failures"]
    assert [run["scenario"] for run in found["runs"]] == ["ferry", "bells", "well"]
    assert [Path(run["path"]).is_dir() for run in found["runs"]] == [True] * 3
    [failed] = found["failures"]
    assert failed["scenario"] == "oak"
    assert failed["error"].startswith("open: only 0 of 3 personas answered")


def test_quiet_prints_a_path_a_line_and_what_failed_on_stderr() -> None:
    with endpoint() as server:
        result = multiplex(*one_fails(server), "--quiet")
    assert result.exit_code == 1
    assert {Path(line) for line in result.stdout.splitlines()} == set(list_runs(Path("runs")))
    assert len(result.stdout.splitlines()) == 3
    [line] = result.stderr.splitlines()
    assert line.startswith("error: oak: open: ")


def test_when_all_fail_json_is_still_one_object() -> None:
    words = ("--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1", "--retries", "0", "--no-scores")
    result = multiplex(*FILES[:2], *words, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["runs"] == []
    assert [failed["scenario"] for failed in found["failures"]] == ["ferry", "bells"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quetsion": "again"}, "quetsion: unknown key; did you mean 'question'?"),
        ({"personas": ["confucian", "nobody"]}, "no persona or pack named 'nobody'; known: "),
        ({"protocol": "debatt"}, "no protocol named 'debatt'; "),
        (
            {"models": {"millr": "openai:x"}},
            "the scenario 'oak': models: nobody named 'millr' takes part; did you mean 'miller'?",
        ),
    ],
)
def test_a_mistake_in_one_file_names_it_and_the_others_run(changes: dict[str, Any], said: str) -> None:
    write_scenario(Path(), "oak", **changes)
    with endpoint() as server:
        result = multiplex(*on(server, "./oak.yaml", "ferry.yaml", "bells.yaml"))
    assert result.exit_code == 1
    assert set(runs()) == {"ferry", "bells"}
    [told] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert told.startswith(f"error: oak.yaml: {said}")
    rows = result.stdout.splitlines()
    assert rows[1].startswith("./oak.yaml ")
    assert said in rows[1]
    assert [row.split()[0] for row in rows[-3:-1]] == ["ferry", "bells"]
    assert rows[-1].startswith("2 done, 1 failed. ")


def test_json_and_quiet_tell_of_files_that_are_wrong_too() -> None:
    Path("oak.yaml").write_text("name: oak\nquestion: [\n", encoding="utf-8")
    with endpoint() as server:
        result = multiplex(*on(server, "missing.yaml", "ferry.yaml", "oak.yaml"), "--json")
        quiet = multiplex(*on(server, "ferry.yaml", "oak.yaml"), "--quiet")
    assert (result.exit_code, quiet.exit_code) == (1, 1)
    found = json.loads(result.stdout)
    assert [run["scenario"] for run in found["runs"]] == ["ferry"]
    assert [failed["scenario"] for failed in found["failures"]] == ["missing.yaml", "oak.yaml"]
    assert found["failures"][0]["error"].startswith("missing.yaml: no such file")
    assert len(quiet.stdout.splitlines()) == 1
    assert quiet.stderr.startswith("error: oak.yaml: line 3, column 1: broken YAML")


def test_when_no_file_can_be_used_nothing_is_written() -> None:
    for name in NAMES[:2]:
        write_scenario(Path(), name, personas="./tabel")
    result = multiplex(*FILES[:2])
    assert result.exit_code == 1
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == ["ferry.yaml", "bells.yaml"]
    assert result.stdout.splitlines()[-1].startswith("0 done, 2 failed. ")
    assert not Path("runs").exists()


def test_a_dry_run_of_a_file_that_is_wrong_names_it() -> None:
    write_scenario(Path(), "oak", personas=["nobody"])
    result = multiplex("ferry.yaml", "oak.yaml", "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: oak.yaml: no persona or pack named 'nobody'; ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--protocol", "debatt"], "no protocol named 'debatt'; "),
        (["--personas", "nobody"], "no persona or pack named 'nobody'; "),
        (["--model", "llama:tiny"], "no model named 'llama:tiny'; "),
        (["--base-url", "localhost"], "base URL 'localhost': needs to be an address"),
        (
            ["--base-url", "smal=http://127.0.0.1:9/v1"],
            "--base-url 'smal=http://127.0.0.1:9/v1': nobody speaks through that model; did you mean 'small'?; "
            "oak.yaml: quetsion: unknown key",
        ),
    ],
)
def test_an_option_that_is_wrong_stops_all_at_once(words: list[str], said: str) -> None:
    write_scenario(Path(), "oak", quetsion="again")
    write_scenario(Path(), "well", models={"moderator": "openai:small"})
    result = multiplex("ferry.yaml", "well.yaml", "oak.yaml", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"error: {said}")
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_reader_who_has_gone_is_no_crash() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with endpoint() as server:
        command = [sys.executable, "-m", "multiplex", "run", *on(server, *FILES[:2]), "--quiet"]
        ended = subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    os.close(writer)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1


# --- several models --------------------------------------------------------------------------


def test_two_endpoints_get_their_own_calls_only() -> None:
    write_scenario(Path(), "ferry", models={"moderator": "openai:org/large", "sailor": "openai:small"})
    with endpoint() as one, endpoint() as other:
        words = on(other, "ferry.yaml", "bells.yaml")
        result = multiplex(*words, "--base-url", f"small={one.base_url}", "--quiet")
        assert result.exit_code == 0, result.stderr
        assert [body["model"] for body in one.requests] == ["small"]
        assert {body["model"] for body in other.requests} == {"test", "org/large"}
    run = runs()["ferry"]
    assert run.manifest["models"] == {
        "miller": "openai:test",
        "sailor": "openai:small",
        "nurse": "openai:test",
        "moderator": "openai:org/large",
        "observer": "openai:test",
    }
    assert run.answers.notice is None


def test_a_persona_that_names_its_model_is_answered_for_by_it() -> None:
    Path("own").mkdir()
    write_table(
        Path("own"), "open", personas=[MILLER.model_copy(update={"model": "openai:small"}), SAILOR, NURSE]
    )
    with endpoint() as server:
        result = multiplex(*on(server, "ferry.yaml"), "--personas", "./own/table", "--quiet")
        assert result.exit_code == 0, result.stderr
        assert sorted(body["model"] for body in server.requests) == ["small", "test", "test", "test"]
    assert runs()["ferry"].model == "openai:small + openai:test"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], {}),
        (["http://a:1/v1"], {"": "http://a:1/v1"}),
        (["http://a:1/v1?key=b"], {"": "http://a:1/v1?key=b"}),
        (["small=http://a:1/v1"], {"small": "http://a:1/v1"}),
        (["qwen3:8b=http://a:1/v1", "http://b/v1"], {"qwen3:8b": "http://a:1/v1", "": "http://b/v1"}),
        (["small=http://a:1/v1?key=b"], {"small": "http://a:1/v1?key=b"}),
        (["Qwen/Qwen3-8B=http://a:1/v1"], {"Qwen/Qwen3-8B": "http://a:1/v1"}),
        (["openai:small=http://a:1/v1"], {"small": "http://a:1/v1"}),
    ],
)
def test_endpoints_are_read_with_and_without_names(given: list[str], found: dict[str, str]) -> None:
    assert endpoints(given) == found


@pytest.mark.parametrize("given", [["http://a/v1", "http://b/v1"], ["x=http://a/v1", "x=http://b/v1"]])
def test_two_endpoints_for_the_same_models_are_refused(given: list[str]) -> None:
    with pytest.raises(ContentError, match=r"there is one already for (all models|x)"):
        endpoints(given)


# --- an engine that does not start -----------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a model for a vLLM that cannot be imported: an engine that will not start."""
    (site := tmp_path / "site" / "vllm").mkdir(parents=True)
    (site / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(site.parent))
    monkeypatch.setattr("multiplex.api.SentenceEmbedder", Words)  # the usual one takes seconds to load
    (folder := tmp_path / "model").mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    real = _forget_vllm()
    yield f"vllm:{folder}"
    _forget_vllm()
    sys.modules.update(real)


def _forget_vllm() -> dict[str, Any]:
    known_options.cache_clear()
    known_quantizations.cache_clear()
    names = [name for name in sys.modules if name.partition(".")[0] == "vllm"]
    return {name: sys.modules.pop(name) for name in names}


EVERYBODY = ("miller", "sailor", "nurse", "moderator", "observer")


def test_an_engine_that_nobody_speaks_through_is_not_started(engine: str) -> None:
    for name in NAMES:
        write_scenario(Path(), name, models=dict.fromkeys(EVERYBODY, "extractive"))
    result = multiplex(*FILES, "--model", engine, "--no-scores", "--quiet")
    assert (result.exit_code, result.stderr) == (0, "")
    assert set(runs()) == set(NAMES)


def test_an_engine_that_does_not_start_fails_those_who_need_it(engine: str) -> None:
    for name in NAMES[:2]:
        write_scenario(Path(), name, models=dict.fromkeys(EVERYBODY, "extractive"))
    result = multiplex(*FILES, "--model", engine, "--no-scores", "--quiet")
    assert result.exit_code == 1
    assert set(runs()) == set(NAMES[:2])
    told = sorted(result.stderr.splitlines())
    assert [line.split(":")[1].strip() for line in told] == ["oak", "well"]
    assert all("vLLM finds no GPU here" in line for line in told)


def test_an_engine_that_all_need_and_that_does_not_start_is_told_of_once(engine: str) -> None:
    result = multiplex(*FILES, "--model", engine, "--no-scores")
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("error: vLLM finds no GPU here")
    assert runs() == {}


# --- which is which --------------------------------------------------------------------------


LONG = "Should a village of a thousand people keep its ferry, whatever it costs, "
QUESTIONS = ("Should libraries fine readers?", f"{LONG}in winter?", f"{LONG}at night?")


def test_several_questions_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.api.SentenceEmbedder", Words)
    words = ("ferry.yaml", *QUESTIONS, "--personas", "./table", "--protocol", "./trial.yaml", "--no-scores")
    result = multiplex(*words)
    assert result.exit_code == 0, result.stderr
    names = [row.split("  ")[0] for row in result.stdout.splitlines()[1:5]]
    assert names[:2] == ["ferry", QUESTIONS[0]]
    assert all(name.startswith("Should a village of a thousand") for name in names[2:])
    assert [name.split()[-1] for name in names[2:]] == ["winter?", "night?"]
    assert all(len(name) <= 60 for name in names)
    assert all(f"done: {name} (" in result.stderr for name in names)
    found = json.loads(multiplex(*words, "--json").stdout)
    assert [run["reference"] for run in found["runs"]] == ["ferry.yaml", *QUESTIONS]
    assert [run["scenario"] for run in found["runs"]] == ["ferry", *["question"] * 3]


def test_on_a_narrow_terminal_long_questions_leave_the_runs_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.api.SentenceEmbedder", Words)
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "110")):
        monkeypatch.setenv(name, value)
    result = multiplex(*QUESTIONS, "--protocol", "uniplex", "--no-scores")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()
    start = lines[0].index("run, or what went wrong")
    column = "".join(line[start:].strip() for line in lines[1:])
    assert all(run.name in column for run in Path("runs").iterdir())


def test_questions_that_fail_are_told_apart() -> None:
    differing = [f"{LONG * 2}on {day}s, {LONG}in winter?" for day in ("Monday", "Friday")]
    gone = ("--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1", "--retries", "0")
    words = (QUESTIONS[0], *differing, *gone, "--protocol", "uniplex", "--no-scores", "--json")
    result = multiplex(*words)
    assert result.exit_code == 1
    failed = json.loads(result.stdout)["failures"]
    assert [each["reference"] for each in failed] == [QUESTIONS[0], *differing]
    assert {each["scenario"] for each in failed} == {"question"}
    said = re.findall(r"^error: (.*?): ", result.stderr, re.MULTILINE)
    assert QUESTIONS[0] in said
    assert {tuple(name.split()[-2:]) for name in said} >= {("winter?", "(2)"), ("winter?", "(3)")}


def test_files_with_one_name_in_two_folders_are_told_apart() -> None:
    for folder in ("east", "west"):
        Path(folder).mkdir()
        write_scenario(Path(folder), "oak", personas="../table", protocol="../trial.yaml")
    files = ["east/oak.yaml", "west/oak.yaml", "ferry.yaml"]
    with endpoint() as server:
        rows = multiplex(*on(server, *files)).stdout.splitlines()
        found = json.loads(multiplex(*on(server, *files), "--json").stdout)
    assert [row.split()[0] for row in rows[1:4]] == [*files[:2], "ferry"]
    assert [run["reference"] for run in found["runs"]] == files


# --- options that are wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "llama:tiny"], "no model named 'llama:tiny'"),
        (["--model", "openai:"], "the model 'openai:' has no name; write openai:NAME"),
        (
            ["--base-url", "http://a/v1", "--base-url", "http://b/v1"],
            "--base-url 'http://b/v1': there is one already for all models; write NAME=URL for one model",
        ),
        (["--engine-arg", "max_model_len"], "engine argument 'max_model_len': needs to be KEY=VALUE"),
        (["--model", "openai:x", "--base-url", "localhost"], "base URL 'localhost': needs to be an address"),
        (
            ["--model", "openai:x", "--base-url", "x="],
            "--base-url 'x=': the address of 'x' needs to begin with http",
        ),
        pytest.param(
            ["--model", "openai:x", "--base-url", "y=http://a/v1"],
            "--base-url 'y=http://a/v1': ",
        ),
    ],
)
def test_an_option_that_is_wrong_is_told_before_anything_runs(words: list[str], said: str) -> None:
    result = multiplex("ferry.yaml", *words, "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"error: {said}")
    assert not Path("runs").exists()


@pytest.mark.parametrize("concurrency", ["0", "-1", "many"])
def test_a_bound_that_is_none_is_refused(concurrency: str) -> None:
    result = multiplex("ferry.yaml", "--concurrency", concurrency)
    assert result.exit_code == 2
    assert "--concurrency" in result.stderr


# --- the cache -------------------------------------------------------------------------------


def test_a_repeated_command_asks_nothing_and_says_so() -> None:
    with endpoint() as server:
        first = multiplex(*on(server, *FILES))
        asked = server.count
        again = multiplex(*on(server, *FILES))
        assert server.count == asked == 16
        assert multiplex(*on(server, *FILES), "--no-cache", "--quiet").exit_code == 0
        assert server.count == 2 * asked
    assert "; 16 calls, " in first.stdout
    assert "from the response cache" not in first.stdout
    assert "; 16 answers from the response cache; " in again.stdout


def test_an_error_that_nobody_foresaw_is_its_scenarios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Session.deliberate

    async def sometimes(self: Session, question: Any, **options: Any) -> Any:
        if question.name == "bells":
            raise OSError("no space left")
        return await real(self, question, **options)

    monkeypatch.setattr(Session, "deliberate", sometimes)
    with endpoint() as server:
        result = multiplex(*on(server, *FILES[:2]))
    assert result.exit_code == 1
    assert "OSError: no space left" in result.stderr
    assert "1 done, 1 failed." in result.stdout
