"""Which cards may be one value: groups of neighbours, for the moderator to confirm."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from multiplex.moral_graph.cards import ValuesCard

__all__ = ["card_text", "clusters", "unit_rows"]

_BLOCK = 256
"""How many rows are compared with all others at once: 10 MB of cosines for 10,000 cards."""


def card_text(card: ValuesCard) -> str:
    """Return what is embedded of a card: its policies, one a line, without title, story and context.

    The published text opens with "It feels meaningful to pay attention to the following in certain
    choices for me:". An opening that all cards share brings all of them nearer to one another, and a
    small embedder most: with this one, all-MiniLM-L6-v2 chains 159 of the 406 commitments of the shipped
    personas at distance 0.3 into 31 groups, the largest of 68, without it 38 of them into 14 of at most 5.
    """
    return "\n".join(card.policies)


def clusters(vectors: ArrayLike, *, distance: float = 0.3, min_cards: int = 2) -> list[list[int]]:
    """Return the groups of two or more rows that DBSCAN finds by cosine distance.

    Rows within `distance` (1 - cosine, 0 to 2, the bound included) are neighbours. A row with `min_cards`
    neighbours or more, itself among them, is dense; dense neighbours share a group, and a row that is
    not dense joins the group of its nearest dense neighbour, if it has one. What is left is alone and
    not returned. Groups are sorted, and so are the rows within; the groups do not depend on the order of
    the rows, except that a row equally near to two groups joins the one whose dense row comes first.

    The published deduplication takes 0.3 and 5, with text-embedding-3-large and thousands of cards. Another
    embedder has another scale, so that the threshold does not carry over by right: with all-MiniLM-L6-v2
    and `card_text`, 0.3 takes in 1 in 3,000 pairs of the shipped personas' commitments, most of which are
    alike, and 0.4 chains a quarter of them. Two cards of a small panel can be one value, hence `min_cards`
    2, with which DBSCAN is single linkage. The moderator decides what merges; a group is only what it is
    shown.

    `vectors` has shape (n, d); rows need not be of length 1. Rows are compared in blocks: time grows with
    n^2 d, memory with n d; 10,000 rows of 384 take 2 to 15 seconds on two cores, and 150 MB beyond the
    input where all of them are neighbours.

    Raises:
        ValueError: rows are not numbers of one length, a row is zero or not finite, `distance` is not
            within 0 to 2, or `min_cards` is below 1.

    Source: Ester, Kriegel, Sander and Xu 1996 (KDD-96); its use for cards: arXiv 2404.10636, published code.
    """
    if not 0 <= distance <= 2:
        raise ValueError(f"distance: needs to be from 0 to 2, and is {distance!r}")
    if min_cards < 1:
        raise ValueError(f"min_cards: needs to be 1 or more, and is {min_cards!r}")
    rows = unit_rows(vectors)
    count = len(rows)
    if count < 2:
        return []
    # Rounding in 32 bits is about 1e-6: equal rows are neighbours also at distance 0.
    least = np.float32(1 - distance - 1e-6)
    dense = np.zeros(count, dtype=bool)
    for start in range(0, count, _BLOCK):
        near = rows[start : start + _BLOCK] @ rows.T >= least
        dense[start : start + _BLOCK] = near.sum(axis=1) >= min_cards

    label = np.arange(count)
    for start in range(0, count, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, count))
        block = block[dense[block]]
        here, there = np.nonzero((rows[block] @ rows.T >= least) & dense)
        # Joined block by block, over the groups so far: a graph of all neighbours at once could have n^2 edges.
        edges = coo_array(
            (np.ones(len(here), dtype=bool), (label[block[here]], label[there])), (count, count)
        )
        joined = connected_components(edges.tocsr(), directed=False)[1]
        label = joined[label]

    group = np.where(dense, label, -1)
    loose, firm = np.flatnonzero(~dense), np.flatnonzero(dense)
    for start in range(0, len(loose) if len(firm) else 0, _BLOCK):
        block = loose[start : start + _BLOCK]
        cosines = rows[block] @ rows[firm].T
        nearest = cosines.argmax(axis=1)
        held = cosines[np.arange(len(block)), nearest] >= least
        group[block[held]] = label[firm[nearest[held]]]

    found: dict[int, list[int]] = {}
    for index, of in enumerate(group.tolist()):
        if of >= 0:
            found.setdefault(of, []).append(index)
    return [members for members in found.values() if len(members) > 1]


def unit_rows(vectors: ArrayLike) -> NDArray[np.float32]:
    """Return vectors of shape (n, d) as rows of length 1.

    Raises ValueError for anything but n rows of one length, all finite and none of them zero.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.size == 0 and rows.ndim <= 2 and len(rows) == 0:
        return np.zeros((0, 1), dtype=np.float32)
    if rows.ndim != 2:
        raise ValueError(f"vectors: need shape (cards, dimensions), and have {rows.shape}")
    if not (finite := np.isfinite(rows)).all():
        raise ValueError(f"vectors: row {int(np.argwhere(~finite)[0][0])} is not finite")
    # By the largest entry first: squares of very large or very small numbers would leave the range.
    largest = np.abs(rows).max(axis=1, initial=0, keepdims=True)
    if not largest.all():
        raise ValueError(f"vectors: row {int(np.argwhere(largest == 0)[0][0])} is zero and has no direction")
    rows = rows / largest
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
