"""Schulze's method: the strongest path between two candidates decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multiplex.voting.outcome import Outcome, check_option, dense
from multiplex.voting.profile import Matrix, Ranking, read_rankings

__all__ = ["SchulzeOutcome", "Ties", "schulze", "strongest_paths"]

Ties = Literal["TIES_ALLOWED", "RANDOM", "TBRC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchulzeOutcome(Outcome):
    """Schulze's ranking; a score is the number of candidates, itself included, that a path beats or matches.

    `preferences[x][y]` is how many prefer x to y, `paths[x][y]` the strength of the strongest path.
    """

    preferences: Matrix = ()
    paths: Matrix = ()


def strongest_paths(preferences: Sequence[Sequence[int]]) -> Matrix:
    """Return p of shape (n, n): the strength of the strongest path from x to y, by winning votes.

    A link is as strong as the votes that win it, d[x][y] if d[x][y] > d[y][x] and 0 otherwise, a path
    as strong as its weakest link (widest paths, by Floyd and Warshall). The diagonal is 0.
    """
    n = len(preferences)
    d = np.array(preferences, dtype=np.int64).reshape(n, n)
    p = np.where(d > d.T, d, 0)
    for via in range(n):
        p = np.maximum(p, np.minimum(p[:, [via]], p[[via], :]))
    np.fill_diagonal(p, 0)
    return tuple(map(tuple, p.tolist()))


def schulze(
    rankings: Iterable[Ranking | None], *, ties: Ties = "TIES_ALLOWED", seed: int | None = None
) -> SchulzeOutcome:
    """Rank candidates by Schulze's method with winning votes; ties in a ballot are allowed.

    Candidates are ranked by the number of others that their paths beat or match. None, or a row of -1,
    is an abstention. `ties` says what becomes of candidates left level: TIES_ALLOWED leaves them,
    RANDOM orders them by lot, and TBRC (tie-breaking ranking of candidates) walks the ballots in random
    order, lets each split what is still level, and leaves the rest to the lot. RANDOM and TBRC need a
    `seed`. Without a ballot the ranks are None.

    Source: Schulze, The Schulze Method of Voting, arXiv 1804.02973; conventions as in the Habermas
    Machine (google-deepmind/habermas_machine, social_choice).

    Raises ValueError where ballots differ in length or hold a rank below 0, `ties` is none of the three, or
    a seed is missing.
    """
    check_option("ties", ties, Ties)
    profile = read_rankings(rankings)
    if ties != "TIES_ALLOWED" and seed is None:
        raise ValueError(f"ties={ties!r} needs a seed")
    if profile.reason:
        return SchulzeOutcome(
            rule="schulze", ranks=None, ballots=0, abstained=profile.abstained, reason=profile.reason
        )
    d, n = profile.preferences(), profile.candidates
    paths = strongest_paths(d.tolist())
    p = np.array(paths)
    wins: list[int] = (p >= p.T).sum(axis=1).tolist()
    ranks = dense([-each for each in wins])
    if ties != "TIES_ALLOWED":
        draw = np.random.default_rng(seed)
        walk = profile.ranks[draw.permutation(profile.ballots)].tolist() if ties == "TBRC" else []
        for row in [*walk, draw.permutation(n).tolist()]:
            if max(ranks) == n - 1:  # nobody is level any more
                break
            ranks = dense(list(zip(ranks, row, strict=True)))
    return SchulzeOutcome(
        rule="schulze",
        ranks=ranks,
        scores=tuple(wins),
        preferences=tuple(map(tuple, d.tolist())),
        paths=paths,
        ballots=profile.ballots,
        abstained=profile.abstained,
    )
