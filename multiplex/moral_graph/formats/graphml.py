"""The moral graph as GraphML."""

import re

import networkx as nx

from multiplex.moral_graph.graph import MoralGraph, to_networkx

__all__ = ["to_graphml"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
