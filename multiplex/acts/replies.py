"""What agents answer: one pydantic model a kind of reply, which is also its JSON schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from multiplex.content.schwartz import SchwartzValue
from multiplex.moral_graph.judgements import How

__all__ = [
    "Answered",
    "Ballot",
    "Choice",
    "Claim",
    "Dissent",
    "Merger",
    "Point",
    "Position",
    "Proposal",
    "Ranking",
    "Reference",
    "References",
    "Rejoinder",
    "Synthesis",
    "TakenUp",
    "ValueArticulated",
    "Verdict",
]


def _text(longest: int, shortest: int = 1) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)


Stance = Annotated[dict[Annotated[str, _text(60)], Annotated[int, Field(ge=0, le=100)]], Field(max_length=12)]
"""How far one is for each option, by its key; weights are relative, and all zero is no stance."""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Claim(_Reply):
    """One claim of a position, tied to the commitment that it rests on, if it rests on one."""

    text: Annotated[str, _text(800)]
    commitment: Annotated[str, _text(60)] | None


class Position(_Reply):
    """A persona's position: what it says, the claims in it, and its stance on the options."""

    statement: Annotated[str, _text(3000)]
    claims: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=6)]
    stance: Stance


class Point(_Reply):
    """Something said to another speaker."""

    to: Annotated[str, _text(60)]
    text: Annotated[str, _text(800)]


class Rejoinder(_Reply):
    """A persona's answer to the others: what it concedes, what it objects to, whether it has moved."""

    statement: Annotated[str, _text(3000)]
    concedes: Annotated[tuple[Point, ...], Field(max_length=6)]
    objects: Annotated[tuple[Point, ...], Field(max_length=6)]
    stance: Stance
    moved: bool


class ValueArticulated(_Reply):
    """A values card: a value in a choice context, as policies of attention."""

    title: Annotated[str, _text(80)]
    description: Annotated[str, _text(800)]
    policies: Annotated[tuple[Annotated[str, _text(300)], ...], Field(min_length=3, max_length=7)]
    schwartz: Annotated[tuple[SchwartzValue, ...], Field(min_length=1, max_length=4)]
    commitment: Annotated[str, _text(60)] | None


class Merger(_Reply):
    """Which cards are one value: groups of two or more card ids."""

    groups: Annotated[
        tuple[Annotated[tuple[Annotated[str, _text(80)], ...], Field(min_length=2, max_length=60)], ...],
        Field(max_length=60),
    ]


class TakenUp(_Reply):
    """How a wiser card takes up one policy of the card before it."""

    how: How
    rationale: Annotated[str, _text(400)]


class Proposal(_Reply):
    """A proposed move from a card to a wiser one, with the story that makes the case.

    `mapping` says of every policy of the first card, by its number from "1", how the wiser card takes it up.
    """

    to: Annotated[str, _text(80)]
    about: Annotated[str, _text(600)]
    story: Annotated[str, _text(1500)]
    mapping: Annotated[dict[Annotated[str, _text(2)], TakenUp], Field(min_length=1, max_length=7)]


class Verdict(_Reply):
    """One persona's verdict on a transition."""

    verdict: Literal["wiser", "not_wiser", "unsure"]
    reason: Annotated[str, _text(800)]


class Dissent(_Reply):
    """What one persona does not sign, in its own terms."""

    persona: Annotated[str, _text(60)]
    text: Annotated[str, _text(800)]


class Synthesis(_Reply):
    """The Overton answer and the consensus statement, and what lies on either side of them."""

    overton: Annotated[str, _text(12000)]
    consensus: Annotated[str, _text(4000)]
    agreements: Annotated[tuple[Annotated[str, _text(800)], ...], Field(max_length=12)]
    disagreements: Annotated[tuple[Annotated[str, _text(800)], ...], Field(max_length=12)]
    dissent: Annotated[tuple[Dissent, ...], Field(max_length=40)]


class Ballot(_Reply):
    """An endorsement from 1 (cannot live with it) to 7 (could have written it), and the objection, if any."""

    endorsement: Annotated[int, Field(ge=1, le=7)]
    objection: Annotated[str, _text(800)] | None


class Ranking(_Reply):
    """The numbers of the statements, best first; every one of them once."""

    order: Annotated[tuple[Annotated[int, Field(ge=1, le=16)], ...], Field(min_length=1, max_length=16)]


class Choice(_Reply):
    """The one option that is chosen, where there is no room for reasons."""

    option: Annotated[str, _text(60)]


class Reference(_Reply):
    """One reference to a perspective: the span that makes it, and how the text speaks of it.

    The sentiment is None where who observes cannot tell, as without a language model; no model is offered that.
    """

    perspective: Annotated[str, _text(60)]
    span: Annotated[str, _text(400)]
    sentiment: Literal["positive", "neutral", "negative"] | SkipJsonSchema[None]


class References(_Reply):
    """The references to perspectives that a text makes."""

    references: Annotated[tuple[Reference, ...], Field(max_length=80)]


class Answered(_Reply):
    """What one model answers alone."""

    answer: Annotated[str, _text(8000)]
