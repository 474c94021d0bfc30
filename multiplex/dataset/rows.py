"""The rows of a prompt file, one at a time: what cannot be read is a `BadRow` in its place, and the next is read.

Memory holds one row; of Parquet, one batch. No line takes more of it than the longest may.
"""

import csv
import json
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from multiplex.errors import ContentError
from multiplex.moral_graph.formats.tables import divider_of

__all__ = ["FORMATS", "BadRow", "Row", "read_rows"]

_LONGEST_LINE = 1 << 20
"""Bytes of a line that are read: whatever is longer is no prompt, and is passed over in pieces."""


class BadRow(Exception):  # noqa: N818 (it stands in a row's place as often as it is raised)
    """What is wrong with one row: a kind that can be counted (`malformed`, `not_utf8`, ...), and the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


Row = Mapping[str, Any] | str | BadRow


def read_rows(path: Path, *, columns: Container[str]) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a file by the line, or in Parquet the row, on which each begins, from 1.

    A line of plain text, and a text alone in JSONL, is a row without columns. Of Parquet only `columns`, in lower
    case, are read; others stand in a row as None.

    Raises:
        ContentError: the file cannot be read, is binary, or is not of the format that its suffix says.
    """
    return FORMATS[path.suffix.lower()](path, columns)


def _lines(path: Path) -> Iterator[tuple[int, str | BadRow]]:
    """Yield the numbered lines of a text file without their ends."""
    try:
        with path.open("rb") as stream:
            _check_text(path, stream)
            number = 0
            while raw := stream.readline(_LONGEST_LINE):
                number += 1
                if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
                    while (rest := stream.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield number, BadRow("too_long", f"the line has more than {_LONGEST_LINE:,} bytes")
                    continue
                try:
                    yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    yield number, BadRow("not_utf8", f"byte {error.start + 1} of the line is not UTF-8")
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check_text(path: Path, stream: BinaryIO) -> None:
    head = stream.read(65536)
    stream.seek(0)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ContentError(f"{path}: is UTF-16 text; save it as UTF-8")
    controls = sum(head.count(code) for code in range(32) if code not in b"\t\n\x0b\x0c\r\x1b")
    if controls >= 8 and controls > 0.03 * len(head):
        raise ContentError(f"{path}: is binary, not text; name a text file, or a Parquet file as .parquet")


def _plain(path: Path, _: Container[str]) -> Iterator[tuple[int, Row]]:
    yield from _lines(path)


def _jsonl(path: Path, _: Container[str]) -> Iterator[tuple[int, Row]]:
    for number, line in _lines(path):
        if isinstance(line, BadRow):
            yield number, line
        elif not line.strip():
            yield number, BadRow("empty", "the line is empty")
        else:
            yield number, _object(line)


def _object(line: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return BadRow("malformed", f"is no JSON: {error.msg} at character {error.colno}")
    except (ValueError, RecursionError):
        return BadRow("malformed", "is no JSON that can be read: nested too deeply, or a number too long")
    if not isinstance(row, dict | str):
        return BadRow("malformed", 'needs to be a JSON object, as in {"question": "..."}')
    return row


def _csv(path: Path, _: Container[str]) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a table; a quoted field may run over several lines."""
    source = _CsvLines(path)
    reader = csv.reader(source, delimiter=source.delimiter)
    header: list[str] = []
    while True:
        source.spoilt, source.quotes, begins = None, 0, source.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            source.catch_up()
            source.spoilt = BadRow("too_long" if "limit" in str(error) else "malformed", f"CSV: {error}")
            fields = []
        if not header:
            if source.spoilt is not None:
                raise ContentError(f"{path}: line {begins}: the header: {source.spoilt}; save it as UTF-8")
            header = [name.strip() for name in fields]
        elif source.spoilt is not None:
            yield begins, source.spoilt
        elif not any(field.strip() for field in fields):
            yield begins, BadRow("empty", "the row is empty")
        elif len(fields) != len(header):
            yield begins, BadRow("malformed", f"has {len(fields)} fields, and the header has {len(header)}")
        else:
            yield begins, dict(zip(header, fields, strict=True))


class _CsvLines:
    """A table's lines for `csv`: one that cannot be read is empty, and spoils the row that it is in."""

    def __init__(self, path: Path) -> None:
        self.number = self.quotes = 0
        self.spoilt: BadRow | None = None
        self._lines = _lines(path)
        first = next(_lines(path), (0, ""))[1]
        header = first if isinstance(first, str) else ""
        self.delimiter = divider_of(header)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        if isinstance(line, BadRow):
            self.spoilt = line
            return "\n"
        self.quotes += line.count('"')
        return f"{line}\n"

    def catch_up(self) -> None:
        """Go on behind the end of a quoted field that was given up in the middle."""
        while self.quotes % 2 and next(self, None) is not None:
            pass


def _parquet(path: Path, columns: Container[str]) -> Iterator[tuple[int, Row]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ContentError(
            f"{path}: Parquet is read with pyarrow: pip install 'multiplex-deliberation[data]', or use JSONL"
        ) from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = [name for name in names if name.strip().lower() in columns]
            for batch in file.iter_batches(batch_size=128, columns=wanted):
                for row in _records(batch, dict.fromkeys(names)):
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ContentError(f"{path}: cannot be read as Parquet, behind row {number}: {reason}") from error


def _records(batch: Any, blank: Mapping[str, None]) -> Iterator[Row]:
    try:
        yield from [{**blank, **row} for row in batch.to_pylist()]
    except UnicodeDecodeError:  # in one row of them, or more
        for index in range(batch.num_rows):
            try:
                [row] = batch.slice(index, 1).to_pylist()
                yield {**blank, **row}
            except UnicodeDecodeError:
                yield BadRow("not_utf8", "a text of the row is not UTF-8")


FORMATS: Mapping[str, Callable[[Path, Container[str]], Iterator[tuple[int, Row]]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
    ".tsv": _csv,
    ".txt": _plain,
}
"""What reads a file, by its suffix."""
