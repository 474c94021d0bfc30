"""Rules of choice beside Schulze's: Borda, approval, instant run-off, Copeland, minimax."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from multiplex.voting.outcome import Outcome, check_option, dense
from multiplex.voting.profile import Profile, Ranking, read_rankings

__all__ = [
    "Round",
    "RunOff",
    "approval",
    "approved_by_endorsement",
    "approved_by_rank",
    "borda",
    "copeland",
    "instant_runoff",
    "minimax",
]

_Strength = Literal["winning votes", "margins"]
_Ties = Literal["all", "lot"]
_Level = Literal["approval", "split"]


def borda(rankings: Iterable[Ranking | None]) -> Outcome:
    """Rank by Borda's count: a point for every candidate placed below, half a point for every tied one.

        score(x) = sum over ballots and y != x of 1[x before y] + 1/2 1[x level with y]

    in [0, ballots * (n - 1)]. On ties this is the symmetric variant: half of (those below minus those
    above), up to a constant, so that nobody gains by tying. None is an abstention. Without a ballot the
    ranks are None. Source: Borda (1781); ties after Terzopoulou and Endriss, The Borda class, Journal of
    Mathematical Economics 92 (2021).

    Raises ValueError for a malformed ballot.
    """
    profile = read_rankings(rankings)
    d, n = profile.preferences(), profile.candidates
    doubled = (d - d.T).sum(axis=1) + profile.ballots * (n - 1)
    return _ranked("borda", profile, (doubled / 2).tolist())


def copeland(rankings: Iterable[Ranking | None]) -> Outcome:
    """Rank by Copeland's count: 1 for every duel won, 1/2 for every duel that ends level, in [0, n - 1].

    x wins its duel with y where more ballots place x before y than y before x. None is an abstention.
    Without a ballot the ranks are None. Source: Copeland (1951), with ties at 1/2.

    Raises ValueError for a malformed ballot.
    """
    profile = read_rankings(rankings)
    d = profile.preferences()
    doubled = 2 * (d > d.T).sum(axis=1) + (d == d.T).sum(axis=1) - 1  # the diagonal is level with itself
    return _ranked("copeland", profile, (doubled / 2).tolist())


def minimax(
    rankings: Iterable[Ranking | None],
    *,
    strength: _Strength = "winning votes",
) -> Outcome:
    """Rank by the worst defeat, the smallest first (Simpson and Kramer).

    A defeat of x by y, where d(y, x) > d(x, y), is as bad as the votes for y, d(y, x) ("winning votes"),
    or as their lead, d(y, x) - d(x, y) ("margins"); the two differ only where ballots have ties. The
    score is minus the worst defeat, in [-ballots, 0], 0 for a candidate that nobody defeats. None is an
    abstention. Without a ballot the ranks are None. Source: Simpson (1969); Kramer (1977).

    Raises ValueError for a malformed ballot, or another strength.
    """
    check_option("strength", strength, _Strength)
    profile = read_rankings(rankings)
    d = profile.preferences()
    strengths = d if strength == "winning votes" else d - d.T
    worst = np.where(d > d.T, strengths, 0).max(axis=0, initial=0)
    return _ranked(f"minimax by {strength}", profile, (-worst).tolist())


def approved_by_rank(rankings: Iterable[Ranking | None], *, top: int) -> list[frozenset[int] | None]:
    """Return whom each ballot approves: the candidates with fewer than `top` others strictly before them.

    A tie at the threshold is approved whole. `top=1` makes approval the plurality rule, in which ties
    for the first place all count.

    Raises ValueError for a malformed ballot, or where `top` is below 1.
    """
    if top < 1:
        raise ValueError(f"top is at least 1, not {top!r}")
    asked = list(rankings)
    ranks = read_rankings(asked).ranks
    before = np.zeros(ranks.shape, dtype=np.int64)
    for other in range(ranks.shape[1]):
        before += ranks[:, [other]] < ranks
    cast = iter((before < top).tolist())
    return [
        None
        if row is None or all(rank == -1 for rank in row)
        else frozenset(x for x, approves in enumerate(next(cast)) if approves)
        for row in asked
    ]


def approved_by_endorsement(
    ballots: Iterable[Sequence[int | None] | None], *, endorsed_from: int = 5
) -> list[frozenset[int] | None]:
    """Return whom each voter approves: those endorsed with at least `endorsed_from`, of 1 to 7.

    A ballot holds one endorsement a candidate; None in it approves nothing; None for it, or a ballot of
    None alone, is an abstention.

    Raises ValueError where an endorsement is not a whole number from 1 to 7.
    """
    approved: list[frozenset[int] | None] = []
    for row in ballots:
        for vote in row or ():
            if vote is not None and (type(vote) is not int or not 1 <= vote <= 7):
                raise ValueError(f"an endorsement is a whole number from 1 to 7, not {vote!r}")
        if row is None or all(vote is None for vote in row):
            approved.append(None)
        else:
            approved.append(frozenset(x for x, vote in enumerate(row) if vote and vote >= endorsed_from))
    return approved


def approval(approved: Iterable[Collection[int] | None], *, candidates: int) -> Outcome:
    """Rank by the number of voters who approve, in [0, ballots].

    Each ballot holds the numbers of the candidates that it approves, from 0; an empty one is a vote
    against all, None an abstention. Without a ballot the ranks are None. Source: Brams and Fishburn,
    Approval Voting, American Political Science Review 72 (1978).

    Raises ValueError where a ballot names what is no candidate, or there is no candidate.
    """
    if candidates < 1:
        raise ValueError(f"an election needs a candidate, not {candidates!r}")
    asked = list(approved)
    counts = [0] * candidates
    for ballot in asked:
        for candidate in set(ballot or ()):
            if candidate not in range(candidates):
                raise ValueError(f"approval of {candidate!r}: the candidates are 0 to {candidates - 1}")
            counts[candidate] += 1
    ballots = sum(ballot is not None for ballot in asked)
    reason = None if ballots else "everyone abstained" if asked else "there is no ballot"
    # As many rows as ballots: only their number is read.
    profile = Profile(np.empty((ballots, candidates)), len(asked) - ballots, reason)
    return _ranked("approval", profile, counts)


@dataclass(frozen=True, slots=True)
class Round:
    """One count of an instant run-off: the votes of those who still stood, and who then left."""

    votes: dict[int, float]
    eliminated: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOff(Outcome):
    """An instant run-off: a score is the number of rounds that a candidate survived."""

    rounds: tuple[Round, ...] = ()


def instant_runoff(
    rankings: Iterable[Ranking | None],
    *,
    ties: _Ties = "all",
    level: _Level = "approval",
    seed: int | None = None,
) -> RunOff:
    """Rank by elimination: in every round the candidate whom the fewest place first leaves.

    `ties` says what becomes of several who are last: "all" eliminates them together, "lot" one of them,
    by an order of the candidates drawn with `seed`. Where all who are left are level they win together
    under "all"; under "lot" one wins. `level` says how a ballot counts that has several first places:
    "approval" gives each a vote, "split" divides one vote among them; without ties in ballots there is
    no difference. Counting goes on after a majority, which changes no winner and ranks the rest; those
    who left together share a rank. None is an abstention. Without a ballot the ranks are None.

    Conventions are those of pref_voting's `instant_runoff`. Source: Hare; for tied ballots Delemazure
    and Peters, Approval-Based Instant-Runoff Voting, arXiv 2404.11407.

    Raises ValueError for a malformed ballot, where `ties` or `level` is something else, or where the lot
    has no seed.
    """
    check_option("ties", ties, _Ties)
    check_option("level", level, _Level)
    if ties == "lot" and seed is None:
        raise ValueError("ties='lot' needs a seed")
    profile = read_rankings(rankings)
    standing = list(range(profile.candidates))
    lot = np.random.default_rng(seed).permutation(profile.candidates).tolist() if ties == "lot" else []
    rounds: list[Round] = []
    survived = [0] * profile.candidates
    while standing:
        votes = _first_places(profile.ranks[:, standing], level)
        last = [x for x, count in zip(standing, votes, strict=True) if count == min(votes)]
        if lot and len(standing) > 1:
            last = [min(last, key=lot.index)]
        won = len(last) == len(standing)
        shown = {x: float(count) for x, count in zip(standing, votes, strict=True)}
        rounds.append(Round(shown, () if won else tuple(last)))
        for x in standing:
            survived[x] += won or x not in last
        standing = [] if won else [x for x in standing if x not in last]
    return RunOff(**asdict(_ranked("instant run-off", profile, survived)), rounds=tuple(rounds))


def _first_places(ranks: NDArray[Any], level: _Level) -> list[Fraction]:
    """Count first places exactly: split votes are fractions, so that equal counts compare equal."""
    first = ranks == ranks.min(axis=1, keepdims=True)
    sizes = first.sum(axis=1)
    votes = [Fraction(0)] * ranks.shape[1]
    for size in np.unique(sizes).tolist():
        share = Fraction(1, size if level == "split" else 1)
        for x, count in enumerate(first[sizes == size].sum(axis=0).tolist()):
            votes[x] += count * share
    return votes


def _ranked(rule: str, profile: Profile, scores: Sequence[float]) -> Outcome:
    if profile.reason:
        return Outcome(rule=rule, ranks=None, ballots=0, abstained=profile.abstained, reason=profile.reason)
    return Outcome(
        rule=rule,
        ranks=dense([-score for score in scores]),
        scores=tuple(scores),
        ballots=profile.ballots,
        abstained=profile.abstained,
    )
