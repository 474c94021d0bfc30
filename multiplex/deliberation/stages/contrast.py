"""Contrast: the same model answers without the panel, and the panel endorses that answer and its own alike.

Who votes is shown each of the two as a statement that is put to the panel, and not which of them it is.
It stands at the end of a deliberation: nobody else hears of the answer, and nothing of it is in the
four answers. Training data is made of such pairs; see `multiplex.dataset`.
"""

from multiplex.acts import AnswerAlone, Ratify
from multiplex.content.protocols import Contrast
from multiplex.deliberation.stages.step import Step, ask_panel, order_shown, replies
from multiplex.deliberation.state import Context, State, Task, Update, turns_of

__all__ = ["steps"]

_ALONE = "contrast.alone"

_TEXTS = ("overton", "alone")


def steps(stage: Contrast) -> list[Step]:
    """Return the stage's steps: the answer alone, and the ballot on it and on the Overton answer."""
    return [
        Step(stage.name, "alone", _to_answer, _answer, _settle, optional=True),
        Step(
            stage.name,
            "ballot",
            _to_vote,
            _vote,
            _settle,
            reads=("turns", "drafts", "chosen", "results"),
            optional=True,
        ),
    ]


def _to_answer(state: State, context: Context) -> list[Task]:
    return [Task(speaker="moderator", round=1, about="")]


def _answer(task: Task, state: State, context: Context) -> AnswerAlone:
    return AnswerAlone(scenario=context.scenario, told="plain")


def _to_vote(state: State, context: Context) -> list[Task]:
    there = [text for text in _TEXTS if _statement(state, text) is not None]
    return [
        Task(speaker=voter["speaker"], round=1, about=there[i])
        for voter in ask_panel(state, context, 1)
        for i in order_shown(len(there), voter["speaker"], context.seed)
    ]


def _vote(task: Task, state: State, context: Context) -> Ratify:
    return Ratify(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        statement=_statement(state, task["about"]) or "",
        own=turns_of(state, task["speaker"]),
    )


def _statement(state: State, text: str) -> str | None:
    if text == "alone":
        found = replies(state, _ALONE, 1)
        return found[0][1]["answer"] if found else None
    drafts = state.get("drafts", [])
    return drafts[state.get("chosen", 0)]["overton"] if drafts else None


def _settle(state: State, context: Context, round: int) -> Update:
    # The answer and the ballots are read from the record: nothing is kept twice.
    return Update()
