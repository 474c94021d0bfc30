"""Split prose into sentences, and tell scripts without capitals."""

import re
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["folded", "is_without_case", "sentences"]

_STOPS = (
    r"\u0589\u061d-\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u104a\u104b\u1362"
    r"\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8-\u1aab\u1b4e\u1b4f"
    r"\u1b5a\u1b5b\u1b5e\u1b5f\u1b7d-\u1b7f\u1c3b\u1c3c\u1c7e\u1c7f\u2cf9-\u2cfb\u3002\ua4ff\ua60e\ua60f"
    r"\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb\ufe12"
    r"\ufe15\ufe16\ufe52\ufe56\ufe57\uff01\uff1f\uff61\U00010a56\U00010a57\U00010f55-\U00010f59"
    r"\U00010f86-\U00010f89\U00011047\U00011048\U000110be-\U000110c1\U00011141-\U00011143"
    r"\U000111c5\U000111c6\U000111cd\U000111de\U000111df\U00011238\U00011239\U0001123b\U0001123c\U000112a9"
    r"\U000113d4\U000113d5\U0001144b\U0001144c\U000115c2\U000115c3\U000115c9-\U000115d7"
    r"\U00011641\U00011642\U0001173c-\U0001173e\U00011944\U00011946\U00011a42\U00011a43"
    r"\U00011a9b\U00011a9c\U00011c41\U00011c42\U00011ef7\U00011ef8\U00011f43\U00011f44\U00016a6e\U00016a6f"
    r"\U00016af5\U00016b37\U00016b38\U00016b44\U00016d6e\U00016d6f\U00016e98\U0001bc9f\U0001da88"
)
"""What has Unicode's property Sentence_Terminal, as a regular expression's set. Left out are .!?, the full-width
stop, which stands in numbers too, and marks of no script, which English texts use as emoji."""

_OPENING = r"«„‚「『（【〈《¿¡"
_CLOSING = r"»」』）】〉》〕］"
_HAN = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_END = re.compile(
    # Before a space. Quotes that end with the sentence are left out of it.
    rf"(?P<stop>[.!?])(?P<kept>[{_CLOSING}]*+)[\"'”’)]*+\s++(?=[\"'“‘(]?[{_OPENING}]*+(?P<next>[^\W_a-z]))"
    # Where no space is needed. The sentence goes on at a comma and the like, at what takes up a quotation in
    # Japanese, and at the number of a verse, which stands between two double dandas.
    rf"|(?<![{_STOPS}．])(?:[{_STOPS}]|．(?!\d))[{_STOPS}．.!?]*+[\"'”’)*{_CLOSING}]*+"
    r"(?!\s*+[、､，,;:；：…—–・～〜`])(?!(?<=[」』])(?:と|って))(?!\s*+\d++\s*+॥)"
    rf"|(?<=[{_HAN}])[!?]++(?=[{_HAN}])"
)
_SHORTENED = re.compile(r"\b[\u05d0-\u05ea\u0621-\u06ff]$|[\u0e01-\u0e5b]$")
"""What a full stop shortens: a Hebrew or Arabic letter by itself, and any Thai word."""


@lru_cache(maxsize=512)
def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a text; a line break always ends one.

    A sentence ends at `.`, `!` or `?` if a space follows and then a digit, a capital or a letter of a script without
    capitals, and at the marks that Unicode has as sentence terminals of other scripts (`。`, `！`, `؟`, `।`), with or
    without a space. In Thai, which ends sentences with a space, `.` only shortens words. Taken for an end are also an
    abbreviation before a capital, and a stop within a quotation that the sentence goes on from.
    """
    return tuple(part for line in text.splitlines() for part in _parts(line) if part)


def _parts(line: str) -> Iterator[str]:
    start = 0
    for found in _END.finditer(line):
        if found["next"] is None:
            yield line[start : found.end()].strip()
        elif _is_end(line, found):
            yield line[start : found.end("kept")].strip()
        else:
            continue
        start = found.end()
    yield line[start:].strip()


def _is_end(line: str, found: re.Match[str]) -> bool:
    """Return whether what follows a stop and a space begins a sentence."""
    first = found["next"]
    if first.isascii():
        return True
    # What is no small letter is its own title case; Georgian letters are too, whose capitals are for headings alone.
    if not (first.isdecimal() or (first.isalpha() and first == first.title())):
        return False
    at = found.start()
    return found["stop"] != "." or not _SHORTENED.search(line[max(0, at - 2) : at])


def folded(text: str) -> str:
    """Return a text as spans are compared: without case or spacing; roles show angle brackets as single guillemets."""
    return " ".join(text.replace("‹", "<").replace("›", ">").split()).casefold()


def is_without_case(word: str) -> bool:
    """Tell whether a word is of a script without capitals."""
    # By title case, for Georgian: its capitals are for headings alone.
    return any(c.isalpha() for c in word) and word.title() == word.lower()
