"""What the observer can be asked of a sentence and of a text, and how it is asked for weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.acts.act import Act, Agent, among
from multiplex.acts.moderator import ClassifyPerspectives
from multiplex.acts.performing import Failure, Responder
from multiplex.acts.replies import Choice, Reference
from multiplex.content.scenarios import Scenario
from multiplex.sentences import folded

__all__ = ["ClassifySentence", "ExtractValues", "Observer", "ShownValue", "ShownValues"]

_ALONE = Scenario(name="text", question="What does the text below speak from, and what does it value?")
"""What a text is read against that comes from no deliberation."""


def _text(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest)


class ShownValue(BaseModel):
    """One value that a text shows: a name of a few words, and the span that shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Annotated[str, _text(80)]
    span: Annotated[str, _text(400)]


class ShownValues(BaseModel):
    """The values that a text shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: Annotated[tuple[ShownValue, ...], Field(max_length=60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifySentence(Act[Choice]):
    """Ask the observer for one letter: the perspective that a sentence speaks from, or "none"."""

    name: ClassVar[str] = "classify_sentence"
    agent: ClassVar[Agent] = "observer"
    reply: ClassVar[type[BaseModel]] = Choice
    text: str
    order: tuple[str, ...]
    """The perspectives and "none"; the first is shown as A."""

    def letters(self) -> Mapping[str, str]:
        """Return the perspective behind each letter.

        Raises ValueError where there are more of them than letters.
        """
        if len(self.order) > len(ascii_uppercase):
            raise ValueError(
                f"a letter each: at most {len(ascii_uppercase) - 1} perspectives, not {len(self.order) - 1}"
            )
        return dict(zip(ascii_uppercase, self.order, strict=False))

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Narrow the option to what there is."""
        return {"Choice.option": self.order}

    def check(self, reply: BaseModel) -> None:
        """Check that the option exists."""
        assert isinstance(reply, Choice)  # noqa: S101
        among(reply.option, self.order, "option")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractValues(Act[ShownValues]):
    """Ask the observer which values a text shows, each with the words that show it."""

    name: ClassVar[str] = "extract_values"
    agent: ClassVar[Agent] = "observer"
    reply: ClassVar[type[BaseModel]] = ShownValues
    text: str

    def check(self, reply: BaseModel) -> None:
        """Check that the spans stand in the text."""
        assert isinstance(reply, ShownValues)  # noqa: S101
        whole = folded(self.text)
        for each in reply.values:
            if folded(each.span) not in whole:
                raise ValueError(f"values: the span {each.span!r} does not stand in the text")


class Observer:
    """Asks a responder about texts; a failure comes back as its reason, and is no answer."""

    def __init__(self, responder: Responder, *, scenario: Scenario = _ALONE) -> None:
        self._responder, self._scenario = responder, scenario

    async def weigh(self, sentence: str, order: tuple[str, ...], seed: int) -> Mapping[str, float] | str:
        """Return how likely each option of `order` is for a sentence, or why nobody knows.

        Where the model tells how likely its letters were, weights are those probabilities, and what it
        did not report weighs 0: no sampling is in them, as at temperature 0. Else the letter that it
        gave has all the weight.
        """
        act = ClassifySentence(scenario=self._scenario, text=sentence, order=order)
        performed = await self._responder.perform(act, seed=seed)
        if performed.reply is None:
            return _reason(performed.failure)
        weights = {name: math.exp(value) for name, value in (performed.logprobs or {}).items()}
        return weights if sum(weights.values()) > 0 else {performed.reply.option: 1.0}

    async def references(
        self, text: str, perspectives: tuple[str, ...], seed: int
    ) -> tuple[Reference, ...] | str:
        """Return which perspectives a text references and how it speaks of them, or why nobody knows."""
        act = ClassifyPerspectives(scenario=self._scenario, text=text, perspectives=perspectives)
        performed = await self._responder.perform(act, seed=seed)
        return _reason(performed.failure) if performed.reply is None else performed.reply.references

    async def values(self, text: str, seed: int) -> tuple[ShownValue, ...] | str:
        """Return the values that a text shows, or why nobody knows."""
        act = ExtractValues(scenario=self._scenario, text=text)
        performed = await self._responder.perform(act, seed=seed)
        return _reason(performed.failure) if performed.reply is None else performed.reply.values


def _reason(failure: Failure | None) -> str:
    return failure.reason if failure else "there was no reply"
