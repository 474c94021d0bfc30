"""Entropies and divergences against published limits and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from multiplex.scoring.entropy import (
    generalised_jsd,
    js_distance,
    normalised_entropy,
    shannon_entropy,
    total_variation,
)

SIX = ["western", "islamic", "confucian", "hindu", "buddhist", "african"]

counts = st.dictionaries(st.sampled_from(SIX), st.floats(0, 1e6, allow_subnormal=False))


def shares(classes: int) -> st.SearchStrategy[list[float]]:
    weights = st.lists(st.integers(0, 100), min_size=classes, max_size=classes).filter(any)
    return weights.map(lambda ws: [w / sum(ws) for w in ws])


@pytest.mark.parametrize(
    ("given_counts", "expected"),
    [
        ({"western": 9}, 0),
        (dict.fromkeys(SIX, 4), 1),
        ({"western": 2, "african": 2}, 0.386853),
        (dict(zip(SIX, [90, 2, 2, 2, 2, 2], strict=True)), 0.2712567),
    ],
)
def test_published_limits_hold(given_counts: dict[str, float], expected: float) -> None:
    assert normalised_entropy(given_counts, SIX).value == pytest.approx(expected, abs=5e-7)


def test_entropy_in_nats_is_kept() -> None:
    score = normalised_entropy(dict(zip(SIX, [90, 2, 2, 2, 2, 2], strict=True)), SIX)
    assert score.detail["nats"] == pytest.approx(0.4860268, abs=5e-8)
    assert score.detail["total"] == 100
    assert score.detail["shares"]["western"] == 0.9


def test_counts_of_zero_are_kept_for_scoring_under_another_list() -> None:
    score = normalised_entropy({"western": 1}, SIX)
    assert score.detail["counts"] == {**dict.fromkeys(SIX, 0), "western": 1}
    assert score.detail["classes"] == 6


def test_nothing_counted_and_short_lists_are_undefined() -> None:
    assert normalised_entropy({}, SIX).value is None
    assert normalised_entropy({}, SIX).reason == "no perspective was referenced"
    assert normalised_entropy({"western": 3}, ["western"]).value is None
    assert normalised_entropy({}, []).value is None


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'hindu'"):
        normalised_entropy({"hindoo": 1}, SIX)
    with pytest.raises(ValueError, match="finite number of at least 0"):
        normalised_entropy({"hindu": -1}, SIX)
    with pytest.raises(ValueError, match="finite number of at least 0"):
        normalised_entropy({"hindu": math.nan}, SIX)
    with pytest.raises(ValueError, match="listed twice"):
        normalised_entropy({}, ["hindu", "hindu"])


@given(counts, st.permutations(SIX))
def test_entropy_is_bounded_and_does_not_depend_on_order(
    given_counts: dict[str, float], order: list[str]
) -> None:
    score = normalised_entropy(given_counts, SIX)
    if not any(given_counts.values()):
        assert score.value is None
    else:
        assert score.value is not None
        assert 0 <= score.value <= 1
        assert score.value == normalised_entropy(given_counts, order).value


@given(st.dictionaries(st.sampled_from(SIX), st.integers(1, 99), min_size=1), st.integers(2, 9))
def test_entropy_depends_on_shares_alone(given_counts: dict[str, int], factor: int) -> None:
    scaled = {name: factor * count for name, count in given_counts.items()}
    assert normalised_entropy(scaled, SIX).value == pytest.approx(normalised_entropy(given_counts, SIX).value)


def test_a_longer_list_lowers_the_score_of_the_same_counts() -> None:
    pair = {"western": 1, "islamic": 1}
    values = [normalised_entropy(pair, SIX[:k]).value for k in range(2, 7)]
    assert values == sorted(values, key=lambda value: -(value or 0))
    assert values[0] == 1


@given(shares(4), shares(4))
def test_js_distance_agrees_with_scipy_in_base_two(p: list[float], q: list[float]) -> None:
    # scipy's own rounding near 0 is of the order of 1e-8 after the square root.
    with np.errstate(invalid="ignore"):  # scipy may take the root of a 0 that is below 0 by its last bits
        oracle = float(np.nan_to_num(jensenshannon(p, q, base=2)))
    assert js_distance(p, q) == pytest.approx(oracle, abs=1e-7)
    assert js_distance(p, q) == js_distance(q, p)


@given(shares(3), shares(3), shares(3))
def test_distances_are_bounded_metrics(p: list[float], q: list[float], r: list[float]) -> None:
    for distance in (js_distance, total_variation):
        assert 0 <= distance(p, q) <= 1
        assert distance(p, p) == pytest.approx(0, abs=1e-7)
        assert distance(p, r) <= distance(p, q) + distance(q, r) + 1e-7


def test_distributions_without_overlap_are_at_distance_one() -> None:
    assert js_distance([1, 0], [0, 1]) == 1
    assert total_variation([1, 0], [0, 1]) == 1
    assert generalised_jsd([[1, 0, 0], [0, 1, 0]]) == pytest.approx(1)
    assert generalised_jsd([[1, 0], [0, 1], [1, 0], [0, 1]]) == pytest.approx(1)


@given(st.lists(shares(3), min_size=2, max_size=6))
def test_generalised_jsd_is_bounded_and_zero_for_one_opinion(rows: list[list[float]]) -> None:
    assert 0 <= generalised_jsd(rows) <= 1
    assert generalised_jsd([rows[0]] * 4) == pytest.approx(0, abs=1e-9)


@given(shares(2), shares(2))
def test_for_two_the_generalised_divergence_is_the_squared_distance(p: list[float], q: list[float]) -> None:
    assert generalised_jsd([p, q]) == pytest.approx(js_distance(p, q) ** 2, abs=1e-9)


def test_shannon_entropy_of_certainty_is_plain_zero() -> None:
    assert str(shannon_entropy([1.0, 0.0])) == "0.0"
