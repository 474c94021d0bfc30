"""Protocols: shipped ones, and a user's own with mistakes in them."""

from pathlib import Path

import pytest

from multiplex.content.protocols import STAGES, Exchange, Open, load_protocol, protocol_names
from multiplex.errors import ContentError

HEAD = "name: talk\nsummary: A talk.\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "talk.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", protocol_names())
def test_every_shipped_protocol_loads(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.name == name
    assert {stage.name for stage in protocol.stages} <= set(STAGES)
    assert protocol.minimum_panel == max(stage.minimum_panel for stage in protocol.stages)


def test_a_stage_stands_by_its_name_or_with_its_parameters(tmp_path: Path) -> None:
    protocol = load_protocol(write(tmp_path, f"{HEAD}stages: [open, exchange: {{rounds: 3}}]\n"))
    assert protocol.stages == (Open(), Exchange(rounds=3))
    assert (protocol.minimum_panel, protocol.quorum) == (2, 0.25)


def test_one_model_alone_needs_no_panel(tmp_path: Path) -> None:
    path = write(tmp_path, f"{HEAD}stages: [answer: {{told: multiplex}}, observe]\n")
    assert load_protocol(path).minimum_panel == 0


SHAPE = "needs to be a stage's name, or one name with its parameters, as in 'exchange: {rounds: 2}'"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("stages: open", "stages: needs to be a list"),
        ("stages: []", "stages: needs at least 1 of them, and has 0"),
        ("stages: [opne]", "stages[0]: no stage named 'opne'; did you mean 'open'?"),
        (
            "stages: [open, debate]",
            "stages[1]: no stage named 'debate'; known: answer, articulate, compare, "
            "contrast, exchange, observe, open, poll, ratify, synthesise",
        ),
        ("stages: [5]", f"stages[0]: {SHAPE}"),
        ("stages: [[open]]", f"stages[0]: {SHAPE}"),
        ("stages: [{}]", f"stages[0]: {SHAPE}"),
        ("stages: [open, exchange: 2]", f"stages[1]: {SHAPE}"),
        ("stages: [{open: {}, exchange: {}}]", f"stages[0]: {SHAPE}"),
        (
            "stages: [open, exchange: {round: 2}]",
            "stages[1].exchange: round: unknown key; did you mean 'rounds'?",
        ),
        ("stages: [open, exchange: {rounds: two}]", "stages[1].exchange: rounds: needs to be a whole number"),
        (
            "stages: [open, exchange: {rounds: 99}]",
            "stages[1].exchange: rounds: Input should be less than or equal to 20",
        ),
        (
            "stages: [open, exchange: {still: .nan}]",
            "stages[1].exchange: still: Input should be less than or equal to 1",
        ),
        (
            "stages: [answer: {told: plane}]",
            "stages[0].answer: told: 'plane' is not known; did you mean 'plain'?",
        ),
        ("stages: [exchange]", "stages[0]: 'exchange' needs 'open' before it"),
        ("stages: [ratify, open]", "stages[0]: 'ratify' needs 'synthesise' before it"),
        ("stages: [open, open]", "stages[1]: 'open' stands twice"),
        (
            "stages: [answer, open]",
            "stages: 'answer' is one model without a panel; only 'observe' may follow it",
        ),
        ("stages: [open, observe]", "stages: 'observe' needs 'synthesise' or 'answer' before it"),
        ("stages: [open]\nquorum: 0", "quorum: Input should be greater than 0"),
        ("stages: [open]\nquorum: .nan", "quorum: Input should be less than or equal to 1"),
        ("stages: [open]\nquorom: 1", "quorom: unknown key; did you mean 'quorum'?"),
    ],
)
def test_what_is_wrong_with_a_protocol_is_told_by_its_place(tmp_path: Path, rest: str, said: str) -> None:
    path = write(tmp_path, f"{HEAD}{rest}\n")
    with pytest.raises(ContentError) as caught:
        load_protocol(path)
    assert str(caught.value) == f"{path}: {said}"


def test_a_protocol_is_named_as_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, "name: walk\nsummary: A walk.\nstages: [open]\n")
    with pytest.raises(ContentError, match=r"name: is 'walk', but the file is named 'talk'$"):
        load_protocol(path)


def test_an_unknown_protocol_is_told_with_the_near_miss() -> None:
    with pytest.raises(ContentError, match=r"^no protocol named 'mediaton'; did you mean 'mediation'\?$"):
        load_protocol("mediaton")


def test_a_missing_protocol_file_is_told(tmp_path: Path) -> None:
    write(tmp_path, HEAD)
    with pytest.raises(ContentError, match=r"tolk\.yaml: no such file; did you mean 'talk\.yaml'\?$"):
        load_protocol(str(tmp_path / "tolk.yaml"))
