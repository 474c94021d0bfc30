"""The moral graph as two CSV tables, in and out."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from multiplex.moral_graph.edges import PROFILES, Edge, Thresholds
from multiplex.moral_graph.formats.cards import Id, checked, lines_of, one_line, read_cards, texts_of
from multiplex.moral_graph.formats.edges import StatedCounts, edge_of, graph_of
from multiplex.moral_graph.graph import MoralGraph

__all__ = ["CsvTables", "read_csv", "to_csv"]

_VALUES = ("id", "title", "description", "context", "policies", "schwartz", "authors", "sources")
_LISTS = _VALUES[4:]
_COUNTS = ("wiser", "not_wiser", "less_wise", "unsure", "abstained")
_RULES = tuple(Thresholds.model_fields)
_EDGES = (
    *("from", "to", "contexts"),
    *_COUNTS,
    *("asked", "likelihood", "low", "high", "level", "entropy", "kept", "supporters", "transitions"),
    *("impressions", *_RULES),
)


class CsvTables(NamedTuple):
    """Two tables as CSV text with a header: one row a value, and one row an edge."""

    values: str
    edges: str


def _empty(cell: object) -> object:
    return None if cell == "" else cell


_Number = Annotated[float | None, BeforeValidator(_empty)]


class _EdgeRow(StatedCounts):
    source: Annotated[Id, Field(alias="from")]
    wiser_value: Annotated[Id, Field(alias="to")]
    contexts: str
    likelihood: _Number = None
    entropy: _Number = None
    level: Annotated[float | None, Field(gt=0, lt=1), BeforeValidator(_empty)] = None
    kept: bool
    supporters: str
    transitions: str


def to_csv(graph: MoralGraph) -> CsvTables:
    """Return the values and all judged edges as CSV, sorted as in the graph.

    Several policies, authors, sources or Schwartz values in one cell stand one a line; so do contexts,
    supporters and transitions. A cell is empty where a number is undefined. `wiser` to `abstained` are
    the counts, `asked` how often this very move was put to a judge, `low` and `high` the ends of the
    interval of the likelihood at confidence `level`; `profile` to `max_entropy` are the graph's thresholds, the same
    in every row. A line break, tab or control character within a text becomes a space, so that a line of a cell is
    one policy, and one of a title is the title.
    """
    rules = graph.thresholds.model_dump()
    values = (
        (
            *(one_line(getattr(card, name)) for name in _VALUES if name not in _LISTS),
            *(lines_of(getattr(card, name)) for name in _LISTS),
        )
        for card in graph.values
    )
    edges = (
        (
            *(one_line(edge.source), one_line(edge.wiser), lines_of(edge.contexts)),
            *(getattr(edge.counts, name) for name in _COUNTS),
            edge.counts.asked,
            edge.likelihood,
            *(edge.interval or (None, None, None)),
            edge.entropy,
            "true" if edge.kept else "false",
            *(lines_of(edge.supporters), lines_of(edge.transitions)),
            edge.counts.impressions,
            *rules.values(),
        )
        for edge in graph.edges
    )
    return CsvTables(_table(_VALUES, values), _table(_EDGES, edges))


def read_csv(tables: CsvTables) -> MoralGraph:
    """Return the graph that the two tables of `to_csv` hold.

    It is the graph that was written, but for breaks and control characters within its texts, for the times and
    instructions of published cards, and for the thresholds and the confidence where no edge states them (a table
    without edges: those of the profile `multiplex`; without a verdict: 0.95). An edge without contexts has the one
    without a name. Likelihood, interval and entropy are computed from the counts again and have to be those that
    stand there; `asked`, `low` and `high` are passed over, as are columns that a table does not have.

    Raises ValueError, which names table and line, where a column is missing or something makes no sense.
    """
    rows = [(place, _value_row(row)) for place, row in _rows(tables.values, "the table of values", _VALUES)]
    cards = read_cards([row for _, row in rows]) if rows else ()
    thresholds, edges = PROFILES["multiplex"], []
    for number, (place, row) in enumerate(_rows(tables.edges, "the table of edges", _EDGES)):
        rules = checked(Thresholds, {name: row[name] for name in _RULES}, place)
        if number and rules != thresholds:
            raise ValueError(f"{place}: has other thresholds than the rows before it")
        thresholds = rules
        edges.append(_read_edge(row, place, thresholds))
    return graph_of(cards, edges, thresholds)


def _value_row(row: dict[str, str]) -> dict[str, Any]:
    return {**row, **{name: texts_of(row[name]) for name in _LISTS}}


def _read_edge(row: dict[str, str], place: str, thresholds: Thresholds) -> tuple[str, Edge]:
    given = checked(_EdgeRow, row, place)
    where = f"{place} ({given.source!r} to {given.wiser_value!r})"
    edge = edge_of(
        (given.source, given.wiser_value),
        given.contexts.split("\n"),
        given.counts,
        kept=given.kept,
        asserted=given.kept,
        said={"likelihood": given.likelihood, "entropy": given.entropy},
        thresholds=thresholds,
        level=0.95 if given.level is None else given.level,
        where=where,
        supporters=texts_of(given.supporters),
        transitions=texts_of(given.transitions),
    )
    return where, edge


def _rows(text: str, name: str, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    # Spreadsheets write a line break within a cell as they end a line.
    reader = csv.reader(io.StringIO(text.replace("\r\n", "\n"), newline=""), strict=True)
    header: list[str] | None = None
    line = 1  # where a row begins; it may be many lines long
    try:
        for cells in reader:
            place, line = f"{name}, line {line}", reader.line_num + 1
            if header is None:
                header = cells
                for column in columns:
                    if header.count(column) != 1:
                        how = "stands twice" if column in header else "is missing"
                        raise ValueError(f"{place}: the column {column!r} {how}")
            elif len(cells) != len(header):
                if cells:
                    raise ValueError(f"{place}: has {len(cells)} cells, and the header has {len(header)}")
            else:
                yield place, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"{name}, line {line}: broken CSV: {error}") from None
    if header is None:
        raise ValueError(f"{name}: is empty")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
