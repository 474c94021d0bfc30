"""How near a text comes to each persona's claims, sentence by sentence: what representation is computed from."""

from collections.abc import Callable, Mapping, Sequence

from multiplex.embedding import Vectors
from multiplex.sentences import sentences

__all__ = ["CARRIED", "nearness_of"]

CARRIED = 0.6
"""The cosine from which a sentence counts as carrying a claim (all-MiniLM-L6-v2)."""


def nearness_of(
    claims: Mapping[str, Sequence[str]], parts: Sequence[str], embed: Callable[[Sequence[str]], Vectors]
) -> dict[str, list[list[float]]]:
    """Return for each persona a matrix of cosines: its claims (rows) by the text's sentences (columns).

    A claim of several sentences is as near to a sentence of the text as it is whole, or as the nearest of
    its own sentences is to any of the text's.
    """
    columns = embed(parts)
    found: dict[str, list[list[float]]] = {}
    for name, texts in claims.items():
        rows: list[list[float]] = (embed(texts) @ columns.T).tolist() if texts else []
        for row, text in zip(rows, texts, strict=True):
            within = embed(sentences(text)) @ columns.T
            row[:] = [max(whole, float(part)) for whole, part in zip(row, within.max(axis=0), strict=True)]
        found[name] = rows
    return found
