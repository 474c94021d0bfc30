"""A responder that asks a language model: role file, JSON schema, one repair, then an abstention.

Prompt layout: the rules come first (system), then the scenario, byte-identical for every agent, so that
a prefix cache computes them once; the task comes last. In between stand the transcript, which only grows
at its end, and the persona's card, the same in every act. Which of them comes first is a matter of
length. With N speakers, a round computes N cards and N new turns if the transcript, which all share,
stands first; it computes N times N new turns if the card does. So the card stands last, unless it is
longer than what the others say in a round. Where there is no transcript, prompts begin as the opening's.
One model alone sees the same scenario, and no rules.
"""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from multiplex.acts import Act, Choice, Failure, Performed, ProposeTransition, Turn, Usage
from multiplex.background import in_background
from multiplex.content.files import explain
from multiplex.content.personas import Persona
from multiplex.content.roles import Role, load_roles
from multiplex.content.scenarios import Scenario
from multiplex.errors import ModelError
from multiplex.models.base import Completion, EmptyError, Message, Model, Sampling
from multiplex.models.endpoint import short
from multiplex.responders.relevance import Relevance
from multiplex.seeds import derive_seed

__all__ = ["MOST_COMMITMENTS", "LanguageModelResponder"]

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")

MOST_COMMITMENTS = 12
"""How many commitments a card shows at most."""


class LanguageModelResponder:
    """Answer acts with a language model.

    A reply that does not fit is asked for once more; what still does not fit, and every failed
    call, becomes a recorded failure. It never becomes text that another agent reads. Only a model that
    has died, as an engine in this process may, raises its `ModelError` and so ends the run.
    """

    weighs = True

    def __init__(
        self,
        model: Model,
        *,
        relevance: Relevance | None = None,
        roles: Mapping[tuple[str, str], Role] | None = None,
        temperature: float | None = None,
    ) -> None:
        self._model = model
        self._relevance = relevance
        self._roles = dict(roles) if roles is not None else load_roles()
        self._temperature = temperature
        self._rules = self._roles["common", "rules"].render()
        self._kept = _Kept(1024)

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._model.name

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        """Ask for the act's reply, and once more if it does not fit."""
        act = await self.briefed(act)
        messages = self.messages(act)
        asking = _Asking(messages)
        if act.letters():
            return cast("Performed[R]", await self._choose(act, messages, asking, seed))
        role = self._roles[act.agent, act.role]
        problem = ""
        for attempt in range(2):
            sampling = Sampling(
                seed=seed if attempt == 0 else derive_seed(seed, "repair"),
                temperature=role.temperature if self._temperature is None else self._temperature,
                max_tokens=role.max_tokens,
            )
            completion = await self._complete(asking, messages, sampling, act.schema())
            if isinstance(completion, Failure):
                return cast("Performed[R]", asking.failed(completion))
            reply, problem = _read(act, completion)
            if reply is not None:
                return cast("Performed[R]", asking.answered(reply))
            messages = [
                *messages,
                {"role": "assistant", "content": completion.text},
                {"role": "user", "content": self._roles["common", "repair"].render(problem=problem)},
            ]
        return cast("Performed[R]", asking.failed(Failure("invalid_reply", f"{self.name}: {problem}")))

    async def _choose(
        self, act: Act[Any], messages: list[Message], asking: "_Asking", seed: int
    ) -> Performed[Any]:
        """Ask for one letter, and keep how likely each was."""
        letters, role = act.letters(), self._roles[act.agent, act.role]
        # Reasoning comes before the letter: there is no room for it, and the choice is what is wanted.
        # The role's own temperature, whatever the run's: a poll asks what the model would say (1.0), an
        # observer for the likeliest label (0.0).
        sampling = Sampling(
            seed=seed, temperature=role.temperature, max_tokens=role.max_tokens, choices=tuple(letters)
        )
        completion = await self._complete(asking, messages, sampling, None)
        if isinstance(completion, Failure):
            return asking.failed(completion)
        logprobs = {
            each: min(0.0, value)
            for each, value in (completion.logprobs or {}).items()
            if each in letters and math.isfinite(value)
        }
        letter = completion.text.strip(" \n\t.:)(*\"'")
        if letter not in letters:
            if not logprobs:
                said = completion.text.strip()[:40]
                return asking.failed(
                    Failure("invalid_reply", f"{self.name}: {said!r} is none of {', '.join(letters)}")
                )
            letter = max(logprobs, key=lambda each: logprobs[each])
        known = {letters[each]: value for each, value in logprobs.items()} if logprobs else None
        return replace(asking.answered(Choice(option=letters[letter])), logprobs=known)

    async def _complete(
        self,
        asking: "_Asking",
        messages: list[Message],
        sampling: Sampling,
        schema: Mapping[str, Any] | None,
    ) -> Completion | Failure:
        started = time.perf_counter()
        try:
            completion = await self._model.complete(messages, sampling=sampling, schema=schema)
        except ModelError as error:
            # A dead model answers no other act either: the run is to be resumed, not to limp on.
            if error.kind == "died":
                raise
            if isinstance(error, EmptyError):
                asking.heard(error.completion, time.perf_counter() - started)
            else:
                asking.took(time.perf_counter() - started)
            return Failure(kind=error.kind, reason=f"{self.name}: {error}")
        asking.heard(completion, time.perf_counter() - started)
        return completion

    async def briefed(self, act: Act[R]) -> Act[R]:
        """Return the act with a persona whose card shows only the commitments that bear on the scenario."""
        persona: Persona | None = getattr(act, "persona", None)
        if persona is None or self._relevance is None or len(persona.commitments) <= MOST_COMMITMENTS:
            return act
        of = (_brief, persona, act.scenario)
        brief = self._kept.find(of)
        if brief is None:
            brief = self._kept.keep(of, await in_background(_brief, persona, act.scenario, self._relevance))
        return replace(act, persona=brief)  # type: ignore[call-arg]

    def messages(self, act: Act[Any]) -> list[Message]:
        """Return the prompt of an act: what all agents share first, what differs last."""
        inputs = {name: getattr(act, name) for name in act.__dataclass_fields__}
        if letters := act.letters():
            texts = {option.key: option.text for option in act.scenario.options}
            inputs["letters"] = [(letter, texts.get(key, key)) for letter, key in letters.items()]
        # In one order for every card: what is proposed for varies last.
        if isinstance(act, ProposeTransition):
            inputs["cards"] = sorted(act.shown or (act.card, *act.others), key=lambda card: card.id)
        parts = [self._once("common", "scenario", scenario=act.scenario)]
        if inputs.get("transcript"):
            parts.append(self._roles["common", "transcript"].render(transcript=inputs["transcript"]))
        if "persona" in inputs:
            card = self._once("persona", "card", persona=inputs["persona"])
            parts.insert(1 if _outweighs(card, inputs.get("transcript", ())) else len(parts), card)
        parts.append(self._roles[act.agent, act.role].render(**inputs))
        prompt: list[Message] = [{"role": "user", "content": "\n\n".join(parts)}]
        if act.name == "answer":
            return prompt
        return [{"role": "system", "content": self._rules}, *prompt]

    def _once(self, agent: str, name: str, **given: Any) -> str:
        """Render a role once for the one object that it is given."""
        of = (name, *given.values())
        text: str | None = self._kept.find(of)
        return self._kept.keep(of, self._roles[agent, name].render(**given)) if text is None else text


class _Kept:
    """What was made of some objects, for the last of them: told apart by identity, which costs nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: dict[tuple[int, ...], tuple[tuple[Any, ...], Any]] = {}

    def find(self, of: tuple[Any, ...]) -> Any:
        """Return what was made of these objects, or None."""
        found = self._made.get(tuple(map(id, of)))
        return found and found[1]

    def keep(self, of: tuple[Any, ...], made: T) -> T:
        """Keep what was made, and the objects with it, so that no others can come to have their ids."""
        while len(self._made) >= self._most:
            del self._made[next(iter(self._made))]
        self._made[tuple(map(id, of))] = (of, made)
        return made


def _outweighs(card: str, transcript: Sequence[Turn]) -> bool:
    """Tell whether a card is longer than what the others say in a round, which is taken to be as in the opening.

    The opening does not change, so that the layout stays the same for the whole of a deliberation.
    """
    opening = [len(turn.statement) for turn in transcript if turn.round == 0]
    return bool(opening) and len(card) > (len(opening) - 1) * fmean(opening)


def _brief(persona: Persona, scenario: Scenario, relevance: Relevance) -> Persona:
    scores = relevance.to_scenario(persona.commitments, scenario)
    chosen = {c.key for c in relevance.choose(persona.commitments, scores, MOST_COMMITMENTS)}
    kept = tuple(commitment for commitment in persona.commitments if commitment.key in chosen)
    return persona.model_copy(update={"commitments": kept})


class _Asking:
    """What one act has taken so far, attempt by attempt."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages
        self._raw: list[str] = []
        self._reasoning: list[str] = []
        self._usage = Usage()

    def took(self, seconds: float) -> None:
        self._usage = replace(self._usage, calls=self._usage.calls + 1, seconds=self._usage.seconds + seconds)

    def heard(self, completion: Completion, seconds: float) -> None:
        if not completion.recalled:
            self.took(seconds)
        self._raw.append(completion.text)
        if completion.reasoning:
            self._reasoning.append(completion.reasoning)
        if completion.recalled:
            self._usage = replace(self._usage, recalled=self._usage.recalled + 1)
            return
        self._usage = replace(
            self._usage,
            prompt_tokens=self._usage.prompt_tokens + completion.prompt_tokens,
            cached_tokens=self._usage.cached_tokens + completion.cached_tokens,
            completion_tokens=self._usage.completion_tokens + completion.completion_tokens,
        )

    def answered(self, reply: BaseModel) -> Performed[Any]:
        return self._performed(reply=reply)

    def failed(self, failure: Failure) -> Performed[Any]:
        return self._performed(failure=failure)

    def _performed(self, reply: BaseModel | None = None, failure: Failure | None = None) -> Performed[Any]:
        # Only now: while it is computed before a call, that call waits.
        text = "\x1e".join(f"{m['role']}\x1f{m['content']}" for m in self._messages)
        return Performed(
            reply=reply,
            failure=failure,
            raw=tuple(self._raw),
            reasoning=tuple(self._reasoning),
            prompt_sha256=hashlib.sha256(text.encode()).hexdigest(),
            usage=self._usage,
        )


def _read(act: Act[Any], completion: Completion) -> tuple[BaseModel | None, str]:
    """Return the reply, or None and what is wrong with it."""
    if completion.finish_reason == "length":
        return None, "the reply was cut off at the token limit; say it more briefly"
    try:
        reply = act.reply.model_validate_json(completion.text)
        act.check(reply)
    except ValidationError as error:
        problem = explain(error, act.reply)
        if error.errors()[0]["type"] == "json_invalid":  # prose, or JSON between marks: a look tells which
            problem += f"; it begins {short(completion.text, 60)!r}"
        return None, problem
    except ValueError as error:
        return None, str(error)
    return reply, ""
