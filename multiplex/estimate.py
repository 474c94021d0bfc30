"""What a deliberation would take, before anything is asked: acts, calls and tokens, as a range.

The protocol's own graph is run twice with replies made of nothing, and the prompts are written as a
language model would get them: once on the shortest course (nobody moves or objects, half of the cards
turn out to be one with another, every text is a sentence), once on the longest (everybody moves and
objects, every card stands, every text is as long as its schema and its role allow, and every reply is
cut off once, and so asked for again). So the counts follow the protocol as it is wired.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, starmap
from typing import Any, TypeVar, cast

import numpy as np
from pydantic import BaseModel

from multiplex.acts import (
    Act,
    ArticulateValue,
    ClassifyPerspectives,
    MergeCards,
    Performed,
    ProposeTransition,
    Rank,
    Respond,
    Usage,
)
from multiplex.content.panels import Panel
from multiplex.content.personas import Commitment, Persona
from multiplex.content.protocols import Protocol
from multiplex.content.roles import Role, load_roles
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.run import conduct
from multiplex.deliberation.stages.compare import MOST_CANDIDATES
from multiplex.embedding import DEFAULT_MODEL, Vectors
from multiplex.errors import ModelError
from multiplex.models.base import Message
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import MOST_COMMITMENTS, LanguageModelResponder

__all__ = ["ASSUMPTIONS", "ASSUMPTIONS_OF_ACTS", "Estimate", "estimate"]

R = TypeVar("R", bound=BaseModel)

_CHARACTERS = 4
"""Characters a token, about right for English and too high for most other languages."""

_SENTENCE = 40
"""The characters of a short sentence, which is the least that a text is taken to have."""

_PROBLEM = "word " * 60
"""What stands for what was wrong with a reply: three problems are named at most."""

ASSUMPTIONS = (
    f"{_CHARACTERS} characters a token, as in English; other languages take more tokens",
    f"least: nobody moves or objects, half of the values cards merge, every text is a sentence of {_SENTENCE} "
    "characters, no reply has to be repaired",
    "most: everybody moves and objects, no cards merge, every text is as long as its schema and its role's limit "
    "allow, every reply is cut off at that limit and asked for once more",
    "of a persona with more commitments than its card shows, least and most are the shortest and the longest ones",
    "merging values cards shows all of them; where none lie near to one another it is left out, and more is left to "
    "compare",
    "no act fails for good, no call is tried again, nothing comes from the response cache",
    "a model's own reasoning is not counted",
)


ASSUMPTIONS_OF_ACTS = (
    "least: nobody moves or objects, half of the values cards merge",
    "most: everybody moves and objects, no cards merge",
    "no act fails",
)
"""What remains of them where no language model takes part."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The accounts of the shortest and the longest course, as `usage` in `run.json` has them.

    `distinct` are the prompt tokens, least and most, that differ from every earlier prompt's beginning:
    what a prefix cache that forgets nothing leaves to compute. `repairs` is the part of the most that
    goes into asking for every reply once more.
    """

    scenario: str
    least: Mapping[str, Any]
    most: Mapping[str, Any]
    distinct: tuple[int, int]
    repairs: Usage

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as plain data, each figure as a list of the least and the most."""

        def both(*path: str) -> list[int]:
            low: Any = self.least
            high: Any = self.most
            for key in path:
                low, high = low.get(key, {}), high.get(key, {})
            return [low or 0, high or 0]

        keys = ("acts", "calls", "prompt_tokens", "completion_tokens")
        stages = dict.fromkeys((*self.least["by_stage"], *self.most["by_stage"]))
        return {
            "scenario": self.scenario,
            "acts": both("acts"),
            "calls": both("calls"),
            "prompt_tokens": both("tokens", "prompt"),
            "distinct_prompt_tokens": list(self.distinct),
            "completion_tokens": both("tokens", "completion"),
            "repairs": {key: getattr(self.repairs, key) for key in keys[1:]},
            "by_stage": {stage: {key: both("by_stage", stage, key) for key in keys} for stage in stages},
        }


async def estimate(
    scenario: Scenario, panel: Panel, protocol: Protocol, *, models: Mapping[str, str]
) -> Estimate:
    """Return what a deliberation would take; `models` says who is answered for by which model.

    Raises:
        ContentError: the panel is too small for the protocol.
    """
    least, short = await _rehearse(scenario, panel, protocol, models, most=False)
    most, long = await _rehearse(scenario, panel, protocol, models, most=True)
    distinct = (_distinct(short.prompts), _distinct(long.prompts))
    return Estimate(scenario.name, least, most, distinct, long.repairs)


@dataclass(slots=True)
class _Asked:
    """What was asked in a rehearsal: the prompts, and what repairs would take."""

    prompts: list[str] = field(default_factory=list)
    repairs: Usage = field(default_factory=Usage)


async def _rehearse(
    scenario: Scenario, panel: Panel, protocol: Protocol, models: Mapping[str, str], *, most: bool
) -> tuple[Mapping[str, Any], _Asked]:
    asked = _Asked()
    roles = load_roles()
    inner = LanguageModelResponder(Scripted([]), roles=roles)
    responders = {
        speaker: _Rehearsal(inner, roles, asked, most=most, free=model == "extractive")
        for speaker, model in models.items()
    }
    embedder = _Alike() if most else _Unused()
    run = await conduct(scenario, panel, protocol, responders, seed=0, embedder=embedder, scores=False)
    return run.usage, asked


def _distinct(prompts: Sequence[str]) -> int:
    """Return the tokens in the trie of all prompts: sorted, each shares most with its neighbour."""
    ordered = sorted(prompts)
    characters = sum(map(len, ordered))
    return (characters - sum(starmap(_shared, pairwise(ordered)))) // _CHARACTERS


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike, by halving what is not known yet."""
    alike, unlike = 0, min(len(one), len(other)) + 1
    while unlike - alike > 1:
        middle = (alike + unlike) // 2
        if other.startswith(one[alike:middle], alike):
            alike = middle
        else:
            unlike = middle
    return alike


class _Unused:
    """No text is embedded: nothing is scored."""

    name = DEFAULT_MODEL
    embed: Any = None


class _Alike:
    """Cards are alike when it is looked for what could merge, and are all asked about; then nothing is embedded."""

    name = DEFAULT_MODEL

    def __init__(self) -> None:
        self._asked = False

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the same vector for every text, shape (len(texts), 1), once.

        Raises:
            ModelError: of kind embedding, ever after.
        """
        if self._asked:
            raise ModelError("what is proposed is reckoned without embeddings", kind="embedding")
        self._asked = True
        return np.ones((len(texts), 1), dtype=np.float32)


class _Rehearsal:
    """Answer every act with a reply of the right shape, as short or as long as can be, and count its prompt."""

    name = "rehearsal"

    def __init__(
        self,
        inner: LanguageModelResponder,
        roles: Mapping[tuple[str, str], Role],
        asked: _Asked,
        *,
        most: bool,
        free: bool,
    ) -> None:
        self._inner = inner
        self._roles = roles
        self._asked = asked
        self._most = most
        self._free = free
        self.weighs = not free
        self._briefs: dict[str, Persona] = {}

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        room = self._roles[act.agent, act.role].max_tokens * _CHARACTERS
        written = _written(act.schema(), room, most=self._most)
        reply = act.reply.model_validate({**written, **_in_earnest(act, written, most=self._most)})
        act.check(reply)
        if self._free:
            return Performed(reply=cast("R", reply))
        messages = self._inner.messages(self._briefed(act))
        if act.letters():
            return Performed(reply=cast("R", reply), usage=self._ask(messages, 1))
        said = json.dumps(written, separators=None if self._most else (",", ":"))
        usage = self._ask(messages, max(1, min(len(said), room) // _CHARACTERS))
        if self._most:
            repair = self._roles["common", "repair"].render(problem=_PROBLEM)
            again: list[Message] = [
                *messages,
                {"role": "assistant", "content": ("word " * room)[:room]},
                {"role": "user", "content": repair},
            ]
            once_more = self._ask(again, room // _CHARACTERS)
            self._asked.repairs = _sum(self._asked.repairs, once_more)
            usage = _sum(usage, once_more)
        return Performed(reply=cast("R", reply), usage=usage)

    def _ask(self, messages: Sequence[Message], answered: int) -> Usage:
        prompt = "".join(message["content"] for message in messages)
        self._asked.prompts.append(prompt)
        return Usage(calls=1, prompt_tokens=len(prompt) // _CHARACTERS, completion_tokens=answered)

    def _briefed(self, act: Act[Any]) -> Act[Any]:
        """Return the act with as much in it as it would have, for which texts would have to be embedded.

        Of the commitments that a card would show, the shortest or the longest are taken; which of the cards
        are candidates matters not.
        """
        if isinstance(act, ProposeTransition):
            return replace(act, others=act.others[:MOST_CANDIDATES])
        persona: Persona | None = getattr(act, "persona", None)
        if persona is None:
            return act
        if persona.name not in self._briefs:
            ordered = sorted(persona.commitments, key=_length, reverse=self._most)
            kept = tuple(ordered[:MOST_COMMITMENTS])
            self._briefs[persona.name] = persona.model_copy(update={"commitments": kept})
        return replace(act, persona=self._briefs[persona.name])  # type: ignore[call-arg]


def _length(commitment: Commitment) -> int:
    """Return how many characters a commitment adds to a persona's card."""
    parts = (commitment.key, commitment.title, commitment.statement, str(commitment.source))
    return sum(map(len, parts))


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        calls=one.calls + other.calls,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )


def _written(schema: Mapping[str, Any], room: int, *, most: bool) -> dict[str, Any]:
    """Return the shortest or the longest object that a schema allows, no text in it longer than `room`.

    As a whole it may be longer: what a reply puts into one text and not into another is for it to say, and
    each may be the one that others read.
    """
    definitions = schema.get("$defs", {})

    def value(part: Mapping[str, Any]) -> Any:
        if "$ref" in part:
            return value(definitions[part["$ref"].removeprefix("#/$defs/")])
        if "const" in part:
            return part["const"]
        choices = part.get("enum") or [value(each) for each in part.get("anyOf", ())]
        if choices:
            return (max if most else min)(choices, key=lambda each: len(json.dumps(each)))
        kind = part["type"]
        if kind == "object":
            return {name: value(each) for name, each in part["properties"].items()}
        if kind == "array":
            return [value(part["items"])] * (part["maxItems"] if most else part.get("minItems", 0))
        if kind == "string":
            longest = min(part["maxLength"], room if most else _SENTENCE)
            return ("word " * longest)[: longest - 1] + "."
        if kind == "integer":
            return part["maximum"] if most else max(1, part["minimum"])
        return {"boolean": False, "null": None}[kind]

    found: dict[str, Any] = value(schema)
    return found


def _in_earnest(act: Act[Any], written: Mapping[str, Any], *, most: bool) -> dict[str, Any]:
    """Return what a reply has to say otherwise than it was written, to make sense and to take the course."""
    match act:
        case Respond():
            return {"moved": most}
        case ArticulateValue():
            number = f"{len(act.earlier)} {act.persona.name} "
            return {"title": number + written["title"][len(number) :]}
        case MergeCards():
            ids = [card.id for card in act.cards]
            return {"groups": () if most else tuple(zip(ids[::2], ids[1::2], strict=False))}
        case ProposeTransition():
            ids = sorted(card.id for card in (act.card, *act.others))
            place = ids.index(act.card.id)  # in pairs, or in a ring, which makes as many pairs as cards
            other = (place + 1) % len(ids) if most or place + 1 == len(ids) else place ^ 1
            return {"to": ids[other]}
        case Rank():
            return {"order": tuple(range(1, len(act.statements) + 1))}
        case ClassifyPerspectives():
            return {"references": ()}
    return {}
