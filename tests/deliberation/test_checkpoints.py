"""The file that LangGraph's checkpoints and the acts of a run in progress are kept in."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from multiplex.deliberation.checkpoints import kept_in
from multiplex.errors import RunError

PLACE = ("open.position", 1, "take_position", "miller", "")
NOTHING: dict[str, Any] = {"step": "open.position", "seed": 7, "reply": None}
SAID = {**NOTHING, "reply": {"stance": {"a": 0.1}}, "raw": ["half a character: \ud800"]}
OTHER = ("open.position", 1, "take_position", "sailor", "")


def test_what_was_kept_is_there_for_whoever_opens_the_file_next(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    with kept_in(path) as (_, acts):
        acts.keep(OTHER, SAID)
        acts.keep(PLACE, NOTHING)
        assert acts.find(OTHER) is None  # nobody performs an act twice in one process
    with kept_in(path) as (_, acts):
        assert acts.find(OTHER) == SAID
        assert acts.find((*PLACE[:-1], "1")) is None
        assert [act["reply"] for act in acts] == [SAID["reply"], None]


def test_an_act_is_on_disk_as_soon_as_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    with kept_in(path) as (_, acts):
        acts.keep(PLACE, NOTHING)
        other = sqlite3.connect(path, timeout=0)
        [(kept,)] = other.execute("SELECT result FROM acts").fetchall()
        assert json.loads(kept) == NOTHING
        other.close()


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"[]", b"[" * 200_000, b"\xff"])
def test_an_act_that_cannot_be_read_is_performed_again(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    with kept_in(path) as (_, acts):
        acts.keep(PLACE, NOTHING)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE acts SET result = ?", (text,))
    other.close()
    with kept_in(path) as (_, acts):
        assert acts.find(PLACE) is None
        assert list(acts) == []
        acts.keep(PLACE, {**NOTHING, "reply": 1})
    with kept_in(path) as (_, acts):
        assert acts.find(PLACE) == {**NOTHING, "reply": 1}


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    path.write_bytes(b"no database" * 1000)
    with (
        pytest.raises(RunError, match=r"checkpoints\.sqlite: is damaged; start the run again"),
        kept_in(path),
    ):
        pass


@pytest.mark.parametrize("damaged", [b"\xc1", b"\xa4half", b"\x80"])
def test_a_checkpoint_that_is_damaged_is_told(damaged: bytes, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    state: Any = {"id": "1", "channel_values": {}, "channel_versions": {}, "versions_seen": {}}
    config: Any = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}
    with kept_in(path) as (saver, _):
        saver.put(config, state, {}, {})
    with sqlite3.connect(path) as other:
        other.execute("UPDATE checkpoints SET checkpoint = ?", (damaged,))
    other.close()
    with kept_in(path) as (saver, _), pytest.raises(RunError, match=r"is damaged; start the run again"):
        saver.get_tuple(config)


def test_a_database_error_of_somebody_elses_is_not_told_as_one_of_this_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), kept_in(tmp_path / "checkpoints.sqlite"):
        raise sqlite3.IntegrityError("UNIQUE constraint failed: elsewhere.id")


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    state: Any = {"id": "1", "channel_values": {"said": "x" * 100_000}, "channel_versions": {}}
    config: Any = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}
    with kept_in(tmp_path / "checkpoints.sqlite") as (saver, acts):
        saver.conn.execute("PRAGMA max_page_count=8")  # as if the disk were full
        with pytest.raises(RunError, match=r"cannot be used: database or disk is full; make room"):
            acts.keep(PLACE, {**NOTHING, "raw": ["x" * 100_000]})
        with pytest.raises(RunError, match=r"cannot be used: database or disk is full; make room"):
            asyncio.run(saver.aput(config, state, {}, {}))
