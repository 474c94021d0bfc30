"""Open: every persona states its position before it has seen anyone else's."""

from multiplex.acts import TakePosition, Turn
from multiplex.content.protocols import Open
from multiplex.deliberation.stages.step import Step, ask_panel, replies, shares
from multiplex.deliberation.state import Context, State, Task, Update

__all__ = ["steps"]


def steps(stage: Open) -> list[Step]:
    """Return the stage's one step."""
    return [
        Step(
            stage=stage.name,
            name="position",
            tasks=lambda state, context: ask_panel(context, 1),
            act=_act,
            settle=_settle,
        )
    ]


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
        for result, reply in replies(state, "open.position", round)
    ]
    return Update(turns=turns)
