"""Edges as files state them, held against their own counts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from multiplex.errors import near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import MOST_COUNTED, Counts, Edge, Thresholds
from multiplex.moral_graph.graph import MoralGraph

__all__ = ["StatedCounts", "edge_of", "graph_of"]

_Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]

_NEAR = 1e-6
"""How far a stated number may lie from what the counts say."""


class StatedCounts(BaseModel):
    """The counts that a file states of an edge, all of them."""

    model_config = ConfigDict(extra="ignore")

    wiser: _Count
    not_wiser: _Count
    less_wise: _Count
    unsure: _Count
    abstained: _Count
    impressions: _Count

    @property
    def counts(self) -> Counts:
        """The counts alone."""
        return Counts(**{name: getattr(self, name) for name in Counts.model_fields})


def edge_of(
    ends: tuple[str, str],
    contexts: Iterable[str],
    counts: Counts,
    *,
    kept: bool | None,
    asserted: bool = False,
    said: Mapping[str, float | None],
    thresholds: Thresholds,
    level: float,
    where: str,
    supporters: Sequence[str] = (),
    transitions: Sequence[str] = (),
) -> Edge:
    """Return the edge that these counts make.

    Likelihood, interval and entropy are computed from the counts. `said` has what the file states of the first and
    the last, `likelihood` and `entropy` by the names that the file has for them. `kept` is what it states of that,
    None where it does not; without a verdict an edge is kept if it was `asserted`.

    Raises ValueError, which starts with `where`, where a stated number lies more than 1e-6 from its counts, or the
    edge is said to be kept and its counts do not pass the thresholds. (That it is not, although they pass, may be
    because of the judges under the profile `multiplex`, and is refused under `dft`.)
    """
    likelihood, entropy = counts.likelihood, counts.entropy(thresholds.profile)
    if likelihood is not None and entropy is not None:
        for (name, theirs), ours in zip(said.items(), (likelihood, entropy), strict=True):
            # A comparison with NaN is false, so that NaN and infinity are refused here as well.
            if theirs is not None and not abs(theirs - ours) <= _NEAR:
                raise ValueError(f"{where}: {name} is {theirs}, and its counts give {ours:.9g}")
        passes = thresholds.keep(counts)
        if kept and not passes:
            raise ValueError(f"{where}: is kept, and its counts do not pass the thresholds")
        if kept is False and passes and thresholds.profile == "dft":
            raise ValueError(f"{where}: is not kept, and its counts pass the thresholds")
        kept = passes if kept is None else kept
    else:
        for name, theirs in said.items():
            if theirs is not None and math.isfinite(theirs) and theirs != 0:
                raise ValueError(f"{where}: {name} is {theirs}, and nobody gave a verdict")
        kept = asserted
    return Edge(
        source=ends[0],
        wiser=ends[1],
        contexts=tuple(contexts),
        counts=counts,
        likelihood=likelihood,
        interval=counts.interval(level),
        entropy=entropy,
        kept=kept,
        supporters=tuple(supporters),
        transitions=tuple(transitions),
    )


def graph_of(
    values: Iterable[ValuesCard], edges: Iterable[tuple[str, Edge]], thresholds: Thresholds
) -> MoralGraph:
    """Return the graph of edges that come with the words for where they stand.

    Raises ValueError, which starts with these words, where an edge leads from a value to itself or to one that is
    not there, or repeats another: its pair under the profile `dft`, its pair and contexts under `multiplex`.
    """
    cards = tuple(sorted(values, key=lambda card: card.id))
    known = {card.id for card in cards}
    found: dict[tuple[str, str, tuple[str, ...]], Edge] = {}
    for where, edge in edges:
        for id_ in (edge.source, edge.wiser):
            if id_ not in known:
                raise ValueError(f"{where}: no value has the id {id_!r}; {near_miss(id_, known)}")
        if edge.source == edge.wiser:
            raise ValueError(f"{where}: leads from a value to itself")
        key = (edge.source, edge.wiser, () if thresholds.profile == "dft" else edge.contexts)
        if key in found:
            raise ValueError(f"{where}: the pair has an edge already")
        found[key] = edge
    return MoralGraph(values=cards, edges=tuple(found[key] for key in sorted(found)), thresholds=thresholds)
