"""Stances on closed options: how a persona shares its support out."""

import math
from collections.abc import Iterable, Mapping, Sequence

from multiplex.errors import near_miss

__all__ = ["Stances", "mean_shares", "options_named", "stated"]

Stances = Mapping[str, Mapping[str, float] | None]
"""Persona -> option -> share. Shares are at least 0 and add up to 1; None, or nothing, for no stance."""

_SLACK = 1e-3


def stated(stances: Stances, options: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return the shares of those who took a stance, in the order of `options`, adding up to 1 exactly.

    An option that a stance leaves out has share 0. Sums within 0.001 of 1 are forgiven and normalised.

    Raises ValueError where an option is listed twice, unknown, or has a share below 0, or shares miss 1.
    """
    if len(set(options)) != len(options):
        raise ValueError("options: one is listed twice")
    return {persona: _shares(persona, stance, options) for persona, stance in stances.items() if stance}


def _shares(persona: str, stance: Mapping[str, float], options: Sequence[str]) -> tuple[float, ...]:
    for option, share in stance.items():
        if option not in options:
            raise ValueError(f"stance of {persona!r}: no option {option!r}; {near_miss(option, options)}")
        if not share >= 0:
            raise ValueError(f"stance of {persona!r}: {option!r} needs a share of at least 0, not {share!r}")
    total = math.fsum(stance.values())
    if not abs(total - 1) <= _SLACK:
        raise ValueError(f"stance of {persona!r}: shares add up to {total:g}, not 1")
    return tuple(stance.get(option, 0.0) / total for option in options)


def options_named(rounds: Iterable[Stances]) -> tuple[str, ...]:
    """Return the options that any stance of any round names, sorted."""
    return tuple(
        sorted({option for stances in rounds for stance in stances.values() for option in stance or ()})
    )


def mean_shares(shares: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """Return the mean of one or more distributions, every persona weighing the same."""
    rows = list(shares)
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))
