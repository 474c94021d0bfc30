"""Where a moral graph contradicts itself: cycles of kept edges, and judges who said both."""

from collections.abc import Iterable
from typing import NamedTuple

import networkx as nx

from multiplex.moral_graph.graph import MoralGraph, to_networkx
from multiplex.moral_graph.judgements import Judgement

__all__ = ["Cycle", "SelfContradiction", "cycles", "self_contradictions"]


class Cycle(NamedTuple):
    """Values that all lead to one another over kept edges, sorted, and one way around through some of them."""

    values: tuple[str, ...]
    example: tuple[str, ...]


class SelfContradiction(NamedTuple):
    """A judge who said in one context that each of two cards is wiser than the other."""

    judge: str
    one: str
    other: str
    context: str


def cycles(graph: MoralGraph) -> tuple[Cycle, ...]:
    """Return the strongly connected components of kept edges with two values or more, contexts pooled.

    Their number is at most half that of the values, where that of the single cycles can be exponential; so each
    component comes with one cycle as its example. An empty result means that the kept edges order the values.
    Linear in values and edges, but for sorting.
    """
    digraph = to_networkx(graph)
    found = []
    for component in nx.strongly_connected_components(digraph):
        if len(component) > 1:
            around = nx.find_cycle(digraph.subgraph(sorted(component)), min(component))
            found.append(Cycle(tuple(sorted(component)), tuple(step[0] for step in around)))
    return tuple(sorted(found))


def self_contradictions(judgements: Iterable[Judgement]) -> tuple[SelfContradiction, ...]:
    """Return every judge, pair and context with a `wiser` both ways, sorted; `one` sorts before `other`."""
    said = {
        (each.judge, each.source, each.wiser, each.context) for each in judgements if each.verdict == "wiser"
    }
    return tuple(
        sorted(
            SelfContradiction(judge, source, wiser, context)
            for judge, source, wiser, context in said
            if source < wiser and (judge, wiser, source, context) in said
        )
    )
