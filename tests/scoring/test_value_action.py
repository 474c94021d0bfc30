"""Statements against actions."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from multiplex.scoring.value_action import action_share, value_action

SAID = {"sufi": {"wealth": 4, "loyalty": 1, "freedom": 3}, "zen": {"wealth": 1, "loyalty": 2, "freedom": 4}}
DONE = {
    "sufi": {"wealth": 0.0, "loyalty": 0.25, "freedom": 1.0},
    "zen": {"wealth": 1.0, "loyalty": 0.75, "freedom": 0.0},
}


def test_alignment_is_the_f1_of_disagreement() -> None:
    # Stated disagree: sufi wealth, sufi freedom, zen freedom. Acted: sufi wealth, sufi loyalty, zen freedom.
    alignment = value_action(SAID, DONE).alignment
    assert alignment.value == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    counts = {key: alignment.detail[key] for key in ("tp", "fp", "fn", "tn", "n", "undecided")}
    assert counts == {"tp": 2, "fp": 1, "fn": 1, "tn": 2, "n": 6, "undecided": 0}
    assert alignment.detail["f1_agree"] == pytest.approx(2 / 3)
    assert alignment.detail["chance"] == pytest.approx(0.5)
    assert alignment.detail["misaligned"] == pytest.approx(1 / 3)


def test_distances_and_the_ranking_of_values_from_the_largest_down() -> None:
    result = value_action(SAID, DONE)
    assert result.by_value["wealth"].value == 0
    assert result.by_value["loyalty"].value == pytest.approx((0.75 + 1 / 12) / 2)
    assert result.by_value["freedom"].value == pytest.approx((2 / 3 + 0) / 2)
    assert result.ranking == ("loyalty", "freedom", "wealth")
    assert result.by_persona["sufi"].value == pytest.approx((0.75 + 2 / 3) / 3)
    assert result.distance.value == pytest.approx((0.75 + 2 / 3 + 1 / 12) / 6)


def test_shares_of_agreement_may_stand_for_levels() -> None:
    shares = {p: {v: 1 - (level - 1) / 3 for v, level in row.items()} for p, row in SAID.items()}
    by_share = value_action(shares, DONE, stated_as="share")
    assert by_share.alignment.as_dict() == value_action(SAID, DONE).alignment.as_dict()
    assert by_share.distance.value == pytest.approx(value_action(SAID, DONE).distance.value)


def test_agreeing_throughout_is_no_evidence_on_disagreement() -> None:
    result = value_action({"zen": {"wealth": 1, "loyalty": 2}}, {"zen": {"wealth": 1.0, "loyalty": 1.0}})
    assert result.alignment.reason == "nothing was disagreed with, in word or deed"
    assert result.alignment.detail["f1_agree"] == 1
    assert result.distance.value == pytest.approx(1 / 6)


def test_the_middle_is_on_no_side_and_keeps_its_distance() -> None:
    result = value_action({"zen": {"wealth": 2.5, "loyalty": 4}}, {"zen": {"wealth": 1.0, "loyalty": 0.5}})
    assert result.alignment.reason == "no value has a decided statement and a decided choice"
    assert result.alignment.detail["undecided"] == 2
    assert result.distance.value == 0.5


def test_cells_with_one_side_are_missing_and_counted() -> None:
    result = value_action(
        {"zen": {"wealth": 1, "loyalty": None}, "sufi": {"wealth": 2}}, {"zen": {"wealth": 0}}
    )
    detail = dict(result.distance.detail)
    intervals = [detail.pop(name) for name in ("interval", "interval_over_cells")]
    assert [each["reason"] for each in intervals] == [
        "an interval needs two personas",
        "an interval needs two cells",
    ]
    assert detail == {"n": 1, "missing": 1}
    assert result.by_persona["sufi"].reason == "no value has both a statement and a choice"
    assert result.by_value["loyalty"].value is None
    assert result.ranking == ("wealth",)
    empty = value_action({}, {})
    assert empty.alignment.value is empty.distance.value is None
    assert empty.ranking == ()


@pytest.mark.parametrize(
    ("said", "done", "message"),
    [
        ({"zen": {"wealth": 0}}, {}, r"stated\['zen'\]\['wealth'\] needs a number from 1 to 4, not 0"),
        ({"zen": {"wealth": float("nan")}}, {}, "from 1 to 4"),
        ({}, {"zen": {"wealth": 1.5}}, r"acted\['zen'\]\['wealth'\] needs a number from 0 to 1"),
    ],
)
def test_numbers_off_the_scale_are_refused(
    said: dict[str, dict[str, float]], done: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value_action(said, done)


sides = st.lists(st.tuples(st.sampled_from([1, 2, 3, 4]), st.sampled_from([0.0, 0.2, 0.9])), max_size=12)


@given(sides)
@settings(max_examples=50)
def test_f1_is_that_of_scikit_learn_and_everything_is_bounded(cells: list[tuple[int, float]]) -> None:
    said = {"p": {str(i): level for i, (level, _) in enumerate(cells)}}
    done = {"p": {str(i): share for i, (_, share) in enumerate(cells)}}
    result = value_action(said, done)
    truth, acted = [level > 2 for level, _ in cells], [share < 0.5 for _, share in cells]
    if any(truth) or any(acted):
        assert result.alignment.value == pytest.approx(f1_score(truth, acted))
        assert 0 <= result.alignment.detail["chance"] <= 1
    else:
        assert result.alignment.value is None
    assert (result.distance.value is None) == (not cells)
    assert 0 <= (result.distance.value or 0) <= 1
    turned = value_action({"p": dict(reversed(said["p"].items()))}, done)
    assert turned.ranking == result.ranking
    json.dumps(result.as_dict(), allow_nan=False)


@given(st.lists(st.sampled_from([1, 4]), min_size=1))
@settings(max_examples=25)
def test_doing_as_one_says_is_perfect(levels: list[int]) -> None:
    said = {"p": {str(i): level for i, level in enumerate(levels)}}
    done = {"p": {str(i): float(level == 1) for i, level in enumerate(levels)}}
    result = value_action(said, done)
    assert result.distance.value == 0
    assert result.alignment.value == (1 if 4 in levels else None)


def test_chance_is_the_mean_f1_of_shuffled_actions() -> None:
    from itertools import permutations

    levels, shares = [4, 4, 1, 1, 1], [0.0, 0.0, 0.0, 1.0, 1.0]
    said = {"p": {str(i): level for i, level in enumerate(levels)}}
    scores = [
        value_action(said, {"p": {str(i): share for i, share in enumerate(order)}}).alignment
        for order in permutations(shares)
    ]
    mean = sum(score.value or 0 for score in scores) / len(scores)
    assert scores[0].detail["chance"] == pytest.approx(mean)


def test_swapped_options_are_put_back() -> None:
    # For the value each time: option 2 as listed, option 1 when swapped.
    score = action_share([2, 2, 1, 1], [False, False, True, True])
    assert score.value == 1
    assert score.detail["order_effect"] == 0


def test_a_habit_of_taking_one_place_cancels_however_often_it_was_asked() -> None:
    score = action_share([2, 2, 2, 2], [False, False, False, True])
    assert score.value == 0.5
    assert score.detail["order_effect"] == 1
    first = action_share([1, 1], [False, True])
    assert (first.value, first.detail["order_effect"]) == (0.5, -1)


def test_one_order_is_named_and_no_answer_is_undefined() -> None:
    score = action_share([2, None, 1], [False, True, False])
    assert score.value == 0.5
    assert score.detail["both_orders"] is False
    assert score.detail["order_effect"] is score.detail["swapped"] is None
    assert score.detail["unanswered"] == 1
    assert action_share([None], [True]).reason == "no choice was answered"
    assert action_share([], []).value is None
    with pytest.raises(ValueError, match="1 choices need as many orders, not 0"):
        action_share([1], [])
    with pytest.raises(ValueError, match="not 3"):
        action_share([3], [False])  # type: ignore[list-item]


choices = st.lists(st.tuples(st.sampled_from([1, 2, None]), st.booleans()), max_size=12)


@given(choices)
@settings(max_examples=60)
def test_a_share_of_choices_is_bounded_blind_to_order_and_turns_with_the_options(
    asked: list[tuple[Any, bool]],
) -> None:
    def share(each: list[tuple[Any, bool]]) -> Any:
        return action_share([chosen for chosen, _ in each], [swapped for _, swapped in each])

    score = share(asked)
    assert share(asked[::-1]) == score
    if score.value is None:
        assert all(chosen is None for chosen, _ in asked)
        return
    assert 0 <= score.value <= 1
    # The other option each time is the rest; the same option under its other number is the same.
    other = [(None if chosen is None else 3 - chosen, swapped) for chosen, swapped in asked]
    assert share(other).value == pytest.approx(1 - score.value)
    assert share([(chosen, not swapped) for chosen, swapped in other]).value == pytest.approx(score.value)
    interval = score.detail["interval"]
    if interval["reason"] is None:
        assert 0 <= interval["low"] <= score.value <= interval["high"] <= 1
