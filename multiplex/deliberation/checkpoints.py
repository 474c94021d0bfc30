"""Where LangGraph keeps what has been done while a run is in progress."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

__all__ = ["checkpointer"]


@asynccontextmanager
async def checkpointer(path: Path | None) -> AsyncIterator[Any]:
    """Open the SQLite file of a run in progress; no path, no checkpointer."""
    if path is None:
        yield None
        return
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        # With a write-ahead log nothing is lost when a process is killed; only a loss of power could cost a step.
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield saver
