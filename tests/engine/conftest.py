"""Real vLLM on a CPU, with a model of random weights: left out where vLLM is not installed."""

import asyncio
import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.tiny_model import make_model
from multiplex.acts import ACTS
from multiplex.models.engine import Engine
from multiplex.runs import Run

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]

OPTIONS = {"enforce_eager": True, "kv_cache_memory_bytes": 128 * 2**20, "max_num_seqs": 32}
"""As quick to start and as small as vLLM gets."""

_IGNORED = (
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
    "ignore:Unclosed context:ResourceWarning",
)


def check_run(run: Run) -> None:
    """Check a run of random weights: what they said fits, and what they could not say is recorded.

    A schema keeps them to form, but not to sense: an act may turn down what it does not forbid.
    """
    answered = [act for act in run.transcript if act["reply"] is not None]
    failed = [act for act in run.transcript if act["reply"] is None]
    for act in answered:
        assert act["failure"] is None
        ACTS[act["act"]].reply.model_validate(act["reply"])
    for act in failed:
        assert act["failure"]["kind"] == "invalid_reply", act["failure"]
        assert act["failure"]["reason"]
    assert len(answered) >= 0.9 * len(run.transcript)
    assert {act["act"] for act in answered} >= {"take_position", "reply", "articulate_value", "ratify"}
    assert run.usage["acts"] == len(run.transcript)
    assert run.usage["failures"] == len(failed)
    assert run.usage["tokens"]["cached"] > 0.3 * run.usage["tokens"]["prompt"]
    assert run.answers.steered
    assert run.scores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let vLLM, and what it imports, warn as they like."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for warning in _IGNORED:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session", autouse=True)
def _surroundings() -> Iterator[None]:
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "VLLM_HOST_IP": "127.0.0.1",
    }
    yield
    with _unclosed():
        gc.collect()


@contextmanager
def _unclosed() -> Iterator[None]:
    """Let vLLM leave sockets open, also where the last test is one that allows no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a Llama with 3.5 million random weights."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """Yield the one event loop that the shared engine runs in."""
    runner = asyncio.Runner()
    yield runner
    with _unclosed():
        runner.close()
        gc.collect()


@pytest.fixture(scope="session")
def engine(tiny: Path, runner: asyncio.Runner) -> Iterator[Engine]:
    """Yield the engine that most tests share."""
    engine = Engine(str(tiny), options=OPTIONS)
    runner.run(engine.start())
    yield engine
    with _unclosed():
        runner.run(engine.aclose())
