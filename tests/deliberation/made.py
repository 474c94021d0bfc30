"""A protocol with every stage, and what tests of whole deliberations ask and script."""

from typing import Any

from pydantic import BaseModel

from multiplex.acts import Act, Failure
from multiplex.responders.scripted import ScriptedResponder
from tests.table import PERSONAS, Script, answer, protocol

WHOLE = protocol(
    "open",
    {"exchange": {"rounds": 2}},
    {"articulate": {"cards": 2}},
    {"compare": {"pairs_per_persona": 4}},
    {"synthesise": {"candidates": 3}},
    {"ratify": {"revise": 1}},
    "observe",
)
NAMES = [persona.name for persona in PERSONAS]


def asked(responder: ScriptedResponder, kind: type[Act[Any]]) -> list[Any]:
    return [act for act in responder.acts if isinstance(act, kind)]


def failing(*which: type[Act[Any]], of: str | None = None, first: int = 10**6) -> Script:
    """Answer, but let the first acts of these kinds fail (of one speaker, if named)."""
    left = first

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        nonlocal left
        if isinstance(act, which) and of in {None, act.speaker} and left:
            left -= 1
            return Failure(kind="tired", reason=f"{act.speaker} is LOST FOR WORDS")
        return answer(act, seed)

    return script
