"""What can go wrong: the caller's mistakes apart from the world's failures.

A message says what is wrong, where, and what to do. The command line prints it and exits with 1;
nothing in this tree is ever shown with a traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["ContentError", "ModelError", "MultiplexError", "NoQuorumError", "RunError", "near_miss"]


class MultiplexError(Exception):
    """The root of the tree; catch this to catch everything the library raises on purpose."""


class ContentError(MultiplexError):
    """A file, a name or an argument that the caller gave is wrong."""


class RunError(MultiplexError):
    """A run folder cannot be written or read."""


class ModelError(MultiplexError):
    """A model gave no usable completion: refused, timed out, or answered with an error."""

    def __init__(self, message: str, *, kind: str = "failed") -> None:
        """Keep the kind of failure (`refused`, `timeout`, `status`, ...) beside the message."""
        super().__init__(message)
        self.kind = kind


class NoQuorumError(MultiplexError):
    """Too few of the panel answered a stage for the deliberation to go on."""


def near_miss(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return what to say after an unknown name: the near miss, or the names there are.

    `cutoff` (0 to 1) is how alike the two need to be: more for files, which share their suffix.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=cutoff)
    if close:
        return f"did you mean {close[0]!r}?"
    if len(names) > 12:
        names = [*names[:12], "..."]
    return f"known: {', '.join(names)}" if names else "there are none"
