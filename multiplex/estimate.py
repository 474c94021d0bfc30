"""What a deliberation would take, before anything is asked: acts and tokens, as a range.

The protocol's own graph is run twice with replies made of nothing, and the prompts are written as a
language model would get them: once on the shortest course (nobody moves or objects, half of the cards
turn out to be one with another, replies are brief), once on the longest (everybody moves and objects,
every card stands, replies reach their roles' limits). So the counts follow the protocol as it is wired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from os.path import commonprefix
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from multiplex.acts import (
    Act,
    AnswerAlone,
    Answered,
    ArticulateValue,
    Ballot,
    Choice,
    ChooseOption,
    Claim,
    ClassifyPerspectives,
    JudgeTransition,
    MergeCards,
    Merger,
    Performed,
    Position,
    Proposal,
    ProposeTransition,
    Rank,
    Ranking,
    Ratify,
    References,
    Rejoinder,
    Respond,
    Synthesis,
    Synthesise,
    TakePosition,
    Usage,
    ValueArticulated,
    Verdict,
)
from multiplex.acts.replies import TakenUp
from multiplex.content.panels import Panel
from multiplex.content.personas import Persona
from multiplex.content.protocols import Protocol
from multiplex.content.roles import Role, load_roles
from multiplex.content.scenarios import Scenario
from multiplex.content.schwartz import SCHWARTZ_VALUES
from multiplex.deliberation.run import conduct
from multiplex.deliberation.stages.compare import MOST_CANDIDATES
from multiplex.embedding import DEFAULT_MODEL
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import MOST_COMMITMENTS, LanguageModelResponder

__all__ = ["ASSUMPTIONS", "Estimate", "estimate"]

R = TypeVar("R", bound=BaseModel)

_CHARACTERS = 4
"""Characters a token, about right for English and too high for most other languages."""

_BRIEF = 0.25
"""The share of a role's token limit that a brief reply takes."""

ASSUMPTIONS = (
    f"{_CHARACTERS} characters a token, as in English; other languages take more tokens",
    f"least: nobody moves or objects, half of the values cards merge, replies take {_BRIEF:.0%} of their limits",
    "most: everybody moves and objects, no cards merge, replies reach their limits",
    "merging values cards counts as one request that shows all of them; it is none where no cards lie near to one "
    "another, and several where many do",
    "no reply has to be repaired, no call fails, nothing comes from the response cache",
    "a model's own reasoning is not counted",
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The accounts of the shortest and the longest course, as `usage` in `run.json` has them.

    `distinct` are the prompt tokens, least and most, that differ from every earlier prompt's beginning:
    what a prefix cache that forgets nothing leaves to compute.
    """

    scenario: str
    least: Mapping[str, Any]
    most: Mapping[str, Any]
    distinct: tuple[int, int]

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as plain data, each figure as a list of the least and the most."""

        def both(*path: str) -> list[int]:
            low: Any = self.least
            high: Any = self.most
            for key in path:
                low, high = low.get(key, {}), high.get(key, {})
            return [low or 0, high or 0]

        keys = ("acts", "prompt_tokens", "completion_tokens")
        stages = dict.fromkeys((*self.least["by_stage"], *self.most["by_stage"]))
        return {
            "scenario": self.scenario,
            "acts": both("acts"),
            "calls": both("calls"),
            "prompt_tokens": both("tokens", "prompt"),
            "distinct_prompt_tokens": list(self.distinct),
            "completion_tokens": both("tokens", "completion"),
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
    return Estimate(scenario.name, least, most, (_distinct(short), _distinct(long)))


async def _rehearse(
    scenario: Scenario, panel: Panel, protocol: Protocol, models: Mapping[str, str], *, most: bool
) -> tuple[Mapping[str, Any], list[str]]:
    prompts: list[str] = []
    roles = load_roles()
    inner = LanguageModelResponder(Scripted([]), roles=roles)
    responders = {
        speaker: _Rehearsal(inner, roles, prompts, most=most, free=model == "extractive")
        for speaker, model in models.items()
    }
    run = await conduct(scenario, panel, protocol, responders, seed=0, embedder=_Unused(), scores=False)
    return run.usage, prompts


def _distinct(prompts: Sequence[str]) -> int:
    """Return the tokens in the trie of all prompts: sorted, each shares most with its neighbour."""
    ordered = sorted(prompts)
    characters = sum(map(len, ordered))
    shared = sum(len(commonprefix(pair)) for pair in pairwise(ordered))  # noqa: RUF071 (characters are meant)
    return round((characters - shared) / _CHARACTERS)


class _Unused:
    """No text is embedded: nothing is scored."""

    name = DEFAULT_MODEL
    embed: Any = None


class _Rehearsal:
    """Answer every act with a reply of the right shape and about the right length, and count its prompt."""

    name = "rehearsal"

    def __init__(
        self,
        inner: LanguageModelResponder,
        roles: Mapping[tuple[str, str], Role],
        prompts: list[str],
        *,
        most: bool,
        free: bool,
    ) -> None:
        self._inner = inner
        self._roles = roles
        self._prompts = prompts
        self._most = most
        self._free = free
        self.weighs = not free
        self._briefs: dict[str, Persona] = {}

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        room = self._roles[act.agent, act.role].max_tokens * _CHARACTERS
        reply = _reply(act, round(room * (1 if self._most else _BRIEF)), most=self._most)
        act.check(reply)
        if self._free:
            return Performed(reply=cast("R", reply))
        messages = self._inner.messages(self._briefed(act))
        prompt = "\n".join(message["content"] for message in messages)
        self._prompts.append(prompt)
        written = 1 if act.letters() else max(1, len(reply.model_dump_json()) // _CHARACTERS)
        usage = Usage(calls=1, prompt_tokens=len(prompt) // _CHARACTERS, completion_tokens=written)
        return Performed(reply=cast("R", reply), usage=usage)

    def _briefed(self, act: Act[Any]) -> Act[Any]:
        """Return the act with as much in it as it would have; which commitments and cards those are matters not."""
        if isinstance(act, ProposeTransition):
            return replace(act, others=act.others[:MOST_CANDIDATES])
        persona: Persona | None = getattr(act, "persona", None)
        if persona is None:
            return act
        if persona.name not in self._briefs:
            kept = persona.commitments[:MOST_COMMITMENTS]
            self._briefs[persona.name] = persona.model_copy(update={"commitments": kept})
        return replace(act, persona=self._briefs[persona.name])  # type: ignore[call-arg]


def _reply(act: Act[Any], room: int, *, most: bool) -> BaseModel:
    """Return a reply that passes the act's own check, of about `room` characters where its fields allow."""
    stance = {option.key: 1 for option in act.scenario.options}

    def text(longest: int, share: float = 0.8) -> str:
        return ("word " * (max(5, min(longest, round(room * share))) // 5)).strip()

    match act:
        case TakePosition():
            claims = tuple(Claim(text=text(160), commitment=None) for _ in range(3))
            return Position(statement=text(3000), claims=claims, stance=stance)
        case Respond():
            return Rejoinder(statement=text(3000), concedes=(), objects=(), stance=stance, moved=most)
        case ChooseOption():
            return Choice(option=act.order[0])
        case ArticulateValue():
            policies = tuple(f"MOMENTS {text(120, 0.1)}" for _ in range(4))
            title = f"Value {len(act.earlier)} of {act.persona.name}"
            return ValueArticulated(
                title=title,
                description=text(800, 0.5),
                policies=policies,
                schwartz=(SCHWARTZ_VALUES[0],),
                commitment=None,
            )
        case MergeCards():
            ids = [card.id for card in act.cards]
            pairs = () if most else tuple(zip(ids[::2], ids[1::2], strict=False))
            return Merger(groups=pairs)
        case ProposeTransition():
            ids = sorted(card.id for card in (act.card, *act.others))
            place = ids.index(act.card.id)  # in pairs, or in a ring, which makes as many pairs as cards
            other = (place + 1) % len(ids) if most or place + 1 == len(ids) else place ^ 1
            taken = TakenUp(how="keeps_what_matters", rationale=text(400, 0.08))
            mapping = {str(number): taken for number in range(1, len(act.card.policies) + 1)}
            return Proposal(to=ids[other], about=text(600, 0.15), story=text(1500, 0.4), mapping=mapping)
        case JudgeTransition():
            return Verdict(verdict="wiser", reason=text(800))
        case Synthesise():
            overton, consensus = text(12000, 0.6), text(4000, 0.2)
            return Synthesis(
                overton=overton,
                consensus=consensus,
                agreements=(text(800, 0.05),),
                disagreements=(text(800, 0.05),),
                dissent=(),
            )
        case Ratify():
            return Ballot(endorsement=4, objection=text(800) if most else None)
        case Rank():
            return Ranking(order=tuple(range(1, len(act.statements) + 1)))
        case ClassifyPerspectives():
            return References(references=())
        case AnswerAlone():
            return Answered(answer=text(8000))
    raise TypeError(f"no rehearsal for the act {act.name!r}")
