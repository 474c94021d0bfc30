"""Split prose into sentences."""

import re
from functools import lru_cache

__all__ = ["sentences"]

_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9])")


@lru_cache(maxsize=512)
def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text; a line break always ends one."""
    return tuple(part.strip() for line in text.splitlines() for part in _END.split(line) if part.strip())
