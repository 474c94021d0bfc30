"""Citations: whether every source that a text names was given to the panel.

A citation, in our form, stands in brackets: a work, then a place in it, as in (Analects 2.7-2.8) or
(Mill, On Liberty, chapter 2). It is known where every word and number of it is one of a single
work's own, ranges counted through: (Analects 2.8) is known where (Analects 2.7-2.8) is. A place named in
running text, as in "Analects 9.99 says", is looked at where the work is one of the panel's.

What is not found: a source named without a number (a place in words alone, as in "on the care of
souls", may be worded freely), one in letters without capitals (Chinese, Arabic, Hindi), a new work
named in running text, and words put in a known source's mouth.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from multiplex.content.personas import Source

__all__ = ["Sources", "unknown_citations"]

_LONGEST = 400
"""Characters in brackets that may still be a citation."""

_DIVISIONS_WORDS = """
act appendix art article book canon ch chap chapter decree discourse essay hadith homily
introduction law lecture letter line note novel oration p page para paragraph part pp prologue
preface question rule sec section stanza step sura surah sutta verse vol volume
"""
_DIVISIONS = frozenset(_DIVISIONS_WORDS.split())
_SMALL_WORDS = """
a also and as at by cf e.g eg especially ff for from i.e ibid in its of on or quoted see the to
trans translated with
"""
_SMALL = frozenset(_SMALL_WORDS.split())
_NO_WORK_WORDS = """
am bce ce ad bc chf eur figure fig gbp gdp gmt pm room table usd utc version monday tuesday
wednesday thursday friday saturday sunday january february march april may june july august
september october november december
"""
_NO_WORK = frozenset(_NO_WORK_WORDS.split())

_TOKEN = re.compile(r"\w+(?:[.:]\w+)*")
_DOTTED = r"\d+(?:[.:]\d+)+|\d+[A-Z]\d+|\b[ivxlc]+(?:\.(?:[ivxlc]+|[a-z](?![a-z])|\d+))+"
_PLACE = re.compile(
    rf"(?:{_DOTTED})(?=\s*(?:$|[-,;)\]]|and\b))"
    rf"|§\s?\d|\b(?:{'|'.join(sorted(_DIVISIONS))})s?\.?\s+(?:\d|[ivxlc]+\b)",
    re.IGNORECASE,
)
_IN_PASSING = re.compile(rf"(?<![\w.:])(?:{_DOTTED})(?!\w|[.:]\w)", re.IGNORECASE)
_YEAR = re.compile(
    r"\((?:1[4-9]|20)\d\d[a-z]?\)$|(?:,|^\S+(?: (?:and|&) \S+)?| et al\.?,?)\s+(?:1[4-9]|20)\d\d[a-z]?$"
)
_RANGE = re.compile(r"((?:\d+[.:])*)(\d+)\s?-\s?((?:\d+[.:])*)(\d+)")


class Sources:
    """What may be cited: the sources of a panel's commitments, made ready once for many texts."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._allowed: dict[str, set[str]] = {}
        titles: dict[str, str] = {}
        for source in sources:
            allowed = self._allowed.setdefault(source.work, set(_tokens(_folded(source.work))))
            allowed |= _places(_folded(source.locus))
            titles[_folded(source.work.rsplit(",", 1)[-1])] = source.work
        titles.pop("", None)
        # Longer titles first, so that a title that ends in another is not taken for it.
        self._titles = dict(sorted(titles.items(), key=lambda item: (-len(item[0]), item[0])))
        parts = "|".join(map(re.escape, self._titles))
        self._opened = re.compile(rf"(?:[^,;]+, )?(?:{parts})\b.* \d") if parts else None

    def knows(self, citation: str) -> bool:
        """Tell whether a citation, without its brackets, names given works and given places in them."""
        return self._which(_folded(citation), None) is not None

    def _which(self, citation: str, inherited: str | None) -> str | None:
        """Return the work that a citation (the last of several) is of; a bare place is the work's before it."""
        words = [token for token in _tokens(citation) if token not in _SMALL and token not in _DIVISIONS]
        if not words:
            return inherited
        for work, allowed in self._allowed.items():
            own = work == inherited or any(word.isalpha() and len(word) > 2 for word in words)
            if own and allowed.issuperset(words):
                return work
        for separator in ("; ", " and ", ", "):
            pieces = citation.split(separator)
            if len(pieces) > 1:
                last = inherited
                for piece in pieces:
                    last = self._which(piece, last)
                    if last is None:
                        break
                else:
                    return last
        return None

    def opens(self, text: str) -> bool:
        """Tell whether a text in brackets begins with a given work and names a number in it."""
        return self._opened is not None and self._opened.match(_folded(text)) is not None

    def unknown_in_passing(self, text: str) -> Iterator[str]:
        """Yield the places that running text names in a given work, where they were not given."""
        folded = _folded(text)
        for match in _IN_PASSING.finditer(folded):
            before = folded[max(0, match.start() - _LONGEST) : match.start()].rstrip(", ")
            title = next((t for t in self._titles if before.endswith(t)), None)
            if title is None or before[: -len(title)][-1:].isalnum():
                continue
            # The title may be a word that is passed over elsewhere, as Essays is: its work is known here.
            if self._which(match[0], self._titles[title]) is None:
                yield f"{title} {match[0]}"


def unknown_citations(text: str, sources: Sources, *, given: str = "") -> tuple[str, ...]:
    """Return the citations of a text that name no given source, each once, in the order they stand.

    What stands word for word in `given` (the question and its context) is the asker's own.
    """
    asked = _folded(given)
    found = [
        each
        for each in _bracketed(text)
        if (_is_citation(each) or sources.opens(each)) and not sources.knows(each)
    ]
    in_brackets = " ".join(map(_folded, found))
    found += [each for each in sources.unknown_in_passing(text) if each not in in_brackets]
    once = {_folded(each): each for each in reversed(found)}
    return tuple(
        each for each in dict.fromkeys(found) if once[_folded(each)] == each and _folded(each) not in asked
    )


def _bracketed(text: str) -> Iterator[str]:
    """Yield what stands between outermost brackets that close."""
    opened: list[int] = []
    for match in re.finditer(r"[()（）]", text):
        if match[0] in "(（":
            opened.append(match.end())
        elif opened:
            start = opened.pop()
            if not opened and match.start() - start <= _LONGEST:
                yield text[start : match.start()].strip()


def _is_citation(text: str) -> bool:
    """Tell whether a text in brackets names a work (a word with a capital) and a place in it, or a year."""
    plain = unicodedata.normalize("NFKC", text)
    names = [
        word
        for word in re.findall(r"[^\W\d_][\w'’-]*", plain)
        if word[0].isupper() and len(word) > 1 and word.casefold().rstrip("s") not in _DIVISIONS
    ]
    if not any(word.casefold() not in _NO_WORK and not re.fullmatch(r"[IVXLC]+", word) for word in names):
        return False
    if any(word.casefold() in _NO_WORK for word in names[:1]):
        return False
    return any(
        _PLACE.search(part.strip()) or _YEAR.search(part.strip())
        for piece in plain.split(";")
        for part in (piece, re.sub(r"\([^()]*\)", "", piece))
    )


def _folded(text: str) -> str:
    """Return a text as citations are compared: no case, quotation marks, apostrophes or accents; one dash."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = re.sub(r"[‐‑‒–—−]", "-", re.sub(r"[‘’ʼ`´'“”„«»\"]", "", text))
    return " ".join(text.split()).casefold()


def _tokens(folded: str) -> list[str]:
    return [_single(token) for token in _TOKEN.findall(folded)]


def _single(token: str) -> str:
    return token[:-1] if token.endswith("s") and token[:-1] in _DIVISIONS else token


def _places(locus: str) -> set[str]:
    """Return the words and numbers of a locus, with every number inside its ranges."""
    found = set(_tokens(locus))
    for before, first, prefix, last in _RANGE.findall(locus):
        if prefix in {"", before} and 0 < int(last) - int(first) < 1000:
            found |= {f"{before}{number}" for number in range(int(first), int(last) + 1)}
    return found
