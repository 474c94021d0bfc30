"""Juries: how good an answer is for a panel, and what juries of a declared composition would say."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multiplex.scoring.intervals import no_interval
from multiplex.scoring.sample_intervals import p_mean
from multiplex.scoring.score import Score

__all__ = ["jury_verdict", "jury_welfare"]


def jury_welfare(supports: Mapping[str, float | None], *, p: float = 1.0) -> Score:
    """Return the p-mean of the jurors' supports, in [least support, greatest support].

        w_p = ((1/n) sum_i j_i^p)^(1/p)

    for supports j_i >= 0 in any one unit, such as [0, 1] or endorsements of 1 to 7; None abstains. p = 1 is
    the utilitarian mean, p = 0 the limit, Nash's geometric mean, p = -inf the minimum (Rawls), p = inf
    the maximum; w_p never falls as p grows. One support of 0 makes w_p 0 for every p <= 0: that is the
    limit as the support goes to 0, and `zeros` counts them. The detail holds `p`
    (infinities as the words "-inf" and "inf"), the `n` jurors, `abstained`, `zeros`, `minimum`, `mean`
    and `maximum`, and the 95 % bootstrap `interval` over the jurors: None with a `reason` below two, and for
    infinite p, because no resample reaches beyond an extreme. Undefined where nobody states a support.

    Source: Sorensen et al., A Roadmap to Pluralistic Alignment, arXiv 2402.05070 (jury-pluralistic
    benchmarks).

    Raises ValueError for a support below 0 or not finite, or where p is not a number.
    """
    if math.isnan(p):
        raise ValueError("p is a number, or infinite; not NaN")
    stated = sorted(_stated(supports, least=0.0))
    n, abstained = len(stated), len(supports) - len(stated)
    power = p if math.isfinite(p) else str(p)  # JSON has no infinity
    detail: dict[str, Any] = {"p": power, "n": n, "abstained": abstained, "zeros": stated.count(0.0)}
    if not stated:
        reason = "everyone abstained" if supports else "there is no juror"
        nothing = no_interval(reason, over="jurors")
        return Score.undefined(reason, minimum=None, mean=None, maximum=None, interval=nothing, **detail)
    least, most = stated[0], stated[-1]
    detail |= {"minimum": least, "mean": statistics.mean(stated), "maximum": most}  # exact, rounded once
    value = detail["mean"] if p == 1 else min(max(_p_mean(stated, p), least), most)
    return Score(value, detail={**detail, "interval": p_mean(stated, p, over="jurors").beside()})


def _p_mean(stated: Sequence[float], p: float) -> float:
    """Return the p-mean of sorted supports by their logarithms, which neither over- nor underflow."""
    positive = [each for each in stated if each > 0]
    if abs(p) > 1e15:  # n^(1/p) is 1 by then: the limits
        return stated[-1] if p > 0 else stated[0]
    if not positive or (p <= 0 and len(positive) < len(stated)):
        return 0.0
    n = len(stated)
    logs = [math.log(each) for each in positive]
    centre = math.fsum(logs) / len(logs)
    powers = [p * (each - centre) for each in logs]
    greatest = max(map(abs, powers))
    if p == 0 or greatest == 0:
        spread = 0.0
    elif greatest < 1:  # as p goes to 0 this keeps the digits that exp would round away
        spread = math.log1p(math.fsum(map(math.expm1, powers)) / len(powers)) / p
    else:
        top = max(powers)
        spread = (top + math.log(math.fsum(math.exp(each - top) for each in powers) / len(powers))) / p
    share = math.log(len(positive) / n) / p if len(positive) < n else 0.0  # what the zeros take, p > 0
    return math.exp(min(centre + spread + share, logs[-1]))


def jury_verdict(
    supports_by_group: Mapping[str, Mapping[str, float | None]],
    composition: Mapping[str, float],
    *,
    seats: int = 12,
    juries: int = 100,
    interval: float = 0.95,
    seed: int,
) -> Score:
    """Return the median, over sampled juries of a declared composition, of the jury's mean support.

    `supports_by_group` maps each group to its personas' supports, in any one unit; None abstains and is
    never drawn. `composition` maps groups to their weight on a jury; `seats` are shared out by it, by
    largest remainders, so that weights which are whole numbers adding up to `seats` are met exactly. A
    group without a weight is not heard. Jurors are drawn from their group with `seed`, independently
    and with replacement: a panel often has fewer personas in a group than the group has seats. The
    detail holds `interval`, the central share of the juries' means that was asked for as [low, high]
    (how far juries differ, no confidence interval of a population), `seats` by group, `juries`, and
    `drawn_from`, how many could be drawn in each group. Undefined where a group with a seat has nobody
    who states a support; `missing` names it.

    Source: Gordon et al., Jury Learning, arXiv 2202.02950; sharing out the seats and drawing with
    replacement are this project's.

    Raises ValueError for a weight below 0, weights that are all 0, a support that is not finite, fewer
    than one seat or jury, or an `interval` outside (0, 1).
    """
    if seats < 1 or juries < 1:
        raise ValueError(f"a verdict needs a seat and a jury, not {seats!r} seats and {juries!r} juries")
    if not 0 < interval < 1:
        raise ValueError(f"interval is between 0 and 1, not {interval!r}")
    taken = _seats(composition, seats)
    drawable = {group: _stated(supports_by_group.get(group, {})) for group in taken}
    detail: dict[str, Any] = {
        "seats": taken,
        "juries": juries,
        "drawn_from": {group: len(pool) for group, pool in drawable.items()},
    }
    missing = sorted(group for group, count in taken.items() if count and not drawable[group])
    if missing:
        reason = f"nobody states a support for the seats of {', '.join(missing)}"
        return Score.undefined(reason, interval=None, missing=missing, **detail)
    draw = np.random.default_rng(seed)
    total = np.zeros(juries)
    for group, count in taken.items():
        if count:
            pool = np.array(drawable[group])
            total += pool[draw.integers(len(pool), size=(juries, count))].sum(axis=1)
    means = total / seats
    tail = (1 - interval) / 2
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return Score(float(np.median(means)), detail={"interval": [low, high], "missing": [], **detail})


def _stated(supports: Mapping[str, float | None], least: float = -math.inf) -> list[float]:
    """Return the supports that are stated, in the order of the jurors' names."""
    for juror, support in supports.items():
        if support is not None and not (math.isfinite(support) and support >= least):
            bound = "" if math.isinf(least) else f" of at least {least:g}"
            raise ValueError(f"support of {juror!r}: needs a finite number{bound}, not {support!r}")
    return [float(value) for _, value in sorted(supports.items()) if value is not None]


def _seats(composition: Mapping[str, float], seats: int) -> dict[str, int]:
    """Share out seats by largest remainders; equal remainders go to the group whose name comes first."""
    for group, weight in composition.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight of {group!r}: needs a finite number of at least 0, not {weight!r}")
    largest = max(composition.values(), default=0)
    if not largest > 0:
        raise ValueError("the composition gives no group a weight")
    # By a power of two about as large as the largest, which loses no digit, so that no sum overflows.
    power = math.frexp(largest)[1]
    scaled = {group: math.ldexp(composition[group], -power) for group in sorted(composition)}
    whole = math.fsum(scaled.values())
    due = {group: seats * each / whole for group, each in scaled.items()}
    taken = {group: math.floor(each + 1e-9) for group, each in due.items()}
    by_remainder = sorted(due, key=lambda group: (taken[group] - due[group], group))
    for group in by_remainder[: seats - sum(taken.values())]:
        taken[group] += 1
    return taken
