"""Which values the panel finds wisest."""

from dataclasses import dataclass

import networkx as nx

from multiplex.moral_graph.graph import MoralGraph, to_networkx

__all__ = ["Winner", "Winners", "winning_values"]


@dataclass(frozen=True, slots=True)
class Winner:
    """A value with its scores; ranks start at 1 and ties share the better rank."""

    id: str
    title: str
    pagerank: float
    likelihood_sum: float
    rank: int
    likelihood_rank: int


@dataclass(frozen=True, slots=True)
class Winners:
    """Values from the wisest on; where there are none, the reason."""

    values: tuple[Winner, ...]
    reason: str | None = None


def winning_values(graph: MoralGraph, *, damping: float = 0.85) -> Winners:
    """Rank the endpoints of kept edges by weighted PageRank and by summed incoming likelihood.

    Rank flows from source to wiser, in proportion to likelihood. PageRanks lie in (0, 1) and add up
    to 1, because a value that nothing improves on passes its mass on to all (networkx); the published
    code lets that mass leak. `rank` follows PageRank, `likelihood_rank` the sum: the two can name
    different winners, so both are given. Undefined, with a reason, where no edge is kept.
    """
    digraph = to_networkx(graph)
    if not digraph:
        judged = sum(edge.likelihood is not None for edge in graph.edges)
        why = f"none of {judged} judged edges passed the thresholds" if judged else "no transition was judged"
        return Winners((), f"no edge was kept: {why}")
    # Rounding makes ties of values that differ only by the last bits of the iteration.
    pagerank = {id_: round(score, 9) for id_, score in _pagerank(digraph, damping).items()}
    likelihood = {id_: round(float(score), 9) for id_, score in digraph.in_degree(weight="weight")}
    winners = [
        Winner(
            id=id_,
            title=data["title"],
            pagerank=pagerank[id_],
            likelihood_sum=likelihood[id_],
            rank=1 + sum(other > pagerank[id_] for other in pagerank.values()),
            likelihood_rank=1 + sum(other > likelihood[id_] for other in likelihood.values()),
        )
        for id_, data in digraph.nodes(data=True)
    ]
    return Winners(
        tuple(sorted(winners, key=lambda winner: (winner.rank, winner.likelihood_rank, winner.id)))
    )


def _pagerank(digraph: "nx.DiGraph[str]", damping: float) -> dict[str, float]:
    scores = nx.pagerank(digraph, alpha=damping, weight="weight", tol=1e-12, max_iter=1000)
    return {id_: float(score) for id_, score in scores.items()}
