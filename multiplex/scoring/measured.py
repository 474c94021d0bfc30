"""How far a classifier can be trusted that was not trained here: its confusion, measured on known sentences."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import chi2_contingency

from multiplex.errors import near_miss
from multiplex.scoring.classifiers import (
    NONE,
    NoiseFloor,
    Passages,
    PerspectiveControl,
    SentenceClassifier,
    SentenceLabel,
    control_of,
)
from multiplex.scoring.entropy import normalised_entropy
from multiplex.scoring.lexicon import Lexicon
from multiplex.scoring.quantify import mixtures
from multiplex.scoring.text_model import Floats, Labels

__all__ = ["Measured", "measure"]

_PRIOR = 5.0
"""For how many sentences the classifier's mean hit rate stands, in the confusion of each class."""

_CHANCE = 0.01
"""Labels that depend on the true perspective no more surely than this p-value cannot be corrected."""

_FLOOR_TEXTS = 20


class Measured:
    """A classifier with its confusion, measured on sentences of known perspective. Make one with `measure`."""

    def __init__(
        self, classifier: SentenceClassifier, truth: Labels, predicted: Labels, control: PerspectiveControl
    ) -> None:
        self.perspectives = classifier.perspectives
        self._classifier, self._truth, self._predicted, self._control = classifier, truth, predicted, control
        classes = len(self.perspectives) + 1
        self._confusion = np.zeros((classes, classes))
        np.add.at(self._confusion, (truth, predicted), 1)
        self._matrix = _rates(self._confusion) if _tells(self._confusion[:-1]) else None
        self._floors: dict[int, NoiseFloor] = {}

    def label(self, given: Sequence[str]) -> list[SentenceLabel]:
        """Label sentences, as the classifier itself does."""
        return self._classifier.label(given)

    def control(self) -> PerspectiveControl:
        """Return the measured confusion and accuracy."""
        return self._control

    def likelihoods(self, labels: Sequence[SentenceLabel]) -> Floats | None:
        """Return the column of the confusion for each label: how likely each class is to get that label.

        Each class's row is drawn towards the classifier's mean hit rate, which stands for five sentences
        (a class that nothing was measured for has that alone). The classifier's own probabilities are not
        used: they were not calibrated. None where the labels of the measured sentences do not depend on
        their perspective (chi-square test, p >= 0.01).
        """
        if self._matrix is None:
            return None
        order = {name: i for i, name in enumerate((*self.perspectives, NONE))}
        found: Floats = self._matrix.T[[order[each.label] for each in labels]]
        return found

    def noise_floor(self, count: int) -> NoiseFloor:
        """Return the entropy of texts of one perspective, drawn from the measured sentences.

        Twenty texts a perspective of `count` sentences (or as many as there are), with a fixed seed. Each
        is corrected with the confusion of the other sentences.
        """
        if count not in self._floors:
            self._floors[count] = self._floor(count)
        return self._floors[count]

    def _floor(self, count: int) -> NoiseFloor:
        draw = np.random.default_rng(count)
        raw: list[float] = []
        corrected: list[float] = []
        used: list[int] = []
        for perspective in range(len(self.perspectives)):
            pool = np.flatnonzero(self._truth == perspective)
            if not len(pool):
                continue
            length = min(max(count, 1), len(pool))
            used.append(length)
            found = np.stack(
                [self._predicted[draw.choice(pool, length, replace=False)] for _ in range(_FLOOR_TEXTS)]
            )
            likelihoods = []
            for labels in found:
                tally = np.bincount(labels, minlength=len(self._confusion))
                raw += _defined(tally[:-1].astype(float), self.perspectives)
                rest = self._confusion.copy()
                rest[perspective] -= tally
                likelihoods.append(_rates(rest).T[labels])
            if self._matrix is not None:
                for row in mixtures(np.stack(likelihoods)):
                    corrected += _defined(row, self.perspectives)
        return NoiseFloor(
            round(float(np.mean(used))) if used else 0,
            float(np.mean(raw)) if raw else None,
            float(np.mean(corrected)) if corrected else None,
        )


def measure(
    classifier: SentenceClassifier,
    passages: Passages,
    neutral: Sequence[str],
    *,
    lexicon: Mapping[str, Sequence[str]] | None = None,
) -> Measured:
    """Return a classifier with its confusion, measured on the passages that are to be tested on.

    For classifiers that were not trained on these passages. The default classifier was: it has controls
    of its own, by cross-validation. `neutral` are sentences of no perspective. With a `lexicon` the
    accuracy is told apart for sentences that name a perspective and for those that do not.

    Raises ValueError where a passage's perspective is not on the classifier's list, or nothing could be labelled.
    """
    order = {name: i for i, name in enumerate((*classifier.perspectives, NONE))}
    known = [(perspective, text) for perspective, text, _, tested in passages if tested]
    for perspective, _ in known:
        if perspective not in classifier.perspectives:
            raise ValueError(
                f"passages: {perspective!r} is not on the list; {near_miss(perspective, classifier.perspectives)}"
            )
    known += [(NONE, line) for line in neutral]
    labels = {each.sentence: each.label for each in classifier.label([text for _, text in known])}
    heard = [(perspective, text) for perspective, text in known if text in labels]
    if not heard:
        raise ValueError("passages: there are none that could be labelled")
    truth = np.array([order[perspective] for perspective, _ in heard], dtype=np.intp)
    predicted = np.array([order[labels[text]] for _, text in heard], dtype=np.intp)
    terms = Lexicon(lexicon or {})
    explicit = np.array([bool(terms.references(text)) for _, text in heard])
    return Measured(classifier, truth, predicted, control_of(truth, predicted, explicit, tuple(order)))


def _rates(confusion: Floats) -> Floats:
    """Return P(label | class) of shape (K + 1, K + 1), each row drawn towards the mean hit rate."""
    hit = (float(np.trace(confusion)) + 1) / (float(confusion.sum()) + 2)
    classes = len(confusion)
    prior = np.full((classes, classes), (1 - hit) / (classes - 1)) if classes > 1 else np.ones((1, 1))
    np.fill_diagonal(prior, hit)
    rates: Floats = (confusion + _PRIOR * prior) / (confusion.sum(axis=1, keepdims=True) + _PRIOR)
    return rates


def _tells(confusion: Floats) -> bool:
    """Tell whether labels depend on the perspectives that were measured, one of them aside."""
    table = confusion[confusion.sum(axis=1) > 0]
    table = table[:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return False
    p = float(chi2_contingency(table, correction=False).pvalue)
    return math.isfinite(p) and p < _CHANCE


def _defined(counts: Floats, perspectives: Sequence[str]) -> list[float]:
    value = normalised_entropy(dict(zip(perspectives, map(float, counts), strict=True)), perspectives).value
    return [] if value is None else [value]
