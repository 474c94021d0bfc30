"""The moral graph as GraphML, in and out."""

import re
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple
from xml.etree.ElementTree import ParseError, fromstring

import networkx as nx
from pydantic import BaseModel, ConfigDict, Field

from multiplex.moral_graph.edges import Counts, Edge, Thresholds
from multiplex.moral_graph.formats.cards import checked, lines_of, one_line, read_cards, texts_of
from multiplex.moral_graph.formats.edges import StatedCounts, edge_of, graph_of
from multiplex.moral_graph.graph import MoralGraph

__all__ = ["GraphmlGraph", "read_graphml", "to_graphml"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NODE = "{http://graphml.graphdrawing.org/xmlns}node"
_COUNTS = tuple(Counts.model_fields)
_LISTS = ("policies", "schwartz", "authors", "sources")

_Level = Annotated[float, Field(gt=0, lt=1)]


class GraphmlGraph(NamedTuple):
    """The graph that a GraphML holds, and the confidence of its intervals."""

    graph: MoralGraph
    level: float


class _Whole(BaseModel):
    model_config = ConfigDict(extra="ignore")

    level: _Level


class _GraphmlEdge(StatedCounts):
    kept: bool
    contexts: str | None = None
    likelihood: float | None = None
    supporters: str = ""
    transitions: str = ""


def to_graphml(graph: MoralGraph, *, kept_only: bool = False, level: float | None = None) -> str:
    """Return the graph as GraphML, which Gephi, yEd and Cytoscape read.

    Nodes are the values with what their cards say (with `kept_only`, the ends of kept edges). Edges are those of
    the graph, so that a pair that was judged in two contexts has two. `weight` is the likelihood, 1 on an edge that
    was only asserted and 0 on any other without a verdict. Beside it stand the counts, `kept`, `likelihood` where
    there is one, and the contexts; several in one attribute stand one a line. The graph's own data are thresholds
    and confidence. A line break, tab or control character within a text becomes a space; characters that XML does
    not allow are left out.
    """
    digraph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    digraph.graph.update(
        graph.thresholds.model_dump() | {"level": _level_of(graph) if level is None else level}
    )
    edges = [edge for edge in graph.edges if edge.kept or not kept_only]
    ends = {end for edge in edges for end in (edge.source, edge.wiser)}
    for card in graph.values:
        if not kept_only or card.id in ends:
            texts = {name: _xml(getattr(card, name)) for name in ("title", "description", "context")}
            digraph.add_node(
                _xml(card.id), **texts, **{name: _xml_lines(getattr(card, name)) for name in _LISTS}
            )
    for number, edge in enumerate(edges):
        likelihood = {} if edge.likelihood is None else {"likelihood": edge.likelihood}
        # Without contexts there is no attribute: an empty one is the context without a name.
        contexts = {"contexts": _xml_lines(edge.contexts)} if edge.contexts else {}
        digraph.add_edge(
            _xml(edge.source),
            _xml(edge.wiser),
            key=f"e{number}",
            weight=float(edge.kept) if edge.likelihood is None else edge.likelihood,
            kept=edge.kept,
            **likelihood,
            **contexts,
            **{name: getattr(edge.counts, name) for name in _COUNTS},
            supporters=_xml_lines(edge.supporters),
            transitions=_xml_lines(edge.transitions),
        )
    return "\n".join(nx.generate_graphml(digraph))


def read_graphml(text: str) -> GraphmlGraph:
    """Return the graph that a GraphML of `to_graphml` holds.

    It is the graph that was written, but for breaks and control characters within its texts, and for the times and
    instructions of published cards. Likelihood, interval and entropy are computed from the counts again; `weight`
    is passed over, and so are attributes of other programs.

    A document type, and with it every entity, is refused before anything is parsed.

    Raises ValueError where it is no GraphML, lacks what `to_graphml` writes, or something in it makes no sense.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError(
            "has a document type (<!DOCTYPE ...>), which a GraphML of a moral graph has no use for"
        )
    try:
        ids = Counter(node.get("id", "") for node in fromstring(text).iter(_NODE))  # noqa: S314 (no entities)
    except ParseError as error:
        raise ValueError(f"is no XML: {error}") from None
    if twice := [id_ for id_, count in ids.items() if count > 1]:  # networkx would make one node of them
        raise ValueError(f"two values have the id {twice[0]!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found: nx.Graph[Any] = nx.parse_graphml(text, force_multigraph=True)
    except (
        Exception
    ) as error:  # networkx lets out whatever its parts raise on a file that is not as it expects
        raise ValueError(
            f"is no GraphML that can be read: {one_line(str(error))[:200] or 'no graph'}"
        ) from None
    if not found.is_directed():
        raise ValueError(
            "is an undirected graph, and edges of a moral graph lead from one value to a wiser one"
        )
    if "profile" not in found.graph:
        raise ValueError("holds no moral graph: its graph has no data `profile`, as `to_graphml` writes it")
    rules = {name: found.graph[name] for name in Thresholds.model_fields if name in found.graph}
    thresholds = checked(Thresholds, rules, "graph")
    level = checked(_Whole, found.graph, "graph").level
    values = [
        {"id": id_, **data, **{name: texts_of(str(data.get(name, ""))) for name in _LISTS}}
        for id_, data in found.nodes(data=True)
        if id_ in ids
    ]
    edges = [
        _read_edge(source, wiser, data, thresholds, level) for source, wiser, data in found.edges(data=True)
    ]
    return GraphmlGraph(graph_of(read_cards(values) if values else (), edges, thresholds), level)


def _read_edge(
    source: str, wiser: str, data: dict[str, Any], thresholds: Thresholds, level: float
) -> tuple[str, Edge]:
    where = f"edge from {source!r} to {wiser!r}"
    given = checked(_GraphmlEdge, data, where)
    edge = edge_of(
        (source, wiser),
        () if given.contexts is None else given.contexts.split("\n"),
        given.counts,
        kept=given.kept,
        asserted=given.kept,
        said={"likelihood": given.likelihood, "entropy": None},
        thresholds=thresholds,
        level=level,
        where=where,
        supporters=texts_of(given.supporters),
        transitions=texts_of(given.transitions),
    )
    return where, edge


def _level_of(graph: MoralGraph) -> float:
    return next((edge.interval.level for edge in graph.edges if edge.interval), 0.95)


def _xml(text: str) -> str:
    return _NOT_XML.sub("", one_line(text))


def _xml_lines(texts: Iterable[str]) -> str:
    return _NOT_XML.sub("", lines_of(texts))
