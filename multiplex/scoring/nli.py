"""Which perspective a sentence entails: a classifier on top of any natural-language-inference model.

The model itself is a function (`multiplex.entailment` makes one of a cross-encoder). It was not trained
for this, so its labels need their controls: `measured.measure`.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from multiplex.errors import near_miss
from multiplex.scoring.classifiers import NONE, SentenceLabel

__all__ = ["HYPOTHESIS", "Entails", "NliClassifier"]

Entails = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of premise and hypothesis in, the probability that the first entails the second out, each in [0, 1]."""

HYPOTHESIS = "This speaks from a {perspective} point of view."
"""What is asked of a sentence, unless other words are given."""


class NliClassifier:
    """Label each sentence with the perspective whose hypothesis it entails most surely.

    The sentence is the premise, and for each perspective the template, with the perspective's name (or
    `names`, for people) in it, is the hypothesis. Of entailment probabilities p_c, `probabilities` are
    p_c and 1 - max p for "none", divided by their sum: they are no calibrated shares. The label is the
    c of the largest p_c (the first on the list of equal ones) where that reaches `least`, else "none".
    n sentences and K perspectives cost n K pairs.

    The form is zero-shot classification by entailment (Yin, Hay and Roth, 2019, arXiv 1909.00161).

    Raises ValueError where the list is empty or names one twice, the template names no perspective,
    `names` has one that is not listed, or `least` is outside [0, 1].
    """

    def __init__(
        self,
        perspectives: Sequence[str],
        entails: Entails,
        *,
        template: str = HYPOTHESIS,
        names: Mapping[str, str] | None = None,
        least: float = 0.5,
    ) -> None:
        self.perspectives = tuple(perspectives)
        if not self.perspectives or len(set(self.perspectives)) < len(self.perspectives):
            raise ValueError("perspectives: the list is empty, or one is listed twice")
        if "{perspective}" not in template:
            raise ValueError(f"template: {template!r} needs to hold {{perspective}}")
        for name in names or {}:
            if name not in self.perspectives:
                raise ValueError(f"names: {name!r} is not on the list; {near_miss(name, self.perspectives)}")
        if not 0 <= least <= 1:
            raise ValueError(f"least: needs to lie in [0, 1], not {least!r}")
        called = {name: name.replace("_", " ") for name in self.perspectives} | dict(names or {})
        self.hypotheses = tuple(template.replace("{perspective}", called[name]) for name in self.perspectives)
        self._entails, self._least = entails, least

    def label(self, given: Sequence[str]) -> list[SentenceLabel]:
        """Label sentences, each different one once.

        Raises ValueError where the model does not give every pair a probability.
        """
        different = list(dict.fromkeys(given))
        pairs = [(sentence, hypothesis) for sentence in different for hypothesis in self.hypotheses]
        scores = [float(p) for p in self._entails(pairs)] if pairs else []
        if len(scores) != len(pairs) or not all(math.isfinite(p) and 0 <= p <= 1 for p in scores):
            raise ValueError("entails: needs to give every pair a probability between 0 and 1")
        rows = np.array(scores).reshape(len(different), len(self.perspectives))
        found = {
            sentence: self._labelled(sentence, row)
            for sentence, row in zip(different, rows.tolist(), strict=True)
        }
        return [found[sentence] for sentence in given]

    def _labelled(self, sentence: str, row: Sequence[float]) -> SentenceLabel:
        best = max(row)
        whole = math.fsum(row) + 1 - best
        shares = {name: p / whole for name, p in zip(self.perspectives, row, strict=True)}
        shares[NONE] = (1 - best) / whole
        label = self.perspectives[row.index(best)] if best >= self._least else NONE
        return SentenceLabel(sentence, label, False, shares[label], shares)
