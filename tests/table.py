"""A small table for tests: three personas, a scenario with options, replies to every act, an embedding.

The replies are made by `answer`, in plain sight, so that a test can say what it changes; the
embedding counts words, so that nothing has to be loaded.
"""

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
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
    Failure,
    JudgeTransition,
    MergeCards,
    Merger,
    Performed,
    Point,
    Position,
    Proposal,
    ProposeTransition,
    Rank,
    Ranking,
    Ratify,
    Reference,
    References,
    Rejoinder,
    Respond,
    Responder,
    Synthesis,
    Synthesise,
    TakePosition,
    Turn,
    ValueArticulated,
    Verdict,
)
from multiplex.acts.replies import TakenUp
from multiplex.content.panels import Panel
from multiplex.content.personas import Commitment, Pack, Persona, Source
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Option, Scenario
from multiplex.deliberation.build import build, recursion_limit
from multiplex.deliberation.events import Event
from multiplex.deliberation.state import Context
from multiplex.embedding import Vectors
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.judgements import Transition
from multiplex.responders.scripted import ScriptedResponder

__all__ = [
    "MILLER",
    "NURSE",
    "OPEN_QUESTION",
    "PANEL",
    "PERSONAS",
    "SAILOR",
    "SCENARIO",
    "Script",
    "Words",
    "answer",
    "card",
    "every_act",
    "panel_of",
    "play",
    "proposal",
    "protocol",
    "turn",
]

R = TypeVar("R", bound=BaseModel)
Script = Callable[[Act[Any], int], BaseModel | Failure]


def _persona(
    name: str, label: str, perspective: str, *commitments: tuple[str, str, str, list[str]]
) -> Persona:
    return Persona(
        name=name,
        label=label,
        perspective=perspective,
        region="The river valley",
        summary=f"{label} speaks from a working life.",
        ontology=f"What the {name} takes to be real.",
        epistemology=f"How the {name} comes to know.",
        ethics=f"What the {name} takes to be good.",
        voice="Short sentences.",
        diversity="They quarrel among themselves.",
        limits="Cannot speak for the town.",
        commitments=tuple(
            Commitment(
                key=key,
                title=title,
                statement=statement,
                attends_to=tuple(policies),
                schwartz=("Helpful",),
                topics=("work",),
                source=Source(work=f"The {label} Papers", locus=str(number)),
            )
            for number, (key, title, statement, policies) in enumerate(commitments, start=1)
        ),
    )


MILLER = _persona(
    "miller",
    "Miller",
    "rural",
    (
        "mill_stream",
        "Keeping the stream",
        "I hold that whoever takes water from the stream owes it back clean to those who live below.",
        [
            "STREAMS that others drink from below the mill",
            "SLUICES left open when nobody grinds",
            "NEIGHBOURS downstream who are never asked",
        ],
    ),
    (
        "honest_measure",
        "Honest measure",
        "I hold that a full sack is a promise, and that short measure ruins more than a harvest.",
        [
            "SACKS that weigh what they are said to weigh",
            "CUSTOMERS who cannot check the scales",
            "HARVESTS that must last until spring",
        ],
    ),
    (
        "slow_stone",
        "The slow stone",
        "I hold that good flour comes from a slow stone, and that haste burns what it touches.",
        [
            "STONES that run too hot in a busy week",
            "ORDERS taken faster than they can be ground",
            "APPRENTICES who are hurried past their craft",
        ],
    ),
)
SAILOR = _persona(
    "sailor",
    "Sailor",
    "maritime",
    (
        "open_harbour",
        "The open harbour",
        "I hold that no ship in a storm may be turned from a harbour, whatever flag she flies.",
        [
            "SHIPS that ask for shelter at night",
            "HARBOURS closed against strangers",
            "STORMS that ask nobody for papers",
        ],
    ),
    (
        "shared_watch",
        "The shared watch",
        "I hold that everyone aboard stands a watch, and that the captain stands the worst of them.",
        [
            "WATCHES that fall to the same hands twice",
            "CAPTAINS who sleep while others steer",
            "HANDS too tired to hold the wheel",
        ],
    ),
    (
        "known_rope",
        "The known rope",
        "I hold that a rope is trusted when you have spliced it yourself or know who did.",
        [
            "ROPES whose splices nobody remembers",
            "KNOTS tied by someone who has left the ship",
            "REPAIRS that are hidden under paint",
        ],
    ),
)
NURSE = _persona(
    "nurse",
    "Nurse",
    "clinical",
    (
        "bedside",
        "Staying at the bedside",
        "I hold that nobody should have to lie awake in pain alone when a hand could be held.",
        [
            "PATIENTS who stop asking for help",
            "NIGHTS when the ward is short of staff",
            "HANDS that are held without hurry",
        ],
    ),
    (
        "plain_word",
        "The plain word",
        "I hold that the sick are owed the truth in plain words, at the pace that they can bear.",
        [
            "WORDS that hide what is happening",
            "FAMILIES who are told before the patient is",
            "QUESTIONS asked in the doorway",
        ],
    ),
    (
        "clean_hands",
        "Clean hands",
        "I hold that small duties done every time save more lives than great deeds done once.",
        [
            "DUTIES skipped when the shift is long",
            "BASINS out of reach of the bed",
            "HABITS that nobody sees but the sick",
        ],
    ),
)
PERSONAS = (MILLER, SAILOR, NURSE)

SCENARIO = Scenario(
    name="ferry",
    title="The night ferry",
    question="Should the village keep the night ferry running through the winter?",
    context="The ferry loses money from November to March. Eleven people use it on most nights.",
    choice_context="keeping the night ferry",
    domain="community",
    options=(
        Option(
            key="keep", text="Keep the ferry every night", reasons=("Nobody is left on the wrong shore.",)
        ),
        Option(key="stop", text="Stop the ferry until spring", reasons=("The money mends the bridge.",)),
    ),
)
OPEN_QUESTION = Scenario(name="bells", question="What are the bells of the village for?")


def panel_of(*personas: Persona) -> Panel:
    """Seat personas that are scored against their own perspectives."""
    perspectives = tuple(dict.fromkeys(p.perspective for p in personas))
    pack = Pack("table", "The table", "For tests.", perspectives, {}, personas)
    return Panel(personas, pack, {})


PANEL = panel_of(*PERSONAS)


def protocol(*stages: str | dict[str, dict[str, object]], quorum: float = 0.5) -> Protocol:
    """Return a protocol of these stages."""
    return Protocol(name="trial", summary="For a test.", quorum=quorum, stages=stages)


_LEANS = {"miller": (80, 20), "sailor": (60, 40), "nurse": (30, 70)}


def _stance(scenario: Scenario, name: str) -> dict[str, int]:
    weights = _LEANS.get(name, (50, 50))
    return {o.key: w for o, w in zip(scenario.options, weights, strict=False)}


def answer(act: Act[Any], seed: int) -> BaseModel:
    """Answer any act with something plain that fits it, the same whatever the seed."""
    match act:
        case TakePosition():
            first = act.persona.commitments[0]
            return Position(
                statement=f"The {act.persona.name} opens. {first.statement}",
                claims=(Claim(text=first.statement, commitment=first.key),),
                stance=_stance(act.scenario, act.persona.name),
            )
        case Respond():
            other = act.others()[0]
            return Rejoinder(
                statement=f"The {act.persona.name} replies in round {act.round}.",
                concedes=(Point(to=other, text="That is so."),),
                objects=(),
                stance=_stance(act.scenario, act.persona.name),
                moved=False,
            )
        case ArticulateValue():
            source = act.persona.commitments[len(act.earlier)]
            return ValueArticulated(
                title=source.title,
                description=source.statement,
                policies=source.attends_to,
                schwartz=source.schwartz,
                commitment=source.key,
            )
        case MergeCards():
            return Merger(groups=())
        case ProposeTransition():
            return proposal(act, act.others[0].id)
        case JudgeTransition():
            return Verdict(verdict="wiser", reason="It goes deeper.")
        case Synthesise():
            number = len(act.objections) * 10 + act.candidate
            return Synthesis(
                overton=f"The spectrum, draft {number}.",
                consensus=f"The statement, draft {number}.",
                agreements=("They agree on one thing.",),
                disagreements=(),
                dissent=(),
            )
        case Ratify():
            return Ballot(endorsement=5, objection=None)
        case ChooseOption():
            return Choice(option=act.order[0])
        case Rank():
            return Ranking(order=tuple(range(1, len(act.statements) + 1)))
        case ClassifyPerspectives():
            span = act.text.split(".")[0]
            return References(
                references=(Reference(perspective=act.perspectives[0], span=span, sentiment="neutral"),)
            )
        case AnswerAlone():
            return Answered(answer="One voice answers.")
    raise AssertionError(f"the table knows no act {act.name!r}")


def proposal(act: ProposeTransition, to: str) -> Proposal:
    """Return a proposal of this card that says something of every policy."""
    kept = TakenUp(how="keeps_what_matters", rationale="It is still looked for.")
    mapping = {str(number): kept for number in range(1, len(act.card.policies) + 1)}
    return Proposal(to=to, about="What lay behind it.", story="Someone grew into it.", mapping=mapping)


def play(
    stages: Protocol,
    script: Script = answer,
    *,
    panel: Panel = PANEL,
    scenario: Scenario = SCENARIO,
    seed: int = 7,
    pauses: Mapping[str, float] | None = None,
    responder: Responder | None = None,
    embed: Callable[[Sequence[str]], Vectors] | None = None,
) -> tuple[dict[str, Any], ScriptedResponder, list[Event]]:
    """Run a protocol to its end: the last state, who was asked what, and the events in between.

    With `pauses`, a speaker takes so many seconds over each answer; `responder` answers instead of
    the script; with `embed`, texts can be embedded.
    """
    scripted = ScriptedResponder(script)
    names = [*(persona.name for persona in panel.personas), "moderator", "observer"]
    responders: dict[str, Responder] = {
        name: _Slow(scripted, (pauses or {})[name]) if name in (pauses or {}) else responder or scripted
        for name in names
    }
    context = Context(scenario=scenario, panel=panel, seed=seed, responders=responders, embed=embed)
    events: list[Event] = []

    async def run() -> dict[str, Any]:
        state: dict[str, Any] = {}
        stream: Any = build(stages).astream(
            {},
            {"recursion_limit": recursion_limit(stages)},
            context=context,
            stream_mode=["custom", "values"],
        )
        async for mode, chunk in stream:
            if mode == "values":
                state = dict(chunk)
            else:
                events.append(chunk)
        return state

    return asyncio.run(run()), scripted, events


class _Slow:
    """Answer as another responder does, only later."""

    def __init__(self, responder: Responder, seconds: float) -> None:
        self.name = responder.name
        self._responder = responder
        self._seconds = seconds

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        await asyncio.sleep(self._seconds)
        return await self._responder.perform(act, seed=seed)


def card(persona: Persona, number: int = 0) -> ValuesCard:
    """Return a card made of one of a persona's commitments."""
    source = persona.commitments[number]
    return ValuesCard(
        id=f"{persona.name}.{number + 1}",
        title=source.title,
        description=source.statement,
        policies=source.attends_to,
        schwartz=source.schwartz,
        context=SCENARIO.setting,
        authors=(persona.name,),
    )


def turn(
    persona: Persona, round: int = 0, *, number: int = 0, stance: dict[str, float] | None = None
) -> Turn:
    """Return what a persona says in a round: a commitment, and where it stands."""
    source = persona.commitments[number]
    claims = (Claim(text=source.statement, commitment=source.key),) if round == 0 else ()
    return Turn(
        speaker=persona.name,
        label=persona.label,
        round=round,
        statement=f"Round {round}. {source.statement}",
        claims=claims,
        stance=stance,
    )


def every_act(scenario: Scenario = SCENARIO, personas: Sequence[Persona] = PERSONAS) -> list[Act[Any]]:
    """Return one act of every kind, as a deliberation asks for it."""
    first = personas[0]
    turns = tuple(turn(persona) for persona in personas)
    cards = tuple(card(persona) for persona in personas)
    own = tuple(t for t in turns if t.speaker == first.name)
    others = cards[1:] or (card(first, 1),)
    transition = Transition(
        id="t1",
        source=cards[0].id,
        wiser=others[0].id,
        about="What lay behind it.",
        story="Someone grew into it.",
        context=scenario.setting,
        proposer="moderator",
    )
    keys = tuple(option.key for option in scenario.options) or ("yes", "no")
    return [
        ChooseOption(scenario=scenario, persona=first, transcript=turns, order=keys),
        TakePosition(scenario=scenario, persona=first),
        Respond(scenario=scenario, persona=first, transcript=turns, round=1),
        ArticulateValue(scenario=scenario, persona=first, transcript=turns, earlier=cards[:1]),
        MergeCards(scenario=scenario, cards=(cards[0], *others)),
        ProposeTransition(scenario=scenario, card=cards[0], others=others),
        JudgeTransition(
            scenario=scenario, persona=first, transition=transition, source=cards[0], wiser=others[0]
        ),
        Synthesise(scenario=scenario, panel=tuple(personas), transcript=turns),
        Ratify(scenario=scenario, persona=first, statement="We keep the stream clean.", own=own),
        Rank(scenario=scenario, persona=first, statements=("We keep it.", "We stop it."), own=own),
        ClassifyPerspectives(
            scenario=scenario,
            text=f"{first.commitments[0].statement} Nobody knows.",
            perspectives=tuple(p.perspective for p in personas),
        ),
        AnswerAlone(scenario=scenario),
    ]


class Words:
    """An embedding that counts words: equal texts are at 1, texts with no word in common near 0."""

    name = "words"

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return an array of shape (len(texts), 256), one unit vector a text."""
        self.embedded += len(texts)
        return np.stack([_counted(text) for text in texts]) if texts else np.zeros((0, 256), np.float32)


@cache
def _counted(text: str) -> Vectors:
    row = np.zeros(256, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()) or ["-"]:
        row[zlib.crc32(word.encode()) % 256] += 1
    return row / np.linalg.norm(row)
