"""The default protocol as a graph for LangGraph's own tools, which `langgraph.json` points at."""

from multiplex.content.protocols import load_protocol
from multiplex.deliberation.build import Graph, build

__all__ = ["graph"]


def graph() -> Graph:
    """Return the shipped protocol `multiplex`, compiled when the tools ask for it."""
    return build(load_protocol("multiplex"))
