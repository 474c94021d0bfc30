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
from multiplex.scoring.floors import Floors
from multiplex.scoring.lexicon import Lexicon
from multiplex.scoring.text_model import Floats, Labels

__all__ = ["Measured", "measure"]

_PRIOR = 5.0
"""For how many sentences the classifier's mean hit rate stands, in the confusion of each class."""

_CHANCE = 0.01
"""Labels that depend on the true perspective no more surely than this p-value cannot be corrected."""


class Measured:
    """A classifier with its confusion, measured on sentences of known perspective. Make one with `measure`."""

    def __init__(
        self, classifier: SentenceClassifier, truth: Labels, predicted: Labels, control: PerspectiveControl
    ) -> None:
        self.perspectives = classifier.perspectives
        self._classifier, self._control = classifier, control
        classes = len(self.perspectives) + 1
        self._confusion = np.zeros((classes, classes))
        np.add.at(self._confusion, (truth, predicted), 1)
        self._matrix = _rates(self._confusion) if _tells(self._confusion[:-1]) else None
        self._floors = Floors(self)

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
        """Return the entropy that the measured errors give texts of one perspective, of `count` sentences each.

        What a class is labelled as is known from few sentences (some 20 a perspective), so every text
        draws rates of its own, from the Dirichlet distribution that the class's row of the confusion and
        the prior of `likelihoods` give, and its labels from these. It is corrected by the rates as they
        were measured, as any text is, and not by those that its labels come from. Perspectives without a
        measured sentence are left out. The same count gives the same floor (see `Floors.of`).
        """
        return self._floors.of(count)

    def _rows(self, texts: int, draw: np.random.Generator) -> Floats:
        """Draw what each text's perspective is labelled as: shape (perspectives measured x texts, K + 1)."""
        alphas = self._confusion + _PRIOR * _prior(self._confusion)
        measured = np.flatnonzero(self._confusion[:-1].sum(axis=1))
        rows = [draw.dirichlet(alphas[perspective], size=texts) for perspective in measured]
        return np.concatenate([*rows, np.zeros((0, len(alphas)))])

    def counted(self, texts: int, sentences: int, draw: np.random.Generator) -> Floats:
        """Return the counts of texts drawn for a noise floor (see `floors.Draw`)."""
        found: Floats = draw.multinomial(sentences, self._rows(texts, draw))[:, :-1].astype(float)
        return found

    def explained(self, texts: int, sentences: int, draw: np.random.Generator) -> Floats | None:
        """Return the likelihoods of texts drawn for a noise floor (see `floors.Draw`)."""
        if self._matrix is None:
            return None
        rows = self._rows(texts, draw)
        labels = np.stack([draw.choice(len(self._confusion), sentences, p=row) for row in rows])
        found: Floats = self._matrix.T[labels]
        return found


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
    rates: Floats = (confusion + _PRIOR * _prior(confusion)) / (confusion.sum(axis=1, keepdims=True) + _PRIOR)
    return rates


def _prior(confusion: Floats) -> Floats:
    """Return the rates of a class of which nothing is known: the mean hit rate, and even errors."""
    hit = (float(np.trace(confusion)) + 1) / (float(confusion.sum()) + 2)
    classes = len(confusion)
    prior = np.full((classes, classes), (1 - hit) / (classes - 1)) if classes > 1 else np.ones((1, 1))
    np.fill_diagonal(prior, hit)
    return prior


def _tells(confusion: Floats) -> bool:
    """Tell whether labels depend on the perspectives that were measured, one of them aside."""
    table = confusion[confusion.sum(axis=1) > 0]
    table = table[:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return False
    p = float(chi2_contingency(table, correction=False).pvalue)
    return math.isfinite(p) and p < _CHANCE
