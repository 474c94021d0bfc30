"""Poll: every persona chooses one option, and its model tells how likely each choice was.

It adds to stated stances what a language model would say without having to put a number on it. Models
lean towards what stands first, so each persona is asked in several orders and the mean is taken; over
the panel, each option stands first as nearly as often as any other. Only language models are asked; one
that does not tell how likely its choices are adds nothing, and the answer says so.
"""

from multiplex.acts import ChooseOption
from multiplex.content.protocols import Poll
from multiplex.deliberation.stages.step import Step, with_position
from multiplex.deliberation.state import Context, State, Task, Update, turns_of
from multiplex.seeds import derive_seed

__all__ = ["steps"]


def steps(stage: Poll) -> list[Step]:
    """Return the stage's one step."""

    def tasks(state: State, context: Context) -> list[Task]:
        if not context.scenario.options:
            return []
        able = [n for n in with_position(state, context) if getattr(context.responders[n], "weighs", False)]
        return [
            Task(speaker=name, round=1, about=str(seat * stage.orders + number))
            for seat, name in enumerate(able)
            for number in range(stage.orders)
        ]

    return [Step(stage.name, "choose", tasks, _act, _settle, reads=("turns",), optional=True)]


def _order(context: Context, number: int) -> tuple[str, ...]:
    """Return the options in the order of the nth asking: the run's own shuffle, turned on by n places."""
    keys = [option.key for option in context.scenario.options]
    keys.sort(key=lambda key: derive_seed(context.seed, "poll", key))
    turn = number % len(keys)
    return tuple(keys[turn:] + keys[:turn])


def _act(task: Task, state: State, context: Context) -> ChooseOption:
    return ChooseOption(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        transcript=turns_of(state),
        order=_order(context, int(task["about"])),
    )


def _settle(state: State, context: Context, round: int) -> Update:
    # The choices and their likelihoods are read from the record: nothing is kept twice.
    return Update()
