"""Jury welfare and juries of a declared composition."""

import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.jury import jury_verdict, jury_welfare

supports = st.dictionaries(
    st.sampled_from("abcdefg"), st.floats(0, 1, allow_subnormal=False) | st.none(), max_size=7
)
powers = st.floats(-40, 40) | st.sampled_from([-math.inf, -1e-9, 0.0, 1e-9, 1.0, math.inf, 1e300, -1e300])


def value_of(given_supports: dict[str, float | None], p: float) -> float:
    value = jury_welfare(given_supports, p=p).value
    assert value is not None
    return value


def test_the_named_members_of_the_family() -> None:
    # The Pythagorean means of 1, 2 and 4, and the limits.
    jury: dict[str, float | None] = {"sufi": 1, "zen": 2, "stoic": 4, "bantu": None}
    assert value_of(jury, 1) == statistics.mean([1, 2, 4])
    assert value_of(jury, 0) == pytest.approx(2)
    assert value_of(jury, -1) == pytest.approx(12 / 7)
    assert value_of(jury, 2) == pytest.approx(math.sqrt(7))
    assert value_of(jury, -math.inf) == 1
    assert value_of(jury, math.inf) == 4
    assert json.dumps(jury_welfare(jury, p=-math.inf).as_dict(), allow_nan=False).count('"-inf"') == 1
    detail = jury_welfare(jury).detail
    assert (detail["n"], detail["abstained"], detail["zeros"]) == (3, 1, 0)
    assert (detail["minimum"], detail["maximum"]) == (1, 4)


def test_a_support_of_zero_is_the_limit() -> None:
    jury: dict[str, float | None] = {"sufi": 0, "zen": 1}
    assert [value_of(jury, p) for p in (-math.inf, -3, 0)] == [0, 0, 0]
    assert value_of(jury, 0.5) == pytest.approx(0.25)
    assert jury_welfare(jury).detail["zeros"] == 1
    assert value_of({"sufi": 0, "zen": 0}, 2) == 0
    assert value_of({"sufi": 1e-12, "zen": 1}, -1) < 1e-11


def test_near_zero_the_family_has_no_step() -> None:
    jury: dict[str, float | None] = {"sufi": 0.3, "zen": 0.9, "stoic": 0.5}
    for p in (1e-15, 1e-9, -1e-9, -1e-15):
        assert value_of(jury, p) == pytest.approx(value_of(jury, 0), rel=1e-8)


def test_without_a_support_welfare_is_undefined() -> None:
    assert jury_welfare({}).reason == "there is no juror"
    assert jury_welfare({"sufi": None}).reason == "everyone abstained"


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_supports_are_finite_and_not_negative(bad: float) -> None:
    with pytest.raises(ValueError, match="support of 'sufi': needs a finite number of at least 0"):
        jury_welfare({"sufi": bad})


def test_the_power_is_a_number() -> None:
    with pytest.raises(ValueError, match="not NaN"):
        jury_welfare({"sufi": 1}, p=math.nan)


@given(supports, powers, powers)
def test_welfare_stays_in_its_bounds_and_never_falls_as_p_grows(
    jury: dict[str, float | None], p: float, q: float
) -> None:
    stated = [each for each in jury.values() if each is not None]
    if not stated:
        assert jury_welfare(jury, p=p).value is None
        return
    low, high = value_of(jury, min(p, q)), value_of(jury, max(p, q))
    assert min(stated) <= low <= max(stated)
    assert low <= high * (1 + 1e-9)
    assert value_of(dict(reversed(jury.items())), p) == value_of(jury, p)


@given(st.floats(0, 7), st.integers(1, 9), powers)
def test_unanimity_is_its_own_welfare(support: float, n: int, p: float) -> None:
    assert value_of({str(i): support for i in range(n)}, p) == support


def test_a_jury_of_one_voice_a_group_weighs_them_as_composed() -> None:
    score = jury_verdict({"a": {"p": 1.0}, "b": {"q": 0.0}}, {"a": 9, "b": 3}, seats=12, seed=0)
    assert score.value == 0.75
    assert score.detail["interval"] == [0.75, 0.75]
    assert score.detail["seats"] == {"a": 9, "b": 3}


def test_a_verdict_lies_between_its_jurors_and_a_seed_repeats_it() -> None:
    groups: dict[str, dict[str, float | None]] = {"a": {"p": 0.9, "q": 0.1, "r": None}, "b": {"s": 0.5}}
    score = jury_verdict(groups, {"a": 1, "b": 1}, seats=12, juries=200, seed=3)
    assert score == jury_verdict(groups, {"b": 1, "a": 1}, seats=12, juries=200, seed=3)
    assert score.detail["drawn_from"] == {"a": 2, "b": 1}
    assert score.value == pytest.approx(0.5, abs=0.1)
    low, high = score.detail["interval"]
    assert 0.1 <= low < score.value < high <= 0.9
    assert jury_verdict(groups, {"a": 1, "b": 1}, juries=200, seed=4).detail["interval"] != [0, 0]


def test_the_median_over_many_juries_is_near_the_expected_mean() -> None:
    groups = {"a": {str(i): i / 9 for i in range(10)}, "b": {"x": 1.0}}
    score = jury_verdict(groups, {"a": 0.5, "b": 0.5}, seats=100, juries=2000, seed=0)
    assert score.value == pytest.approx(0.75, abs=0.005)


def test_seats_go_by_largest_remainders() -> None:
    groups = {name: {name: 1.0} for name in "abc"}
    taken = jury_verdict(groups, {"a": 1, "b": 1, "c": 1}, seats=4, seed=0).detail["seats"]
    assert taken == {"a": 2, "b": 1, "c": 1}
    assert jury_verdict(groups, {"a": 0.1, "b": 0.7, "c": 0.2}, seats=10, seed=0).detail["seats"] == {
        "a": 1,
        "b": 7,
        "c": 2,
    }


def test_weights_count_by_their_proportion_however_great() -> None:
    groups = {name: {name: 1.0} for name in "ab"}
    taken = jury_verdict(groups, {"a": 1.5e308, "b": 0.5e308}, seats=8, seed=0).detail["seats"]
    assert taken == {"a": 6, "b": 2}


def test_a_group_on_the_jury_with_nobody_in_it_leaves_the_verdict_undefined() -> None:
    score = jury_verdict({"a": {"p": 1.0}, "b": {"q": None}}, {"a": 1, "b": 1, "c": 1}, seats=3, seed=0)
    assert score.value is None
    assert score.detail["missing"] == ["b", "c"]
    assert score.reason == "nobody states a support for the seats of b, c"
    assert jury_verdict({"a": {"p": 1.0}}, {"a": 1, "c": 0}, seats=3, seed=0).value == 1


@pytest.mark.parametrize(
    ("composition", "options", "message"),
    [
        ({"a": -1}, {}, "weight of 'a'"),
        ({"a": math.nan}, {}, "weight of 'a'"),
        ({"a": 0}, {}, "gives no group a weight"),
        ({}, {}, "gives no group a weight"),
        ({"a": 1}, {"seats": 0}, "needs a seat and a jury"),
        ({"a": 1}, {"juries": 0}, "needs a seat and a jury"),
        ({"a": 1}, {"interval": 1}, "between 0 and 1"),
    ],
)
def test_a_jury_that_makes_no_sense_is_refused(
    composition: dict[str, float], options: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        jury_verdict({"a": {"p": 1.0}}, composition, seed=0, **options)


def test_a_verdict_needs_finite_supports() -> None:
    with pytest.raises(ValueError, match="support of 'p'"):
        jury_verdict({"a": {"p": math.nan}}, {"a": 1}, seed=0)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 5), min_size=1),
    st.integers(1, 30),
    st.integers(0, 9),
)
def test_every_seat_is_taken_and_no_group_is_a_seat_off(
    composition: dict[str, float], seats: int, seed: int
) -> None:
    groups = {group: {"p": 1.0, "q": 3.0} for group in composition}
    score = jury_verdict(groups, composition, seats=seats, juries=5, seed=seed)
    assert sum(score.detail["seats"].values()) == seats
    whole = sum(composition.values())
    assert all(
        abs(taken - seats * composition[group] / whole) < 1 for group, taken in score.detail["seats"].items()
    )
    assert score.value is not None
    assert 1 <= score.detail["interval"][0] <= score.value <= score.detail["interval"][1] <= 3
