"""Moral graphs, cards and judgements from files that people name, and back into files."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from multiplex.cli.graph_shown import warn
from multiplex.content.files import no_such_file
from multiplex.errors import ContentError, near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.formats.cards import not_finite, read_cards
from multiplex.moral_graph.formats.dft import UNDEFINED
from multiplex.moral_graph.formats.graphml import read_graphml
from multiplex.moral_graph.formats.reading import GraphData, read_graph
from multiplex.moral_graph.formats.spreadsheets import CsvTables, read_csv
from multiplex.moral_graph.formats.tables import Rows, read_judgements
from multiplex.moral_graph.graph import MoralGraph
from multiplex.runs import cut_off

__all__ = [
    "explained",
    "json_text",
    "load_cards",
    "load_graph",
    "load_graph_if_any",
    "load_judgements",
    "run_names",
    "tables_of",
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
    """Read a run's folder, a moral_graph.json, a published DFT JSON, one of mgg, a GraphML, or the tables of a CSV.

    Raises:
        ContentError: it cannot be read, or is none of these.
    """
    found = load_graph_if_any(path)
    if found is None:
        raise ContentError(f"{path}: holds no moral graph: the run compared no values")
    return found


def load_graph_if_any(path: Path) -> GraphData | None:
    """Read the same, and return None for a run that compared no values; warn of edges that judgements do not make.

    Raises:
        ContentError: it cannot be read, or is none of these.
    """
    file = _file(path)
    if file.suffix.lower() == ".csv":
        values, edges = tables_of(file)
        if file.is_file() and file not in (values, edges):
            raise ContentError(
                f"{file}: is no table of a moral graph: those are called NAME.values.csv and NAME.edges.csv, as "
                "multiplex graph export writes them"
            )
        tables = CsvTables(_text(values), _text(edges))
        with explained(file):
            return GraphData("csv", read_csv(tables))
    text = _text(file)
    if text.lstrip().startswith("<"):
        with explained(file):
            graphml = read_graphml(text)
        return GraphData("graphml", graphml.graph, level=graphml.level)
    data = _json(text, file)
    if data is None:
        return None
    with explained(file):
        found = read_graph(data)
    if found.disagreements:
        more = len(found.disagreements) - 3
        warn(
            [
                f"{file}: its edges are not what its judgements make, and the judgements are taken: "
                + "; ".join(found.disagreements[:3])
                + (f"; and {more:,} more" if more > 0 else "")
            ]
        )
    return found


def tables_of(path: Path) -> tuple[Path, Path]:
    """Return the two tables that a graph in CSV lies in: NAME.values.csv and NAME.edges.csv, of either or NAME.csv.

    The names are those that `multiplex graph export --format csv` gives.
    """
    name = path.name[: -len(path.suffix)] if path.suffix.lower() == ".csv" else path.name
    for each in (".values", ".edges"):
        name = name.removesuffix(each)
    return path.with_name(f"{name}.values.csv"), path.with_name(f"{name}.edges.csv")


def load_cards(path: Path) -> tuple[ValuesCard, ...]:
    """Read cards from a run's folder, a moral graph in any shape, a JSON list, or JSON Lines.

    Raises:
        ContentError: it cannot be read, or holds no cards.
    """
    file = _file(path)
    if file.suffix.lower() == ".csv":
        return load_graph(path).graph.values
    text = _text(file)
    if text.lstrip().startswith("<"):
        return load_graph(path).graph.values
    data = _json(text, file)
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


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return what runs are called in a merged graph: their folders' names, or those of files elsewhere.

    Those that would share a name are told apart by the folders that they lie in ("x/g1" and "y/g1"). No two
    paths are to be the same.
    """
    whole = [path.resolve() for path in paths]
    whole = [path.parent if path.name == _NAME and not path.is_dir() else path for path in whole]
    names = [path.name if path.is_dir() else path.stem for path in whole]
    depth = 1
    while shared := {name for name, count in Counter(names).items() if count > 1}:
        depth += 1
        names = [
            "/".join(path.parts[1:][-depth:]) if name in shared else name
            for name, path in zip(names, whole, strict=True)
        ]
    return names


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


def write_files(texts: dict[Path, str], *, force: bool, read: Sequence[Path] = ()) -> None:
    """Write texts, each whole or not at all, over nothing that is there unless `force`.

    Raises:
        ContentError: a file is there already, is one of those that were `read`, or cannot be written.
    """
    sources = {path.resolve() for path in read}
    for path in texts:
        if path.resolve() in sources:
            raise ContentError(f"{path}: is what was read; name another file")
        if path.is_symlink() or (path.exists() and not path.is_file() and not path.is_dir()):
            raise ContentError(f"{path}: is no plain file; name another one")
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
            if not path.parent.exists():
                raise ContentError(
                    f"{path}: cannot be written: there is no folder {str(path.parent)!r}; make it first"
                ) from error
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
            raise cut_off(path) or no_such_file(path)
        if path.is_dir():
            raise ContentError(f"{path}: is a folder; name a file in it")
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error


def _text(path: Path) -> str:
    """Return what stands in a file of text."""
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
    return text


def _json(text: str, path: Path) -> Any:
    """Parse JSON, or JSON Lines into a list."""
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    found = _parsed(text, path, constant)
    places = not_finite(found) if constants else iter(())
    if place := next((each for each in places if not UNDEFINED.fullmatch(each)), None):
        raise ContentError(f"{path}: {place} is NaN or infinite, which JSON does not have; null is undefined")
    return found


def _parsed(text: str, path: Path, constant: Callable[[str], float]) -> Any:
    try:
        return json.loads(text, parse_constant=constant)
    except RecursionError as error:
        raise ContentError(f"{path}: broken JSON: {_said(error)}") from error
    except ValueError as error:
        whole = error
    found: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line.strip():
                found.append(json.loads(line, parse_constant=constant))
        except (ValueError, RecursionError) as error:
            if found:  # these are JSON Lines, of which this one is broken
                raise ContentError(f"{path}: line {number}: broken JSON: {_said(error)}") from error
            place = f"line {whole.lineno}: " if isinstance(whole, json.JSONDecodeError) else ""
            raise ContentError(f"{path}: {place}broken JSON: {_said(whole)}") from whole
    return found


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
