"""Scenarios: shipped ones, and a user's own with mistakes in them."""

from pathlib import Path

import pytest

from multiplex.content.panels import pack_names, seat
from multiplex.content.personas import Persona
from multiplex.content.protocols import protocol_names
from multiplex.content.scenarios import Option, Scenario, load_scenario, scenario_names
from multiplex.errors import ContentError

QUESTION = "name: well\nquestion: Who may use the well?\n"


def write(folder: Path, text: str, name: str = "well.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.protocol in protocol_names()
    if isinstance(scenario.personas, str):
        assert scenario.personas in pack_names()
    for option in scenario.options:
        assert scenario.option(option.key) is option


def test_a_question_is_enough(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, QUESTION))
    assert scenario.label == scenario.setting == "Who may use the well?"
    assert (scenario.personas, scenario.protocol) == ("civilizations", "multiplex")
    assert scenario.seed is None


def test_a_title_is_the_label_and_a_choice_context_the_setting(tmp_path: Path) -> None:
    text = f"{QUESTION}title: The well\nchoice_context: sharing water\n"
    scenario = load_scenario(write(tmp_path, text))
    assert (scenario.label, scenario.setting) == ("The well", "sharing water")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: well\n", "question: is missing"),
        ("name: well\nquestion: ''\n", "question: is empty"),
        ("name: well\nquestion: '   '\n", "question: is empty"),
        ("name: well\nquestion:\n", "question: needs to be text"),
        (f"{QUESTION}contxt: dry\n", "contxt: unknown key; did you mean 'context'?"),
        (f"{QUESTION}seed: seven\n", "seed: needs to be a whole number"),
        (f"{QUESTION}seed: '7'\n", "seed: needs to be a whole number"),
        (f"{QUESTION}seed: 7.5\n", "seed: needs to be a whole number"),
        (f"{QUESTION}seed: true\n", "seed: needs to be a whole number"),
        (f"{QUESTION}seed: -1\n", "seed: Input should be greater than or equal to 0"),
        (f"{QUESTION}seed: {2**63}\n", f"seed: Input should be less than {2**63}"),
        (f"{QUESTION}domain: famly\n", "domain: 'famly' is not known; did you mean 'family'?"),
        (f"{QUESTION}personas: 5\n", "personas: needs to be text or a list"),
        (f"{QUESTION}personas: [5]\n", "personas[0]: needs to be text or a mapping (key: value)"),
        (f"{QUESTION}protocol: [debate]\n", "protocol: needs to be text"),
        (f"{QUESTION}options: yes or no\n", "options: needs to be a list"),
        (
            f"{QUESTION}options: [{{key: all, text: Everyone}}]\n",
            "options: one option is no choice; give two or more, or none",
        ),
        (
            f"{QUESTION}options: [{{key: all, text: Everyone}}, {{key: all, text: Anyone}}]\n",
            "options[1].key: 'all' stands twice; give each option a key of its own",
        ),
        (
            f"{QUESTION}options: [{{key: all of us, text: Everyone}}, {{key: some, text: A few}}]\n",
            "options[0].key: 'all of us' cannot be a name: "
            "lower-case letters, digits and underscores, at most 60",
        ),
        (
            f"{QUESTION}options: [{{key: all, txt: Everyone}}, {{key: some, text: A few}}]\n",
            "options[0].text: is missing; options[0].txt: unknown key; did you mean 'text'?",
        ),
        (f"{QUESTION}question: Again?\n", "line 3, column 1: broken YAML: the key 'question' stands twice"),
        (
            f"{QUESTION}context: &dry dry\n",
            "line 3, column 10: broken YAML: anchors and aliases are not used in content files",
        ),
        ("name: spring\nquestion: Q?\n", "name: is 'spring', but the file is named 'well'"),
        (
            "name: ../well\nquestion: Q?\n",
            "name: '../well' cannot be a name: lower-case letters, digits and underscores, at most 60",
        ),
    ],
)
def test_what_is_wrong_with_a_scenario_is_told_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ContentError) as caught:
        load_scenario(path)
    assert str(caught.value) == f"{path}: {said}"


def test_an_inline_persona_that_is_incomplete_is_told_by_its_keys(tmp_path: Path) -> None:
    path = write(tmp_path, f"{QUESTION}personas: [hindu, {{name: miller}}]\n")
    with pytest.raises(ContentError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}: personas[1].label: is missing; personas[1].perspective")


def test_an_unknown_scenario_is_told_with_the_near_miss() -> None:
    with pytest.raises(
        ContentError, match=r"^no scenario named 'end_of_live'; did you mean 'end_of_life'\?$"
    ):
        load_scenario("end_of_live")


def test_a_missing_scenario_file_is_told_with_the_near_miss(tmp_path: Path) -> None:
    write(tmp_path, QUESTION)
    with pytest.raises(ContentError, match=r"wel\.yaml: no such file; did you mean 'well\.yaml'\?$"):
        load_scenario(tmp_path / "wel.yaml")


def test_paths_in_a_scenario_lie_beside_it(tmp_path: Path) -> None:
    text = f"{QUESTION}personas: [hindu, miller.yaml, /srv/baker.yaml]\nprotocol: ./quick.yaml\n"
    scenario = load_scenario(write(tmp_path, text))
    assert scenario.personas == ("hindu", str(tmp_path / "miller.yaml"), "/srv/baker.yaml")
    assert scenario.protocol == str(tmp_path / "quick.yaml")


def test_a_path_to_a_folder_of_personas_stays_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f"{QUESTION}personas: ./valley\n")
    monkeypatch.chdir(tmp_path)
    personas = load_scenario("well.yaml").personas
    assert isinstance(personas, str)
    with pytest.raises(ContentError, match=r"valley: no such folder; a pack is a folder with a pack\.yaml$"):
        seat(personas)


def test_an_option_that_there_is_not_is_a_key_error() -> None:
    options = (Option(key="all", text="Everyone"), Option(key="some", text="A few"))
    scenario = Scenario(name="well", question="Who may use the well?", options=options)
    assert scenario.option("some").text == "A few"
    with pytest.raises(KeyError):
        scenario.option("none")


def test_an_inline_persona_may_be_seated(tmp_path: Path) -> None:
    hindu = seat("hindu").personas[0]
    scenario = Scenario(name="well", question="Who may use the well?", personas=("western", hindu))
    again = Scenario.model_validate_json(scenario.model_dump_json())
    assert again == scenario
    assert isinstance(again.personas[1], Persona)
