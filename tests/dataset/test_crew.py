"""Ray's workers without Ray: what crosses machines, and what becomes of prompts whose workers die."""

import asyncio
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from multiplex.content.scenarios import Scenario
from multiplex.dataset.crew import Crew, Deserted
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.distributed import errand_for
from multiplex.dataset.producing import Made, Recipe, content_hashes, installed_version
from multiplex.dataset.prompts import Prompt, read_prompts
from multiplex.dataset.spending import name_of
from multiplex.dataset.store import Store
from multiplex.dataset.worker import Errand, Failed, Worker, machine
from multiplex.errors import ContentError, ModelError, MultiplexError, NoQuorumError, RunError
from tests.files import write_scenario, write_table

# --- what crosses machines ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ContentError("a name is wrong"),
        RunError("the disk is full"),
        NoQuorumError("nobody answered"),
        ModelError("does not start", kind="memory"),
    ],
)
def test_an_error_comes_back_from_a_worker_as_what_it_was(error: MultiplexError) -> None:
    back = Failed.of(error).error
    assert (type(back), str(back)) == (type(error), str(error))
    assert getattr(back, "kind", None) == getattr(error, "kind", None)


def test_a_kind_of_error_that_is_not_known_comes_back_as_a_run_error() -> None:
    assert type(Failed.of(MultiplexError("something")).error) is RunError


def test_a_worker_with_other_content_than_the_driver_does_not_start(tmp_path: Path) -> None:
    errand = Errand(
        recipe=Recipe(),
        content={"personas/western": "other"},
        build="0",
        mark=tmp_path / "number",
        responses=tmp_path / "responses.sqlite",
        machine="here",
    )
    answer = asyncio.run(Worker().start(errand, {"model": "extractive"}))
    assert isinstance(answer, Failed)
    assert "is not what it is where the build was started" in answer.message


def test_a_worker_with_other_personas_or_protocols_than_scenarios_name_for_themselves_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("one", "other"):  # two scenarios of one name
        (tmp_path / name).mkdir()
        write_table(tmp_path / name, "open")
        write_scenario(tmp_path / name, "ferry", question=f"Should the {name} village keep the ferry?")
    monkeypatch.chdir(tmp_path)
    with Store(tmp_path / "build") as store:
        for prompt in read_prompts(["one/ferry.yaml", "other/ferry.yaml"]):
            assert isinstance(prompt, Prompt)
            store.add_prompt(prompt)
        errand = errand_for(store, Recipe(), model="extractive")
    monkeypatch.chdir(tmp_path / "elsewhere")  # a worker may have been started anywhere

    def start() -> int | Failed:
        async def start_and_close() -> int | Failed:
            worker = Worker()
            answer = await worker.start(errand, {"model": "extractive"})
            await worker.close(forget=True)
            return answer

        return asyncio.run(start_and_close())

    assert start() == 1
    for path, what in (
        ("one/table/miller.yaml", "file 1/ferry/miller"),
        ("other/table/miller.yaml", "file 2/ferry/miller"),
        ("other/trial.yaml", "file 2/ferry/trial"),
    ):
        before = (tmp_path / path).read_text(encoding="utf-8")
        changed = re.sub(r"(?m)^summary: .*$", "summary: Something else.", before)
        (tmp_path / path).write_text(changed, encoding="utf-8")
        answer = start()
        assert isinstance(answer, Failed)
        assert f"{what} is not what it is where the build was started" in answer.message
        (tmp_path / path).write_text(before, encoding="utf-8")
    (tmp_path / "one" / "trial.yaml").unlink()
    answer = start()
    assert isinstance(answer, Failed)
    assert "trial.yaml" in answer.message


def test_a_worker_on_another_machine_keeps_answers_on_its_own_disk_until_they_are_to_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "number").write_text(
        "0", encoding="utf-8"
    )  # a disk that both see does not make it one machine
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    kept = tmp_path / "temporary" / "multiplex-0"

    async def work(machine: str, forget: bool) -> bool:
        worker = Worker()
        errand = Errand(
            recipe=Recipe(),
            content=content_hashes(Recipe(), "extractive"),
            build="0",
            mark=tmp_path / "number",
            responses=tmp_path / "responses.sqlite",
            machine=machine,
        )
        assert await worker.start(errand, {"model": "extractive"}) == 1
        there = kept.is_dir()
        # Where answers are kept on another machine, it counts what they took; else the driver does.
        nothing = {"calls": 0, "prompt": 0, "completion": 0}
        told = (name_of(kept), nothing) if there else None
        assert await worker.spent() == told
        await worker.close(forget=forget)
        return there

    assert asyncio.run(work(machine(), True)) is False
    assert asyncio.run(work("elsewhere", False)) is True
    assert kept.stat().st_mode & 0o777 == 0o700
    assert asyncio.run(work("elsewhere", True)) is True
    assert not kept.exists()


class Scripted:
    """A worker that is asked as an actor is, and answers from a script."""

    def __init__(self, said: Made | Failed | Exception, asked: list[str]) -> None:
        self._said = said
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        async def answer(*_: Any, **__: Any) -> Any:
            await asyncio.sleep(0)
            if name == "produce":
                self._asked.append(type(self._said).__name__)
                if isinstance(self._said, Exception):
                    raise self._said
            return {"hello": (installed_version(), "host"), "start": 1, "produce": self._said}.get(name)

        return SimpleNamespace(remote=answer)


def crew_with(
    places: int,
    hire: Callable[[], Any],
    on_spent: Callable[[str, Mapping[str, int]], None] = lambda cache, spent: None,
    on_notice: Callable[[str], None] = lambda notice: None,
) -> Crew:
    """Return a crew of scripted workers."""
    return Crew(
        places,
        hire=hire,
        dismiss=lambda actor: None,
        lost=OSError,
        broken=FileNotFoundError,
        errand=Errand(recipe=Recipe(), content={}, build="", mark=Path(), responses=Path(), machine=""),
        options={},
        patience=5.0,
        needs="1 CPU",
        on_notice=on_notice,
        on_spent=on_spent,
    )


def a_prompt(name: str) -> Prompt:
    scenario = Scenario(name=f"prompt_{name}", question="Why?")
    return Prompt(id=name, scenario=scenario, group="", origin="")


def crew_of(
    *script: Made | Failed | Exception, prompts: int = 3
) -> tuple[list[Made | MultiplexError], list[str]]:
    """Give a crew of such workers some prompts; whoever is hired later is as the last of the script."""
    asked: list[str] = []
    hired = iter(script)

    async def work() -> list[Made | MultiplexError]:
        crew = crew_with(len(script), lambda: Scripted(next(hired, script[-1]), asked))
        await crew.open()
        found: list[Made | MultiplexError] = []
        for number in range(prompts):
            try:
                found.append(await crew.produce(a_prompt(str(number))))
            except MultiplexError as error:
                found.append(error)
        await crew.close(forget=False)
        return found

    return asyncio.run(work()), asked


def test_a_worker_that_never_made_anything_does_not_fail_what_others_can_make() -> None:
    made = Made("{}")
    found, asked = crew_of(Failed("NoQuorumError", "its endpoint is down"), made)
    assert found == [made, made, made]
    assert "Failed" in asked


def test_what_all_workers_fail_is_failed_for_their_reason() -> None:
    found, _ = crew_of(*[Failed("NoQuorumError", "the endpoint is down")] * 2)
    assert [(type(each), str(each)) for each in found] == [(NoQuorumError, "the endpoint is down")] * 3


def test_a_prompt_that_is_the_death_of_three_workers_fails() -> None:
    made = Made("{}")
    dead = OSError("out of memory")
    found, asked = crew_of(dead, dead, dead, made)
    assert all(each == made or "3 workers died while" in str(each) for each in found)
    assert made in found
    assert asked.count("OSError") == 3


@pytest.mark.parametrize("made", [Made("{}"), Failed("RunError", "nobody answered")])
def test_what_a_cache_holds_is_told_after_each_prompt_also_after_one_that_failed(
    made: Made | Failed,
) -> None:
    told: list[tuple[str, Mapping[str, int]]] = []

    class Thrifty(Scripted):
        def __getattr__(self, name: str) -> Any:
            async def answer(*_: Any, **__: Any) -> Any:
                return ("there", {"calls": len(self._asked)})

            return SimpleNamespace(remote=answer) if name == "spent" else super().__getattr__(name)

    async def work() -> None:
        asked: list[str] = []
        crew = crew_with(1, lambda: Thrifty(made, asked), lambda *spent: told.append(spent))
        await crew.open()
        for name in "ab":
            with suppress(MultiplexError):
                await crew.produce(a_prompt(name))
        await crew.close(forget=False)

    asyncio.run(work())
    assert told == [("there", {"calls": 1}), ("there", {"calls": 2})]


def test_a_worker_whose_answers_cannot_be_counted_is_told_once_and_works_on() -> None:
    told: list[str] = []

    class Uncounted(Scripted):
        def __getattr__(self, name: str) -> Any:
            async def answer(*_: Any, **__: Any) -> Any:
                return Failed("RunError", "responses.sqlite: cannot be read")

            return SimpleNamespace(remote=answer) if name == "spent" else super().__getattr__(name)

    async def work() -> list[Made]:
        crew = crew_with(1, lambda: Uncounted(Made("{}"), []), on_notice=told.append)
        await crew.open()
        made = [await crew.produce(a_prompt(name)) for name in "ab"]
        await crew.close(forget=False)
        return made

    assert asyncio.run(work()) == [Made("{}")] * 2
    assert told[1:] == ["what is spent on host is not counted: responses.sqlite: cannot be read"]


class Mortal:
    """A worker with room for three prompts that some of them kill, with all that it has."""

    def __init__(self, deadly: str) -> None:
        self._deadly = deadly
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        async def answer(*given: Any, **_: Any) -> Any:
            if name == "produce":
                await asyncio.sleep(0)
                self._dead = self._dead or given[0].id in self._deadly
                await asyncio.sleep(0)
                if self._dead:
                    raise OSError("out of memory")
            return {"hello": (installed_version(), "host"), "start": 3, "spent": None}.get(name, Made("{}"))

        return SimpleNamespace(remote=answer)


@pytest.mark.parametrize("deadly", ["a", "ab", "abcd", "ei"])
@pytest.mark.parametrize("workers", [1, 2])
def test_prompts_that_kill_their_workers_fail_alone_and_keep_no_build_from_its_end_however_often_it_is_tried(
    workers: int, deadly: str, tmp_path: Path
) -> None:
    async def work(store: Store) -> None:
        crew = crew_with(workers, lambda: Mortal(deadly))
        await deliberate_all(store, crew.produce, at_once=await crew.open())
        await crew.close(forget=False)

    with Store(tmp_path) as store:
        for name in "abcdefghi":
            store.add_prompt(a_prompt(name))
        for _ in range(2):
            store.retry_failed()
            asyncio.run(work(store))
            assert store.states() == {"todo": 0, "done": 9 - len(deadly), "failed": len(deadly)}
            assert [(name, kind) for name, kind, _ in store.failures()] == [(name, "run") for name in deadly]
            assert all("3 workers died while" in why for _, _, why in store.failures())


def test_workers_that_all_die_leave_a_build_deserted_and_an_error_of_ours_is_raised() -> None:
    with pytest.raises(Deserted, match="out of memory"):
        crew_of(OSError("out of memory"), prompts=7)
    with pytest.raises(FileNotFoundError):
        crew_of(FileNotFoundError("a bug"))
