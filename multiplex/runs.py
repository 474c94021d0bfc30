"""A run: everything one deliberation left behind, as an object and as a folder.

The folder holds `run.json` (what ran), `transcript.jsonl` (every act, in the order asked, with its
reply or failure), `answers.json`, `moral_graph.json` and `scores.json`, and what was made from
them (`report.md`, `moral_graph.graphml`). It appears whole or not at all.
"""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from multiplex.errors import RunError, near_miss

__all__ = [
    "Answers",
    "Consensus",
    "Dissenter",
    "Run",
    "Steered",
    "check_writable",
    "cut_off",
    "list_runs",
    "load_run",
    "new_run_name",
    "save_run",
]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dissenter(_Record):
    """One persona's dissent from the consensus statement, in its own words."""

    persona: str
    label: str
    endorsement: int | None
    text: str


class Consensus(_Record):
    """The statement that stands, who endorses it how far (1 to 7, None for an abstention), and the dissent."""

    statement: str
    endorsements: dict[str, int | None]
    agreements: tuple[str, ...]
    disagreements: tuple[str, ...]
    dissent: tuple[Dissenter, ...]
    revised: bool
    drafts: int


class Steered(_Record):
    """One persona's own answer, given before it heard anyone; its stance at the start and at the end."""

    label: str
    answer: str
    claims: tuple[dict[str, Any], ...]
    stance: dict[str, float] | None
    final_stance: dict[str, float] | None
    closing: str | None


class Answers(_Record):
    """The four answers. Where one is null or empty, `reasons` says why."""

    overton: str | None
    consensus: Consensus | None
    steered: dict[str, Steered]
    distribution: dict[str, Any] | None
    reasons: dict[str, str]
    notice: str | None = None


class Run(_Record):
    """Everything one deliberation left behind."""

    run: str
    path: str | None
    scenario: str
    protocol: str
    model: str
    seed: int
    personas: tuple[str, ...]
    answers: Answers
    moral_graph: dict[str, Any] | None
    scores: dict[str, Any]
    usage: dict[str, Any]
    manifest: dict[str, Any]
    """What `run.json` holds: versions, content with its hashes, seeds, accounts."""
    transcript: tuple[dict[str, Any], ...]

    def summary(self) -> dict[str, Any]:
        """Return what `multiplex run --json` prints: all but the manifest and the transcript."""
        return self.model_dump(mode="json", exclude={"manifest", "transcript"})


def new_run_name(scenario: str) -> str:
    """Return a name for a run: the time (UTC), the scenario, and a few random letters."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{scenario}-{secrets.token_hex(3)}"


def check_writable(folder: Path) -> None:
    """Make a folder for runs, and see that it can be written to before anything is spent on a run.

    Raises:
        RunError: it cannot.
    """
    _new_in(folder, ".check-").rmdir()


def _new_in(folder: Path, prefix: str) -> Path:
    """Make a folder for runs, and in it an empty folder of a new name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    except OSError as error:
        what = (
            "it is a file; name a folder"
            if os.path.isfile(folder)  # noqa: PTH113 (never raises, whatever the name)
            else f"{error.strerror or error}; name another folder"
        )
        raise RunError(f"{folder}: runs cannot be written there: {what}") from error


def save_run(run: Run, folder: Path, *, extra: dict[str, str] | None = None) -> Run:
    """Write a run as a folder of its own below `folder`, and return it with its path.

    Everything is written beside it first and renamed at the end. `extra` holds further files by name.

    Raises:
        RunError: the folder cannot be written.
    """
    target = folder / run.run
    run = run.model_copy(update={"path": str(target)})
    partial = _new_in(folder, ".partial-")
    try:
        for name, text in {**_texts(run), **(extra or {})}.items():
            # A model may say half a character; written as an escape, it is still JSON.
            (partial / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.chmod(0o755)
        os.replace(partial, target)  # noqa: PTH105 (the rename of a folder, in one step)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return run


def cut_off(folder: Path) -> RunError | None:
    """Return the error that says that a run of this folder was cut off; None where none was."""
    if not os.path.isdir(folder.parent / ".unfinished" / folder.name):  # noqa: PTH112 (never raises)
        return None
    return RunError(f"{folder}: was cut off; go on with it: multiplex resume {folder}")


def load_run(folder: str | Path) -> Run:
    """Read a run's folder back into the object that it was written from.

    Raises:
        RunError: there is no such run, or a file in it is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        if unfinished := cut_off(folder):
            raise unfinished
        siblings = [entry.name for entry in list_runs(folder.parent)] if folder.parent.is_dir() else []
        hint = f"; {near_miss(folder.name, siblings)}" if siblings else ""
        if held := next(list_runs(folder), None):
            hint = f"; name one of the runs in it, such as {held}"
        raise RunError(f"{folder}: is no run (it holds no run.json){hint}")
    try:
        manifest = _read(folder / "run.json")
        # Not splitlines(): what was said may hold line separators of Unicode, which JSON leaves as they are.
        lines = (folder / "transcript.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
        data = {
            key: manifest[key]
            for key in ("run", "scenario", "protocol", "model", "seed", "personas", "usage")
        }
        run = Run(
            **data,
            path=str(folder),
            answers=Answers.model_validate(_read(folder / "answers.json")),
            moral_graph=_read(folder / "moral_graph.json"),
            scores=_read(folder / "scores.json"),
            manifest=manifest,
            transcript=tuple(json.loads(line) for line in lines if line),
        )
        _check_parts(run)
        return run
    except FileNotFoundError as error:
        raise RunError(f"{folder}: is damaged: {Path(error.filename or '').name} is missing") from error
    except KeyError as error:
        raise RunError(f"{folder}: is damaged: run.json: {error.args[0]} is missing") from error
    except (OSError, RecursionError, TypeError, ValueError, ValidationError) as error:
        raise RunError(f"{folder}: is damaged: {_first_line(error)}") from error


_PARTS = {
    "run.json": (
        "created simulated content.scenario.question content.labels content.perspectives "
        "usage.acts usage.failures usage.seconds"
    ),
    "scores.json": (
        "perspective_entropy.overton.value perspective_entropy.steered perspective_entropy.control "
        "consensus.endorsement.value consensus.group_aware.value agreement.krippendorff_alpha.value "
        "representation.overton.value dynamics.rounds"
    ),
    "moral_graph.json": "values edges winners.values",
    "transcript.jsonl": "act speaker step round reply failure",
}
"""What reports rely on in the parts of a run that are kept as plain data."""


def _check_parts(run: Run) -> None:
    """Raise ValueError where a part is missing."""
    graphs = [] if run.moral_graph is None else [run.moral_graph]
    scores = [run.scores] if run.manifest.get("scored", True) else []
    held = zip(_PARTS, ([run.manifest], scores, graphs, run.transcript), strict=True)
    for name, parts in held:
        for part in parts:
            for place in _PARTS[name].split():
                here: Any = part
                for key in place.split("."):
                    if not isinstance(here, dict) or key not in here:
                        raise ValueError(f"{name}: {place} is missing")
                    here = here[key]


def list_runs(folder: Path) -> Iterator[Path]:
    """Return the runs below a folder, the newest first."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), key=lambda e: e.name, reverse=True):
            if (entry / "run.json").is_file() and not entry.name.startswith("."):
                yield entry


def _texts(run: Run) -> dict[str, str]:
    return {
        "run.json": _json(run.manifest),
        "answers.json": _json(run.answers.model_dump(mode="json")),
        "moral_graph.json": _json(run.moral_graph),
        "scores.json": _json(run.scores),
        "transcript.jsonl": "".join(f"{json.dumps(act, ensure_ascii=False)}\n" for act in run.transcript),
    }


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else "unreadable"
