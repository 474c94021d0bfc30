"""A text as the patterns read it: digits and letters in ASCII, and spaces where a script needs none.

Chinese, Japanese and Thai put no spaces between words, Korean, Arabic and Hebrew write particles onto them, and a
pattern that asks for the edge of a word does not find the number in 電話は090-1234-5678です.
"""

import re
import string
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass, replace

from multiplex.dataset.privacy.spans import Span

__all__ = ["Reading", "attaches", "read"]

_FULL_WIDTH = {0xFEE0 + ord(each): each for each in string.ascii_letters + "@+-_"}
_SEPARATORS = {0x066B: ".", 0x066C: ","}
"""Those of Arabic decimals and thousands."""

_FORMS = _FULL_WIDTH | _SEPARATORS
_DIGIT = re.compile(r"(?![0-9])\d")
_POINT = re.compile(r"(?<=[0-9A-Za-z])．(?=[0-9A-Za-z])")
_HYPHEN = re.compile(r"(?<=[0-9])[−ー](?=[0-9])")
"""What Japanese keyboards write for it: the minus, and the mark of a long vowel."""

_AREA = re.compile(r"（(\d{1,5})）(?=\s?\d)")
_ELSEWHERE, _CASED = "[\u0590-\U0010ffff]", "[0-9A-Za-zÀ-\u052f\u1e00-\u1fff]"
_SEAM = re.compile(
    rf"(?:(?<=({_ELSEWHERE}))|(?<=({_ELSEWHERE})[-:.,/#]))(?=\+?{_CASED}|\([0-9])|(?<={_CASED})(?=-?({_ELSEWHERE}))"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text to look through, and the places in it of the spaces that the text itself does not have."""

    text: str
    added: tuple[int, ...] = ()

    def back(self, span: Span) -> Span:
        """Return a span of the reading as a span of the text."""
        start, end = (place - bisect_left(self.added, place) for place in (span.start, span.end))
        return replace(span, start=start, end=end)


def read(text: str) -> Reading:
    """Return the reading of a text.

    Digits of all scripts become ASCII ones, and so do letters of full width and, between digits, what is written for a
    hyphen. A space is added where a letter that `attaches` stands beside a digit or a letter of Latin, Greek or
    Cyrillic, and between such a letter and a number or word that follows its colon or hyphen. Words of those three
    scripts, and numbers beside them, stay as they are.
    """
    if text.isascii():
        return Reading(text)
    plain = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text.translate(_FORMS))
    plain = _AREA.sub(r"(\1)", _HYPHEN.sub("-", _POINT.sub(".", plain)))
    pieces: list[str] = []
    added: list[int] = []
    last = 0
    for seam in _SEAM.finditer(plain):
        if attaches(seam[1] or seam[2] or seam[3]):
            pieces.append(plain[last : seam.start()])
            last = seam.start()
            added.append(last + len(added))
    return Reading(" ".join([*pieces, plain[last:]]), tuple(added))


def attaches(letter: str) -> bool:
    """Return whether a character is a letter of a script without capitals, so that no space need part it from others.

    Georgian is one, as its capitals are for headings alone; and signs such as 〇 and ① count as letters.
    """
    cased = letter.isupper() or letter.islower() or letter.istitle()
    return letter >= "\u0590" and letter.isalnum() and (not cased or "\u10d0" <= letter <= "\u10ff")
