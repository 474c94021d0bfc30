"""Which perspectives a text speaks from, and how evenly: the default classifier and its entropy.

A noisy classifier makes any text look diverse, so every entropy comes with its controls: how the
classifier does on sentences it was not trained on, the entropy it gives to texts of one perspective
only, and a value corrected for its errors.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from multiplex.errors import near_miss
from multiplex.scoring.classifiers import (
    NONE,
    Controlled,
    NoiseFloor,
    Passages,
    PerspectiveControl,
    SentenceLabel,
    control_of,
)
from multiplex.scoring.evenness import above, contributions, corrected_entropy, entropy_of, resampled
from multiplex.scoring.floors import Floors
from multiplex.scoring.lexicon import Lexicon
from multiplex.scoring.score import Score
from multiplex.scoring.text_model import Embed, Floats, Labels, TextModel, calibrate, calibrated, fit
from multiplex.sentences import sentences

__all__ = [
    "NONE",
    "NoiseFloor",
    "Passages",
    "PerspectiveClassifier",
    "PerspectiveControl",
    "SentenceLabel",
    "perspective_entropy",
]

_FOLDS = 5

_LEAST = 0.35
"""The least probability that a perspective is named with; below it a sentence counts as "none" (chosen on
the development half of bench/sentences.yaml)."""

_TRUST, _TRIALS = 0.95, 20
"""How far a name is trusted before the personas' own texts are counted, and for how many names that stands."""


class PerspectiveClassifier:
    """Names in the text first, a light text model for the rest. Make one with `train`."""

    def __init__(
        self,
        perspectives: Sequence[str],
        lexicon: Lexicon,
        model: TextModel,
        embed: Embed,
        calibration: tuple[float, float],
        trust: float,
    ) -> None:
        self.perspectives = tuple(perspectives)
        self.labels = (*self.perspectives, NONE)
        self.trust = trust
        self._lexicon, self._model, self._embed, self._calibration = lexicon, model, embed, calibration
        self._trained: dict[str, Floats] = {}
        self._held_out: Floats = np.zeros((0, len(self.labels)))
        self._truth: Labels = np.zeros(0, dtype=np.intp)
        self._named: list[tuple[str, ...]] = []
        self._parts: Floats = np.zeros((0, len(self.perspectives)))
        self._floors = Floors(self)

    @classmethod
    def train(
        cls,
        passages: Passages,
        perspectives: Sequence[str],
        lexicon: Mapping[str, Sequence[str]],
        neutral: Sequence[str],
        embed: Embed,
    ) -> Self:
        """Train on what the personas say and on neutral lines; the same input gives the same classifier.

        The text model learns from the passages it is given (statements, paragraphs and plain speech, a
        sentence each; no titles and no policies), with the lexicon's terms masked, so that it learns the
        reasoning and not the names. Its scores become probabilities by a scale and an offset for "none", fitted to
        cross-validated scores (five folds; all of a commitment is in one). How far a name is trusted is
        the share of names in the personas' own texts that name their own perspective.

        A listed perspective that no passage speaks for is allowed: the text model scores every text 0
        for it, so that it is found by its names alone, or nearly so.

        Raises ValueError where there are no passages, or a key of the lexicon or a passage's perspective
        is not on the list.
        """
        order = {name: i for i, name in enumerate(perspectives)}
        for name in [*lexicon, *(perspective for perspective, _, _, _ in passages)]:
            if name not in order:
                raise ValueError(
                    f"perspectives: {name!r} is not on the list; {near_miss(name, perspectives)}"
                )
        if not passages:
            raise ValueError("passages: there are none to learn from")
        corpus = [(order[perspective], text, group, tested) for perspective, text, group, tested in passages]
        corpus += [(len(order), line, f"{NONE} {i}", True) for i, line in enumerate(neutral)]

        terms = Lexicon(lexicon)
        named = [tuple(terms.references(text)) for _, text, _, _ in corpus]
        texts = [
            terms.mask(text) if names else text for (_, text, _, _), names in zip(corpus, named, strict=True)
        ]
        labels = np.array([label for label, _, _, _ in corpus], dtype=np.intp)
        model, scores = fit(
            texts,
            embed(texts),
            labels,
            _folds([group for _, _, group, _ in corpus]),
            classes=len(order) + 1,
        )
        tested = np.flatnonzero([whole for _, _, _, whole in corpus])
        own = sum(perspectives[label] in names for label, names in zip(labels, named, strict=True) if names)
        trust = (_TRUST * _TRIALS + own) / (_TRIALS + sum(map(len, named)))

        found = cls(perspectives, terms, model, embed, calibrate(scores[tested], labels[tested]), trust)
        found._trained = {text: row for (_, text, _, _), row in zip(corpus, scores, strict=True)}
        found._truth = labels[tested]
        found._named = [named[i] for i in tested]
        found._held_out = found._with_names(found._shares(scores[tested]), found._named)
        found._parts = _adding(found._held_out, found._named, found.perspectives)
        return found

    def classify(self, text: str) -> list[SentenceLabel]:
        """Label each sentence of a text."""
        return self.label(sentences(text))

    def label(self, given: Sequence[str]) -> list[SentenceLabel]:
        """Label sentences that have been split already.

        Where a sentence names several perspectives, each has an equal share of the trust in names, and
        the text model decides between them on the sentence with the names masked.
        """
        return self._label(given, [None] * len(given))

    def label_held_out(self, given: Sequence[str]) -> tuple[list[SentenceLabel], int]:
        """Label sentences as `label` does, but those it was trained on by models that had not seen them.

        Returns also how many these are. A source in brackets at a sentence's end does not make another
        sentence of it; names in it count as names.
        """
        seen = [self._trained_on(sentence) for sentence in given]
        return self._label(given, seen), sum(each is not None for each in seen)

    def _trained_on(self, sentence: str) -> Floats | None:
        """Return the held-out scores of a sentence that stands among the passages."""
        if sentence in self._trained:
            return self._trained[sentence]
        if sentence[-2:-1] == ")":
            parts = sentence.split(" (")
            for i in range(1, len(parts)):
                if (bare := " (".join(parts[:i]) + sentence[-1]) in self._trained:
                    return self._trained[bare]
        return None

    def _label(self, given: Sequence[str], known: Sequence[Floats | None]) -> list[SentenceLabel]:
        if not given:
            return []
        named = [tuple(self._lexicon.references(sentence)) for sentence in given]
        texts = [self._lexicon.mask(s) if names else s for s, names in zip(given, named, strict=True)]
        scores = self._model.scores(texts, self._embed(texts))
        for i, row in enumerate(known):
            if row is not None:
                scores[i] = row
        shares = self._with_names(self._shares(scores), named)
        labels = []
        for sentence, names, row in zip(given, named, shares, strict=True):
            best = int(_best(row[None])[0])
            by_name = dict(zip(self.labels, map(float, row), strict=True))
            labels.append(
                SentenceLabel(sentence, self.labels[best], bool(names), float(row[best]), by_name, names)
            )
        return labels

    def control(self) -> PerspectiveControl:
        """Return the cross-validated confusion and accuracy."""
        explicit = np.array([bool(names) for names in self._named])
        return control_of(self._truth, _best(self._held_out), explicit, self.labels)

    def likelihoods(self, labels: Sequence[SentenceLabel]) -> Floats:
        """Return the labels' own probabilities: they were calibrated with all classes equally frequent."""
        return np.array([list(each.probabilities.values()) for each in labels])

    def noise_floor(self, count: int) -> NoiseFloor:
        """Return the entropy of held-out texts of one perspective, of `count` sentences each.

        Drawn with replacement from the pack's statements, which were labelled by models that did not see
        them. The same count gives the same floor (see `Floors.of`).
        """
        return self._floors.of(count)

    def _pools(self) -> list[Labels]:
        pools = [np.flatnonzero(self._truth == perspective) for perspective in range(len(self.perspectives))]
        return [pool for pool in pools if len(pool)]

    def counted(self, texts: int, sentences: int, draw: np.random.Generator) -> Floats:
        """Return the counts of texts drawn for a noise floor (see `floors.Draw`)."""
        drawn = [
            draw.multinomial(sentences, np.full(len(pool), 1 / len(pool)), size=texts) @ self._parts[pool]
            for pool in self._pools()
        ]
        return np.concatenate([*drawn, np.zeros((0, len(self.perspectives)))])

    def explained(self, texts: int, sentences: int, draw: np.random.Generator) -> Floats:
        """Return the likelihoods of texts drawn for a noise floor (see `floors.Draw`)."""
        found: Floats = self._held_out[
            np.concatenate([draw.choice(pool, (texts, sentences)) for pool in self._pools()])
        ]
        return found

    def _shares(self, scores: Floats) -> Floats:
        return calibrated(scores, *self._calibration)

    def _with_names(self, shares: Floats, named: Sequence[Sequence[str]]) -> Floats:
        mixed = shares.copy()
        for row, names in enumerate(named):
            if names:
                mixed[row] *= 1 - self.trust
                for name in names:
                    mixed[row, self.perspectives.index(name)] += self.trust / len(names)
        return mixed


def _folds(groups: Sequence[str]) -> Labels:
    """Return the fold of each text, 0 to 4: all texts of a group in one, and always the same."""
    distinct = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    shuffled = np.random.default_rng(0).permutation(len(distinct)) % _FOLDS
    return np.asarray(shuffled[[distinct[group] for group in groups]], dtype=np.intp)


def perspective_entropy(
    text: str,
    classifier: Controlled,
    *,
    draws: int = 1000,
    corrected_draws: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> Score:
    """Return how evenly a text's sentences spread over the fixed list of perspectives, in [0, 1].

    The value is the published measure, H / ln K over the labels as they come (`counts`, `shares`); a
    sentence that names several perspectives counts in equal parts for each, and sentences of no
    perspective are counted apart (`none`), as are those that could not be labelled (`unlabelled`).

    A noisy classifier makes any text look diverse. `corrected` therefore holds the entropy and shares of
    the mixture that explains the labels best, errors considered (see `mixtures`), `noise_floor` the
    entropy before and after correction of held-out texts of one perspective, and `control` the
    classifier's confusion. `interval` is the interval of `level` over `draws` resamples of the
    text's sentences, and `corrected.interval` over `corrected_draws`; 0 leaves one out, and
    `evenness.CORRECTED_DRAWS` is what runs are scored with. `above_floor` says whether `interval` lies above
    `noise_floor.high`, what 95 % of texts of one perspective stay below: where it is false, the text
    cannot be told from one of a single perspective, and where it is None, `above_floor_reason` says why.
    See `Interval` for what an interval cannot show.

    Undefined, and so is `corrected`, where no sentence speaks for a perspective; `corrected` also where
    the classifier's labels tell nothing about the perspectives.

    Raises ValueError where draws or level make no sense.
    """
    found = sentences(text)
    labels = classifier.label(found)
    perspectives = classifier.perspectives
    parts = contributions(labels, perspectives)
    raw = entropy_of(parts.sum(axis=0), perspectives)
    detail: dict[str, Any] = {
        **raw.detail,
        "none": sum(each.label == NONE for each in labels),
        "sentences": len(labels),
        "unlabelled": len(found) - len(labels),
        "explicit": sum(each.explicit for each in labels),
        "control": classifier.control(),
    }
    if raw.value is None:
        reason = str(raw.reason) if found else "the text holds no sentence"
        reason = reason if labels or not found else "no sentence could be labelled"
        nothing = Score.undefined(reason)
        return Score.undefined(
            reason,
            **detail,
            interval=None,
            corrected=nothing,
            noise_floor=None,
            above_floor=None,
            above_floor_reason=reason,
        )
    floor = classifier.noise_floor(len(labels))
    interval = resampled(parts, draws=draws, level=level, seed=seed)
    return Score(
        raw.value,
        detail={
            **detail,
            "interval": interval,
            "corrected": corrected_entropy(
                classifier.likelihoods(labels),
                perspectives,
                draws=corrected_draws,
                level=level,
                seed=seed,
            ),
            "noise_floor": floor,
            **above(interval, floor),
        },
    )


def _best(shares: Floats) -> Labels:
    """Return the likeliest class of each row, "none" (the last) where no perspective is likely enough."""
    best: Labels = shares.argmax(axis=1)
    best[shares.max(axis=1) < _LEAST] = shares.shape[1] - 1
    return best


def _adding(shares: Floats, named: Sequence[Sequence[str]], perspectives: Sequence[str]) -> Floats:
    """Return what sentences add to the counts, shape (n, K), as `contributions` does of labels."""
    parts = np.eye(shares.shape[1])[_best(shares)][:, :-1]
    for row, names in zip(parts, named, strict=True):
        if names:
            row[:] = [name in names for name in perspectives]
            row /= len(names)
    return parts
