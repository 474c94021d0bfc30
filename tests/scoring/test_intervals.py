"""Bootstrap intervals: against scipy, by coverage, and where there is none."""

from collections.abc import Sequence
from itertools import chain
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from multiplex.scoring.intervals import (
    Estimate,
    bootstrap,
    bootstrap_counts,
    bootstrap_within,
    interval_of,
)
from multiplex.scoring.score import Score

DATA = np.random.default_rng(5).exponential(size=40).tolist()

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=12)


def mean(items: Sequence[float]) -> float:
    return float(np.mean(items))


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_agree_with_scipy(method: Literal["percentile", "bca"]) -> None:
    # Of the variance of skewed data, where the two methods lie far apart.
    ours = bootstrap(DATA, lambda items: float(np.var(items)), resamples=4000, method=method, seed=1)
    theirs = stats.bootstrap((DATA,), np.var, n_resamples=20000, method=method, random_state=2)
    assert ends(ours) == pytest.approx(tuple(theirs.confidence_interval), rel=0.06)
    assert ours.score.value == pytest.approx(np.var(DATA))


def test_the_bca_interval_of_a_variance_lies_further_right() -> None:
    plain = ends(bootstrap(DATA, lambda items: float(np.var(items)), seed=1))
    shifted = ends(bootstrap(DATA, lambda items: float(np.var(items)), method="bca", seed=1))
    assert shifted[0] > plain[0]
    assert shifted[1] > plain[1]


def test_nineteen_of_twenty_intervals_cover_the_mean() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for number in range(300):
        low, high = ends(interval_of(rng.normal(size=30).tolist(), resamples=400, seed=number))
        covered += low <= 0 <= high
    assert 0.90 <= covered / 300 <= 0.98


@pytest.mark.slow
def test_intervals_over_items_alone_miss_what_differs_between_runs_and_both_levels_hold_it() -> None:
    rng = np.random.default_rng(3)
    both = alone = 0
    for number in range(40):
        runs = [(rng.normal() + rng.normal(size=8)).tolist() for _ in range(10)]
        low, high = ends(bootstrap_within(runs, lambda r: mean(list(chain(*r))), resamples=200, seed=number))
        both += low <= 0 <= high
        low, high = ends(interval_of(list(chain(*runs)), resamples=200, seed=number))
        alone += low <= 0 <= high
    assert both / 40 >= 0.85
    assert alone / 40 <= 0.75


@given(numbers, st.integers(0, 99))
def test_the_interval_of_a_mean_lies_within_the_data(values: list[float], seed: int) -> None:
    for estimate in (
        interval_of(values, resamples=50, seed=seed),
        bootstrap(values, mean, resamples=50, seed=seed),
    ):
        low, high = ends(estimate)
        assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
        assert (estimate.n, estimate.resamples, estimate.undefined) == (len(values), 50, 0)
    assert interval_of(values, resamples=50, seed=seed) == interval_of(values, resamples=50, seed=seed)


@given(st.floats(-5, 5), st.integers(2, 9))
@settings(max_examples=20)
def test_what_is_the_same_everywhere_has_an_interval_of_no_width(value: float, n: int) -> None:
    assert ends(interval_of([value] * n, resamples=20, seed=0)) == pytest.approx((value, value))
    assert ends(bootstrap([value] * n, mean, resamples=20, method="bca", seed=0)) == pytest.approx(
        (value, value)
    )


def test_a_higher_level_makes_a_wider_interval() -> None:
    narrow, wide = (ends(interval_of(DATA, level=level, seed=4)) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_any_data_and_any_score_can_be_resampled() -> None:
    def share(verdicts: Sequence[str]) -> Score:
        return Score(verdicts.count("wiser") / len(verdicts))

    estimate = bootstrap(["wiser"] * 30 + ["unsure"] * 10, share, seed=1)
    low, high = ends(estimate)
    assert low < 0.75 < high
    assert estimate.score.value == 0.75
    assert estimate.as_dict()["score"]["value"] == 0.75


def test_scores_without_value_are_counted_and_left_out() -> None:
    estimate = interval_of([Score(0.2), Score.undefined("no votes"), 0.4, None], seed=0)
    assert estimate.score.value == pytest.approx(0.3)
    assert (estimate.n, estimate.undefined) == (2, 2)


@pytest.mark.parametrize(
    ("scores", "value", "reason"),
    [
        ([], None, "there is no score"),
        ([None, None], None, "no score has a value"),
        ([0.5, None], 0.5, "an interval needs two scores"),
    ],
)
def test_one_score_has_no_interval(scores: list[float | None], value: float | None, reason: str) -> None:
    estimate = interval_of(scores, seed=0)
    assert estimate.score.value == value
    assert (estimate.low, estimate.high, estimate.reason) == (None, None, reason)


def test_there_is_no_interval_below_two_items() -> None:
    assert bootstrap([], mean, seed=0).score.reason == "there is no item"
    one = bootstrap([3.0], mean, seed=0)
    assert (one.score.value, one.low, one.reason) == (
        3,
        None,
        "an interval needs two items",
    )
    assert bootstrap_within([], lambda r: 1.0, seed=0).score.reason == "there is no run"
    assert bootstrap_within([[1.0, 2.0]], lambda r: 1.0, seed=0).low is None
    undefined = bootstrap([1.0, 2.0], lambda items: Score.undefined("nobody voted"), seed=0)
    assert (undefined.low, undefined.reason) == (None, "nobody voted")


def test_a_statistic_undefined_in_many_resamples_has_no_interval() -> None:
    def of_two_values(items: Sequence[int]) -> float | None:
        return float(np.mean(items)) if len(set(items)) > 1 else None

    few = bootstrap([0, 1], of_two_values, resamples=200, seed=0)
    assert few.low is None
    assert 80 < few.undefined < 120
    assert few.reason == f"undefined in {few.undefined} of 200 resamples"
    borne = bootstrap([0, 1], of_two_values, resamples=200, most_undefined=0.9, seed=0)
    assert ends(borne) == (0.5, 0.5)
    assert borne.undefined == few.undefined


def test_bca_says_where_it_cannot_tell_the_bias() -> None:
    # The statistic of every resample lies above that of the data.
    data = [1.0, 2.0, 3.0]
    estimate = bootstrap(data, lambda items: float(items != data), method="bca", resamples=9, seed=1)
    assert estimate.low is None
    assert estimate.reason is not None
    assert "percentile" in estimate.reason


def test_senseless_options_are_refused() -> None:
    with pytest.raises(ValueError, match="level needs"):
        interval_of([1.0, 2.0], level=95, seed=0)
    with pytest.raises(ValueError, match="method needs"):
        bootstrap([1.0, 2.0], mean, method="exact", seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resamples needs"):
        bootstrap([1.0, 2.0], mean, resamples=0, seed=0)


runs = st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=5), min_size=2, max_size=5)


@given(runs, st.floats(-3, 3), st.integers(0, 99))
def test_intervals_over_runs_and_items_lie_within_the_data_and_move_with_it(
    given_runs: list[list[float]], by: float, seed: int
) -> None:
    def pooled(sample: Sequence[Sequence[float]]) -> float:
        return mean(list(chain(*sample)))

    found = bootstrap_within(given_runs, pooled, resamples=30, seed=seed)
    low, high = ends(found)
    everything = list(chain(*given_runs))
    assert min(everything) - 1e-9 <= low <= high <= max(everything) + 1e-9
    assert found.score.value == pytest.approx(mean(everything))
    assert (found.n, found.over) == (len(given_runs), "runs, and items within each")
    moved = bootstrap_within([[x + by for x in run] for run in given_runs], pooled, resamples=30, seed=seed)
    assert ends(moved) == pytest.approx((low + by, high + by), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=6), st.integers(0, 99))
def test_counted_kinds_are_as_many_units_of_each(kinds: list[tuple[int, float]], seed: int) -> None:
    times, values = [count for count, _ in kinds], np.array([value for _, value in kinds])
    n = sum(times)

    def of_kinds(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        assert (counts.sum(axis=1) == n).all()
        found: NDArray[np.float64] = counts @ values / n
        return found

    found = bootstrap_counts(of_kinds, times, resamples=40, seed=seed)
    if n < 2:
        assert (found.low, found.reason) == (None, "an interval needs two items")
        return
    written_out = np.repeat(values, times)
    assert found.score.value == pytest.approx(mean(written_out.tolist()))
    low, high = ends(found)
    assert written_out.min() - 1e-9 <= low <= (found.score.value or 0) + 1e-9
    assert (found.score.value or 0) - 1e-9 <= high <= written_out.max() + 1e-9
    one_by_one = bootstrap_counts(lambda counts: counts @ written_out / n, n, resamples=40, seed=seed)
    assert one_by_one.score.value == pytest.approx(found.score.value)
    assert one_by_one.n == found.n == n


def test_kinds_drawn_together_spread_as_units_drawn_apart_do() -> None:
    values = np.array([0.0, 0.3, 1.0])
    together = bootstrap_counts(lambda counts: counts @ values / 100, [50, 30, 20], resamples=4000, seed=1)
    apart = np.repeat(values, [50, 30, 20])
    alone = bootstrap_counts(lambda counts: counts @ apart / 100, 100, resamples=4000, seed=2)
    assert ends(together) == pytest.approx(ends(alone), abs=0.01)
    with pytest.raises(ValueError, match="units needs numbers of at least 0"):
        bootstrap_counts(lambda counts: counts[:, 0], [-1, 3], seed=1)
