"""How near a text comes to each persona's claims, sentence by sentence: what representation is computed from."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from multiplex.embedding import Vectors
from multiplex.sentences import sentences

__all__ = ["CARRIED", "Claims"]

CARRIED = 0.6
"""The cosine from which a sentence counts as carrying a claim (all-MiniLM-L6-v2)."""


class Claims:
    """The claims of a panel, embedded once for as many texts as you like."""

    def __init__(
        self, claims: Mapping[str, Sequence[str]], embed: Callable[[Sequence[str]], Vectors]
    ) -> None:
        self._embed = embed
        self._counts = {name: len(texts) for name, texts in claims.items()}
        rows: list[str] = []
        self._starts: list[int] = []
        for texts in claims.values():
            for text in texts:
                self._starts.append(len(rows))
                rows += [text, *sentences(text)]
        self._vectors = embed(rows) if rows else None

    def nearness(self, parts: Sequence[str]) -> dict[str, list[list[float]]]:
        """Return for each persona a matrix of cosines: its claims (rows) by the text's sentences (columns).

        A claim of several sentences is as near to a sentence of the text as it is whole, or as the nearest of
        its own sentences is.
        """
        if self._vectors is None:
            return {name: [] for name in self._counts}
        cosines = self._vectors @ self._embed(parts).T
        nearest = np.maximum.reduceat(cosines, self._starts, axis=0).tolist()
        found, start = {}, 0
        for name, count in self._counts.items():
            found[name] = nearest[start : start + count]
            start += count
        return found
