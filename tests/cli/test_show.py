"""`multiplex list`, `show`, `validate`, `init`, `runs`, `report` and `doctor`."""

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from multiplex.cli.app import app
from multiplex.cli.show import print_run
from multiplex.content.files import KINDS
from multiplex.deliberation.run import conduct
from multiplex.responders.scripted import ScriptedResponder
from tests.endpoint import endpoint
from tests.table import PERSONAS, SCENARIO, Words, answer, panel_of, protocol

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def multiplex(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def ran(*words: str) -> str:
    result = multiplex(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*words: str) -> str:
    result = multiplex(*words)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr.strip()


@pytest.mark.parametrize("kind", ["scenarios", "personas", "packs", "protocols", "agents"])
def test_everything_that_is_listed_can_be_shown(kind: str) -> None:
    rows = json.loads(ran("list", kind, "--json"))[kind]
    assert rows
    assert rows[0]["name"] in ran("list", kind)
    for row in rows:
        shown = json.loads(ran("show", kind, row["name"], "--json"))
        assert shown["name"] == row["name"]
    assert ran("show", kind, rows[0]["name"])


def test_an_unknown_kind_names_the_near_miss() -> None:
    assert (
        refused("list", "scenerios")
        == "error: no kind of content named 'scenerios'; did you mean 'scenarios'?"
    )
    assert "did you mean 'multiplex'?" in refused("show", "protocol", "multiplx")


@pytest.mark.parametrize("kind", ["scenario", "persona", "pack", "protocol"])
def test_every_kind_of_file_has_a_json_schema(kind: str) -> None:
    schema = json.loads(ran("show", "schema", kind))
    assert schema["additionalProperties"] is False
    assert "name" in schema["required"]


def test_the_shipped_content_is_valid_and_what_was_checked_is_said() -> None:
    said = ran("validate", *KINDS)
    for part in ("2 packs", "13 personas", "commitments", "4 protocols", "roles", "all valid"):
        assert part in said


def test_validate_tells_every_problem_and_fails() -> None:
    Path("oak.yaml").write_text("name: oak\nquestion: [\n")
    Path("elm.yaml").write_text("name: elm\nquestion: Fell it?\nprotocol: nope\n")
    result = multiplex("validate", "oak.yaml", "elm.yaml")
    assert result.exit_code == 1
    assert "oak.yaml: line 3, column 1: broken YAML" in result.stderr
    assert "no protocol named 'nope'" in result.stderr
    found = json.loads(multiplex("validate", "oak.yaml", "elm.yaml", "--json").stdout)
    assert len(found["problems"]) == 2


def test_validate_names_the_scenario_whose_panel_does_not_fit() -> None:
    head = "name: {}\nquestion: Fell it?\n"
    Path("oak.yaml").write_text(head.format("oak") + "personas: [nobody_here]\n")
    Path("elm.yaml").write_text(head.format("elm") + "personas: [hindu]\n")
    first, second = json.loads(multiplex("validate", "oak.yaml", "elm.yaml", "--json").stdout)["problems"]
    assert first.startswith("oak.yaml: no persona or pack named 'nobody_here'")
    assert second.startswith("elm.yaml: the protocol 'multiplex' needs a panel of ")


def test_a_pack_is_no_persona() -> None:
    said = "error: 'civilizations' is a pack; use 'show pack civilizations'"
    assert refused("show", "persona", "civilizations") == said


def test_a_seed_that_is_too_large_is_refused_before_anything_runs() -> None:
    assert multiplex("run", "eldercare", "--seed", str(2**63)).exit_code == 2


def test_a_damaged_run_is_listed_as_damaged() -> None:
    name = json.loads(ran("run", "eldercare", "--protocol", "uniplex", "--json"))["run"]
    Path(f"runs/{name}/scores.json").write_text("{}")
    assert "damaged" in ran("runs")
    [row] = json.loads(ran("runs", "--json"))["runs"]
    assert row["run"] == name
    assert "scores.json: perspective_entropy.overton.value is missing" in row["damaged"]


def test_what_is_wrong_and_a_report_reach_no_terminal_as_a_command() -> None:
    Path("oak.yaml").write_text('name: oak\nquestion: Fell it?\n"\\e[31m": 1\n')
    assert "\x1b" not in multiplex("validate", "oak.yaml").stderr
    assert "\x1b" not in refused("run", "./oak.yaml")
    Path("oak.yaml").write_text('name: oak\nquestion: "Fell \\e[31mit?"\n')
    name = json.loads(ran("run", "./oak.yaml", "--protocol", "uniplex", "--json"))["run"]
    assert "\x1b" not in ran("report", name)


def test_validate_passes_over_the_runs_of_a_folder() -> None:
    ran("init", "mine")
    ran("run", "mine/scenarios/street_trees.yaml", "--protocol", "uniplex", "--out", "mine/runs", "--quiet")
    ran("validate", "mine")
    [run] = Path("mine/runs").iterdir()
    assert f"{run}: holds no content" in multiplex("validate", str(run)).stderr


def test_validate_refuses_a_path_that_is_not_there_and_a_folder_without_content() -> None:
    Path("empty").mkdir()
    result = multiplex("validate", "empty", "nowhere.yaml")
    assert result.exit_code == 1
    assert "empty: holds no content" in result.stderr
    assert "nowhere.yaml: no such file" in result.stderr  # one fault hides no other


def test_what_init_writes_is_valid_and_runs() -> None:
    written = ran("init", "mine").split()
    assert all(Path(path).is_file() for path in written)
    assert "all valid" in ran("validate", "mine")
    run = json.loads(ran("run", "mine/scenarios/street_trees.yaml", "--json"))
    assert run["personas"] == ["gardener", "trader"]


def test_init_leaves_a_folder_alone_that_holds_something() -> None:
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("Dear all,")
    assert "mine: holds something already" in refused("init", "mine")
    assert [p.name for p in Path("mine").iterdir()] == ["letter.txt"]


def test_past_runs_are_listed_and_reported_by_name_and_by_path() -> None:
    assert "no runs in runs" in ran("runs")
    name = json.loads(ran("run", "eldercare", "--protocol", "uniplex", "--json"))["run"]
    assert [row["run"] for row in json.loads(ran("runs", "--json"))["runs"]] == [name]
    assert name in ran("runs")
    text = ran("report", name)
    assert text == ran("report", f"runs/{name}")
    assert text.startswith("# Who cares for ageing parents?")
    assert "the protocol 'uniplex' seats no panel" in text
    ran("report", name, "--out", "report.md")
    assert Path("report.md").read_text(encoding="utf-8") == text


def test_bars_stand_in_one_column_beside_labels_in_wide_letters(capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("村の長老", "गाँव की मुखिया", "A label that is longer than twenty")
    personas = [p.model_copy(update={"label": label}) for p, label in zip(PERSONAS, labels, strict=True)]
    names = [*(persona.name for persona in personas), "moderator", "observer"]
    responders = dict.fromkeys(names, ScriptedResponder(answer))
    stages = protocol("open", "synthesise", "ratify")
    print_run(
        asyncio.run(conduct(SCENARIO, panel_of(*personas), stages, responders, seed=1, embedder=Words()))
    )
    bars = [line for line in capsys.readouterr().out.splitlines() if "■" in line]
    assert [line.split("■")[0].strip() for line in bars] == list(labels)
    assert [cell_len(line.split("■")[0]) for line in bars] == [23, 23, 37]


def test_a_run_that_is_not_there_is_told_with_the_near_miss() -> None:
    name = json.loads(ran("run", "eldercare", "--protocol", "uniplex", "--json"))["run"]
    assert f"did you mean {name!r}?" in refused("report", name[:-1])


def test_doctor_finds_nothing_wrong_here_and_tells_of_an_endpoint() -> None:
    assert "BAD" not in ran("doctor")
    with endpoint() as server:
        said = ran("doctor", "--model", "openai:test", "--base-url", server.base_url)
    assert "in the JSON schema it was given" in said
    result = multiplex("doctor", "--model", "openai:test", "--base-url", "http://127.0.0.1:9/v1")
    assert result.exit_code == 1
    assert "BAD  model: openai:test at http://127.0.0.1:9/v1: cannot be reached" in result.stdout


def test_nothing_in_a_file_is_read_as_markup_or_reaches_the_terminal_as_a_command() -> None:
    said = {
        "name": "oak",
        "question": "Fell [bold red]it[/] or [/nothing]?\x1b[31m",
        "title": "[link=x]y[/link] [/]",
    }
    Path("oak.yaml").write_text(yaml.safe_dump(said))
    result = multiplex("run", "./oak.yaml", "--personas", "confucian", "--personas", "western")
    assert result.exit_code == 0
    assert "[bold red]it[/]" in result.stdout
    assert "\x1b[31m" not in result.stdout
    assert "\x1b" not in ran("show", "scenario", "./oak.yaml")
