"""Moral graphs held against each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import Edge
from multiplex.moral_graph.graph import MoralGraph
from multiplex.moral_graph.pooling import pooled

__all__ = ["Changed", "Difference", "difference"]

T = TypeVar("T", ValuesCard, Edge)

_NOT_ACROSS = (
    "which edges are kept, and their entropy: each profile has its own rule",
    "what was judged in a single context: one of the graphs pools them, so both are compared pooled",
    "abstentions: the published shape has none",
)


class Changed(NamedTuple, Generic[T]):
    """One thing that two graphs have both, and not the same: what it was, and what it is."""

    before: T
    after: T


@dataclass(frozen=True, slots=True)
class Difference:
    """What the other graph has more, what less, and what otherwise; and what could not be compared."""

    cards_added: tuple[ValuesCard, ...]
    cards_removed: tuple[ValuesCard, ...]
    cards_changed: tuple[Changed[ValuesCard], ...]
    edges_added: tuple[Edge, ...]
    edges_removed: tuple[Edge, ...]
    edges_changed: tuple[Changed[Edge], ...]
    not_compared: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is a difference."""
        return bool(
            self.cards_added
            or self.cards_removed
            or self.cards_changed
            or self.edges_added
            or self.edges_removed
            or self.edges_changed
        )


def difference(one: MoralGraph, other: MoralGraph) -> Difference:
    """Say what `other` has more than `one`, what less, and what otherwise.

    Cards are the same by id, and changed where any field is; edges are the same by pair and, where contexts are
    kept apart, context, and changed where `kept` or the likelihood is (by more than 1e-9). Everything is sorted
    as in the graphs. An edge that only verdicts on the reversed move made (profile `dft`) is passed over.

    Of graphs of different profiles, that of `multiplex` is pooled over its contexts, and edges are changed where
    their contexts or one of the four counts of verdicts is; the rest is named in `not_compared`.
    """
    across = one.thresholds.profile != other.thresholds.profile
    one_a_pair = across or one.thresholds.profile == "dft"
    changed = _told_otherwise if across else _kept_otherwise
    cards = [{card.id: card for card in graph.values} for graph in (one, other)]
    edges = [
        {
            (edge.source, edge.wiser, () if one_a_pair else edge.contexts): edge
            for edge in _edges(graph, across)
        }
        for graph in (one, other)
    ]
    return Difference(
        cards_added=tuple(card for id_, card in cards[1].items() if id_ not in cards[0]),
        cards_removed=tuple(card for id_, card in cards[0].items() if id_ not in cards[1]),
        cards_changed=tuple(
            Changed(card, cards[1][id_])
            for id_, card in cards[0].items()
            if id_ in cards[1] and card.model_dump() != cards[1][id_].model_dump()
        ),
        edges_added=tuple(edge for key, edge in edges[1].items() if key not in edges[0]),
        edges_removed=tuple(edge for key, edge in edges[0].items() if key not in edges[1]),
        edges_changed=tuple(
            Changed(edge, edges[1][key])
            for key, edge in edges[0].items()
            if key in edges[1] and changed(edge, edges[1][key])
        ),
        not_compared=_NOT_ACROSS if across else (),
    )


def _edges(graph: MoralGraph, across: bool) -> Sequence[Edge]:
    edges = pooled(graph).edges if across else graph.edges
    # What only stands there because of its reverse says nothing that the reverse does not say.
    return [edge for edge in edges if edge.counts.asked or not edge.counts.impressions]


def _told_otherwise(one: Edge, other: Edge) -> bool:
    counts = [(c.wiser, c.not_wiser, c.less_wise, c.unsure) for c in (one.counts, other.counts)]
    return counts[0] != counts[1] or one.contexts != other.contexts


def _kept_otherwise(one: Edge, other: Edge) -> bool:
    if one.kept != other.kept or (one.likelihood is None) != (other.likelihood is None):
        return True
    # A comparison with NaN is false: what is no number is never the same.
    return not abs((one.likelihood or 0.0) - (other.likelihood or 0.0)) <= 1e-9
