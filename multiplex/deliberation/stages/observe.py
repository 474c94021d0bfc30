"""Observe: the observer marks which perspectives the Overton answer references, and how."""

from multiplex.acts import ClassifyPerspectives
from multiplex.content.protocols import Observe
from multiplex.deliberation.stages.step import Step, replies
from multiplex.deliberation.state import Context, State, Task, Update

__all__ = ["steps"]


def steps(stage: Observe) -> list[Step]:
    """Return the stage's one step."""
    return [Step(stage.name, "mark", _tasks, _act, _settle, reads=("drafts", "chosen", "answer"))]


def _text(state: State) -> str | None:
    drafts = state.get("drafts")
    return drafts[state.get("chosen", 0)]["overton"] if drafts else state.get("answer")


def _tasks(state: State, context: Context) -> list[Task]:
    return [Task(speaker="observer", round=1, about="")] if _text(state) else []


def _act(task: Task, state: State, context: Context) -> ClassifyPerspectives:
    return ClassifyPerspectives(
        scenario=context.scenario, text=_text(state) or "", perspectives=context.panel.pack.perspectives
    )


def _settle(state: State, context: Context, round: int) -> Update:
    found = replies(state, "observe.mark", round)
    return Update(references=found[0][1]["references"]) if found else Update()
