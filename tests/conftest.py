"""What every test starts from: no model in the environment, an empty cache, no network but loopback."""

import gc
import os

# Read when numpy and torch are first imported. Where each core has a test of its own, threads that share a
# matrix product only wait for one another, and burn a fifth of the suite's time with it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import shutil
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from hypothesis import settings

from multiplex.embedding import SentenceEmbedder, cache_folder

# Machines are noisy, and no test is about time. A property is tried with as many examples as its profile says,
# the same in every run of two of them: what fails there has been changed. `make test` takes the steady one,
# `make slow` the thorough one; what has not been thought of yet is looked for with --hypothesis-profile=search.
settings.register_profile("steady", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=250, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("steady")

# Typer builds every command anew for every test that runs one. They keep nothing from one call to the next.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

gc.freeze()  # what was imported stays: it need not be looked through again and again
gc.set_threshold(50_000, 20, 20)

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_connect = socket.socket.connect


def _connect_to_loopback(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] not in _LOOPBACK:
        raise AssertionError(f"a test reached for the network: {address}")
    _connect(self, address)


_cache = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the session, and what it starts, a cache of its own that shares the user's embeddings."""
    real, ours = cache_folder().absolute(), Path(tempfile.mkdtemp(prefix="multiplex-cache-"))
    with suppress(OSError):
        real.mkdir(parents=True, exist_ok=True)
    # The default model's file may not be there yet: SQLite makes it where the link points to.
    usual = SentenceEmbedder(cache=real)._store.name
    for name in {usual, *(file.name for file in real.glob("embeddings-*.sqlite"))}:
        (ours / name).symlink_to(real / name)
    os.environ["MULTIPLEX_CACHE"] = str(ours)
    # Read when the hub's library is first imported, which a fixture of a module may do before any test's own.
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    config.stash[_cache] = ours


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what loads or trains the same first: with two processes (`--dist worksteal`) one runs it all."""
    items.sort(key=lambda item: item.get_closest_marker("heavy") is None)


def pytest_collection_finish() -> None:
    """Spare the collector what was collected too."""
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the session's cache; the links in it go, and not what they point to."""
    if ours := config.stash.get(_cache, None):
        shutil.rmtree(ours, ignore_errors=True)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MULTIPLEX_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket.socket, "connect", _connect_to_loopback)
