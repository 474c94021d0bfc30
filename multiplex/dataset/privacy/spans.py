"""What a find is: a kind, a place and how sure it is."""

from dataclasses import dataclass

__all__ = ["KINDS", "Span"]

KINDS = ("NAME", "EMAIL", "PHONE", "ID", "CARD", "ACCOUNT", "IP", "BIRTH_DATE", "ADDRESS")
"""What can be masked, in the order in which a tie between two spans is decided: the later gives way."""


@dataclass(frozen=True, slots=True)
class Span:
    """A find in one text: what kind it is, where it stands, and how sure it is, 0 to 1."""

    kind: str
    start: int
    end: int
    score: float
