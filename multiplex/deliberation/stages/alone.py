"""Answer: one model answers alone, plainly or told to be multiplex. No panel is heard."""

from multiplex.acts import AnswerAlone
from multiplex.content.protocols import Answer
from multiplex.deliberation.stages.step import Step, replies
from multiplex.deliberation.state import Context, State, Task, Update

__all__ = ["steps"]


def steps(stage: Answer) -> list[Step]:
    """Return the stage's one step."""

    def act(task: Task, state: State, context: Context) -> AnswerAlone:
        return AnswerAlone(scenario=context.scenario, told=stage.told)

    return [
        Step(
            stage=stage.name,
            name="alone",
            tasks=lambda state, context: [Task(speaker="moderator", round=1, about="")],
            act=act,
            settle=_settle,
        )
    ]


def _settle(state: State, context: Context, round: int) -> Update:
    found = replies(state, "answer.alone", round)
    return Update(answer=found[0][1]["answer"]) if found else Update()
