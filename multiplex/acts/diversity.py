"""What the diversity agent can be asked: questions on which people who mean well come apart."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.acts.act import Act, Agent
from multiplex.content.personas import Commitment
from multiplex.content.topics import Topic
from multiplex.sentences import folded

__all__ = ["Held", "ProposeQuestions", "ProposedQuestion", "Questions", "Tension"]


def _text(shortest: int, longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=shortest, max_length=longest)


class Held(BaseModel):
    """A commitment and the label of the persona that holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    commitment: Commitment


class Tension(BaseModel):
    """Two commitments of different personas that bear on one matter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    one: Held
    other: Held


class ProposedQuestion(BaseModel):
    """A question, the choice that it puts, and the courses open in it: none, or two and more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Annotated[str, _text(10, 600)]
    choice_context: Annotated[str, _text(3, 300)]
    options: Annotated[tuple[Annotated[str, _text(1, 300)], ...], Field(max_length=6)]


class Questions(BaseModel):
    """The questions that were proposed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    questions: Annotated[tuple[ProposedQuestion, ...], Field(min_length=1, max_length=8)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeQuestions(Act[Questions]):
    """Ask the diversity agent for `count` new questions on a topic.

    The scenario says the topic (`domain`) and the choice context. `tensions` are commitments of the panel
    that bear on it; `asked` are the questions nearest to it that have been asked already.
    """

    name: ClassVar[str] = "propose_questions"
    agent: ClassVar[Agent] = cast("Agent", "diversity")
    reply: ClassVar[type[BaseModel]] = Questions
    topic: Topic
    tensions: tuple[Tension, ...]
    count: int
    asked: tuple[str, ...] = ()

    def check(self, reply: BaseModel) -> None:
        """Check that there are no more questions than were asked for, all different, with a choice or none."""
        assert isinstance(reply, Questions)  # noqa: S101
        if len(reply.questions) > self.count:
            raise ValueError(f"questions: {len(reply.questions)} of them, and {self.count} were asked for")
        seen = {folded(question) for question in self.asked}
        for number, each in enumerate(reply.questions, start=1):
            if not set(each.question) & set("?？؟՞\u037e"):
                raise ValueError(f"questions: {number}: asks nothing; it needs a question mark")
            if folded(each.question) in seen:
                raise ValueError(f"questions: {number}: has been asked already")
            seen.add(folded(each.question))
            if len(each.options) == 1:
                raise ValueError(f"questions: {number}: options: one is no choice; give two or more, or none")
            if len({folded(option) for option in each.options}) < len(each.options):
                raise ValueError(f"questions: {number}: options: one stands twice")
