"""Explicit references: the names, texts, figures and terms that a pack lists for each perspective."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

__all__ = ["Lexicon"]

_IN_THEIR_PLACE = "our tradition"


class Lexicon:
    """Finds a pack's terms in a text.

    A term is matched as a whole word or phrase. Its capitals have to stand in the text; its small
    letters match either case. Accents and the shape of apostrophes do not matter. Where one term lies
    inside another of the same perspective, the longer one counts.
    """

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        self._patterns = {name: _pattern(listed) for name, listed in terms.items() if listed}

    def references(self, text: str) -> dict[str, int]:
        """Return how often each perspective is named; one that is not named is left out."""
        plain = _plain(text)
        found = {name: len(pattern.findall(plain)) for name, pattern in self._patterns.items()}
        return {name: count for name, count in found.items() if count}

    def mask(self, text: str) -> str:
        """Return the text with every term replaced, so that what is left is the reasoning."""
        plain = _plain(text)
        for pattern in self._patterns.values():
            plain = pattern.sub(_IN_THEIR_PLACE, plain)
        return plain


def _plain(text: str) -> str:
    even = text.replace("’", "'").replace("ʿ", "'").replace("ʾ", "'")
    if even.isascii():
        return even
    return "".join(c for c in unicodedata.normalize("NFKD", even) if not unicodedata.combining(c))


def _pattern(terms: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted({_plain(term) for term in terms}, key=lambda term: (-len(term), term))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(_either_case, longest_first))})(?!\w)")


def _either_case(term: str) -> str:
    return "".join(f"[{c}{c.upper()}]" if c.islower() else re.escape(c) for c in term)
