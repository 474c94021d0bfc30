"""Intervals of what a panel gives together: over its members, over their claims, over the sentences of an answer.

Each is a bootstrap whose statistic takes all resamples at once. A resample that draws somebody twice holds a
pair that does not differ and raters who cannot disagree: it would make any panel look more alike than it is.
Measures of pairs therefore rest on the pairs of two different members alone, each as often as it was drawn
(the vertex bootstrap of Snijders and Borgatti 1999, Connections 22(2), fills the others in with such pairs).

The order of the members does not show: whoever calls sorts what is given.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from multiplex.scoring.intervals import Estimate, bootstrap_counts, summarised
from multiplex.scoring.score import Score

__all__ = [
    "MOST_LEFT_OUT",
    "concordance",
    "coverage",
    "deviation",
    "divergence",
    "entropy",
    "every_group",
    "jackknife",
    "pairwise",
    "steering",
    "steering_by_sentences",
]

_Array = NDArray[np.float64]

_PAIRS = {"least": 3, "most_undefined": 0.2}
"""Of three members a resample in nine holds one alone, and so no pair; of two, every other one."""

MOST_LEFT_OUT = 100
"""Of how many members each is still left out once, for a jackknife."""

_MOST = 1000
"""Of how many members pairs are still resampled."""

_CELLS = 1_000_000
"""How many numbers of resamples are held at once, so that memory stays bounded."""

_RESAMPLES = 1000
_SAME = 1e-9


def entropy(rows: Sequence[Sequence[float]], *, seed: int = 0, over: str = "personas") -> Estimate:
    """Return H(mean row) / ln K with its interval, over the rows, each a distribution over K >= 2 options."""
    given = np.array(rows, float)
    most = math.log(given.shape[1])

    def statistic(counts: _Array) -> _Array:
        found: _Array = np.clip(_nats(counts @ given / len(given)) / most, 0, 1)
        return found

    return bootstrap_counts(statistic, len(given), method="moved", over=over, seed=seed)


def divergence(rows: Sequence[Sequence[float]], *, seed: int = 0, over: str = "personas") -> Estimate:
    """Return (H(mean row) - mean H(row)) / ln min(n, K) with its interval, over the rows, K >= 2."""
    given = np.array(rows, float)
    within, n = _nats(given), len(given)
    most = math.log(max(min(given.shape), 2))

    def statistic(counts: _Array) -> _Array:
        found: _Array = np.clip((_nats(counts @ given / n) - counts @ within / n) / most, 0, 1)
        return found

    return bootstrap_counts(statistic, n, method="moved", over=over, seed=seed)


def pairwise(apart: Sequence[Sequence[float]] | _Array, *, seed: int = 0, over: str = "personas") -> Estimate:
    """Return the mean over pairs of different members of a symmetric n by n table, with its interval."""
    table = np.array(apart, float)
    if len(table) > _MOST:
        value = Score(float(table.sum()) / (len(table) * (len(table) - 1)))
        return _too_many(value, len(table), _MOST, "percentile", over)

    def statistic(counts: _Array) -> _Array:
        return _over((counts @ table * counts).sum(axis=1), _pairs(counts))

    return bootstrap_counts(statistic, len(table), over=over, seed=seed, **_PAIRS)  # type: ignore[arg-type]


def jackknife(
    value: float,
    left_out: Sequence[float],
    n: int,
    *,
    level: float = 0.95,
    most: float = 1.0,
    over: str = "personas",
) -> Estimate:
    """Return the interval of a score in [0, most] from its values with each of n >= 3 members left out.

    `left_out` holds one value a member, or nothing where there are too many of them.

    value ± t_(n-1) s, s² = ((n - 1) / n) sum (v_i - mean v)², kept inside [0, most]. On average s² is no smaller
    than the variance for n - 1 members, whatever the statistic (Efron and Stein 1981, The Jackknife Estimate
    of Variance, Annals of Statistics 9): the interval is rather too wide.
    """
    told = Score(value)
    if n < 3:
        reason = f"an interval needs three {over}"
        return Estimate(told, None, None, level, n, 0, 0, reason, "jackknife", over)
    if len(left_out) < n:
        return _too_many(told, n, MOST_LEFT_OUT, "jackknife", over)
    without = np.array(left_out)
    spread = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * spread
    low, high = max(0.0, value - reach), min(most, value + reach)
    return Estimate(told, low, high, level, n, n, 0, None, "jackknife", over)


def concordance(deviations: _Array, *, seed: int = 0) -> Estimate:
    """Return Kendall's W with its interval over raters, from mid-ranks less their mean, shape (m, n).

        W = (q + (m - 1) c) / (m q)      q: mean square, c: mean product of two different raters' rows

    which is W itself where everyone is drawn once.
    """
    m = len(deviations)
    squares = (deviations**2).sum(axis=1)

    def statistic(counts: _Array) -> _Array:
        together = ((counts @ deviations) ** 2).sum(axis=1) - counts**2 @ squares
        product, square = _over(together, _pairs(counts)), counts @ squares / m
        found: _Array = np.clip(_over(square + (m - 1) * product, m * square), 0, 1)
        return found

    return bootstrap_counts(
        statistic,
        m,
        over="raters",
        seed=seed,
        **_PAIRS,  # type: ignore[arg-type]
    )


def coverage(carried: Sequence[tuple[int, int]], *, seed: int = 0) -> Estimate:
    """Return the share of personas with at least half of their claims carried, over the claims of each.

    `carried` holds for each persona how many claims are carried, and how many there are (one or more). The
    personas stay; of each as many claims are drawn as it made, so that what is carried is a binomial number.
    """
    k, n = np.array(sorted(carried)).T
    drawn = np.random.default_rng(seed).binomial(n, k / n, size=(_RESAMPLES, len(n)))
    values = (2 * drawn >= n).mean(axis=1)
    return summarised(float((2 * k >= n).mean()), values, int(n.sum()), over="claims")


def every_group(
    votes: Sequence[tuple[int, int]], *, extra: int = 1, over: str = "personas", seed: int = 0
) -> Estimate:
    """Return the product over groups of (agree + extra) / (n + 2 extra), over the votes within each group.

    `votes` holds how many of a group agree, and how many voted, at least one of them somewhere; with `extra`
    0 everywhere. No interval where nobody shares a group with another voter: each vote stands for itself then.
    """
    agree, n = np.array(sorted(votes)).T
    value = float(((agree + extra) / (n + 2 * extra)).prod())
    if n.max() < 2:
        reason = f"an interval needs two {over} in one group"
        return Estimate(Score(value), None, None, 0.95, int(n.sum()), 0, 0, reason, over=over)
    drawn = np.random.default_rng(seed).binomial(n, agree / np.maximum(n, 1), size=(_RESAMPLES, len(n)))
    values = ((drawn + extra) / (n + 2 * extra)).prod(axis=-1)
    return summarised(value, values, int(n.sum()), over=over)


def deviation(means: Sequence[Sequence[float]], *, seed: int = 0) -> Estimate:
    """Return the mean over dimensions of the population deviation of groups' means, over the groups.

    By the pairs of different groups, as all measures of pairs: the square of a deviation over g groups is
    (g - 1) / 2 g times their mean squared difference. Every dimension draws groups of its own.
    """
    value, told = 0.0, []
    draws = max(200, min(_RESAMPLES, 10 * _CELLS // max(map(len, means))))
    for place, given in enumerate(sorted(map(sorted, means))):
        column, g = np.array(given, float), len(given)
        value += float(column.std()) / len(means)
        column -= column.mean()
        counts = np.random.default_rng([seed, place]).multinomial(g, [1 / g] * g, size=draws).astype(float)
        squares = np.maximum(g * (counts @ column**2) - (counts @ column) ** 2, 0)  # over all pairs, halved
        told.append(np.sqrt(_over(2 * squares, _pairs(counts)) * (g - 1) / (2 * g)))
    groups = sum(map(len, means))
    if min(map(len, means)) < 3:
        reason = "an interval needs three groups in every dimension"
        return Estimate(Score(value), None, None, 0.95, groups, 0, 0, reason, over="groups")
    values = np.mean(told, axis=0)
    return summarised(value, values, groups, most_undefined=_PAIRS["most_undefined"], over="groups")


def steering(
    right: Sequence[float], claimed: Sequence[Sequence[float]], margins: Sequence[float], *, seed: int = 0
) -> Mapping[str, Estimate]:
    """Return accuracy, macro-F1 and margin of steered answers with their intervals, over the personas.

    `claimed[i][j]` is how much of answer i is nearest to persona j, `right` its diagonal. Who is not drawn is
    no class of macro-F1, but what his answer would have claimed of others is gone too.
    """
    hits, table, n = np.array(right), np.array(claimed), len(right)

    def f1(counts: _Array) -> _Array:
        of = 2 * counts * hits / np.maximum(counts @ table + counts, _SAME)
        found: _Array = np.clip((counts * of).sum(axis=1) / n, 0, 1)
        return found

    def mean(of: _Array) -> Estimate:
        return bootstrap_counts(lambda counts: counts @ of / n, n, over="personas", seed=seed)

    return {
        "accuracy": mean(hits),
        "macro_f1": bootstrap_counts(f1, n, over="personas", seed=seed),
        "margin": mean(np.array(margins)),
    }


def steering_by_sentences(
    answers: Sequence[Sequence[Sequence[float]]], *, seed: int = 0
) -> Mapping[str, Estimate]:
    """Return accuracy, macro-F1 and margin with their intervals over the sentences of each answer.

    `answers[i]` holds a row for each sentence of the answer steered to persona i: how near it is to every
    persona. An answer's nearness is the mean over its sentences; the personas stay.
    """
    rng = np.random.default_rng(seed)
    given = [np.array(rows, float) for rows in answers]
    whole = np.stack([rows.mean(axis=0) for rows in given])[None]
    drawn = [rng.multinomial(len(rows), [1 / len(rows)] * len(rows), size=_RESAMPLES) for rows in given]
    at_once = max(1, _CELLS // len(given) ** 2)
    parts = []
    for start in range(0, _RESAMPLES, at_once):
        block = [counts[start : start + at_once] for counts in drawn]
        near = [counts @ rows / len(rows) for counts, rows in zip(block, given, strict=True)]
        parts.append(_steered(np.stack(near, axis=1)))
    told = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sentences = sum(map(len, given))
    return {
        name: summarised(float(value[0]), told[name], sentences, over="sentences")
        for name, value in _steered(whole).items()
    }


def _steered(near: _Array) -> dict[str, _Array]:
    """Return accuracy, macro-F1 and margin of each of r tables, shape (r, n, n)."""
    n = near.shape[1]
    nearest = near >= near.max(axis=2, keepdims=True) - _SAME
    shares = nearest / nearest.sum(axis=2, keepdims=True)
    right = np.diagonal(shares, axis1=1, axis2=2)
    own = np.diagonal(near, axis1=1, axis2=2)
    rival = np.where(np.eye(n, dtype=bool), -np.inf, near).max(axis=2)
    return {
        "accuracy": right.mean(axis=1),
        "macro_f1": (2 * right / (shares.sum(axis=1) + 1)).mean(axis=1),
        "margin": (own - rival).mean(axis=1),
    }


def _too_many(value: Score, n: int, most: int, method: str, over: str) -> Estimate:
    reason = f"{n} {over}: no more than {most} are resampled"
    return Estimate(value, None, None, 0.95, n, 0, 0, reason, method, over)


def _pairs(counts: _Array) -> _Array:
    """Return how many ordered pairs of two different members each resample holds."""
    found: _Array = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
    return found


def _over(above: _Array, below: _Array) -> _Array:
    found: _Array = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > _SAME)
    return found


def _nats(shares: _Array) -> _Array:
    logs = np.log(shares, out=np.zeros(shares.shape), where=shares > 0)
    nats: _Array = -(shares * logs).sum(axis=-1)
    return nats
