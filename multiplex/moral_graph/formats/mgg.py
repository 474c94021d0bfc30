"""The JSON shape of mgg, the synthetic moral graphs of the Meaning Alignment Institute, in and out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from multiplex.errors import near_miss
from multiplex.moral_graph.edges import PROFILES, Counts, Edge
from multiplex.moral_graph.formats.cards import Id, checked, not_finite, read_cards
from multiplex.moral_graph.graph import MoralGraph
from multiplex.moral_graph.judgements import Transition

__all__ = ["MggGraph", "read_mgg", "to_mgg_json"]


class MggGraph(NamedTuple):
    """A graph that was asserted, not judged, and what the shape says beyond it.

    `metadata` is that of each edge, as it stands in the file, by source, wiser and context.
    """

    graph: MoralGraph
    metadata: dict[tuple[str, str, str], dict[str, Any]]
    seed_questions: tuple[str, ...]


class _MggEdge(BaseModel):
    model_config = ConfigDict(extra="ignore")

    from_id: Id
    to_id: Id
    context: str = ""
    story: str | None = None
    metadata: dict[str, Any] | None = None


def read_mgg(data: object) -> MggGraph:
    """Return the graph that a parsed JSON of mgg holds.

    Its edges were asserted by a model and judged by nobody: all counts are 0, likelihood, interval and
    entropy are None, and every edge is kept. One edge a pair and context; of several the first stands, as in
    mgg itself. An older file has the story on the edge; it is read into the metadata.

    Raises ValueError where the data have another shape, ids repeat, an edge leads from a value to itself or to
    one that is not there, or its metadata hold a number that JSON does not have (NaN or infinite).
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("edges"), list):
        raise ValueError("is no graph of mgg: needs the lists `values` and `edges`")
    values = tuple(sorted(read_cards(data), key=lambda card: card.id)) if data.get("values") != [] else ()
    questions = data.get("seed_questions") or []
    if not isinstance(questions, list) or not all(isinstance(question, str) for question in questions):
        raise ValueError("seed_questions: needs to be a list of texts")
    known = {card.id for card in values}
    metadata: dict[tuple[str, str, str], dict[str, Any]] = {}
    for index, each in enumerate(data["edges"]):
        edge = checked(_MggEdge, each, f"edges[{index}]")
        where = f"edges[{index}] ({edge.from_id!r} to {edge.to_id!r})"
        for id_ in (edge.from_id, edge.to_id):
            if id_ not in known:
                raise ValueError(f"{where}: no value has the id {id_!r}; {near_miss(id_, known)}")
        if edge.from_id == edge.to_id:
            raise ValueError(f"{where}: leads from a value to itself")
        if place := next(not_finite(edge.metadata, "metadata"), None):
            raise ValueError(f"{where}: {place} is NaN or infinite, which JSON does not have")
        story = {} if edge.story is None else {"story": edge.story}
        metadata.setdefault((edge.from_id, edge.to_id, edge.context), {**story, **(edge.metadata or {})})
    edges = tuple(
        Edge(
            source=source,
            wiser=wiser,
            contexts=(context,),
            counts=Counts(),
            likelihood=None,
            interval=None,
            entropy=None,
            kept=True,
        )
        for source, wiser, context in sorted(metadata)
    )
    graph = MoralGraph(values=values, edges=edges, thresholds=PROFILES["multiplex"])
    return MggGraph(graph, metadata, tuple(questions))


def to_mgg_json(
    graph: MoralGraph,
    *,
    metadata: Mapping[tuple[str, str, str], Mapping[str, Any]] | None = None,
    transitions: Sequence[Transition] = (),
    seed_questions: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the kept edges in the JSON shape of mgg, one edge a pair and context.

    The shape has no place for counts or likelihoods, so that only kept edges are written. The metadata of an
    edge are those given, or the story of the first of `transitions` that it was judged by, with `problem` and
    `improvements` empty, which no judge was asked for.
    """
    cases = {each.id: each for each in transitions}
    given = metadata or {}
    edges = []
    for edge in graph.edges:
        if not edge.kept:
            continue
        case = next((cases[id_] for id_ in edge.transitions if id_ in cases), None)
        made = {
            "story": case.story if case else "",
            "input_value_was_really_about": case.about if case else "",
            "context_shifts": [],
            "problem": {},
            "improvements": [],
        }
        edges += [
            {
                "from_id": edge.source,
                "to_id": edge.wiser,
                "context": context,
                "metadata": dict(given.get((edge.source, edge.wiser, context), made)),
            }
            for context in edge.contexts
        ]
    return {
        "values": [
            {
                "id": card.id,
                "data": {
                    "title": card.title,
                    "policies": list(card.policies),
                    "choice_context": card.context,
                },
            }
            for card in graph.values
        ],
        "edges": edges,
        "seed_questions": list(seed_questions),
    }
