"""The default protocol as a graph to look at in LangGraph's own tools, which `langgraph.json` points at.

To be run it needs a `Context` with who answers, which a `Session` makes and no tool can give.
"""

from multiplex.content.protocols import load_protocol
from multiplex.deliberation.build import Graph, build

__all__ = ["graph"]


def graph() -> Graph:
    """Return the shipped protocol `multiplex`, compiled when the tools ask for it."""
    return build(load_protocol("multiplex"))
