"""What a set of prompts covers: how many there are by topic, by choice context and by embedding cluster."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from multiplex.content.topics import TOPICS
from multiplex.dataset.prompts import Prompt
from multiplex.embedding import Vectors

__all__ = ["Cluster", "Coverage", "clusters_of", "coverage"]


class Cluster(BaseModel):
    """Prompts that lie near to one another: how many, and the question in their middle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int
    question: str


class Coverage(BaseModel):
    """How many prompts there are by topic (every topic, then `none`), by choice context, and by cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int
    topics: dict[str, int]
    choice_contexts: dict[str, int]
    clusters: tuple[Cluster, ...]


def coverage(
    prompts: Iterable[Prompt], *, embed: Callable[[Sequence[str]], Vectors], clusters: int = 12, seed: int = 0
) -> Coverage:
    """Count prompts by topic, choice context and embedding cluster (spherical k-means), the fullest first.

    Args:
        prompts: all of them are embedded and held, about 2 KB each.
        embed: texts in, unit vectors of shape (n, d) out.
        clusters: how many clusters there are at the most.
        seed: where the clusters begin.
    """
    held = list(prompts)
    questions = [prompt.scenario.question for prompt in held]
    topics = Counter(str(prompt.scenario.domain or "none") for prompt in held)
    contexts = Counter(p.scenario.choice_context for p in held if p.scenario.choice_context)
    found = []
    if held:
        vectors = embed(questions)
        for members, middle in clusters_of(vectors, clusters, seed):
            found.append(Cluster(prompts=len(members), question=questions[middle]))
    return Coverage(
        prompts=len(held),
        topics={topic: topics[topic] for topic in (*TOPICS, "none")},
        choice_contexts=dict(contexts.most_common()),
        clusters=tuple(sorted(found, key=lambda c: (-c.prompts, c.question))),
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
