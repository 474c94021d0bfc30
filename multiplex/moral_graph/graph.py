"""From judgements to a moral graph."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import networkx as nx
from pydantic import BaseModel, ConfigDict

from multiplex.errors import near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import Counts, Edge, Thresholds
from multiplex.moral_graph.judgements import Judgement

__all__ = ["MoralGraph", "aggregate", "to_networkx"]


class MoralGraph(BaseModel):
    """Values sorted by id, every judged edge sorted by source, wiser and context, and the thresholds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: tuple[ValuesCard, ...]
    edges: tuple[Edge, ...]
    thresholds: Thresholds


def aggregate(
    cards: Iterable[ValuesCard],
    judgements: Iterable[Judgement],
    *,
    min_wiser: int = 2,
    min_likelihood: float = 0.33,
    max_entropy: float = 1.5,
) -> MoralGraph:
    """Count the judgements on every ordered pair and context that was asked about.

        total      = wiser + not_wiser + unsure + less_wise          (abstentions are kept apart)
        likelihood = (wiser - less_wise) / total
        entropy    = Shannon, base 2, over these four counts
        kept       = wiser >= min_wiser and likelihood >= min_likelihood and entropy <= max_entropy

    Where total is 0, likelihood and entropy are None and the edge is not kept. Edges that are not kept
    stay in the graph. A reversed judgement lowers an edge; it does not create one. The order of cards
    and judgements does not matter.

    After dft and values-tools (see arXiv 2404.10636), with two departures: contexts are not pooled,
    and impressions are left out of the entropy, which brings its threshold from 1.69 to 1.5.

    Raises ValueError where a threshold is out of range, two cards share an id, or a judgement names no card.
    """
    thresholds = Thresholds(min_wiser=min_wiser, min_likelihood=min_likelihood, max_entropy=max_entropy)
    values = tuple(sorted(cards, key=lambda card: card.id))
    known = {card.id for card in values}
    if len(known) != len(values):
        raise ValueError("two cards have the same id; merge them first")

    asked: defaultdict[tuple[str, str, str], list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        for id_ in (judgement.source, judgement.wiser):
            if id_ not in known:
                raise ValueError(f"a judgement names the card {id_!r}; {near_miss(id_, known)}")
        asked[judgement.source, judgement.wiser, judgement.context].append(judgement)

    edges = []
    for (source, wiser, context), given in sorted(asked.items()):
        reverse = asked.get((wiser, source, context), [])
        edges.append(_edge(source, wiser, context, given, reverse, thresholds))
    return MoralGraph(values=values, edges=tuple(edges), thresholds=thresholds)


def _edge(
    source: str,
    wiser: str,
    context: str,
    given: Sequence[Judgement],
    reverse: Sequence[Judgement],
    thresholds: Thresholds,
) -> Edge:
    verdicts = [judgement.verdict for judgement in given]
    counts = Counts(
        wiser=verdicts.count("wiser"),
        not_wiser=verdicts.count("not_wiser"),
        less_wise=sum(judgement.verdict == "wiser" for judgement in reverse),
        unsure=verdicts.count("unsure"),
        abstained=verdicts.count("abstained"),
        impressions=len(verdicts),
    )
    likelihood, entropy = counts.likelihood, counts.entropy
    return Edge(
        source=source,
        wiser=wiser,
        context=context,
        counts=counts,
        likelihood=likelihood,
        entropy=entropy,
        kept=likelihood is not None
        and entropy is not None
        and counts.wiser >= thresholds.min_wiser
        and likelihood >= thresholds.min_likelihood
        and entropy <= thresholds.max_entropy,
        supporters=tuple(sorted({judgement.judge for judgement in given if judgement.verdict == "wiser"})),
        transitions=tuple(sorted({judgement.transition for judgement in given})),
    )


def to_networkx(graph: MoralGraph, *, kept_only: bool = True) -> "nx.DiGraph[str]":
    """Return the graph with one edge a pair, from source to wiser: `weight`, `contexts` and `kept`.

    The weight is the sum of the likelihoods over contexts: a value found wiser in two contexts counts
    twice. With `kept_only`, the nodes are the endpoints of kept edges, as in the published code, and
    weights are positive; otherwise all values are nodes, weights may be negative, and an edge on which
    nobody gave a verdict is left out. Nodes carry `title`.
    """
    titles = {card.id: card.title for card in graph.values}
    digraph: nx.DiGraph[str] = nx.DiGraph()
    if not kept_only:
        digraph.add_nodes_from((id_, {"title": title}) for id_, title in titles.items())
    for edge in graph.edges:
        if edge.likelihood is None or (kept_only and not edge.kept):
            continue
        for id_ in (edge.source, edge.wiser):
            digraph.add_node(id_, title=titles[id_])
        before = digraph.get_edge_data(
            edge.source, edge.wiser, {"weight": 0.0, "contexts": (), "kept": False}
        )
        digraph.add_edge(
            edge.source,
            edge.wiser,
            weight=before["weight"] + edge.likelihood,
            contexts=(*before["contexts"], edge.context),
            kept=before["kept"] or edge.kept,
        )
    return digraph
