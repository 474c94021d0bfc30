"""Moral graphs put together, and walked."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import networkx as nx

from multiplex.errors import near_miss
from multiplex.moral_graph.across import Unions, same_words
from multiplex.moral_graph.cards import ValuesCard, merge_cards
from multiplex.moral_graph.edges import Edge, Thresholds
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Transition

__all__ = [
    "Hop",
    "MergedGraph",
    "Part",
    "ValuePath",
    "merge_graphs",
    "paths",
    "qualified",
]


@dataclass(frozen=True, slots=True)
class Part:
    """What one run brings to a merged graph; `name` tells it from the others, and `run` is its id, if known."""

    name: str
    cards: Sequence[ValuesCard]
    judgements: Sequence[Judgement]
    transitions: Sequence[Transition] = ()
    run: str = ""


class MergedGraph(NamedTuple):
    """The graph of many runs, and what it was made from.

    `aliases` holds the survivor of every qualified id, those that survive included. `inner` counts the
    judgements left out because the cards on both of their ends became one, `repeated` those left out because
    an earlier part holds those of their run.
    """

    graph: MoralGraph
    judgements: tuple[Judgement, ...]
    transitions: tuple[Transition, ...]
    aliases: dict[str, str]
    inner: int
    repeated: int


class Hop(NamedTuple):
    """One step of a path: the strongest kept edge of the pair, and all contexts in which it is kept."""

    source: str
    wiser: str
    likelihood: float | None
    contexts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValuePath:
    """The strongest chain of kept edges; without one, the reason. `strength` is the product of likelihoods."""

    hops: tuple[Hop, ...]
    strength: float | None
    reason: str | None = None


def qualified(name: str, id_: str) -> str:
    """Return the id that a card or transition of a run has in a merged graph."""
    return f"{name}/{id_}"


def merge_graphs(
    parts: Sequence[Part],
    groups: Iterable[Iterable[str]] = (),
    *,
    thresholds: Thresholds | None = None,
    level: float = 0.95,
) -> MergedGraph:
    """Make one graph of the cards and judgements of many runs.

    Every id becomes `qualified` by its part's name. Cards with the same title and policies, in the same order,
    are one value, whatever their contexts and parts; beyond that those of each of `groups` (qualified ids) are,
    and groups that share a card are one group. A group makes no two cards of one part one: it kept them apart.
    The first card survives (`merge_cards`). Judgements follow their cards, keep judge and context, and are
    aggregated anew under `thresholds` (the default is that of the profile `multiplex`); a judgement between
    cards that became one is left out and counted. The judgements of one run (`Judgement.run`, or else that of
    the part) count once, however many parts hold them; where no run is known, each part is one of its own. In
    which order the parts come decides which card survives, and nothing else.

    Raises ValueError where two parts share a name, two cards of a part an id, a group names an unknown id or
    makes two cards of a part one, or a judgement names an unknown card.
    """
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ValueError(f"two parts have the name {max(names, key=names.count)!r}")
    cards = [
        card.model_copy(update={"id": qualified(part.name, card.id)}) for part in parts for card in part.cards
    ]
    words = same_words(zip((part.name for part in parts for _ in part.cards), cards, strict=True))
    row_of = {id_: row for row, each in enumerate(words) for id_ in each.ids}
    joined = Unions(each.owners for each in words)
    for group in groups:
        ids = list(group)
        for id_ in ids:
            if id_ not in row_of:
                raise ValueError(f"no card has the id {id_!r}; {near_miss(id_, row_of)}")
        for one, other in pairwise(ids):
            if not joined.join(row_of[one], row_of[other]):
                raise ValueError(
                    f"{one!r} and {other!r} cannot be one value: two cards that one part kept apart would be"
                )
    groups_of_ids = ([id_ for row in rows for id_ in words[row].ids] for rows in joined.members.values())
    left, aliases = merge_cards(cards, groups_of_ids)

    judgements, transitions, inner, repeated = [], [], 0, 0
    heard: set[str] = set()
    for part in parts:
        again: set[str] = set()
        runs = {judgement.run or part.run for judgement in part.judgements}
        for judgement in part.judgements:
            run = judgement.run or part.run
            if run in heard:
                repeated += 1
                again.add(judgement.transition)
                continue
            ends = _ends(judgement, part.name, aliases)
            if ends["source"] == ends["wiser"]:
                inner += 1
                continue
            case = qualified(part.name, judgement.transition) if judgement.transition else ""
            judgements.append(judgement.model_copy(update={**ends, "transition": case, "run": run}))
        heard |= runs - {""}
        for transition in part.transitions:
            ends = _ends(transition, part.name, aliases)
            if ends["source"] != ends["wiser"] and transition.id not in again:
                new = {**ends, "id": qualified(part.name, transition.id)}
                transitions.append(transition.model_copy(update=new))
    rules = (thresholds or Thresholds()).model_dump()
    graph = aggregate(left, judgements, level=level, **rules)
    return MergedGraph(graph, tuple(judgements), tuple(transitions), aliases, inner, repeated)


def _ends(move: Judgement | Transition, name: str, aliases: dict[str, str]) -> dict[str, str]:
    ends = {}
    for end, id_ in (("source", move.source), ("wiser", move.wiser)):
        if qualified(name, id_) not in aliases:
            raise ValueError(f"part {name!r}: a move names the card {id_!r}, which is not there")
        ends[end] = aliases[qualified(name, id_)]
    return ends


def paths(graph: MoralGraph, start: str, end: str) -> ValuePath:
    """Return the strongest chain of kept edges from one value to a wiser one.

    A hop costs -log(likelihood), so that the path is the one whose product of likelihoods, in (0, 1], is
    greatest; of equal ones the one with fewer hops. That product orders paths and is no probability: a chain
    of "wiser than" was judged hop by hop, and nobody said that its ends are. Where a pair is kept in several
    contexts its greatest likelihood counts; a pair whose greatest is 0 or below, which no threshold keeps, is no
    hop. An asserted edge that nobody judged counts 1 and has no likelihood. From a value to itself there are no
    hops, and the strength is 1. Cycles do no harm.

    Raises ValueError where no value has the id.
    """
    known = {card.id for card in graph.values}
    for id_ in (start, end):
        if id_ not in known:
            raise ValueError(f"no value has the id {id_!r}; {near_miss(id_, known)}")
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(known)
    kept: dict[tuple[str, str], list[Edge]] = {}
    for edge in graph.edges:
        if edge.kept:
            kept.setdefault((edge.source, edge.wiser), []).append(edge)
    for (source, wiser), edges in kept.items():
        if (weight := max(map(_weight, edges))) > 0:
            # A little for every hop, so that a detour over certain edges is no tie.
            digraph.add_edge(source, wiser, cost=1e-9 - math.log(weight))
    try:
        nodes = nx.dijkstra_path(digraph, start, end, weight="cost")
    except nx.NetworkXNoPath:
        back = ", but there is one the other way" if nx.has_path(digraph, end, start) else ""
        flat = len(kept) - digraph.number_of_edges()
        no_hop = f"; {flat} kept at a likelihood of 0 or below are no hops" if flat else ""
        return ValuePath((), None, f"no chain of kept edges leads from {start!r} to {end!r}{back}{no_hop}")
    hops = tuple(_hop(kept[pair]) for pair in pairwise(nodes))
    strength = math.prod(1.0 if hop.likelihood is None else hop.likelihood for hop in hops)
    return ValuePath(hops, strength)


def _weight(edge: Edge) -> float:
    return 1.0 if edge.likelihood is None else edge.likelihood


def _hop(edges: Sequence[Edge]) -> Hop:
    best = max(edges, key=_weight)
    contexts = dict.fromkeys(context for edge in edges for context in edge.contexts)
    return Hop(best.source, best.wiser, best.likelihood, tuple(contexts))
