"""Curation: ties go, and no perspective, topic or value takes more than its room.

The rule. A cell is one value of one axis: a perspective, a topic, a Schwartz value. On each axis,
every cell has room for `ratio` times the mean of the axis' cells that hold any row, as they stand
once the ties are gone. Rows are then taken one by one, and a row is left out if one of its cells
has no room left. The rows of the scarcest cells come first; among rows alike, a stable hash of the
seed and the id decides. So the result depends on the set and the seed, never on the order given.

What follows: no cell exceeds its room; where none exceeded it, nothing goes; no row left out
could be put back; and something is always kept, for a room is never below one row. The room is
counted once and not again from what remains: a mean that is taken over what was kept would sink with
every round, and a few cells of one row each would pull down all the others.

Its limits. A row in several cells counts in each, so that a full perspective can cost a row whose
topic had room. What is scarce is kept, not made: a cell can hold little. And the ratio that is
measured afterwards can be somewhat above `ratio`, for the mean has sunk.
"""

import hashlib
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.errors import ContentError

__all__ = ["AXES", "Curation", "Item", "curate"]

AXES = ("perspective", "topics", "schwartz")
"""What a set is balanced over unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Item:
    """What curation needs to know of a row: its id, its margin (None where it has none), its cells by axis."""

    id: str
    margin: float | None = None
    cells: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class Curation:
    """Which rows are kept, and why the others are not.

    `kept` has shape (n,), in the order given. `report` holds counts: `given`, `ties`, `over` (left out
    for balance) and `kept`; and for each axis its `room`, the highest cell over the mean before and
    after (`ratio`, null where the axis has no cells), and every cell's count before and after.
    """

    kept: NDArray[np.bool_]
    report: dict[str, Any]


def curate(items: Iterable[Item], *, axes: Sequence[str] = AXES, ratio: float = 3.0, seed: int) -> Curation:
    """Drop ties, and balance what remains over the axes; see the module for the rule.

    Items are read once, and about 200 bytes of each are held in memory at the most. A margin of 0 is a tie: nobody
    can learn from it which is better. A `ratio` of infinity keeps whatever is no tie.

    Raises:
        ContentError: the ratio is below 1.
        ValueError: an id comes twice, or a margin is negative or not a number.
    """
    if not ratio >= 1:
        raise ContentError(f"the ratio of the fullest to the mean is {ratio!r}; it needs to be 1 or more")
    names: list[dict[str, int]] = [{} for _ in axes]
    axis_of: list[int] = []
    order, starts, codes, ties = array("Q"), array("q", [0]), array("i"), array("b")
    for item in items:
        if item.margin is not None and not item.margin >= 0:
            raise ValueError(f"the margin of {item.id!r} is {item.margin!r}; it needs to be 0 or more")
        order.append(_hash(seed, item.id))
        ties.append(item.margin == 0)
        for number, (name, known) in enumerate(zip(axes, names, strict=True)):
            for each in dict.fromkeys((item.cells or {}).get(name, ())):
                if each not in known:
                    known[each] = len(axis_of)
                    axis_of.append(number)
                codes.append(known[each])
        starts.append(len(codes))
    hashes = np.frombuffer(order, np.uint64)
    if len(np.unique(hashes)) != len(hashes):
        raise ValueError("an id comes twice among what is to be curated")
    first, cell = np.frombuffer(starts, np.int64), np.frombuffer(codes, np.int32)
    tied = np.frombuffer(ties, np.bool_)
    axis = np.array(axis_of, dtype=np.int64)
    given = np.bincount(cell, minlength=len(axis_of))
    before = np.bincount(cell[np.repeat(~tied, np.diff(first))], minlength=len(axis_of))
    rooms = [_room(before[axis == number], ratio) for number in range(len(axes))]
    room = np.array(rooms)[axis] if axis_of else np.zeros(0)
    kept = _balanced(first, cell, ~tied, before, room, hashes)
    after = np.bincount(cell[np.repeat(kept, np.diff(first))], minlength=len(axis_of))
    return Curation(
        kept=kept,
        report={
            "given": len(kept),
            "ties": int(tied.sum()),
            "over": int((~tied & ~kept).sum()),
            "kept": int(kept.sum()),
            "ratio": ratio if math.isfinite(ratio) else None,
            "seed": seed,
            "axes": {
                name: {
                    "room": None if math.isinf(rooms[number]) else int(rooms[number]),
                    "ratio": {
                        "before": _highest(before[axis == number]),
                        "after": _highest(after[axis == number]),
                    },
                    "cells": {
                        each: {
                            "given": int(given[code]),
                            "before": int(before[code]),
                            "after": int(after[code]),
                        }
                        for each, code in sorted(names[number].items())
                    },
                }
                for number, name in enumerate(axes)
            },
        },
    )


def _balanced(
    first: NDArray[np.int64],
    cell: NDArray[np.int32],
    standing: NDArray[np.bool_],
    counts: NDArray[np.int64],
    room: NDArray[np.float64],
    hashes: NDArray[np.uint64],
) -> NDArray[np.bool_]:
    """Return which of the standing rows are taken, the scarcest first, while each of their cells has room."""
    if not np.any(counts > room):
        return standing.copy()
    fullness = counts / room
    rows = np.repeat(np.arange(len(standing)), np.diff(first))
    scarcest = np.full(len(standing), np.inf)
    np.minimum.at(scarcest, rows, fullness[cell])
    kept = np.zeros(len(standing), np.bool_)
    taken = [0] * len(counts)
    rooms = room.tolist()
    for row in np.lexsort((hashes, scarcest)):
        if standing[row]:
            mine = cell[first[row] : first[row + 1]].tolist()
            if all(taken[code] < rooms[code] for code in mine):
                kept[row] = True
                for code in mine:
                    taken[code] += 1
    return kept


def _room(counts: NDArray[np.int64], ratio: float) -> float:
    held = counts[counts > 0]
    return float(np.floor(ratio * held.mean() + 1e-9)) if held.size and math.isfinite(ratio) else math.inf


def _highest(counts: NDArray[np.int64]) -> float | None:
    held = counts[counts > 0]
    return round(float(held.max() / held.mean()), 4) if held.size else None


def _hash(seed: int, name: str) -> int:
    text = f"curation\x1f{seed}\x1f{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
