"""Judgements from CSV and JSONL."""

import csv
import json
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import IO, Any, Literal, NamedTuple, get_args

from multiplex.errors import near_miss
from multiplex.moral_graph.judgements import Judgement, Opinion

__all__ = ["Rows", "divider_of", "read_judgements"]

_COLUMNS = ("from", "to", "verdict", "judge", "context", "time")
_OPTIONAL = ("context", "time")
_MOST = 64 * 1024
_OF_A_TIME = re.compile(r"[0-9:.,+TWZ -]+")
"""What stands in a time; Python takes any character between date and time, which ISO 8601 does not."""
_VERDICTS: dict[str, Opinion] = {each: each for each in get_args(Opinion)} | {
    "upgrade": "wiser",
    "no_upgrade": "not_wiser",
    "not_sure": "unsure",
}


class Rows(NamedTuple):
    """Judgements in the order of the file, and how many repeat an earlier judge, move and context."""

    judgements: tuple[Judgement, ...]
    repeats: int


def divider_of(header: str) -> str:
    """Return what divides the columns of a table: spreadsheets write semicolons where commas are decimal."""
    return max(",;\t", key=header.count)


def read_judgements(stream: IO[bytes], *, form: Literal["csv", "jsonl"], known: Collection[str]) -> Rows:
    """Read judgements from a CSV (commas, semicolons or tabs) with a header, or from one JSON object a line.

    Columns, in any order: `from` and `to` (ids of cards in `known`), `verdict` (wiser, not_wiser, unsure or
    abstained, or the published words upgrade, no_upgrade and not_sure), `judge`, and if wished `context` (""
    where it is missing) and `time` (a date, or date and time, of ISO 8601 as `datetime.fromisoformat` reads it, with
    T or a space between them; kept as it is written). Ids may be whole numbers. UTF-8; empty
    lines are passed over. Read as a stream, a line at most 64 KiB long. A repeated judgement (the same judge,
    move and context) is counted like any other, and reported in `repeats`.

    Raises ValueError, which names the line, where something is wrong, and where there is no judgement.
    """
    ids = frozenset(known)
    judgements: list[Judgement] = []
    seen: set[tuple[str, str, str, str]] = set()
    for number, row in _csv_rows(stream) if form == "csv" else _json_rows(stream):
        judgement = _judgement(row, number, ids)
        judgements.append(judgement)
        seen.add((judgement.judge, judgement.source, judgement.wiser, judgement.context))
    if not judgements:
        raise ValueError("holds no judgements")
    return Rows(tuple(judgements), len(judgements) - len(seen))


def _lines(stream: IO[bytes]) -> Iterator[str]:
    number = 0
    while raw := stream.readline(_MOST + 1):
        number += 1
        if len(raw) > _MOST:
            raise ValueError(f"line {number}: is longer than {_MOST // 1024} KiB, the most a line may hold")
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"line {number}: is not UTF-8 text; save the file as UTF-8") from None


def _csv_rows(stream: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = _lines(stream)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=divider_of(first), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_columns(header, reader.line_num)
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"line {reader.line_num}: has {len(cells)} cells, and the header has {len(header)}"
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: broken CSV: {error}") from None


def _json_rows(stream: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(stream), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=tuple)  # a dict forgets what stands twice
        except (ValueError, RecursionError):
            raise ValueError(f"line {number}: is no JSON; every line needs to be one JSON object") from None
        if not isinstance(row, tuple):
            raise ValueError(f"line {number}: needs to be a JSON object with the keys {', '.join(_COLUMNS)}")
        _check_columns([name for name, _ in row], number)
        yield number, dict(row)


def _check_columns(columns: Sequence[str], number: int) -> None:
    for index, name in enumerate(columns):
        if name not in _COLUMNS:
            lacking = [each for each in _COLUMNS if each not in columns]  # what stands there was not meant
            raise ValueError(
                f"line {number}: unknown column {name[:80]!r}; {near_miss(name[:80], lacking or _COLUMNS)}"
            )
        if name in columns[:index]:
            raise ValueError(f"line {number}: the column {name!r} stands twice")
    for name in _COLUMNS:
        if name not in columns and name not in _OPTIONAL:
            raise ValueError(f"line {number}: the column {name!r} is missing")


def _judgement(row: dict[str, Any], number: int, known: frozenset[str]) -> Judgement:
    text = {name: _text(row.get(name), name, number) for name in _COLUMNS}
    verdict = _VERDICTS.get(text["verdict"])
    if verdict is None:
        said = text["verdict"][:80]
        raise ValueError(f"line {number}: the verdict {said!r} is not known; {near_miss(said, _VERDICTS)}")
    for name in ("from", "to"):
        if text[name] not in known:
            id_ = text[name][:200]
            raise ValueError(f"line {number}: no card has the id {id_!r}; {near_miss(id_, known)}")
    if text["from"] == text["to"]:
        raise ValueError(f"line {number}: a move joins two different cards, and both are {text['from']!r}")
    if text["time"] and not _is_a_time(text["time"]):
        raise ValueError(
            f"line {number}: the time {text['time'][:80]!r} is no date of ISO 8601, as 2026-01-31 or"
            " 2026-01-31T14:05:00Z"
        )
    return Judgement(
        source=text["from"],
        wiser=text["to"],
        context=text["context"],
        judge=text["judge"],
        verdict=verdict,
        time=text["time"] or None,
    )


def _is_a_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return _OF_A_TIME.fullmatch(text) is not None


def _text(value: object, name: str, number: int) -> str:
    if type(value) is int:
        value = str(value)
    if value is None and name in _OPTIONAL:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"line {number}: {name} needs to be text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"line {number}: {name} holds half a character") from None
    value = value.strip()
    if not value and name not in _OPTIONAL:
        raise ValueError(f"line {number}: {name} is empty")
    return value
