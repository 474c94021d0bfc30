"""Articulate: every persona puts what it cares about into values cards, before it sees other cards."""

from multiplex.acts import ArticulateValue
from multiplex.content.protocols import Articulate
from multiplex.deliberation.stages.step import Step, ask_panel, last_round, replies
from multiplex.deliberation.state import Context, State, Task, Update, turns_of
from multiplex.moral_graph.cards import ValuesCard

__all__ = ["steps"]

_LABEL = "articulate.card"


def steps(stage: Articulate) -> list[Step]:
    """Return the stage's one step, asked once for every card that a persona is to write."""

    def again(state: State, context: Context) -> str | None:
        return _LABEL if last_round(state, _LABEL) < stage.cards else None

    return [
        Step(
            stage=stage.name,
            name="card",
            tasks=lambda state, context: ask_panel(state, context, last_round(state, _LABEL) + 1),
            act=_act,
            settle=_settle,
            reads=("turns", "cards"),
            again=again,
            back=(_LABEL,),
        )
    ]


def _act(task: Task, state: State, context: Context) -> ArticulateValue:
    cards = [ValuesCard.model_validate(card) for card in state.get("cards", [])]
    return ArticulateValue(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        transcript=turns_of(state),
        earlier=tuple(card for card in cards if card.authors == (task["speaker"],)),
    )


def _settle(state: State, context: Context, round: int) -> Update:
    cards = []
    for result, reply in replies(state, _LABEL, round):
        persona = context.persona(result["speaker"])
        keys = {c.key: c for c in persona.commitments}
        source = keys.get(reply["commitment"] or "")
        cards.append(
            ValuesCard(
                id=f"{persona.name}.{round}",
                title=reply["title"],
                description=reply["description"],
                policies=reply["policies"],
                schwartz=reply["schwartz"],
                context=context.scenario.setting,
                authors=(persona.name,),
                sources=(str(source.source),) if source else (),
            ).model_dump(mode="json")
        )
    return Update(cards=cards)
