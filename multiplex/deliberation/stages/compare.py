"""Compare: duplicates are merged, wiser values are proposed, and every persona judges them.

For merging, cards are embedded and clustered, however many there are: the moderator is shown those that lie
near to one another, all clusters in one request while they fit. For proposing it is shown, with each card, the
best candidates. Where nothing can be embedded, it is shown all cards.
"""

from collections.abc import Sequence

from multiplex.acts import JudgeTransition, MergeCards, ProposeTransition
from multiplex.content.protocols import Compare
from multiplex.deliberation.stages.step import Step, replies, with_position
from multiplex.deliberation.state import Context, Plain, State, Task, Update
from multiplex.embedding import Vectors
from multiplex.errors import ModelError
from multiplex.moral_graph.candidates import candidate_pairs
from multiplex.moral_graph.cards import ValuesCard, merge_cards
from multiplex.moral_graph.judgements import PolicyMapping, Transition
from multiplex.moral_graph.merging import card_text, clusters
from multiplex.seeds import derive_seed

__all__ = ["MOST_CANDIDATES", "steps"]

_MOST_AT_ONCE = 24
"""How many cards one request shows comfortably."""

MOST_CANDIDATES = 5
"""How many cards a wiser one is chosen from, where texts can be embedded."""

_DISTANCE = 0.3
"""The cosine distance up to which cards are neighbours: the published one."""

_CLOSEST = 0.01
"""The distance below which cards count as one text, however many they are."""


def steps(stage: Compare) -> list[Step]:
    """Return the stage's four steps: group, which asks nobody, merge, propose and judge."""

    def judges(state: State, context: Context) -> list[Task]:
        return _assign(state, context, stage.pairs_per_persona)

    return [
        Step(stage.name, "group", _nobody, _merge, _grouped, embeds=True),
        Step(stage.name, "merge", _to_merge, _merge, _merged, reads=("cards", "groups"), embeds=True),
        Step(stage.name, "propose", _to_propose, _propose, _proposed, reads=("values", "shortlists")),
        Step(stage.name, "judge", judges, _judge, _judged, reads=("values", "transitions")),
    ]


def _cards(entries: list[dict[str, object]]) -> tuple[ValuesCard, ...]:
    return tuple(ValuesCard.model_validate(card) for card in entries)


def _nobody(state: State, context: Context) -> list[Task]:
    return []


def _embedded(cards: Sequence[ValuesCard], context: Context) -> Vectors | None:
    """Return a row a card, or None where nothing is embedded or the embedding model is not at hand."""
    if context.embed is None:
        return None
    try:
        return context.embed([card_text(card) for card in cards])
    except ModelError as error:
        if error.kind != "embedding":
            raise
        return None


def _grouped(state: State, context: Context, round: int) -> Update:
    cards = _cards(state.get("cards", []))
    if len(cards) < 2 or (vectors := _embedded(cards, context)) is None:
        return Update()
    groups = _groups(vectors, list(range(len(cards))), _DISTANCE)
    return Update(groups=[[cards[index].id for index in group] for group in groups])


def _groups(vectors: Vectors, rows: list[int], distance: float) -> list[list[int]]:
    """Return clusters, none larger than one request shows: a larger one is clustered more closely."""
    parts: list[list[int]] = []
    for found in clusters(vectors[rows], distance=distance):
        group = [rows[index] for index in found]
        if len(group) <= _MOST_AT_ONCE:
            parts.append(group)
        elif distance > _CLOSEST:
            parts += _groups(vectors, group, distance * 0.8)
        else:  # as good as one text: any division will do
            starts = range(0, len(group), _MOST_AT_ONCE)
            parts += [part for start in starts if len(part := group[start : start + _MOST_AT_ONCE]) > 1]
    return sorted(parts)


def _requests(groups: Sequence[list[str]]) -> list[list[list[str]]]:
    """Return the clusters in order, as many to a request as it shows comfortably."""
    requests: list[list[list[str]]] = []
    shown = 0
    for group in groups:
        shown += len(group)
        if not requests or shown > _MOST_AT_ONCE:
            requests.append([])
            shown = len(group)
        requests[-1].append(group)
    return requests


def _to_merge(state: State, context: Context) -> list[Task]:
    if "groups" in state:
        about = [request[0][0] for request in _requests(state["groups"])]
        return [Task(speaker="moderator", round=1, about=first) for first in about]
    return [Task(speaker="moderator", round=1, about="")] if len(state.get("cards", [])) > 1 else []


def _merge(task: Task, state: State, context: Context) -> MergeCards:
    cards = _cards(state["cards"])
    if not task["about"]:
        return MergeCards(scenario=context.scenario, cards=cards)
    clusters = next(each for each in _requests(state["groups"]) if each[0][0] == task["about"])
    shown = {id_ for cluster in clusters for id_ in cluster}
    return MergeCards(
        scenario=context.scenario,
        cards=tuple(card for card in cards if card.id in shown),
        clusters=tuple(map(tuple, clusters)),
    )


def _merged(state: State, context: Context, round: int) -> Update:
    # Where the moderator gave no usable reply, nothing is merged: two cards too many beat one lost.
    same = [group for _, reply in replies(state, "compare.merge", round) for group in reply["groups"]]
    merged = merge_cards(_cards(state.get("cards", [])), same)
    update = Update(values=[card.model_dump(mode="json") for card in merged.cards], aliases=merged.aliases)
    many = len(merged.cards) > MOST_CANDIDATES + 1
    if many and (vectors := _embedded(merged.cards, context)) is not None:
        seed = derive_seed(context.seed, "shortlist")
        shortlists: dict[str, list[str]] = {}
        # In one run nothing has been judged yet, so that sparsity is the same for every move: it acts where
        # judgements exist, as in merged graphs.
        for pair in candidate_pairs(merged.cards, vectors, most=MOST_CANDIDATES, seed=seed):
            shortlists.setdefault(pair.source, []).append(pair.wiser)
        update["shortlists"] = shortlists
    return update


def _to_propose(state: State, context: Context) -> list[Task]:
    values = state.get("values", [])
    if len(values) < 2:
        return []
    return [Task(speaker="moderator", round=1, about=value["id"]) for value in values]


def _propose(task: Task, state: State, context: Context) -> ProposeTransition:
    cards = {card.id: card for card in _cards(state["values"])}
    own = task["about"]
    # In the order of all cards: the first in a list is easily preferred, and the best candidate is no answer.
    open_to = set(state.get("shortlists", {}).get(own, cards)) - {own}
    others = tuple(card for card in cards.values() if card.id in open_to)
    # All of them, while they fit: they are the same for every card, and so computed once.
    shown = tuple(cards.values()) if len(cards) <= _MOST_AT_ONCE else ()
    return ProposeTransition(scenario=context.scenario, card=cards[own], others=others, shown=shown)


def _mapping(card: ValuesCard, reply: Plain) -> tuple[PolicyMapping, ...]:
    return tuple(
        PolicyMapping(policy=policy, **reply["mapping"][str(number)])
        for number, policy in enumerate(card.policies, start=1)
    )


def _proposed(state: State, context: Context, round: int) -> Update:
    cards = {card.id: card for card in _cards(state.get("values", []))}
    transitions = [
        Transition(
            id=f"t{number}",
            source=result["about"],
            wiser=reply["to"],
            about=reply["about"],
            story=reply["story"],
            context=context.scenario.setting,
            proposer="moderator",
            mapping=_mapping(cards[result["about"]], reply),
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
