"""Agreement between raters: Krippendorff's alpha on verdicts, Kendall's W on rankings."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import krippendorff
import numpy as np
from numpy.typing import NDArray

from multiplex.scoring import sample_intervals
from multiplex.scoring.intervals import no_interval
from multiplex.scoring.panel_intervals import concordance
from multiplex.scoring.score import Score

__all__ = ["Level", "kendall_w", "krippendorff_alpha"]

Level = Literal["nominal", "ordinal", "interval", "ratio"]


def krippendorff_alpha(
    units: Iterable[Mapping[str, str | float | None]],
    *,
    level: Level = "nominal",
    order: Sequence[str] | None = None,
    distance: Callable[[float, float], float] | None = None,
    over: str = "units",
) -> Score:
    """Return 1 - D_o / D_e: 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement.

    A unit maps raters to the value they gave it; a missing value is None, or the rater left out.
    Numbers and words may not be mixed. Words are nominal, or ordinal with `order` naming them from the
    least up. The detail holds `units` that could be paired (those with two values or more), `raters`
    on them, their number of `ratings`, and `values`, how often each was given there. `interval` is the 95 %
    bootstrap interval over these units, all ratings of one kept together, and `over` what they are called
    there. Undefined where no unit has two ratings, or where all paired ratings are the same (D_e = 0).

    With `distance` numbers lie as far apart as it says (0 or more, the same both ways, 0 for two that are
    equal), in the place of the level's own distance; the detail's `level` is then "own".

    Computed by the library krippendorff. Source: Krippendorff, Content Analysis, chapter on reliability.

    Raises ValueError for an unknown level, and where values do not fit the level.
    """
    rated = [{rater: value for rater, value in unit.items() if value is not None} for unit in units]
    domain = _domain(set[str | float]().union(*(unit.values() for unit in rated)), level, order)
    paired = [unit for unit in rated if len(unit) > 1]
    place = {value: column for column, value in enumerate(domain)}
    columns = np.array([place[value] for unit in paired for value in unit.values()], dtype=np.int64)
    rows = np.repeat(np.arange(len(paired)), np.array([len(unit) for unit in paired], dtype=np.int64))
    shape = len(paired), len(domain)
    counts = np.bincount(rows * len(domain) + columns, minlength=math.prod(shape)).reshape(shape)
    tally = dict(zip(domain, counts.sum(axis=0).tolist(), strict=True))
    detail = {
        "units": len(paired),
        "raters": len(set[str]().union(*paired)),
        "ratings": len(columns),
        "values": {str(value): tally[value] for value in domain if tally[value]},
        "level": level if distance is None else "own",
    }
    reason = None
    if not paired:
        reason = "no unit was rated by two raters"
    elif sum(map(bool, tally.values())) < 2:
        reason = "all ratings are the same, so no disagreement could be expected"
    if reason:
        return Score.undefined(reason, **detail, interval=no_interval(reason, over=over, n=len(paired)))
    # Distances between words depend on their places alone.
    places = range(len(domain)) if isinstance(domain[0], str) else domain
    metric = level if distance is None else _metric(domain, distance)
    alpha = krippendorff.alpha(value_counts=counts, value_domain=list(places), level_of_measurement=metric)
    apart = None if metric == "ordinal" else _apart(places, level, distance)
    interval = sample_intervals.alpha(counts.astype(float), apart, over=over)
    return Score(float(alpha), detail={**detail, "interval": interval.beside()})


def _apart(
    values: Sequence[Any], level: Level, distance: Callable[[float, float], float] | None
) -> NDArray[np.float64]:
    """Return how far values lie apart at a level that is not ordinal, shape (V, V)."""
    numbers = np.array([float(value) for value in values])
    if distance is not None:
        return np.array([[distance(one, other) for other in numbers] for one in numbers], dtype=float)
    gaps: NDArray[np.float64] = np.abs(numbers[:, None] - numbers)
    if level == "nominal":
        return (gaps > 0).astype(float)
    if level == "ratio":
        sums = numbers[:, None] + numbers
        gaps = np.divide(gaps, sums, out=np.zeros_like(gaps), where=sums > 0)
    return gaps**2


def _metric(domain: Sequence[str | float], distance: Callable[[float, float], float]) -> Any:
    """Return a distance as the library takes it: of the places that two values have in the domain."""
    if any(isinstance(value, str) for value in domain):
        raise ValueError("distance: is between numbers, and these ratings are words")
    numbers = [float(value) for value in domain]
    table = np.array([[distance(one, other) for other in numbers] for one in numbers], dtype=float)
    if (
        not np.isfinite(table).all()
        or (table < 0).any()
        or (table != table.T).any()
        or table.diagonal().any()
    ):
        raise ValueError("distance: needs to be 0 or more, the same both ways, and 0 for two that are equal")

    def metric(v1: Any, v2: Any, i1: Any, i2: Any, n_v: Any, dtype: Any = float) -> Any:
        return table[np.asarray(i1, dtype=int), np.asarray(i2, dtype=int)].astype(dtype)

    return metric


def _domain(values: set[str | float], level: Level, order: Sequence[str] | None) -> list[str | float]:
    if level not in get_args(Level):
        raise ValueError(f"no level named {level!r}; the levels are {', '.join(get_args(Level))}")
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
    ranking ties everything. `interval` is the 95 % bootstrap interval over the rankings, None with a
    `reason` below three. Source: Kendall, Rank Correlation Methods, chapter 6.

    Raises ValueError where rankings have different lengths or hold what is not finite.
    """
    asked = list(rankings)
    rows = [row for row in asked if row is not None]
    m, n = len(rows), len(rows[0]) if rows else 0
    detail = {"rankings": m, "items": n, "abstained": len(asked) - m}
    if any(len(row) != n for row in rows):
        raise ValueError("rankings have different lengths")
    given = np.array(rows)
    if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
        raise ValueError("rankings need finite numbers")
    if m < 2 or n < 2:
        return Score.undefined(f"{m} rankings of {n} items: agreement needs two of each", **detail)
    # Twice a mid-rank's deviation from the mean (n + 1) / 2 is a whole number, and its squares add up to
    # (n^3 - n - T) / 3 in a ranking, so everything up to the quotient is exact.
    from scipy.stats import rankdata  # half a second to import

    deviations = (2 * rankdata(given, axis=1)).astype(np.int64) - (n + 1)
    spread = sum(total**2 for total in deviations.sum(axis=0).tolist())  # 4 S
    most = m * int((deviations**2).sum())
    if not most:
        return Score.undefined("every ranking ties every item", **detail)
    # In an order of their own, so that that of the raters does not show.
    interval = concordance(deviations[np.lexsort(deviations.T[::-1])].astype(float))
    return Score(spread / most, detail={**detail, "interval": interval.beside()})
