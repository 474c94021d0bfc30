"""What the moderator and the observer can be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel

from multiplex.acts.act import Act, Agent, among
from multiplex.acts.replies import Answered, Merger, Proposal, References, Synthesis
from multiplex.acts.shown import Objection, Turn
from multiplex.content.personas import Persona
from multiplex.moral_graph.cards import ValuesCard
from multiplex.sentences import folded

__all__ = [
    "AnswerAlone",
    "ClassifyPerspectives",
    "MergeCards",
    "ProposeTransition",
    "Synthesise",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCards(Act[Merger]):
    """Ask the moderator which cards are one value.

    `clusters` are the ids of cards that were found near to one another, each card in one: candidates for one
    value, to be confirmed, split or rejected. Without any, all cards are candidates for one value with all.
    """

    name: ClassVar[str] = "merge_cards"
    agent: ClassVar[Agent] = "moderator"
    reply: ClassVar[type[BaseModel]] = Merger
    cards: tuple[ValuesCard, ...]
    clusters: tuple[tuple[str, ...], ...] = ()

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow ids to the cards there are."""
        return {"Merger.groups": [card.id for card in self.cards]}

    def check(self, reply: BaseModel) -> None:
        """Check that groups are disjoint, name cards that exist, and lie each within a cluster if there are any."""
        assert isinstance(reply, Merger)  # noqa: S101
        known = [card.id for card in self.cards]
        named = [card for group in reply.groups for card in group]
        for card in named:
            among(card, known, "groups: card")
        if len(set(named)) != len(named):
            raise ValueError("groups: a card stands in more than one place")
        home = {card: place for place, cluster in enumerate(self.clusters) for card in cluster}
        for group in reply.groups:
            if len({home.get(card) for card in group}) > 1:
                raise ValueError(
                    f"groups: {', '.join(group)} are not of one line, and only those of one line can merge"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeTransition(Act[Proposal]):
    """Ask the moderator which card is wiser than a given one, why, and what becomes of each of its policies.

    `others` are those that it may name. `shown` are all cards that it sees, in one order: where they are the
    same for every card, a prefix cache computes them once; else these and its own are.
    """

    name: ClassVar[str] = "propose_transition"
    agent: ClassVar[Agent] = "moderator"
    reply: ClassVar[type[BaseModel]] = Proposal
    card: ValuesCard
    others: tuple[ValuesCard, ...]
    shown: tuple[ValuesCard, ...] = ()

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow the wiser card to the others there are, and the mapping to all policies of this one."""
        return {"Proposal.to": [card.id for card in self.others], "Proposal.mapping": self._numbers()}

    def check(self, reply: BaseModel) -> None:
        """Check that the wiser card is one of the others, and that no policy is left out or made up."""
        assert isinstance(reply, Proposal)  # noqa: S101
        among(reply.to, [card.id for card in self.others], "to: card")
        for number in reply.mapping:
            among(number, self._numbers(), "mapping: policy")
        if left_out := [number for number in self._numbers() if number not in reply.mapping]:
            raise ValueError(f"mapping: leaves out policy {', '.join(left_out)} of the card {self.card.id}")

    def _numbers(self) -> list[str]:
        return [str(number) for number in range(1, len(self.card.policies) + 1)]


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
            among(dissent.persona, [persona.name for persona in self.panel], "dissent: persona")


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
        whole = folded(self.text)
        for reference in reply.references:
            among(reference.perspective, self.perspectives, "references: perspective")
            if folded(reference.span) not in whole:
                raise ValueError(f"references: the span {reference.span!r} does not stand in the text")
