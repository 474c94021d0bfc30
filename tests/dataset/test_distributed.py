"""Builds over a Ray cluster: the same data as on one machine, whoever dies on the way, and nothing left running."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from multiplex.api import Session
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import BUILD, Plan, Publication, build
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.distributed import deliberate_on_ray
from multiplex.dataset.producing import Made, Producer, Recipe
from multiplex.dataset.prompts import Prompt, read_prompts
from multiplex.dataset.store import Store
from multiplex.embedding import SentenceEmbedder
from multiplex.errors import ContentError, RunError
from tests.endpoint import Endpoint, endpoint

QUESTIONS = tuple(
    f"{verb} {what}?"
    for verb in ("Who should pay for", "May a town forbid", "What do children owe those who gave them")
    for what in (
        "a bridge over the river",
        "the care of old horses",
        "church bells at night",
        "learning a second language",
        "vaccines against measles",
        "a grave in foreign soil",
        "beer at football matches",
        "robots in the harvest",
    )
)
SMALL = """
name: small
summary: Open, write and vote.
stages:
  - open
  - synthesise
  - ratify
"""

pytestmark = [
    # Ray 2.60: sockets and subprocesses of its own that it leaves to the collector when it is shut down.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings(r"ignore:subprocess \d+ is still running:ResourceWarning"),
]


@pytest.mark.parametrize("address", ["ray://host:10001", "nonsense", "host:port", "127.0.0.1:1"])
def test_an_address_without_a_cluster_is_told_in_a_sentence(address: str, tmp_path: Path) -> None:
    with Store(tmp_path) as store, pytest.raises(ContentError, match=f"--ray-address '?{address}"):
        asyncio.run(
            deliberate_on_ray(store, Recipe(), {"model": "extractive"}, address=address, workers=None)
        )


# --- builds ------------------------------------------------------------------------------------


class Place:
    """Where the builds of these tests are: their prompts, their protocol, and the endpoint that answers."""

    def __init__(self, folder: Path, served: Endpoint) -> None:
        self.folder = folder
        self.served = served
        self.embedder = SentenceEmbedder()
        self.questions = folder / "questions.txt"
        self.questions.write_text("\n".join(QUESTIONS), encoding="utf-8")
        self.protocol = folder / "small.yaml"
        self.protocol.write_text(SMALL, encoding="utf-8")
        self.recipe = Recipe(personas=("confucian", "western"), protocol=str(self.protocol), contrast=False)
        self.options = {"model": "openai:test-model", "base_url": served.base_url, "concurrency": 4}

    def build(self, name: str, deliberate: Callable[[Store], Any]) -> Path:
        """Build a dataset in a folder of that name, and return the folder."""

        async def prompts() -> Any:
            return read_prompts([self.questions])

        plan = Plan(
            model="openai:test-model", recipe=self.recipe, embedding=self.embedder.name, multiplex="0"
        )
        building = build(
            self.folder / name,
            plan,
            Assembly(),
            Publication(),
            prompts=prompts,
            deliberate=deliberate,
            embedder=self.embedder,
            masks=None,
        )
        asyncio.run(building)
        return self.folder / name

    def on_ray(
        self, name: str, address: str, watch: "Watch", *, workers: int | None = None, patience: float = 60.0
    ) -> Path:
        """Build on a cluster, and return the folder."""

        async def deliberate(store: Store) -> None:
            await deliberate_on_ray(
                store,
                self.recipe,
                self.options,
                address=address,
                workers=workers,
                on_done=watch.done,
                on_notice=watch.notice,
                patience=patience,
            )

        return self.build(name, deliberate)

    async def here(self, store: Store) -> None:
        """Deliberate in this process."""
        async with Session(
            model="openai:test-model",
            base_url=self.served.base_url,
            concurrency=4,
            cache=store.path.parent / "responses.sqlite",
            embedder=self.embedder,
        ) as session:
            producer = Producer(session, self.embedder, self.recipe)
            await deliberate_all(store, producer.produce, at_once=producer.at_once())


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder, endpoint(latency=0.02) as served:
        yield Place(Path(folder), served)


@pytest.fixture(scope="module")
def _alone() -> Iterator[None]:
    """Keep Ray on the loopback, and from telling its makers anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        import ray._private.ray_constants as constants

        patch.setattr(constants, "ENABLE_RAY_CLUSTER", False)  # where Ray has been imported before
        yield


@pytest.fixture(scope="module")
def local(place: Place) -> Path:
    """A build without Ray."""
    return place.build("local", place.here)


def content(folder: Path) -> tuple[list[tuple[str, str, str]], str]:
    """Return what a build kept of each prompt, and the hash over its shards."""
    with Store(folder / BUILD) as store:
        assert store.states() == {"todo": 0, "done": len(QUESTIONS), "failed": 0}
        kept = [(each.prompt.id, each.prompt.origin, each.model_dump_json()) for each in store.materials()]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return kept, manifest["data_sha256"]


@contextmanager
def cluster(*nodes: dict[str, Any], quick_to_miss: bool = False) -> Iterator[Any]:
    """Run a cluster, its first node the head, and see that nothing of it is left."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    health = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 500,
        "health_check_failure_threshold": 3,
    }
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        (Path(folder) / "ray").mkdir()
        made = Cluster(
            initialize_head=True,
            head_node_args={
                "include_dashboard": False,
                "_system_config": health if quick_to_miss else {},
                **nodes[0],
            },
        )
        try:
            for node in nodes[1:]:
                made.add_node(**node)
            yield made
        finally:
            made.shutdown()  # type: ignore[no-untyped-call]
            left = running_in(folder)
            shutil.rmtree(folder, ignore_errors=True)
    assert left == []


def running_in(folder: str | Path) -> list[str]:
    """Return the processes that have a file open below a folder, as each of Ray's has its log; wait for none."""
    for _ in range(50):
        found = [f"{pid}: {command}" for pid, command in _processes(str(folder))]
        if not found:
            return []
        time.sleep(0.1)
    return found


def _processes(folder: str) -> Iterator[tuple[int, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid():
            try:
                opened = [str(link.readlink()) for link in (process / "fd").iterdir()]
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has ended, or is another user's
                continue
            if any(path.startswith(f"{folder}/") for path in opened):
                yield int(process.name), command


class Watch:
    """Sees that all workers take part, and does something once they do."""

    def __init__(self, workers: int, then: Callable[[], None] = lambda: None) -> None:
        self.told: list[str] = []
        self.ended: list[str] = []
        self._workers = workers
        self._then: list[Callable[[], None]] = [then]

    def notice(self, notice: str) -> None:
        """Keep what is told."""
        self.told.append(notice)

    def done(self, prompt: Prompt, made: Made | None, failure: str | None) -> None:
        """Keep the first workers waiting for more to do until the last has begun."""
        self.ended.append(prompt.id)
        if len([each for each in self.told if " begins on " in each]) < self._workers:
            time.sleep(1)
        elif self._then:
            self._then.pop()()

    @property
    def lost(self) -> list[str]:
        """Return what was told of workers that died."""
        return [each for each in self.told if " is lost " in each]


@pytest.fixture(scope="module")
def two_nodes(_alone: None) -> Iterator[Any]:
    with cluster({"num_cpus": 1}, {"num_cpus": 2}) as nodes:
        yield nodes


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_on_two_nodes_make_what_one_machine_makes(
    workers: int, two_nodes: Any, place: Place, local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, watch = place.served.count, Watch(workers)
    folder = place.on_ray(f"{workers}_workers", two_nodes.address, watch, workers=workers)
    assert content(folder) == content(local)
    assert len(watch.told) == workers
    assert place.served.count - asked == local_calls(local)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_worker_that_is_killed_midway_is_replaced_and_nothing_is_paid_for_twice(
    two_nodes: Any, place: Place, local: Path
) -> None:
    def kill() -> None:
        workers = [
            pid
            for pid, command in _processes(two_nodes.head_node.get_temp_dir_path())
            if command.startswith("ray::Worker")
        ]
        os.kill(
            max(workers), signal.SIGKILL
        )  # the youngest: one of the build before may still be on its way out

    # Where the last worker begins late there is nothing left for a death to cost: then once more.
    for attempt in range(4):
        asked, watch = place.served.count, Watch(2, kill)
        folder = place.on_ray(f"worker_killed_{attempt}", two_nodes.address, watch, workers=2)
        assert content(folder) == content(local)
        assert sorted(watch.ended) == sorted({each for each, _, _ in content(local)[0]})
        if watch.lost:
            break
    assert len(watch.lost) == 1
    # What was answered is in the driver's cache, which all share on this machine; what was in flight is asked again.
    assert place.served.count - asked <= local_calls(local) + 4


@pytest.mark.slow
def test_a_machine_with_another_version_takes_no_part(
    two_nodes: Any, place: Place, local: Path, tmp_path: Path
) -> None:
    other = tmp_path / "multiplex_deliberation-0.0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: multiplex-deliberation\nVersion: 0.0.1\n")
    node = two_nodes.add_node(num_cpus=4, env_vars={"PYTHONPATH": str(tmp_path)})
    try:
        watch = Watch(1)
        folder = place.on_ray("versions", two_nodes.address, watch, workers=6)
    finally:
        two_nodes.remove_node(node)
    assert content(folder) == content(local)
    assert any("has Multiplex 0.0.1" in each and "install the same" in each for each in watch.told)


@pytest.mark.slow
@pytest.mark.usefixtures("_alone")
def test_a_node_that_is_killed_midway_loses_and_doubles_nothing_and_the_last_one_only_stops_the_build(
    place: Place, local: Path
) -> None:
    with cluster({"num_cpus": 0}, {"num_cpus": 1}, {"num_cpus": 1}, quick_to_miss=True) as nodes:

        def kill() -> None:
            nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

        # Where the second worker begins late there is nothing left for a death to cost: then once more.
        for attempt in range(4):
            watch = Watch(2, kill)
            folder = place.on_ray(f"node_killed_{attempt}", nodes.address, watch)
            assert len(nodes.worker_nodes) == 1
            assert content(folder) == content(local)
            assert sorted(watch.ended) == sorted({each for each, _, _ in content(local)[0]})
            if watch.lost:
                break
            nodes.add_node(num_cpus=1)
        assert len(watch.lost) == 1
        with pytest.raises(RunError, match="no room on the cluster for any worker: each needs 1 CPU"):
            place.on_ray("deserted", nodes.address, Watch(1, kill), workers=1, patience=6.0)
    with Store(place.folder / "deserted" / BUILD) as store:
        states = store.states()
    assert states["failed"] == 0
    assert 0 < states["done"] < len(QUESTIONS)
    assert content(place.build("deserted", place.here)) == content(local)


@pytest.mark.slow
def test_ray_that_a_build_started_itself_ends_with_it_also_when_it_is_interrupted(place: Place) -> None:
    few, out = place.folder / "few.txt", place.folder / "commanded"
    few.write_text("\n".join(QUESTIONS[:4]), encoding="utf-8")
    command = ["dataset", "build", str(few), "--out", str(out), "--json", "--no-mask", "--engine", "ray"]
    command += ["--model", "openai:test-model", "--base-url", place.served.base_url, "--concurrency", "1"]
    command += ["--personas", "confucian", "--personas", "western", "--protocol", str(place.protocol)]
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as temporary:
        said = Path(temporary) / "said"
        with started(command, temporary) as process:
            while process.poll() is None and not finished(out):
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)
            printed, _ = process.communicate()
        assert (process.returncode, printed) == (130, ""), said.read_text(encoding="utf-8")
        assert 0 < finished(out) < 4
        assert (running_in(temporary), [*Path(temporary).glob("ray*")]) == ([], [])
        with started(command, temporary) as process:
            printed, _ = process.communicate()
        assert process.returncode == 0, said.read_text(encoding="utf-8")
        assert json.loads(printed)["path"] == str(out)
        assert finished(out) == 4
        assert (running_in(temporary), [*Path(temporary).glob("ray*")]) == ([], [])


def started(command: list[str], temporary: str) -> subprocess.Popen[str]:
    """Run `multiplex` in a process group of its own, with its temporary files and its stderr (`said`) in a folder."""
    with (Path(temporary) / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "multiplex", *command],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "TMPDIR": temporary},
            start_new_session=True,
        )


def finished(folder: Path) -> int:
    """Return how many deliberations of a build are kept."""
    if not (folder / BUILD / "work.sqlite").exists():
        return 0
    with closing(sqlite3.connect(folder / BUILD / "work.sqlite", timeout=30)) as work:
        try:
            return int(work.execute("SELECT count(*) FROM prompts WHERE state = 'done'").fetchone()[0])
        except sqlite3.OperationalError:  # it has no tables yet
            return 0


def local_calls(local: Path) -> int:
    """Return how many calls a build takes: those that the build without Ray kept."""
    with closing(sqlite3.connect(local / BUILD / "responses.sqlite")) as kept:
        return int(kept.execute("SELECT count(*) FROM responses").fetchone()[0])
