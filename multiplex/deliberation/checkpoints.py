"""What is kept of a deliberation while it is in progress: LangGraph's checkpoints, and every act that is done.

Both are in one SQLite file, written to from the event loop: an act takes some tens of microseconds, a step's
checkpoint up to a millisecond, less than to hand them to a thread. Its write-ahead log is synced at the end
alone: who kills the process loses nothing, and a loss of power may cost the run.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from multiplex.errors import RunError

__all__ = ["Acts", "kept_in"]


class Acts:
    """What acts came to, each from the moment that it is done, by its place: step, round, act, speaker, about.

    LangGraph writes a checkpoint when a step ends, and a step asks the whole panel: what some have answered
    while others are still asked is kept here, so that nobody is asked twice.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        connection.execute("CREATE TABLE IF NOT EXISTS acts (place TEXT PRIMARY KEY, result BLOB NOT NULL)")
        # In the order of their ends.
        self._known = dict(connection.execute("SELECT place, result FROM acts ORDER BY rowid").fetchall())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the results of all acts that were done when the file was opened, in the order of their ends."""
        return (result for known in self._known.values() if (result := _read(known)) is not None)

    def find(self, place: Sequence[str | int]) -> dict[str, Any] | None:
        """Return what came of an act before the run was cut off; None where it is still to be performed."""
        known = self._known.get(json.dumps(place)) if self._known else None
        return None if known is None else _read(known)

    def keep(self, place: Sequence[str | int], result: dict[str, Any]) -> None:
        """Keep what came of an act; it is committed when this returns, and survives the process.

        Raises:
            RunError: it cannot be written.
        """
        row = (json.dumps(place), json.dumps(result).encode())
        with _told(self._path):
            self._connection.execute("INSERT OR REPLACE INTO acts VALUES (?, ?)", row)


@contextmanager
def kept_in(path: Path) -> Iterator[tuple[Any, Acts]]:
    """Open the SQLite file of a run in progress: LangGraph's checkpointer, and the acts.

    Raises:
        RunError: the file is damaged, or cannot be written; also from either of them when it is used.
    """
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite import SqliteSaver

    class Saver(SqliteSaver):
        """LangGraph's own saver, for a graph that runs in the event loop."""

        def get_tuple(self, config: Any) -> Any:
            with _told(path):
                try:
                    found = super().get_tuple(config)
                    if found is not None:
                        _ = found.checkpoint["channel_values"], found.checkpoint["channel_versions"]
                    return found
                except (AttributeError, LookupError, TypeError, ValueError) as error:
                    raise sqlite3.DatabaseError from error  # what is kept is no checkpoint

        async def aget_tuple(self, config: Any) -> Any:
            return self.get_tuple(config)

        async def aput(self, *args: Any) -> Any:
            with _told(path):
                return self.put(*args)

        async def aput_writes(self, *args: Any) -> None:
            """Keep nothing: a step that is cut off before its checkpoint is settled again, from its acts."""

    with _told(path):
        new = not path.exists()
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        with _told(path):
            # The state is plain data: a file of checkpoints may construct nothing else.
            saver = Saver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
            if new:  # there is nothing to lose yet
                connection.execute("PRAGMA synchronous=OFF")
            saver.setup()
            acts = Acts(connection, path)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
        yield saver, acts


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RunError(
            f"{path}: cannot be used: {error}; make room, or name another folder to write to"
        ) from error
    except sqlite3.DatabaseError as error:
        raise RunError(f"{path}: is damaged; start the run again") from error


def _read(known: bytes) -> dict[str, Any] | None:
    """Return what was kept; what cannot be read was not kept."""
    with suppress(RecursionError, TypeError, ValueError):
        found = json.loads(known)
        return found if isinstance(found, dict) and {"step", "seed"} <= found.keys() else None
    return None
