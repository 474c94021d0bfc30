"""Curation: no perspective, topic or value takes more than its room.

The rule. A cell is one value of one axis: a perspective, a topic, a Schwartz value. On each axis,
every cell has room for so many times the mean of the axis' cells that hold any row, as they are
given; how many times is the axis' own bound. Rows are then taken one by one, and a row
is left out if one of its cells has no room left. The rows of the scarcest cells come first; among rows
alike, a stable hash of the seed and the id decides. So the result depends on the set and the seed,
never on the order given.

What follows: no cell exceeds its room; where none exceeded it, nothing goes; no row left out
could be put back; and something is always kept, for a room is never below one row. The room is
counted once and not again from what remains: a mean that is taken over what was kept would sink with
every round, and a few cells of one row each would pull down all the others.

Its limits. A row in several cells counts in each, so that a full perspective can cost a row whose
topic had room; `over_by` tells which axes it was that had none. What is scarce is kept, not made: a cell
can hold little. And the ratio that is measured afterwards can be somewhat above the bound, for the mean
has sunk. Ties are not looked for: no rule makes a pair of one (see `preferences`).
"""

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.errors import ContentError, near_miss

__all__ = ["BALANCE", "Curation", "Item", "balance_of", "curate"]

BALANCE: Mapping[str, float] = MappingProxyType({"perspective": 3.0, "topics": 3.0, "schwartz": 6.0})
"""What a set is balanced over unless told otherwise: how many times the mean a cell of each axis may hold.

A row has one perspective and one topic, but several of the fifty-odd Schwartz values, of which most are rare. In
what the default pack's personas themselves hold the most frequent value stands at 4.6 times the mean, so that a
bound of 3 would take rows from a set that mirrors them; the bound of values is wider.
"""


@dataclass(frozen=True, slots=True)
class Item:
    """What curation needs to know of a row: its id, and its cells by axis."""

    id: str
    cells: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Curation:
    """Which rows are kept, and why the others are not.

    `kept` has shape (n,), in the order given. `report` holds counts: `given`, `over` (left out for
    balance), `over_by` (the same by axis; a row that found no room on two counts for both) and `kept`;
    and for each axis its `bound` (null for none), its `room` in rows, the highest cell over the mean before
    and after (`ratio`, null where the axis has no cells), and every cell's count before and after.
    """

    kept: NDArray[np.bool_]
    report: dict[str, Any]


def balance_of(text: str) -> dict[str, float]:
    """Return the bound of each axis from text: `none`, one number for all, or AXIS=NUMBER, AXIS=none, ...

    Axes that the text does not name keep their bound of `BALANCE`; none is infinity.

    Raises:
        ContentError: there is no such axis, or a bound is no number of 1 or more.
    """
    given = [part.strip() for part in text.split(",")]
    if len(given) == 1 and "=" not in given[0]:
        return dict.fromkeys(BALANCE, _bound(given[0]))
    bounds = dict(BALANCE)
    for part in given:
        axis, equals, bound = (each.strip() for each in part.partition("="))
        if not equals:
            raise ContentError(
                f"{part!r} is no bound of an axis; write as in perspective=3,schwartz=none, or one number for all"
            )
        if axis not in BALANCE:
            raise ContentError(f"{axis!r} is nothing to balance over; {near_miss(axis, BALANCE)}")
        bounds[axis] = _bound(bound)
    return bounds


def _bound(text: str) -> float:
    with suppress(ValueError):
        if text == "none" or (1 <= float(text) < math.inf):
            return math.inf if text == "none" else float(text)
    raise ContentError(f"{text!r} is no bound; it needs to be a number of 1 or more, or none")


def curate(items: Iterable[Item], *, balance: Mapping[str, float] = BALANCE, seed: int) -> Curation:
    """Balance rows over the axes; see the module for the rule.

    Items are read once, and about 200 bytes of each are held in memory at the most. `balance` are the bounds by
    axis, 1 or more: an axis of infinity leaves out nothing, and is counted all the same.

    Raises:
        ContentError: a bound is below 1.
        ValueError: an id comes twice.
    """
    for axis, bound in balance.items():
        if not bound >= 1:
            raise ContentError(f"the bound of {axis!r} is {bound!r}; it needs to be 1 or more")
    axes = tuple(balance)
    names: list[dict[str, int]] = [{} for _ in axes]
    axis_of: list[int] = []
    order, starts, codes = array("Q"), array("q", [0]), array("i")
    for item in items:
        order.append(_hash(seed, item.id))
        for number, (name, known) in enumerate(zip(axes, names, strict=True)):
            for each in dict.fromkeys(item.cells.get(name, ())):
                if each not in known:
                    known[each] = len(axis_of)
                    axis_of.append(number)
                codes.append(known[each])
        starts.append(len(codes))
    hashes = np.frombuffer(order, np.uint64)
    if len(np.unique(hashes)) != len(hashes):
        raise ValueError("an id comes twice among what is to be curated")
    first, cell = np.frombuffer(starts, np.int64), np.frombuffer(codes, np.int32)
    axis_by_cell = np.array(axis_of, dtype=np.int64)
    before = np.bincount(cell, minlength=len(axis_of))
    rooms = [_room(before[axis_by_cell == number], balance[name]) for number, name in enumerate(axes)]
    room = np.array(rooms)[axis_by_cell] if axis_of else np.zeros(0)
    kept, over_by = _balanced(first, cell, before, room, hashes, axis_of)
    after = np.bincount(cell[np.repeat(kept, np.diff(first))], minlength=len(axis_of))
    return Curation(
        kept=kept,
        report={
            "given": len(kept),
            "over": int((~kept).sum()),
            "over_by": {name: over_by[number] for number, name in enumerate(axes)},
            "kept": int(kept.sum()),
            "seed": seed,
            "axes": {
                name: {
                    "bound": balance[name] if math.isfinite(balance[name]) else None,
                    "room": None if math.isinf(rooms[number]) else int(rooms[number]),
                    "ratio": {
                        "before": _highest(before[axis_by_cell == number]),
                        "after": _highest(after[axis_by_cell == number]),
                    },
                    "cells": {
                        each: {"before": int(before[code]), "after": int(after[code])}
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
    counts: NDArray[np.int64],
    room: NDArray[np.float64],
    hashes: NDArray[np.uint64],
    axis_of: Sequence[int],
) -> tuple[NDArray[np.bool_], Counter[int]]:
    """Return which rows are taken, the scarcest first, while each of their cells has room.

    With them comes how many of the others found no room, by the number of the axis.
    """
    over_by: Counter[int] = Counter()
    if not np.any(counts > room):
        return np.ones(len(hashes), np.bool_), over_by
    fullness = counts / room
    rows = np.repeat(np.arange(len(hashes)), np.diff(first))
    scarcest = np.full(len(hashes), np.inf)
    np.minimum.at(scarcest, rows, fullness[cell])
    kept = np.zeros(len(hashes), np.bool_)
    taken = [0] * len(counts)
    rooms = room.tolist()
    for row in np.lexsort((hashes, scarcest)):
        mine = cell[first[row] : first[row + 1]].tolist()
        full = {axis_of[code] for code in mine if taken[code] >= rooms[code]}
        over_by.update(full)
        if not full:
            kept[row] = True
            for code in mine:
                taken[code] += 1
    return kept, over_by


def _room(counts: NDArray[np.int64], bound: float) -> float:
    held = counts[counts > 0]
    return float(np.floor(bound * held.mean() + 1e-9)) if held.size and math.isfinite(bound) else math.inf


def _highest(counts: NDArray[np.int64]) -> float | None:
    held = counts[counts > 0]
    return round(float(held.max() / held.mean()), 4) if held.size else None


def _hash(seed: int, name: str) -> int:
    text = f"curation\x1f{seed}\x1f{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
