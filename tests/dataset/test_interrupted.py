"""Builds that a full disk, another process or Ctrl-C comes between: nothing half-written, and gone on with."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Failure
from multiplex.dataset.checking import examine
from multiplex.dataset.prompts import Prompt, Skipped, read_prompts
from multiplex.errors import RunError
from tests.dataset.made import QUESTIONS, WORDS, Table, files_of, half_written, said, write_prompts


@contextmanager
def a_full_disk(phase: str) -> Iterator[Callable[[str], None]]:
    """From a phase on no file may grow beyond 900 bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def begins(begun: str) -> None:
        if begun == phase:
            resource.setrlimit(resource.RLIMIT_FSIZE, (900, hard))

    try:
        yield begins
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("phase", ["prompts", "deliberations", "rows", "files"])
def test_a_full_disk_is_told_and_the_build_goes_on_where_there_is_room(
    table: Table, prompts: Path, phase: str
) -> None:
    file = r"prompts\.seen" if phase == "prompts" else r"work\.sqlite"
    with (
        a_full_disk(phase) as begins,
        pytest.raises(RunError, match=rf"dataset/\.build/{file}: cannot be (read or )?written"),
    ):
        table.build(prompts, assembly=WORDS, on_phase=begins)
    assert half_written(table.out) == []
    assert not (table.out / "manifest.json").exists()
    phases: list[str] = []
    assert table.build(prompts, assembly=WORDS, on_phase=phases.append).counts == {
        "transcripts": {"train": 2}
    }
    assert ("prompts" in phases) == (phase == "prompts")
    assert len(table.responder.acts) <= 2 * 36
    assert examine(table.out).problems == []


def test_a_full_disk_leaves_the_dataset_that_is_there(table: Table, prompts: Path) -> None:
    table.build(prompts, assembly=WORDS)
    before = files_of(table.out)
    for phase in ("rows", "files"):
        with a_full_disk(phase) as begins, pytest.raises(RunError, match="the disk may be full: make room"):
            table.build(prompts, assembly=replace(WORDS, configs=("grpo",)), on_phase=begins)
        assert files_of(table.out) == before
    assert examine(table.out).problems == []


def test_two_at_once_do_not_undo_each_other(table: Table, prompts: Path) -> None:
    def meanwhile() -> Iterator[Prompt | Skipped]:
        other = Table(table.folder / "other")
        with (
            ThreadPoolExecutor(1) as elsewhere,
            pytest.raises(
                RunError, match=r"dataset: another process is building there; wait for it, or stop it"
            ),
        ):
            elsewhere.submit(other.build, prompts, out=table.out).result()
        assert other.responder.acts == []
        yield from read_prompts([prompts])

    assert table.build(prompts, assembly=WORDS, read=meanwhile).counts == {"transcripts": {"train": 2}}


def test_who_interrupts_it_goes_on_where_it_was(table: Table, prompts: Path) -> None:
    left = iter(range(25))

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if next(left, None) is None:
            signal.raise_signal(signal.SIGINT)  # which `asyncio.run` hears
        return said(act, seed)

    cut = Table(table.folder / "cut", script)
    with pytest.raises(KeyboardInterrupt):
        cut.build(prompts, assembly=WORDS, at_once=1)
    assert half_written(cut.out) == []
    asked = len(cut.responder.acts)
    left = iter(range(10_000))
    manifest = cut.build(prompts, assembly=WORDS, at_once=1)
    whole = table.build(prompts, assembly=WORDS)
    assert manifest.data_sha256 == whole.data_sha256
    assert asked < len(table.responder.acts)
    assert len(cut.responder.acts) < asked + len(table.responder.acts)


INTERRUPTED = """
import sys, time
from pathlib import Path
from tests.dataset.made import QUESTIONS, Table, write_prompts

folder, slow = Path(sys.argv[1]), sys.argv[2]

class Patient(Table):
    def phase(self, phase):
        if phase == "prompts":
            embed = self.words.embed
            self.words.embed = lambda texts: self.dwell() if slow == "prompts" else embed(texts)
        elif phase == slow:
            self.dwell()

    def dwell(self):
        print("there", flush=True)
        time.sleep(60)

table = Patient(folder)
table.build(write_prompts(folder / "prompts.jsonl", QUESTIONS[:2]), on_phase=table.phase)
"""


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["prompts", "rows", "files"])
def test_ctrl_c_ends_it_at_once_where_it_only_computes(tmp_path: Path, phase: str) -> None:
    cut = tmp_path / "cut"
    command = [sys.executable, "-c", INTERRUPTED, str(cut), phase]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - began < 10  # half a second on a quiet machine; it would compute for a minute
    assert process.returncode == -signal.SIGINT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert half_written(cut / "dataset") == []
    shutil.rmtree(cut / "table")
    (cut / "trial.yaml").unlink()
    again, anew = Table(cut), Table(tmp_path / "anew")
    prompts = write_prompts(anew.folder / "prompts.jsonl", QUESTIONS[:2])
    found = again.build(cut / "prompts.jsonl", assembly=WORDS, plan={"recipe": again.recipe})
    assert found.data_sha256 == anew.build(prompts, assembly=WORDS).data_sha256
    assert bool(again.responder.acts) == (phase == "prompts")
