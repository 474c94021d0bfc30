"""One worker of a build on many machines: a session, its embeddings and a `Producer`, in a process of its own.

Nothing here knows Ray: `distributed` makes an actor of the class. What the library raises on purpose goes
back as data, since an exception that crosses machines would not keep its type.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiplex.api import Session
from multiplex.dataset.producing import (
    Made,
    Producer,
    Recipe,
    content_hashes,
    installed_version,
    named_hashes,
)
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.spending import RESPONSES, Spending, name_of
from multiplex.embedding import SentenceEmbedder
from multiplex.errors import ContentError, ModelError, MultiplexError, NoQuorumError, RunError

__all__ = ["Errand", "Failed", "Worker", "content_here", "machine"]

_KINDS: Mapping[str, type[MultiplexError]] = {
    kind.__name__: kind for kind in (ContentError, ModelError, NoQuorumError, RunError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What every worker of a build is told.

    `tables` are a prompt for each choice of personas and protocol that prompts make for themselves, and
    `content` the hashes of these and of all others (see `content_here`), which have to be the same everywhere.
    `build` is a number of this build's own that stands in the file `mark` too, `responses` the driver's response
    cache, and `machine` where the driver runs: so a worker knows whether it may share that cache.
    """

    recipe: Recipe
    tables: tuple[Prompt, ...] = ()
    content: Mapping[str, str]
    build: str
    mark: Path
    responses: Path
    machine: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What the library raised on a worker."""

    kind: str
    message: str
    detail: str = ""

    @classmethod
    def of(cls, error: MultiplexError) -> "Failed":
        """Take an error apart."""
        kind = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "RunError")
        return cls(kind, str(error), error.kind if isinstance(error, ModelError) else "")

    @property
    def error(self) -> MultiplexError:
        """Return the error, of the type that it was raised with."""
        if self.kind == "ModelError":
            return ModelError(self.message, kind=self.detail)
        return _KINDS[self.kind](self.message)


class Worker:
    """Deliberates on what it is given; `hello`, then `start`, then `produce` as often as you like."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._producer: Producer | None = None
        self._folder: Path | None = None
        self._spending: tuple[str, Spending] | None = None

    async def hello(self) -> tuple[str, str]:
        """Return the version of Multiplex here, and the machine's name. It takes nothing that could not be read."""
        return installed_version(), platform.node()

    async def start(self, errand: Errand, options: Mapping[str, Any]) -> int | Failed:
        """Make the session with these options, start its engine, and return how many prompts at once are of use."""
        try:
            self._check_content(errand, options)
            path = self._responses(errand)
            embedder = SentenceEmbedder()
            self._session = Session(**options, cache=path, embedder=embedder)
            self._producer = Producer(self._session, embedder, errand.recipe)
            await self._session.start()
            return self._producer.at_once()
        except MultiplexError as error:
            return Failed.of(error)

    async def spent(self) -> tuple[str, dict[str, int]] | Failed | None:
        """Return the name of the cache that answers are kept in here, and what all in it took.

        Workers of one machine keep them together. None where they are with the driver's, who counts them.
        """
        if self._spending is None:
            return None
        name, spending = self._spending
        try:
            return name, spending.total()
        except MultiplexError as error:
            return Failed.of(error)

    async def produce(self, prompt: Prompt) -> Made | Failed:
        """Deliberate on one prompt; several may be in progress at once."""
        if self._producer is None:
            raise RuntimeError("a worker has to be started first")
        try:
            return await self._producer.produce(prompt)
        except MultiplexError as error:
            return Failed.of(error)

    async def close(self, *, forget: bool) -> None:
        """Close the session, its engine too; `forget` the response cache, unless it is the driver's."""
        if self._session is not None:
            await self._session.aclose()
        if forget and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _check_content(self, errand: Errand, options: Mapping[str, Any]) -> None:
        here = content_here(errand.recipe, str(options["model"]), errand.tables)
        other = sorted(n for n in here.keys() | errand.content.keys() if here.get(n) != errand.content.get(n))
        if other:
            raise ContentError(
                f"{other[0]} is not what it is where the build was started; copy it from there"
            )

    def _responses(self, errand: Errand) -> Path:
        """Return where answers are kept: with the driver's on its own machine, else on this machine's disk.

        SQLite's log is not safe over a network file system, so that a folder which several machines see is
        of no use: the machine has to be the same. All workers of a build on one machine share one file.
        """
        with suppress(OSError):
            if errand.machine == machine() and errand.mark.read_text(encoding="utf-8") == errand.build:
                return errand.responses
        folder = Path(tempfile.gettempdir()) / f"multiplex-{errand.build}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
                raise RunError(f"{folder}: belongs to another user; remove it")
            self._spending = name_of(folder), Spending(folder)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from error
        self._folder = folder
        return folder / RESPONSES


def content_here(recipe: Recipe, model: str, tables: Iterable[Prompt]) -> dict[str, str]:
    """Return the sha256 of personas, protocols and roles as they are on this machine, those that prompts name too.

    Raises:
        ContentError: something that is named is not there, or wrong.
    """
    hashes = content_hashes(recipe, model)
    for prompt in tables:  # one by one: scenarios of two files may have one name
        named = named_hashes(recipe, [prompt]).items()
        hashes |= {f"{prompt.origin}/{name}": sha256 for name, sha256 in named}
    return hashes


def machine() -> str:
    """Return what tells this machine from others, and is the same in all its processes."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return platform.node()
