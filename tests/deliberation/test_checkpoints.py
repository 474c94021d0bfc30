"""The file that LangGraph's checkpoints are kept in."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from multiplex.deliberation.checkpoints import checkpointer


async def cut_short(path: Path) -> Any:
    """Leave in the middle of a write and of a reading, and return its cursor, as a traceback would keep it."""
    async with checkpointer(path) as saver:
        await saver.setup()
        await saver.conn.executemany(
            "INSERT INTO checkpoints (thread_id, checkpoint_id) VALUES ('a', ?)", [("b",), ("c",)]
        )
        reading = await saver.conn.execute("SELECT * FROM checkpoints")
        await reading.fetchone()
        assert saver.conn.in_transaction
    return reading


def test_a_write_that_was_cut_short_leaves_the_file_free(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    reading = asyncio.run(cut_short(path))
    other = sqlite3.connect(path, timeout=0)
    try:
        assert other.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)
        other.execute("INSERT INTO checkpoints (thread_id, checkpoint_id) VALUES ('a', 'd')")
        other.commit()
    finally:
        other.close()
    assert reading is not None


def test_a_write_that_comes_too_late_is_dropped(tmp_path: Path) -> None:
    async def late() -> Any:
        async with checkpointer(tmp_path / "checkpoints.sqlite") as saver:
            await saver.setup()
        return await saver.aput_writes(
            {"configurable": {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": "b"}}, [("c", 1)], "t"
        )

    assert asyncio.run(late()) is None
