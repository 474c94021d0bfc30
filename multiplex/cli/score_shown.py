"""What `multiplex score` prints: every score on a line, with its interval, or why it has no value."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from multiplex.cli.text import safe

__all__ = ["print_scores", "scores_in"]

_NUMBERS = 33
"""How wide a value and its interval are, with the space around them."""

_NOTE = 24
"""How wide a note needs to be, so that it is read and not spelt."""


def print_scores(found: Mapping[str, Any]) -> None:
    """Print scores as a table: the number, its interval where there is one, or why there is none."""
    console = Console(highlight=False)
    if found["kind"] == "runs":
        for name, scores in found["runs"].items():
            rows = [(place, each) for place, each in scores_in(scores) if "steered." not in place]
            other = found.get("other_packs", {}).get(name)
            _table(console, f"{name}, against {other} and not its own pack" if other else name, rows)
            if caution := (scores.get("steerability") or {}).get("caution"):
                console.print(safe(f"steerability: {caution}", style="dim"))
        if "over_runs_reason" in found:
            console.print(safe(f"not taken together: {found['over_runs_reason']}", style="dim"))
        if "over_runs" in found:
            rows = [(place, _estimate(each)) for place, each in found["over_runs"].items()]
            _table(console, f"over {len(found['runs'])} runs", rows)
        return
    for name, each in found["classifiers"].items():
        rows = []
        for where, entropy in each.get("perspective_entropy", {}).items():
            rows.append((where, entropy))
            rows.append((f"{where}, corrected", entropy.get("corrected") or {}))
        for how, entropy in each.get("over_texts", {}).items():
            rows.append((f"all texts, {how}", entropy))
        if "sentiment" in each:
            rows.append(("sentiment", each["sentiment"]))
        _table(console, f"perspectives by the classifier {name}, against {found['pack']}", rows)
        if "failed" in each:
            lost = each["failed"]
            console.print(
                safe(f"{lost['sentences']} of {lost['of']} sentences were not labelled: {lost['reason']}")
            )
    if "agreement" in found:
        _table(console, "agreement between classifiers", scores_in({"agreement": found["agreement"]}))


def scores_in(scores: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return every score below plain data with its place; those of single personas are left out."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in scores.items():
        if isinstance(value, Mapping):
            if "value" in value and "reason" in value:
                found.append((key, value))
            if key not in {"personas", "control"}:
                found += [(f"{key}.{place}", each) for place, each in scores_in(value)]
    return found


def _estimate(each: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**each["score"], "interval": {key: each[key] for key in ("low", "high", "reason")}}


def _table(console: Console, title: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    widest = max((len(safe(place)) for place, _ in rows), default=0)
    # Names are never cut: where a note has no room beside them, it stands below its own.
    beside = console.width - widest - _NUMBERS >= _NOTE
    table = Table(title=safe(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("score", overflow="fold", min_width=widest if beside else None)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    if beside:
        table.add_column("")
    for place, each in rows:
        value, interval = each.get("value"), each.get("interval") or {}
        low, high = interval.get("low"), interval.get("high")
        told = f"{low:.3f} to {high:.3f}" if low is not None and high is not None else ""
        floor = each.get("noise_floor") or {}
        note = each.get("reason") or (
            f"a text of one perspective gets {floor['raw']:.2f}" if floor.get("raw") is not None else ""
        )
        shown = "undefined" if value is None else f"{value:.3f}"
        if beside:
            table.add_row(safe(place), shown, told, safe(note))
        else:
            table.add_row(safe(f"{place}\n  {note}" if note else place), shown, told)
    console.print(table)
