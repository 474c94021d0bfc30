"""Which values the panel finds wisest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import networkx as nx
import numpy as np

from multiplex.errors import near_miss
from multiplex.moral_graph.bradley_terry import FEWEST, Outlier, bradley_terry
from multiplex.moral_graph.edges import Edge
from multiplex.moral_graph.graph import MoralGraph, to_networkx

__all__ = ["METHODS", "Compared", "Method", "Winner", "Winners", "comparisons", "winning_values"]

Method = Literal["pagerank", "dft_pagerank", "likelihood_sum", "bradley_terry"]

METHODS: dict[Method, str] = {
    "pagerank": "PageRank",
    "dft_pagerank": "PageRank as in dft",
    "likelihood_sum": "summed likelihood",
    "bradley_terry": "robust Bradley-Terry",
}
"""The four rankings, and what they are called in a sentence."""

_OUTLIER_PENALTY = 0.5
"""Best or near it with corrupted pairs in bench/moral_graph.py; sound ones lose a hundredth of Kendall's tau."""
_DFT_STEPS = 100
_NO_KEPT_EDGE = "ends no kept edge; Bradley-Terry alone ranks by verdicts on edges that were not kept"


@dataclass(frozen=True, slots=True)
class Winner:
    """A value at an end of a kept edge, with its four scores; ranks start at 1 and ties share the better rank.

    `rank` is by PageRank. `bradley_terry_rank` is the rank among all values of the `component` that were
    compared, `Winners.others` among them; components are counted from 1 with the largest first, and judgements
    say nothing of values in different ones.
    """

    id: str
    title: str
    pagerank: float
    likelihood_sum: float
    rank: int
    likelihood_rank: int
    dft_pagerank: float
    dft_rank: int
    bradley_terry: float
    bradley_terry_rank: int
    component: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A value at no end of a kept edge that was compared all the same: Bradley-Terry ranks it, and nothing else.

    Its other scores and ranks are None, for the `reason`.
    """

    id: str
    title: str
    bradley_terry: float
    bradley_terry_rank: int
    component: int
    reason: str
    pagerank: None = None
    likelihood_sum: None = None
    rank: None = None
    likelihood_rank: None = None
    dft_pagerank: None = None
    dft_rank: None = None


@dataclass(frozen=True, slots=True)
class Winners:
    """Values from the wisest on; where there are none, the reason.

    `values` are the ends of kept edges, which all methods rank; `others` were compared and end no kept edge, by
    component and Bradley-Terry rank. `winners` holds the ids that are first under each method: under
    Bradley-Terry in any component that has a kept edge, and that may be one of `others`. `warning` says who wins
    under which where no value is first under all of them. `outliers` are the pairs whose judgements contradict the
    Bradley-Terry scores, with the value that they favour as the winner. `bounded` is how many pairs have verdicts
    enough for Bradley-Terry to bound their influence; at 0 it is the plain fit.
    """

    values: tuple[Winner, ...]
    reason: str | None = None
    winners: Mapping[Method, tuple[str, ...]] = field(default_factory=dict)
    warning: str | None = None
    outliers: tuple[Outlier, ...] = ()
    others: tuple[Compared, ...] = ()
    bounded: int = 0

    @property
    def methods(self) -> Mapping[Method, str]:
        """What the rankings are called: Bradley-Terry is robust where it can be."""
        return METHODS if self.bounded else {**METHODS, "bradley_terry": "Bradley-Terry"}

    @property
    def caveats(self) -> Mapping[Method, str]:
        """Why a ranking is not called what it is called elsewhere."""
        why = f"no pair has the {FEWEST} verdicts that robustness needs"
        return {} if self.bounded else {"bradley_terry": why}


def winning_values(graph: MoralGraph, *, damping: float = 0.85, context: str | None = None) -> Winners:
    """Rank values in four ways, over all contexts or within one.

    The first three rank the ends of kept edges, the fourth all that were compared: a fit takes the verdicts on
    edges that were not kept into account, so that to rank only some of what it was fitted to could name a value
    that lost to one left out.

    - `pagerank`, weighted: rank flows from source to wiser, in proportion to likelihood. In (0, 1), adding up
      to 1, because a value that nothing improves on passes its mass on to all (networkx).
    - `dft_pagerank`, as published: the same without passing on, 100 steps from 1/N. In (0, 1), adding up to
      at most 1, because mass leaks. With the same damping it is `pagerank` times a constant, so the two
      differ in values and not in order, as long as 100 steps are enough.
    - `likelihood_sum`: summed likelihood of incoming kept edges, in [0, in-degree].
    - `bradley_terry`: natural log odds, mean 0 over a component; fitted to all `comparisons`, with bounded
      influence of every pair of five verdicts or more (see `bradley_terry`).

    With `context`, edges that were judged in it count, and no others. An edge that pools contexts counts in
    each of them with all of its judgements. Self-loops are left out: nothing is wiser than itself.
    Undefined, with a reason, where no edge is kept.

    Raises ValueError for a context in which nothing was judged, damping outside [0, 1), or a kept edge whose
    likelihood is not a finite number above 0.

    Sources: arXiv 2404.10636 and the code that it came with (meaningalignment/dft), for the first three;
    arXiv 2403.02745 for the fourth.
    """
    if not 0 <= damping < 1:
        raise ValueError(f"damping={damping!r}: needs to be at least 0 and below 1")
    chosen = _within(graph, context)
    for edge in chosen.edges:
        weight = 1.0 if edge.likelihood is None else edge.likelihood
        if edge.kept and not 0 < weight < math.inf:
            raise ValueError(
                f"the edge from {edge.source!r} to {edge.wiser!r} is kept with the likelihood {weight!r}: "
                "needs to be a finite number above 0"
            )
    digraph = to_networkx(chosen)
    if not digraph:
        judged = sum(edge.counts.judged for edge in chosen.edges)
        why = f"none of {judged} judged edges passed the thresholds" if judged else "no transition was judged"
        return Winners((), f"no edge was kept: {why}")

    fit = bradley_terry(comparisons(chosen), outlier_penalty=_OUTLIER_PENALTY)
    # Rounding makes ties of values that differ only by the last bits of an iteration.
    pagerank = _rounded(_pagerank(digraph, damping), 9)
    leaking = _rounded(_leaking_pagerank(digraph, damping), 9)
    likelihood = _rounded({id_: float(weight) for id_, weight in digraph.in_degree(weight="weight")}, 9)
    odds = _rounded({id_: score.value for id_, score in fit.scores.items() if score.value is not None}, 4)
    rank, dft_rank, likelihood_rank = _ranks(pagerank), _ranks(leaking), _ranks(likelihood)
    odds_rank: dict[str, int] = {}
    component: dict[str, int] = {}
    for number, part in enumerate(fit.components, 1):
        odds_rank |= _ranks({id_: odds[id_] for id_ in part})
        component |= dict.fromkeys(part, number)

    titles = {card.id: card.title for card in chosen.values}
    values = [
        Winner(
            id=id_,
            title=titles[id_],
            pagerank=pagerank[id_],
            likelihood_sum=likelihood[id_],
            rank=rank[id_],
            likelihood_rank=likelihood_rank[id_],
            dft_pagerank=leaking[id_],
            dft_rank=dft_rank[id_],
            bradley_terry=odds[id_],
            bradley_terry_rank=odds_rank[id_],
            component=component[id_],
        )
        for id_ in digraph
    ]
    values.sort(key=lambda value: (value.rank, value.likelihood_rank, value.id))
    others = [
        Compared(id_, titles[id_], odds[id_], odds_rank[id_], component[id_], _NO_KEPT_EDGE)
        for id_ in odds
        if id_ not in digraph
    ]
    others.sort(key=lambda value: (value.component, value.bradley_terry_rank, value.id))
    kept_in = {component[id_] for id_ in digraph}
    first: dict[Method, tuple[str, ...]] = {
        "pagerank": _first(rank),
        "dft_pagerank": _first(dft_rank),
        "likelihood_sum": _first(likelihood_rank),
        "bradley_terry": _first({id_: odds_rank[id_] for id_ in odds_rank if component[id_] in kept_in}),
    }
    found = Winners(tuple(values), None, first, None, fit.outliers, tuple(others), fit.bounded)
    return replace(found, warning=_warning(found, titles))


def comparisons(graph: MoralGraph) -> dict[tuple[str, str], float]:
    """Return how often each value was found wiser than each other, as (winner, loser) and a count.

    "Wiser" about A to B is a win of B; `less_wise` is the same said of the reversed move, and is not
    counted twice. "Unsure" and "not wiser" are ties, half a win for either: who denies that B is wiser
    than A has not said that A is wiser than B. So the share of an edge's wins is (1 + likelihood) / 2.
    Abstentions are left out. A kept edge without verdicts, as others publish them, is one win. Self-loops
    are left out.
    """
    edges = {_key(edge, graph): edge for edge in _within(graph, None).edges}
    found: dict[tuple[str, str], float] = {}
    for (source, wiser, where), edge in edges.items():
        back = edges.get((wiser, source, where))
        counts = edge.counts
        ties = (counts.unsure + counts.not_wiser) / 2
        asserted = edge.kept and not counts.total
        wins = {(wiser, source): counts.wiser + asserted + ties, (source, wiser): ties}
        if back is None:  # a file of kept edges knows of the reversed move by this count alone
            wins[source, wiser] += counts.less_wise
        for pair, won in wins.items():
            found[pair] = found.get(pair, 0.0) + won
    return found


def _key(edge: Edge, graph: MoralGraph) -> tuple[str, str, tuple[str, ...]]:
    """Name an edge so that its reverse has the same contexts, or none where contexts are pooled."""
    return edge.source, edge.wiser, () if graph.thresholds.profile == "dft" else edge.contexts


def _within(graph: MoralGraph, context: str | None) -> MoralGraph:
    """Return the graph with the edges of one context, or of all, and without self-loops."""
    edges = tuple(edge for edge in graph.edges if context is None or context in edge.contexts)
    if context is not None and not edges:
        known = {each for edge in graph.edges for each in edge.contexts}
        raise ValueError(f"nothing was judged in the context {context!r}; {near_miss(context, known)}")
    return graph.model_copy(update={"edges": tuple(edge for edge in edges if edge.source != edge.wiser)})


def _pagerank(digraph: "nx.DiGraph[str]", damping: float) -> dict[str, float]:
    # The error shrinks by the damping with every step: so many take it below the tolerance.
    steps = 2 + math.ceil(math.log(1e-14) / math.log(damping)) if damping else 2
    scores = nx.pagerank(digraph, alpha=damping, weight="weight", tol=1e-12, max_iter=steps)
    return {id_: float(score) for id_, score in scores.items()}


def _leaking_pagerank(digraph: "nx.DiGraph[str]", damping: float) -> dict[str, float]:
    weights = nx.to_scipy_sparse_array(digraph, weight="weight").astype(float)
    out = np.asarray(weights.sum(axis=1)).ravel()
    flow = weights.T.tocsr()
    size = len(out)
    share = np.divide(1.0, out, out=np.zeros(size), where=out > 0)
    scores = np.full(size, 1 / size)
    for _ in range(_DFT_STEPS):
        scores = (1 - damping) / size + damping * (flow @ (scores * share))
    return dict(zip(digraph, scores.tolist(), strict=True))


def _rounded(scores: Mapping[str, float], digits: int) -> dict[str, float]:
    return {id_: round(score, digits) for id_, score in scores.items()}


def _ranks(scores: Mapping[str, float]) -> dict[str, int]:
    values = -np.array(list(scores.values()), dtype=np.float64)
    ranks = (1 + np.searchsorted(np.sort(values), values)).tolist()  # how many are before, and one
    return dict(zip(scores, ranks, strict=True))


def _first(ranks: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(id_ for id_, rank in ranks.items() if rank == 1))


def _warning(found: Winners, titles: Mapping[str, str]) -> str | None:
    """Return one sentence where no value is first under every method."""
    if set.intersection(*(set(ids) for ids in found.winners.values())):
        return None
    by_winner: dict[tuple[str, ...], list[str]] = {}
    for method, ids in found.winners.items():
        why = found.caveats.get(method)
        by_winner.setdefault(ids, []).append(found.methods[method] + (f" ({why})" if why else ""))
    said = []
    for ids, names in by_winner.items():
        more = [f"{len(ids) - 3} more"] if len(ids) > 4 else []
        shown = [repr(titles[id_]) for id_ in (ids[:3] if more else ids)]
        said.append(f"{_and([*shown, *more])} under {_and(names)}")
    return f"The rankings disagree on the first place: {', '.join(said)}."


def _and(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
