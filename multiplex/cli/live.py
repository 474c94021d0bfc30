"""What is seen while a deliberation runs: the stages, and what each persona is doing."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from multiplex.cli.text import safe
from multiplex.content.panels import Panel
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.events import ActFinished, ActStarted, Event

__all__ = ["Live"]

_MARKS = {"waiting": "·", "asked": "…", "answered": "✓", "failed": "✗"}
_STYLES = {"waiting": "dim", "asked": "yellow", "answered": "green", "failed": "red"}


class Live:
    """Show events on stderr: a table that is redrawn on a terminal, a line a stage elsewhere."""

    def __init__(self, scenario: Scenario, panel: Panel, protocol: Protocol, *, shown: bool) -> None:
        self._console = Console(file=sys.stderr, highlight=False)
        self._title = scenario.question
        self._stages = [stage.name for stage in protocol.stages]
        self._labels = {persona.name: persona.label for persona in panel.personas}
        self._labels["moderator"] = "Moderator"
        if "observe" in self._stages:
            self._labels["observer"] = "Observer"
        self._marks: dict[tuple[str, str], str] = {}
        self._said: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()
        self._stage = ""
        self._shown = shown
        self._live: RichLive | None = None

    def __enter__(self) -> Self:
        """Start to draw, if there is a terminal to draw on."""
        if self._shown and self._console.is_terminal:
            self._live = RichLive(self._table(), console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        elif self._shown:
            self._console.print(safe(self._title))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        if self._live is not None:
            self._live.stop()

    def saw(self, event: Event) -> None:
        """Take in one event."""
        if not self._shown:
            return
        if isinstance(event, ActStarted):
            self._marks[event.speaker, event.stage] = "asked"
            if self._live is None and event.stage != self._stage:
                self._console.print(f"  {event.stage}")
            self._stage = event.stage
        elif isinstance(event, ActFinished):
            self._marks[event.speaker, event.stage] = "failed" if event.failure else "answered"
            self._said[event.speaker] = event.failure or _gist(event)
            if event.failure and self._live is None and (event.stage, event.failure) not in self._told:
                self._told.add(
                    (event.stage, event.failure)
                )  # an endpoint that is gone says the same to everyone
                self._console.print(safe(f"    {self._labels[event.speaker]}: {event.failure}", style="red"))
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("", no_wrap=True)
        for stage in self._stages:
            table.add_column(stage, justify="center", no_wrap=True)
        table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
        for name, label in self._labels.items():
            marks = [self._marks.get((name, stage), "waiting") for stage in self._stages]
            cells = [Text(_MARKS[mark], style=_STYLES[mark]) for mark in marks]
            table.add_row(safe(label), *cells, safe(self._said.get(name, ""), style="dim"))
        return Group(safe(self._title, style="bold"), table)


def _gist(event: ActFinished) -> str:
    reply = event.reply or {}
    for key in ("statement", "title", "reason", "story", "consensus", "answer"):
        if reply.get(key):
            return " ".join(str(reply[key]).split())[:160]
    if "endorsement" in reply:
        return f"endorses {reply['endorsement']} of 7"
    return ""
