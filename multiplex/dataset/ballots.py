"""What the ballots on two texts say: who prefers which, by how much, and who would lose if one were preferred.

Ballots are endorsements by persona, from 1 to 7; None is an abstention.
"""

from collections.abc import Collection, Mapping
from statistics import fmean
from typing import Literal

__all__ = ["LIVE_WITH", "SCALE", "Ballots", "Preferred", "losers", "preferring", "rise"]

Ballots = Mapping[str, int | None]
Preferred = Literal["chosen", "rejected", "indifferent"]

SCALE = 6
"""From the lowest endorsement, 1, to the highest, 7."""

LIVE_WITH = 4
"""The endorsement from which somebody can live with a text."""


def preferring(chosen: Ballots, rejected: Ballots) -> dict[str, Preferred | None]:
    """Return for everybody who was asked which text it endorses more, None where it did not vote on both."""
    sides: dict[str, Preferred | None] = {}
    for persona in dict.fromkeys((*chosen, *rejected)):
        one, other = chosen.get(persona), rejected.get(persona)
        if one is None or other is None:
            sides[persona] = None
        else:
            sides[persona] = "chosen" if one > other else "rejected" if one < other else "indifferent"
    return sides


def rise(chosen: Ballots, rejected: Ballots) -> float | None:
    """Return the mean difference in endorsement over those who voted on both, as a share of the scale.

    None where they are fewer than two thirds of those who were asked: a few would then speak for all.
    """
    both = [
        given - before
        for persona, given in chosen.items()
        if given is not None and (before := rejected.get(persona)) is not None
    ]
    asked = chosen.keys() | rejected.keys()
    return fmean(both) / SCALE if both and len(both) * 3 >= len(asked) * 2 else None


def losers(chosen: Ballots, rejected: Ballots, objecting: Collection[str]) -> list[str]:
    """Return who endorses the rejected text more, or would seem to by the one ballot that it gave.

    So it seems of who can live with the rejected text, cannot with the chosen one, or objects to that.
    """
    return [
        name
        for name, side in preferring(chosen, rejected).items()
        if side == "rejected"
        or (
            side is None
            and (
                (rejected.get(name) or 0) >= LIVE_WITH
                or (chosen.get(name) or LIVE_WITH) < LIVE_WITH
                or name in objecting
            )
        )
    ]
