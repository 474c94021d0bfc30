"""Compare: duplicates are merged, wiser values are proposed, and every persona judges them."""

from multiplex.acts import JudgeTransition, MergeCards, ProposeTransition
from multiplex.content.protocols import Compare
from multiplex.deliberation.stages.step import Step, replies, with_position
from multiplex.deliberation.state import Context, State, Task, Update
from multiplex.moral_graph.cards import ValuesCard, merge_cards
from multiplex.moral_graph.judgements import Transition
from multiplex.seeds import derive_seed

__all__ = ["steps"]


def steps(stage: Compare) -> list[Step]:
    """Return the stage's three steps: merge, propose, judge."""

    def judges(state: State, context: Context) -> list[Task]:
        return _assign(state, context, stage.pairs_per_persona)

    return [
        Step(stage.name, "merge", _to_merge, _merge, _merged, reads=("cards",)),
        Step(stage.name, "propose", _to_propose, _propose, _proposed, reads=("values",)),
        Step(stage.name, "judge", judges, _judge, _judged, reads=("values", "transitions")),
    ]


def _cards(entries: list[dict[str, object]]) -> tuple[ValuesCard, ...]:
    return tuple(ValuesCard.model_validate(card) for card in entries)


def _to_merge(state: State, context: Context) -> list[Task]:
    return [Task(speaker="moderator", round=1, about="")] if len(state.get("cards", [])) > 1 else []


def _merge(task: Task, state: State, context: Context) -> MergeCards:
    return MergeCards(scenario=context.scenario, cards=_cards(state["cards"]))


def _merged(state: State, context: Context, round: int) -> Update:
    # Where the moderator gave no usable reply, nothing is merged: two cards too many beat one lost.
    found = replies(state, "compare.merge", round)
    groups = found[0][1]["groups"] if found else []
    merged = merge_cards(_cards(state.get("cards", [])), groups)
    return Update(values=[card.model_dump(mode="json") for card in merged.cards], aliases=merged.aliases)


def _to_propose(state: State, context: Context) -> list[Task]:
    values = state.get("values", [])
    if len(values) < 2:
        return []
    return [Task(speaker="moderator", round=1, about=value["id"]) for value in values]


def _propose(task: Task, state: State, context: Context) -> ProposeTransition:
    values = _cards(state["values"])
    return ProposeTransition(
        scenario=context.scenario,
        card=next(card for card in values if card.id == task["about"]),
        others=tuple(card for card in values if card.id != task["about"]),
    )


def _proposed(state: State, context: Context, round: int) -> Update:
    transitions = [
        Transition(
            id=f"t{number}",
            source=result["about"],
            wiser=reply["to"],
            about=reply["about"],
            story=reply["story"],
            context=context.scenario.setting,
            proposer="moderator",
        ).model_dump(mode="json")
        for number, (result, reply) in enumerate(replies(state, "compare.propose", round), start=1)
    ]
    return Update(transitions=transitions)


def _assign(state: State, context: Context, most: int) -> list[Task]:
    """Give every persona with a position up to `most` transitions, so that all transitions get about as many judges.

    The order is shuffled for each persona; the two directions of a pair never go to the same one.
    """
    transitions = [Transition.model_validate(entry) for entry in state.get("transitions", [])]
    load = dict.fromkeys((t.id for t in transitions), 0)
    tasks = []
    for name in with_position(state, context):
        shuffled = sorted(transitions, key=lambda t: derive_seed(context.seed, "assign", name, t.id))
        shuffled.sort(key=lambda t: load[t.id])
        taken: set[frozenset[str]] = set()
        for transition in shuffled:
            pair = frozenset((transition.source, transition.wiser))
            if len(taken) < most and pair not in taken:
                taken.add(pair)
                load[transition.id] += 1
                tasks.append(Task(speaker=name, round=1, about=transition.id))
    return tasks


def _judge(task: Task, state: State, context: Context) -> JudgeTransition:
    transition = next(
        t for t in map(Transition.model_validate, state["transitions"]) if t.id == task["about"]
    )
    cards = {card.id: card for card in _cards(state["values"])}
    return JudgeTransition(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        transition=transition,
        source=cards[transition.source],
        wiser=cards[transition.wiser],
    )


def _judged(state: State, context: Context, round: int) -> Update:
    # Judgements, abstentions among them, are read from the record: nothing is kept twice.
    return Update()
