"""Acts: the contract between a deliberation and whoever answers.

An act is one typed request that a stage makes of one agent; it holds everything the agent may see
and nothing else. Its reply is a pydantic model, which is also the JSON schema for constrained
decoding. A responder implements one method, `perform`, and never raises for an answer that failed:
it returns a recorded failure instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.content.personas import Persona
from multiplex.content.scenarios import Scenario
from multiplex.content.schwartz import SCHWARTZ_VALUES, SchwartzValue
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.judgements import Transition

__all__ = [
    "ACTS",
    "Act",
    "AnswerAlone",
    "Answered",
    "ArticulateValue",
    "Ballot",
    "Claim",
    "ClassifyPerspectives",
    "Dissent",
    "Failure",
    "JudgeTransition",
    "MergeCards",
    "Merger",
    "Objection",
    "Performed",
    "Point",
    "Position",
    "Proposal",
    "ProposeTransition",
    "Rank",
    "Ranking",
    "Ratify",
    "Reference",
    "References",
    "Rejoinder",
    "Respond",
    "Responder",
    "Support",
    "Synthesis",
    "Synthesise",
    "TakePosition",
    "Turn",
    "Usage",
    "ValueArticulated",
    "Verdict",
]

Agent = Literal["persona", "moderator", "observer"]


def _text(longest: int, shortest: int = 1) -> Any:
    return StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# --- replies ---------------------------------------------------------------------------------


class Support(_Reply):
    """How far a stance is for one option; weights are relative, and all zero is no stance."""

    option: Annotated[str, _text(60)]
    weight: Annotated[int, Field(ge=0, le=100)]


class Claim(_Reply):
    """One claim of a position, tied to the commitment that it rests on, if it rests on one."""

    text: Annotated[str, _text(800)]
    commitment: Annotated[str, _text(60)] | None


class Position(_Reply):
    """A persona's position: what it says, the claims in it, and its stance on the options."""

    statement: Annotated[str, _text(3000)]
    claims: Annotated[tuple[Claim, ...], Field(min_length=1, max_length=6)]
    stance: Annotated[tuple[Support, ...], Field(max_length=12)]


class Point(_Reply):
    """Something said to another speaker."""

    to: Annotated[str, _text(60)]
    text: Annotated[str, _text(800)]


class Rejoinder(_Reply):
    """A persona's answer to the others: what it concedes, what it objects to, whether it has moved."""

    statement: Annotated[str, _text(3000)]
    concedes: Annotated[tuple[Point, ...], Field(max_length=6)]
    objects: Annotated[tuple[Point, ...], Field(max_length=6)]
    stance: Annotated[tuple[Support, ...], Field(max_length=12)]
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


class Proposal(_Reply):
    """A proposed move from a card to a wiser one, with the story that makes the case."""

    to: Annotated[str, _text(80)]
    about: Annotated[str, _text(600)]
    story: Annotated[str, _text(1500)]


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


class Reference(_Reply):
    """One reference to a perspective: the span that makes it, and how the text speaks of it."""

    perspective: Annotated[str, _text(60)]
    span: Annotated[str, _text(400)]
    sentiment: Literal["positive", "neutral", "negative"]


class References(_Reply):
    """The references to perspectives that a text makes."""

    references: Annotated[tuple[Reference, ...], Field(max_length=80)]


class Answered(_Reply):
    """What one model answers alone."""

    answer: Annotated[str, _text(8000)]


# --- what agents are shown -------------------------------------------------------------------


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


# --- acts ------------------------------------------------------------------------------------

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(Generic[R]):
    """One typed request that a stage makes of one agent."""

    name: ClassVar[str]
    agent: ClassVar[Agent]
    reply: ClassVar[type[BaseModel]]
    scenario: Scenario

    @property
    def speaker(self) -> str:
        """Return who is asked: a persona's name, `moderator` or `observer`."""
        persona: Persona | None = getattr(self, "persona", None)
        return persona.name if persona else self.agent

    @property
    def role(self) -> str:
        """Return the name of the role file that words this act."""
        return self.name

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return, for fields of the reply as `Model.field`, the only values that they may take."""
        return {}

    def check(self, reply: BaseModel) -> None:
        """Raise ValueError where a reply that fits the schema still makes no sense for this act."""

    def schema(self) -> dict[str, Any]:
        """Return the reply's JSON schema, narrowed to the values that this act can mean."""
        schema = self.reply.model_json_schema()
        for place, values in self.choices().items():
            model, name = place.split(".")
            target = schema if schema.get("title") == model else schema.get("$defs", {}).get(model)
            if target is None:
                continue
            if values or target["properties"][name].get("type") != "string":
                _narrow(target["properties"][name], list(values))
            else:
                _forbid(schema, model)
        return schema


def _forbid(schema: dict[str, Any], model: str) -> None:
    """Leave lists of a model empty, where one of its fields has no value that it could take."""
    for part in schema["properties"].values():
        if part.get("items") == {"$ref": f"#/$defs/{model}"}:
            part["maxItems"] = 0


def _narrow(field_schema: dict[str, Any], values: list[str]) -> None:
    """Replace every free string below a field's schema by an enumeration."""
    if field_schema.get("type") == "string":
        if values:
            for key in ("minLength", "maxLength"):
                field_schema.pop(key, None)
            field_schema["enum"] = values
    elif "anyOf" in field_schema:
        branches = [b for b in field_schema["anyOf"] if b.get("type") != "string" or values]
        for branch in branches:
            _narrow(branch, values)
        field_schema["anyOf"] = branches
    elif "items" in field_schema:
        _narrow(field_schema["items"], values)


def _among(value: str | None, known: Sequence[str], what: str) -> None:
    if value is not None and value not in known:
        raise ValueError(f"{what} {value!r} is none of: {', '.join(known) or '(there are none)'}")


def _check_stance(stance: Sequence[Support], scenario: Scenario) -> None:
    keys = [option.key for option in scenario.options]
    for support in stance:
        _among(support.option, keys, "stance: option")
    named = [support.option for support in stance]
    if len(set(named)) != len(named):
        raise ValueError("stance: an option stands twice")
    if keys and not any(support.weight for support in stance):
        raise ValueError("stance: give at least one option a weight above 0")


def _folded(text: str) -> str:
    """Return a text as spans are compared: roles show angle brackets as single guillemets."""
    return " ".join(text.replace("‹", "<").replace("›", ">").split()).casefold()


def _option_keys(scenario: Scenario) -> list[str]:
    return [option.key for option in scenario.options]


def _commitment_keys(persona: Persona) -> list[str]:
    return [commitment.key for commitment in persona.commitments]


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
            "Support.option": _option_keys(self.scenario),
            "Claim.commitment": _commitment_keys(self.persona),
        }

    def check(self, reply: BaseModel) -> None:
        """Check that options and commitments exist."""
        assert isinstance(reply, Position)  # noqa: S101
        _check_stance(reply.stance, self.scenario)
        for claim in reply.claims:
            _among(claim.commitment, _commitment_keys(self.persona), "claims: commitment")


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
        return {"Support.option": _option_keys(self.scenario), "Point.to": self.others()}

    def check(self, reply: BaseModel) -> None:
        """Check that options exist and that points are made to someone who spoke."""
        assert isinstance(reply, Rejoinder)  # noqa: S101
        _check_stance(reply.stance, self.scenario)
        for point in (*reply.concedes, *reply.objects):
            _among(point.to, self.others(), "a point is made to")


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
        _among(reply.commitment, _commitment_keys(self.persona), "commitment")
        if reply.title.casefold() in {card.title.casefold() for card in self.earlier}:
            raise ValueError(f"title: {reply.title!r} is a card that you have already written")


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCards(Act[Merger]):
    """Ask the moderator which cards are one value."""

    name: ClassVar[str] = "merge_cards"
    agent: ClassVar[Agent] = "moderator"
    reply: ClassVar[type[BaseModel]] = Merger
    cards: tuple[ValuesCard, ...]

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow ids to the cards there are."""
        return {"Merger.groups": [card.id for card in self.cards]}

    def check(self, reply: BaseModel) -> None:
        """Check that groups are disjoint and name cards that exist."""
        assert isinstance(reply, Merger)  # noqa: S101
        known = [card.id for card in self.cards]
        named = [card for group in reply.groups for card in group]
        for card in named:
            _among(card, known, "groups: card")
        if len(set(named)) != len(named):
            raise ValueError("groups: a card stands in more than one place")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeTransition(Act[Proposal]):
    """Ask the moderator which card is wiser than a given one, and why."""

    name: ClassVar[str] = "propose_transition"
    agent: ClassVar[Agent] = "moderator"
    reply: ClassVar[type[BaseModel]] = Proposal
    card: ValuesCard
    others: tuple[ValuesCard, ...]

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow the wiser card to the others there are."""
        return {"Proposal.to": [card.id for card in self.others]}

    def check(self, reply: BaseModel) -> None:
        """Check that the wiser card is one of the others."""
        assert isinstance(reply, Proposal)  # noqa: S101
        _among(reply.to, [card.id for card in self.others], "to: card")


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
class Synthesise(Act[Synthesis]):
    """Ask the moderator for the Overton answer and the consensus statement.

    With `previous` and `objections` it is asked to revise the consensus; with `candidate` it knows
    that it writes one of several that the panel will rank.
    """

    name: ClassVar[str] = "synthesise"
    agent: ClassVar[Agent] = "moderator"
    reply: ClassVar[type[BaseModel]] = Synthesis
    panel: tuple[Persona, ...]
    transcript: tuple[Turn, ...]
    candidate: int = 0
    previous: Synthesis | None = None
    objections: tuple[Objection, ...] = ()

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow dissent to the personas on the panel."""
        return {"Dissent.persona": [persona.name for persona in self.panel]}

    def check(self, reply: BaseModel) -> None:
        """Check that dissent is ascribed to personas on the panel."""
        assert isinstance(reply, Synthesis)  # noqa: S101
        for dissent in reply.dissent:
            _among(dissent.persona, [persona.name for persona in self.panel], "dissent: persona")


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
class Rank(Act[Ranking]):
    """Ask a persona to order statements, best first; they are shown in an order of its own."""

    name: ClassVar[str] = "rank"
    agent: ClassVar[Agent] = "persona"
    reply: ClassVar[type[BaseModel]] = Ranking
    persona: Persona
    statements: tuple[str, ...]
    own: tuple[Turn, ...] = ()

    def check(self, reply: BaseModel) -> None:
        """Check that the order names every statement once."""
        assert isinstance(reply, Ranking)  # noqa: S101
        if sorted(reply.order) != list(range(1, len(self.statements) + 1)):
            raise ValueError(f"order: needs to name every number from 1 to {len(self.statements)} once")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyPerspectives(Act[References]):
    """Ask the observer which perspectives a text references, each with its span and sentiment."""

    name: ClassVar[str] = "classify_perspectives"
    agent: ClassVar[Agent] = "observer"
    reply: ClassVar[type[BaseModel]] = References
    text: str
    perspectives: tuple[str, ...]

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow perspectives to the fixed list."""
        return {"Reference.perspective": self.perspectives}

    def check(self, reply: BaseModel) -> None:
        """Check that perspectives are on the list and that spans stand in the text."""
        assert isinstance(reply, References)  # noqa: S101
        folded = _folded(self.text)
        for reference in reply.references:
            _among(reference.perspective, self.perspectives, "references: perspective")
            if _folded(reference.span) not in folded:
                raise ValueError(f"references: the span {reference.span!r} does not stand in the text")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAlone(Act[Answered]):
    """Ask one model to answer without a panel: plainly, or told to be multiplex."""

    name: ClassVar[str] = "answer"
    agent: ClassVar[Agent] = "moderator"
    reply: ClassVar[type[BaseModel]] = Answered
    told: Literal["plain", "multiplex"] = "plain"

    @property
    def role(self) -> str:
        """Return the role file: one for each way of telling the model."""
        return f"answer_{self.told}"


ACTS: dict[str, type[Act[Any]]] = {
    act.name: act
    for act in (
        TakePosition,
        Respond,
        ArticulateValue,
        MergeCards,
        ProposeTransition,
        JudgeTransition,
        Synthesise,
        Ratify,
        Rank,
        ClassifyPerspectives,
        AnswerAlone,
    )
}
"""Every act by name."""


# --- performing ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an act has no reply; recorded, and never read by another agent."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an act took: model calls, tokens, and seconds."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Performed(Generic[R]):
    """An act answered, or its recorded failure: exactly one of `reply` and `failure` is set."""

    reply: R | None = None
    failure: Failure | None = None
    raw: tuple[str, ...] = ()
    """What the model said, attempt by attempt."""
    reasoning: tuple[str, ...] = ()
    prompt_sha256: str | None = None
    usage: Usage = field(default_factory=Usage)


class Responder(Protocol):
    """Whoever answers acts: a language model, the extractive responder, a script, a human."""

    @property
    def name(self) -> str:
        """What the record calls this responder, as in `extractive` or `openai:qwen3`."""
        ...

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        """Answer one act. A failure is returned, not raised."""
        ...
