"""What `multiplex run --dry-run` prints: what the runs would take."""

import asyncio
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from multiplex.cli.outcome import print_json
from multiplex.cli.references import called
from multiplex.cli.text import safe
from multiplex.content.panels import Panel
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario
from multiplex.estimate import ASSUMPTIONS, ASSUMPTIONS_OF_ACTS, Estimate, estimate
from multiplex.responders.choose import model_names

__all__ = ["print_estimates", "ranged"]

_COLUMNS = ("acts", "prompt_tokens", "completion_tokens")
_TOTALS = (*_COLUMNS, "calls", "distinct_prompt_tokens")
_REPAIRED = ("calls", "prompt_tokens", "completion_tokens")


def print_estimates(
    references: Sequence[str],
    tables: Sequence[tuple[Scenario, Panel, Protocol]],
    *,
    model: str,
    as_json: bool,
) -> None:
    """Estimate every run, and print the ranges with what they assume; `references` are as they were given."""

    async def all_of_them() -> list[Estimate]:
        return [await estimate(*table, models=model_names(table[0], table[1], model)) for table in tables]

    found = [
        {**each.as_dict(), "reference": reference}
        for reference, each in zip(references, asyncio.run(all_of_them()), strict=True)
    ]
    names = called({each["reference"]: each["scenario"] for each in found})
    asks = any(each["prompt_tokens"][1] for each in found)
    assumptions = ASSUMPTIONS if asks else ASSUMPTIONS_OF_ACTS
    if as_json:
        print_json({"estimates": found, "assumptions": list(assumptions)})
        return
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in _COLUMNS:
        table.add_column(column.replace("_", " "), justify="right", no_wrap=True)
    for each in found:
        if len(found) == 1:
            for stage, figures in each["by_stage"].items():
                table.add_row(stage, *(ranged(figures[column]) for column in _COLUMNS))
        table.add_row(
            safe(names[each["reference"]], style="bold"), *(ranged(each[column]) for column in _COLUMNS)
        )
    total = {key: [sum(each[key][end] for each in found) for end in (0, 1)] for key in _TOTALS}
    if len(found) > 1:
        table.add_row("all", *(ranged(total[column]) for column in _COLUMNS))
    console.print(table)
    if asks:
        left = ranged(total["distinct_prompt_tokens"])
        console.print(f"A prefix cache leaves about {left} prompt tokens to compute.", soft_wrap=True)
        once = {key: total[key][1] - sum(each["repairs"][key] for each in found) for key in _REPAIRED}
        calls, prompt, completion = (f"{once[key]:,}" for key in _REPAIRED)
        console.print(
            f"The acts take {ranged(total['calls'])} calls; where no reply has to be repaired, the most is "
            f"{calls} of them, {prompt} prompt and {completion} completion tokens.",
            soft_wrap=True,
        )
    console.print("Assumed:")
    for line in assumptions:
        console.print(safe(f"- {line}"))


def ranged(ends: Sequence[int]) -> str:
    """Return the least and the most in words, once where they are the same."""
    low, high = ends
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
