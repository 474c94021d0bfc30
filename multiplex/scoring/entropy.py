"""Entropy and divergence of distributions, and the perspective entropy built on them."""

import math
from collections.abc import Mapping, Sequence

from multiplex.errors import near_miss
from multiplex.scoring.score import Score

__all__ = ["generalised_jsd", "js_distance", "normalised_entropy", "shannon_entropy", "total_variation"]


def shannon_entropy(shares: Sequence[float]) -> float:
    """Return -sum p ln p in nats, in [0, ln len(shares)], with 0 ln 0 = 0; the shares add up to 1."""
    nats = -math.fsum(p * math.log(p) for p in shares if p > 0)
    return min(max(0.0, nats), math.log(len(shares)))


def js_distance(p: Sequence[float], q: Sequence[float]) -> float:
    """Return the Jensen-Shannon distance, base 2, in [0, 1]: sqrt(KL(p||m)/2 + KL(q||m)/2), m = (p+q)/2.

    Base 2, unlike scipy's default of base e, whose largest value is 0.8326.
    """
    terms: list[float] = []
    for a, b in zip(p, q, strict=True):
        m = a / 2 + b / 2
        terms.extend(x * math.log2(x / m) / 2 for x in (a, b) if x > 0 and m > 0)
    return math.sqrt(min(max(0.0, math.fsum(terms)), 1.0))


def total_variation(p: Sequence[float], q: Sequence[float]) -> float:
    """Return half the sum of absolute differences, in [0, 1]: the share that has to move."""
    return min(math.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2, 1.0)


def generalised_jsd(distributions: Sequence[Sequence[float]]) -> float:
    """Return (H(mean p) - mean H(p)) / ln min(n, K) for n distributions over K classes, in [0, 1].

    0 where all are the same, however uncertain each is; 1 where as many as can be are certain of
    different classes in equal parts. It needs n >= 2 and K >= 2.
    """
    n, classes = len(distributions), len(distributions[0])
    mean = [math.fsum(column) / n for column in zip(*distributions, strict=True)]
    within = math.fsum(shannon_entropy(each) for each in distributions) / n
    divergence = (shannon_entropy(mean) - within) / math.log(min(n, classes))
    return min(max(0.0, divergence), 1.0)


def normalised_entropy(counts: Mapping[str, float], perspectives: Sequence[str]) -> Score:
    """Return how evenly counts spread over a fixed list of K perspectives, in [0, 1].

        PDS_c = n_c / sum n        value = -sum PDS_c ln PDS_c / ln K

    K is the length of `perspectives`, classes without a count included: two equal classes of six score
    ln 2 / ln 6, not 1. "None of these" is not a perspective and is left out by the caller. The detail
    keeps `counts` and `shares` of all K classes, `classes` (K), `total` and `nats`, so that the score
    can be computed again under another list. Undefined where K < 2 or nothing was counted.

    After WorldView-Bench (arXiv 2505.09595), which does not print its normalisation; ln K is this
    project's reading.

    Raises ValueError where a perspective is listed twice, or a count is unlisted, negative or not finite.
    """
    if len(set(perspectives)) != len(perspectives):
        raise ValueError("perspectives: one is listed twice")
    for name, count in counts.items():
        if name not in perspectives:
            raise ValueError(f"counts: {name!r} is not on the list; {near_miss(name, perspectives)}")
        if not (math.isfinite(count) and count >= 0):
            raise ValueError(f"counts: {name!r} needs a finite number of at least 0, not {count!r}")
    full = {name: counts.get(name, 0) for name in perspectives}
    total = math.fsum(full.values())
    detail = {"counts": full, "classes": len(full), "total": total}
    if len(full) < 2:
        return Score.undefined(f"a list of {len(full)} perspectives leaves nothing to spread over", **detail)
    if not total:
        return Score.undefined("no perspective was referenced", **detail)
    shares = {name: count / total for name, count in full.items()}
    nats = shannon_entropy(list(shares.values()))
    return Score(nats / math.log(len(full)), detail={**detail, "shares": shares, "nats": nats})
