"""The moral graph in the shapes that others read."""

import re
from collections import Counter
from itertools import groupby
from typing import Any

import networkx as nx

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import Counts, Edge
from multiplex.moral_graph.graph import MoralGraph, to_networkx

__all__ = ["to_dft_json", "to_graphml"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_dft_json(graph: MoralGraph, *, created: str | None = None) -> dict[str, Any]:
    """Return the graph in the JSON shape of the published Democratic Fine-Tuning graph.

    One edge a pair, contexts pooled, sorted by pair. Fields of the published shape mean what they mean
    there, so `impressions` counts both directions and `summary.entropy` is taken over five counts with
    impressions among them. What is this project's own stands beside them: `kept`, `keptContexts`,
    `asked` (this direction alone), `abstained`, `entropyOfVerdicts` (four counts, the one that
    `thresholds` are about) and, on values, `policies`, `schwartz`, `authors` and `sources`. Where
    nobody gave a verdict the summary is null. The published file holds kept edges only; filter on
    `kept` for the same. `created` is an ISO time, or null.
    """
    pooled = {
        pair: list(edges) for pair, edges in groupby(graph.edges, key=lambda edge: (edge.source, edge.wiser))
    }
    return {
        "values": [_value(card, created) for card in graph.values],
        "edges": [_edge(edges, pooled.get((pair[1], pair[0]), [])) for pair, edges in pooled.items()],
        "thresholds": graph.thresholds.model_dump(),
    }


def _value(card: ValuesCard, created: str | None) -> dict[str, Any]:
    return {
        "id": card.id,
        "title": card.title,
        "instructionsShort": card.description,
        "instructionsDetailed": "\n".join([card.description, *(f"- {policy}" for policy in card.policies)]),
        "evaluationCriteria": list(card.policies),
        "createdAt": created,
        "updatedAt": created,
        "policies": list(card.policies),
        "schwartz": list(card.schwartz),
        "context": card.context,
        "authors": list(card.authors),
        "sources": list(card.sources),
    }


def _edge(edges: list[Edge], reverse: list[Edge]) -> dict[str, Any]:
    tally, back = _verdicts(edges), _verdicts(reverse)
    # Contexts are pooled, and the reversed move may have been asked about in others.
    counts = Counts(
        wiser=tally["wiser"],
        not_wiser=tally["not_wiser"],
        less_wise=back["wiser"],
        unsure=tally["unsure"],
        impressions=tally.total() + back.total(),
    )
    abstained = sum(edge.counts.abstained for edge in edges)
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
            "asked": tally.total() + abstained,
            "abstained": abstained,
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


def to_graphml(graph: MoralGraph, *, kept_only: bool = False) -> str:
    """Return the graph as GraphML, which Gephi, yEd and Cytoscape read.

    The nodes and edges are those of `to_networkx`: titles on nodes; weight (summed likelihood),
    contexts joined by "; " and kept on edges. Characters that XML does not allow are left out.
    """
    digraph: nx.DiGraph[str] = nx.DiGraph()
    source = to_networkx(graph, kept_only=kept_only)
    for id_, data in source.nodes(data=True):
        digraph.add_node(_NOT_XML.sub("", id_), title=_NOT_XML.sub("", data["title"]))
    for start, end, data in source.edges(data=True):
        digraph.add_edge(
            _NOT_XML.sub("", start),
            _NOT_XML.sub("", end),
            weight=data["weight"],
            contexts=_NOT_XML.sub("", "; ".join(data["contexts"])),
            kept=data["kept"],
        )
    return "\n".join(nx.generate_graphml(digraph))
