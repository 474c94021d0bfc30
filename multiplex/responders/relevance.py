"""Which commitments bear on a question, and how near texts are to one another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multiplex.content.personas import Commitment, Persona
from multiplex.content.scenarios import Scenario
from multiplex.embedding import Embedder, Vectors
from multiplex.sentences import sentences

__all__ = ["Relevance", "wording"]

_TOPIC_BONUS = 0.12
"""What it adds to a cosine that the scenario's domain is among a commitment's topics."""

_VARIETY = 0.1
"""The weight of novelty against relevance in maximal marginal relevance (Carbonell and Goldstein, 1998)."""


_MOST_STACKED = 128
"""How many arrays of vectors stay as they are: a persona's commitments are asked for hundreds of times a run."""


class Relevance:
    """Cosines between commitments, scenarios and texts; every text is embedded once."""

    def __init__(self, embedder: Embedder, corpus: Sequence[Persona]) -> None:
        self._embedder = embedder
        self.corpus = tuple(corpus)
        self._prepared = False
        self._stacked: dict[tuple[str, ...], Vectors] = {}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of shape (len(texts), d), the corpus embedded in one go beforehand."""
        if not self._prepared:
            self._prepared = True
            texts_of_corpus = [
                t for p in self.corpus for c in p.commitments for t in (wording(c), *c.attends_to)
            ]
            self._embedder.embed(texts_of_corpus)
        key = tuple(texts)
        if key not in self._stacked:
            while len(self._stacked) >= _MOST_STACKED:
                del self._stacked[next(iter(self._stacked))]  # the oldest
            self._stacked[key] = self._embedder.embed(texts)
        return self._stacked[key]

    def cosines(self, left: Sequence[str], right: Sequence[str]) -> NDArray[np.float32]:
        """Return cosines of shape (len(left), len(right))."""
        if not left or not right:
            return np.zeros((len(left), len(right)), dtype=np.float32)
        product: NDArray[np.float32] = self.vectors(left) @ self.vectors(right).T
        return product

    def to_scenario(self, commitments: Sequence[Commitment], scenario: Scenario) -> NDArray[np.float32]:
        """Return how far each commitment bears on the scenario, about 0 to 1, shape (len(commitments),)."""
        texts = [wording(c) for c in commitments]
        policies = [policy for c in commitments for policy in c.attends_to]
        starts = np.cumsum([0, *(len(c.attends_to) for c in commitments[:-1])])
        asked = [scenario.question, f"{scenario.label} {scenario.setting}"]
        around = [*sentences(scenario.context or ""), *(o.text for o in scenario.options)]
        self.vectors([*asked, *around])  # in one go
        to_question = self.cosines(texts, asked).mean(axis=1)
        noticed = np.maximum.reduceat(self.cosines(policies, asked).mean(axis=1), starts)
        to_facts = np.zeros(len(texts), dtype=np.float32)
        if around:
            nearest = np.sort(self.cosines(texts, around), axis=1)[:, -3:]
            to_facts = nearest.mean(axis=1)
        on_topic = np.array([scenario.domain in c.topics for c in commitments], dtype=np.float32)
        score: NDArray[np.float32] = (
            0.45 * to_question + 0.3 * noticed + 0.25 * to_facts + _TOPIC_BONUS * on_topic
        )
        return score

    def choose(
        self,
        commitments: Sequence[Commitment],
        scores: NDArray[np.float32],
        count: int,
        *,
        said: Sequence[Commitment] = (),
    ) -> list[Commitment]:
        """Choose commitments by maximal marginal relevance, keeping away from what has been said."""
        chosen: list[int] = []
        texts = [wording(c) for c in commitments]
        spoken = [wording(c) for c in said]
        left = [i for i, text in enumerate(texts) if text not in spoken]
        while left and len(chosen) < count:
            before = spoken + [texts[i] for i in chosen]
            repeat = (
                self.cosines([texts[i] for i in left], before).max(axis=1) if before else np.zeros(len(left))
            )
            gain = (1 - _VARIETY) * scores[left] - _VARIETY * repeat
            best = left[int(np.argmax(gain))]
            chosen.append(best)
            left.remove(best)
        return [commitments[i] for i in chosen]

    def stance(
        self, commitments: Sequence[Commitment], weights: Sequence[float], scenario: Scenario
    ) -> dict[str, float]:
        """Return shares over the options: how far the weighted commitments speak for each one's reasons.

        An option's affinity is standardised over the commitments of the whole corpus, so that an
        option that is merely worded near to everything gains nothing; shares are a softmax of it.
        """
        if not scenario.options:
            return {}
        everyone = [wording(c) for p in self.corpus for c in p.commitments]
        mine = [wording(c) for c in commitments]
        share = np.array(weights, dtype=np.float64)
        affinities = []
        for option in scenario.options:
            reasons = [*option.reasons, option.text]
            background = self.cosines(everyone, reasons).max(axis=1) if everyone else np.zeros(1)
            own = self.cosines(mine, reasons).max(axis=1)
            spread = float(background.std()) or 1.0
            affinities.append(float(((own - background.mean()) / spread) @ share / share.sum()))
        exponent = np.exp(2.0 * (np.array(affinities) - max(affinities)))
        shares = exponent / exponent.sum()
        return {o.key: float(s) for o, s in zip(scenario.options, shares, strict=True)}


def wording(commitment: Commitment) -> str:
    """Return the text that a commitment is compared by."""
    return f"{commitment.title}. {commitment.statement}"
