"""Which run a moral graph is of, and what was said in it, so that nothing is merged twice."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from multiplex.moral_graph.combining import Part
from multiplex.moral_graph.formats.reading import GraphData

__all__ = ["GivenGraph"]


@dataclass(frozen=True, slots=True)
class GivenGraph:
    """A graph to merge: where it lies, the id of its run, if there is one, and a hash of its cards and judgements.

    `evidence` holds, by the run that its judgements came from, a hash of what was said there: who judged which
    values by their words, in which context, how and why. A run in which somebody without a name gave no reason
    is not among them, for another might have said the same.
    """

    path: Path
    run: str | None
    fingerprint: str
    evidence: dict[str, str]
    data: GraphData

    @classmethod
    def read(cls, path: Path, data: GraphData) -> Self:
        """Tell which run the graph that was read from this path is of."""
        run, fingerprint = _run_of(path), _fingerprint(data)
        return cls(path, run, fingerprint, _evidence(data, run or f"sha256:{fingerprint}"), data)

    def is_of_one_run_with(self, other: "GivenGraph") -> bool:
        """Tell whether both are of one run; where one of them names none, whether they say the same."""
        if self.run and other.run:
            return self.run == other.run
        return self.fingerprint == other.fingerprint

    @property
    def runs(self) -> set[str]:
        """The runs that its judgements came from."""
        own = self.run or f"sha256:{self.fingerprint}"
        return {each.run or own for each in self.data.judgements or ()}

    def repeats(self, other: "GivenGraph") -> set[str]:
        """Return its runs in which the same was said as in another run of `other`, as when both were made alike.

        A run that both hold is none of them: `merge_graphs` knows it by its id.
        """
        heard = set(other.evidence.values())
        return {run for run, said in self.evidence.items() if said in heard and run not in other.evidence}

    def part(self, name: str, without: Collection[str] = ()) -> Part:
        """Return what it brings to a merged graph under this name, `without` the judgements of some of its runs."""
        run = self.run or f"sha256:{self.fingerprint}"
        everything = self.data.judgements or ()
        judgements = [each for each in everything if (each.run or run) not in without]
        gone = {each.transition for each in everything} - {each.transition for each in judgements}
        transitions = [each for each in self.data.transitions if each.id not in gone]
        return Part(name, self.data.graph.values, judgements, transitions, run)


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


def _evidence(data: GraphData, its_own: str) -> dict[str, str]:
    words = {card.id: [card.title, *card.policies] for card in data.graph.values}
    said: dict[str, list[str]] = {}
    apart = set()
    for each in data.judgements or ():
        run = each.run or its_own
        if not each.judge and not each.reason:
            apart.add(run)
        told = [each.judge, words[each.source], words[each.wiser], each.context, each.verdict, each.reason]
        said.setdefault(run, []).append(json.dumps(told))
    return {run: _hash(lines) for run, lines in said.items() if run not in apart}


def _fingerprint(data: GraphData) -> str:
    said = [each.model_dump(mode="json") for each in (*data.graph.values, *(data.judgements or ()))]
    return _hash([json.dumps(each, sort_keys=True) for each in said])


def _hash(lines: list[str]) -> str:
    # In JSON with escapes, because a model may say half a character; in an order of its own.
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
