"""Intervals of agreement, welfare, distances and F1: against one resample at a time, and where there are none."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import cohen_kappa_score, f1_score

from multiplex.scoring.agreement import Level, krippendorff_alpha
from multiplex.scoring.bridging import pairwise_bridging
from multiplex.scoring.classifiers import cohen_kappa
from multiplex.scoring.consensus import endorsement
from multiplex.scoring.discretion import discrepancy
from multiplex.scoring.intervals import bootstrap
from multiplex.scoring.jury import jury_welfare
from multiplex.scoring.pluralism import distributional_distance
from multiplex.scoring.polis import group_aware_agreement
from multiplex.scoring.priorities import thurstone
from multiplex.scoring.score import Score
from multiplex.scoring.value_action import action_share, value_action

Unit = dict[str, str | float | None]


def ends(interval: Mapping[str, Any]) -> tuple[float, float]:
    assert interval["reason"] is None
    return interval["low"], interval["high"]


def one_by_one(
    data: Sequence[Any], statistic: Callable[[Any], float], resamples: int = 1000
) -> tuple[float, float]:
    """Return the percentile interval over the data by the plain bootstrap."""
    found = bootstrap(data, lambda sample: _number(statistic(sample)), resamples=resamples, seed=3)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def power_mean(sample: Sequence[float], p: float) -> float:
    """Return what `pmean` of scipy returns, without its checks of each small sample (see test_consensus.py)."""
    values = np.asarray(sample, float)
    return float(np.exp(np.log(values).mean()) if p == 0 else (values**p).mean() ** (1 / p))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def told(score: Score) -> Mapping[str, Any]:
    interval: Mapping[str, Any] = score.detail["interval"]
    assert {"low", "high", "level", "n", "resamples", "reason", "method", "over"} <= interval.keys()
    return interval


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_the_interval_of_alpha_is_that_of_resampled_units(level: Level) -> None:
    draw = np.random.default_rng(7)
    numbers = draw.integers(1, 5, size=(14, 1)) + draw.integers(0, 2, size=(14, 4))
    units: list[Unit] = [{str(i): float(x) for i, x in enumerate(row) if i or row[0] % 2} for row in numbers]
    score = krippendorff_alpha(units, level=level, over="items")

    def library(sample: Sequence[Unit]) -> float:
        rows = [[unit.get(str(rater), np.nan) for unit in sample] for rater in range(4)]
        return float(krippendorff.alpha(np.array(rows, float), level_of_measurement=level))

    slow = one_by_one(units, library)
    assert ends(told(score)) == pytest.approx(slow, abs=0.06)
    assert (told(score)["over"], told(score)["n"]) == ("items", 14)


def test_a_distance_of_ones_own_is_that_of_the_resamples_too() -> None:
    drawn = np.random.default_rng(7).integers(0, 3, (20, 2)).tolist()
    units: list[Unit] = [{"a": float(x), "b": float(x + d)} for x, d in drawn]
    own = krippendorff_alpha(units, distance=lambda a, b: (a - b) ** 2)
    assert ends(told(own)) == pytest.approx(ends(told(krippendorff_alpha(units, level="interval"))))


ratings = st.lists(
    st.dictionaries(st.sampled_from("pqrs"), st.sampled_from(["a", "b", "c"]) | st.none()), max_size=9
)


@given(ratings, st.sampled_from(["nominal", "ordinal"]))
def test_alpha_lies_in_its_interval_whatever_the_order_of_units(units: list[Unit], level: Level) -> None:
    score = krippendorff_alpha(units, level=level, order="abc")
    assert krippendorff_alpha(units[::-1], level=level, order="abc").detail == score.detail
    if score.value is None:
        assert told(score)["reason"] == score.reason
    elif told(score)["low"] is not None:
        assert told(score)["low"] - 1e-9 <= score.value <= told(score)["high"] + 1e-9 <= 1 + 2e-9
    else:
        assert told(score)["reason"]


def test_the_interval_of_kappa_is_that_of_resampled_items() -> None:
    draw = np.random.default_rng(7)
    one = draw.choice(list("abc"), 60)
    other = np.where(draw.random(60) < 0.6, one, draw.choice(list("abc"), 60))
    pairs = list(zip(one.tolist(), other.tolist(), strict=True))
    slow = one_by_one(pairs, lambda sample: float(cohen_kappa_score(*zip(*sample, strict=True))), 200)
    score = cohen_kappa(one.tolist(), other.tolist())
    assert ends(told(score)) == pytest.approx(slow, abs=0.04)
    assert told(cohen_kappa([], []))["reason"] == "no item was rated by both"
    assert told(cohen_kappa(["a", "a"], ["a", "a"]))["reason"] == "both give every item the same label"


@pytest.mark.parametrize("p", [-3.0, -1.0, 0.0, 0.5, 1.0, 4.0])
def test_the_interval_of_welfare_is_that_of_resampled_jurors(p: float) -> None:
    supports = np.random.default_rng(7).uniform(0.1, 1, 15).tolist()
    score = jury_welfare({str(i): x for i, x in enumerate(supports)}, p=p)
    low, high = one_by_one(supports, lambda sample: power_mean(sample, p))
    assert ends(told(score)) == pytest.approx((low, high), abs=(high - low) / 10)
    assert (told(score)["over"], told(score)["n"]) == ("jurors", 15)


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=2, max_size=6), st.floats(-30, 30))
def test_welfare_lies_in_its_interval_and_between_least_and_greatest(jury: list[float], p: float) -> None:
    score = jury_welfare({str(i): x for i, x in enumerate(jury)}, p=p)
    low, high = ends(told(score))
    assert score.value is not None
    assert min(jury) - 1e-9 <= low <= score.value + 1e-9
    assert score.value - 1e-9 <= high <= max(jury) + 1e-9


def test_one_support_of_zero_takes_the_lower_end_down() -> None:
    score = jury_welfare({"a": 0.0, "b": 1.0, "c": 1.0, "d": 1.0, "e": 1.0}, p=0)
    assert ends(told(score)) == (0, 1)  # a third of the resamples are without the zero


def test_an_extreme_has_no_interval_but_a_reason() -> None:
    least = jury_welfare({"a": 1, "b": 2}, p=-math.inf)
    assert (told(least)["low"], told(least)["reason"]) == (
        None,
        "no resample of jurors reaches beyond the least that was given",
    )
    assert told(jury_welfare({"a": 1, "b": 2}, p=math.inf))["reason"].endswith("greatest that was given")
    assert told(jury_welfare({"a": 1}))["reason"] == "an interval needs two jurors"
    assert told(jury_welfare({}))["reason"] == "there is no juror"


def test_every_welfare_of_an_endorsement_has_an_interval_but_its_minimum() -> None:
    votes = [6, 3, 7, 5, 5, 2, 6, 4]
    detail = endorsement({str(i): vote for i, vote in enumerate(votes)}).detail
    intervals = detail["intervals"]
    assert intervals.keys() == {"minimum", "share", "nash", "harmonic"}
    assert intervals["minimum"]["reason"].startswith("no resample of personas reaches beyond the least")
    slow = {
        "share": one_by_one(votes, lambda sample: float(np.mean(np.array(sample) >= 5))),
        "nash": one_by_one(votes, lambda sample: power_mean(sample, 0)),
        "harmonic": one_by_one(votes, lambda sample: power_mean(sample, -1)),
    }
    for name, expected in slow.items():
        assert ends(intervals[name]) == pytest.approx(expected, abs=0.2 if name != "share" else 0.126)
        assert intervals[name]["low"] < detail[name] < intervals[name]["high"]


def test_a_distance_has_an_interval_where_it_is_known_how_many_stand_behind_it() -> None:
    counts = ({"ban": 30, "allow": 10, "wait": 5}, {"ban": 12, "allow": 20, "wait": 8})
    unknown = distributional_distance(*counts)
    assert told(unknown)["reason"] == "sizes: nobody said how many people the shares are of"
    known = distributional_distance(*counts, sizes=(45, 40))
    low, high = ends(told(known))
    assert 0 < low < (known.value or 0) < high < 1
    assert (told(known)["method"], told(known)["n"]) == ("moved", 85)
    more_people = ends(told(distributional_distance(*counts, sizes=(4500, 4000))))
    assert more_people[1] - more_people[0] < (high - low) / 5
    in_nats = distributional_distance(*counts, sizes=(45, 40), base="e")
    assert ends(told(in_nats)) == pytest.approx((low * math.log(2) ** 0.5, high * math.log(2) ** 0.5))
    with pytest.raises(ValueError, match="sizes: needs a number of people"):
        distributional_distance(*counts, sizes=(0, None))


def test_intervals_of_a_distance_between_samples_hold_the_distance_of_what_they_were_drawn_from() -> None:
    # In 91 % of 300 such pairs of samples; plain percentiles in 49 %: samples lie further apart than what they are of.
    p, q = np.array([0.3, 0.3, 0.2, 0.2]), np.array([0.25, 0.3, 0.25, 0.2])
    truth, held = float(jensenshannon(p, q, base=2)), 0
    draw = np.random.default_rng(0)
    for _ in range(60):
        sides = [dict(zip("abcd", draw.multinomial(60, row).tolist(), strict=True)) for row in (p, q)]
        low, high = ends(told(distributional_distance(*sides, sizes=(60, 60))))
        held += low <= truth <= high
    assert held >= 50


def test_orders_of_priority_that_agree_in_all_have_an_interval_of_no_width() -> None:
    order = {name: float(i) for i, name in enumerate("abcdef")}
    turned = {name: -value for name, value in order.items()}
    assert ends(told(discrepancy(order, order))) == (0, 0)
    assert ends(told(discrepancy(order, turned))) == (1, 1)
    mixed = discrepancy(order, {**order, "a": 9.0})
    assert told(mixed)["low"] < (mixed.value or 0) < told(mixed)["high"]
    assert told(discrepancy({"a": 1, "b": 2}, {"a": 1, "b": 2}))["reason"] == "an interval needs three names"
    assert told(discrepancy({}, {}))["reason"] == "0 names have a priority in both; a pair needs two"


def test_group_aware_agreement_has_an_interval_within_its_groups() -> None:
    votes = {f"p{i}": {"a": 1 if i % 3 else -1, "b": 1} for i in range(12)}
    groups = {"one": [f"p{i}" for i in range(6)], "two": [f"p{i}" for i in range(6, 12)]}
    for smoothed in (True, False):
        found = group_aware_agreement(votes, groups, smoothed=smoothed)
        low, high = ends(told(found["a"]))
        assert low < (found["a"].value or 0) < high <= found["a"].detail["ceiling"]
        assert ends(told(found["b"])) == pytest.approx((found["b"].value, found["b"].value))
    alone = group_aware_agreement({"p": {"a": 1}, "q": {"a": 1}}, {"one": ["p"], "two": ["q"]})["a"]
    assert told(alone)["reason"] == "an interval needs two participants in one group"


def test_bridging_is_left_out_voter_by_voter() -> None:
    draw = np.random.default_rng(1)
    votes = {f"v{i}": {s: float(draw.choice([1, 1, 0, -1])) for s in "abcd"} for i in range(9)}
    found = pairwise_bridging(votes)
    for statement, score in found.items():
        others = [{name: row for name, row in votes.items() if name != voter} for voter in votes]
        left_out = np.array([pairwise_bridging(each)[statement].value for each in others], float)
        spread = math.sqrt(8 / 9 * float(((left_out - left_out.mean()) ** 2).sum()))
        low, high = ends(told(score))
        assert low == pytest.approx(max(0, (score.value or 0) - 2.306004 * spread), abs=1e-6)
        assert high == pytest.approx(min(1, (score.value or 0) + 2.306004 * spread), abs=1e-6)
    two = pairwise_bridging({"p": {"a": 1, "b": 1}, "q": {"a": 1, "b": -1}})["a"]
    assert told(two)["reason"] == "an interval needs three voters"


def test_value_and_action_have_intervals_over_personas_and_over_cells() -> None:
    draw = np.random.default_rng(4)
    stated = {f"p{i}": {v: float(draw.integers(1, 5)) for v in "abcdef"} for i in range(8)}
    acted = {
        p: {v: float(np.clip(1 - (x - 1) / 3 + draw.normal(0, 0.3), 0, 1)) for v, x in row.items()}
        for p, row in stated.items()
    }
    found = value_action(stated, acted)

    def f1_of(personas: Sequence[str]) -> float:
        cells = [(stated[p][v] > 2.5, acted[p][v] < 0.5) for p in personas for v in "abcdef"]
        return float(f1_score(*zip(*cells, strict=True)))

    assert ends(told(found.alignment)) == pytest.approx(one_by_one(list(stated), f1_of, 150), abs=0.04)
    for score in (found.alignment, found.distance):
        over_cells = score.detail["interval_over_cells"]
        assert (told(score)["over"], told(score)["n"]) == ("personas", 8)
        assert over_cells["over"] == "cells"
        for interval in (told(score), over_cells):
            assert interval["low"] < (score.value or 0) < interval["high"]
    assert told(found.by_persona["p0"])["over"] == "values"
    assert told(found.by_value["a"])["over"] == "personas"
    none = value_action({"p": {"a": 1}}, {"p": {"a": 1.0}})
    assert told(none.alignment)["reason"] == "nothing was disagreed with, in word or deed"


def test_choices_are_resampled_within_the_order_in_which_they_were_asked() -> None:
    score = action_share([2, 2, 2, 1, 1, 1], [False, False, False, True, True, False])
    assert score.value == pytest.approx(0.875)
    assert told(score)["n"] == 6
    assert ends(told(score)) == (0.625, 1)
    assert told(action_share([2], [False]))["reason"] == "an interval needs two choices"


def test_utilities_coherence_and_order_effect_have_intervals_over_pairs() -> None:
    draw = np.random.default_rng(2)
    mu = np.linspace(1.5, -1.5, 8)
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for i in range(8):
        for j in range(8):
            if i != j:
                first = int(draw.binomial(12, 1 / (1 + math.exp(mu[j] - mu[i]))))
                counts[f"o{i}", f"o{j}"] = (first, 12 - first)
    found = thurstone(counts, seed=1, holdout=0.3, resamples=40)
    for score in (*found.utilities.values(), found.coherence, found.order_effect):
        low, high = ends(told(score))
        assert low <= (score.value or 0) <= high
        assert told(score)["over"] == "pairs"
    assert told(found.utilities["o0"])["low"] > told(found.utilities["o7"])["high"]
    assert told(found.order_effect)["n"] == 28
    asked = thurstone(counts, seed=1, resamples=0).utilities["o0"]
    assert told(asked)["reason"] == "no resamples were asked for"
    apart = thurstone({("a", "b"): (1, 0), ("c", "d"): (1, 0)}, seed=1)
    assert told(apart.utilities["a"])["reason"] == apart.utilities["a"].reason
    with pytest.raises(ValueError, match="resamples needs at least 0"):
        thurstone(counts, seed=1, resamples=-1)
