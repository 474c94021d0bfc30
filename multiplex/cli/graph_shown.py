"""How moral graphs are printed: tables, counts and edges, safe for a terminal."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from multiplex.moral_graph.cards import ValuesCard
    from multiplex.moral_graph.comparing import Changed
    from multiplex.moral_graph.edges import Edge
    from multiplex.moral_graph.graph import MoralGraph

__all__ = [
    "MOST_ROWS",
    "arrow",
    "counted",
    "edge_json",
    "flat",
    "item_json",
    "number",
    "print_rows",
    "say",
    "state",
    "summary",
    "titles_of",
    "warn",
]

_UNFOLDED = 100_000
"""Columns of what is no terminal."""

MOST_ROWS = 50
"""How many rows are printed for people; --json prints all."""


def summary(graph: "MoralGraph", edges: "Sequence[Edge]") -> str:
    """Return how many values and edges there are."""
    judged, kept = counted(len(edges), "edge"), sum(edge.kept for edge in edges)
    return f"{counted(len(graph.values), 'value')}, {judged}, {kept:,} kept"


def titles_of(graph: "MoralGraph") -> dict[str, str]:
    """Return the title of every value by id."""
    return {card.id: card.title for card in graph.values}


def edge_json(edge: "Edge") -> dict[str, Any]:
    """Return an edge as plain data."""
    # A named tuple is a list in JSON: say which number is which.
    interval = edge.interval._asdict() if edge.interval else None
    return {**edge.model_dump(mode="json"), "interval": interval}


def item_json(item: "ValuesCard | Edge | Changed[Any] | str") -> dict[str, Any] | str:
    """Return a card, an edge or a change of either as plain data, and a sentence as it is."""
    if isinstance(item, str):
        return item
    if isinstance(item, tuple):
        return {"before": item_json(item.before), "after": item_json(item.after)}
    return edge_json(item) if "counts" in type(item).model_fields else item.model_dump(mode="json")  # type: ignore[arg-type]


def arrow(edge: "Edge") -> str:
    """Return an edge as an arrow with its contexts."""
    where = f" in {', '.join(edge.contexts)}" if any(edge.contexts) else ""
    return f"{edge.source} -> {edge.wiser}{where}"


def state(edge: "Edge") -> str:
    """Return whether an edge is kept, and how likely it is."""
    likely = ", its likelihood not told" if edge.likelihood is None else f" at {number(edge.likelihood)}"
    return f"{'kept' if edge.kept else 'not kept'}{likely}"


def number(value: object) -> str:
    """Return a number to three digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def flat(text: object) -> "Text":
    """Return what fits in a line or a table's cell, safe to print: line breaks and tabs become spaces."""
    from multiplex.cli.text import safe
    from multiplex.moral_graph.formats.cards import one_line

    return safe(one_line(str(text)))


def say(text: str) -> None:
    """Print a line on stdout."""
    print(flat(text).plain)


def warn(warnings: Sequence[str]) -> None:
    """Print warnings on stderr."""
    for warning in warnings:
        print(f"warning: {flat(warning).plain}", file=sys.stderr)


def print_rows(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table, or nothing where it has no rows; where no terminal shows it, no line of it is folded."""
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows[:MOST_ROWS]:
        table.add_row(*(flat(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:  # whoever pipes it looks for whole names in it
        console.width = _UNFOLDED
    console.print(table)
    if len(rows) > MOST_ROWS:
        say(f"... and {len(rows) - MOST_ROWS:,} more; --json prints all")
