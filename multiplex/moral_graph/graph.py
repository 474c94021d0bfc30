"""From judgements to a moral graph."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import networkx as nx
from pydantic import BaseModel, ConfigDict, model_validator

from multiplex.errors import near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import PROFILES, Counts, Edge, Profile, Thresholds
from multiplex.moral_graph.judgements import Judgement

__all__ = ["MoralGraph", "aggregate", "to_networkx"]


class MoralGraph(BaseModel):
    """Values sorted by id, every judged edge sorted by source, wiser and contexts, and the thresholds.

    Raises ValueError where an edge names a card that is not among the values.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: tuple[ValuesCard, ...]
    edges: tuple[Edge, ...]
    thresholds: Thresholds

    @model_validator(mode="after")
    def _edges_join_values(self) -> "MoralGraph":
        known = {card.id for card in self.values}
        for edge in self.edges:
            for id_ in (edge.source, edge.wiser):
                if id_ not in known:
                    raise ValueError(f"an edge names the card {id_!r}; {near_miss(id_, known)}")
        return self


@dataclass(slots=True)
class _Tally:
    """What was said of one move: verdicts, contexts, those who said wiser, and the cases they were given.

    `asked_in` are the contexts of all, `judged_in` those of verdicts. `unnamed` counts the wisers of judges without
    a name, each of which may be another's.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    asked_in: set[str] = field(default_factory=set)
    judged_in: set[str] = field(default_factory=set)
    supporters: set[str] = field(default_factory=set)
    unnamed: int = 0
    transitions: set[str] = field(default_factory=set)

    def add(self, judgement: Judgement) -> None:
        self.verdicts[judgement.verdict] += 1
        self.asked_in.add(judgement.context)
        if judgement.verdict != "abstained":
            self.judged_in.add(judgement.context)
        if judgement.transition:
            self.transitions.add(judgement.transition)
        if judgement.verdict == "wiser":
            if judgement.judge:
                self.supporters.add(judgement.judge)
            else:
                self.unnamed += 1


def aggregate(
    cards: Iterable[ValuesCard],
    judgements: Iterable[Judgement],
    *,
    profile: Profile = "multiplex",
    min_wiser: int | None = None,
    min_likelihood: float | None = None,
    max_entropy: float | None = None,
    level: float = 0.95,
) -> MoralGraph:
    """Count the judgements on every ordered pair that was asked about, and keep the edges that pass.

        total      = wiser + not_wiser + unsure + less_wise          (abstentions are kept apart)
        likelihood = (wiser - less_wise) / total
        kept       = wiser >= min_wiser and likelihood >= min_likelihood and entropy <= max_entropy

    Every judgement counts, those of one judge who repeats itself too; but under the profile `multiplex` it is
    different judges, told apart by their names, of whom `min_wiser` have to say wiser. Where total is 0,
    likelihood and entropy are None and the edge is not kept. Edges that are not kept stay in the graph. The
    order of cards and judgements does not matter. `level` is the confidence of the intervals on the likelihood.

    - `dft` is the published rule: contexts are pooled; a verdict makes an edge of either direction, counts as an
      impression of both, and its context is one of both; impressions are one of the five counts that the entropy
      (base 2) is taken over; 2, 0.33 and 1.69. The published data know no abstentions: one adds to none of these,
      and its context stands only where the pair has no verdict.
    - `multiplex`: one edge a context; a reversed judgement lowers an edge and makes none; the entropy is taken
      over the four verdict counts; 2, 0.33 and 1.5.

    A threshold that is given stands in the place of the profile's own. Linear in the judgements. Source:
    arXiv 2404.10636, and the code that it came with (meaningalignment/dft, values-tools).

    Raises ValueError where a threshold is out of range, two cards share an id, or a judgement names no card.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: needs to lie between 0 and 1")
    given = {"min_wiser": min_wiser, "min_likelihood": min_likelihood, "max_entropy": max_entropy}
    chosen = PROFILES[profile].model_dump() | {
        key: value for key, value in given.items() if value is not None
    }
    thresholds = Thresholds.model_validate(chosen)
    values = tuple(sorted(cards, key=lambda card: card.id))
    known = {card.id for card in values}
    if len(known) != len(values):
        raise ValueError("two cards have the same id; merge them first")

    pooled = profile == "dft"
    tallies: dict[tuple[str, str, str], _Tally] = {}
    for judgement in judgements:
        for id_ in (judgement.source, judgement.wiser):
            if id_ not in known:
                raise ValueError(f"a judgement names the card {id_!r}; {near_miss(id_, known)}")
        key = (judgement.source, judgement.wiser, "" if pooled else judgement.context)
        if key not in tallies:
            tallies[key] = _Tally()
        tallies[key].add(judgement)

    keys = set(tallies)
    if pooled:
        keys |= {(key[1], key[0], key[2]) for key, tally in tallies.items() if tally.judged_in}
    none = _Tally()
    edges = tuple(
        _edge(key, tallies.get(key, none), tallies.get((key[1], key[0], key[2]), none), thresholds, level)
        for key in sorted(keys)
    )
    return MoralGraph(values=values, edges=edges, thresholds=thresholds)


def _edge(
    key: tuple[str, str, str], tally: _Tally, reverse: _Tally, thresholds: Thresholds, level: float
) -> Edge:
    asked, contexts = tally.verdicts.total(), tally.asked_in
    if thresholds.profile == "dft":
        asked += reverse.verdicts.total() - tally.verdicts["abstained"] - reverse.verdicts["abstained"]
        contexts = tally.judged_in | reverse.judged_in or tally.asked_in
    counts = Counts(
        wiser=tally.verdicts["wiser"],
        not_wiser=tally.verdicts["not_wiser"],
        less_wise=reverse.verdicts["wiser"],
        unsure=tally.verdicts["unsure"],
        abstained=tally.verdicts["abstained"],
        impressions=asked,
    )
    return Edge(
        source=key[0],
        wiser=key[1],
        contexts=tuple(sorted(contexts)),
        counts=counts,
        likelihood=counts.likelihood,
        interval=counts.interval(level),
        entropy=counts.entropy(thresholds.profile),
        kept=thresholds.keep(counts, judges=len(tally.supporters) + tally.unnamed),
        supporters=tuple(sorted(tally.supporters)),
        transitions=tuple(sorted(tally.transitions)),
    )


def to_networkx(graph: MoralGraph) -> "nx.DiGraph[str]":
    """Return the kept edges with one a pair, from source to wiser: `weight` and `contexts`.

    The weight, above 0, is the sum of the likelihoods over the contexts in which the pair is kept: a value
    found wiser in two contexts counts twice. An edge that was asserted and never judged, as in graphs that
    others published, weighs 1. Nodes are the endpoints of kept edges, as in the published code, and carry
    `title`.
    """
    titles = {card.id: card.title for card in graph.values}
    pairs: dict[tuple[str, str], list[Edge]] = {}
    for edge in graph.edges:
        if edge.kept:
            pairs.setdefault((edge.source, edge.wiser), []).append(edge)
    digraph: nx.DiGraph[str] = nx.DiGraph()
    for (source, wiser), edges in pairs.items():
        for id_ in (source, wiser):
            digraph.add_node(id_, title=titles[id_])
        digraph.add_edge(
            source,
            wiser,
            weight=sum(1.0 if edge.likelihood is None else edge.likelihood for edge in edges),
            contexts=tuple(context for edge in edges for context in edge.contexts),
        )
    return digraph
