"""Agreement between raters: Krippendorff's alpha on verdicts, Kendall's W on rankings."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import krippendorff

from multiplex.scoring.score import Score

__all__ = ["Level", "kendall_w", "krippendorff_alpha"]

Level = Literal["nominal", "ordinal", "interval", "ratio"]


def krippendorff_alpha(
    units: Iterable[Mapping[str, str | float | None]],
    *,
    level: Level = "nominal",
    order: Sequence[str] | None = None,
) -> Score:
    """Return 1 - D_o / D_e: 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement.

    A unit maps raters to the value they gave it; a missing value is None, or the rater left out.
    Numbers and words may not be mixed. Words are nominal, or ordinal with `order` naming them from the
    least up. The detail holds `units` that could be paired (those with two values or more), `raters`
    on them, their number of `ratings`, and `values`, how often each was given there. Undefined where
    no unit has two ratings, or where all paired ratings are the same (D_e = 0).

    Computed by the library krippendorff. Source: Krippendorff, Content Analysis, chapter on reliability.

    Raises ValueError where values do not fit the level.
    """
    rated = [{rater: value for rater, value in unit.items() if value is not None} for unit in units]
    domain = _domain({value for unit in rated for value in unit.values()}, level, order)
    paired = [unit for unit in rated if len(unit) > 1]
    tally = Counter(value for unit in paired for value in unit.values())
    detail = {
        "units": len(paired),
        "raters": len({rater for unit in paired for rater in unit}),
        "ratings": tally.total(),
        "values": {str(value): tally[value] for value in domain if tally[value]},
        "level": level,
    }
    if not paired:
        return Score.undefined("no unit was rated by two raters", **detail)
    if len(tally) < 2:
        return Score.undefined("all ratings are the same, so no disagreement could be expected", **detail)
    counts = [[list(unit.values()).count(value) for value in domain] for unit in paired]
    # Distances between words depend on their places alone.
    places = range(len(domain)) if isinstance(domain[0], str) else domain
    alpha = krippendorff.alpha(value_counts=counts, value_domain=list(places), level_of_measurement=level)
    return Score(float(alpha), detail=detail)


def _domain(values: set[str | float], level: Level, order: Sequence[str] | None) -> list[str | float]:
    words = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    if words and numbers:
        raise ValueError("ratings mix words and numbers")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("ratings need finite numbers; a missing rating is None")
    if level == "ratio" and any(number < 0 for number in numbers):
        raise ValueError("ratings at ratio level need numbers of at least 0")
    if words and level in ("interval", "ratio"):
        raise ValueError(f"words have no {level} level; use nominal, or ordinal with an order")
    if words and level == "ordinal":
        if order is None or len(set(order)) != len(order) or not set(words) <= set(order):
            raise ValueError("ordinal words need an order that names each of them once")
        return list(order)
    return [*sorted(words), *sorted(numbers)]


def kendall_w(rankings: Iterable[Sequence[float] | None]) -> Score:
    """Return Kendall's coefficient of concordance with its correction for ties, in [0, 1].

        W = 12 S / (m^2 (n^3 - n) - m sum T),   T = sum (t^3 - t) over the ties of one ranking

    for m rankings of n items; position is the item, the number its rank, lower is better, equal is a
    tie, and S sums the squared deviations of the items' rank sums. Only the order of the numbers
    matters. None is an abstention. Undefined for fewer than two rankings or items, and where every
    ranking ties everything. Source: Kendall, Rank Correlation Methods, chapter 6.

    Raises ValueError where rankings have different lengths or hold what is not finite.
    """
    asked = list(rankings)
    rows = [row for row in asked if row is not None]
    m, n = len(rows), len(rows[0]) if rows else 0
    detail = {"rankings": m, "items": n, "abstained": len(asked) - m}
    if any(len(row) != n for row in rows):
        raise ValueError("rankings have different lengths")
    if not all(math.isfinite(rank) for row in rows for rank in row):
        raise ValueError("rankings need finite numbers")
    if m < 2 or n < 2:
        return Score.undefined(f"{m} rankings of {n} items: agreement needs two of each", **detail)
    # Doubled mid-ranks are whole numbers, so everything up to the quotient is exact.
    doubled = [[2 * sum(x < rank for x in row) + row.count(rank) + 1 for rank in row] for row in rows]
    sums = [sum(column) for column in zip(*doubled, strict=True)]
    spread = sum((n * each - sum(sums)) ** 2 for each in sums)  # 4 n^2 S
    ties = sum(t**3 - t for row in rows for t in Counter(row).values())
    most = m * m * (n**3 - n) - m * ties
    if not most:
        return Score.undefined("every ranking ties every item", **detail)
    return Score(3 * spread / (n * n * most), detail=detail)
