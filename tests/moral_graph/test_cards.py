"""Cards, moves between them, and merging."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from multiplex.moral_graph.cards import ValuesCard, merge_cards
from multiplex.moral_graph.judgements import Judgement, Transition


def card(id_: str, *, authors: tuple[str, ...] = (), sources: tuple[str, ...] = ()) -> ValuesCard:
    return ValuesCard(
        id=id_,
        title=id_.title(),
        description="What it is about.",
        policies=("MOMENTS of care", "CHANGES in people", "SIGNS of trust"),
        context="caring for parents",
        authors=authors,
        sources=sources,
    )


@pytest.mark.parametrize("number", [0, 2, 8])
def test_a_card_has_three_to_seven_policies(number: int) -> None:
    with pytest.raises(ValidationError, match="policies"):
        ValuesCard(id="a", title="A", description="", policies=("MOMENTS of care",) * number, context="")


def test_a_card_is_frozen_and_refuses_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        card("a").title = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        ValuesCard.model_validate({**card("a").model_dump(), "colour": "red"})


def test_a_card_survives_json() -> None:
    assert ValuesCard.model_validate_json(card("a").model_dump_json()) == card("a")


def test_a_move_needs_two_different_cards() -> None:
    with pytest.raises(ValidationError, match="two different cards"):
        Transition(id="t", source="a", wiser="a", about="", story="", context="", proposer="moderator")
    with pytest.raises(ValidationError, match="two different cards"):
        Judgement(transition="t", source="a", wiser="a", context="", judge="j", verdict="wiser", reason="")


def test_a_transition_that_was_recorded_without_a_mapping_loads() -> None:
    recorded = {
        "id": "t",
        "source": "a",
        "wiser": "b",
        "context": "",
        "about": "",
        "story": "",
        "proposer": "m",
    }
    move = Transition.model_validate(recorded)
    assert move.mapping == ()
    mapped = {"policy": "MOMENTS of care", "how": "is_more_skilful", "rationale": "It asks first."}
    whole = Transition.model_validate({**recorded, "mapping": [mapped]})
    assert Transition.model_validate_json(whole.model_dump_json()) == whole
    with pytest.raises(ValidationError, match="how"):
        Transition.model_validate({**recorded, "mapping": [{**mapped, "how": "is_louder"}]})


def test_the_first_card_of_a_group_survives_with_everyones_authors_and_sources() -> None:
    cards = [
        card("a", authors=("sufi",), sources=("Ihya",)),
        card("b", authors=("zen",)),
        card("c", authors=("stoic", "sufi"), sources=("Enchiridion", "Ihya")),
    ]
    left, aliases = merge_cards(cards, [["c", "a"]])
    assert [each.id for each in left] == ["a", "b"]
    assert left[0].authors == ("sufi", "stoic")
    assert left[0].sources == ("Ihya", "Enchiridion")
    assert left[0].policies == cards[0].policies
    assert aliases == {"a": "a", "b": "b", "c": "a"}


def test_nothing_is_merged_without_groups() -> None:
    cards = (card("a"), card("b"))
    assert merge_cards(cards, []) == (cards, {"a": "a", "b": "b"})
    assert merge_cards([], []) == ((), {})


def test_unknown_ids_and_overlapping_groups_are_refused() -> None:
    cards = [card("care"), card("duty")]
    with pytest.raises(ValueError, match="did you mean 'care'"):
        merge_cards(cards, [["carre", "duty"]])
    with pytest.raises(ValueError, match="may not overlap"):
        merge_cards(cards, [["care", "duty"], ["duty"]])
    with pytest.raises(ValueError, match="two cards have the id 'care'"):
        merge_cards([card("care"), card("care")], [])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_every_id_has_one_survivor_and_no_author_is_lost(groups: list[int], rng: Random) -> None:
    cards = [card(str(index), authors=(f"p{index}",)) for index in range(len(groups))]
    partition = [[str(i) for i, g in enumerate(groups) if g == group] for group in set(groups)]
    for ids in partition:
        rng.shuffle(ids)
    left, aliases = merge_cards(cards, partition)
    assert set(aliases) == {each.id for each in cards}
    assert set(aliases.values()) == {each.id for each in left}
    assert all(int(survivor) == groups.index(groups[int(id_)]) for id_, survivor in aliases.items())
    assert sorted(a for each in left for a in each.authors) == sorted(f"p{i}" for i in range(len(cards)))
    assert merge_cards(left, []).cards == left
