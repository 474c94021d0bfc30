"""What the graph holds: plain data only, so that it can be checkpointed."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from multiplex.acts import Responder, Turn
from multiplex.content.panels import Panel
from multiplex.content.personas import Persona
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.checkpoints import Acts
from multiplex.embedding import Vectors

__all__ = ["Context", "Plain", "State", "Task", "Update", "results_of", "turns_of"]

Plain = dict[str, Any]
"""A JSON object."""


class Task(TypedDict):
    """One act that a step asks for: of whom, in which round, and about what."""

    speaker: str
    round: int
    about: str


class _Channels(TypedDict, total=False):
    results: Annotated[list[Plain], operator.add]
    """The record: every act that was asked, in the order in which it was asked, with its reply or failure."""
    turns: Annotated[list[Plain], operator.add]
    """The transcript, as agents see it."""
    cards: Annotated[list[Plain], operator.add]
    """Values cards as they were written, before any merging."""
    groups: list[list[str]]
    """Ids of written cards that may be one value, by cluster; as many clusters to a request as it shows comfortably."""
    values: list[Plain]
    """Values cards after merging."""
    aliases: dict[str, str]
    """Every written card's id, and that of the card it became."""
    shortlists: dict[str, list[str]]
    """For a merged card's id, those of the cards that may be wiser, the best first; without one all others may."""
    transitions: list[Plain]
    drafts: list[Plain]
    """The consensus statements the moderator wrote: candidates first, then revisions."""
    chosen: int
    """The index of the draft that stands."""
    ballots: Annotated[list[Plain], operator.add]
    ranking: Plain
    """How the panel ranked the candidates."""
    answer: str
    references: list[Plain]


class State(_Channels, total=False):
    """The graph's state."""


class Update(_Channels, total=False):
    """What a node changes; every node returns one, so that a misspelt key is a type error."""


@dataclass(frozen=True, slots=True)
class Context:
    """What stays the same during a run."""

    scenario: Scenario
    panel: Panel
    seed: int
    responders: Mapping[str, Responder]
    """By persona name, `moderator` and `observer`."""
    embed: Callable[[Sequence[str]], Vectors] | None = None
    """Unit vectors of texts, one row a text; None where nothing is embedded."""
    acts: Acts | None = None
    """What is kept of acts while the run is in progress; None where nothing is kept."""

    def persona(self, name: str) -> Persona:
        """Return the seated persona of that name."""
        return self.panel.persona(name)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Return the names of the seated personas, in order."""
        return tuple(persona.name for persona in self.panel.personas)


def results_of(state: Mapping[str, Any], step: str, round: int | None = None) -> list[Plain]:
    """Return a step's results (of one round, if given), in the order in which they were asked."""
    return [
        result
        for result in state.get("results", [])
        if result["step"] == step and (round is None or result["round"] == round)
    ]


def turns_of(state: Mapping[str, Any], speaker: str | None = None) -> tuple[Turn, ...]:
    """Return the transcript, or one speaker's part in it."""
    told = (turn for turn in state.get("turns", []) if speaker is None or turn["speaker"] == speaker)
    return tuple(Turn.model_validate(turn) for turn in told)
