"""Texts that a user hands in: a plain text, JSON Lines with a text each, or a run's folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiplex.errors import ContentError, near_miss

__all__ = ["Given", "is_run", "read_texts"]

_LONGEST = 2 * 1024**2
"""The most bytes of one text: some 20,000 sentences, which take minutes to embed."""
_KEYS = ("text", "answer", "response", "completion", "output", "content")


@dataclass(frozen=True, slots=True)
class Given:
    """A text, and what to call it: its file, with the line where a file holds many."""

    name: str
    text: str


def is_run(path: Path) -> bool:
    """Tell whether a path is a run's folder."""
    return (path / "run.json").is_file()


def read_texts(path: Path) -> list[Given]:
    """Read the texts of a file: one of a plain text, one a line of a `.jsonl` file.

    A line is a JSON string, or an object with the text under `text`, `answer`, `response`, `completion`,
    `output` or `content`, or with `messages` of which the last counts. Empty lines are passed over.

    Raises:
        ContentError: the file is not there, not UTF-8, too large, empty or of another form.
    """
    try:
        if path.is_dir():
            raise ContentError(f"{path}: is a folder and no run (it holds no run.json); name a run or a file")
        if not path.exists():
            siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
            hint = f"; {near_miss(path.name, siblings)}" if siblings else ""
            raise ContentError(f"{path}: no such file{hint}")
        found = list(_lines(path)) if path.suffix.lower() in {".jsonl", ".ndjson"} else [_whole(path)]
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not any(given.text.strip() for given in found):
        raise ContentError(f"{path}: holds no text")
    return found


def _whole(path: Path) -> Given:
    with path.open("rb") as stream:
        return Given(str(path), _decoded(stream.read(_LONGEST + 1), str(path)))


def _lines(path: Path) -> Iterator[Given]:
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(_LONGEST + 1):
            number += 1
            where = f"{path}: line {number}"
            if text := _decoded(line, where).strip():
                yield Given(f"{path}:{number}", _text(text, where))


def _decoded(data: bytes, where: str) -> str:
    if len(data) > _LONGEST:
        raise ContentError(f"{where}: is longer than {_LONGEST // 1024**2} MiB; split it into several texts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError(f"{where}: is not UTF-8 text; save it as UTF-8") from error


def _text(line: str, where: str) -> str:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ContentError(
            f"{where}: is no JSON; a .jsonl file holds one JSON text or object a line"
        ) from error
    if isinstance(data, Mapping) and isinstance(data.get("messages"), list) and data["messages"]:
        data = data["messages"][-1]
    if isinstance(data, Mapping):
        data = next((data[key] for key in _KEYS if key in data), None)
    if not isinstance(data, str):
        raise ContentError(
            f"{where}: holds no text; it needs a text, or an object with one of: {', '.join(_KEYS)}"
        )
    return data
