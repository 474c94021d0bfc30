"""Rows become shards: the same rows in Parquet and in JSONL, each file there whole or not at all."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from multiplex.dataset.manifest import FileEntry, described, sync_folder
from multiplex.dataset.schemas import SPLITS, normal_row, schema
from multiplex.errors import ContentError, RunError, near_miss

__all__ = ["SHARD_ROWS", "write_split"]

SHARD_ROWS = 10_000
_BATCH_ROWS = 500
_BATCH_CHARACTERS = 8_000_000
"""A batch becomes one row group of Parquet; it is ended by whichever comes first, and bounds the memory."""


def write_split(
    folder: Path,
    config: str,
    split: str,
    rows: Iterable[Mapping[str, Any]],
    count: int,
    *,
    shard_rows: int = SHARD_ROWS,
) -> list[FileEntry]:
    """Write `count` rows of one config and split, and return the files in order of their paths.

    `rows` hold exactly the columns of `COLUMNS[config]`. They are read once and never kept: a batch at a
    time is in memory. The shards are `data/<config>/<split>-00000-of-00002.parquet` (zstd) and the same in
    `jsonl/`. Each pair is written beside its place, brought to the disk, and renamed. The same rows give
    the same bytes (for one version of pyarrow). Half surrogates become U+FFFD in both. Shards that an
    earlier attempt left for this split go first; no rows, no file.

    Raises:
        ContentError: a row does not fit its config, or there is no such config or split.
        RunError: a file cannot be written (a full disk, say), or there are fewer or more rows than told.
            Nothing half-written is left behind; shards that were finished stay.
    """
    if split not in SPLITS:
        raise ContentError(f"no split named {split!r}; {near_miss(split, SPLITS)}")
    if shard_rows < 1:
        raise ContentError(f"a shard needs at least one row, not {shard_rows}")
    schema(config)  # no such config: said before anything is removed
    rows, shards = iter(rows), -(-count // shard_rows)
    _remove_earlier(folder, config, split)
    files: list[FileEntry] = []
    for number in range(shards):
        size = min(shard_rows, count - number * shard_rows)
        name = f"{config}/{split}-{number:05d}-of-{shards:05d}"
        paths = f"data/{name}.parquet", f"jsonl/{name}.jsonl"
        _write_shard(folder, config, paths, islice(rows, size), size)
        files += [described(folder, path, rows=size, config=config, split=split) for path in paths]
    if next(rows, None) is not None:
        raise RunError(f"{folder}: {config}/{split}: there are more rows than the {count:,} told of")
    return sorted(files, key=lambda each: each.path)


def _write_shard(
    folder: Path, config: str, paths: tuple[str, str], rows: Iterator[Mapping[str, Any]], size: int
) -> None:
    whole = [folder / path for path in paths]
    partial = [path.with_name(f"{path.name}.partial") for path in whole]
    try:
        for path in whole:
            path.parent.mkdir(parents=True, exist_ok=True)
        with partial[0].open("wb") as parquet, partial[1].open("wb") as jsonl:
            written = _write_rows(config, rows, parquet, jsonl)
            for file in (parquet, jsonl):
                file.flush()
                os.fsync(file.fileno())
        if written != size:
            raise RunError(f"{whole[0]}: {written:,} rows came where {size:,} were told of")
        for before, after in zip(partial, whole, strict=True):
            os.replace(before, after)  # noqa: PTH105 (the rename is what makes it whole)
            sync_folder(after.parent)
    except OSError as error:
        _remove(partial)
        raise RunError(
            f"{whole[0]}: cannot be written: {error.strerror or error}; nothing half-written was left, "
            "so make room (or name another folder) and run it again"
        ) from error
    except BaseException:
        _remove(partial)
        raise


def _write_rows(config: str, rows: Iterator[Mapping[str, Any]], parquet: IO[bytes], jsonl: IO[bytes]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shape, written = schema(config), 0
    with ExitStack() as stack:
        # Not `with`: leaving it after an error would write a footer to the very disk that is full.
        writer = pq.ParquetWriter(parquet, shape, compression="zstd")
        stack.callback(writer.close)
        for batch, text in _batches(config, rows):
            try:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=shape))
                jsonl.write(text)
            except BaseException:
                stack.pop_all()
                writer.is_open = False
                raise
            written += len(batch)
    return written


def _batches(config: str, rows: Iterator[Mapping[str, Any]]) -> Iterator[tuple[list[dict[str, Any]], bytes]]:
    batch: list[dict[str, Any]] = []
    lines: list[str] = []
    characters = 0
    for row in rows:
        normal = normal_row(config, row)
        line = json.dumps(normal, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        batch.append(normal)
        lines.append(f"{line}\n")
        characters += len(line)
        if len(batch) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield batch, "".join(lines).encode()
            batch, lines, characters = [], [], 0
    if batch:
        yield batch, "".join(lines).encode()


def _remove_earlier(folder: Path, config: str, split: str) -> None:
    ours = re.compile(rf"{split}-\d{{5,}}-of-\d{{5,}}\.(parquet|jsonl)(\.partial)?")
    for place in (folder / "data" / config, folder / "jsonl" / config):
        with suppress(FileNotFoundError):
            _remove([path for path in place.iterdir() if ours.fullmatch(path.name)])


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)
