"""Which moves are worth proposing."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.candidates import Pair, candidate_pairs
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.judgements import Judgement, Opinion


def card(id_: str, holders: int = 1, context: str = "at home") -> ValuesCard:
    return ValuesCard(
        id=id_,
        title=id_,
        description="",
        policies=("MOMENTS of quiet care", "CHANGES in people", "SIGNS of trust"),
        context=context,
        authors=tuple(f"p{i}" for i in range(holders)),
    )


def at(*degrees: float) -> Any:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def judged(source: str, wiser: str, verdict: Opinion = "not_wiser", context: str = "at home") -> Judgement:
    return Judgement(source=source, wiser=wiser, context=context, judge="j", verdict=verdict)


def moves(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    return [(pair.source, pair.wiser) for pair in pairs]


ABC = [card("a"), card("b"), card("c")]


def test_the_measures_and_their_mean_are_as_stated() -> None:
    cards = [card("a", 1), card("b", 3)]
    asked = [judged("a", "b", "wiser"), judged("a", "b", "unsure"), judged("a", "b", "abstained")]
    first, back = candidate_pairs(cards, at(0, 60), asked=asked)
    # Followings are 1 and 3 + 1, of at most 4; cos 60° is a half; two have judged a to b, nobody b to a.
    assert (first.popularity, first.sparsity) == ((1 / 4 + 1) / 2, 1 / 3)
    assert math.isclose(first.closeness, 0.5, abs_tol=1e-6)
    assert math.isclose(first.score, 0.3 * 0.625 + 0.3 * 0.5 + 0.4 / 3, abs_tol=1e-6)
    assert (back.source, back.wiser, back.sparsity) == ("b", "a", 1.0)


def test_the_nearest_come_first_where_all_else_is_equal() -> None:
    pairs = candidate_pairs(ABC, at(0, 50, 20))
    assert moves(pairs) == [("a", "c"), ("a", "b"), ("b", "c"), ("b", "a"), ("c", "a"), ("c", "b")]


def test_what_was_asked_already_gives_way_in_that_direction_alone() -> None:
    pairs = candidate_pairs(ABC, at(0, 50, 20), asked=[judged("a", "c")], most=1)
    assert moves(pairs) == [("a", "b"), ("b", "c"), ("c", "a")]


def test_who_abstained_and_who_judged_elsewhere_has_not_judged() -> None:
    asked = [judged("a", "c", "abstained"), judged("a", "c", context="at work")]
    assert candidate_pairs(ABC, at(0, 50, 20), asked=asked) == candidate_pairs(ABC, at(0, 50, 20))


def test_what_many_hold_comes_first_where_only_that_counts() -> None:
    cards = [card("a"), card("b", 2), card("c", 5)]
    pairs = candidate_pairs(cards, at(0, 1, 90), weights=(1, 0, 0), most=1)
    assert moves(pairs) == [("a", "c"), ("b", "c"), ("c", "b")]


def test_no_move_leaves_its_context() -> None:
    cards = [card("a"), card("b", context="at work"), card("c"), card("d", context="alone")]
    pairs = candidate_pairs(cards, at(0, 0, 90, 0))
    assert moves(pairs) == [("a", "c"), ("c", "a")]
    assert {pair.context for pair in pairs} == {"at home"}


def test_nobody_who_holds_nothing_is_popular() -> None:
    pairs = candidate_pairs([card("a", 0), card("b", 0)], at(0, 1))
    assert {pair.popularity for pair in pairs} == {0.0}


def test_no_card_and_one_card_have_no_move() -> None:
    assert candidate_pairs([], []) == []
    assert candidate_pairs([card("a")], at(0)) == []


def test_ties_are_broken_by_the_seed_and_depend_on_no_order() -> None:
    cards = [card(f"v{i}") for i in range(12)]
    rows = np.ones((12, 3))
    first = {(p.source, p.wiser) for p in candidate_pairs(cards, rows, most=3, seed=1)}
    again = {(p.source, p.wiser) for p in candidate_pairs(cards[::-1], rows, most=3, seed=1)}
    other = {(p.source, p.wiser) for p in candidate_pairs(cards, rows, most=3, seed=2)}
    assert first == again != other


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=14),
    st.integers(1, 5),
    st.tuples(*[st.sampled_from([0.0, 0.3, 1.0])] * 3).filter(any),
    st.randoms(use_true_random=False),
)
def test_every_card_has_its_best_moves_whatever_the_order(
    holders: list[int], most: int, weights: tuple[float, float, float], random: Random
) -> None:
    cards = [card(f"v{i}", count) for i, count in enumerate(holders)]
    rows = np.random.default_rng(5).normal(size=(len(cards), 4))
    pairs = candidate_pairs(cards, rows, weights=weights, most=most, seed=3)
    whole = candidate_pairs(cards, rows, weights=weights, most=len(cards), seed=3)
    assert len(pairs) == len(cards) * min(most, len(cards) - 1)
    assert len(whole) == len(cards) * (len(cards) - 1)
    for each in cards:
        own = [pair for pair in whole if pair.source == each.id]
        assert [pair for pair in pairs if pair.source == each.id] == own[:most]
        assert all(0 <= pair.score <= 1 and pair.wiser != each.id for pair in own)
        scores = [round(pair.score, 5) for pair in own]
        assert scores == sorted(scores, reverse=True)
    order = list(range(len(cards)))
    random.shuffle(order)
    again = candidate_pairs([cards[i] for i in order], rows[order], weights=weights, most=most, seed=3)
    assert set(moves(again)) == set(moves(pairs))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": (0, 0, 0)}, "weights: need three numbers"),
        ({"weights": (1, -1, 0)}, "weights: need three numbers"),
        ({"weights": (float("nan"), 1, 0)}, "weights: need three numbers"),
        ({"most": 0}, "most: needs to be 1 or more"),
        ({"vectors": np.ones((2, 2))}, "2 rows are not one for each of 3 cards"),
        ({"vectors": np.zeros((3, 2))}, "row 0 is zero"),
        ({"cards": [card("a"), card("a"), card("b")]}, "two cards have the id 'a'"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        candidate_pairs(**{"cards": ABC, "vectors": at(0, 1, 2), **options})
