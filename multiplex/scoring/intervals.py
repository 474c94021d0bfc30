"""Bootstrap intervals of any aggregate: over items, over seeds, or over items within seeds."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from multiplex.scoring.score import Score, plain

__all__ = [
    "Estimate",
    "bootstrap",
    "bootstrap_counts",
    "bootstrap_within",
    "interval_of",
    "no_interval",
    "summarised",
]

_T = TypeVar("_T")
_Array = NDArray[np.float64]

_CELLS = 1_000_000
"""How many counts of resamples are held at once, so that memory stays bounded."""

_RESAMPLES, _FEWEST = 1000, 200
"""How many resamples are drawn where nobody says, and how few of very many units."""

_MOST_KEPT = 64
"""Up to how many units the draws are kept for the next score of the same panel."""

_FEW = {2: "two", 3: "three"}

_WITHIN = "runs, and items within each"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score with the interval [low, high]; both are None, with a `reason`, where there is no interval.

    `over` says what was resampled (items, personas, claims, ...) and `n` how many of them there are; `method`
    how the interval was read off the resamples. `undefined` is how many of the `resamples` had no value; for
    `interval_of`, how many of the scores had none.
    """

    score: Score
    low: float | None
    high: float | None
    level: float
    n: int
    resamples: int
    undefined: int
    reason: str | None = None
    method: str = "percentile"
    over: str = "items"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result

    def beside(self) -> dict[str, Any]:
        """Return the same without the score, to stand beside it."""
        result = self.as_dict()
        del result["score"]
        return result


def bootstrap(
    data: Sequence[_T],
    statistic: Callable[[Sequence[_T]], Score | float | None],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
    most_undefined: float = 0.05,
    over: str = "items",
    seed: int,
) -> Estimate:
    """Return statistic(data) with a bootstrap interval of the stated level.

    Each resample draws as many of the data as there are, with replacement; an item is whatever is
    independent of the others: a question, a seed, a persona, a judgement. `percentile` takes the quantiles
    (1 - level) / 2 and (1 + level) / 2 of the resampled values, `bca` shifts them for bias and
    acceleration (Efron 1987), at the price of one more evaluation an item. Both are too narrow for few
    items: docs/scores.md, under "Intervals", has how often they hold the truth.

    A resample whose statistic is undefined (None, or a score without value) is left out and counted. There
    is no interval, and the `reason` says why, for fewer than two items, where the statistic itself is
    undefined, and where it is in more than the share `most_undefined` of the resamples.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap; Efron 1987, Better Bootstrap
    Confidence Intervals, Journal of the American Statistical Association 82.

    Raises ValueError for a level outside (0, 1), fewer than one resample, or another method.
    """
    _check(level, resamples)
    if method not in ("percentile", "bca"):
        raise ValueError(f"method needs 'percentile' or 'bca', not {method!r}")
    n = len(data)
    score = _scored(statistic(data)) if n else Score.undefined("there is no item")
    if n < 2 or score.value is None:
        reason = f"an interval needs two {over}" if n < 2 else f"{score.reason}"
        return Estimate(score, None, None, level, n, 0, 0, reason, method, over)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(n, size=n).tolist() for _ in range(resamples))
    values = [_scored(statistic([data[i] for i in draw])).value for draw in draws]
    left_out: list[float | None] = []
    if method == "bca":
        left_out = [_scored(statistic([*data[:i], *data[i + 1 :]])).value for i in range(n)]
    return _estimate(score, values, left_out, level, n, most_undefined, method, over)


def bootstrap_within(
    runs: Sequence[Sequence[_T]],
    statistic: Callable[[Sequence[Sequence[_T]]], Score | float | None],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    most_undefined: float = 0.05,
    seed: int,
) -> Estimate:
    """Return statistic(runs) with a percentile interval over runs (seeds) and the items within each.

    Each resample draws as many runs as there are with replacement, and from each drawn run as many items
    as it has, so that the interval holds both what differs between runs and what differs between items.
    The statistic gets the runs, each a sequence of items. Where items are the same questions in every run,
    the interval is wider than it need be. Undefined as in `bootstrap`, with runs for items; a run without
    items stays one.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8.

    Raises ValueError for a level outside (0, 1) or fewer than one resample.
    """
    _check(level, resamples)
    n = len(runs)
    score = _scored(statistic(runs)) if n else Score.undefined("there is no run")
    if n < 2 or score.value is None:
        reason = "an interval needs two runs" if n < 2 else f"{score.reason}"
        return Estimate(score, None, None, level, n, 0, 0, reason, over=_WITHIN)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = (runs[i] for i in rng.integers(n, size=n))
        sample = [[run[i] for i in rng.integers(len(run), size=len(run))] if run else run for run in drawn]
        values.append(_scored(statistic(sample)).value)
    return _estimate(score, values, [], level, n, most_undefined, "percentile", _WITHIN)


def interval_of(
    scores: Sequence[Score | float | None],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    over: str = "scores",
    seed: int,
) -> Estimate:
    """Return the mean of scores over seeds or items, with its percentile bootstrap interval.

    The mean is over the scores that have a value; `undefined` counts the others, and `n` those with one.
    Undefined where no score has a value; no interval below two. For few scores too narrow, as `bootstrap`.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap.

    Raises ValueError for a level outside (0, 1) or fewer than one resample.
    """
    _check(level, resamples)
    values = [value for each in scores if (value := _scored(each).value) is not None]
    n, undefined = len(values), len(scores) - len(values)
    if n < 2:
        missing = "no score has a value" if scores else "there is no score"
        score = Score(values[0]) if values else Score.undefined(missing)
        reason = f"an interval needs two {over}" if values else missing
        return Estimate(score, None, None, level, n, 0, undefined, reason, over=over)
    drawn = np.random.default_rng(seed).choice(np.array(values), size=(resamples, n))
    low, high = _quantiles(drawn.mean(axis=1), ((1 - level) / 2, (1 + level) / 2))
    return Estimate(Score(math.fsum(values) / n), low, high, level, n, resamples, undefined, over=over)


def bootstrap_counts(
    statistic: Callable[[_Array], _Array],
    units: int | Sequence[int],
    *,
    least: int = 2,
    resamples: int | None = None,
    level: float = 0.95,
    method: Literal["percentile", "moved"] = "percentile",
    most_undefined: float = 0.05,
    over: str = "items",
    seed: int,
) -> Estimate:
    """Return a bootstrap interval of a statistic that takes all resamples at once.

    `statistic` gets counts of shape (r, n), how often each of the n units was drawn into each of r
    resamples, and returns r values, NaN where undefined; a row of ones gives the score. `units` is n, or how
    many there are of each kind where some are alike: the counts are then of shape (r, kinds), and `units`
    themselves give the score. For panels of eight this takes tenths of a millisecond where `bootstrap` takes
    tens. Without `resamples` there are 1,000, and of more than 200 units fewer, down to 200. See
    `summarised` for `method`. Undefined as in `bootstrap`, but below `least` units.

    Raises ValueError for a level outside (0, 1), fewer than one resample, or fewer than none of a kind.
    """
    kinds = np.ones(units) if isinstance(units, int) else np.array(units, float)
    if (kinds < 0).any():
        raise ValueError(f"units needs numbers of at least 0, not {units}")
    n = int(kinds.sum())
    if resamples is None:
        resamples = min(_RESAMPLES, max(_FEWEST, _RESAMPLES * _FEWEST // max(n, 1)))
    _check(level, resamples)
    value = float(statistic(kinds[None])[0]) if n else math.nan
    score = Score(value) if math.isfinite(value) else Score.undefined("the statistic has no value")
    if n < least or score.value is None:
        reason = f"an interval needs {_FEW.get(least, least)} {over}" if n < least else f"{score.reason}"
        return Estimate(score, None, None, level, n, 0, 0, reason, method, over)
    values = np.concatenate([statistic(counts) for counts in _drawn(kinds, resamples, seed)])
    return summarised(value, values, n, level=level, method=method, most_undefined=most_undefined, over=over)


def summarised(
    value: float,
    values: _Array,
    n: int,
    *,
    level: float = 0.95,
    method: Literal["percentile", "moved"] = "percentile",
    most_undefined: float = 0.05,
    over: str,
) -> Estimate:
    """Return the interval of a score that its resampled values tell; NaN is undefined.

    `percentile` takes their quantiles. `moved`, for scores in [0, 1], takes twice their bias off these, and
    keeps inside: entropies of resamples are low on average, because a resample loses options and never gains
    one, and so did the panel when it was drawn (Efron and Tibshirani 1993, chapter 10). Either is widened,
    where need be, to hold the score. No interval where more than the share `most_undefined` is undefined.
    """
    score, known = Score(value), values[np.isfinite(values)]
    total, undefined = len(values), len(values) - len(known)
    if not len(known) or undefined > most_undefined * total:
        reason = f"undefined in {undefined} of {total} resamples"
        return Estimate(score, None, None, level, n, total, undefined, reason, method, over)
    ends = _quantiles(known, ((1 - level) / 2, (1 + level) / 2))
    if method == "moved":
        bias = float(known.mean()) - value
        ends = tuple(min(max(end - 2 * bias, 0.0), 1.0) for end in ends)  # type: ignore[assignment]
    low, high = min(ends[0], value), max(ends[1], value)
    return Estimate(score, low, high, level, n, total, undefined, None, method, over)


def no_interval(reason: str, *, over: str, n: int = 0, level: float = 0.95) -> dict[str, Any]:
    """Return what stands beside a score that has no interval: the same keys, and why."""
    return Estimate(Score.undefined(reason), None, None, level, n, 0, 0, reason, over=over).beside()


def _drawn(kinds: _Array, resamples: int, seed: int) -> Iterator[_Array]:
    """Yield how many of each kind are drawn into each resample, some resamples at a time."""
    n, at_once = int(kinds.sum()), max(1, _CELLS // len(kinds))
    if at_once >= resamples and n == len(kinds) <= _MOST_KEPT and kinds.all():
        yield _counts(n, resamples, seed)
        return
    rng, share = np.random.default_rng(seed), kinds / n
    for start in range(0, resamples, at_once):
        yield rng.multinomial(n, share, size=min(at_once, resamples - start)).astype(float)


@lru_cache(maxsize=16)
def _counts(n: int, resamples: int, seed: int) -> _Array:
    """Return the draws for a panel, the same for all of its scores, so that they are made once."""
    found: _Array = (
        np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    )
    found.flags.writeable = False
    return found


def _check(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level needs a number between 0 and 1, not {level}")
    if resamples < 1:
        raise ValueError(f"resamples needs at least 1, not {resamples}")


def _scored(result: Score | float | None) -> Score:
    if isinstance(result, Score):
        return result
    return Score.undefined("the statistic has no value") if result is None else Score(float(result))


def _estimate(
    score: Score,
    values: Sequence[float | None],
    left_out: Sequence[float | None],
    level: float,
    n: int,
    most_undefined: float,
    method: str,
    over: str,
) -> Estimate:
    defined = np.array([value for value in values if value is not None])
    total, undefined = len(values), len(values) - len(defined)
    ends: tuple[float, float] | None = ((1 - level) / 2, (1 + level) / 2)
    reason = None
    if undefined > most_undefined * total or not len(defined):
        ends, reason = None, f"undefined in {undefined} of {total} resamples"
    elif left_out and score.value is not None:
        ends = _bca(score.value, defined, left_out, level)
        reason = None if ends else "the bias or the acceleration cannot be told; percentile has an interval"
    low, high = _quantiles(defined, ends) if ends else (None, None)
    return Estimate(score, low, high, level, n, total, undefined, reason, method, over)


def _bca(
    value: float, resampled: _Array, left_out: Sequence[float | None], level: float
) -> tuple[float, float] | None:
    """Return the two quantiles to take; None where every resample lies on one side of the value."""
    jackknife = np.array([each for each in left_out if each is not None])
    below = float(np.mean(resampled < value) + np.mean(resampled == value) / 2)
    if len(jackknife) < len(left_out) or not 0 < below < 1:
        return None
    bias, offsets = ndtri(below), jackknife.mean() - jackknife
    spread = float((offsets**2).sum())
    acceleration = float((offsets**3).sum()) / (6 * spread**1.5) if spread else 0.0
    shifted = [bias + ndtri(end) for end in ((1 - level) / 2, (1 + level) / 2)]
    low, high = (float(ndtr(bias + z / (1 - acceleration * z))) for z in shifted)
    return (low, high) if 0 <= low <= high <= 1 else None


def _quantiles(values: _Array, ends: tuple[float, float]) -> tuple[float, float]:
    low, high = np.quantile(values, ends)
    return float(low), float(high)
