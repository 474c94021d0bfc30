"""Masking personal data: what is found becomes a placeholder, the same one each time it is met.

    masker = Masker()
    masked = masker.mask("My name is Priya Sharma, write to priya@example.org. Priya is my first name.")
    masked.text    # My name is [NAME_1], write to [EMAIL_1]. [NAME_1] is my first name.

What was found is never returned, logged or written anywhere: only its kind, its place and how sure it is.
"""

import re
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from multiplex.dataset.privacy.engine import Engine, load_engine
from multiplex.dataset.privacy.gazetteer import fold, public_figures
from multiplex.dataset.privacy.names import calls, name_parts, name_words, repeats
from multiplex.dataset.privacy.public import PublicNames, PublicWords
from multiplex.dataset.privacy.reading import read
from multiplex.dataset.privacy.references import is_chapter
from multiplex.dataset.privacy.spans import KINDS, Span
from multiplex.dataset.privacy.tokens import Name
from multiplex.errors import ContentError, near_miss

__all__ = ["DEFAULT", "Found", "Masked", "Masker", "Session", "apart"]

DEFAULT = KINDS
"""What is masked unless the caller names less."""

_NOT_DETECTED = (
    "names without an introduction that the gazetteer does not hold",
    "names in lower case that nothing introduces, unless a known given and family name stand together",
    "one-word family names that nothing introduces",
    "parts of a known name that are ordinary words, alone and without words beside them that tell a name",
    "parts of a known name that are places or times too, alone, unless such a word as said or asked stands beside them",
    "parts of a known name that are faiths or peoples too, alone",
    "names in scripts without capitals that nothing introduces, unless a known given and family name stand together",
    "nicknames, user names, and who is meant where nobody is named",
    "addresses without a house number, or in forms other than the commoner western ones",
    "dates of birth that the text does not call so, ages, employers, schools and places",
    "identity numbers without a check digit that nothing introduces",
    "telephone numbers without country code, spacing or a word such as call",
    "IP addresses written as a place in a book, behind its title or before its verses, that no word introduces",
)
_PLACEHOLDER = re.compile(r"\[(" + "|".join(KINDS) + r")_(\d{1,6})\]")
_WINDOW, _OVERLAP = 4000, 300
_WORDS = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True, slots=True)
class Found:
    """One find: its kind, its place in the text that was given (`text[start:end]`), and how sure it is, 0 to 1."""

    kind: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with placeholders, and what they stand for by kind and place alone."""

    text: str
    found: tuple[Found, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many finds of each kind there were, in the order of the kinds."""
        return {kind: n for kind in KINDS if (n := sum(find.kind == kind for find in self.found))}


class Masker:
    """Finds and masks personal data with Presidio.

    `names` says how people's names are found: `contexts` (a gazetteer and the words beside a name), or
    `spacy:PIPELINE` for a spaCy pipeline that is installed. `entities` are the kinds to mask, `allow` the
    names that are public and stay (beside some two hundred that always do), `threshold` how sure a find has
    to be, 0 to 1: at 0.45 two unknown words with capitals are a name too, which finds more rare names and
    masks more places.

    Raises:
        ContentError: an option is wrong, or the extra `data` is not installed.
    """

    def __init__(
        self,
        *,
        names: str = "contexts",
        entities: Sequence[str] = DEFAULT,
        allow: Iterable[str] = (),
        threshold: float = 0.5,
    ) -> None:
        for kind in entities:
            if kind not in KINDS:
                raise ContentError(
                    f"entities: nothing called {kind!r} can be masked; {near_miss(kind, KINDS)}"
                )
        if names != "contexts" and not re.fullmatch(r"spacy:.+", names):
            raise ContentError(f"names: {names!r} needs to be 'contexts' or 'spacy:PIPELINE'")
        if not 0 < threshold <= 1:
            raise ContentError(f"threshold: {threshold} needs to be above 0 and at most 1")
        self._names = names
        self._kinds = tuple(kind for kind in KINDS if kind in entities)
        self._public = (*public_figures(), *allow)
        self._allow = PublicNames(self._public)
        self._content = PublicWords()
        self._threshold = threshold
        self._engine: Engine = load_engine(self._kinds, names=names)

    def mask(self, text: str) -> Masked:
        """Return the text with what is personal masked; numbering begins anew."""
        return self.session().mask(text)

    def session(self) -> "Session":
        """Return a session that keeps its numbering over several texts: a prompt and its answers."""
        return Session(self)

    def describe(self) -> dict[str, Any]:
        """Return how masking is done, as plain data for a manifest."""
        return {
            "library": "presidio-analyzer",
            "names": self._names,
            "entities": list(self._kinds),
            "threshold": self._threshold,
            "public_names_kept": len(self._allow),
            "versions": {
                name: _version(name) for name in ("presidio-analyzer", "phonenumbers", "spacy", "faker")
            },
            "not_detected": list(_NOT_DETECTED),
        }

    def find(self, text: str, known: "_Known") -> list[Span]:
        """Return what is personal in a text, in order and apart; `known` are names met before."""
        if not text.strip():
            return []
        reading = read(text)
        plain = reading.text
        spans = [
            span
            for span in self._windows(plain)
            if not (
                self._allow.covers(plain, span)
                if span.kind == "NAME"
                else self._content.hold(plain[span.start : span.end])
            )
        ]
        named = [span for span in spans if span.kind == "NAME"]
        spans = [span for span in spans if span.kind != "IP" or not is_chapter(plain, span, named)]
        if "NAME" in self._kinds:
            names = known.and_also(plain[span.start : span.end] for span in named)
            spans += self._not_public(plain, repeats(plain, names.parts))
            if words := names.words - names.parts:
                spans += self._not_public(plain, calls(plain, words))
        return apart(text, map(reading.back, spans))

    def again(self, text: str, parts: Iterable[str]) -> list[Span]:
        """Return where folded parts of known names stand in a text, if no public name does there."""
        reading = read(text)
        return [*map(reading.back, self._not_public(reading.text, repeats(reading.text, parts)))]

    def _not_public(self, text: str, names: Iterable[Name]) -> list[Span]:
        spans = (Span("NAME", name.start, name.end, name.score) for name in names)
        return [span for span in spans if not self._allow.covers(text, span)]

    def allowing(self, names: Iterable[str], content: Iterable[str] = ()) -> "Masker":
        """Return a masker with the same engine that leaves these names too, and what but names is in `content`."""
        other = copy(self)
        other._public = (*self._public, *names)
        other._allow = PublicNames(other._public)
        other._content = self._content.more(content)
        return other

    def _windows(self, text: str) -> list[Span]:
        if len(text) <= _WINDOW + _OVERLAP:
            return self._engine.find(text, threshold=self._threshold)
        found: list[Span] = []
        start = 0
        while start < len(text):
            end = min(len(text), start + _WINDOW + _OVERLAP)
            inside = self._engine.find(text[start:end], threshold=self._threshold)
            last = end == len(text)
            # what touches the edge of a window is left to the window that holds it whole
            found += [
                Span(span.kind, span.start + start, span.end + start, span.score)
                for span in inside
                if (span.end < end - start or last) and (span.start > 0 or start == 0)
            ]
            if last:
                break
            start += _WINDOW
        return found


class _Known:
    """People's names, folded, with their parts and words: worked out once for each, as it is learnt."""

    __slots__ = ("folded", "parts", "words")

    def __init__(self) -> None:
        self.folded: set[str] = set()
        self.parts: set[str] = set()
        self.words: set[str] = set()

    def learn(self, name: str) -> None:
        """Learn a name, if it is not known."""
        if (folded := fold(name)) not in self.folded:
            self.folded.add(folded)
            self.parts |= name_parts(folded)
            self.words |= name_words(folded)

    def and_also(self, names: Iterable[str]) -> "_Known":
        """Return these names and others; these stay as they are."""
        more = [*names]
        if not more:
            return self
        both = _Known()
        both.folded, both.parts, both.words = {*self.folded}, {*self.parts}, {*self.words}
        for name in more:
            both.learn(name)
        return both


class Session:
    """Masks several texts with one numbering. It remembers what it met, in memory only."""

    __slots__ = ("_by_word", "_highest", "_masker", "_names", "_numbers")

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._numbers: dict[str, dict[str, int]] = {}
        self._highest: dict[str, int] = {}
        self._names = _Known()
        self._by_word: dict[str, set[int]] = {}
        """The numbers of those whose names have a word."""

    @property
    def names(self) -> frozenset[str]:
        """Whom it remembers, as folded names: with these it may find more in a text than a new session would."""
        return frozenset(self._names.folded)

    def remember(self, names: Iterable[str]) -> None:
        """Remember these people too, as if it had met them in a text."""
        for name in names:
            self._number("NAME", name)

    def mask_all(self, texts: Sequence[str]) -> list[Masked]:
        """Return texts masked as one would be: whoever is named in one of them is masked in those before it too.

        They are numbered in their order.
        """
        for text in texts:
            self._leave_out(text)
        while True:
            known = len(self._names.folded)
            done = [self.mask(text) for text in texts]
            if len(self._names.folded) == known:
                return done

    def mask(self, text: str) -> Masked:
        """Return the text with what is personal masked, numbered as in the texts before.

        Masking what is masked changes nothing: a placeholder is never masked, and the text is looked
        through until nothing more is found.
        """
        self._leave_out(text)
        pieces: list[tuple[int, int, Found | None, str]] = [(0, len(text), None, text)]
        while True:
            current = "".join(piece[3] for piece in pieces)
            spans = self._masker.find(current, self._names)
            if not spans:
                break
            pieces = self._split(text, pieces, current, spans)
        found = tuple(piece[2] for piece in pieces if piece[2])
        return Masked(current, found)

    def _leave_out(self, text: str) -> None:
        """Give nobody a number that a placeholder in the text has already."""
        for match in _PLACEHOLDER.finditer(text):
            self._highest[match[1]] = max(self._highest.get(match[1], 0), int(match[2]))

    def _split(
        self,
        text: str,
        pieces: list[tuple[int, int, Found | None, str]],
        current: str,
        spans: Sequence[Span],
    ) -> list[tuple[int, int, Found | None, str]]:
        """Return the pieces with the spans of the current text cut out; a piece is (start, end, find, as written)."""
        result: list[tuple[int, int, Found | None, str]] = []
        waiting = list(spans)
        place = 0
        for start, end, find, written in pieces:
            if find:
                result.append((start, end, find, written))
                place += len(written)
                continue
            at = start
            while waiting and waiting[0].start < place + len(written):
                span = waiting.pop(0)
                first, last = start + span.start - place, start + span.end - place
                placeholder = f"[{span.kind}_{self._number(span.kind, text[first:last])}]"
                result.append((at, first, None, text[at:first]))
                result.append((first, last, Found(span.kind, first, last, round(span.score, 3)), placeholder))
                at = last
            result.append((at, end, None, text[at:end]))
            place += len(written)
        return result

    def _number(self, kind: str, value: str) -> int:
        value = read(value).text  # a number is the same in the digits of any script
        numbers = self._numbers.setdefault(kind, {})
        named = kind == "NAME"
        key = (
            " ".join(fold(word) for word in _WORDS.findall(value))
            if named
            else re.sub(r"[^\w@]", "", value).casefold()
        )
        words = name_words(value) if named else set[str]()
        if key not in numbers:
            number = self._whose(words)
            if number is None:
                number = self._highest[kind] = self._highest.get(kind, 0) + 1
            numbers[key] = number
        if named:
            self._names.learn(value)
        for word in words:
            self._by_word.setdefault(word, set()).add(numbers[key])
        return numbers[key]

    def _whose(self, words: Iterable[str]) -> int | None:
        """Return the number of the first whose name has all of these words, None where nobody's has."""
        numbers = [self._by_word.get(word, set()) for word in words]
        return min(set.intersection(*numbers), default=None) if numbers else None


def apart(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return spans in order that touch neither each other nor a placeholder; the longer, then the surer one stays."""
    taken = bytearray(len(text))
    for match in _PLACEHOLDER.finditer(text):
        taken[match.start() : match.end()] = b"\1" * len(match[0])
    kept = []
    for span in sorted(spans, key=lambda s: (s.start - s.end, -s.score, KINDS.index(s.kind), s.start)):
        if span.start < span.end and not any(taken[span.start : span.end]):
            kept.append(span)
            taken[span.start : span.end] = b"\1" * (span.end - span.start)
    return sorted(kept, key=lambda s: s.start)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
