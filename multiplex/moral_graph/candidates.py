"""Which moves between cards are worth proposing: by popularity, closeness and sparsity."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.judgements import Judgement
from multiplex.moral_graph.merging import unit_rows
from multiplex.seeds import derive_seed

__all__ = ["Pair", "candidate_pairs"]

_BLOCK = 256
"""How many cards are weighed against all others at once."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A move that could be proposed, from the card `source` to the card `wiser`, by their ids.

    `score` is the weighted mean of the three measures, each from 0 to 1.
    """

    source: str
    wiser: str
    context: str
    score: float
    popularity: float
    closeness: float
    sparsity: float


def candidate_pairs(
    cards: Sequence[ValuesCard],
    vectors: ArrayLike,
    *,
    asked: Iterable[Judgement] = (),
    weights: tuple[float, float, float] = (0.3, 0.3, 0.4),
    most: int = 5,
    seed: int = 0,
) -> list[Pair]:
    """Return, for every card in turn, the `most` best moves to another card of its own context.

    A move from a to b scores w1 popularity + w2 closeness + w3 sparsity, over w1 + w2 + w3, where

    - a card's following is how many hold it (its authors) and how often it was judged the wiser one;
      popularity is the mean of the two cards' followings over the largest following in the context,
      and 0 where nobody holds any;
    - closeness is the cosine of the cards' vectors, 0 where it is negative;
    - sparsity is 1 / (1 + j), j being how often this move was judged in this context; who abstained has
      not judged.

    Both directions of a pair can be among them: which of the two is asked of whom is for others to see to.
    Scores are compared to six decimals; ties are broken by card, the same for one seed whatever the order.
    Cards with no other in their context have no move.

    `vectors` has shape (len(cards), d), as `card_text` is embedded. Time grows with the square of the cards
    of a context, memory with their number.

    Raises:
        ValueError: two cards share an id, the rows are not as many as the cards or cannot be compared,
            a weight is negative, not finite, or all are 0, or `most` is below 1.

    Source: the weights are those of the newer published draw of edges (popularity, convergence and
    sparsity .3, .3, .4; platform of arXiv 2404.10636); the three measures are this project's own.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (3,) or not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise ValueError(f"weights: need three numbers from 0, not all of them 0, and are {weights!r}")
    if most < 1:
        raise ValueError(f"most: needs to be 1 or more, and is {most!r}")
    rows = unit_rows(vectors)
    if len(rows) != len(cards):
        raise ValueError(f"vectors: {len(rows)} rows are not one for each of {len(cards)} cards")
    if len({card.id for card in cards}) < len(cards):
        [(twice, _)] = Counter(card.id for card in cards).most_common(1)
        raise ValueError(f"two cards have the id {twice!r}")

    judged: dict[str, Counter[tuple[str, str]]] = {}
    wiser: Counter[tuple[str, str]] = Counter()
    for judgement in asked:
        if judgement.verdict != "abstained":
            judged.setdefault(judgement.context, Counter())[judgement.source, judgement.wiser] += 1
        if judgement.verdict == "wiser":
            wiser[judgement.context, judgement.wiser] += 1

    contexts: dict[str, list[int]] = {}
    for index, card in enumerate(cards):
        contexts.setdefault(card.context, []).append(index)
    best: dict[int, list[Pair]] = {}
    for context, members in contexts.items():
        within = [cards[index] for index in members]
        following = np.array([len(c.authors) + wiser[context, c.id] for c in within], dtype=np.float64)
        following /= max(following.max(), 1)
        counts = judged.get(context, Counter())
        moves = _Moves(within, rows[members], following, counts, w / w.sum(), seed)
        for start in range(0, len(members), _BLOCK):
            for place, pairs in moves.best(start, min(start + _BLOCK, len(members)), most):
                best[members[place]] = pairs
    return [pair for index in range(len(cards)) for pair in best[index]]


class _Moves:
    """The moves within one context."""

    def __init__(
        self,
        cards: Sequence[ValuesCard],
        rows: NDArray[np.float32],
        following: NDArray[np.float64],
        judged: Counter[tuple[str, str]],
        weights: NDArray[np.float64],
        seed: int,
    ) -> None:
        self._cards, self._rows, self._following, self._weights = cards, rows, following, weights
        place = {card.id: index for index, card in enumerate(cards)}
        known = [
            (place[source], place[to], count)
            for (source, to), count in judged.items()
            if source in place and to in place
        ]
        self._judged = np.array(known, dtype=np.int64).reshape(-1, 3)
        # So that ties depend on no order: a card's place among all, drawn by the seed and its id.
        drawn = sorted(
            range(len(cards)), key=lambda i: (derive_seed(seed, "candidate", cards[i].id), cards[i].id)
        )
        self._draw = np.empty(len(cards), dtype=np.int64)
        self._draw[drawn] = np.arange(len(cards))

    def best(self, start: int, stop: int, most: int) -> list[tuple[int, list[Pair]]]:
        """Return each of these cards by its place, with its best moves."""
        closeness = np.clip(self._rows[start:stop] @ self._rows.T, 0, 1).astype(np.float64)
        popularity = (self._following[start:stop, None] + self._following[None, :]) / 2
        sparsity = np.ones_like(closeness)
        here, there, count = self._judged[(self._judged[:, 0] >= start) & (self._judged[:, 0] < stop)].T
        sparsity[here - start, there] = 1 / (1 + count)
        w = self._weights
        score = w[0] * popularity + w[1] * closeness + w[2] * sparsity
        # One key for a row's order: the score to six decimals, and below them the draw.
        key = np.round(score * 1e6).astype(np.int64) * len(self._cards) - self._draw
        key[np.arange(stop - start), np.arange(start, stop)] = -(2**62)  # no move to itself
        kept = min(most, len(self._cards) - 1)
        if not kept:
            return [(place, []) for place in range(start, stop)]
        chosen = np.argpartition(-key, kept - 1, axis=1)[:, :kept]
        found = []
        for row, columns in enumerate(chosen.tolist()):
            columns.sort(key=lambda column: -int(key[row, column]))
            pairs = [
                Pair(
                    source=self._cards[start + row].id,
                    wiser=self._cards[column].id,
                    context=self._cards[column].context,
                    score=float(score[row, column]),
                    popularity=float(popularity[row, column]),
                    closeness=float(closeness[row, column]),
                    sparsity=float(sparsity[row, column]),
                )
                for column in columns
            ]
            found.append((start + row, pairs))
        return found
