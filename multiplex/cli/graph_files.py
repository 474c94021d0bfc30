"""Moral graphs, cards and judgements from files that people name, and back into files."""

import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from multiplex.errors import ContentError, near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.formats.cards import read_cards
from multiplex.moral_graph.formats.reading import GraphData, read_graph
from multiplex.moral_graph.formats.tables import Rows, read_judgements
from multiplex.moral_graph.graph import MoralGraph

__all__ = [
    "explained",
    "json_text",
    "load_cards",
    "load_graph",
    "load_graph_if_any",
    "load_judgements",
    "run_name",
    "value_named",
    "write_files",
]

_MOST_BYTES = 256 * 1024 * 1024
_NAME = "moral_graph.json"


@contextmanager
def explained(where: object) -> Iterator[None]:
    """Turn the ValueError of a pure function into one sentence about what the caller gave."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ContentError(f"{where}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    except ValueError as error:
        raise ContentError(f"{where}: {error}") from error


def load_graph(path: Path) -> GraphData:
    """Read a run's folder, a moral_graph.json, a published DFT JSON or one of mgg.

    Raises:
        ContentError: it cannot be read, or is none of these.
    """
    found = load_graph_if_any(path)
    if found is None:
        raise ContentError(f"{path}: holds no moral graph: the run compared no values")
    return found


def load_graph_if_any(path: Path) -> GraphData | None:
    """Read the same, and return None for a run that compared no values.

    Raises:
        ContentError: it cannot be read, or is none of these.
    """
    file = _file(path)
    data = _json(file)
    if data is None:
        return None
    with explained(file):
        return read_graph(data)


def load_cards(path: Path) -> tuple[ValuesCard, ...]:
    """Read cards from a run's folder, a moral graph in any shape, a JSON list, or JSON Lines.

    Raises:
        ContentError: it cannot be read, or holds no cards.
    """
    file = _file(path)
    data = _json(file)
    if isinstance(data, dict) and "values" not in data and {"id", "title"} <= data.keys():
        data = [data]  # JSON Lines of one line
    with explained(file):
        return read_cards(data)


def load_judgements(path: Path, known: Collection[str]) -> Rows:
    """Read judgements of known cards from a CSV or JSON Lines, told apart by the first character.

    Raises:
        ContentError: it cannot be read, or a line in it is wrong.
    """
    with _opened(path) as stream, explained(path):
        first = stream.peek(256).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]  # type: ignore[attr-defined]
        if first == b"[":
            raise ContentError(f"{path}: is a JSON list; judgements are one JSON object a line, or CSV")
        return read_judgements(stream, form="jsonl" if first == b"{" else "csv", known=known)


def run_name(path: Path) -> str:
    """Return what a run is called in a merged graph: its folder's name, or that of a file elsewhere."""
    whole = path.resolve()
    if whole.is_dir():
        return whole.name
    return whole.parent.name if whole.name == _NAME else whole.stem


def value_named(graph: MoralGraph, name: str) -> str:
    """Return the id of the value with this id or title, in whatever case.

    Raises:
        ContentError: there is none, or several have the title.
    """
    if any(card.id == name for card in graph.values):
        return name
    found = [card.id for card in graph.values if card.title.casefold() == name.strip().casefold()]
    if len(found) > 1:
        raise ContentError(f"several values have the title {name!r}; name one by its id: {', '.join(found)}")
    if not found:
        names = [*(card.id for card in graph.values), *(card.title for card in graph.values)]
        raise ContentError(f"no value has the id or title {name!r}; {near_miss(name, names)}")
    return found[0]


def json_text(data: Any) -> str:
    """Return plain data as the JSON text of a file."""
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def write_files(texts: dict[Path, str], *, force: bool) -> None:
    """Write texts, each whole or not at all, over nothing that is there unless `force`.

    Raises:
        ContentError: a file is there already, or cannot be written.
    """
    for path in texts:
        if path.is_dir() or not path.name:
            raise ContentError(f"{path}: is a folder; name a file")
        if not force and (path.exists() or path.is_symlink()):
            raise ContentError(f"{path}: is there already; --force writes over it")
    for path, text in texts.items():
        partial = ""
        try:
            handle, partial = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
            # A model may say half a character; written as an escape, it is still JSON.
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                stream.write(text)
            Path(partial).chmod(0o644)
            os.replace(partial, path)  # noqa: PTH105 (the rename is what makes it whole)
        except OSError as error:
            with suppress(OSError):
                Path(partial).unlink()
            raise ContentError(f"{path}: cannot be written: {error.strerror or error}") from error


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if not (path / _NAME).is_file():
        raise ContentError(f"{path}: is no run (it holds no {_NAME})")
    return path / _NAME


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if not path.exists():
            siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            hint = f"; {near_miss(path.name, siblings)}" if siblings else ""
            raise ContentError(f"{path}: no such file{hint}")
        if path.is_dir():
            raise ContentError(f"{path}: is a folder; name a file in it")
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error


def _json(path: Path) -> Any:
    """Parse JSON, or JSON Lines into a list."""
    with _opened(path) as stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ContentError(f"{path}: is larger than {_MOST_BYTES // 1024**2} MiB, the most that is read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ContentError(f"{path}: line {line}: is not UTF-8 text; save it as UTF-8") from error
    if not text.strip():
        raise ContentError(f"{path}: is empty")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ContentError(f"{path}: broken JSON: nested too deeply") from error
    except ValueError as error:
        whole = error
    lines = _json_lines(text.split("\n"))
    if lines is None:
        place = f"line {whole.lineno}: " if isinstance(whole, json.JSONDecodeError) else ""
        said = whole.msg if isinstance(whole, json.JSONDecodeError) else str(whole)
        raise ContentError(f"{path}: {place}broken JSON: {said}") from whole
    return lines


def _json_lines(lines: Iterable[str]) -> list[Any] | None:
    found = []
    for line in lines:
        if line.strip():
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                return None
    return found
