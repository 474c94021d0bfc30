"""What a classifier of sentences is, how far it can be trusted, and how far two of them agree.

A classifier takes sentences and gives each a perspective, or "none", with probabilities. The default one
(`perspectives`) was trained and is controlled by cross-validation; a language-model judge (`judge`), an
entailment model (`nli`) or people were not trained here, so that their confusion is measured on the
pack's own passages (`measured`). A classifier with its controls is what every entropy asks for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from multiplex.errors import near_miss
from multiplex.scoring.agreement import krippendorff_alpha
from multiplex.scoring.intervals import no_interval
from multiplex.scoring.sample_intervals import kappa
from multiplex.scoring.score import Score
from multiplex.scoring.text_model import Floats, Labels

__all__ = [
    "NONE",
    "Agreement",
    "Controlled",
    "NoiseFloor",
    "Passages",
    "PerspectiveControl",
    "Recorded",
    "SentenceClassifier",
    "SentenceLabel",
    "Sentiment",
    "classifier_agreement",
    "cohen_kappa",
    "control_of",
]

NONE = "none"
"""The label of a sentence that speaks for no perspective."""

Sentiment = Literal["positive", "neutral", "negative"]

Passages = Sequence[tuple[str, str, str, bool]]
"""Perspective, text, group (all of one are held out together), and whether to test on it."""


@dataclass(frozen=True, slots=True)
class SentenceLabel:
    """A sentence's perspective, or "none".

    `explicit` says that the lexicon named it; `references` lists all perspectives that were named, and
    `sentiments` how the sentence speaks of them, where the classifier tells.
    """

    sentence: str
    label: str
    explicit: bool
    probability: float
    probabilities: Mapping[str, float]
    references: tuple[str, ...] = ()
    sentiments: Mapping[str, Sentiment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PerspectiveControl:
    """How the classifier does on the pack's own statements and neutral lines.

    They were held out from what it was trained on, if it was trained. `confusion` counts sentences: true
    label, then predicted label. `accuracy_explicit` is the share of sentences with a term of the lexicon
    that were labelled rightly, `accuracy_implicit` the share of the others that speak for a perspective,
    `accuracy_none` that of neutral lines. A share of no sentences is None.
    """

    confusion: Mapping[str, Mapping[str, int]]
    sentences: int
    accuracy_explicit: float | None
    accuracy_implicit: float | None
    accuracy_none: float | None


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The entropy that texts of a single perspective and of `sentences` sentences get, by the classifier's errors.

    `raw` and `corrected` are means, before and after correction; without errors they would be 0. `high`
    is the 95th percentile of the raw ones. `reason` says why one of them is None.
    """

    sentences: int
    raw: float | None
    corrected: float | None
    high: float | None
    reason: str | None = None


class SentenceClassifier(Protocol):
    """Sentences in, labels with probabilities out."""

    @property
    def perspectives(self) -> tuple[str, ...]:
        """Return the fixed list; "none" is not on it."""
        ...

    def label(self, given: Sequence[str]) -> list[SentenceLabel]:
        """Label sentences; one that could not be labelled is left out."""
        ...


class Controlled(SentenceClassifier, Protocol):
    """A classifier whose errors are known."""

    def control(self) -> PerspectiveControl:
        """Return the confusion and accuracy on sentences of known perspective."""
        ...

    def likelihoods(self, labels: Sequence[SentenceLabel]) -> Floats | None:
        """Return how likely each label is under each class, "none" last: shape (n, K + 1), up to a factor a row.

        None where the labels tell nothing about the perspectives.
        """
        ...

    def noise_floor(self, count: int) -> NoiseFloor:
        """Return the entropy that texts of one perspective get, of `count` sentences each."""
        ...


class Recorded:
    """A classifier that looks up labels given elsewhere: by a judge, or by people.

    Raises ValueError where a label is neither on the list nor "none", or a sentence has two labels.
    """

    def __init__(
        self,
        perspectives: Sequence[str],
        labels: Iterable[SentenceLabel],
        *,
        failed: Mapping[str, str] | None = None,
    ) -> None:
        self.perspectives = tuple(perspectives)
        self.failed = dict(failed or {})
        """Sentences that could not be labelled, with the reason."""
        self._found: dict[str, SentenceLabel] = {}
        for each in labels:
            first = self._found.setdefault(each.sentence, each)
            if first.label != each.label:
                raise ValueError(f"labels: {each.sentence!r} has two labels: {first.label} and {each.label}")
            for name in (each.label, *each.references, *each.probabilities):
                if name != NONE and name not in self.perspectives:
                    raise ValueError(
                        f"labels: {name!r} is not on the list; {near_miss(name, self.perspectives)}"
                    )

    def label(self, given: Sequence[str]) -> list[SentenceLabel]:
        """Return what was recorded; failed sentences are left out.

        Raises ValueError for a sentence that nobody was asked about.
        """
        for sentence in given:
            if sentence not in self._found and sentence not in self.failed:
                raise ValueError(f"the sentence {sentence!r} was not labelled")
        return [self._found[sentence] for sentence in given if sentence in self._found]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far classifiers agree: Krippendorff's alpha over all, Cohen's kappa of each pair by their names."""

    alpha: Score
    kappa: Mapping[tuple[str, str], Score]


def classifier_agreement(labels: Mapping[str, Mapping[str, str]]) -> Agreement:
    """Return how far classifiers agree on the same sentences, chance considered.

    `labels` maps each classifier to its label of each sentence; "none" is a label like the others, and a
    sentence that one of them did not label is missing there. Alpha is nominal
    (`agreement.krippendorff_alpha`); each pair's kappa is over the sentences that both labelled.
    Agreement is not accuracy: two classifiers may share an error.
    """
    sentences = list(dict.fromkeys(sentence for given in labels.values() for sentence in given))
    units = [{name: given.get(sentence) for name, given in labels.items()} for sentence in sentences]
    pairs = {}
    for one, other in combinations(labels, 2):
        both = [sentence for sentence in labels[one] if sentence in labels[other]]
        pairs[one, other] = cohen_kappa(
            [labels[one][sentence] for sentence in both], [labels[other][sentence] for sentence in both]
        )
    return Agreement(krippendorff_alpha(units, over="sentences"), pairs)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> Score:
    """Return Cohen's kappa of two raters on the same items, unweighted, in [-1, 1].

        kappa = (p_o - p_e) / (1 - p_e),   p_e = sum over labels of share_1(label) share_2(label)

    p_o is the share of items on which they agree: 1 is perfect agreement, 0 what chance gives with these
    shares. The detail holds `items`, `observed` (p_o), `expected` (p_e) and the 95 % bootstrap `interval` over
    the items. Undefined without items, and where both give every item the same label (p_e = 1).

    Source: Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement
    20(1), 1960.

    Raises ValueError where there is not one label of each rater for every item.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} labels of one rater and {len(second)} of the other")
    n = len(first)
    if not n:
        reason = "no item was rated by both"
        nothing = no_interval(reason, over="items")
        return Score.undefined(reason, items=0, observed=None, expected=None, interval=nothing)
    # Counts of agreement are whole numbers, so that p_e = 1 is told exactly.
    agreed = sum(a == b for a, b in zip(first, second, strict=True))
    chance = sum(first.count(label) * second.count(label) for label in set(first))
    detail = {"items": n, "observed": agreed / n, "expected": chance / n**2}
    if chance == n**2:
        reason = "both give every item the same label"
        return Score.undefined(reason, **detail, interval=no_interval(reason, over="items", n=n))
    interval = kappa(first, second).beside()
    return Score((agreed * n - chance) / (n**2 - chance), detail={**detail, "interval": interval})


def control_of(
    truth: Labels, predicted: Labels, explicit: NDArray[np.bool_], labels: Sequence[str]
) -> PerspectiveControl:
    """Return confusion and accuracy from places in `labels` ("none" last), and whether each sentence names one."""
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(counts, (truth, predicted), 1)
    right, speaks = predicted == truth, truth < len(labels) - 1

    def share(of: NDArray[np.bool_]) -> float | None:
        return float(right[of].mean()) if of.any() else None

    return PerspectiveControl(
        confusion={a: dict(zip(labels, map(int, counts[i]), strict=True)) for i, a in enumerate(labels)},
        sentences=len(truth),
        accuracy_explicit=share(explicit & speaks),
        accuracy_implicit=share(~explicit & speaks),
        accuracy_none=share(~speaks),
    )
