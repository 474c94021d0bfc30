"""A graph that keeps contexts apart, put under the published rule, which pools them."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from multiplex.moral_graph.edges import PROFILES, Counts, Edge
from multiplex.moral_graph.graph import MoralGraph

__all__ = ["pooled", "pooled_counts"]


def pooled(graph: MoralGraph, *, level: float = 0.95) -> MoralGraph:
    """Return the graph that `aggregate` would make under the profile `dft` of the same judgements.

    Every edge has the counts of all contexts together and is kept by the published thresholds, whatever those of
    the graph are; one that was asserted and judged by nobody stays as it is. A graph of the profile `dft` is
    returned as it is. `level` is the confidence of the intervals.
    """
    if graph.thresholds.profile == "dft":
        return graph
    of: defaultdict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        of[edge.source, edge.wiser].append(edge)
    reverses = {pair[::-1] for pair, edges in of.items() if any(map(_has_verdicts, edges))}
    edges = tuple(
        _pooled(pair, of.get(pair, []), of.get(pair[::-1], []), level)
        for pair in sorted(reverses | of.keys())
    )
    return MoralGraph(values=graph.values, edges=edges, thresholds=PROFILES["dft"])


def pooled_counts(edges: Sequence[Edge], reverse: Sequence[Edge]) -> Counts:
    """Return the counts of a move over all contexts; the reversed move may have been judged in others."""
    tally, back = _verdicts(edges), _verdicts(reverse)
    return Counts(
        wiser=tally["wiser"],
        not_wiser=tally["not_wiser"],
        less_wise=back["wiser"],
        unsure=tally["unsure"],
        abstained=sum(edge.counts.abstained for edge in edges),
        impressions=tally.total() + back.total(),
    )


def _pooled(pair: tuple[str, str], there: Sequence[Edge], back: Sequence[Edge], level: float) -> Edge:
    counts, rules = pooled_counts(there, back), PROFILES["dft"]
    judged_in = {context for edge in (*there, *back) if _has_verdicts(edge) for context in edge.contexts}
    asked_in = {context for edge in there for context in edge.contexts}
    return Edge(
        source=pair[0],
        wiser=pair[1],
        contexts=tuple(sorted(judged_in or asked_in)),
        counts=counts,
        likelihood=counts.likelihood,
        interval=counts.interval(level),
        entropy=counts.entropy("dft"),
        kept=rules.keep(counts) if counts.total else any(edge.kept for edge in there),
        supporters=tuple(sorted({judge for edge in there for judge in edge.supporters})),
        transitions=tuple(sorted({case for edge in there for case in edge.transitions})),
    )


def _has_verdicts(edge: Edge) -> bool:
    return edge.counts.total > edge.counts.less_wise


def _verdicts(edges: Sequence[Edge]) -> Counter[str]:
    names = ("wiser", "not_wiser", "unsure")
    return Counter({name: sum(getattr(edge.counts, name) for edge in edges) for name in names})
