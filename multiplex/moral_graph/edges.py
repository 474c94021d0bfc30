"""Edges of a moral graph: their counts, what follows from them, and when an edge is kept."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MOST_COUNTED", "PROFILES", "Counts", "Edge", "Interval", "Profile", "Thresholds", "entropy_bits"]

Profile = Literal["multiplex", "dft"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(_Frozen):
    """When an edge is kept: all three must hold. `profile` names the rules that edges were made by.

    `dft` pools contexts and takes the entropy over five counts, impressions among them (up to log2 5);
    `multiplex` keeps contexts apart and takes it over the four verdicts (up to 2). `min_wiser` counts
    verdicts under `dft`, as published, and under `multiplex` the judges that gave them, where these are known.
    """

    profile: Profile = "multiplex"
    min_wiser: Annotated[int, Field(ge=1)] = 2
    min_likelihood: Annotated[float, Field(gt=0, le=1)] = 0.33
    max_entropy: Annotated[float, Field(ge=0, le=math.log2(5))] = 1.5

    def keep(self, counts: "Counts", *, judges: int | None = None) -> bool:
        """Tell whether an edge with these counts is kept.

        `judges` is how many different ones said wiser; None where that is not known, and the profile `dft` does
        not ask.
        """
        of_many = counts.wiser if judges is None or self.profile == "dft" else judges
        likelihood, entropy = counts.likelihood, counts.entropy(self.profile)
        return (
            likelihood is not None
            and entropy is not None
            and of_many >= self.min_wiser
            and likelihood >= self.min_likelihood
            and entropy <= self.max_entropy
        )


PROFILES: dict[Profile, Thresholds] = {
    "multiplex": Thresholds(),
    "dft": Thresholds(profile="dft", max_entropy=1.69),
}
"""The thresholds of each profile; those of `dft` are the published ones."""


_Likelihood = Annotated[float, Field(ge=-1, le=1)]


class Interval(NamedTuple):
    """Where a likelihood lies with the stated confidence; `level` lies in (0, 1)."""

    low: _Likelihood
    high: _Likelihood
    level: Annotated[float, Field(gt=0, lt=1)]


MOST_COUNTED = 10**9
"""The greatest count there can be: more than all people, and numbers that arithmetic takes without loss."""

_Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]


class Counts(_Frozen):
    """How often a move was judged what, 10^9 at most; `less_wise` counts the reversed move judged wiser.

    `impressions` is how often this very move was asked about (wiser + not_wiser + unsure + abstained); under
    the profile `dft` it is how often either direction got a verdict, as published.
    """

    wiser: _Count = 0
    not_wiser: _Count = 0
    less_wise: _Count = 0
    unsure: _Count = 0
    abstained: _Count = 0
    impressions: _Count = 0

    @property
    def total(self) -> int:
        """Verdicts that count: everything but abstentions."""
        return self.wiser + self.not_wiser + self.unsure + self.less_wise

    @property
    def judged(self) -> bool:
        """Whether this very move got a verdict; verdicts on the reversed move alone are none on it."""
        return self.total > self.less_wise

    @property
    def asked(self) -> int:
        """How often this very move was put to a judge."""
        return self.wiser + self.not_wiser + self.unsure + self.abstained

    @property
    def likelihood(self) -> float | None:
        """(wiser - less_wise) / total, in [-1, 1]; None without a verdict."""
        return (self.wiser - self.less_wise) / self.total if self.total else None

    def interval(self, level: float = 0.95) -> Interval | None:
        """Return a confidence interval of the likelihood, within [-1, 1]; None without a verdict.

        The likelihood is a difference of two shares of the same verdicts, so this is the adjusted Wald
        interval for paired proportions: with one verdict added to either share and two to the total,
        `d = p - q` and `d +- z sqrt((p + q - d^2) / (total + 2))`. Verdicts count as independent; those of
        simulated judges that share a model are not, and the interval is then too narrow.

        Source: Bonett and Price, Adjusted Wald Confidence Interval for a Difference of Binomial Proportions
        Based on Paired Data, Journal of Educational and Behavioral Statistics 37 (2012).
        """
        if not self.total:
            return None
        n = self.total + 2
        p, q = (self.wiser + 1) / n, (self.less_wise + 1) / n
        reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((p + q - (p - q) ** 2) / n)
        return Interval(max(-1.0, p - q - reach), min(1.0, p - q + reach), level)

    def entropy(self, profile: Profile = "multiplex") -> float | None:
        """Return the Shannon entropy of the counts, base 2; None without a verdict.

        Over the four verdicts, in [0, 2]; under the profile `dft` over these and the impressions, as in the
        published code, in [0, log2 5].
        """
        verdicts = (self.wiser, self.not_wiser, self.less_wise, self.unsure)
        if not self.total:
            return None
        return entropy_bits((*verdicts, self.impressions) if profile == "dft" else verdicts)


class Edge(_Frozen):
    """One ordered pair of cards: in one context, or in all that it was judged in (profile `dft`).

    `likelihood` and `interval` (within [-1, 1]) and `entropy` are those of the counts. `supporters` are the
    judges that said wiser, `transitions` the ids of the cases they were given.
    """

    source: str
    wiser: str
    contexts: tuple[str, ...]
    counts: Counts
    likelihood: _Likelihood | None
    interval: Interval | None
    entropy: Annotated[float, Field(ge=0, le=math.log2(5))] | None
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
