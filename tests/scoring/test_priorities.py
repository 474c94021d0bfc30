"""Elo and Thurstone."""

import json
import math
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr

from multiplex.scoring.priorities import Battle, elo, thurstone


def test_one_battle_moves_both_by_half_of_k() -> None:
    # Even odds: E = 1/2, so the winner gains K / 2 = 2 (LitmusValues' K of 4, start 1000).
    found = elo([Battle("care", "truth")], seed=42).ratings
    assert (found["care"].value, found["truth"].value) == (1002, 998)
    assert found["care"].detail == {"low": 1002, "high": 1002, "battles": 1, "wins": 1, "ties": 0}


def test_a_second_battle_counts_for_what_it_was_expected_to_give() -> None:
    found = elo([Battle("care", "truth")] * 2, seed=1).ratings
    expected = 1 / (1 + 10 ** ((998 - 1002) / 400))
    assert found["care"].value == pytest.approx(1002 + 4 * (1 - expected))


def test_a_tie_draws_ratings_together_and_between_equals_moves_nothing() -> None:
    assert elo([Battle("care", "truth", tie=True)], seed=1).ratings["care"].value == 1000
    # One order is win then tie (the tie costs the winner), the other tie then win.
    both = elo([Battle("care", "truth"), Battle("care", "truth", tie=True)], seed=1, orders=400)
    after_tie = 1002 + 4 * (0.5 - 1 / (1 + 10 ** (-4 / 400)))
    assert both.ratings["care"].detail["low"] == pytest.approx(after_tie)
    assert both.ratings["care"].detail["high"] == 1002
    assert both.ratings["care"].value == pytest.approx((after_tie + 1002) / 2, abs=0.002)


def test_a_battle_with_oneself_moves_nothing_and_is_counted() -> None:
    result = elo([Battle("care", "care", tie=True)], seed=1, values=["care", "truth"])
    assert result.ignored == 1
    assert {score.reason for score in result.ratings.values()} == {"fought no battle"}
    assert result.ranking == ()
    assert elo([], seed=1).ratings == {}


def test_unlisted_values_and_senseless_options_are_refused() -> None:
    with pytest.raises(ValueError, match="'car' is not on the list; did you mean 'care'"):
        elo([Battle("car", "truth")], seed=1, values=["care", "truth"])
    with pytest.raises(ValueError, match="listed twice"):
        elo([], seed=1, values=["care", "care"])
    with pytest.raises(ValueError, match="elo needs"):
        elo([], seed=1, k=0)


@pytest.mark.parametrize("option", ["k", "scale", "base", "start"])
def test_elo_takes_no_infinite_option(option: str) -> None:
    options: dict[str, Any] = {option: math.inf}
    with pytest.raises(ValueError, match="elo needs"):
        elo([Battle("care", "truth")], seed=1, **options)


battles = st.lists(
    st.builds(Battle, st.sampled_from("abcd"), st.sampled_from("abcd"), st.booleans()), max_size=15
)


@given(battles, st.booleans())
def test_points_are_kept_and_the_order_given_does_not_matter(fought: list[Battle], resample: bool) -> None:
    result = elo(fought, seed=3, orders=20, resample=resample)
    values = [score.value for score in result.ratings.values() if score.value is not None]
    assert sum(values) == pytest.approx(1000 * len(values))
    for score in result.ratings.values():
        if score.value is not None:
            assert score.detail["low"] <= score.detail["high"]
            assert abs(score.value - 1000) <= 4 * len(fought)
    turned = [Battle(each.loser, each.winner, True) if each.tie else each for each in reversed(fought)]
    assert elo(turned, seed=3, orders=20, resample=resample).as_dict() == result.as_dict()
    json.dumps(result.as_dict(), allow_nan=False)


def test_elo_ranks_by_strength() -> None:
    rng = np.random.default_rng(0)
    strength = {"a": 2.0, "b": 1.0, "c": 0.0, "d": -1.0}
    fought = []
    for _ in range(400):
        one, other = rng.choice(list(strength), 2, replace=False)
        wins = rng.random() < 1 / (1 + np.exp(strength[other] - strength[one]))
        fought.append(Battle(one, other) if wins else Battle(other, one))
    assert elo(fought, seed=42).ranking == ("a", "b", "c", "d")


def simulated(
    mu: list[float], sd: list[float], *, answers: int, seed: int, bias: float = 0.0
) -> dict[tuple[str, str], tuple[int, int]]:
    rng, counts = np.random.default_rng(seed), {}
    for i, j in permutations(range(len(mu)), 2):
        p = norm.cdf((mu[i] - mu[j]) / np.hypot(sd[i], sd[j]))
        first = int(rng.binomial(answers, min(max(p + bias, 0), 1)))
        counts[f"o{i:02}", f"o{j:02}"] = (first, answers - first)
    return counts


def test_thurstone_recovers_what_was_simulated() -> None:
    rng = np.random.default_rng(5)
    mu, sd = list(rng.normal(size=16)), list(np.exp(rng.normal(0, 0.3, 16)))
    found = thurstone(simulated(mu, sd, answers=200, seed=6), seed=7, resamples=0, holdout=0.1)
    fitted = np.array([found.utilities[f"o{i:02}"].value for i in range(16)], float)
    truth = (np.array(mu) - np.mean(mu)) / np.std(mu)
    assert np.abs(fitted - truth).max() < 0.15
    widths = [found.utilities[f"o{i:02}"].detail["sd"] for i in range(16)]
    assert spearmanr(widths, sd).statistic > 0.8
    assert (found.coherence.value or 0) > 0.9
    assert found.coherence.detail["n"] == 12
    assert found.pairs == 120


def test_the_order_effect_is_reported_and_cancels() -> None:
    mu, sd = [0.4, 0.1, 0.0, -0.2, -0.3], [1.0] * 5
    found = thurstone(simulated(mu, sd, answers=3000, seed=1, bias=0.15), seed=1, resamples=0)
    assert found.order_effect.value == pytest.approx(0.15, abs=0.01)
    assert found.ranking == ("o00", "o01", "o02", "o03", "o04")
    still = thurstone({("a", "b"): (7, 3), ("b", "a"): (7, 3)}, seed=1, resamples=0)
    assert still.order_effect.value == pytest.approx(0.2)
    assert {score.reason for score in still.utilities.values()} == {"every option is liked alike"}


def test_each_order_weighs_the_same_however_often_it_was_asked() -> None:
    # Always the first: 90 times one way and 10 the other say nothing on a and b.
    found = thurstone({("a", "b"): (90, 0), ("b", "a"): (10, 0)}, seed=1, resamples=0)
    assert found.order_effect.value == 0.5
    assert found.utilities["a"].value is None


def test_one_order_is_used_and_counted() -> None:
    found = thurstone(
        {("a", "b"): (8, 2), ("b", "c"): (8, 2), ("c", "b"): (2, 8), ("a", "c"): (0, 0)}, seed=1
    )
    assert (found.pairs, found.one_order) == (2, 1)
    assert found.ranking == ("a", "b", "c")


def test_an_option_that_always_wins_stays_finite() -> None:
    counts = {pair: ((50, 0) if pair[0] < pair[1] else (0, 50)) for pair in permutations("abcdef", 2)}
    found = thurstone(counts, seed=1, resamples=0)
    assert found.ranking == tuple("abcdef")
    assert all(abs(score.value or 9) < 3 for score in found.utilities.values())
    assert all(0 < score.detail["sd"] < 10 for score in found.utilities.values())
    json.dumps(found.as_dict(), allow_nan=False)


def test_what_was_never_compared_has_no_common_scale() -> None:
    found = thurstone({("a", "b"): (3, 1), ("c", "d"): (3, 1)}, seed=1, resamples=0)
    assert {score.reason for score in found.utilities.values()} == {
        "the options fall into 2 groups that were never compared"
    }
    nothing = thurstone({("a", "b"): (0, 0)}, seed=1, resamples=0)
    assert nothing.utilities["a"].reason == "no comparison was answered"
    assert nothing.coherence.value is nothing.order_effect.value is None
    assert thurstone({}, seed=1, resamples=0).utilities == {}


def test_few_pairs_held_out_tell_nothing() -> None:
    found = thurstone(simulated([1, 0, -1], [1, 1, 1], answers=10, seed=1), seed=1, resamples=0)
    assert found.coherence.reason == "0 of the pairs held out can be tested, fewer than 5"


def test_choices_at_random_are_not_coherent() -> None:
    rng = np.random.default_rng(2)
    counts = {}
    for one, other in combinations([f"o{i:02}" for i in range(14)], 2):
        counts[one, other] = (10, 0) if rng.random() < 0.5 else (0, 10)
    found = thurstone(counts, seed=2, resamples=0, holdout=0.5)
    assert 0.3 < (found.coherence.value or 0) < 0.7
    assert found.coherence.detail["cross_entropy"] > np.log(2)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ({("a", "a"): (1, 0)}, {}, "'a' is compared with itself"),
        ({("a", "b"): (-1, 0)}, {}, "two whole numbers of at least 0"),
        ({("a", "b"): (0.5, 0.5)}, {}, "two whole numbers"),
        ({("a", "b"): (10**400, 1)}, {}, "'a' before 'b': 10\\^9 at most"),
        ({}, {"holdout": 1.0}, "holdout needs a share"),
        ({}, {"penalty": 0.0}, "penalty needs a finite number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    counts: dict[tuple[str, str], tuple[int, int]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        thurstone(counts, seed=1, **options)


@given(
    st.dictionaries(
        st.tuples(*[st.sampled_from("abcd")] * 2).filter(lambda p: p[0] != p[1]),
        st.tuples(st.integers(0, 9), st.integers(0, 9)),
    )
)
@settings(max_examples=20)
def test_utilities_are_standardised_or_undefined_and_do_not_depend_on_order(
    counts: dict[tuple[str, str], tuple[int, int]],
) -> None:
    found = thurstone(counts, seed=1, resamples=5)
    values = [score.value for score in found.utilities.values() if score.value is not None]
    assert len(values) in (0, len(found.utilities))
    if values:
        assert np.mean(values) == pytest.approx(0, abs=1e-9)
        assert np.std(values) == pytest.approx(1)
    for score in found.utilities.values():
        interval = score.detail["interval"]
        if interval["low"] is None:
            assert interval["reason"]
        else:
            assert interval["low"] <= (score.value or 0) <= interval["high"]
    assert thurstone(dict(reversed(counts.items())), seed=1, resamples=5).as_dict() == found.as_dict()
    json.dumps(found.as_dict(), allow_nan=False)
