"""A responder that asks a language model: role file, JSON schema, one repair, then an abstention.

Prompt layout: the rules come first (system), then the scenario, then the transcript so far, all
byte-identical for every agent and append-only, so that a prefix cache computes them once. What
differs comes last: the persona's card, then the task. One model alone sees the same scenario, and no rules.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from multiplex.acts import Act, Failure, Performed, Usage
from multiplex.content.files import explain
from multiplex.content.roles import Role, load_roles
from multiplex.errors import ModelError
from multiplex.models.base import Completion, Message, Model, Sampling
from multiplex.seeds import derive_seed

__all__ = ["LanguageModelResponder"]

R = TypeVar("R", bound=BaseModel)


class LanguageModelResponder:
    """Answer acts with a language model.

    A reply that does not fit is asked for once more; what still does not fit, and every failed
    call, becomes a recorded failure. It never becomes text that another agent reads.
    """

    def __init__(
        self,
        model: Model,
        *,
        roles: Mapping[tuple[str, str], Role] | None = None,
        temperature: float | None = None,
    ) -> None:
        self._model = model
        self._roles = dict(roles) if roles is not None else load_roles()
        self._temperature = temperature

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._model.name

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        """Ask for the act's reply, and once more if it does not fit."""
        role = self._roles[act.agent, act.role]
        messages = self.messages(act)
        asking = _Asking(messages)
        for attempt in range(2):
            sampling = Sampling(
                seed=seed if attempt == 0 else derive_seed(seed, "repair"),
                temperature=role.temperature if self._temperature is None else self._temperature,
                max_tokens=role.max_tokens,
            )
            started = time.perf_counter()
            try:
                completion = await self._model.complete(messages, sampling=sampling, schema=act.schema())
            except ModelError as error:
                asking.took(time.perf_counter() - started)
                return cast("Performed[R]", asking.failed(error.kind, f"{self.name}: {error}"))
            asking.heard(completion, time.perf_counter() - started)
            reply, problem = _read(act, completion)
            if reply is not None:
                return cast("Performed[R]", asking.answered(reply))
            messages = [
                *messages,
                {"role": "assistant", "content": completion.text},
                {"role": "user", "content": self._roles["common", "repair"].render(problem=problem)},
            ]
        return cast("Performed[R]", asking.failed("invalid_reply", f"{self.name}: {problem}"))

    def messages(self, act: Act[Any]) -> list[Message]:
        """Return the prompt of an act: what all agents share first, what differs last."""
        common = {name: role for (agent, name), role in self._roles.items() if agent == "common"}
        inputs = {f.name: getattr(act, f.name) for f in fields(act)}
        parts = [common["scenario"].render(scenario=act.scenario)]
        if inputs.get("transcript"):
            parts.append(common["transcript"].render(transcript=inputs["transcript"]))
        if "persona" in inputs:
            parts.append(self._roles["persona", "card"].render(persona=inputs["persona"]))
        parts.append(self._roles[act.agent, act.role].render(**inputs))
        prompt: list[Message] = [{"role": "user", "content": "\n\n".join(parts)}]
        if act.name == "answer":
            return prompt
        return [{"role": "system", "content": common["rules"].render()}, *prompt]


class _Asking:
    """What one act has taken so far, attempt by attempt."""

    def __init__(self, messages: list[Message]) -> None:
        text = "\x1e".join(f"{m['role']}\x1f{m['content']}" for m in messages)
        self._sha256 = hashlib.sha256(text.encode()).hexdigest()
        self._raw: list[str] = []
        self._reasoning: list[str] = []
        self._usage = Usage()

    def took(self, seconds: float) -> None:
        self._usage = replace(self._usage, calls=self._usage.calls + 1, seconds=self._usage.seconds + seconds)

    def heard(self, completion: Completion, seconds: float) -> None:
        self.took(seconds)
        self._raw.append(completion.text)
        if completion.reasoning:
            self._reasoning.append(completion.reasoning)
        self._usage = replace(
            self._usage,
            prompt_tokens=self._usage.prompt_tokens + completion.prompt_tokens,
            cached_tokens=self._usage.cached_tokens + completion.cached_tokens,
            completion_tokens=self._usage.completion_tokens + completion.completion_tokens,
        )

    def answered(self, reply: BaseModel) -> Performed[Any]:
        return self._performed(reply=reply)

    def failed(self, kind: str, reason: str) -> Performed[Any]:
        return self._performed(failure=Failure(kind=kind, reason=reason))

    def _performed(self, reply: BaseModel | None = None, failure: Failure | None = None) -> Performed[Any]:
        return Performed(
            reply=reply,
            failure=failure,
            raw=tuple(self._raw),
            reasoning=tuple(self._reasoning),
            prompt_sha256=self._sha256,
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
        return None, explain(error, act.reply)
    except ValueError as error:
        return None, str(error)
    return reply, ""
