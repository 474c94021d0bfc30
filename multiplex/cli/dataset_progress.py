"""What is seen while a dataset is built: a bar with the rate, what it has cost, and the time left."""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from multiplex.cli.text import safe
from multiplex.dataset.producing import Made
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.spending import Spending, cost_of
from multiplex.errors import RunError

__all__ = ["BuildProgress"]

_PHASES = {
    "prompts": "reading the prompts",
    "deliberations": "deliberating",
    "rows": "making rows",
    "files": "writing files",
}

_SELDOM = 10.0
"""Seconds between two lines where there is no terminal."""


class BuildProgress:
    """Told on stderr: a bar on a terminal; elsewhere a line a phase, and every ten seconds how far it is.

    Tokens and cost are those of the whole build so far, as its report will tell them: of all its parts, on whatever
    machines, of prompts that were written, and of what failed.
    """

    def __init__(self, *, shown: bool, prices: tuple[float, float] | None, spending: Spending) -> None:
        self._shown = shown
        self._prices = prices
        self._console = Console(file=sys.stderr, highlight=False)
        self._began = self._told = time.monotonic()
        self._total = self._ended = self._failed = 0
        self._spending = spending
        self._spent: Mapping[str, int] = {"calls": 0, "prompt": 0, "completion": 0}
        self._paid_before = 0
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        """Start to draw, if there is a terminal to draw on."""
        self._paid_before = self._total_spent()["calls"]
        if self._shown and self._console.is_terminal:
            self._bar = RichProgress(
                TextColumn("deliberations"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing, and say what it came to."""
        if self._bar is not None:
            self._bar.stop()
        if self._shown and (self._ended or self._total_spent()["calls"] > self._paid_before):
            self._console.print(f"{self._ended:,} deliberations, {self._line()}")

    def note(self, note: str) -> None:
        """Say something that is to be known before it goes on."""
        if self._shown:
            self._console.print(safe(f"note: {note}"))

    def phase(self, phase: str, states: Mapping[str, int]) -> None:
        """Take in that a phase begins."""
        if not self._shown:
            return
        if phase == "deliberations":
            self._total = states["todo"]
            self._began = time.monotonic()
            if self._total and self._bar is not None:
                self._task = self._bar.add_task("", total=self._total, told="")
                self._bar.start()
            done = f" ({states['done']} are there already)" if states["done"] else ""
            self._console.print(safe(f"{_PHASES[phase]}: {self._total:,} prompts{done}"))
        else:
            if self._bar is not None:
                self._bar.stop()
            self._console.print(_PHASES[phase])

    def ended(self, prompt: Prompt, made: Made | None, failure: str | None) -> None:
        """Take in that a deliberation has ended."""
        self._ended += 1
        self._failed += made is None
        if not self._shown:
            return
        if failure is not None and self._failed <= 3:
            self._console.print(safe(f"failed: {prompt.origin}: {failure}", style="red"))
        if self._bar is not None:
            self._bar.update(self._task, advance=1, told=self._line())
        elif time.monotonic() - self._told >= _SELDOM:
            self._told = time.monotonic()
            left = (self._total - self._ended) * (self._told - self._began) / self._ended
            self._console.print(
                f"  {self._ended:,} of {self._total:,}, {self._line()}, about {left / 60:.0f} min left"
            )

    def _total_spent(self) -> Mapping[str, int]:
        """Return what has been spent, and as far as it was known last where that cannot be read now."""
        with suppress(RunError):  # the end of the build tells it
            self._spent = self._spending.total()
        return self._spent

    def _line(self) -> str:
        """Return rate, failures, tokens and cost so far."""
        seconds = max(time.monotonic() - self._began, 1e-6)
        parts = [f"{self._ended / seconds * 60:,.0f} a minute"]
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        spent = self._total_spent()
        if total := spent["prompt"] + spent["completion"]:
            parts.append(f"{total:,} tokens")
        if self._prices is not None:
            parts.append(f"cost {cost_of(spent, self._prices):,.2f}")
        return ", ".join(parts)
