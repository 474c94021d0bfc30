"""Models that scenarios and personas name for themselves."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from multiplex.cli.app import app
from multiplex.content.personas import load_persona
from multiplex.content.scenarios import load_scenario
from tests.files import write_scenario, write_table
from tests.table import MILLER, NURSE, SAILOR


@pytest.fixture(autouse=True)
def _among_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(*paths: str) -> list[str]:
    """Return what `multiplex validate` finds wrong, one sentence each."""
    result = CliRunner().invoke(app, ["validate", *paths], catch_exceptions=False)
    problems = [line.removeprefix("error: ") for line in result.stderr.splitlines()]
    assert result.exit_code == (1 if problems else 0)
    return problems


def table(**miller: Any) -> None:
    write_table(Path(), "open", "synthesise", personas=[MILLER.model_copy(update=miller), SAILOR, NURSE])


def test_a_persona_may_name_its_model() -> None:
    table(model="openai:org/small-7b")
    assert load_persona(Path("table/miller.yaml")).model == "openai:org/small-7b"
    assert load_persona("table/nurse.yaml").model is None
    assert checked("table") == []


def test_a_scenario_may_name_models_for_personas_the_moderator_and_the_observer() -> None:
    table()
    models = {"nurse": "vllm:./weights", "moderator": "openai:large", "observer": "extractive"}
    assert load_scenario(write_scenario(Path(), "ferry", models=models)).models == models
    assert load_scenario(write_scenario(Path(), "bells")).models == {}
    assert checked("ferry.yaml", "bells.yaml") == []


WRONG = ["gpt-4", "openai:", "openai: ", "vllm:", "openai", "Extractive", "", "llama:tiny"]


@pytest.mark.parametrize("name", WRONG)
def test_a_model_of_no_kind_is_told_where_it_stands(name: str) -> None:
    table(model=name)
    write_scenario(Path(), "ferry", models={"moderator": name}, personas=["hindu", "western"])
    said = f"{name!r} needs to be extractive, openai:NAME or vllm:NAME"
    assert checked("table/miller.yaml") == [f"table/miller.yaml: model: {said}"]
    assert checked("ferry.yaml") == [f"ferry.yaml: models.moderator: {said}"]


@pytest.mark.parametrize(
    ("models", "where"), [([], "models"), ("openai:x", "models"), ({"nurse": 7}, "models.nurse")]
)
def test_models_that_are_no_names_are_told(models: Any, where: str) -> None:
    table()
    write_scenario(Path(), "ferry", models=models)
    [problem] = checked("ferry.yaml")
    assert problem.startswith(f"ferry.yaml: {where}: needs to be ")
    assert "\n" not in problem


def test_a_misspelt_key_names_the_near_miss() -> None:
    table()
    write_scenario(Path(), "ferry", model={"moderator": "openai:x"})
    assert checked("ferry.yaml") == ["ferry.yaml: model: unknown key; did you mean 'models'?"]


def test_a_model_for_somebody_absent_is_told_when_a_scenario_is_checked() -> None:
    table()
    write_scenario(Path(), "ferry", models={"millr": "openai:x"})
    [problem] = checked("ferry.yaml")
    assert "ferry" in problem
    assert problem.endswith("models: nobody named 'millr' takes part; did you mean 'miller'?")


def test_a_persona_is_never_named_as_the_moderator() -> None:
    write_table(Path(), "open", personas=[MILLER.model_copy(update={"name": "moderator"}), SAILOR])
    [problem] = checked("table/moderator.yaml")
    assert "is the name of an agent of every deliberation" in problem
