"""Near-duplicates by embeddings: what was kept lies in a file, so that memory does not grow with it.

The search is exact: every new vector is compared with all kept ones of its partition, block by block. What a
few leading directions of two vectors say bounds their cosine from above, and only pairs whose bound reaches
the threshold are compared whole. The time still grows with the square of the number: by a sixth of
what whole vectors take for 100,000 texts, and by no less than that where they lie in dense clusters.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from multiplex.errors import RunError

__all__ = ["DUPLICATE", "RELATED", "Nearest", "Seen", "linked"]

DUPLICATE = 0.95
"""The cosine from which a text is a near-duplicate of one kept before."""

RELATED = 0.85
"""The cosine from which two prompts share a group, and so a split."""

_HEAD = 512
"""Bytes of the file's head: one line of JSON, padded."""

_BLOCK = 4096
"""Vectors that are compared at a time: 6 MB of 384 dimensions."""

_BATCH = 1024
"""New vectors that are compared with one another at a time."""

_PAIRS = 8192
"""Pairs of which the cosine is computed exactly at a time: 150 MB of 384 dimensions, in double precision."""

_LEADING = 48
"""Directions along which a bound is computed; with the length of the rest 98 bytes a vector, in memory."""

_LEARNT_FROM = 2048
"""How many vectors are kept before there are bounds: those along which they differ most are the directions."""

_FEW = 1 / 512
"""The share of a block's pairs up to which they are compared one by one; of more the whole block is multiplied."""

_SLACK = 2e-3
"""How far a cosine of rounded, not quite unit vectors in single precision may be from the exact one."""

_BOUND_SLACK = 3e-3
"""The same of a bound, whose parts are rounded once more."""

_Floats = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The kept text that a new one repeats: its key, and the cosine of the two, 0..1."""

    key: str
    cosine: float


@dataclass(slots=True)
class _Partition:
    """Where a partition's vectors stand in the file, and of each the leading part and the length of the rest."""

    places: "array[int]" = field(default_factory=lambda: array("q"))
    heads: bytearray = field(default_factory=bytearray)


class Seen:
    """The vectors that were kept, in one file, each with its key and its partition.

    Vectors are kept as float16, and only those of one partition are compared. A decision hangs on the
    file and on the order given alone: neither batches, blocks, bounds nor an interruption change it, for
    whatever lies near the threshold is computed again without any rounding (a product of two float16 is a multiple of
    2^-48, and a sum of such that stays below 32 is exact in double precision).

    The file is written by appending, never through a mapping, so that a full disk is an error and not
    a signal. In memory: some 106 bytes a vector, the blocks being compared, and the mapped pages that the
    system may drop.
    """

    def __init__(
        self,
        path: Path,
        *,
        dimensions: int,
        committed: int = 0,
        threshold: float = DUPLICATE,
        embedding: str = "",
        longest_key: int = 800,
    ) -> None:
        """Open the file, made where there is none, and cut it back to the `committed` vectors.

        What lies beyond them was written before a kill that came before the caller's own commit.
        `embedding` names the model that the vectors are from; files of another are refused. Every
        vector takes twice its dimensions and `longest_key` (the bytes of a key as UTF-8) on the disk.

        Raises:
            RunError: the file is another embedding's, holds fewer vectors than were committed, is no
                such file, or cannot be written.
        """
        if not 0 < threshold <= 1:
            raise ValueError(f"a threshold is above 0 and at most 1, not {threshold!r}")
        self.threshold = threshold
        self._path = path
        self._dtype = np.dtype(
            [("partition", "<u8"), ("key", f"S{longest_key}"), ("vector", "<f2", (dimensions,))]
        )
        self._head = json.dumps(
            {
                "format": "multiplex seen 1",
                "dimensions": dimensions,
                "key": longest_key,
                "embedding": embedding,
            }
        )
        if len(self._head) >= _HEAD:  # the path of a model may be long
            digest = hashlib.sha256(embedding.encode("utf-8", "surrogatepass")).hexdigest()
            self._head = self._head.replace(json.dumps(embedding), json.dumps(digest))
        self._partitions: dict[int, _Partition] = {}
        self._directions: _Floats | None = None
        self._count = 0
        self._records: _Floats = np.zeros(0, self._dtype)
        try:
            self._file = self._opened(committed)
        except OSError as error:
            raise RunError(f"{path}: cannot be opened for near-duplicates: {error.strerror}") from error
        self._index(committed)

    def __len__(self) -> int:
        """Return how many vectors are kept: what the caller commits beside its own records."""
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing is lost, for everything was written when it was added."""
        self._records = np.zeros(0, self._dtype)
        self._file.close()

    def flush(self) -> None:
        """Bring what was added to the disk itself, before the caller commits `len(self)`.

        Raises:
            RunError: the disk does not take it.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror}") from error

    def add_many(
        self,
        keys: Sequence[str],
        vectors: NDArray[np.floating[Any]],
        *,
        partitions: Sequence[str] | None = None,
    ) -> list[Nearest | None]:
        """Keep the vectors, shape (n, d), that repeat nothing kept before them; the same as one by one.

        Returns for each vector the nearest kept one of its partition (of several as near, the first),
        if that lies at the threshold or above, else None: then it is kept itself.

        Raises:
            ValueError: the shapes do not fit, a vector has no direction, or a key is too long.
            RunError: the disk does not take what is to be kept.
        """
        if partitions is None:
            partitions = [""] * len(keys)
        new = self._new(keys, vectors, partitions)
        found: list[Nearest | None] = []
        for start in range(0, len(new), _BATCH):
            found += self._added(new[start : start + _BATCH])
        return found

    def _added(self, new: _Floats) -> list[Nearest | None]:
        found: list[Nearest | None] = [None] * len(new)
        members: dict[int, list[int]] = {}
        for place, partition in enumerate(new["partition"].tolist()):
            members.setdefault(partition, []).append(place)
        for partition, places in members.items():
            vectors = new["vector"][places]
            among = self._nearest(vectors, self._partitions.get(partition, _Partition()))
            single = vectors.astype(np.float32)
            within: NDArray[np.bool_] = np.tril(np.asarray(single @ single.T >= self.threshold - _SLACK), -1)
            near_any: NDArray[np.bool_] = np.asarray(within.any(axis=1))
            kept = np.zeros(len(places), dtype=bool)
            for row, place in enumerate(places):
                best = among[row]
                near = np.flatnonzero(within[row] & kept) if near_any[row] else ()
                if len(near):
                    exact = _exact(vectors[row], vectors[near])
                    top = int(np.argmax(exact))
                    if exact[top] >= self.threshold and (best is None or exact[top] > best.cosine):
                        best = Nearest(_text(new["key"][places[near[top]]]), float(exact[top]))
                kept[row] = best is None
                found[place] = best
        self._keep(new[[near is None for near in found]])
        return found

    def related(self, threshold: float = RELATED, *, partition: str = "") -> Iterator[tuple[str, str, float]]:
        """Yield (earlier key, later key, cosine) for every two kept of a partition at a threshold or above."""
        kept = self._partitions.get(_code(partition), _Partition())
        places = np.frombuffer(kept.places, dtype=np.int64)
        records = self._mapped()
        for start in range(0, len(places), _BATCH):
            vectors = records["vector"][places[start : start + _BATCH]]
            most = start + len(vectors)
            for offset, rows, columns, _ in self._close(vectors, kept, threshold, most):
                earlier = offset + columns < start + rows
                rows, columns = rows[earlier], offset + columns[earlier]
                cosines = _exact_pairs(vectors, rows, records["vector"], places[columns])
                for row, column, cosine in zip(rows, columns, cosines, strict=True):
                    if cosine >= threshold:
                        first, second = records["key"][places[column]], records["key"][places[start + row]]
                        yield _text(first), _text(second), float(cosine)

    def keys(self, *, partition: str = "") -> Iterator[str]:
        """Yield the keys kept in a partition, in the order they came in."""
        records = self._mapped()
        for place in self._partitions.get(_code(partition), _Partition()).places:
            yield _text(records["key"][place])

    def forget(self, keys: Container[str], *, after: int) -> None:
        """Keep what has one of these keys no longer, of all that came in after the first `after`.

        Raises:
            RunError: the disk does not take what stays.
        """
        tail = np.array(self._mapped()[after:])
        self._records = np.zeros(0, self._dtype)
        try:
            self._file.truncate(_HEAD + after * self._dtype.itemsize)
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._partitions, self._directions = {}, None
        self._index(after)
        self._keep(tail[[_text(key) not in keys for key in tail["key"]]])

    def _opened(self, committed: int) -> Any:
        head = f"{self._head:<{_HEAD - 1}}\n".encode()
        made = not self._path.exists()
        if made:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("w+b" if made else "r+b", buffering=0)
        try:
            self._settle(file, head, committed)
        except BaseException:
            file.close()
            raise
        return file

    def _settle(self, file: Any, head: bytes, committed: int) -> None:
        """Check the head, or write it where a kill came before it, and cut off what was not committed."""
        found = file.read(_HEAD)
        if len(found) < _HEAD and committed == 0:
            file.seek(0)
            file.truncate(0)
            _write(file, head)
        elif found != head:
            raise RunError(
                f"{self._path}: holds no vectors of this embedding ({self._head}); "
                "move it away, or take the embedding that it was made with"
            )
        size = file.seek(0, os.SEEK_END) - _HEAD
        if max(0, size) // self._dtype.itemsize < committed:
            raise RunError(
                f"{self._path}: holds {max(0, size) // self._dtype.itemsize} vectors where {committed} were "
                "committed; the file was damaged or changed, so build this dataset anew"
            )
        file.truncate(_HEAD + committed * self._dtype.itemsize)

    def _index(self, committed: int) -> None:
        self._count = committed
        records = self._mapped()
        for start in range(0, committed, _BLOCK):
            for place, code in enumerate(records["partition"][start : start + _BLOCK].tolist(), start):
                self._partitions.setdefault(code, _Partition()).places.append(place)
        if committed >= _LEARNT_FROM:
            self._learn()

    def _mapped(self) -> _Floats:
        if len(self._records) != self._count:
            self._records = np.memmap(
                self._path, dtype=self._dtype, mode="r", offset=_HEAD, shape=(self._count,)
            )
        return self._records

    def _new(
        self, keys: Sequence[str], vectors: NDArray[np.floating[Any]], partitions: Sequence[str]
    ) -> NDArray[Any]:
        dimensions = self._dtype["vector"].shape[0]
        vectors = np.asarray(vectors, dtype=np.float64)
        if vectors.shape != (len(keys), dimensions) or len(partitions) != len(keys):
            raise ValueError(
                f"{len(keys)} keys and {len(partitions)} partitions need vectors of shape "
                f"({len(keys)}, {dimensions}), not {vectors.shape}"
            )
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.all(np.isfinite(lengths) & (lengths > 1e-6)):
            raise ValueError("a vector has no direction: its length is 0 or not a number")
        new = np.zeros(len(keys), self._dtype)
        new["vector"] = vectors / lengths[:, None]
        new["partition"] = [_code(partition) for partition in partitions]
        for place, key in enumerate(keys):
            stored = key.encode()
            if len(stored) > self._dtype["key"].itemsize or stored.endswith(b"\0"):
                raise ValueError(
                    f"{key!r} is no key: at most {self._dtype['key'].itemsize} bytes, and no NUL at the end"
                )
            new["key"][place] = stored
        return new

    def _nearest(self, vectors: _Floats, kept: _Partition) -> list[Nearest | None]:
        """Return for each vector the nearest of a partition's, if at the threshold or above."""
        best: list[Nearest | None] = [None] * len(vectors)
        records, places = self._mapped(), np.frombuffer(kept.places, dtype=np.int64)
        for offset, rows, columns, coarse in self._close(vectors, kept, self.threshold, len(places)):
            highest = np.full(len(vectors), -np.inf, dtype=np.float32)
            np.maximum.at(highest, rows, coarse)
            top = coarse >= highest[rows] - 2 * _SLACK
            rows, there = rows[top], places[offset + columns[top]]
            exact = _exact_pairs(vectors, rows, records["vector"], there)
            for index in np.lexsort(
                (there, -exact, rows)
            ):  # of each row the nearest first, then the earliest
                row, cosine = rows[index], float(exact[index])
                before = best[row]
                if cosine >= self.threshold and (before is None or cosine > before.cosine):
                    best[row] = Nearest(_text(records["key"][there[index]]), cosine)
        return best

    def _close(
        self, vectors: _Floats, kept: _Partition, threshold: float, most: int
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], _Floats]]:
        """Yield what of a partition's first `most` vectors may be as near to some as the threshold, by blocks.

        Of each block come its offset, the pairs' rows among `vectors`, their columns in the block, and their
        cosines in single precision. No pair is missing.
        """
        if not most:
            return
        records, places = self._mapped(), np.frombuffer(kept.places, dtype=np.int64)[:most]
        queries = vectors.astype(np.float32)
        asked = heads = None
        if self._directions is not None:
            width = self._directions.shape[1] + 1
            heads = np.frombuffer(kept.heads, dtype=np.float16).reshape(-1, width)
            asked = _heads(vectors, self._directions).astype(np.float32)
        for offset in range(0, most, _BLOCK):
            block = places[offset : offset + _BLOCK]
            if heads is not None and asked is not None:
                bounds = asked @ heads[offset : offset + len(block)].astype(np.float32).T
                may = bounds >= threshold - _BOUND_SLACK
                number = int(np.count_nonzero(may))
                if not number:
                    continue
                if number <= _FEW * may.size:
                    rows, columns = np.nonzero(may)
                    others = records["vector"][block[columns]].astype(np.float32)
                    coarse = np.einsum("ij,ij->i", queries[rows], others)
                    near = coarse >= threshold - _SLACK
                    if near.any():
                        yield offset, rows[near], columns[near], coarse[near]
                    continue
            whole = queries @ records["vector"][block].astype(np.float32).T
            rows, columns = np.nonzero(whole >= threshold - _SLACK)
            if len(rows):
                yield offset, rows, columns, whole[rows, columns]

    def _keep(self, new: NDArray[Any]) -> None:
        if not len(new):
            return
        end = _HEAD + self._count * self._dtype.itemsize
        try:
            self._file.seek(end)
            _write(self._file, new.tobytes())
        except OSError as error:
            raise RunError(f"{self._path}: cannot be written: {error.strerror}") from error
        heads = None if self._directions is None else _heads(new["vector"], self._directions)
        for index, code in enumerate(new["partition"].tolist()):
            kept = self._partitions.setdefault(code, _Partition())
            kept.places.append(self._count + index)
            if heads is not None:
                kept.heads += heads[index].tobytes()
        self._count += len(new)
        if self._directions is None and self._count >= _LEARNT_FROM:
            self._learn()

    def _learn(self) -> None:
        """Find the directions along which the vectors differ most, and the heads of all that are kept.

        They need not be the best, nor the same in any batches: a bound holds along any orthonormal directions.
        """
        vectors = self._mapped()["vector"]
        first = vectors[:_LEARNT_FROM].astype(np.float64)
        first -= first.mean(axis=0)
        _, directions = np.linalg.eigh(first.T @ first)
        self._directions = directions[:, ::-1][:, :_LEADING]
        for kept in self._partitions.values():
            places = np.frombuffer(kept.places, dtype=np.int64)
            for start in range(0, len(places), _BLOCK):
                kept.heads += _heads(vectors[places[start : start + _BLOCK]], self._directions).tobytes()


def _heads(vectors: _Floats, directions: _Floats) -> NDArray[np.float16]:
    """Return vectors' parts along the directions, and the length of what is left of each, shape (n, m + 1).

    By Cauchy and Schwarz the product of two vectors is at most the product of their heads.
    """
    exact = vectors.astype(np.float64)
    leading = exact @ directions
    rest = np.sqrt(np.maximum(0.0, (exact * exact).sum(axis=1) - (leading * leading).sum(axis=1)))
    heads: NDArray[np.float16] = np.concatenate([leading, rest[:, None]], axis=1).astype(np.float16)
    return heads


def _exact_pairs(
    one: _Floats, rows: NDArray[np.int64], other: _Floats, places: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the cosines of these rows of `one` with these of `other`, some pairs at a time: they may be millions."""
    cosines = np.empty(len(rows))
    for start in range(0, len(rows), _PAIRS):
        part = slice(start, start + _PAIRS)
        cosines[part] = _exact(one[rows[part]], other[places[part]])
    return cosines


def _exact(one: _Floats, other: _Floats) -> NDArray[np.float64]:
    """Return the cosines of float16 vectors, row by row, the same on any machine and in any batch."""
    left, right = one.astype(np.float64), other.astype(np.float64)
    squares = (left * left).sum(axis=-1) * (right * right).sum(axis=-1)
    cosines: NDArray[np.float64] = np.clip((left * right).sum(axis=-1) / np.sqrt(squares), -1.0, 1.0)
    return cosines


def linked(
    keys: Sequence[str],
    pairs: Iterable[tuple[str, str, float]],
    *,
    given: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return each key's group: all that pairs link, directly or through others, under one name.

    Keys that were `given` the same group (group by key) are linked too. A group is named as the first
    of its keys that was given one was, else after the first of its keys, in the order of `keys`. So
    keys that are added at the end leave the groups of the old ones as they were, unless a new one
    links two old groups or brings a given name to one: then the one may change its split.

    Raises:
        ValueError: a pair names a key that is not among the keys.
    """
    place = {key: index for index, key in enumerate(keys)}
    parent = array("q", range(len(keys)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def link(left: int, right: int) -> None:
        first, second = sorted((root(left), root(right)))
        parent[second] = first

    named = {key: group for key in keys if (group := (given or {}).get(key)) is not None}
    founders: dict[str, int] = {}
    for key, group in named.items():
        link(founders.setdefault(group, place[key]), place[key])
    for left, right, _ in pairs:
        if left not in place or right not in place:
            raise ValueError(f"{left!r} and {right!r} are to be linked, but not both are among the keys")
        link(place[left], place[right])
    names: dict[int, str] = {}
    for key, group in named.items():
        names.setdefault(root(place[key]), group)
    return {key: names.get(root(index), keys[root(index)]) for key, index in place.items()}


def _code(partition: str) -> int:
    return int.from_bytes(hashlib.sha256(partition.encode("utf-8", "surrogatepass")).digest()[:8], "little")


def _text(key: bytes) -> str:
    return key.decode()


def _write(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:  # an unbuffered write may take only a part
        view = view[file.write(view) :]
