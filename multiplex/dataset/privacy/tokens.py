"""Words of a text, and what each may be in a name."""

import re
from dataclasses import dataclass
from typing import Literal

from multiplex.dataset.privacy.gazetteer import Gazetteer, fold

__all__ = ["UNCASED", "WORD", "Name", "Token", "tokenise", "without_possessive"]

_MARKS = (
    r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u0655\u0670\u0900-\u0903\u093a-\u094f\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a4d"
    r"\u0a81-\u0acd\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d"
    r"\u0c81-\u0ccd\u0d01-\u0d4d\u0d81-\u0ddf\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1031-\u103e"
)
_LETTER = rf"(?:[^\W\d_]|[{_MARKS}])"
WORD = re.compile(rf"(?<!\w){_LETTER}+(?:(?:['’]|[-‐\u200c]){_LETTER}+)*(?!\w)")
UNCASED = re.compile(r"[\u0590-\u08ff\u0900-\u0dff\u10d0-\u10ff\u1200-\u137f]")


@dataclass(frozen=True, slots=True)
class Name:
    """A name that was found: where it stands in the text, and how sure it is, 0 to 1."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its place, as written and folded, whether it has a capital, and what it may be in a name."""

    start: int
    end: int
    text: str
    folded: str
    capital: bool
    kind: Literal["certain", "family", "ambiguous", "unknown", "initial", "particle", "title", "other"]

    @property
    def nameable(self) -> bool:
        """Whether a name may hold the word."""
        return self.kind in ("certain", "family", "ambiguous", "unknown", "initial")


def tokenise(text: str, names: Gazetteer) -> list[Token]:
    """Return the words of a text, in their order."""
    return [_token(match, names) for match in WORD.finditer(text)]


def without_possessive(word: str) -> str:
    """Return a word without the s of possession."""
    return word[:-2] if word[-2:] in ("'s", "’s", "'S", "’S") else word


def _token(match: re.Match[str], names: Gazetteer) -> Token:
    text = without_possessive(match[0])
    folded = fold(text)
    first, joint, rest = text.partition("-")
    named = rest if joint and fold(first) in names.particles and rest else text  # al-Mansouri
    kind: Literal["certain", "family", "ambiguous", "unknown", "initial", "particle", "title", "other"]
    capital = named[0].isupper() or named[0].istitle()
    end = match.start() + len(text)
    pieces = [piece for piece in re.split(r"['\-‐\u200c]", folded) if piece not in names.particles]
    whole = [folded, *(pieces if len(pieces) > 1 or "-" in folded or "'" in folded else ())]
    if folded in names.titles or re.search(r"'(?:m|ve|d|ll|re|t|s)$", folded):
        kind = "title"
    elif folded in names.particles and not (capital and names.known(folded)):
        kind = "particle"
    elif capital and len(text) == 1:
        kind = "initial"
    elif folded in names.ordinary or folded in names.figures:
        kind = "ambiguous" if names.known(folded) else "other"
    elif any(piece in names.given and piece not in names.ordinary for piece in whole):
        kind = "certain"
    elif any(piece in names.family and piece not in names.ordinary for piece in whole):
        kind = "family"
    elif folded in names.institutions or folded in names.titles_of_office:
        kind = "other"
    else:
        kind = "unknown"
    return Token(match.start(), end, text, folded, capital, kind)
