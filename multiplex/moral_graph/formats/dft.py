"""The JSON shape of the published Democratic Fine-Tuning graph, in and out."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import MOST_COUNTED, PROFILES, Counts, Edge, Thresholds
from multiplex.moral_graph.formats.cards import Id, PublishedCard, checked, instructions_of, read_cards
from multiplex.moral_graph.formats.edges import edge_of, graph_of
from multiplex.moral_graph.graph import MoralGraph
from multiplex.moral_graph.pooling import pooled, pooled_counts

__all__ = ["UNDEFINED", "read_dft", "to_dft_json", "whole_graph_json"]

UNDEFINED = re.compile(r"(edges|allEdges)\[\d+\]\.summary\.(wiserLikelihood|entropy)")
"""Where the published files may hold NaN: `read_dft` takes it for undefined if nobody gave a verdict."""

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

    Where there are `allEdges`, they are the edges, and those under `edges` have to be among them; `otherValues`
    (see `to_dft_json`) are values. A published file with `allEdges` leaves out the values at no end of a kept edge:
    an edge to one of these is passed over, as there is nothing to draw it to.

    Counts are taken as they stand, impressions among them. Likelihood (wiser - less wise) / total and
    entropy (base 2, over the five counts) are computed from them again, and an edge is kept by the published
    thresholds, or by those of the profile `dft` that the file has under `thresholds`; where total is 0 both are
    None, whatever the file says, and the edge is kept only if it was asserted (`kept` in a file of this project).
    Ids are read as text, `contexts` sorted and each once. A card may have any number of policies
    (`evaluationCriteria`). Keys that the shape does not have are passed over.

    Raises ValueError where the data have another shape, ids repeat, an edge leads from a value to itself or to
    one that is not there, a pair has two edges, or a summary lies more than 1e-6 from its counts.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("edges"), list):
        raise ValueError("is no graph of the published shape: needs the lists `values` and `edges`")
    for key in ("values", "allEdges", "otherValues"):
        if not isinstance(data.get(key, []), list):
            raise ValueError(f"{key}: needs to be a list")
    values = [*data.get("values", []), *data.get("otherValues", [])]
    cards = read_cards(values) if values else ()
    given = data.get("thresholds")
    own = isinstance(given, Mapping) and given.get("profile") == "dft"
    thresholds = checked(Thresholds, given, "thresholds") if own else PROFILES["dft"]

    def read(key: str) -> list[tuple[str, Edge]]:
        return [
            _read_edge(each, f"{key}[{n}]", thresholds, level) for n, each in enumerate(data.get(key, []))
        ]

    edges = read("edges")
    if "allEdges" in data:
        every = read("allEdges")
        of = {(edge.source, edge.wiser): edge for _, edge in every}
        for where, edge in edges:
            if of.get((edge.source, edge.wiser)) != edge:
                raise ValueError(f"{where}: does not stand in the same way among allEdges")
        known = {card.id for card in cards}
        bare = "otherValues" not in data
        edges = [each for each in every if not (bare and _leads_out(each[1], known))]
    return graph_of(cards, edges, thresholds)


def _leads_out(edge: Edge, known: set[str]) -> bool:
    return not edge.kept and not {edge.source, edge.wiser} <= known


def _read_edge(data: object, place: str, thresholds: Thresholds, level: float) -> tuple[str, Edge]:
    published = checked(_PublishedEdge, data, place)
    given, ends = published.counts, (published.sourceValueId, published.wiserValueId)
    where = f"{place} ({ends[0]!r} to {ends[1]!r})"
    counts = Counts(
        wiser=given.markedWiser,
        not_wiser=given.markedNotWiser,
        less_wise=given.markedLessWise,
        unsure=given.markedUnsure,
        abstained=given.abstained,
        impressions=given.impressions,
    )
    said = {
        "summary.wiserLikelihood": published.summary.wiserLikelihood,
        "summary.entropy": published.summary.entropy,
    }
    edge = edge_of(
        ends,
        sorted(set(published.contexts)),
        counts,
        kept=None,
        asserted=published.kept,
        said=said,
        thresholds=thresholds,
        level=level,
        where=where,
    )
    return where, edge


def to_dft_json(graph: MoralGraph, *, created: str | None = None) -> dict[str, Any]:
    """Return the graph in the JSON shape of the published Democratic Fine-Tuning graph.

    The graph is put under the published rule (`pooled`): one edge a pair, sorted by pair. As in the published
    file, `edges` are the kept ones and `values` their ends, and as under its option `includeAllEdges`, `allEdges`
    are all. The published shape has no place for the other values; they stand under `otherValues`, this project's
    own. So do the keys `kept`, `keptContexts` (where the graph that was given keeps the edge), `asked` (this
    direction alone), `abstained`, `entropyOfVerdicts` (over four counts), `thresholds` and, on values, `policies`,
    `schwartz`, `context`, `authors` and `sources`. Where nobody gave a verdict the summary is null. `created` is
    an ISO time, or null, for cards that bring no times of their own.

    What is lost: judgements, transitions, who said wiser, the confidence of the intervals, and of a graph of the
    profile `multiplex` what was judged in which context.
    """
    whole = pooled(graph)
    kept_in: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        if edge.kept:
            kept_in.setdefault((edge.source, edge.wiser), []).extend(edge.contexts)
    edges = [
        _edge(edge, edge.contexts, edge.counts, edge.kept, kept_in.get((edge.source, edge.wiser), []))
        for edge in whole.edges
    ]
    ends = {end for edge in whole.edges if edge.kept for end in (edge.source, edge.wiser)}
    return {
        "values": [_value(card, created) for card in whole.values if card.id in ends],
        "edges": [edge for edge in edges if edge["kept"]],
        "allEdges": edges,
        "otherValues": [_value(card, created) for card in whole.values if card.id not in ends],
        "thresholds": whole.thresholds.model_dump(),
    }


def whole_graph_json(graph: MoralGraph) -> dict[str, Any]:
    """Return all values and all judged edges as a run's moral_graph.json has them, in the published shape's words.

    One edge a pair, contexts pooled; an edge is `kept` where it is in any context, by the graph's own thresholds.
    """
    of = {
        pair: list(edges) for pair, edges in groupby(graph.edges, key=lambda edge: (edge.source, edge.wiser))
    }
    dft = graph.thresholds.profile == "dft"
    return {
        "values": [_value(card, None) for card in graph.values],
        "edges": [
            _edge(
                edges[0],
                [context for edge in edges for context in edge.contexts],
                edges[0].counts if dft else pooled_counts(edges, of.get(pair[::-1], [])),
                any(edge.kept for edge in edges),
                [context for edge in edges if edge.kept for context in edge.contexts],
            )
            for pair, edges in of.items()
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


def _edge(
    edge: Edge, contexts: Sequence[str], counts: Counts, kept: bool, kept_contexts: Sequence[str]
) -> dict[str, Any]:
    return {
        "sourceValueId": edge.source,
        "wiserValueId": edge.wiser,
        "contexts": list(contexts),
        "counts": {
            "markedWiser": counts.wiser,
            "markedNotWiser": counts.not_wiser,
            "markedLessWise": counts.less_wise,
            "markedUnsure": counts.unsure,
            "impressions": counts.impressions,
            "asked": counts.asked,
            "abstained": counts.abstained,
        },
        "summary": {
            "wiserLikelihood": counts.likelihood,
            "entropy": counts.entropy("dft"),
            "entropyOfVerdicts": counts.entropy(),
        },
        "kept": kept,
        "keptContexts": list(kept_contexts),
    }
