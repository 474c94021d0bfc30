"""What is public and never masked: a panel's own content, its names, and those of people in public life."""

import re
from collections.abc import Iterable

from multiplex.content.panels import Panel
from multiplex.dataset.privacy.gazetteer import fold
from multiplex.dataset.privacy.reading import read
from multiplex.dataset.privacy.spans import Span

__all__ = ["PublicNames", "PublicWords", "public_names"]

_WORDS = re.compile(r"\w+(?:['’-]\w+)*")
_WORD = re.compile(r"\w+")
_POSSESSIVE = re.compile(r"['’]s$")


class PublicWords:
    """Texts that are public: what they hold word for word, one word after another, is no personal data."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._runs = "\n".join(map(_run, texts))

    def hold(self, text: str) -> bool:
        """Return whether the words of a text, of which it has one or more, stand so in one of the texts."""
        run = _run(text)
        return len(run) > 2 and run in self._runs

    def more(self, texts: Iterable[str]) -> "PublicWords":
        """Return these texts and others."""
        other = PublicWords(texts)
        other._runs = "\n".join(filter(None, (self._runs, other._runs)))
        return other


def _run(text: str) -> str:
    """Return a text's words, parted so that one run of words is found within another only as whole words."""
    return "\x1f".join(("", *_WORD.findall(read(text).text), ""))


class PublicNames:
    """Names that are public, looked up word by word."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: set[tuple[str, ...]] = set()
        self._reach = 60
        for name in names:
            words = tuple(fold(_POSSESSIVE.sub("", word)) for word in _WORDS.findall(read(name).text))
            if words:
                self._names.add(words)
                self._reach = max(self._reach, len(name))
        self._sizes: dict[str, set[int]] = {}
        for words in self._names:
            self._sizes.setdefault(words[0], set()).add(len(words))

    def __len__(self) -> int:
        return len(self._names)

    def covers(self, text: str, span: Span) -> bool:
        """Return whether every word of the span, in a text as it is read, belongs to a public name there."""
        if not self._names:
            return False
        start, end = max(0, span.start - self._reach), min(len(text), span.end + self._reach)
        words = [
            (m.start() + start, m.end() + start, fold(_POSSESSIVE.sub("", m[0])))
            for m in _WORDS.finditer(text[start:end])
        ]
        inside = {i for i, (a, b, _) in enumerate(words) if a < span.end and b > span.start}
        for first in range(len(words)):
            for size in self._sizes.get(words[first][2], ()):
                if tuple(w for *_, w in words[first : first + size]) in self._names:
                    inside -= set(range(first, first + size))
        return not inside


def public_names(panel: Panel) -> frozenset[str]:
    """Return the names that a panel's own content makes public: its lexicon, sources and commitments.

    Every term with a capital counts, in running text every run of two or more capitalised words, and a source as it
    is cited: its work and its place, each of two words or more, and the one behind the other.
    """
    texts: list[str] = []
    names: set[str] = set()
    for persona in (*panel.personas, *panel.pack.personas):
        names.add(persona.label)
        for commitment in persona.commitments:
            source = commitment.source
            texts += [commitment.statement, commitment.title, source.work, source.locus]
            names.update(said for said in (source.work, source.locus) if len(_WORDS.findall(said)) > 1)
            names.add(f"{source.work} {source.locus}")
        texts += [
            persona.summary,
            persona.ontology,
            persona.epistemology,
            persona.ethics,
            persona.diversity,
            persona.limits,
        ]
        texts += persona.plain_speech
    for terms in panel.pack.lexicon.values():
        names.update(term for term in terms if any(c.isupper() for c in term))
    run = re.compile(
        r"[A-ZÀ-ÞŁŚŠŽ][\w'’.-]*(?:\s+(?:(?:of|de|del|la|ibn|bin|al|von|van|da|du|dos|do|the)\s+)*[A-ZÀ-ÞŁŚŠŽ][\w'’-]*)+"
    )
    for text in texts:
        names.update(match[0] for match in run.finditer(text))
    return frozenset(names)
