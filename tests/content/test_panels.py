"""Seating a panel."""

from pathlib import Path

import pytest

from multiplex.content.files import shipped
from multiplex.content.panels import pack_names, seat
from multiplex.content.personas import Persona, load_pack
from multiplex.errors import ContentError

HINDU = Path(str(shipped("personas") / "civilizations" / "hindu.yaml"))


def complaint(personas: str | Path | list[str | Path | Persona]) -> str:
    with pytest.raises(ContentError) as caught:
        seat(personas)
    return str(caught.value)


@pytest.mark.parametrize("name", pack_names())
def test_a_pack_seats_all_its_personas(name: str) -> None:
    panel = seat(name)
    assert panel.personas == load_pack(name).personas
    assert panel.pack.name == name
    assert f"{name}/pack.yaml" in panel.hashes


def test_personas_sit_in_the_order_in_which_they_are_named() -> None:
    panel = seat(["western", "hindu"])
    assert [p.name for p in panel.personas] == ["western", "hindu"]
    assert [p.name for p in seat(["hindu", "western"]).personas] == ["hindu", "western"]
    assert panel.persona("hindu").name == "hindu"
    assert set(panel.hashes) == {"civilizations/western.yaml", "civilizations/hindu.yaml"}


def test_a_list_is_scored_against_the_shipped_pack_that_holds_its_perspectives() -> None:
    assert seat(["western", "hindu"]).pack.name == "civilizations"


def test_a_list_from_elsewhere_is_scored_against_its_own_perspectives() -> None:
    miller = seat("hindu").personas[0].model_copy(update={"name": "miller", "perspective": "rural"})
    panel = seat(["western", miller])
    assert (panel.pack.name, panel.pack.perspectives) == ("panel", ("western", "rural"))


def test_one_name_one_file_and_one_folder_can_each_be_seated_alone() -> None:
    assert [p.name for p in seat("hindu").personas] == ["hindu"]
    assert [p.name for p in seat(HINDU).personas] == ["hindu"]
    assert [p.name for p in seat([str(HINDU)]).personas] == ["hindu"]
    assert seat(HINDU.parent).personas == seat("civilizations").personas


def test_a_persona_that_is_not_seated_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        seat("hindu").persona("western")


def test_an_unknown_persona_is_told_with_the_near_miss() -> None:
    assert complaint(["western", "hindoo"]) == "no persona or pack named 'hindoo'; did you mean 'hindu'?"


def test_an_unknown_pack_is_told_with_the_near_miss() -> None:
    assert (
        complaint("civilisation") == "no persona or pack named 'civilisation'; did you mean 'civilizations'?"
    )


@pytest.mark.parametrize("twice", [["hindu", "western", "hindu"], ["hindu", HINDU]])
def test_a_persona_cannot_be_seated_twice(twice: list[str | Path | Persona]) -> None:
    assert complaint(twice) == "personas: 'hindu' is seated twice; name each persona once"


def test_an_empty_panel_is_refused() -> None:
    assert complaint([]) == "personas: the panel is empty; name a pack or at least one persona"


def test_a_pack_cannot_be_one_of_several() -> None:
    wanted = "personas: 'civilizations' is a pack; name one pack, or a list of personas"
    assert complaint(["civilizations", "hindu"]) == wanted


def test_a_missing_file_is_told_with_the_near_miss() -> None:
    path = HINDU.with_name("hindi.yaml")
    assert complaint([path]) == f"{path}: no such file; did you mean 'hindu.yaml'?"


def test_an_empty_name_is_no_persona() -> None:
    assert complaint("").startswith("no persona or pack named ''; known: ")


def test_a_folder_among_personas_is_refused(tmp_path: Path) -> None:
    assert complaint(["hindu", tmp_path]) == f"{tmp_path}: is a folder; name a file in it"
