"""Exchange: personas answer one another until positions stop moving or the rounds are used up."""

from multiplex.acts import Respond, Turn
from multiplex.content.protocols import Exchange
from multiplex.deliberation.stages.step import Step, ask_panel, last_round, replies, shares
from multiplex.deliberation.state import Context, State, Task, Update, turns_of
from multiplex.scoring.entropy import total_variation

__all__ = ["steps"]

_LABEL = "exchange.reply"


def steps(stage: Exchange) -> list[Step]:
    """Return the stage's one step, which leads to itself until nobody moves."""

    def again(state: State, context: Context) -> str | None:
        played = last_round(state, _LABEL)
        return _LABEL if played < stage.rounds and _moved(state, played, stage.still) else None

    return [
        Step(
            stage=stage.name,
            name="reply",
            tasks=lambda state, context: ask_panel(state, context, last_round(state, _LABEL) + 1),
            act=_act,
            settle=_settle,
            reads=("turns",),
            again=again,
            back=(_LABEL,),
        )
    ]


def _act(task: Task, state: State, context: Context) -> Respond:
    return Respond(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        transcript=turns_of(state),
        round=task["round"],
    )


def _settle(state: State, context: Context, round: int) -> Update:
    turns = [
        Turn(
            speaker=result["speaker"],
            label=context.persona(result["speaker"]).label,
            round=round,
            statement=reply["statement"],
            concedes=reply["concedes"],
            objects=reply["objects"],
            stance=shares(reply["stance"]),
            moved=reply["moved"],
        ).model_dump(mode="json")
        for result, reply in replies(state, _LABEL, round)
    ]
    return Update(turns=turns)


def _moved(state: State, round: int, still: float) -> bool:
    """Tell whether anyone says to have moved in a round, or has shifted its stance by more than `still`."""
    for now in turns_of(state):
        if now.round != round:
            continue
        if now.moved:
            return True
        earlier = [turn.stance for turn in turns_of(state, now.speaker) if turn.round < round and turn.stance]
        if earlier and earlier[-1] and now.stance:
            before, keys = earlier[-1], sorted({*earlier[-1], *now.stance})
            if (
                total_variation([before.get(k, 0.0) for k in keys], [now.stance.get(k, 0.0) for k in keys])
                > still
            ):
                return True
    return False
