"""What a persona can be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import ClassVar

from pydantic import BaseModel

from multiplex.acts.act import Act, Agent, among
from multiplex.acts.replies import (
    Ballot,
    Choice,
    Position,
    Ranking,
    Rejoinder,
    ValueArticulated,
    Verdict,
)
from multiplex.acts.shown import Turn
from multiplex.content.personas import Persona
from multiplex.content.scenarios import Scenario
from multiplex.content.schwartz import SCHWARTZ_VALUES
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.judgements import Transition

__all__ = [
    "ArticulateValue",
    "ChooseOption",
    "JudgeTransition",
    "Rank",
    "Ratify",
    "Respond",
    "TakePosition",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePosition(Act[Position]):
    """Ask a persona for its position, before it sees anyone else's."""

    name: ClassVar[str] = "take_position"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Position
    persona: Persona

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow options and commitments to those there are."""
        return {
            "Position.stance": _option_keys(self.scenario),
            "Claim.commitment": _commitment_keys(self.persona),
        }

    def check(self, reply: BaseModel) -> None:
        """Check that options and commitments exist."""
        assert isinstance(reply, Position)  # noqa: S101
        _check_stance(reply.stance, self.scenario)
        for claim in reply.claims:
            among(claim.commitment, _commitment_keys(self.persona), "claims: commitment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond(Act[Rejoinder]):
    """Ask a persona to answer the others, from the transcript so far."""

    name: ClassVar[str] = "reply"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Rejoinder
    persona: Persona
    transcript: tuple[Turn, ...]
    round: int

    def others(self) -> list[str]:
        """Return the names of those who have spoken, without the persona itself."""
        return sorted({turn.speaker for turn in self.transcript} - {self.persona.name})

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow options to those there are, and points to those who have spoken."""
        return {"Rejoinder.stance": _option_keys(self.scenario), "Point.to": self.others()}

    def check(self, reply: BaseModel) -> None:
        """Check that options exist and that points are made to someone who spoke."""
        assert isinstance(reply, Rejoinder)  # noqa: S101
        _check_stance(reply.stance, self.scenario)
        for point in (*reply.concedes, *reply.objects):
            among(point.to, self.others(), "a point is made to")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticulateValue(Act[ValueArticulated]):
    """Ask a persona for a values card, before it sees other cards."""

    name: ClassVar[str] = "articulate_value"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = ValueArticulated
    persona: Persona
    transcript: tuple[Turn, ...]
    earlier: tuple[ValuesCard, ...] = ()

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow commitments to the persona's own, and values to Schwartz's."""
        return {
            "ValueArticulated.commitment": _commitment_keys(self.persona),
            "ValueArticulated.schwartz": SCHWARTZ_VALUES,
        }

    def check(self, reply: BaseModel) -> None:
        """Check that the commitment exists and that the card is not one of the earlier ones."""
        assert isinstance(reply, ValueArticulated)  # noqa: S101
        among(reply.commitment, _commitment_keys(self.persona), "commitment")
        if reply.title.casefold() in {card.title.casefold() for card in self.earlier}:
            raise ValueError(f"title: {reply.title!r} is a card that you have already written")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTransition(Act[Verdict]):
    """Ask a persona whether the second card is wiser than the first, before it sees any tally."""

    name: ClassVar[str] = "judge_transition"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Verdict
    persona: Persona
    transition: Transition
    source: ValuesCard
    wiser: ValuesCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratify(Act[Ballot]):
    """Ask a persona how far it endorses a statement."""

    name: ClassVar[str] = "ratify"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Ballot
    persona: Persona
    statement: str
    own: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseOption(Act[Choice]):
    """Ask a persona for one letter: the option that it is for, in the order in which they are shown here.

    Only a model that tells how likely each letter was has anything to add by it to a stated stance.
    """

    name: ClassVar[str] = "choose"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Choice
    persona: Persona
    transcript: tuple[Turn, ...]
    order: tuple[str, ...]
    """The options' keys; the first is shown as A."""

    def letters(self) -> Mapping[str, str]:
        """Return the option behind each letter."""
        return dict(zip(ascii_uppercase, self.order, strict=False))

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow the option to those there are."""
        return {"Choice.option": self.order}

    def check(self, reply: BaseModel) -> None:
        """Check that the option exists."""
        assert isinstance(reply, Choice)  # noqa: S101
        among(reply.option, self.order, "option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank(Act[Ranking]):
    """Ask a persona to order statements, best first; they are shown in an order of its own."""

    name: ClassVar[str] = "rank"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Ranking
    persona: Persona
    statements: tuple[str, ...]
    own: tuple[Turn, ...] = ()

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow the order to the numbers of the statements."""
        return {"Ranking.order": [str(number) for number in range(1, len(self.statements) + 1)]}

    def check(self, reply: BaseModel) -> None:
        """Check that the order names every statement once."""
        assert isinstance(reply, Ranking)  # noqa: S101
        if sorted(reply.order) != list(range(1, len(self.statements) + 1)):
            raise ValueError(f"order: needs to name every number from 1 to {len(self.statements)} once")


def _check_stance(stance: Mapping[str, int], scenario: Scenario) -> None:
    keys = _option_keys(scenario)
    for option in stance:
        among(option, keys, "stance: option")
    if keys and not any(stance.values()):
        raise ValueError("stance: give at least one option a weight above 0")


def _option_keys(scenario: Scenario) -> list[str]:
    return [option.key for option in scenario.options]


def _commitment_keys(persona: Persona) -> list[str]:
    return [commitment.key for commitment in persona.commitments]
