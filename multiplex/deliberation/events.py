"""What a caller sees while a deliberation runs."""

from dataclasses import dataclass
from typing import Any

__all__ = ["ActFinished", "ActStarted", "Event", "StepFinished"]


@dataclass(frozen=True, slots=True)
class ActStarted:
    """An agent has been asked."""

    stage: str
    act: str
    speaker: str
    round: int


@dataclass(frozen=True, slots=True)
class ActFinished:
    """An agent has answered, or its failure has been recorded."""

    stage: str
    act: str
    speaker: str
    round: int
    reply: dict[str, Any] | None
    failure: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class StepFinished:
    """All agents that a step asked have answered; `asked` and `answered` count acts."""

    stage: str
    step: str
    round: int
    asked: int
    answered: int


Event = ActStarted | ActFinished | StepFinished
