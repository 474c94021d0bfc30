"""Split prose into sentences."""

import re
from functools import lru_cache

__all__ = ["folded", "sentences"]

_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9])")


@lru_cache(maxsize=512)
def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text; a line break always ends one."""
    return tuple(part.strip() for line in text.splitlines() for part in _END.split(line) if part.strip())


def folded(text: str) -> str:
    """Return a text as spans are compared: without case or spacing; roles show angle brackets as single guillemets."""
    return " ".join(text.replace("‹", "<").replace("›", ">").split()).casefold()
