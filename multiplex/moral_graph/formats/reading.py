"""A moral graph from parsed JSON, whichever of the known shapes it has; and as this project writes one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from multiplex.moral_graph.edges import Thresholds
from multiplex.moral_graph.formats.cards import checked, read_cards
from multiplex.moral_graph.formats.dft import read_dft, whole_graph_json
from multiplex.moral_graph.formats.mgg import read_mgg
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Transition

__all__ = ["GraphData", "Shape", "read_graph", "to_json"]

Shape = Literal["multiplex", "dft", "mgg", "graphml", "csv"]

M = TypeVar("M", Judgement, Transition)

_NEAR = 1e-6
"""How far a likelihood in a file may lie from what its judgements say."""


@dataclass(frozen=True, slots=True)
class GraphData:
    """A moral graph and what its file says beside it.

    `judgements` is None where the file holds none, as in shapes that others published. `level` is the
    confidence of the intervals; `metadata` and `seed_questions` are those of mgg. `disagreements` are sentences on
    where the edges of a file are not what its judgements make.
    """

    shape: Shape
    graph: MoralGraph
    judgements: tuple[Judgement, ...] | None = None
    transitions: tuple[Transition, ...] = ()
    level: float = 0.95
    metadata: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    seed_questions: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()


def read_graph(data: object) -> GraphData:
    """Tell the shape by its keys, and read the graph.

    With `judgements` it is a run's moral_graph.json, and the graph is made again from its cards, judgements and
    thresholds (`disagreements` tells where its edges say otherwise); with `seed_questions`, edges with `from_id`
    or values with `data` it is of mgg; else it is of the published DFT shape.

    Raises ValueError where it is none of these, or something in it is wrong.
    """
    if not isinstance(data, Mapping) or not {"values", "edges"} <= data.keys():
        raise ValueError(
            "holds no moral graph: needs `values` and `edges`, as a run's moral_graph.json, the published DFT"
            " JSON and the JSON of mgg have them"
        )
    if "judgements" in data:
        return _read_run(data)
    entries = [each for key in ("values", "edges") if isinstance(data[key], list) for each in data[key][:1]]
    keys = {key for each in entries if isinstance(each, Mapping) for key in each}
    if "seed_questions" in data or keys & {"data", "from_id"}:
        found = read_mgg(data)
        return GraphData("mgg", found.graph, metadata=found.metadata, seed_questions=found.seed_questions)
    return GraphData("dft", read_dft(data))


def _read_run(data: Mapping[str, Any]) -> GraphData:
    cards = read_cards(data) if data["values"] != [] else ()
    judgements = _all(Judgement, data["judgements"], "judgements")
    transitions = _all(Transition, data.get("transitions") or [], "transitions")
    thresholds = checked(Thresholds, data.get("thresholds") or {}, "thresholds")
    level = data.get("level", 0.95)
    if type(level) is not float:
        raise ValueError("level: needs to be a number between 0 and 1")
    graph = aggregate(cards, judgements, level=level, **thresholds.model_dump())
    found = tuple(_disagreements(data["edges"], whole_graph_json(graph)["edges"]))
    return GraphData("multiplex", graph, judgements, transitions, level, disagreements=found)


_COMPARED = (
    *(("counts", name) for name in ("markedWiser", "markedNotWiser", "markedLessWise", "markedUnsure")),
    ("counts", "abstained"),
    ("summary", "wiserLikelihood"),
    ("kept",),
    ("keptContexts",),
)
"""What of an edge in a file is held against its judgements, where the file has it."""


def _disagreements(given: object, made: list[dict[str, Any]]) -> Iterator[str]:
    """Yield where the edges of a file are other than those that its judgements make."""
    if not isinstance(given, list):
        yield "edges: is no list; what the judgements make is taken"
        return
    left = {(edge["sourceValueId"], edge["wiserValueId"]): edge for edge in made}
    for index, edge in enumerate(given):
        ends = (
            [edge.get(end) for end in ("sourceValueId", "wiserValueId")] if isinstance(edge, Mapping) else []
        )
        where = f"edges[{index}]" + (f" ({ends[0]!r} to {ends[1]!r})" if ends else "")
        ours = left.pop((str(ends[0]), str(ends[1])), None) if ends else None
        if ours is None:
            yield f"{where}: no judgement is on such a move"
            continue
        for path in _COMPARED:
            said, judged = _at(edge, path), _at(ours, path)
            if said is not _MISSING and not _same(said, judged):
                yield f"{where}: {'.'.join(path)} is {said!r}, and by the judgements {judged!r}"
    if left:
        (source, wiser), *_ = left
        yield f"edges: {len(left)} that the judgements make are not there, the first {source!r} to {wiser!r}"


_MISSING = object()


def _at(data: object, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(data, Mapping) or key not in data:
            return _MISSING
        data = data[key]
    return data


def _same(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= _NEAR  # false for NaN
    return one == other


def _all(model: type[M], data: object, where: str) -> tuple[M, ...]:
    if not isinstance(data, list):
        raise ValueError(f"{where}: needs to be a list")
    return tuple(checked(model, each, f"{where}[{index}]") for index, each in enumerate(data))


def to_json(
    graph: MoralGraph,
    judgements: Sequence[Judgement],
    *,
    transitions: Sequence[Transition] = (),
    level: float = 0.95,
    merged: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the graph in the shape of a run's moral_graph.json, but for its `winners`.

    It is `whole_graph_json` with `transitions`, `judgements`, `merged` (each card that became
    part of another) and `level` beside it, so that `read_graph` makes the same graph again.
    """
    return {
        **whole_graph_json(graph),
        "level": level,
        "transitions": [each.model_dump(mode="json") for each in transitions],
        # The run stands where a graph is of many; one run's own file is all of that run.
        "judgements": [
            each.model_dump(mode="json", exclude=None if each.run else {"run"}) for each in judgements
        ],
        "merged": dict(merged or {}),
    }
