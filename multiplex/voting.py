"""Ranking rules: how a panel's rankings of statements become one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Outcome", "Ties", "pairwise_preferences", "schulze", "strongest_paths"]

Ties = Literal["TIES_ALLOWED", "RANDOM", "TBRC"]

Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The panel's ranking: one rank a candidate, dense from 0, lower is better.

    `preferences[x][y]` is how many prefer x to y, `paths[x][y]` the strength of the strongest path.
    Where `ranks` is None, `reason` says why.
    """

    ranks: tuple[int, ...] | None
    preferences: Matrix
    paths: Matrix
    ballots: int
    abstained: int
    reason: str | None = None

    @property
    def winners(self) -> tuple[int, ...]:
        """The candidates at rank 0: one, several where ties are allowed, none without a ballot."""
        return tuple(candidate for candidate, rank in enumerate(self.ranks or ()) if rank == 0)


def pairwise_preferences(rankings: Sequence[Sequence[int]]) -> Matrix:
    """Return d of shape (n, n): d[x][y] voters rank x strictly before y.

    `rankings` has shape (voters, n): position is the candidate, the number its rank, lower is better.
    """
    n = len(rankings[0]) if rankings else 0
    return tuple(tuple(sum(row[x] < row[y] for row in rankings) for y in range(n)) for x in range(n))


def strongest_paths(preferences: Sequence[Sequence[int]]) -> Matrix:
    """Return p of shape (n, n): the strength of the strongest path from x to y, by winning votes.

    A link is as strong as the votes that win it, d[x][y] if d[x][y] > d[y][x] and 0 otherwise, a path
    as strong as its weakest link (widest paths, by Floyd and Warshall). The diagonal is 0.
    """
    d, n = preferences, len(preferences)
    p = [[d[x][y] if x != y and d[x][y] > d[y][x] else 0 for y in range(n)] for x in range(n)]
    for via in range(n):
        for x in range(n):
            for y in range(n):
                if x != y:
                    p[x][y] = max(p[x][y], min(p[x][via], p[via][y]))
    return tuple(map(tuple, p))


def schulze(
    rankings: Iterable[Sequence[int] | None], *, ties: Ties = "TIES_ALLOWED", seed: int | None = None
) -> Outcome:
    """Rank candidates by Schulze's method with winning votes; ties in a ballot are allowed.

    Candidates are ranked by the number of others that their paths beat or match. None, or a row of -1,
    is an abstention. `ties` says what becomes of candidates left level: TIES_ALLOWED leaves them,
    RANDOM orders them by lot, and TBRC (tie-breaking ranking of candidates) walks the ballots in random
    order, lets each split what is still level, and leaves the rest to the lot. RANDOM and TBRC need a
    `seed`. Without a ballot the ranks are None.

    Source: Schulze, The Schulze Method of Voting, arXiv 1804.02973; conventions as in the Habermas
    Machine (google-deepmind/habermas_machine, social_choice).

    Raises ValueError where ballots differ in length or hold a rank below 0, or a seed is missing.
    """
    asked = list(rankings)
    ballots = [row for row in asked if row is not None and not (row and all(rank == -1 for rank in row))]
    for row in ballots:
        if not row or len(row) != len(ballots[0]) or min(row) < 0:
            raise ValueError(f"ballot {list(row)!r}: needs a rank of at least 0 for each of the candidates")
    if ties != "TIES_ALLOWED" and seed is None:
        raise ValueError(f"ties={ties!r} needs a seed")

    abstained = len(asked) - len(ballots)
    if not ballots:
        return Outcome(None, (), (), 0, abstained, "everyone abstained" if asked else "there is no ballot")
    d = pairwise_preferences(ballots)
    p = strongest_paths(d)
    n = len(p)
    wins = [sum(p[x][y] >= p[y][x] for y in range(n)) for x in range(n)]
    ranks = _dense([-each for each in wins])
    if ties != "TIES_ALLOWED":
        draw = np.random.default_rng(seed)
        walk = [ballots[place] for place in draw.permutation(len(ballots))] if ties == "TBRC" else []
        for row in [*walk, draw.permutation(n).tolist()]:
            ranks = _dense([rank * n + place for rank, place in zip(ranks, _dense(row), strict=True)])
    return Outcome(ranks, d, p, len(ballots), abstained)


def _dense(keys: Sequence[int]) -> tuple[int, ...]:
    place = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return tuple(place[key] for key in keys)
