"""`multiplex run --dry-run`: what it prints, and that it asks and writes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from multiplex.cli.app import app
from multiplex.content.protocols import protocol_names
from tests.endpoint import endpoint
from tests.files import write_scenario, write_table

STAGES = ("open", "exchange", "poll", "articulate", "compare", "synthesise", "ratify")
RANGES = ("acts", "calls", "prompt_tokens", "distinct_prompt_tokens", "completion_tokens")


@pytest.fixture(autouse=True)
def _at_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(here)
    write_table(here, *STAGES)
    for name in ("ferry", "bells"):
        write_scenario(here, name)


def dry(*words: str) -> Result:
    before = sorted(Path().parent.rglob("*"))
    result = CliRunner().invoke(app, ["run", *words, "--dry-run"], catch_exceptions=False)
    assert sorted(Path().parent.rglob("*")) == before
    return result


def figures(*words: str) -> dict[str, Any]:
    result = dry(*words, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_nothing_is_asked_and_nothing_is_written(tmp_path: Path) -> None:
    with endpoint() as server:
        result = dry("ferry.yaml", "--model", "openai:test", "--base-url", server.base_url)
        assert (result.exit_code, result.stderr) == (0, "")
        assert server.count == 0
    assert not (tmp_path / "cache").exists()
    assert not Path("runs").exists()


def test_people_see_every_stage_the_total_and_what_is_assumed() -> None:
    said = dry("ferry.yaml", "--model", "openai:test").stdout
    for stage in (*STAGES, "ferry"):
        assert f"\n{stage} " in said
    assert "A prefix cache leaves about " in said
    assert "The acts take " in said
    assert " calls; where no reply has to be repaired, the most is " in said
    assert "\n- 4 characters a token" in said
    assert " to " in said


def test_json_is_one_object_of_ranges() -> None:
    found = figures("ferry.yaml", "--model", "openai:test")
    assert list(found) == ["estimates", "assumptions"]
    [one] = found["estimates"]
    assert set(one) == {"scenario", "reference", *RANGES, "repairs", "by_stage"}
    assert (one["scenario"], one["reference"]) == ("ferry", "ferry.yaml")
    assert list(one["by_stage"]) == list(STAGES)
    for each in (one, *one["by_stage"].values()):
        for key in set(RANGES) & set(each):
            low, high = each[key]
            assert 0 < low <= high


def test_questions_are_told_by_their_words() -> None:
    said = dry("May a teacher strike?", "Who mends the well?").stdout
    assert "May a teacher strike?" in said
    assert "Who mends the well?" in said


def test_several_scenarios_are_told_one_by_one_and_together() -> None:
    found = figures("ferry.yaml", "bells.yaml")
    assert [each["scenario"] for each in found["estimates"]] == ["ferry", "bells"]
    acts = [each["acts"] for each in found["estimates"]]
    said = dry("ferry.yaml", "bells.yaml").stdout
    low, high = (sum(ends) for ends in zip(*acts, strict=True))
    assert f"{low} to {high}" in next(line for line in said.splitlines() if line.startswith("all "))


def test_the_default_model_takes_acts_and_no_tokens() -> None:
    [one] = figures("ferry.yaml")["estimates"]
    assert one["acts"][0] > 10
    assert [one[key] for key in RANGES[1:]] == [[0, 0]] * 4
    assert "calls" not in dry("ferry.yaml").stdout.partition("Assumed")[0]
    said = dry("ferry.yaml").stdout
    assert "prefix cache leaves" not in said
    assumed = said.partition("Assumed:\n")[2]
    assert "no cards merge" in assumed
    assert not any(word in assumed for word in ("token", "repl", "repair", "characters"))


@pytest.mark.parametrize("protocol", protocol_names())
def test_every_protocol_that_ships_can_be_estimated(protocol: str) -> None:
    [one] = figures("ferry.yaml", "--protocol", protocol, "--model", "openai:test")["estimates"]
    assert 0 < one["acts"][0] <= one["acts"][1]
    assert one["calls"] == [one["acts"][0], one["acts"][1] + one["repairs"]["calls"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ferr.yaml"], "ferr.yaml: no such file; did you mean 'ferry.yaml'?"),
        (["ferry.yaml", "--model", "extractiv"], "no model named 'extractiv'; did you mean 'extractive'?"),
        (
            ["ferry.yaml", "--protocol", "multiplax"],
            "no protocol named 'multiplax'; did you mean 'multiplex'?",
        ),
    ],
)
def test_what_is_wrong_is_told_as_a_run_would_tell_it(words: list[str], said: str) -> None:
    result = dry(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"error: {said}")


def test_a_scenarios_own_models_are_reckoned_with() -> None:
    write_scenario(Path(), "mixed", models={"moderator": "openai:x"}, protocol="./trial.yaml")
    [one] = figures("mixed.yaml")["estimates"]
    assert one["by_stage"]["synthesise"]["prompt_tokens"][0] > 0
    assert one["by_stage"]["open"]["prompt_tokens"] == [0, 0]
    assert "poll" not in one["by_stage"]
