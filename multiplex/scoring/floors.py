"""What a classifier's errors alone make of texts of one perspective, at any length."""

from typing import Protocol

import numpy as np

from multiplex.scoring.classifiers import NoiseFloor
from multiplex.scoring.evenness import MOST_EXPLAINED, entropies
from multiplex.scoring.quantify import mixtures
from multiplex.scoring.text_model import Floats

__all__ = ["Draw", "Floors"]

_HIGH = 0.95
"""What share of texts of one perspective has to get less than a text, for it to be told from them."""

_COUNTED = 200
"""How many texts a perspective are counted."""

_EXPLAINED, _FEWEST, _MOST = 320, 2, 20
"""How many sentences a perspective are explained, in how many texts at least and at most."""


class Draw(Protocol):
    """Draws texts of one perspective each."""

    def counted(self, texts: int, sentences: int, draw: np.random.Generator) -> Floats:
        """Return the counts of that many texts of each perspective: shape (all texts, K)."""
        ...

    def explained(self, texts: int, sentences: int, draw: np.random.Generator) -> Floats | None:
        """Return the likelihoods of the labels of such texts, shape (all texts, sentences, K + 1), or None."""
        ...


class Floors:
    """The noise floors of a classifier, each drawn once; the same length always gets the same."""

    def __init__(self, texts: Draw) -> None:
        self._texts = texts
        self._found: dict[int, NoiseFloor] = {}
        self._corrected: dict[int, float | None] = {}

    def of(self, count: int) -> NoiseFloor:
        """Return the noise floor of texts of `count` sentences.

        Counted are 200 texts a perspective, of exactly that length. Explaining is slow: it is done for 2
        to 20 texts a perspective, of a length that is rounded up (by less than a half), and not above
        2,000 sentences.
        """
        count = max(count, 1)
        if count not in self._found:
            self._found[count] = self._of(count)
        return self._found[count]

    def _of(self, count: int) -> NoiseFloor:
        raw = entropies(self._texts.counted(_COUNTED, count, np.random.default_rng(count)))
        raw = raw[np.isfinite(raw)]
        if not len(raw):
            return NoiseFloor(count, None, None, None, "no text of one perspective has an entropy")
        size = _rounded_up(count)
        reason: str | None = None
        if count > MOST_EXPLAINED:
            reason = f"{count} sentences: texts of no more than {MOST_EXPLAINED} are corrected"
        elif size not in self._corrected:
            self._corrected[size] = self._mean_corrected(size)
        corrected = self._corrected.get(size)
        if corrected is None and reason is None:
            reason = "texts of one perspective could not be corrected"
        return NoiseFloor(count, float(raw.mean()), corrected, float(np.quantile(raw, _HIGH)), reason)

    def _mean_corrected(self, size: int) -> float | None:
        texts = min(max(_EXPLAINED // size, _FEWEST), _MOST)
        likelihoods = self._texts.explained(texts, size, np.random.default_rng(size))
        if likelihoods is None:
            return None
        values = entropies(mixtures(likelihoods))
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else None


def _rounded_up(count: int) -> int:
    """Return the next of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on, two to a doubling."""
    step = 1 << max(count.bit_length() - 2, 0)
    return -(-count // step) * step
