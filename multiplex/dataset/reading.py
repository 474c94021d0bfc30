"""A dataset's shards read again, a batch at a time."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiplex.dataset.schemas import CONFIGS, SPLITS
from multiplex.errors import ContentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LONGEST_LINE", "Shard", "json_rows", "read_batches", "read_rows", "rows_in", "shards"]

LONGEST_LINE = 64_000_000
"""Bytes of one line of JSONL; a longer one is not read into memory."""

_NAME = re.compile(r"(?P<split>[a-z]+)-\d{5,}-of-\d{5,}\.parquet")


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file of a dataset, with the config and the split that its path says."""

    folder: Path
    path: str
    config: str
    split: str

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.folder / self.path

    @property
    def twin(self) -> Path:
        """Where the same rows lie as JSONL."""
        return self.folder / "jsonl" / self.config / f"{self.file.stem}.jsonl"


def shards(folder: Path, *, configs: tuple[str, ...] = CONFIGS) -> list[Shard]:
    """Return the Parquet shards of a dataset, by config, split and number. Links are not followed.

    Raises:
        ContentError: there is no such folder, or there is no shard in it.
    """
    if not folder.is_dir():
        raise ContentError(f"{folder}: no such folder")
    found = []
    for config in configs:
        place = folder / "data" / config
        files = sorted(place.iterdir()) if place.is_dir() else []
        for split in SPLITS:
            for file in files:
                name = _NAME.fullmatch(file.name)
                if name and name["split"] == split and file.is_file() and not file.is_symlink():
                    found.append(Shard(folder, f"data/{config}/{file.name}", config, split))
    if not found:
        raise ContentError(
            f"{folder}: is unfinished; run the same build again, and it goes on"
            if (folder / ".build" / "work.sqlite").is_file()
            else f"{folder}: no dataset: nothing like data/dpo/train-00000-of-00001.parquet is in it"
        )
    return found


def read_batches(shard: Shard, *, batch: int = 256) -> "Iterator[pa.RecordBatch]":
    """Yield a shard's rows as Arrow, `batch` of them at a time.

    Raises:
        ContentError: the file is no Parquet, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Through a buffer, not a memory map: a file that is cut short must be an error and not a crash.
        with shard.file.open("rb") as source, pq.ParquetFile(source) as file:
            yield from file.iter_batches(batch_size=batch)
    except (OSError, pa.ArrowException) as error:
        raise ContentError(f"{shard.file}: cannot be read as Parquet: {_first_line(error)}") from error


def read_rows(shard: Shard) -> Iterator[dict[str, Any]]:
    """Yield a shard's rows, reading a few hundred of them at a time.

    Raises:
        ContentError: the file is no Parquet, or is damaged.
    """
    for part in read_batches(shard):
        yield from rows_in(part, shard)


def rows_in(part: "pa.RecordBatch", shard: Shard) -> list[dict[str, Any]]:
    """Return a batch as rows.

    Raises:
        ContentError: a text in it is not UTF-8.
    """
    try:
        rows: list[dict[str, Any]] = part.to_pylist()
    except UnicodeDecodeError as error:
        raise ContentError(f"{shard.file}: holds text that is not UTF-8") from error
    return rows


def json_rows(path: Path) -> Iterator[Any]:
    """Yield what stands on the lines of a JSONL file.

    Raises:
        ContentError: the file cannot be read, or a line is no JSON or longer than `LONGEST_LINE`.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise ContentError(f"{path}:{number}: a line of more than {LONGEST_LINE:,} bytes")
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ContentError(f"{path}:{number}: is no JSON: {error}") from error
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
