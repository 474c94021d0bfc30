"""A step: some acts asked at once, and what is made of the replies. A stage is one or more of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiplex.acts import Act
from multiplex.content.personas import Persona
from multiplex.deliberation.state import Context, Plain, State, Task, Update, results_of
from multiplex.seeds import derive_seed

__all__ = [
    "Step",
    "ask_panel",
    "heard",
    "last_round",
    "order_shown",
    "ranks_of",
    "replies",
    "shares",
    "with_position",
]


@dataclass(frozen=True, slots=True)
class Step:
    """How one step is wired.

    `tasks` says whom to ask, from the whole state; `act` builds one act from the channels named in
    `reads`; `settle` turns the replies into state; `again` names the step to go to instead of the
    next one, or None to go on; `back` lists the steps that it may name.
    """

    stage: str
    name: str
    tasks: Callable[[State, Context], list[Task]]
    act: Callable[[Task, State, Context], Act[Any]]
    settle: Callable[[State, Context, int], Update]
    reads: tuple[str, ...] = ()
    again: Callable[[State, Context], str | None] = lambda state, context: None
    back: tuple[str, ...] = ()
    optional: bool = False
    """Whether the deliberation goes on although too few have answered."""
    embeds: bool = False
    """Whether `settle` embeds texts, and so is done in the background."""

    @property
    def label(self) -> str:
        """Return the step's name in the graph and the record, as in `compare.judge`."""
        return f"{self.stage}.{self.name}"


def with_position(state: State, context: Context) -> list[str]:
    """Return whom to ask, in the panel's order: once the panel has opened, those who have an opening.

    Whoever has none would take its position after it has heard the others.
    """
    if not results_of(state, "open.position"):
        return list(context.speakers)
    opened = {turn["speaker"] for turn in state.get("turns", []) if turn["round"] == 0}
    return [name for name in context.speakers if name in opened]


def heard(state: State, context: Context) -> tuple[Persona, ...]:
    """Return the personas whose opening stands in the transcript, in the panel's order."""
    opened = {turn["speaker"] for turn in state.get("turns", []) if turn["round"] == 0}
    return tuple(persona for persona in context.panel.personas if persona.name in opened)


def ask_panel(state: State, context: Context, round: int, about: str = "") -> list[Task]:
    """Return a task for every persona on the panel that may be asked."""
    return [Task(speaker=name, round=round, about=about) for name in with_position(state, context)]


def last_round(state: State, step: str) -> int:
    """Return the last round that a step has been asked in, 0 if none."""
    return max((result["round"] for result in results_of(state, step)), default=0)


def replies(state: State, step: str, round: int) -> list[tuple[Plain, Plain]]:
    """Return (result, reply) for the acts of a round that were answered, in the order asked."""
    return [(r, r["reply"]) for r in results_of(state, step, round) if r["reply"] is not None]


def order_shown(count: int, speaker: str, seed: int) -> list[int]:
    """Return the order in which a persona is shown statements: against order bias, one of its own."""
    return sorted(range(count), key=lambda i: derive_seed(seed, "show", speaker, i))


def ranks_of(order: Sequence[int], speaker: str, seed: int) -> tuple[int, ...]:
    """Return a rank from 0 for each statement, from the numbers, best first, of statements as they were shown."""
    shown = order_shown(len(order), speaker, seed)
    places = {shown[number - 1]: place for place, number in enumerate(order)}
    return tuple(places[i] for i in range(len(order)))


def shares(stance: Mapping[str, int]) -> dict[str, float] | None:
    """Return a stance's weights as shares that sum to 1; None where it has no weight."""
    total = sum(stance.values())
    if not total:
        return None
    return {option: weight / total for option, weight in stance.items()}
