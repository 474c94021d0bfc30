"""Open: every persona states its position before it has seen anyone else's.

Whoever fails is asked again before anyone hears anything; whoever fails to the end is asked no more.
"""

from multiplex.acts import TakePosition, Turn
from multiplex.content.protocols import Open
from multiplex.deliberation.stages.step import Step, last_round, replies, shares
from multiplex.deliberation.state import Context, State, Task, Update, results_of

__all__ = ["TRIES", "steps"]

_LABEL = "open.position"

TRIES = 3
"""How often a persona is asked for its position before the deliberation goes on without it."""


def steps(stage: Open) -> list[Step]:
    """Return the stage's one step, which leads to itself until everyone has opened."""

    def again(state: State, context: Context) -> str | None:
        return _LABEL if last_round(state, _LABEL) < TRIES and _tasks(state, context) else None

    return [
        Step(
            stage=stage.name,
            name="position",
            tasks=_tasks,
            act=_act,
            settle=_settle,
            again=again,
            back=(_LABEL,),
        )
    ]


def _tasks(state: State, context: Context) -> list[Task]:
    """Return a task for every persona that has not answered yet."""
    round = last_round(state, _LABEL) + 1
    answered = {result["speaker"] for result in results_of(state, _LABEL) if result["reply"] is not None}
    return [Task(speaker=name, round=round, about="") for name in context.speakers if name not in answered]


def _act(task: Task, state: State, context: Context) -> TakePosition:
    return TakePosition(scenario=context.scenario, persona=context.persona(task["speaker"]))


def _settle(state: State, context: Context, round: int) -> Update:
    turns = [
        Turn(
            speaker=result["speaker"],
            label=context.persona(result["speaker"]).label,
            round=0,
            statement=reply["statement"],
            claims=reply["claims"],
            stance=shares(reply["stance"]),
        ).model_dump(mode="json")
        for result, reply in replies(state, _LABEL, round)
    ]
    return Update(turns=turns)
