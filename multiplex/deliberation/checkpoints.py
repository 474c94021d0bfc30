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
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    try:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            # With a write-ahead log nothing is lost when a process is killed; only a loss of power could cost a step.
            await saver.conn.execute("PRAGMA synchronous=NORMAL")
            yield saver
    except sqlite3.OperationalError as error:
        raise RunError(
            f"{path}: cannot be used: {error}; make room, or name another folder with --out"
        ) from error
    except sqlite3.DatabaseError as error:
        raise RunError(f"{path}: is damaged; start the run again") from error
