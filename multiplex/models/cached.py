"""A model that asks only once: what was answered is kept on disk, by the hash of all that was asked.

A store is one SQLite file that several processes may use at once. It is a convenience and never a
reason to fail: where it cannot be used, the store says why in `problem`, and calls are made as if
there were none.
"""

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from multiplex.embedding import cache_folder
from multiplex.errors import ContentError
from multiplex.models.base import Completion, Message, Model, Sampling

__all__ = ["Cached", "Contents", "ResponseStore"]

_FORMAT = 1
"""Part of every key: to be raised when what a completion or a key is made of changes its meaning."""

_SHORTEST, _LONGEST = 0.001, 0.25
"""Seconds between two tries while another process has the file; many calls may wait, and try, at once."""

_TABLE = """
CREATE TABLE IF NOT EXISTS responses (
    key BLOB PRIMARY KEY, model TEXT NOT NULL, created REAL NOT NULL, size INTEGER NOT NULL, completion BLOB NOT NULL
)
"""
_SAMPLING = tuple(part.name for part in fields(Sampling))
_COMPLETION = tuple(part.name for part in fields(Completion) if part.name != "recalled")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds: how many answers, on how many bytes of disk, of which models, since when.

    The times are seconds since 1970, None where there are no answers.
    """

    answers: int = 0
    size: int = 0
    oldest: float | None = None
    newest: float | None = None
    models: Mapping[str, int] = field(default_factory=dict)
    """How many answers there are of each model, the most first."""


class ResponseStore:
    """Completions on disk, in `responses.sqlite` in the cache folder unless told otherwise.

    The file is opened at the first use and stays open until `close`. What `keep` was given is committed
    when it returns: a process that is killed right after loses nothing. The event loop goes on while another
    process has the file. The first failure is told in `problem`, and ends the use of the store.
    """

    def __init__(self, path: Path | None = None, *, patience: float = 1.0) -> None:
        """Wait up to `patience` seconds for another process that writes; what is not kept by then is not kept."""
        self.path = cache_folder() / "responses.sqlite" if path is None else path
        self.problem: str | None = None
        self._patience = patience
        self._connection: sqlite3.Connection | None = None

    async def recall(self, key: bytes) -> Completion | None:
        """Return what was kept under a key, marked as recalled, or None."""
        for pause in self._pauses():
            with suppress(_Locked):
                return self._read(key)
            await asyncio.sleep(pause)
        return None

    async def keep(self, key: bytes, completion: Completion, *, model: str) -> None:
        """Keep a completion under a key, with the name of the model that it comes from."""
        row = _row(key, completion, model)
        for pause in self._pauses():
            with suppress(_Locked):
                self._write(row)
                return
            await asyncio.sleep(pause)

    def contents(self) -> Contents:
        """Return what the store holds; a file that is not there is not made.

        Raises:
            ContentError: the file is no store, or cannot be read.
        """
        if not self.path.exists():
            return Contents()
        with self._told() as store:
            by_model = "SELECT model, count(*) FROM responses GROUP BY model ORDER BY count(*) DESC, model"
            models = dict(store.execute(by_model).fetchall())
            ends = store.execute("SELECT min(created), max(created) FROM responses").fetchone()
        return Contents(sum(models.values()), self._size(), oldest=ends[0], newest=ends[1], models=models)

    def clear(self, *, model: str | None = None, older_than: float | None = None) -> int:
        """Remove all answers, or those of one model or older than so many days; return how many there were.

        Raises:
            ContentError: the file is no store, or cannot be written.
        """
        if not self.path.exists():
            return 0
        before = None if older_than is None else time.time() - older_than * 86_400
        which = "(?1 IS NULL OR model = ?1) AND (?2 IS NULL OR created < ?2)"
        with self._told() as store:
            removed = store.execute(f"DELETE FROM responses WHERE {which}", (model, before)).rowcount  # noqa: S608
            with suppress(sqlite3.OperationalError):  # a run reads or writes: its space is freed another time
                store.execute("VACUUM")
                store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _read(self, key: bytes) -> Completion | None:
        if self.problem is not None:
            return None
        try:
            rows = self._open().execute("SELECT completion FROM responses WHERE key = ?", (key,))
            row = rows.fetchone()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
            return None
        # What cannot be read (a newer version wrote it) is asked for again, and replaced.
        with suppress(ValueError, TypeError):
            return row and Completion(**json.loads(row[0].decode("utf-8", "surrogatepass")), recalled=True)
        return None

    def _write(self, row: tuple[Any, ...]) -> None:
        if self.problem is not None:
            return
        try:
            self._open().execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?)", row)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _pauses(self) -> Iterator[float]:
        """Yield seconds to wait after each try that finds the file locked; the last try is when patience ends."""
        until = time.monotonic() + self._patience
        pause = _SHORTEST
        while (left := until - time.monotonic()) > 0:
            yield min(pause, left)
            pause = min(2 * pause, _LONGEST)
        yield 0.0

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect(0.0)  # whoever uses it waits by himself
        return self._connection

    def _connect(self, patience: float) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One thread at a time uses it, but the next event loop may run in another thread.
        connection = sqlite3.connect(
            self.path, timeout=patience, isolation_level=None, check_same_thread=False
        )
        until = time.monotonic() + patience
        try:
            while not _prepared(connection, until):
                time.sleep(0.01)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _give_up(self, error: Exception) -> None:
        """End the use of the store; but where another process has the file, which it will have done with, say so."""
        if _is_locked(error):
            raise _Locked from error
        reason = getattr(error, "strerror", None) or str(error)
        self.problem = f"answers are not kept: {self.path}: {reason}"
        self.close()

    @contextmanager
    def _told(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that waits for others, and tell what goes wrong with it."""
        try:
            with closing(self._connect(self._patience)) as connection:
                yield connection
        except (OSError, sqlite3.Error) as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error)
            raise ContentError(
                f"{self.path}: cannot be used: {reason}; if it is damaged, delete it"
            ) from error

    def _size(self) -> int:
        files = [self.path, *(self.path.with_name(f"{self.path.name}-{part}") for part in ("wal", "shm"))]
        return sum(file.stat().st_size for file in files if file.exists())


class Cached:
    """Answer from a store what was asked before, and keep there what a model answers now.

    Whatever shapes the answer is part of the key: the model's name and `revision` (which is for all that the
    name does not tell, such as the weights or the endpoint), messages, sampling with the call's own seed,
    and schema. Failures are not kept. Calls that ask the same at the same time become one. The store
    belongs to the caller, who closes it.
    """

    def __init__(self, model: Model, store: ResponseStore, *, revision: str | Callable[[], str] = "") -> None:
        """Take the revision, or what tells it when it is known, as that of a model that has to be fetched first."""
        self._model = model
        self._store = store
        self._revision = revision if callable(revision) else lambda: revision
        self._flights: dict[bytes, asyncio.Future[Completion]] = {}

    @property
    def name(self) -> str:
        """Return the wrapped model's name."""
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Return what is kept, marked as recalled, else what the model says."""
        key = self._key(messages, sampling, schema)
        if (kept := await self._store.recall(key)) is not None:
            return kept
        if (flight := self._flights.get(key)) is not None:
            await asyncio.wait([flight])
            if not flight.cancelled():
                return replace(flight.result(), recalled=True)
            # Whoever asked first failed or was cancelled, which says nothing about this call.
            return await self._ask(key, messages, sampling, schema)
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            completion = await self._ask(key, messages, sampling, schema)
            flight.set_result(completion)
            return completion
        finally:
            del self._flights[key]
            flight.cancel()

    async def aclose(self) -> None:
        """Close the wrapped model."""
        await self._model.aclose()

    async def _ask(
        self, key: bytes, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> Completion:
        completion = await self._model.complete(messages, sampling=sampling, schema=schema)
        await self._store.keep(key, completion, model=self.name)
        return completion

    def _key(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> bytes:
        """Return the hash of all that is asked.

        The order of a schema's properties counts: constrained decoding writes them in that order.
        """
        said = [(message["role"], message["content"]) for message in messages]
        how = [getattr(sampling, name) for name in _SAMPLING]
        return hashlib.sha256(_json([_FORMAT, self.name, self._revision(), said, how, schema])).digest()


class _Locked(Exception):  # noqa: N818 (it is met with patience)
    """Another process has the file."""


def _is_locked(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _prepared(connection: sqlite3.Connection, until: float) -> bool:
    """Set a connection up; SQLite does not wait for others while it turns to WAL, so that we do."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
    except sqlite3.OperationalError as error:
        if _is_locked(error) and time.monotonic() < until:
            return False
        raise
    return True


def _row(key: bytes, completion: Completion, model: str) -> tuple[Any, ...]:
    data = {name: getattr(completion, name) for name in _COMPLETION}
    if completion.logprobs is not None:
        data["logprobs"] = dict(completion.logprobs)
    kept = _json(data)
    return key, model.encode(errors="replace").decode(), time.time(), len(kept), kept


def _json(data: Any) -> bytes:
    """Return JSON that any text survives, halves of surrogate pairs included."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
