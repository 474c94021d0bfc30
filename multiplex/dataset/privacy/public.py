"""Names that are public and are never masked: those of a panel's own content, and of people in public life."""

import re
from collections.abc import Iterable

from multiplex.content.panels import Panel
from multiplex.dataset.privacy.gazetteer import fold
from multiplex.dataset.privacy.spans import Span

__all__ = ["PublicNames", "public_names"]

_WORDS = re.compile(r"\w+(?:['’-]\w+)*")


class PublicNames:
    """Names that are public, looked up word by word."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: set[tuple[str, ...]] = set()
        for name in names:
            words = tuple(fold(word) for word in _WORDS.findall(name))
            if words:
                self._names.add(words)
        self._longest = max(map(len, self._names), default=0)

    def __len__(self) -> int:
        return len(self._names)

    def covers(self, text: str, span: Span) -> bool:
        """Return whether every word of the span belongs to a public name that stands there."""
        if not self._names:
            return False
        reach = 60
        start, end = max(0, span.start - reach), min(len(text), span.end + reach)
        words = [
            (m.start() + start, m.end() + start, fold(re.sub(r"['’]s$", "", m[0])))
            for m in _WORDS.finditer(text[start:end])
        ]
        inside = {i for i, (a, b, _) in enumerate(words) if a < span.end and b > span.start}
        for first in range(len(words)):
            for size in range(self._longest, 0, -1):
                if tuple(w for *_, w in words[first : first + size]) in self._names:
                    inside -= set(range(first, first + size))
        return not inside


def public_names(panel: Panel) -> frozenset[str]:
    """Return the names that a panel's own content makes public: its lexicon, sources and commitments.

    Every term with a capital counts, and in running text every run of two or more capitalised words.
    """
    texts: list[str] = []
    names: set[str] = set()
    for persona in (*panel.personas, *panel.pack.personas):
        names.add(persona.label)
        for commitment in persona.commitments:
            texts += [commitment.statement, commitment.title, commitment.source.work, commitment.source.locus]
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
