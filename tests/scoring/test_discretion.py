"""The moderator under audit."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from multiplex.scoring.discretion import (
    Case,
    cases_from_options,
    cases_from_rankings,
    discrepancy,
    discretion,
)

CASES = [
    Case("x", "y", {"sufi": "x", "zen": "x", "stoic": None}),
    Case("x", "y", {"sufi": "y", "zen": "y", "stoic": "y"}),
    Case("x", "y", {"sufi": "x", "zen": "y", "stoic": None}),
    Case("y", "x", {"sufi": "x", "zen": "y", "stoic": "x"}),
    Case("x", "y", {"sufi": None, "zen": None}),
    Case("x", "y", {}),
]

priorities = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 4).map(float), min_size=2)


def test_an_audit_by_hand() -> None:
    audit = discretion(CASES)
    assert audit.cases == {"consensus": 2, "conflict": 2, "indifference": 2}
    assert audit.arbitrariness.value == 0.5
    told = dict(audit.arbitrariness.detail)
    interval = told.pop("interval")
    assert told == {"contradicted": 1, "consensus": 2, "complete": 1}
    assert (interval["low"], interval["high"], interval["n"], interval["over"]) == (0, 1, 2, "cases")
    assert audit.contradicted == (1,)
    assert {persona: score.value for persona, score in audit.supremacy.items()} == {
        "sufi": 0.5,
        "zen": 0.5,
        "stoic": 0,
    }
    taken = {
        who: (score.detail["taken"], score.detail["conflicts"]) for who, score in audit.supremacy.items()
    }
    assert (taken["zen"], taken["stoic"]) == ((1, 2), (0, 1))
    assert audit.supremacy["stoic"].detail["interval"]["reason"] == "an interval needs two cases"


def test_without_cases_nothing_is_defined() -> None:
    assert discretion([]).arbitrariness.reason == "there is no case"
    audit = discretion([CASES[2], CASES[4]])
    assert audit.arbitrariness.reason == "there is no case of consensus"
    assert audit.supremacy["stoic"].reason == "takes a side in no conflict"


def test_a_case_has_two_alternatives_and_preferences_for_one_of_them() -> None:
    with pytest.raises(ValueError, match="two different alternatives"):
        Case("x", "x", {})
    with pytest.raises(ValueError, match="preference of 'sufi': needs 'x', 'y' or None, not 'z'"):
        Case("x", "y", {"sufi": "z"})


def test_a_choice_that_everyone_finds_worse_contradicts() -> None:
    rankings = {"sufi": [0, 1, 2], "zen": [1, 0, 2], "stoic": None}
    cases = cases_from_rankings(rankings, 2, names=["first", "second", "third"])
    assert [(case.chosen, case.other) for case in cases] == [("third", "first"), ("third", "second")]
    assert discretion(cases).arbitrariness.value == 1
    best = discretion(cases_from_rankings(rankings, 0))
    assert best.cases == {"consensus": 1, "conflict": 1, "indifference": 0}
    assert best.arbitrariness.value == 0
    assert (best.supremacy["sufi"].value, best.supremacy["zen"].value) == (1, 0)
    assert "stoic" not in best.supremacy


def test_preferred_options_against_the_consensus_option() -> None:
    cases = cases_from_options({"sufi": "a", "zen": "b", "stoic": None}, "a", ["a", "b", "c"])
    assert cases == [
        Case("a", "b", {"sufi": "a", "zen": "b", "stoic": None}),
        Case("a", "c", {"sufi": "a", "zen": None, "stoic": None}),
    ]
    audit = discretion(cases_from_options({"sufi": "a", "zen": "a"}, "c", ["a", "b", "c"]))
    assert audit.arbitrariness.value == 1
    assert audit.cases == {"consensus": 1, "conflict": 0, "indifference": 1}


def test_rankings_and_options_that_make_no_sense_are_refused() -> None:
    assert cases_from_rankings({"sufi": None}, 0) == []
    with pytest.raises(ValueError, match="ranking of 'zen'"):
        cases_from_rankings({"sufi": [0, 1], "zen": [0]}, 0)
    with pytest.raises(ValueError, match="ranking of 'sufi'"):
        cases_from_rankings({"sufi": [0, math.nan]}, 0)
    with pytest.raises(ValueError, match="chosen is a place from 0 to 1"):
        cases_from_rankings({"sufi": [0, 1]}, 2)
    with pytest.raises(ValueError, match="needs 2 different ones"):
        cases_from_rankings({"sufi": [0, 1]}, 0, names=["a", "a"])
    with pytest.raises(ValueError, match="chosen 'c' is none of the options a, b"):
        cases_from_options({}, "c", ["a", "b"])
    with pytest.raises(ValueError, match="preference of 'zen': 'c'"):
        cases_from_options({"zen": "c"}, "a", ["a", "b"])


rankings = st.integers(2, 4).flatmap(
    lambda n: st.dictionaries(
        st.sampled_from("pqrstu"), st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1
    )
)


@given(rankings)
def test_an_audit_keeps_its_bounds_and_ignores_order(rows: dict[str, list[int]]) -> None:
    cases = cases_from_rankings(rows, 0)
    audit = discretion(cases)
    again = discretion(cases_from_rankings(dict(reversed(rows.items())), 0)[::-1])
    assert sum(audit.cases.values()) == len(cases) == len(next(iter(rows.values()))) - 1
    assert again.arbitrariness == audit.arbitrariness
    assert again.supremacy == audit.supremacy
    for score in [audit.arbitrariness, *audit.supremacy.values()]:
        assert score.value is None or 0 <= score.value <= 1
    # The best of any one persona that is never indifferent is not worse to all.
    row = next(iter(rows.values()))
    if len(set(row)) == len(row):
        assert not discretion(cases_from_rankings(rows, row.index(min(row)))).contradicted


def test_orders_of_priority_by_hand() -> None:
    order: dict[str, float | None] = {"a": 3, "b": 2, "c": 1}
    assert discrepancy(order, order).value == 0
    assert discrepancy(order, {"a": 1, "b": 2, "c": 3}).value == 1
    assert discrepancy(order, {"a": 2, "b": 3, "c": 1}).value == pytest.approx(1 / 3)
    tied = discrepancy(order, {"a": 1, "b": 1, "c": 0, "d": 4, "e": None})
    assert tied.value == pytest.approx(1 / 6)
    detail = dict(tied.detail)
    interval = detail.pop("interval")
    assert detail == {"n": 3, "discordant": 0, "tied": 1, "left_out": ["d", "e"]}
    assert (interval["low"], interval["high"], interval["over"]) == (0, 0.5, "names")
    assert discrepancy({"a": 1, "b": 1}, {"a": 2, "b": 2}).value == 0


def test_priorities_that_cannot_be_compared() -> None:
    assert discrepancy({}, {}).reason == "0 names have a priority in both; a pair needs two"
    assert discrepancy({"a": 1, "b": 2}, {"b": 1, "c": 2}).value is None
    with pytest.raises(ValueError, match="priority of 'a'"):
        discrepancy({"a": math.nan}, {})


@given(priorities, priorities)
def test_the_distance_is_symmetric_and_counts_pairs(one: dict[str, float], other: dict[str, float]) -> None:
    score = discrepancy(one, other)
    assert discrepancy(other, one).value == score.value
    common = one.keys() & other.keys()
    if score.value is None:
        assert len(common) < 2
        return
    assert 0 <= score.value <= 1
    pairs = list(combinations(sorted(common), 2))
    cost = 0.0
    for x, y in pairs:
        a, b = one[x] - one[y], other[x] - other[y]
        cost += 1 if a * b < 0 else 0.5 if (a == 0) != (b == 0) else 0
    assert score.value == pytest.approx(cost / len(pairs))


@given(st.permutations(range(6)))
def test_without_ties_it_is_scipys_tau_turned_into_a_distance(order: list[int]) -> None:
    names = "abcdef"
    one, other = dict(zip(names, range(6), strict=True)), dict(zip(names, order, strict=True))
    tau = kendalltau(list(one.values()), list(other.values())).statistic
    assert discrepancy(one, other).value == pytest.approx((1 - tau) / 2)
