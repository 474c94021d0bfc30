"""What a rule of choice returns, and which words it takes for an option."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

__all__ = ["Outcome", "check_option", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A rule's ranking of the candidates: one rank each, dense from 0, lower is better.

    `scores` are what it ranks by, one a candidate, higher is better; each rule says what they count.
    Where `ranks` is None, `reason` says why, and `scores` is empty.
    """

    rule: str
    ranks: tuple[int, ...] | None
    scores: tuple[float, ...] = ()
    ballots: int
    abstained: int
    reason: str | None = None

    @property
    def winners(self) -> tuple[int, ...]:
        """The candidates at rank 0: one, several where they are level, none without a ballot."""
        return tuple(candidate for candidate, rank in enumerate(self.ranks or ()) if rank == 0)


def dense(keys: Sequence[Any]) -> tuple[int, ...]:
    """Return the rank of each key among the different ones, from 0 for the least."""
    place = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return tuple(place[key] for key in keys)


def check_option(name: str, value: str, choices: Any) -> None:
    """Raise ValueError where the value is none of the choices, a Literal: no rule takes one word for another."""
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"{name} needs {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, not {value!r}")
