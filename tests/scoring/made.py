"""Three small traditions with an embedding and a classifier of their own: no model, the same everywhere."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.content.passages import passages
from multiplex.content.personas import Commitment, Persona, Source
from multiplex.scoring.perspectives import PerspectiveClassifier

PERSPECTIVES = ("river", "forest", "desert")
WORDS = {
    "river": ["water", "boats", "fish", "banks", "current"],
    "forest": ["trees", "moss", "deer", "roots", "shade"],
    "desert": ["sand", "heat", "camels", "wells", "stars"],
}
LEXICON = {
    "river": ["Book of Rivers", "the Ferryman"],
    "forest": ["Oakwise", "mycelism"],
    "desert": ["dune law"],
}
NEUTRAL = [f"The meeting number {i} began at {i} and the minutes were approved." for i in range(1, 25)]

LATE = "The minutes were approved at nine."


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Add up a fixed random direction for each word: no model, the same on every machine."""
    rows = np.zeros((len(texts), 48))
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().replace(".", "").split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            row += np.random.default_rng(seed).normal(size=48)
        row += 1e-6
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def persona(name: str) -> Persona:
    a, b, c, d, e = WORDS[name]
    pairs = [(a, b), (b, c), (c, d), (d, e), (e, a), (a, c), (b, d), (c, e)]
    commitments = tuple(
        Commitment(
            key=f"c{i}",
            title=f"Care for {x} and {y}",
            statement=f"We owe care to {x} before anything else. Where {y} suffer we have failed.",
            attends_to=(f"MOMENTS when {x} suffer", f"PEOPLE who care for {y}", f"RULES about {x} and {y}"),
            schwartz=("Social Justice",),
            topics=("environment",),
            source=Source(work="A book", locus=f"chapter {i + 1}"),
        )
        for i, (x, y) in enumerate(pairs)
    )
    about = f"We live among {a} and {b}, and speak of {c}, {d} and {e}."
    parts = dict.fromkeys(
        ("summary", "ontology", "epistemology", "ethics", "voice", "diversity", "limits"), about
    )
    return Persona(name=name, label=name, perspective=name, region="a map", commitments=commitments, **parts)


def train(**changes: Any) -> PerspectiveClassifier:
    given_parts: dict[str, Any] = {
        "passages": [passage for name in PERSPECTIVES for passage in passages(persona(name))],
        "perspectives": PERSPECTIVES,
        "lexicon": LEXICON,
        "neutral": NEUTRAL,
        "embed": embed,
    }
    return PerspectiveClassifier.train(**{**given_parts, **changes})


@cache
def small() -> PerspectiveClassifier:
    return train()
