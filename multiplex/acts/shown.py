"""What agents are shown of one another."""

from pydantic import BaseModel, ConfigDict

from multiplex.acts.replies import Claim, Point

__all__ = [
    "Objection",
    "Turn",
]


class Turn(BaseModel):
    """One persona's contribution as the others see it: round 0 is the opening."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: str
    label: str
    round: int
    statement: str
    claims: tuple[Claim, ...] = ()
    concedes: tuple[Point, ...] = ()
    objects: tuple[Point, ...] = ()
    stance: dict[str, float] | None = None
    """Shares over the options, summing to 1; None where there are no options or no stance."""
    moved: bool = False


class Objection(BaseModel):
    """One persona's objection to a consensus statement, as the moderator sees it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: str
    label: str
    endorsement: int
    text: str
