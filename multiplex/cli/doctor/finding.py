"""What doctor says of one thing that it looked at."""

from dataclasses import dataclass
from typing import Any

__all__ = ["LEAST_CONTEXT", "USUAL_CONTEXT", "Finding", "bad", "context_length", "note", "ok"]

LEAST_CONTEXT = 8192
"""Two speakers and two rounds of exchange take about 7,500 tokens; docs/models.md has the sum."""
USUAL_CONTEXT = 16384
"""Eight speakers and two rounds of exchange take about 12,900 tokens."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that doctor looked at, and what to do if it is not well.

    A note is good enough to run with: something unknown, or worse than it could be.
    """

    what: str
    good: bool
    detail: str
    note: bool = False

    def line(self) -> str:
        """Return the finding as a line: `ok`, `??` for a note, or `BAD`."""
        mark = "BAD" if not self.good else "?? " if self.note else "ok "
        return f"{mark}  {self.what}: {self.detail}"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {"what": self.what, "good": self.good, "note": self.note, "detail": self.detail}


def ok(what: str, detail: str) -> Finding:
    """Return that all is well."""
    return Finding(what, True, detail)


def note(what: str, detail: str) -> Finding:
    """Return what is unknown, or worse than it could be."""
    return Finding(what, True, detail, note=True)


def bad(what: str, detail: str) -> Finding:
    """Return what is wrong, and what to do."""
    return Finding(what, False, detail)


def context_length(size: int | None, told: str, *, more: str, find_out: str) -> Finding:
    """Return what to say of the tokens that one request may take, with how to have more or to find out."""
    what = "context length"
    if size is None:
        return note(what, f"unknown{told}; {find_out}; eight speakers want {USUAL_CONTEXT:,} tokens")
    if size < LEAST_CONTEXT:
        least = f"even two speakers want {LEAST_CONTEXT:,}"
        return bad(what, f"{size:,} tokens{told}, and {least}; {more}")
    if size < USUAL_CONTEXT:
        return note(
            what, f"{size:,} tokens{told}; eight speakers want {USUAL_CONTEXT:,}: seat fewer, or {more}"
        )
    return ok(what, f"{size:,} tokens{told}")
