"""How far a panel can endorse a statement."""

import math
from collections.abc import Mapping
from typing import Any

from multiplex.scoring.intervals import interval_of, no_interval
from multiplex.scoring.panel_intervals import every_group
from multiplex.scoring.sample_intervals import p_mean
from multiplex.scoring.score import Score

__all__ = ["Ballots", "endorsement", "group_aware_consensus"]

Ballots = Mapping[str, int | None]
"""Persona -> endorsement from 1 (rejects) to 7 (endorses in full); None for an abstention."""

_WELFARE = ("mean", "minimum", "share", "nash", "harmonic")
_POWERS = {"minimum": -math.inf, "nash": 0.0, "harmonic": -1.0}


def endorsement(ballots: Ballots, *, endorsed_from: int = 5) -> Score:
    """Return the mean endorsement, in [1, 7], with the rest of the welfare family beside it.

    The detail holds `mean` (utilitarian), `minimum` (egalitarian), `nash` (the geometric mean,
    exp(mean ln u)), `harmonic` (n / sum 1/u), `share` (of those who voted, how many gave at least
    `endorsed_from`, in [0, 1]), `n` votes, `abstained` and the `ballots`. The first four are the p-means

        w_p = ((1/n) sum u^p)^(1/p)   for p = 1, p -> -inf, p -> 0 and p = -1

    so that minimum <= harmonic <= nash <= mean. An abstention is no vote and changes none of them.
    `interval` is the 95 % percentile bootstrap interval of the mean over those who voted (`low`, `high`, `n`;
    None with a `reason` below two): too narrow for few (`intervals.bootstrap` has figures), and without width
    where all votes are equal, which is no certainty. `intervals` holds those of `share`, `nash` and
    `harmonic`, and of `minimum` the reason why there is none: no resample reaches below the least vote.
    Undefined where nobody voted: no number and no interval is then given.

    Source: Sorensen et al. 2024, A Roadmap to Pluralistic Alignment, arXiv 2402.05070 (jury welfare).

    Raises ValueError where a ballot is not a whole number from 1 to 7.
    """
    votes = _votes(ballots)
    counts = {"n": len(votes), "abstained": len(ballots) - len(votes), "ballots": dict(ballots)}
    if not votes:
        reason = "everyone abstained" if ballots else "there is no ballot"
        nothing = no_interval(reason, over="personas")
        intervals = dict.fromkeys(_POWERS, nothing) | {"share": nothing}
        return Score.undefined(
            reason, **dict.fromkeys(_WELFARE), interval=nothing, intervals=intervals, **counts
        )
    n = len(votes)
    mean, minimum = math.fsum(votes) / n, min(votes)
    # Held between their neighbours, which rounding could cross where all votes are equal.
    nash = min(max(math.exp(math.fsum(math.log(vote) for vote in votes) / n), minimum), mean)
    harmonic = min(max(n / math.fsum(1 / vote for vote in votes), minimum), nash)
    return Score(
        mean,
        detail={
            "mean": mean,
            "minimum": minimum,
            "share": sum(vote >= endorsed_from for vote in votes) / n,
            "nash": nash,
            "harmonic": harmonic,
            "interval": _interval(votes),
            "intervals": {
                "share": _interval([int(vote >= endorsed_from) for vote in votes]),
                **{name: p_mean(votes, p, over="personas").beside() for name, p in _POWERS.items()},
            },
            **counts,
        },
    )


def _interval(votes: list[int]) -> dict[str, Any]:
    # Sorted, so that the order of personas does not show in what is drawn.
    return interval_of(sorted(votes), over="personas", seed=0).beside()


def group_aware_consensus(ballots_by_group: Mapping[str, Ballots], *, endorsed_from: int = 5) -> Score:
    """Return the product over groups of (agree + 1) / (n + 2), in (0, 1).

    The group-aware consensus of Polis with its smoothing (red-dwarf, `reddwarf/utils/stats.py`): a
    statement scores high only where every group agrees. A vote of at least `endorsed_from` agrees; n is
    all votes of the group, lukewarm ones included; abstentions are no votes. A group without a vote
    counts as unknown, 1/2, and is named in `silent`. Because of the smoothing even unanimity stays
    below 1, the more so the more and the smaller the groups: `ceiling` is the value at unanimity of the
    same votes. `interval` is the 95 % bootstrap interval over the personas who voted, within each group; a
    group of one mind stays so. Undefined where no group has a vote.

    Raises ValueError where a ballot is not a whole number from 1 to 7.
    """
    groups = {}
    for group, ballots in ballots_by_group.items():
        votes = _votes(ballots)
        agree = sum(vote >= endorsed_from for vote in votes)
        groups[group] = {"agree": agree, "n": len(votes), "probability": (agree + 1) / (len(votes) + 2)}
    silent = sorted(group for group, each in groups.items() if not each["n"])
    if len(silent) == len(groups):
        return Score.undefined("no group has a vote", groups=groups, silent=silent)
    told = [(int(each["agree"]), int(each["n"])) for each in groups.values()]
    return Score(
        math.prod(sorted(each["probability"] for each in groups.values())),
        detail={
            "groups": groups,
            "silent": silent,
            "interval": every_group(told).beside(),
            "ceiling": math.prod(sorted((each["n"] + 1) / (each["n"] + 2) for each in groups.values())),
        },
    )


def _votes(ballots: Ballots) -> list[int]:
    for persona, vote in ballots.items():
        if vote is not None and (type(vote) is not int or not 1 <= vote <= 7):
            raise ValueError(f"ballot of {persona!r}: needs a whole number from 1 to 7, not {vote!r}")
    return [vote for vote in ballots.values() if vote is not None]
