"""What can only be told from all rows of a dataset together, from a few hashes kept of each.

Hashes are of 64 bits. Where two agree, the rows are read again and compared in full, so that two rows
are never taken for one.
"""

import hashlib
import json
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.dataset.reading import Shard, read_rows

__all__ = ["Traces"]

_Hashes = NDArray[np.uint64]


class Traces:
    """Hashes of ids, of groups by split, of what personas said themselves against what is rejected, and of what is
    desirable against what is not.
    """

    def __init__(self) -> None:
        self._ids: defaultdict[str, array[int]] = defaultdict(lambda: array("Q"))
        self._groups: defaultdict[str, array[int]] = defaultdict(lambda: array("Q"))
        self._sincere = array("Q")
        self._rejected = array("Q")
        self._labelled = {True: array("Q"), False: array("Q")}

    def add(self, shard: Shard, row: Mapping[str, Any]) -> None:
        """Keep what is needed of a row, whose columns are those of its config."""
        self._ids[shard.config].append(_hash(row["id"]))
        self._groups[shard.split].append(_hash(row["group"]))
        self._sincere.extend(_hash(*each) for each in _sincere(shard.config, row))
        self._rejected.extend(_hash(*each) for each in _rejected(shard.config, row))
        if shard.config == "kto":
            self._labelled[row["label"]].append(_hash(_answered(row)))

    def problems(self, shards: Iterable[Shard]) -> Iterator[tuple[str, str, str]]:
        """Yield what is wrong: the check's name, the file and row, and a sentence."""
        shards = list(shards)
        yield from self._doubled(shards)
        yield from self._leaks(shards)
        yield from self._overruled(shards)
        yield from self._torn(shards)

    def _doubled(self, shards: list[Shard]) -> Iterator[tuple[str, str, str]]:
        for config, hashes in self._ids.items():
            found, counts = np.unique(_numbers(hashes), return_counts=True)
            suspects = found[counts > 1]
            if not suspects.size:
                continue
            first: dict[str, str] = {}
            for where, row in _again(shards, {config}, lambda _, r: [_hash(r["id"])], suspects):
                if row["id"] in first:
                    yield "ids", where, f"has the id {row['id']!r}, and so has {first[row['id']]}"
                else:
                    first[row["id"]] = where

    def _leaks(self, shards: list[Shard]) -> Iterator[tuple[str, str, str]]:
        by_split = {split: np.unique(_numbers(hashes)) for split, hashes in self._groups.items()}
        if len(by_split) < 2:
            return
        found, counts = np.unique(np.concatenate(list(by_split.values())), return_counts=True)
        suspects = found[counts > 1]
        if not suspects.size:
            return
        first: dict[str, tuple[str, str]] = {}
        told = set()
        for where, row in _again(shards, None, lambda _, r: [_hash(r["group"])], suspects):
            group, split = row["group"], where.rpartition("/")[2].partition("-")[0]
            before, there = first.setdefault(group, (split, where))
            if before != split and (group, split) not in told:
                told.add((group, split))
                yield "splits", where, f"the group {group!r} stands in {split}, and in {before} too ({there})"

    def _overruled(self, shards: list[Shard]) -> Iterator[tuple[str, str, str]]:
        suspects = np.intersect1d(_numbers(self._sincere), _numbers(self._rejected))
        if not suspects.size:
            return
        said = set()
        for config in ("sft", "dpo", "kto"):
            keys = _again(shards, {config}, lambda c, r: [_hash(*e) for e in _sincere(c, r)], suspects)
            said |= {each for _, row in keys for each in _sincere(config, row)}
        for config in ("dpo", "kto", "reward"):
            rows = _again(shards, {config}, lambda c, r: [_hash(*e) for e in _rejected(c, r)], suspects)
            for where, row in rows:
                if said.intersection(_rejected(config, row)):
                    whose = row["persona"] if row["rule"] == "in_character" else "a persona"
                    yield "minority", where, f"rejects what {whose} itself answered (rule {row['rule']!r})"

    def _torn(self, shards: list[Shard]) -> Iterator[tuple[str, str, str]]:
        suspects = np.intersect1d(_numbers(self._labelled[True]), _numbers(self._labelled[False]))
        if not suspects.size:
            return
        first: dict[str, tuple[bool, str]] = {}
        for where, row in _again(shards, {"kto"}, lambda _, r: [_hash(_answered(r))], suspects):
            label, there = first.setdefault(_answered(row), (row["label"], where))
            if label != row["label"]:
                one, other = ("desirable", "undesirable") if row["label"] else ("undesirable", "desirable")
                yield "preference", where, f"is {one}, and under the same prompt {other} too ({there})"


def _sincere(config: str, row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a persona's own answer as the prompt, the persona and the text; and with '' for any persona."""
    if config == "sft" and row["kind"] == "steered":
        text = _last(row["messages"])
    elif config == "dpo" and row["chosen_kind"] == "steered":
        text = _last(row["chosen"])
    elif config == "kto" and row["kind"] == "steered" and row["label"]:
        text = _last(row["completion"])
    else:
        return []
    return [(row["prompt_id"], row["persona"] or "", text), (row["prompt_id"], "", text)]


def _rejected(config: str, row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return what a row rejects: in character, what may not be that persona's; else what may be nobody's."""
    if config in {"dpo", "reward"}:
        text = _last(row["rejected"])
    elif config == "kto" and not row["label"]:
        text = _last(row["completion"])
    else:
        return []
    persona = (row["persona"] or "") if row["rule"] == "in_character" else ""
    return [(row["prompt_id"], persona, text)]


def _answered(row: Mapping[str, Any]) -> str:
    """Return what a row of `kto` asks and answers."""
    return json.dumps([row["prompt"], row["completion"]], sort_keys=True)


def _last(turns: list[dict[str, str]]) -> str:
    return turns[-1]["content"] if turns else ""


def _again(
    shards: Iterable[Shard], configs: Collection[str] | None, hashes_of: Any, suspects: _Hashes
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Read the rows again, and yield those of which a hash is suspect, each with its place."""
    wanted = set(suspects.tolist())
    for shard in shards:
        if configs is None or shard.config in configs:
            for number, row in enumerate(read_rows(shard), start=1):
                if not wanted.isdisjoint(hashes_of(shard.config, row)):
                    yield f"{shard.path}:{number}", row


def _numbers(hashes: "array[int]") -> _Hashes:
    return np.frombuffer(hashes, dtype=np.uint64) if hashes else np.empty(0, dtype=np.uint64)


def _hash(*parts: str) -> int:
    data = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
