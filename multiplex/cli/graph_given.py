"""Which run a moral graph is of, so that none is merged twice."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from multiplex.moral_graph.combining import Part
from multiplex.moral_graph.formats.reading import GraphData

__all__ = ["GivenGraph"]


@dataclass(frozen=True, slots=True)
class GivenGraph:
    """A graph to merge: where it lies, the id of its run, if there is one, and a hash of its cards and judgements."""

    path: Path
    run: str | None
    fingerprint: str
    data: GraphData

    @classmethod
    def read(cls, path: Path, data: GraphData) -> Self:
        """Tell which run the graph that was read from this path is of."""
        return cls(path, _run_of(path), _fingerprint(data), data)

    def is_of_one_run_with(self, other: "GivenGraph") -> bool:
        """Tell whether both are of one run; where one of them names none, whether they say the same."""
        if self.run and other.run:
            return self.run == other.run
        return self.fingerprint == other.fingerprint

    def part(self, name: str) -> Part:
        """Return what it brings to a merged graph under this name."""
        run = self.run or f"sha256:{self.fingerprint}"
        return Part(name, self.data.graph.values, self.data.judgements or (), self.data.transitions, run)


def _run_of(path: Path) -> str | None:
    """Return the id in the run.json of a run's folder, or of the folder of its moral_graph.json."""
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.name != "moral_graph.json":
        return None
    try:
        manifest = json.loads((folder / "run.json").read_bytes())
    except (OSError, ValueError, RecursionError):  # its graph was read, and that is enough to merge it
        return None
    id_ = manifest.get("run") if isinstance(manifest, dict) else None
    return id_ if isinstance(id_, str) and id_ else None


def _fingerprint(data: GraphData) -> str:
    said = [each.model_dump(mode="json") for each in (*data.graph.values, *(data.judgements or ()))]
    # Escapes, because a model may say half a character; in an order of its own.
    lines = sorted(json.dumps(each, sort_keys=True) for each in said)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
