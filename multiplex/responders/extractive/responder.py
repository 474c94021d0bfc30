"""Answer every act from the panel's own sourced commitments: deterministic, grounded, no language model."""

import time
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from multiplex.acts import (
    Act,
    AnswerAlone,
    ArticulateValue,
    ChooseOption,
    ClassifyPerspectives,
    Failure,
    JudgeTransition,
    MergeCards,
    Performed,
    ProposeQuestions,
    ProposeTransition,
    Rank,
    Ratify,
    Respond,
    Synthesise,
    TakePosition,
    Usage,
)
from multiplex.background import in_background
from multiplex.content.personas import Persona
from multiplex.embedding import Embedder
from multiplex.responders.extractive import moderator, persona, proposals
from multiplex.responders.relevance import Relevance

__all__ = ["ExtractiveResponder"]

R = TypeVar("R", bound=BaseModel)


class ExtractiveResponder:
    """Answer acts from commitments; the corpus is the personas that it can draw on.

    It is a baseline, and honest about itself: everything it says was assembled from sourced
    statements, and no language model spoke.
    """

    name = "extractive"
    notice = "Assembled from the personas' sourced commitments; no language model spoke."

    def __init__(self, embedder: Embedder, corpus: Sequence[Persona]) -> None:
        self._relevance = Relevance(embedder, corpus)

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        """Answer one act."""
        started = time.perf_counter()
        reply = await in_background(self._answer, act, seed)
        usage = Usage(seconds=time.perf_counter() - started)
        if isinstance(reply, Failure):
            return Performed(failure=reply, usage=usage)
        act.check(reply)
        return Performed(reply=cast("R", reply), usage=usage)

    def _answer(self, act: Act[Any], seed: int) -> BaseModel | Failure:
        relevance = self._relevance
        match act:
            case TakePosition():
                return persona.take_position(relevance, act, seed)
            case Respond():
                return persona.reply(relevance, act, seed)
            case ArticulateValue():
                return persona.articulate_value(relevance, act)
            case JudgeTransition():
                return persona.judge_transition(relevance, act)
            case Ratify():
                return persona.ratify(relevance, act)
            case ChooseOption():
                return persona.choose(relevance, act)
            case Rank():
                return persona.rank(relevance, act)
            case MergeCards():
                return moderator.merge_cards(relevance, act)
            case ProposeTransition():
                return moderator.propose_transition(relevance, act)
            case Synthesise():
                return moderator.synthesise(relevance, act, seed)
            case ClassifyPerspectives():
                return moderator.classify_perspectives(relevance, act)
            case AnswerAlone():
                return moderator.answer(relevance, act, seed)
            case ProposeQuestions():
                return proposals.propose_questions(relevance, act, seed)
        raise TypeError(f"the extractive responder knows no act {act.name!r}")
