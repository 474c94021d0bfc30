"""What is left behind: no process, no word on stdout, no traceback, however the program ends."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from multiplex.errors import ModelError
from multiplex.models.engine import Engine
from tests.engine.conftest import OPTIONS

PROGRAM = """
import asyncio, sys
from multiplex.errors import MultiplexError
from multiplex.models.base import Sampling
from multiplex.models.engine import Engine

async def forget():
    pass

async def main():
    engine = Engine(sys.argv[1], options={options!r})
    try:
        {body}
    finally:
        await engine.aclose()

if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except MultiplexError as error:
        print(type(error).__name__, getattr(error, "kind", ""), error, file=sys.stderr)
        sys.exit(1)
"""
GENERATE = """
        await engine.start()
        print("started", file=sys.stderr, flush=True)
        chat = [dict(role="user", content="Say a lot.")]
        await asyncio.gather(*(
            engine.complete(chat, sampling=Sampling(seed=seed, max_tokens=16_000)) for seed in range(4)
        ))
"""
QUIET = {key: value for key, value in os.environ.items() if not key.startswith("VLLM_LOGGING")}


def program(
    tmp_path: Path, tiny: Path | str, body: str, *, hub: Path | None = None, **options: object
) -> subprocess.Popen[str]:
    """Start a program that uses the engine, in a session of its own; `hub` is a cache of the hub's."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(options={**OPTIONS, **options}, body=body.strip()), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script), str(tiny)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=QUIET if hub is None else {**QUIET, "HF_HUB_CACHE": str(hub)},
        start_new_session=True,
    )


def below(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.parent.name)] = int(parent)
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def wait_for(running: subprocess.Popen[str], count: int) -> list[int]:
    """Wait until a program has so many processes below it, and return them."""
    until = time.monotonic() + 120
    while time.monotonic() < until and running.poll() is None:
        found = below(running.pid)
        if len(found) >= count:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not {count} processes: {running.communicate(timeout=10)}")


def alive(processes: list[int]) -> list[int]:
    """Return which processes are still there after a while."""
    until = time.monotonic() + 10
    while time.monotonic() < until and (left := [pid for pid in processes if Path(f"/proc/{pid}").exists()]):
        time.sleep(0.2)
    return left


def test_an_interrupt_during_a_run_stops_everything_quietly(tmp_path: Path, tiny: Path) -> None:
    running = program(tmp_path, tiny, GENERATE)
    assert running.stderr is not None
    assert running.stderr.readline() == "started\n"
    processes = wait_for(running, 2)
    time.sleep(1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    assert running.communicate(timeout=60) == ("", "")
    assert running.returncode == 130
    assert alive(processes) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_killed_leaves_nothing_behind(
    how: signal.Signals, tmp_path: Path, tiny: Path
) -> None:
    running = program(tmp_path, tiny, GENERATE)
    assert running.stderr is not None
    assert running.stderr.readline() == "started\n"
    processes = wait_for(running, 3)
    running.send_signal(how)
    assert running.wait(timeout=60) == -how
    running.communicate(timeout=60)
    assert alive(processes) == []


def test_an_interrupt_during_the_start_stops_everything_quietly(tmp_path: Path, tiny: Path) -> None:
    running = program(tmp_path, tiny, "await engine.start()")
    processes = wait_for(running, 2)
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=60) == ("", "")
    assert running.returncode == 130
    assert alive(processes) == []


def test_a_program_that_forgets_to_close_leaves_nothing_behind(tmp_path: Path, tiny: Path) -> None:
    running = program(
        tmp_path, tiny, "await engine.start(); print(1, file=sys.stderr); engine.aclose = forget"
    )
    assert running.stderr is not None
    assert running.stderr.readline() == "1\n"
    processes = wait_for(running, 2)
    assert running.communicate(timeout=60) == ("", "")
    assert alive(processes) == []


def test_a_cache_too_small_for_one_context_says_which_context_fits(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = below(os.getpid())

    async def start() -> None:
        engine = Engine(str(tiny), options={**OPTIONS, "kv_cache_memory_bytes": 24 * 2**20})
        with pytest.raises(ModelError) as caught:
            await engine.start()
        with pytest.raises(ModelError, match="does not hold one context"):
            await engine.start()
        await engine.aclose()
        raise caught.value

    with pytest.raises(ModelError) as caught:
        asyncio.run(start())
    assert caught.value.kind == "memory"
    wanted = r"does not hold one context of 16384 tokens; give --engine-arg max_model_len=[5-9]\d{3} or less"
    assert re.search(wanted, str(caught.value))
    assert set(below(os.getpid())) <= set(before)
    assert capfd.readouterr() == ("", "")


def test_a_model_of_the_hub_is_started_with_a_tokenizer_from_another_repository(
    tmp_path: Path, tiny: Path
) -> None:
    for name, commit in (("model", "a" * 40), ("tokenizer", "b" * 40)):
        kept = tmp_path / f"models--org--{name}"
        shutil.copytree(tiny, kept / "snapshots" / commit)
        (kept / "refs").mkdir()
        (kept / "refs" / "main").write_text(commit, encoding="utf-8")
    body = """
        await engine.start()
        print(engine.revision, file=sys.stderr)
    """
    running = program(tmp_path, "org/model", body, hub=tmp_path, tokenizer="org/tokenizer")
    _, told = running.communicate(timeout=120)
    assert told.startswith(f"commit {'a' * 40}, vllm ")
    assert running.returncode == 0
