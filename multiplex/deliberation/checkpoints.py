"""Where LangGraph keeps what has been done while a run is in progress."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from multiplex.errors import RunError

__all__ = ["checkpointer"]


@asynccontextmanager
async def checkpointer(path: Path | None) -> AsyncIterator[Any]:
    """Open the SQLite file of a run in progress; no path, no checkpointer.

    Raises:
        RunError: the file is damaged, or cannot be written.
    """
    if path is None:
        yield None
        return
    import aiosqlite
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    class Saver(AsyncSqliteSaver):
        """A saver that takes what comes too late: a run that is cancelled leaves writes on their way."""

        closed = False

        async def aput(self, *args: Any, **kwargs: Any) -> Any:
            return await self._unless_closed(super().aput(*args, **kwargs))

        async def aput_writes(self, *args: Any, **kwargs: Any) -> Any:
            return await self._unless_closed(super().aput_writes(*args, **kwargs))

        async def _unless_closed(self, write: Any) -> Any:
            try:
                return await write
            except Exception:
                if not self.closed:
                    raise
                return None

    try:
        async with aiosqlite.connect(path) as connection:
            # The state is plain data: a file of checkpoints may construct nothing else.
            saver = Saver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
            # With a write-ahead log nothing is lost when a process is killed; only a loss of power could cost a step.
            await connection.execute("PRAGMA synchronous=NORMAL")
            try:
                yield saver
            finally:
                # A write that was cut short holds the file locked for as long as anything still knows its cursor,
                # a traceback for one; so what it began is undone here, and whoever waits to write finds this closed.
                async with saver.lock:
                    saver.closed = True
                    await connection.rollback()
                    await connection.close()
    except sqlite3.OperationalError as error:
        raise RunError(
            f"{path}: cannot be used: {error}; make room, or name another folder to write to"
        ) from error
    except sqlite3.DatabaseError as error:
        raise RunError(f"{path}: is damaged; start the run again") from error
