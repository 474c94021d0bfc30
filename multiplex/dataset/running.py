"""What one pass over rows keeps of them: means and shares with their intervals, and a sample."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Generic, TypeVar

from scipy.special import stdtrit

from multiplex.scoring.intervals import Estimate
from multiplex.scoring.score import Score

__all__ = ["Mean", "Sample", "difference", "rule_among", "share"]

_LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
_MOST_RULES, _OTHER = 100, "other rules"


T = TypeVar("T")


def rule_among(rule: str, counted: Mapping[str, object]) -> str:
    """Return under which name a rule is counted: its own, or of more than a hundred a common one."""
    return rule if rule in counted or len(counted) < _MOST_RULES else _OTHER


class Sample(Generic[T]):
    """A random sample of a stream, `size` of it or all (a reservoir: Vitter's algorithm R)."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._met, self._draw = size, 0, random.Random(seed)  # noqa: S311 (a sample is no secret)
        self._kept: list[tuple[int, T]] = []

    @property
    def kept(self) -> list[T]:
        """The sample, in the order of the stream."""
        return [each for _, each in sorted(self._kept, key=lambda each: each[0])]

    def offer(self, make: Callable[[], T]) -> None:
        """Count one more, and make it if it is to be kept."""
        self._met += 1
        if len(self._kept) < self._size:
            self._kept.append((self._met, make()))
        elif (place := self._draw.randrange(self._met)) < self._size:
            self._kept[place] = (self._met, make())


@dataclass(slots=True)
class Mean:
    """A mean of numbers that are not kept, with its interval by Student's t."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean of one number or more."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """The sample variance of two numbers or more."""
        return max(self.squares - self.n * self.mean * self.mean, 0.0) / (self.n - 1)

    def add(self, value: float) -> None:
        """Count a number."""
        self.n, self.total, self.squares = self.n + 1, self.total + value, self.squares + value * value

    def score(self, over: str, missing: str, *, within: tuple[float, float] = (-math.inf, math.inf)) -> Score:
        """Return the mean, its interval cut to `within`; undefined of no number, because of what is `missing`."""
        if not self.n:
            return Score.undefined(missing, interval=None)
        low = high = reason = None
        if self.n > 1:
            reach = _t(self.n - 1) * math.sqrt(self.variance / self.n)
            low, high = max(within[0], self.mean - reach), min(within[1], self.mean + reach)
        else:
            reason = f"an interval needs two {over}"
        return _scored(self.mean, low, high, self.n, "t", over, reason)


def difference(one: Mean, other: Mean, over: str, missing: str) -> Score:
    """Return by how much a mean is above another of other numbers, with Welch's interval of independent means.

    Source: Welch, The Generalization of `Student's' Problem when Several Different Population Variances are
    Involved, Biometrika 34 (1947).
    """
    if not one.n or not other.n:
        return Score.undefined(missing, interval=None)
    value, n = one.mean - other.mean, one.n + other.n
    if min(one.n, other.n) < 2:
        return _scored(value, None, None, n, "t", over, f"an interval needs two {over} of either kind")
    parts = [(mean.variance / mean.n, mean.n - 1) for mean in (one, other)]
    error = math.fsum(part for part, _ in parts)
    # Where neither varies, neither do the degrees of freedom matter.
    degrees = error**2 / math.fsum(part**2 / freedom for part, freedom in parts) if error else 1.0
    reach = _t(degrees) * math.sqrt(error)
    return _scored(value, value - reach, value + reach, n, "t", over, None)


def share(
    some: int, n: int, missing: str, *, over: str = "pairs", units: int | None = None, **detail: Any
) -> Score:
    """Return some / n with its Wilson interval.

    What is counted may come in fewer `units` that are independent, as sides come in pairs: what is of one unit
    then counts as if it were one and the same, so that the interval is never too narrow, and `n` of it is theirs.
    """
    if not n:
        return Score.undefined(missing, **detail, interval=None)
    share, z2 = some / n, _Z * _Z
    n = n if units is None else units
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = max(0.0, centre - reach), min(1.0, centre + reach)
    return _scored(share, min(low, share), max(high, share), n, "wilson", over, None, **detail)


def _t(degrees: float) -> float:
    """Return how many standard errors an interval reaches, by Student's t."""
    return float(stdtrit(degrees, (1 + _LEVEL) / 2))


def _scored(
    value: float,
    low: float | None,
    high: float | None,
    n: int,
    method: str,
    over: str,
    reason: str | None,
    **detail: Any,
) -> Score:
    around = Estimate(Score(value), low, high, _LEVEL, n, 0, 0, reason, method, over)
    return Score(value, detail={**detail, "interval": around.beside()})
