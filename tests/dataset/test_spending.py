"""What a build has taken, from the answers that it keeps here and elsewhere."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from multiplex.cli.dataset_progress import BuildProgress
from multiplex.content.scenarios import scenario_of
from multiplex.dataset import worker as workers
from multiplex.dataset.producing import Recipe, content_hashes
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.spending import RESPONSES, Spending, cost_of, keep_spent, name_of
from multiplex.dataset.store import Store
from multiplex.dataset.worker import Errand, Worker
from multiplex.errors import RunError
from multiplex.models.base import Completion
from multiplex.models.cached import ResponseStore

NOTHING = {"calls": 0, "prompt": 0, "completion": 0}


def answered(folder: Path, *keys: str, prompt: int = 10, completion: int = 2) -> None:
    """Put an answer for each key into the cache of a folder."""

    async def keep() -> None:
        with closing(ResponseStore(folder / RESPONSES)) as store:
            for key in keys:
                told = Completion(text="One", prompt_tokens=prompt, completion_tokens=completion)
                await store.keep(key.encode(), told, model="m")

    with ThreadPoolExecutor(1) as apart:  # where a loop may be running already
        apart.submit(asyncio.run, keep()).result()


def test_every_answer_that_is_kept_counts_once_also_where_more_come(tmp_path: Path) -> None:
    spending = Spending(tmp_path)
    assert spending.total() == NOTHING
    store = ResponseStore(tmp_path / RESPONSES)
    asyncio.run(store.keep(b"a", Completion(text="One", prompt_tokens=10, completion_tokens=2), model="m"))
    asyncio.run(
        store.keep(b"b", Completion(text="Half \ud800", prompt_tokens=5, completion_tokens=1), model="m")
    )
    for _ in range(2):
        assert spending.total() == {"calls": 2, "prompt": 15, "completion": 3}
        assert asyncio.run(store.recall(b"a")) is not None  # what is recalled is not paid for
    asyncio.run(store.keep(b"c", Completion(text="Three", prompt_tokens=100, completion_tokens=7), model="n"))
    for counted in (spending, Spending(tmp_path)):
        assert counted.total() == {"calls": 3, "prompt": 115, "completion": 10}
    store.close()


@pytest.mark.parametrize("damaged", [b"\x78\x9c\x00", b"{", b'"a string"', b'{"prompt_tokens": "many"}'])
def test_an_answer_that_cannot_be_read_counts_as_a_call_and_hides_no_other(
    damaged: bytes, tmp_path: Path
) -> None:
    answered(tmp_path, "a", "b", "c")
    with closing(sqlite3.connect(tmp_path / RESPONSES)) as store, store:
        store.execute("UPDATE responses SET completion = ? WHERE key = ?", (damaged, b"b"))
    assert Spending(tmp_path).total() == {"calls": 3, "prompt": 20, "completion": 4}


def test_an_answer_that_cannot_be_read_and_is_asked_for_again_counts_once(tmp_path: Path) -> None:
    answered(tmp_path, "a", "b")
    with closing(sqlite3.connect(tmp_path / RESPONSES)) as store, store:
        store.execute("UPDATE responses SET completion = x'00' WHERE key = ?", (b"a",))
    spending = Spending(tmp_path)
    assert spending.total() == {"calls": 2, "prompt": 10, "completion": 2}
    answered(tmp_path, "a")
    for counted in (spending, Spending(tmp_path)):
        assert counted.total() == {"calls": 2, "prompt": 20, "completion": 4}


def test_a_file_that_has_no_table_yet_counts_nothing(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / RESPONSES).close()
    (tmp_path / RESPONSES).touch()
    assert Spending(tmp_path).total() == NOTHING


def test_a_file_that_cannot_be_read_is_an_error_and_progress_goes_on_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(tmp_path, "a")
    spending = Spending(tmp_path)
    with BuildProgress(shown=True, prices=(0.5, 4.0), spending=spending):
        pass
    assert capsys.readouterr().err == ""  # nothing was done
    progress = BuildProgress(shown=True, prices=(0.5, 4.0), spending=spending)
    with progress:
        progress.ended(
            Prompt(id="a", scenario=scenario_of("Is it?"), group="a", origin="file 1:1"), None, None
        )
    for each in tmp_path.iterdir():
        each.unlink()
    (tmp_path / RESPONSES).write_bytes(b"no database, but something else" * 100)
    with pytest.raises(RunError, match=r"responses\.sqlite: cannot be read, so that nobody can tell"):
        spending.total()
    with progress:
        pass
    assert capsys.readouterr().err.count("12 tokens") == 2  # what was known last


def test_a_cost_is_by_the_million_tokens() -> None:
    assert cost_of({"prompt": 2_000_000, "completion": 500_000}, (0.5, 4.0)) == pytest.approx(3.0)


# --- on other machines -------------------------------------------------------------------------


class Elsewhere:
    """A machine other than the driver's, with a disk and a boot id of its own."""

    def __init__(self, folder: Path, boot: str, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._boot = boot
        self._patch = monkeypatch
        self.cache = folder / "multiplex-0"

    def works(self, store: Store, *answers: str, forget: bool = False) -> None:
        """Run a worker there that is given these answers, and tells the driver what they took."""
        self._patch.setattr(tempfile, "tempdir", str(self._folder))
        self._patch.setattr(workers, "machine", lambda: self._boot)
        asyncio.run(self._work(store, answers, forget))

    async def _work(self, store: Store, answers: tuple[str, ...], forget: bool) -> None:
        worker = Worker()
        errand = Errand(
            recipe=Recipe(),
            content=content_hashes(Recipe(), "extractive"),
            build="0",
            mark=store.path.parent / "number",
            responses=store.path.parent / RESPONSES,
            machine="the driver's",
        )
        assert await worker.start(errand, {"model": "extractive"}) == 1
        answered(self.cache, *answers)
        told = await worker.spent()
        assert isinstance(told, tuple)
        keep_spent(store, *told)
        await worker.close(forget=forget)


def test_what_a_cache_that_was_removed_held_still_counts_once_the_build_is_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Elsewhere(tmp_path / "there", "boot", monkeypatch)
    with Store(tmp_path / "build") as store:
        there.works(store, "a", "b", "c", forget=True)
        assert not there.cache.exists()
        there.works(store, "d", forget=True)
    assert Spending(tmp_path / "build").total() == {"calls": 4, "prompt": 40, "completion": 8}


def test_a_cache_counts_once_also_where_its_machine_was_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "build") as store:
        Elsewhere(tmp_path / "there", "boot", monkeypatch).works(store, "a", "b", "c")
        Elsewhere(tmp_path / "there", "another boot", monkeypatch).works(store, "d")
    assert Spending(tmp_path / "build").total()["calls"] == 4


def test_two_containers_of_one_machine_count_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "build") as store:
        for name in ("one", "other"):
            Elsewhere(tmp_path / name, "boot", monkeypatch).works(store, "a", "b")
        answered(tmp_path / "build", "e")  # and what the driver keeps itself
        assert Spending(tmp_path / "build").total() == {"calls": 5, "prompt": 50, "completion": 10}


def test_of_what_a_cache_tells_the_most_stays(tmp_path: Path) -> None:
    def told(calls: int) -> Mapping[str, int]:
        return {"calls": calls, "prompt": 10 * calls, "completion": calls}

    with Store(tmp_path) as store:
        for calls in (2, 5, 4):
            keep_spent(store, "a cache", told(calls))
        assert Spending(tmp_path).total() == told(5)
        # An answer that could not be read was asked for again: it counted as a call before.
        keep_spent(store, "a cache", {"calls": 5, "prompt": 70, "completion": 9})
    assert Spending(tmp_path).total() == {"calls": 5, "prompt": 70, "completion": 9}


def test_a_cache_keeps_its_name_and_another_gets_another(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert name_of(first) == name_of(first) != name_of(second)
    assert [each.name for each in first.iterdir()] == ["name"]
    name = name_of(first)
    shutil.rmtree(first)
    first.mkdir()
    assert name_of(first) != name


def test_what_is_shown_while_a_dataset_is_built_is_what_its_report_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(tmp_path, "a", prompt=1_000_000, completion=0)
    with (
        Store(tmp_path) as store,
        BuildProgress(shown=True, prices=(1.0, 1.0), spending=Spending(tmp_path)),
    ):
        keep_spent(store, "a cache", {"calls": 1, "prompt": 2_000_000, "completion": 1})
    assert "3,000,001 tokens, cost 3.00" in capsys.readouterr().err
