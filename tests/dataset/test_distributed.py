"""Builds over a Ray cluster: the same data as on one machine, whoever dies on the way, and nothing left running."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from multiplex.dataset.worker import Errand, Failed, Worker
from multiplex.embedding import SentenceEmbedder
from multiplex.errors import ContentError, ModelError, MultiplexError, NoQuorumError, RunError
from tests.endpoint import Endpoint, endpoint

OnDone = Callable[[Prompt, Made | None, str | None], None]

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
        self.recipe = Recipe(
            personas=("confucian", "western"), protocol=str(self.protocol), contrast=False, perspectives=False
        )
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
        self, name: str, *, address: str | None, workers: int | None = None, **more: Any
    ) -> tuple[Path, list[str]]:
        """Build on a cluster; return the folder and what was told."""
        told: list[str] = []

        async def deliberate(store: Store) -> None:
            await deliberate_on_ray(
                store,
                self.recipe,
                self.options,
                address=address,
                workers=workers,
                on_notice=told.append,
                **more,
            )

        return self.build(name, deliberate), told

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
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    health = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 500,
        "health_check_failure_threshold": 3,
    }
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={
            "node_ip_address": "127.0.0.1",
            "include_dashboard": False,
            "temp_dir": folder,
            "_system_config": health if quick_to_miss else {},
            **nodes[0],
        },
    )
    try:
        for node in nodes[1:]:
            made.add_node(**{"node_ip_address": "127.0.0.1", **node})
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


@pytest.mark.slow
def test_one_worker_or_three_on_two_nodes_make_what_one_machine_makes(place: Place, local: Path) -> None:
    with cluster({"num_cpus": 2}, {"num_cpus": 2}) as two_nodes:
        asked = place.served.count
        one, told_of_one = place.on_ray("one", address=two_nodes.address, workers=1)
        once = place.served.count - asked
        three, told_of_three = place.on_ray("three", address=two_nodes.address, workers=3)
    assert told_of_one == told_of_three == []
    assert content(one) == content(three) == content(local)
    assert place.served.count - asked == 2 * once


@pytest.mark.slow
def test_a_node_that_is_killed_midway_loses_and_doubles_nothing(place: Place, local: Path) -> None:
    ended: list[str] = []
    with cluster({"num_cpus": 1}, {"num_cpus": 1}, quick_to_miss=True) as two_nodes:
        doomed = next(iter(two_nodes.worker_nodes))

        def on_done(prompt: Prompt, made: Made | None, failure: str | None) -> None:
            ended.append(prompt.id)
            if len(ended) == 6:
                two_nodes.remove_node(doomed, allow_graceful=False)

        killed, told = place.on_ray("killed", address=two_nodes.address, on_done=on_done)
    assert content(killed) == content(local)
    assert len(ended) == len(set(ended)) == len(QUESTIONS)
    assert [notice for notice in told if "is lost" in notice], told
