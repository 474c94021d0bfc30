"""The deliberations of a dataset over a Ray cluster: workers on its machines, and one driver that keeps what they make.

The driver alone holds the work file. It hands prompts out one by one, as many as keep every worker full, and
commits each result as it comes; so a worker, or its machine, may die at any time and only what it had in
progress is begun again by another. A prompt's seed depends on the prompt alone: who deliberates on it, and
how many they are, changes nothing.
"""

import math
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import replace
from io import StringIO, TextIOBase
from pathlib import Path
from typing import Any, TextIO

from multiplex.content.files import is_path
from multiplex.content.personas import Persona
from multiplex.dataset.crew import Crew, Deserted
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.producing import Made, Recipe
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.spending import RESPONSES, keep_spent
from multiplex.dataset.store import Store
from multiplex.dataset.worker import Errand, Worker, content_here, machine
from multiplex.errors import ContentError, MultiplexError, RunError

__all__ = ["deliberate_on_ray", "errand_for"]

_OBJECTS = 256 * 1024**2
"""Bytes of shared memory for a cluster that is started here; a deliberation leaves less than a hundredth of it."""

_LONGEST_FOLDER = 36
"""Characters that Ray's folder may have: the paths of its sockets, below it, may have 103 on some systems."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How HTTP/2 begins, which Ray speaks: its server answers with a frame of the same type, 4."""

_PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


async def deliberate_on_ray(
    store: Store,
    recipe: Recipe,
    session_options: Mapping[str, Any],
    *,
    address: str | None,
    workers: int | None,
    on_done: Callable[[Prompt, Made | None, str | None], None] = lambda prompt, made, failure: None,
    on_notice: Callable[[str], None] = lambda notice: None,
    cpus: float = 1.0,
    patience: float = 120.0,
) -> None:
    """Make what is still to be made on a Ray cluster, and keep each as it comes.

    Args:
        store: what is due, and where it is kept.
        recipe: how prompts are deliberated on.
        session_options: what every worker's `Session` is made with, but for its cache and embedder. An address
            such as http://127.0.0.1:8000/v1 is that of each worker's own machine.
        address: the cluster's, as in `auto` or `10.0.0.1:6379`; None starts Ray on this machine, and ends it.
            Where this process is connected already, that cluster is used, and stays.
        workers: how many; None is one for each machine, or for as many GPUs as one engine takes.
        on_done: told of each prompt as it ends (see `deliberate_all`).
        on_notice: told, in a sentence, of workers that begin, are lost or do not start.
        cpus: processors that a worker is given; a fraction lets several share one.
        patience: seconds without any worker and without room for one, after which the build ends.

    Raises:
        ContentError: Ray is not installed, there is no cluster at the address, or something given is wrong.
        RunError: no worker is left and none can be started; or as `deliberate_all`.
        ModelError: the model cannot be used at all.
    """
    if workers is not None and workers < 1:
        raise ContentError(f"workers: needs to be at least 1, not {workers}")
    if not (math.isfinite(cpus) and cpus > 0):
        raise ContentError(f"cpus: needs to be more than 0, not {cpus}")
    options = dict(session_options)
    errand = errand_for(store, recipe, model=str(options["model"]))
    with _quiet(), _cluster(address, processors=math.ceil((workers or 1) * cpus)) as ray:
        gpus = _gpus(options, total=ray.cluster_resources().get("GPU", 0))
        places = workers or _room(ray.nodes(), cpus, gpus)
        # SPREAD: one on each machine as long as there are machines. A worker that dies is replaced by us, and
        # not by Ray: the new one has to be told its errand first.
        hired = ray.remote(Worker).options(
            num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD", max_restarts=0
        )
        crew = Crew(
            places,
            hire=hired.remote,
            dismiss=lambda actor: _kill(ray, actor),
            lost=ray.exceptions.RayError,
            broken=ray.exceptions.RayTaskError,
            errand=errand,
            options=options,
            patience=patience,
            needs=f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else ""),
            on_notice=on_notice,
            on_spent=lambda cache, spent: keep_spent(store, cache, spent),
        )
        done = False
        try:
            at_once = await crew.open()
            await deliberate_all(
                store, lambda prompt: crew.produce(_prompt_anywhere(prompt)), at_once=at_once, on_done=on_done
            )
            states = store.states()
            done = not states["todo"] and not states["failed"]
        except Deserted as error:
            raise error.reason from None
        finally:
            try:
                await crew.close(forget=done)
            finally:
                crew.dismiss()


# --- the cluster -------------------------------------------------------------------------------


@contextmanager
def _cluster(address: str | None, *, processors: int) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine; leave, or end it, in any case."""
    if address is not None:
        _check_address(address)
    with _alone() if address is None else nullcontext():
        ray = _ray()
        if ray.is_initialized():
            yield ray
            return
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        temporary = None
        if address is None:
            temporary = tempfile.mkdtemp(prefix="ray-")
            settings |= {
                "address": "local",
                "num_cpus": max(processors, os.cpu_count() or 1),
                "include_dashboard": False,
                "object_store_memory": _OBJECTS,
            }
            if len(temporary) <= _LONGEST_FOLDER:
                settings["_temp_dir"] = temporary
        else:
            settings["address"] = address
        try:
            try:
                ray.init(**settings)
            except (
                Exception
            ) as error:  # whatever Ray raises: no cluster, another version, no room on the disk
                where = f"--ray-address {address}: cannot be used" if address else "Ray does not start here"
                said = "no cluster runs on this machine" if address == "auto" else _first_line(error)
                raise ContentError(f"{where}: {said}; see `ray status`") from error
            yield ray
        finally:
            with redirect_stdout(StringIO()):  # what Ray has gathered to say of dead workers; we have said it
                ray.shutdown()
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ContentError(
            "--engine ray needs Ray, which is not installed: pip install 'multiplex-deliberation[ray]'"
        ) from error
    return ray


@contextmanager
def _alone() -> Iterator[None]:
    """Start Ray so that it tells its makers nothing, and listens to this machine alone.

    The last is read when Ray is first imported; without it Ray takes commands from whoever reaches its ports.
    """
    wanted = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_address(address: str) -> None:
    """Knock before Ray does, which would try for a minute and then end the process."""
    if "://" in address:
        raise ContentError(
            f"--ray-address {address}: name the cluster as HOST:PORT, or run on one of its machines and name `auto`"
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ContentError(f"--ray-address {address!r}: is no address; write `auto`, or HOST:PORT")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as knocked:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            knocked.sendall(_PREFACE)
            answer = knocked.recv(9)
    except OSError as error:
        raise ContentError(
            f"--ray-address {address}: nobody answers there ({error.strerror or error}); start a cluster with "
            "`ray start --head`"
        ) from error
    if answer[3:4] != b"\x04":
        raise ContentError(
            f"--ray-address {address}: something else answers there; a cluster's port is 6379 unless it was "
            "given another"
        )


def _kill(ray: Any, actor: Any) -> None:
    with suppress(Exception):  # it is dead, or the cluster is
        ray.kill(actor)


def _gpus(options: Mapping[str, Any], *, total: float) -> int:
    """Return how many GPUs a worker takes: those of its engine, where it has one and the cluster has GPUs."""
    if not str(options["model"]).startswith("vllm:") or not total:
        return 0
    engine = options.get("engine") or {}
    try:
        sizes: list[int] = [int(engine.get(name, 1)) for name in _PARALLEL]
    except (TypeError, ValueError) as error:
        raise ContentError(f"the engine's {' and '.join(_PARALLEL)}: need to be whole numbers") from error
    return sizes[0] * sizes[1] * sizes[2]


def _room(nodes: list[dict[str, Any]], cpus: float, gpus: int) -> int:
    """Return how many workers a cluster is for: one for each machine, or as many as its GPUs take."""
    there = [node["Resources"] for node in nodes if node["Alive"]]
    if gpus:
        return max(1, sum(int(each.get("GPU", 0) // gpus) for each in there))
    return max(1, len([each for each in there if each.get("CPU", 0) >= cpus]))


# --- what workers are told ---------------------------------------------------------------------


def errand_for(store: Store, recipe: Recipe, *, model: str) -> Errand:
    """Return what every worker of a build is told; what files it names are found from any folder that has them.

    Raises:
        ContentError: something that the recipe or a prompt names is not there, or wrong.
        RunError: the build's folder cannot be written.
    """
    recipe, tables = _anywhere(recipe), tuple(map(_prompt_anywhere, store.tables()))
    folder = store.path.parent.absolute()
    return Errand(
        recipe=recipe,
        tables=tables,
        content=content_here(recipe, model, tables),
        build=_build_number(store, folder),
        mark=folder / "number",
        responses=folder / RESPONSES,
        machine=machine(),
    )


def _anywhere(recipe: Recipe) -> Recipe:
    """Return a recipe whose files are found from any folder of a machine that has them."""
    personas = recipe.personas and tuple(map(_absolute, recipe.personas))
    return replace(recipe, personas=personas, protocol=recipe.protocol and _absolute(recipe.protocol))


def _prompt_anywhere(prompt: Prompt) -> Prompt:
    """Return a prompt whose panel and protocol are found from any folder too."""
    scenario = prompt.scenario
    personas = scenario.personas
    there = {
        "personas": _absolute(personas)
        if isinstance(personas, str)
        else tuple(each if isinstance(each, Persona) else _absolute(each) for each in personas),
        "protocol": _absolute(scenario.protocol),
    }
    return prompt.model_copy(update={"scenario": scenario.model_copy(update=there)})


def _absolute(reference: str) -> str:
    return str(Path(reference).absolute()) if is_path(reference) else reference


def _build_number(store: Store, folder: Path) -> str:
    """Return a number of this build's own, kept in the work file and in a file that workers look for."""
    number = store.fact("build_number")
    if not isinstance(number, str):
        number = secrets.token_hex(8)
        store.keep_fact("build_number", number)
    try:
        (folder / "number").write_text(number, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return number


# --- what Ray says -----------------------------------------------------------------------------


def _first_line(error: Exception) -> str:
    if isinstance(error, MultiplexError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Ray's threads print of dead workers off stdout, where our own result goes; all else passes."""
    with redirect_stdout(_Aside(sys.stdout)):
        yield


class _Aside(TextIOBase):
    """A stream that takes nothing from threads of Ray's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Pass a text on, unless Ray prints it."""
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()
