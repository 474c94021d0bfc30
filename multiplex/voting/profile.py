"""A profile: the ballots that were cast, as one matrix, and who beats whom on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Matrix", "Profile", "Ranking", "read_rankings"]

Matrix = tuple[tuple[int, ...], ...]
"""One row a candidate."""

Ranking = Sequence[float]
"""Position is the candidate, the number its rank, lower is better, equal is a tie."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The ballots that were cast: `ranks` of shape (ballots, candidates), lower is better.

    Where there is no ballot, `reason` says why.
    """

    ranks: NDArray[Any]
    abstained: int
    reason: str | None = None

    @property
    def ballots(self) -> int:
        """How many cast a ballot."""
        return int(self.ranks.shape[0])

    @property
    def candidates(self) -> int:
        """How many candidates stand; 0 without a ballot."""
        return int(self.ranks.shape[1])

    def preferences(self) -> NDArray[np.int64]:
        """Return d of shape (n, n): d[x, y] ballots rank x strictly before y."""
        # A row at a time, so that memory grows with ballots times candidates, not with its square.
        rows = [(self.ranks[:, [x]] < self.ranks).sum(axis=0) for x in range(self.candidates)]
        return np.array(rows, dtype=np.int64).reshape(self.candidates, self.candidates)


def read_rankings(rankings: Iterable[Ranking | None]) -> Profile:
    """Return the ballots as a profile; None, or a row of -1, is an abstention.

    Raises ValueError where ballots differ in length, or hold what is no finite number or is below 0.
    """
    asked = list(rankings)
    rows = [row for row in asked if row is not None and not (len(row) and all(rank == -1 for rank in row))]
    abstained = len(asked) - len(rows)
    if not rows:
        reason = "everyone abstained" if asked else "there is no ballot"
        return Profile(np.empty((0, 0), dtype=np.int64), abstained, reason)
    whole = all(len(row) == len(rows[0]) for row in rows)
    if whole and len(rows[0]):
        ranks = np.array(rows)
        if ranks.ndim == 2 and ranks.dtype.kind in "iuf" and np.isfinite(ranks).all() and (ranks >= 0).all():
            return Profile(ranks, abstained)
    bad = next(row for row in rows if not _is_ballot(row, len(rows[0])))
    raise ValueError(f"ballot {list(bad)!r}: needs a rank of at least 0 for each of the candidates")


def _is_ballot(row: Sequence[Any], n: int) -> bool:
    if not len(row) or len(row) != n:
        return False
    ranks = np.array(row)
    return bool(
        ranks.ndim == 1 and ranks.dtype.kind in "iuf" and np.isfinite(ranks).all() and (ranks >= 0).all()
    )
