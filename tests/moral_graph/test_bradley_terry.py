"""Bradley-Terry scores, plain and with bounded influence of every pair."""

import math
from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression

from multiplex.moral_graph.bradley_terry import bradley_terry

Counts = dict[tuple[str, str], float]

# Wins of the American League East in 1987: Agresti, Categorical Data Analysis (1990), section 10.6.
# A row's wins over the teams in the order of the rows.
BASEBALL = {
    "Milwaukee": (0, 7, 9, 7, 7, 9, 11),
    "Detroit": (6, 0, 7, 5, 11, 9, 9),
    "Toronto": (4, 6, 0, 7, 7, 8, 12),
    "New York": (6, 8, 6, 0, 6, 7, 10),
    "Boston": (6, 2, 6, 7, 0, 7, 12),
    "Cleveland": (4, 4, 5, 6, 6, 0, 6),
    "Baltimore": (2, 4, 1, 3, 1, 7, 0),
}

counts = st.dictionaries(
    st.permutations("abcdef").map(lambda letters: (letters[0], letters[1])),
    st.integers(0, 8).map(lambda halves: halves / 2),
    max_size=15,
)
penalties = st.sampled_from([None, 0.5, 2.0])


def values_of(comparisons: Counts, *, prior: float = 0.1, penalty: float | None = None) -> dict[str, float]:
    scores = bradley_terry(comparisons, prior=prior, outlier_penalty=penalty).scores
    return {name: score.value for name, score in scores.items() if score.value is not None}


def test_three_wins_to_one_are_log_odds_of_log_three() -> None:
    found = values_of({("a", "b"): 3, ("b", "a"): 1}, prior=0)
    assert found["a"] - found["b"] == pytest.approx(math.log(3), abs=1e-7)
    assert found["a"] == pytest.approx(-found["b"], abs=1e-12)


def test_the_baseball_season_has_its_published_abilities() -> None:
    teams = list(BASEBALL)
    wins: Counts = {
        (team, teams[i]): n for team, row in BASEBALL.items() for i, n in enumerate(row) if teams[i] != team
    }
    found = values_of(wins, prior=0)
    # Over Baltimore, as in Turner and Firth, Bradley-Terry Models in R, Journal of Statistical Software 48
    # (2012), section 2.
    published = {"Boston": 1.1077, "Cleveland": 0.6839, "Detroit": 1.4364, "Milwaukee": 1.5814}
    published |= {"New York": 1.2476, "Toronto": 1.2945}
    for team, ability in published.items():
        assert found[team] - found["Baltimore"] == pytest.approx(ability, abs=5e-5)


@given(counts)
def test_the_plain_fit_is_the_logistic_regression_on_differences(comparisons: Counts) -> None:
    played = {pair: n for pair, n in comparisons.items() if n}
    if not played:
        return
    names = sorted({name for pair in played for name in pair})
    rows = np.array([[(n == w) - (n == loser) for n in names] for w, loser in played], dtype=float)
    design, outcome = np.vstack([rows, -rows]), np.repeat([1, 0], len(rows))
    weight = np.tile(list(played.values()), 2) / 2
    oracle = LogisticRegression(C=1 / 0.3, fit_intercept=False, tol=1e-10, max_iter=5000)
    oracle.fit(design, outcome, sample_weight=weight)
    found = values_of(played, prior=0.3)
    assert [found[name] for name in names] == pytest.approx(oracle.coef_[0].tolist(), abs=1e-4)


def test_the_bounded_fit_is_the_joint_minimum_over_scores_and_shifts() -> None:
    rng = np.random.default_rng(3)
    names, prior, penalty = "abcdefg", 0.2, 0.8
    pairs = list(combinations(range(7), 2))
    total = rng.integers(1, 10, len(pairs)).astype(float)
    wins = rng.binomial(total.astype(int), 0.5).astype(float)
    first, second = np.array(pairs).T
    bound = penalty * np.sqrt(total) / 2

    def loss(x: np.ndarray) -> float:
        scores, up, down = x[:7], x[7 : 7 + len(pairs)], x[7 + len(pairs) :]
        odds = scores[first] - scores[second] + up - down
        fit = total * np.logaddexp(0, odds) - wins * odds
        return float(fit.sum() + prior / 2 * (scores @ scores) + (bound * (up + down)).sum())

    # A pair of fewer than five comparisons may not lie off at all.
    limits = [(None, None)] * 7 + [(0, None if n >= 5 else 0) for n in total] * 2
    options = {"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-14, "gtol": 1e-7}
    oracle = minimize(loss, np.zeros(len(limits)), method="L-BFGS-B", bounds=limits, options=options)
    comparisons: Counts = {}
    for (i, j), n, w in zip(pairs, total, wins, strict=True):
        comparisons |= {(names[i], names[j]): w, (names[j], names[i]): n - w}
    found = values_of(comparisons, prior=prior, penalty=penalty)
    assert [found[name] for name in names] == pytest.approx(oracle.x[:7].tolist(), abs=2e-3)


@given(counts, penalties, st.randoms(use_true_random=False))
def test_scores_are_centred_and_do_not_depend_on_the_order(
    comparisons: Counts, penalty: float | None, random: Random
) -> None:
    fit = bradley_terry(comparisons, outlier_penalty=penalty)
    shuffled = list(comparisons.items())
    random.shuffle(shuffled)
    assert bradley_terry(dict(shuffled), outlier_penalty=penalty) == fit
    assert penalty or not fit.outliers
    assert {name for pair in comparisons for name in pair} == set(fit.scores)
    assert {name for part in fit.components for name in part} == {
        name for pair, n in comparisons.items() if n for name in pair
    }
    for part in fit.components:
        assert math.fsum(fit.scores[name].value or 0.0 for name in part) == pytest.approx(0, abs=1e-9)
    assert [each.excess for each in fit.outliers] == sorted((o.excess for o in fit.outliers), reverse=True)
    assert all(each.shift > 0 for each in fit.outliers)


@given(counts, penalties)
def test_reversed_comparisons_reverse_the_scores(comparisons: Counts, penalty: float | None) -> None:
    found = values_of(comparisons, penalty=penalty)
    back = values_of({(loser, winner): n for (winner, loser), n in comparisons.items()}, penalty=penalty)
    assert {name: -value for name, value in back.items()} == pytest.approx(found, abs=1e-4)


def test_reversed_pairs_are_found_and_single_comparisons_are_never_called_outliers() -> None:
    names = "abcdefgh"
    comparisons: Counts = dict.fromkeys(combinations(names, 2), 6)
    for winner, loser in ("ag", "bh"):
        comparisons[loser, winner] = comparisons.pop((winner, loser))
    fit = bradley_terry(comparisons, outlier_penalty=0.5)
    assert {(each.winner, each.loser) for each in fit.outliers} == {("g", "a"), ("h", "b")}
    assert all(each.excess == pytest.approx(6, abs=1) and each.shift > 3 for each in fit.outliers)
    scores = {name: score.value or 0.0 for name, score in fit.scores.items()}
    assert sorted(names, key=lambda name: -scores[name]) == list(names)
    assert bradley_terry(comparisons).outliers == ()
    singly = dict.fromkeys(comparisons, 1.0)
    assert bradley_terry(singly, outlier_penalty=0.5).outliers == ()


def simulated(seed: int, share: float, *, items: int = 24, judged: int = 5) -> tuple[Counts, list[float]]:
    """Return comparisons of half of all pairs, a share of them reversed, and the planted scores."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, items)
    pairs = [pair for pair in combinations(range(items), 2) if rng.random() < 0.5]
    chance = 1 / (1 + np.exp([truth[j] - truth[i] for i, j in pairs]))
    wins = rng.binomial(judged, chance)
    wrong = rng.permutation(len(pairs))[: round(share * len(pairs))]
    wins[wrong] = judged - wins[wrong]
    found: Counts = {}
    for (i, j), won in zip(pairs, wins.tolist(), strict=True):
        found |= {(f"{i:02}", f"{j:02}"): won, (f"{j:02}", f"{i:02}"): judged - won}
    return found, truth.tolist()


def mean_tau(share: float, penalty: float | None) -> float:
    taus = []
    for seed in range(6):
        comparisons, truth = simulated(seed, share)
        found = values_of(comparisons, penalty=penalty)
        taus.append(kendalltau(truth, [found[name] for name in sorted(found)]).statistic)
    return float(np.mean(taus))


@pytest.mark.parametrize(("share", "better_by"), [(0.0, -0.03), (0.1, 0.0), (0.2, 0.04), (0.3, 0.04)])
def test_reversed_pairs_hurt_the_bounded_fit_less_than_the_plain_one(share: float, better_by: float) -> None:
    assert mean_tau(share, 0.5) - mean_tau(share, None) >= better_by


def test_ties_everywhere_score_nought() -> None:
    fit = bradley_terry({pair: 0.5 for a, b in combinations("abc", 2) for pair in ((a, b), (b, a))})
    assert [score.value for score in fit.scores.values()] == pytest.approx([0, 0, 0], abs=1e-9)
    assert fit.outliers == ()


def test_an_item_that_won_everything_has_a_finite_score() -> None:
    found = values_of({("a", "b"): 40, ("b", "c"): 40})
    assert found["a"] > found["b"] > found["c"]
    assert max(found.values()) < 10


def test_ranks_are_comparable_within_components_which_are_reported() -> None:
    fit = bradley_terry({("a", "b"): 1, ("x", "y"): 1, ("y", "z"): 1, ("p", "q"): 0}, items=["lonely"])
    assert fit.components == (("x", "y", "z"), ("a", "b"))
    for name in ("lonely", "p", "q"):
        assert fit.scores[name].value is None
        assert fit.scores[name].reason == "was compared with nothing"


def test_nothing_compared_is_nothing_scored() -> None:
    assert bradley_terry({}).scores == {}
    assert bradley_terry({}, items=["a"]).scores["a"].value is None
    assert bradley_terry({}, prior=0).components == ()


@pytest.mark.parametrize(
    ("comparisons", "options", "message"),
    [
        ({("a", "a"): 1}, {}, "compared with itself"),
        ({("a", "b"): -1}, {}, "no count of wins"),
        ({("a", "b"): math.nan}, {}, "no count of wins"),
        ({("a", "b"): math.inf}, {}, "no count of wins"),
        ({}, {"prior": -0.1}, "prior=-0.1"),
        ({}, {"prior": math.nan}, "prior=nan"),
        ({}, {"outlier_penalty": 0.0}, "outlier_penalty=0.0"),
        ({}, {"prior": 0.0, "outlier_penalty": 1.0}, "needs a prior"),
        ({("a", "b"): 1}, {"prior": 0.0}, "no maximum of the likelihood"),
        ({("a", "b"): 1, ("b", "a"): 1, ("a", "c"): 1}, {"prior": 0.0}, "no maximum of the likelihood"),
    ],
)
def test_what_makes_no_sense_is_refused(comparisons: Counts, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bradley_terry(comparisons, **options)


def test_unanimous_verdicts_of_few_are_not_explained_away() -> None:
    # From verdicts a -> b 2 wiser and 1 not, b -> c 2 wiser, and one wiser each way between a and c.
    comparisons = {("b", "a"): 2.5, ("a", "b"): 0.5, ("c", "b"): 2.0, ("c", "a"): 1.0, ("a", "c"): 1.0}
    robust, plain = bradley_terry(comparisons, outlier_penalty=0.5), bradley_terry(comparisons)
    assert robust.scores == plain.scores
    assert robust.bounded == 0
    assert sorted(robust.scores, key=lambda name: robust.scores[name].value or 0.0) == ["a", "b", "c"]
