"""The JSON shape of the published Democratic Fine-Tuning graph, in and out."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from multiplex.errors import near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import MOST_COUNTED, PROFILES, Counts, Edge
from multiplex.moral_graph.formats.cards import Id, PublishedCard, checked, instructions_of, read_cards
from multiplex.moral_graph.graph import MoralGraph

__all__ = ["UNDEFINED", "read_dft", "to_dft_json"]

UNDEFINED = re.compile(r"edges\[\d+\]\.summary\.(wiserLikelihood|entropy)")
"""Where the published files may hold NaN: `read_dft` takes it for undefined if nobody gave a verdict."""

_NEAR = 1e-6
"""How far a published summary may lie from what its counts say."""

_Count = Annotated[int, Field(strict=True, ge=0, le=MOST_COUNTED)]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _PublishedCounts(_Loose):
    markedWiser: _Count  # noqa: N815 (names of the published shape)
    markedNotWiser: _Count  # noqa: N815
    markedLessWise: _Count  # noqa: N815
    markedUnsure: _Count  # noqa: N815
    impressions: _Count
    abstained: _Count = 0


class _PublishedSummary(_Loose):
    wiserLikelihood: float | None = None  # noqa: N815
    entropy: float | None = None


class _PublishedEdge(_Loose):
    sourceValueId: Id  # noqa: N815
    wiserValueId: Id  # noqa: N815
    contexts: tuple[str, ...] = ()
    counts: _PublishedCounts
    summary: _PublishedSummary = _PublishedSummary()
    kept: bool = False


def read_dft(data: object, *, level: float = 0.95) -> MoralGraph:
    """Return the graph that a parsed JSON of the published shape holds, under the profile `dft`.

    Counts are taken as they stand, impressions among them. Likelihood (wiser - less wise) / total and
    entropy (base 2, over the five counts) are computed from them again, and an edge is kept by the published
    thresholds; where total is 0 both are None, whatever the file says, and the edge is kept only if it was
    asserted (`kept` in a file of this project). Ids are read as text, `contexts` sorted and each once. A card may
    have any number of policies (`evaluationCriteria`). Keys that the shape does not have are passed over.

    Raises ValueError where the data have another shape, ids repeat, an edge leads from a value to itself or to
    one that is not there, a pair has two edges, or a summary lies more than 1e-6 from its counts.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("edges"), list):
        raise ValueError("is no graph of the published shape: needs the lists `values` and `edges`")
    values = tuple(sorted(read_cards(data), key=lambda card: card.id)) if data.get("values") != [] else ()
    known = {card.id for card in values}
    edges: dict[tuple[str, str], Edge] = {}
    for index, each in enumerate(data["edges"]):
        published = checked(_PublishedEdge, each, f"edges[{index}]")
        pair = (published.sourceValueId, published.wiserValueId)
        where = f"edges[{index}] ({pair[0]!r} to {pair[1]!r})"
        for id_ in pair:
            if id_ not in known:
                raise ValueError(f"{where}: no value has the id {id_!r}; {near_miss(id_, known)}")
        if pair[0] == pair[1]:
            raise ValueError(f"{where}: leads from a value to itself")
        if pair in edges:
            raise ValueError(f"{where}: the pair has an edge already")
        edges[pair] = _read_edge(published, where, level)
    return MoralGraph(
        values=values, edges=tuple(edges[pair] for pair in sorted(edges)), thresholds=PROFILES["dft"]
    )


def _read_edge(published: _PublishedEdge, where: str, level: float) -> Edge:
    given, thresholds = published.counts, PROFILES["dft"]
    counts = Counts(
        wiser=given.markedWiser,
        not_wiser=given.markedNotWiser,
        less_wise=given.markedLessWise,
        unsure=given.markedUnsure,
        abstained=given.abstained,
        impressions=given.impressions,
    )
    likelihood, entropy = counts.likelihood, counts.entropy("dft")
    said = {"wiserLikelihood": published.summary.wiserLikelihood, "entropy": published.summary.entropy}
    kept = published.kept
    if likelihood is not None and entropy is not None:
        for (name, theirs), ours in zip(said.items(), (likelihood, entropy), strict=True):
            # A comparison with NaN is false, so that NaN and infinity are refused here as well.
            if theirs is not None and not abs(theirs - ours) <= _NEAR:
                raise ValueError(f"{where}: summary.{name} is {theirs}, and its counts give {ours:.9g}")
        kept = thresholds.keep(counts)
    else:
        for name, theirs in said.items():
            if theirs is not None and math.isfinite(theirs) and theirs != 0:
                raise ValueError(f"{where}: summary.{name} is {theirs}, and nobody gave a verdict")
    return Edge(
        source=published.sourceValueId,
        wiser=published.wiserValueId,
        contexts=tuple(sorted(set(published.contexts))),
        counts=counts,
        likelihood=likelihood,
        interval=counts.interval(level),
        entropy=entropy,
        kept=kept,
    )


def to_dft_json(graph: MoralGraph, *, created: str | None = None) -> dict[str, Any]:
    """Return the graph in the JSON shape of the published Democratic Fine-Tuning graph.

    One edge a pair, contexts pooled, sorted by pair. Fields of the published shape mean what they mean
    there, so `impressions` counts both directions and `summary.entropy` is taken over five counts with
    impressions among them. What is this project's own stands beside them: `kept`, `keptContexts`,
    `asked` (this direction alone), `abstained`, `entropyOfVerdicts` (four counts, the one that
    `thresholds` are about) and, on values, `policies`, `schwartz`, `authors` and `sources`. Where
    nobody gave a verdict the summary is null. The published file holds kept edges only; filter on
    `kept` for the same. `created` is an ISO time, or null, for cards that bring no times of their own.
    """
    pooled = {
        pair: list(edges) for pair, edges in groupby(graph.edges, key=lambda edge: (edge.source, edge.wiser))
    }
    dft = graph.thresholds.profile == "dft"
    return {
        "values": [_value(card, created) for card in graph.values],
        "edges": [
            _edge(edges, edges[0].counts if dft else _pooled(edges, pooled.get((pair[1], pair[0]), [])))
            for pair, edges in pooled.items()
        ],
        "thresholds": graph.thresholds.model_dump(),
    }


def _value(card: ValuesCard, created: str | None) -> dict[str, Any]:
    instructions = instructions_of(card.description, card.policies)
    updated = created
    if isinstance(card, PublishedCard):
        instructions = instructions if card.instructions is None else card.instructions
        created, updated = card.created or created, card.updated or updated
    return {
        "id": card.id,
        "title": card.title,
        "instructionsShort": card.description,
        "instructionsDetailed": instructions,
        "evaluationCriteria": list(card.policies),
        "createdAt": created,
        "updatedAt": updated,
        "policies": list(card.policies),
        "schwartz": list(card.schwartz),
        "context": card.context,
        "authors": list(card.authors),
        "sources": list(card.sources),
    }


def _pooled(edges: list[Edge], reverse: list[Edge]) -> Counts:
    """Return the counts of a pair over all contexts; the reversed move may have been judged in others."""
    tally, back = _verdicts(edges), _verdicts(reverse)
    return Counts(
        wiser=tally["wiser"],
        not_wiser=tally["not_wiser"],
        less_wise=back["wiser"],
        unsure=tally["unsure"],
        abstained=sum(edge.counts.abstained for edge in edges),
        impressions=tally.total() + back.total(),
    )


def _edge(edges: list[Edge], counts: Counts) -> dict[str, Any]:
    return {
        "sourceValueId": edges[0].source,
        "wiserValueId": edges[0].wiser,
        "contexts": [context for edge in edges for context in edge.contexts],
        "counts": {
            "markedWiser": counts.wiser,
            "markedNotWiser": counts.not_wiser,
            "markedLessWise": counts.less_wise,
            "markedUnsure": counts.unsure,
            "impressions": counts.impressions,
            "asked": counts.wiser + counts.not_wiser + counts.unsure + counts.abstained,
            "abstained": counts.abstained,
        },
        "summary": {
            "wiserLikelihood": counts.likelihood,
            "entropy": counts.entropy("dft"),
            "entropyOfVerdicts": counts.entropy(),
        },
        "kept": any(edge.kept for edge in edges),
        "keptContexts": [context for edge in edges if edge.kept for context in edge.contexts],
    }


def _verdicts(edges: list[Edge]) -> Counter[str]:
    names = ("wiser", "not_wiser", "unsure")
    return Counter({name: sum(getattr(edge.counts, name) for edge in edges) for name in names})
