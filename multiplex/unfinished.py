"""What is kept of a run while it is in progress, so that one that was cut off can be resumed.

Below the folder that runs are written to, `.unfinished/<run>/` holds `request.json` (all that the
run started from, content included), LangGraph's checkpoints with the acts that are done, and a
lock that whoever conducts the run holds. It is removed when the run's own folder has appeared.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticSerializationError

from multiplex.content.panels import Panel
from multiplex.content.personas import Pack, Persona
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario
from multiplex.errors import ContentError, RunError, near_miss

__all__ = ["Request", "Unfinished", "unfinished_runs"]

_PLACE = ".unfinished"


class Request(BaseModel):
    """Everything a run starts from. Neither the endpoint's key nor the hub's token is in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    format: Literal[3] = 3
    run: str
    created: str
    scenario: Scenario
    personas: tuple[str | Persona, ...]
    """Who is seated: those of the pack by name."""
    pack: dict[str, Any]
    hashes: dict[str, str]
    """Of the files that the panel was read from."""
    roles: dict[str, str]
    """sha256 of every role, by file."""
    protocol: dict[str, Any]
    model: str
    base_url: dict[str, str] = {}
    engine: dict[str, Any] = {}
    timeout: float = 120.0
    retries: int = 2
    concurrency: int | None = None
    cache: bool | Path = True
    embedding: str
    seed: int
    scores: bool
    version: str

    @classmethod
    def of(cls, *, scenario: Scenario, panel: Panel, protocol: Protocol, **rest: Any) -> Self:
        """Return the request of a run with this scenario, panel and protocol."""
        pack = panel.pack
        kept = {
            "name": pack.name,
            "title": pack.title,
            "summary": pack.summary,
            "perspectives": pack.perspectives,
            "lexicon": dict(pack.lexicon),
            "personas": [persona.model_dump(mode="json") for persona in pack.personas],
            "hashes": dict(pack.hashes),
        }
        stages = [{stage.name: stage.model_dump(mode="json")} for stage in protocol.stages]
        return cls(
            scenario=scenario,
            personas=tuple(p.name if p in pack.personas else p for p in panel.personas),
            pack=kept,
            hashes=panel.hashes,
            protocol={**protocol.model_dump(mode="json", exclude={"stages"}), "stages": stages},
            **rest,
        )

    @property
    def stages(self) -> Protocol:
        """Return the protocol as it was."""
        return Protocol.model_validate(self.protocol)

    @property
    def panel(self) -> Panel:
        """Return the panel as it was seated."""
        lexicon = {name: tuple(terms) for name, terms in self.pack["lexicon"].items()}
        members = tuple(Persona.model_validate(persona) for persona in self.pack["personas"])
        perspectives = tuple(self.pack["perspectives"])
        pack = Pack(**{**self.pack, "lexicon": lexicon, "perspectives": perspectives, "personas": members})
        seated = tuple(pack.persona(p) if isinstance(p, str) else p for p in self.personas)
        return Panel(seated, pack, self.hashes)


class Unfinished:
    """A run in progress, or one that was cut off, by the folder that its own folder will appear in."""

    def __init__(self, out: Path, run: str) -> None:
        self.run = run
        self.target = out / run
        self.folder = out / _PLACE / run

    @property
    def checkpoints(self) -> Path:
        """Return where LangGraph's checkpoints and the acts that are done are kept."""
        return self.folder / "checkpoints.sqlite"

    def begin(self, request: Request) -> None:
        """Write the request; the folder appears whole or not at all.

        Raises:
            RunError: it cannot be written.
        """
        text = _json(request)
        with self._told():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            # It may be read by its owner alone, and so may what is in it.
            partial = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder.parent))
            try:
                (partial / "request.json").write_text(text, encoding="utf-8", errors="backslashreplace")
                os.replace(partial, self.folder)  # noqa: PTH105 (the rename of a folder, in one step)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def write(self, request: Request) -> None:
        """Write another request in place of the first, whole or not at all.

        Raises:
            RunError: it cannot be written.
        """
        with self._told():
            partial = self.folder / ".request.json"
            partial.write_text(_json(request), encoding="utf-8", errors="backslashreplace")
            partial.replace(self.folder / "request.json")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written: {error.strerror or error}") from error

    def request(self) -> Request:
        """Return what the run started from.

        Raises:
            RunError: there is no unfinished run of that name, or its request is damaged.
        """
        path = self.folder / "request.json"
        if not path.is_file():
            if (self.target / "run.json").is_file():
                raise RunError(f"{self.target}: is finished; there is nothing to resume")
            known = [entry.run for entry in unfinished_runs(self.target.parent)]
            raise RunError(f"{self.target}: no unfinished run of that name; {near_miss(self.run, known)}")
        try:
            request = Request.model_validate_json(path.read_bytes())
            if request.run != self.run or not request.panel.personas or not request.stages.stages:
                raise ValueError("it is another run's")
        except (
            OSError,
            ValidationError,
            ContentError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as e:
            if isinstance(e, ValidationError) and any(each["loc"] == ("format",) for each in e.errors()):
                raise RunError(
                    f"{self.target}: began with another version of Multiplex; start it again"
                ) from e
            raise RunError(f"{path}: is damaged; start the run again") from e
        return request

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run, so that no other process conducts it too; a process that dies lets go.

        An error that ends it is kept (`failure`) until it is held again.

        Raises:
            RunError: another process holds it.
        """
        # Whoever looks whether it is running (`running`) has the lock for a moment: that is waited for.
        lock = FileLock(self.folder / "lock", timeout=0.5)
        with self._told():
            try:
                lock.acquire()
            except Timeout as error:
                raise RunError(f"{self.target}: is being run by another process") from error
            self._failure.unlink(missing_ok=True)
            with (self.folder / "starts").open("ab") as starts:
                starts.write(b".")
        try:
            yield
        except Exception as error:  # one of a caller's own, of a model or of who watches, ends it as well
            said = str(error) or type(error).__name__
            with suppress(OSError):  # it was discarded, or cannot be written
                self._failure.write_text(said, encoding="utf-8", errors="backslashreplace")
            raise
        finally:
            lock.release()

    @property
    def failure(self) -> str | None:
        """Return the error that the run ended in when it was held last, None where it was cut off or is running."""
        with suppress(OSError):
            return self._failure.read_text(encoding="utf-8", errors="replace")
        return None

    @property
    def _failure(self) -> Path:
        return self.folder / "failure"

    @property
    def starts(self) -> int:
        """Return how many processes have held the run so far."""
        path = self.folder / "starts"
        return path.stat().st_size if path.is_file() else 0

    @property
    def running(self) -> bool:
        """Tell whether a process is conducting the run at this moment."""
        if not (self.folder / "request.json").is_file():
            return False
        try:
            with FileLock(self.folder / "lock", timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # a folder that cannot be written: nobody here runs in it
            return False

    def rewind(self) -> None:
        """Remove what was done: the run can be resumed, from its beginning."""
        for path in self.folder.glob("checkpoints.sqlite*"):
            path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what was kept: the run has finished, or cannot go on."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # others are in progress
            self.folder.parent.rmdir()


def _json(request: Request) -> str:
    try:
        return request.model_dump_json()
    except PydanticSerializationError as error:
        raise RunError(f"engine: options that are no JSON cannot be kept with a run: {error}") from error


def unfinished_runs(out: Path) -> list[Unfinished]:
    """Return the runs below a folder that are in progress or were cut off, the newest first."""
    place = out / _PLACE
    if not place.is_dir():
        return []
    names = [entry.name for entry in place.iterdir() if (entry / "request.json").is_file()]
    names = [name for name in names if not name.startswith(".")]
    return [Unfinished(out, name) for name in sorted(names, reverse=True)]
