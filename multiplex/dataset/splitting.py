"""Splits by group: all that comes of one prompt, or of prompts alike, lies in one split.

Where a group lies depends on its name and the seed, but for the few that are in train so that there is
something to train on (see `anchors_of`). No group that was written elsewhere becomes one of these later.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from multiplex.errors import ContentError

__all__ = ["SHARES", "Splitter", "anchors_of"]

SHARES: Mapping[str, float] = MappingProxyType({"train": 0.9, "validation": 0.05, "test": 0.05})
"""The split names in their order, and the share of the groups that each is meant to hold."""


def anchors_of(groups: Mapping[str, Iterable[str]], *, held_out: Container[str] = ()) -> dict[str, str]:
    """Return for each config its first group that may lie in train whatever its hash, so that there is one.

    `groups` are those of each config's rows, in the order of their prompts. `held_out` are groups whose rows
    were written outside of train: they stay there. A config that has no others has no such group; one that
    begins with a set always has, and what is added later comes after it.
    """
    first = {config: next((g for g in of if g not in held_out), None) for config, of in groups.items()}
    return {config: group for config, group in first.items() if group is not None}


@dataclass(frozen=True, slots=True)
class Splitter:
    """One dataset's splits: a seed, the shares, and the groups that are in train whatever their hash.

    Any other group falls by its hash into each split with the probability of its share.

    Raises:
        ContentError: the shares are no shares.
    """

    seed: int
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    anchors: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check(self.shares)

    def split_of(self, group: str) -> str:
        """Return the split that everything of a group lies in, whatever its config."""
        return "train" if group in self.anchors else _fallen(group, self.seed, self.shares)

    def report(self, rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return what the splits hold, for (config, group) of every row.

        `wanted` are the shares; `groups` counts groups by split, `rows` rows by config and split. In a
        small set the shares that come out are far from those wanted, and a split may be empty.
        """
        counts: dict[str, Counter[str]] = {}
        seen: set[str] = set()
        groups: Counter[str] = Counter()
        for config, group in rows:
            split = self.split_of(group)
            counts.setdefault(config, Counter())[split] += 1
            if group not in seen:
                seen.add(group)
                groups[split] += 1
        return {
            "seed": self.seed,
            "wanted": dict(self.shares),
            "anchored": sorted(self.anchors),
            "groups": {split: groups[split] for split in self.shares},
            "rows": {config: {s: of[s] for s in self.shares} for config, of in counts.items()},
            "rule": "a group falls by the sha256 of the seed and its name; the first group of each config is in train, "
            "and so is the first that was kept of one that would have none there, but for groups that were written "
            "elsewhere before",
        }


def _fallen(group: str, seed: int, shares: Mapping[str, float]) -> str:
    text = f"split\x1f{seed}\x1f{group}".encode("utf-8", "surrogatepass")
    place = (int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 11) / 2**53
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if place < reached:
            return name
    return next(
        name for name in reversed(list(shares)) if shares[name] > 0
    )  # the sum fell short of 1 by rounding


def _check(shares: Mapping[str, float]) -> None:
    wrong = next((name for name, share in shares.items() if not 0 <= share <= 1), None)
    if wrong is not None:
        raise ContentError(f"the share of {wrong!r} is {shares[wrong]!r}; a share is between 0 and 1")
    if not shares.get("train"):
        raise ContentError("a dataset needs a share for 'train' that is above 0")
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9):
        raise ContentError(
            f"the shares of the splits come to {sum(shares.values()):g}; they need to come to 1"
        )
