"""Which cards of different runs are one value: those with the same words, then near ones of no common run."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.merging import clusters, unit_rows

__all__ = ["SameWords", "Unions", "near_across", "same_words"]


class SameWords(NamedTuple):
    """Cards with the same title and policies: their ids, sorted, the card of the first, and whose they are."""

    ids: tuple[str, ...]
    card: ValuesCard
    owners: frozenset[str]


class Unions:
    """Groups of rows, at first one a row, that grow as long as no owner has rows in both.

    `members` are the rows of each group by a row that stands for it, and `of` names that row for every row.
    """

    def __init__(self, owners: Iterable[Collection[str]]) -> None:
        """Start with a group a row, whose owners these are."""
        self.owners = [set(each) for each in owners]
        self.of = list(range(len(self.owners)))
        self.members = {row: [row] for row in self.of}

    def join(self, one: int, other: int) -> bool:
        """Make the groups of two rows one unless an owner is in both; tell whether they are one now."""
        here, there = self.of[one], self.of[other]
        if here == there:
            return True
        if not self.owners[here].isdisjoint(self.owners[there]):
            return False
        if len(self.members[here]) < len(self.members[there]):
            here, there = there, here
        moved = self.members.pop(there)
        for row in moved:
            self.of[row] = here
        self.members[here] += moved
        self.owners[here] |= self.owners[there]
        return True


def same_words(cards: Iterable[tuple[str, ValuesCard]]) -> list[SameWords]:
    """Return the cards by title and policies, in the same order; contexts do not matter, nor the order of cards.

    Each card comes with its owner, and with an id that no other has. Sorted by id. Two cards of one owner with
    the same words are one entry.
    """
    found: dict[tuple[str, tuple[str, ...]], list[tuple[str, ValuesCard]]] = {}
    for owner, card in sorted(cards, key=lambda each: each[1].id):
        found.setdefault((card.title, card.policies), []).append((owner, card))
    return [
        SameWords(tuple(card.id for _, card in same), same[0][1], frozenset(owner for owner, _ in same))
        for same in found.values()
    ]


def near_across(owners: Sequence[Collection[str]], vectors: ArrayLike, *, distance: float) -> list[list[int]]:
    """Return groups of near rows, two or more, of which no two have an owner in common.

    Equal rows join first, and then, within each of the `clusters` (DBSCAN, cosine distance, at least 2), the
    pairs within `distance`, the nearest first; groups that both hold a row of one owner do not join. So cards
    that a run kept apart are not merged because cards of others lie between them. `owners` names the runs of
    every row of `vectors`, shape (n, d). Of pairs equally near (cosines rounded to 6 digits) those of the first
    rows come first: with rows sorted by id, groups do not depend on the order in which runs were given. Rows
    and groups are sorted. Time and memory grow with the square of the largest cluster, equal rows counted
    once, beyond those of `clusters`.

    Raises ValueError for what `clusters` refuses, and where a row has no owners of its own.
    """
    rows = unit_rows(vectors)
    if len(rows) != len(owners):
        raise ValueError(f"{len(rows)} vectors have {len(owners)} owners; every row needs its own")
    if any(isinstance(each, str) for each in owners):
        raise ValueError("the owners of a row need to be a set of names, and are a text")
    joined = Unions(owners)
    equal: dict[bytes, list[int]] = {}
    for index, row in enumerate(rows):
        groups = equal.setdefault(row.tobytes(), [])
        if not any(joined.join(group, index) for group in groups):
            groups.append(index)
    left = sorted(index for groups in equal.values() for index in groups)
    for cluster in clusters(rows[left], distance=distance):
        near = rows[[left[index] for index in cluster]]
        cosines = near @ near.T
        one, other = np.nonzero(np.triu(cosines >= np.float32(1 - distance - 1e-6), 1))
        order = np.argsort(-np.round(cosines[one, other], 6), kind="stable")
        for first, second in zip(one[order].tolist(), other[order].tolist(), strict=True):
            joined.join(left[cluster[first]], left[cluster[second]])
    return sorted(sorted(group) for group in joined.members.values() if len(group) > 1)
