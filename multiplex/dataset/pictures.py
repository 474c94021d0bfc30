"""Pictures of a dataset, drawn from its statistics: rows by perspective, margins by rule, lengths."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiplex.dataset.manifest import write_whole
from multiplex.dataset.statistics import BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#a6761d", "#666666")
_MOST_BARS = 30


def draw(folder: Path, statistics: Mapping[str, Any]) -> list[str]:
    """Draw what there is to draw as SVGs in `pictures/`, and return their paths below the folder.

    `perspectives.svg`, `margins.svg` and `lengths.svg`; one that would be empty is not drawn. The same
    statistics give the same bytes (for one version of matplotlib): no date, no random names.

    Raises:
        RunError: a picture cannot be written.
    """
    drawn = []
    for name, rows, plot in (
        ("perspectives", _perspectives(statistics), _bars),
        ("margins", _margins(statistics), _steps),
        ("lengths", _lengths(statistics), _bars),
    ):
        if rows:
            write_whole(folder / "pictures" / f"{name}.svg", _svg(plot, rows, name))
            drawn.append(f"pictures/{name}.svg")
    return drawn


def _perspectives(statistics: Mapping[str, Any]) -> dict[str, list[tuple[str, float]]]:
    return {
        config: [((each["name"] or "none").replace("_", " "), each["rows"]) for each in found]
        for config, found in statistics["balance"]["perspective"].items()
        if any(each["name"] is not None for each in found)
    }


def _margins(statistics: Mapping[str, Any]) -> dict[str, list[tuple[str, float]]]:
    return {
        rule.replace("_", " "): [(f"{number / BINS:g}", count) for number, count in enumerate(bins)]
        for rule, bins in statistics["margins"].get("dpo", {}).items()
    }


def _lengths(statistics: Mapping[str, Any]) -> dict[str, list[tuple[str, float]]]:
    return {
        f"{config}: {column}": [("mean words", length["words"]["mean"])]
        for config, columns in statistics["completions"].items()
        for column, length in columns.items()
    }


_LABELS = {"perspectives": "rows", "margins": "pairs", "lengths": "mean words of an answer"}


def _bars(axes: "Axes", series: Mapping[str, Sequence[tuple[str, float]]]) -> None:
    totals: dict[str, float] = {}
    for found in series.values():
        for name, value in found:
            totals[name] = totals.get(name, 0) + value
    if len(totals) == 1:
        names = list(series)
        axes.barh(range(len(names)), [found[0][1] for found in series.values()], color=_COLOURS[0])
    else:
        names = sorted(totals, key=lambda name: (-totals[name], name))[:_MOST_BARS]
        before = [0.0] * len(names)
        for number, (config, found) in enumerate(series.items()):
            here = dict(found)
            widths = [here.get(name, 0) for name in names]
            axes.barh(
                range(len(names)), widths, left=before, label=config, color=_COLOURS[number % len(_COLOURS)]
            )
            before = [a + b for a, b in zip(before, widths, strict=True)]
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.invert_yaxis()


def _steps(axes: "Axes", series: Mapping[str, Sequence[tuple[str, float]]]) -> None:
    edges = [number / BINS for number in range(BINS + 1)]
    for number, (rule, found) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        axes.stairs([count for _, count in found], edges, label=_short(rule), color=colour, linewidth=1.5)
    axes.set_xlabel("margin")
    axes.set_xlim(0, 1)


def _svg(plot: Any, rows: Mapping[str, Sequence[tuple[str, float]]], name: str) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # A figure of its own and no pyplot: the caller's backend and settings stay what they are.
    with mpl.rc_context(mpl.rcParamsDefault), mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        lines = max(len(found) for found in rows.values()) if len(rows) else 1
        figure = Figure(figsize=(7, min(2.0 + 0.25 * max(lines, len(rows)), 10)), layout="constrained")
        axes = figure.subplots()
        plot(axes, rows)
        axes.set_ylabel(_LABELS[name]) if plot is _steps else axes.set_xlabel(_LABELS[name])
        axes.spines[["top", "right"]].set_visible(False)
        legend = axes.legend(frameon=False, fontsize="small") if axes.get_legend_handles_labels()[1] else None
        # A dollar sign in somebody's label is no formula.
        for text in [*axes.get_yticklabels(), *(legend.get_texts() if legend else [])]:
            text.set_parse_math(False)
        told = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # the reader's own font draws the text
            figure.savefig(told, format="svg", metadata={"Date": None})
        return told.getvalue()


def _short(name: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= 40 else f"{line[:39]}…"
