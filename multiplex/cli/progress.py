"""What is seen while many deliberations run: one bar over all of them."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from multiplex.cli.text import safe
from multiplex.deliberation.events import ActFinished, Event

__all__ = ["Progress"]


class Progress:
    """Count scenarios and acts on stderr: a bar on a terminal, a line a scenario elsewhere."""

    def __init__(self, scenarios: int) -> None:
        self._console = Console(file=sys.stderr, highlight=False)
        self._scenarios = scenarios
        self._ended = 0
        self._acts = 0
        self._abstained = 0
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        """Start to draw, if there is a terminal to draw on."""
        if self._console.is_terminal:
            self._bar = RichProgress(
                TextColumn("scenarios"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[acts]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=self._scenarios, acts="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        if self._bar is not None:
            self._bar.stop()

    def saw(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, ActFinished):
            self._acts += 1
            self._abstained += event.failure is not None
            if self._bar is not None:
                self._bar.update(self._task, acts=self._count())

    def ended(self, scenario: str, *, failed: bool) -> None:
        """Take in that a scenario has ended."""
        self._ended += 1
        if self._bar is not None:
            self._bar.advance(self._task)
        else:
            how = "failed" if failed else "done"
            self._console.print(
                safe(f"{self._ended}/{self._scenarios} {how}: {scenario} ({self._count()} so far)")
            )

    def _count(self) -> str:
        return f"{self._acts} acts" + (f", {self._abstained} failed" if self._abstained else "")
