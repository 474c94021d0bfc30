"""What a set of prompts covers: how many there are by topic, by choice context and by embedding cluster."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from multiplex.content.topics import TOPICS
from multiplex.dataset.prompts import Prompt
from multiplex.embedding import Vectors

__all__ = ["Cluster", "Coverage", "Covered", "clusters_of"]

_MOST_NAMES = 100
"""How many labels of a user's own, and choice contexts, are told with their counts: the most frequent."""

_MOST_EMBEDDED = 2000
"""Of how many prompts clusters are made at the most: some 4 MB."""


class Cluster(BaseModel):
    """Prompts that lie near to one another: how many, and the question in their middle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int
    question: str


class Coverage(BaseModel):
    """How many prompts there are by topic, by choice context, and by cluster.

    `topics` names every topic, then labels of the prompts' own, then `none`. Of labels and choice contexts the
    hundred most frequent are named; `different` says how many there are of each. `clustered` is of how
    many prompts, drawn by their ids, the clusters are made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int
    topics: dict[str, int]
    choice_contexts: dict[str, int]
    different: dict[str, int]
    clusters: tuple[Cluster, ...]
    clustered: int


class Covered:
    """Counts prompts one at a time; held are the questions of a sample, and every label and choice context once."""

    def __init__(self, total: int, *, seed: int = 0) -> None:
        """Begin to count `total` prompts, or about as many; `seed` decides where the clusters begin."""
        self._share = min(1.0, _MOST_EMBEDDED / max(total, 1))
        self._seed = seed
        self._prompts = 0
        self._topics: Counter[str] = Counter()
        self._contexts: Counter[str] = Counter()
        self._questions: list[str] = []

    def add(self, prompt: Prompt) -> None:
        """Count a prompt."""
        self._prompts += 1
        self._topics[prompt.domain or "none"] += 1
        if prompt.scenario.choice_context:
            self._contexts[prompt.scenario.choice_context] += 1
        place = int.from_bytes(hashlib.sha256(prompt.id.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        if place < self._share * 2**64 and len(self._questions) < _MOST_EMBEDDED:
            self._questions.append(prompt.scenario.question)

    def coverage(self, embed: Callable[[Sequence[str]], Vectors]) -> Coverage:
        """Return the counts, the fullest first; `embed` makes unit vectors of shape (n, d) of n texts.

        Clusters are by spherical k-means, at most one for every five prompts, and twelve.
        """
        clusters = min(12, max(1, len(self._questions) // 5))
        own = Counter({name: n for name, n in self._topics.items() if name not in {"none", *TOPICS}})
        topics: dict[str, int] = {topic: self._topics[topic] for topic in TOPICS}
        topics |= dict(own.most_common(_MOST_NAMES))
        found = []
        if self._questions:
            for members, middle in clusters_of(embed(self._questions), clusters, self._seed):
                found.append(Cluster(prompts=len(members), question=self._questions[middle]))
        return Coverage(
            prompts=self._prompts,
            topics={**topics, "none": self._topics["none"]},
            choice_contexts=dict(self._contexts.most_common(_MOST_NAMES)),
            different={"own topics": len(own), "choice contexts": len(self._contexts)},
            clusters=tuple(sorted(found, key=lambda c: (-c.prompts, c.question))),
            clustered=len(self._questions),
        )


def clusters_of(vectors: Vectors, count: int, seed: int) -> list[tuple[NDArray[np.intp], int]]:
    """Return the members of each cluster of unit vectors, and which of them is nearest to its middle.

    Spherical k-means (Dhillon and Modha, 2001), from centres drawn as k-means++ draws them (Arthur and
    Vassilvitskii, 2007); there are at most `count` clusters, and none is empty.
    """
    random = np.random.default_rng(seed)
    centres = vectors[[int(random.integers(len(vectors)))]]
    while len(centres) < count:
        distance = np.clip(1 - (vectors @ centres.T).max(axis=1), 0, None).astype(np.float64)
        if distance.sum() <= 1e-6:
            break
        drawn = random.choice(len(vectors), p=distance / distance.sum())
        centres = np.vstack([centres, vectors[[int(drawn)]]])
    for _ in range(20):
        nearest = (vectors @ centres.T).argmax(axis=1)
        sums = np.stack([vectors[nearest == k].sum(axis=0) for k in range(len(centres))])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), centres)
        if np.allclose(moved, centres, atol=1e-6):
            break
        centres = moved.astype(np.float32)
    nearest = (vectors @ centres.T).argmax(axis=1)
    found: list[tuple[NDArray[np.intp], int]] = []
    for number, centre in enumerate(centres):
        members = np.flatnonzero(nearest == number)
        if len(members):
            found.append((members, int(members[int((vectors[members] @ centre).argmax())])))
    return found
