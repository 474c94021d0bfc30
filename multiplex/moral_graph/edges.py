"""Edges of a moral graph: their counts, what follows from them, and when an edge is kept."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Counts", "Edge", "Thresholds", "entropy_bits"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(_Frozen):
    """When an edge is kept: all three must hold. `profile` names the rules, so that others can follow."""

    profile: Literal["multiplex"] = "multiplex"
    min_wiser: Annotated[int, Field(ge=1)] = 2
    min_likelihood: Annotated[float, Field(gt=0, le=1)] = 0.33
    max_entropy: Annotated[float, Field(ge=0, le=2)] = 1.5


class Counts(_Frozen):
    """How often a move was judged what; `less_wise` counts the reversed move judged wiser.

    `impressions` is how often this very move was asked about: wiser + not_wiser + unsure + abstained.
    """

    wiser: int = 0
    not_wiser: int = 0
    less_wise: int = 0
    unsure: int = 0
    abstained: int = 0
    impressions: int = 0

    @property
    def total(self) -> int:
        """Verdicts that count: everything but abstentions."""
        return self.wiser + self.not_wiser + self.unsure + self.less_wise

    @property
    def likelihood(self) -> float | None:
        """(wiser - less_wise) / total, in [-1, 1]; None without a verdict."""
        return (self.wiser - self.less_wise) / self.total if self.total else None

    @property
    def entropy(self) -> float | None:
        """Shannon entropy, base 2, of the four verdict counts, in [0, 2]; None without a verdict."""
        return entropy_bits((self.wiser, self.not_wiser, self.unsure, self.less_wise))


class Edge(_Frozen):
    """One ordered pair of cards in one context.

    `likelihood` and `entropy` are those of the counts. `supporters` are the judges that said wiser,
    `transitions` the ids of the cases they were given.
    """

    source: str
    wiser: str
    context: str
    counts: Counts
    likelihood: float | None
    entropy: float | None
    kept: bool
    supporters: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()


def entropy_bits(counts: Sequence[int]) -> float | None:
    """Return the Shannon entropy of counts in bits, in [0, log2 len(counts)]; None where their sum is 0."""
    total = sum(counts)
    if not total:
        return None
    bits = -math.fsum(n / total * math.log2(n / total) for n in counts if n)
    return min(max(0.0, bits), math.log2(len(counts)))
