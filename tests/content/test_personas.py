"""Personas and packs: shipped ones, and a user's own with mistakes in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from multiplex.content.panels import pack_names
from multiplex.content.personas import load_pack, load_persona
from multiplex.errors import ContentError

_NO_TERM = "lexicon.rural[1]: '.' is no term; a term holds a letter or a digit"
PHRASES = {
    "open": ["First."],
    "add": ["Then."],
    "close": ["So."],
    "concede": ["{speaker} is right:"],
    "object": ["I ask {speaker}:"],
}


def commitment(key: str = "listen_first") -> dict[str, Any]:
    return {
        "key": key,
        "title": "Listen first",
        "statement": "I hear people out before I weigh what they say.",
        "attends_to": [
            "PAUSES before an answer",
            "PEOPLE who have not spoken",
            "WORDS that come with effort",
        ],
        "schwartz": ["Helpful"],
        "topics": ["community"],
        "source": {"work": "Minutes of the village meeting", "locus": "first evening"},
    }


def persona(name: str = "miller") -> dict[str, Any]:
    about = ("summary", "ontology", "epistemology", "ethics", "voice", "diversity", "limits")
    return {
        "name": name,
        "label": "Miller",
        "perspective": "rural",
        "region": "the valley",
        **{key: f"Words about {key}." for key in about},
        "commitments": [commitment("one"), commitment("two"), commitment("three")],
    }


def with_first(**changes: Any) -> dict[str, Any]:
    """Return a change that gives the first commitment other values."""
    return {"commitments": [{**commitment(), **changes}, commitment("b"), commitment("c")]}


def pack_head() -> dict[str, Any]:
    return {
        "name": "valley",
        "title": "The valley",
        "summary": "Those who live there.",
        "perspectives": ["rural"],
    }


def write(path: Path, data: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def complaint(load: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(ContentError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.fixture
def valley(tmp_path: Path) -> Path:
    folder = tmp_path / "valley"
    folder.mkdir()
    write(folder / "pack.yaml", pack_head())
    write(folder / "miller.yaml", persona())
    return folder


@pytest.mark.parametrize("name", pack_names())
def test_every_shipped_pack_loads(name: str) -> None:
    pack = load_pack(name)
    assert pack.name == name
    assert pack.personas
    assert [pack.persona(p.name) for p in pack.personas] == list(pack.personas)
    assert {p.perspective for p in pack.personas} <= set(pack.perspectives)
    places = [pack.perspectives.index(p.perspective) for p in pack.personas]
    assert places == sorted(places)
    assert set(pack.hashes) == {"pack.yaml", *(f"{p.name}.yaml" for p in pack.personas)}


def test_a_persona_is_read_from_a_file_of_its_own(tmp_path: Path) -> None:
    miller = load_persona(write(tmp_path / "miller.yaml", persona()))
    assert (miller.name, miller.label) == ("miller", "Miller")
    assert miller.commitment("two").key == "two"
    assert str(miller.commitment("two").source) == "Minutes of the village meeting, first evening"
    assert "{speaker}" in miller.phrases.concede[0]


def test_a_commitment_that_is_not_held_is_a_key_error(tmp_path: Path) -> None:
    miller = load_persona(write(tmp_path / "miller.yaml", persona()))
    with pytest.raises(KeyError):
        miller.commitment("four")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "baker"}, "name: is 'baker', but the file is named 'miller'"),
        (
            {"name": "moderator"},
            "name: 'moderator' is the name of an agent of every deliberation; choose another name",
        ),
        (
            {"name": "observer"},
            "name: 'observer' is the name of an agent of every deliberation; choose another name",
        ),
        ({"lable": "Miller"}, "lable: unknown key; did you mean 'label'?"),
        ({"label": "  "}, "label: is empty"),
        ({"commitments": []}, "commitments: needs at least 3 of them, and has 0"),
        (
            {"commitments": [commitment("one"), commitment("two"), commitment("one")]},
            "commitments[2].key: 'one' stands twice",
        ),
        (
            with_first(source={"work": "Minutes"}),
            "commitments[0].source.locus: is missing",
        ),
        (
            with_first(source="Minutes"),
            "commitments[0].source: needs to be a mapping (key: value)",
        ),
        (
            with_first(schwartz=["Helpfull"]),
            "commitments[0].schwartz[0]: 'Helpfull' is not one of Schwartz's 56 values; "
            "did you mean 'Helpful'?",
        ),
        (
            with_first(topics=["comunity"]),
            "commitments[0].topics[0]: 'comunity' is not known; did you mean 'community'?",
        ),
        (
            {"phrases": {**PHRASES, "object": ["No, I say"]}},
            "phrases.object[0]: 'No, I say' needs to hold {speaker} once, and no other braces",
        ),
        (
            {"phrases": {**PHRASES, "open": ["{speaker.__class__}"]}},
            "phrases.open[0]: '{speaker.__class__}' may hold no braces",
        ),
    ],
)
def test_what_is_wrong_with_a_persona_is_told_by_its_key(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    assert complaint(load_persona, write(tmp_path / "miller.yaml", {**persona(), **change})) == said


@pytest.mark.parametrize(
    "policy",
    ["moments when help is needed", "MOMENTS", "M when", "IE 順番を待つ家々", "12 when", "семьи, где ждут"],
)
def test_a_policy_begins_with_a_capitalised_noun_and_goes_on(tmp_path: Path, policy: str) -> None:
    data = {**persona(), **with_first(attends_to=[policy, "PEOPLE who wait", "WORDS that help"])}
    assert complaint(load_persona, write(tmp_path / "miller.yaml", data)) == (
        f"commitments[0].attends_to[0]: {policy!r} needs to begin with a capitalised plural noun, "
        "as in 'MOMENTS when ...', or with a word of a script without capitals"
    )


def test_a_policy_in_a_script_without_capitals_begins_with_any_word(tmp_path: Path) -> None:
    policies = [
        "順番 を待つ家々",
        "順番待ちの家々",
        "مشاركات كل بيت",
        "जल के बिना घर",
        "ოჯახები სადაც",
        "СЕМЬИ, где ждут",
    ]
    data = {**persona(), **with_first(attends_to=policies)}
    loaded = load_persona(write(tmp_path / "miller.yaml", data))
    assert loaded.commitments[0].attends_to == tuple(policies)


def test_a_missing_persona_file_is_told_with_the_near_miss(valley: Path) -> None:
    assert complaint(load_persona, valley / "milller.yaml") == "no such file; did you mean 'miller.yaml'?"


def test_a_pack_is_read_from_a_folder(valley: Path) -> None:
    pack = load_pack(valley)
    assert (pack.name, [p.name for p in pack.personas]) == ("valley", ["miller"])


def test_the_hash_of_a_pack_changes_with_its_files(valley: Path) -> None:
    before = load_pack(valley).sha256
    assert load_pack(valley).sha256 == before
    write(valley / "miller.yaml", {**persona(), "region": "the hills"})
    assert load_pack(valley).sha256 != before


def test_drafts_in_a_pack_are_left_out(valley: Path) -> None:
    (valley / "_draft.yaml").write_text("not: finished", encoding="utf-8")
    assert [p.name for p in load_pack(valley).personas] == ["miller"]


def test_an_unknown_pack_is_told_with_the_near_miss() -> None:
    with pytest.raises(
        ContentError, match=r"^no pack named 'civilisations'; did you mean 'civilizations'\?$"
    ):
        load_pack("civilisations")


def test_an_unknown_persona_of_a_pack_is_told_with_the_near_miss(valley: Path) -> None:
    with pytest.raises(ContentError) as caught:
        load_pack(valley).persona("milner")
    assert str(caught.value) == "no persona named 'milner' in the pack 'valley'; did you mean 'miller'?"


def test_a_folder_that_is_missing_is_no_pack(tmp_path: Path) -> None:
    wanted = "no such folder; a pack is a folder with a pack.yaml"
    assert complaint(load_pack, tmp_path / "nowhere") == wanted


def test_a_folder_without_a_pack_file_is_no_pack(tmp_path: Path) -> None:
    assert complaint(load_pack, tmp_path) == "holds no pack.yaml; a pack is a folder with one"


def test_a_pack_without_personas_is_refused(valley: Path) -> None:
    (valley / "miller.yaml").unlink()
    assert complaint(load_pack, valley) == "holds no persona"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"perspectives": ["rural", "rural"]}, "perspectives: one stands twice"),
        ({"perspectives": []}, "perspectives: needs at least 1 of them, and has 0"),
        ({"lexicon": {"rual": ["mill"]}}, "lexicon.rual: is no perspective; did you mean 'rural'?"),
        ({"lexicon": {"rural": ["mill", "."]}}, _NO_TERM),
        ({"titel": "The valley"}, "titel: unknown key; did you mean 'title'?"),
    ],
)
def test_what_is_wrong_with_a_pack_file_is_told_by_its_key(
    valley: Path, change: dict[str, Any], said: str
) -> None:
    write(valley / "pack.yaml", {**pack_head(), **change})
    with pytest.raises(ContentError) as caught:
        load_pack(valley)
    assert str(caught.value) == f"{valley}/pack.yaml: {said}"


def test_a_perspective_that_the_pack_does_not_list_is_told(valley: Path) -> None:
    write(valley / "miller.yaml", {**persona(), "perspective": "rurall"})
    with pytest.raises(ContentError) as caught:
        load_pack(valley)
    assert str(caught.value) == (
        f"{valley}/miller.yaml: perspective: 'rurall' is not in the pack's list; did you mean 'rural'?"
    )
