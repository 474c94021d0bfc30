"""A table to build at, and two prompts, for whoever builds a dataset."""

from pathlib import Path

import pytest

from tests.dataset.made import QUESTIONS, Table, write_prompts


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return write_prompts(tmp_path / "prompts.jsonl", QUESTIONS[:2])
