"""A moral graph from parsed JSON, whichever of the known shapes it has; and as this project writes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from multiplex.moral_graph.edges import Thresholds
from multiplex.moral_graph.formats.cards import checked, read_cards
from multiplex.moral_graph.formats.dft import read_dft, to_dft_json
from multiplex.moral_graph.formats.mgg import read_mgg
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Transition

__all__ = ["GraphData", "Shape", "read_graph", "to_json"]

Shape = Literal["multiplex", "dft", "mgg"]

M = TypeVar("M", Judgement, Transition)


@dataclass(frozen=True, slots=True)
class GraphData:
    """A moral graph and what its file says beside it.

    `judgements` is None where the file holds none, as in shapes that others published. `level` is the
    confidence of the intervals; `metadata` and `seed_questions` are those of mgg.
    """

    shape: Shape
    graph: MoralGraph
    judgements: tuple[Judgement, ...] | None = None
    transitions: tuple[Transition, ...] = ()
    level: float = 0.95
    metadata: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    seed_questions: tuple[str, ...] = ()


def read_graph(data: object) -> GraphData:
    """Tell the shape by its keys, and read the graph.

    With `judgements` it is a run's moral_graph.json, and the graph is made again from its cards, judgements and
    thresholds; with `seed_questions`, edges with `from_id` or values with `data` it is of mgg; else
    it is of the published DFT shape.

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
    return GraphData("multiplex", graph, judgements, transitions, level)


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

    It is the published shape (`to_dft_json`) with `transitions`, `judgements`, `merged` (each card that became
    part of another) and `level` beside it, so that `read_graph` makes the same graph again.
    """
    return {
        **to_dft_json(graph),
        "level": level,
        "transitions": [each.model_dump(mode="json") for each in transitions],
        "judgements": [each.model_dump(mode="json") for each in judgements],
        "merged": dict(merged or {}),
    }
