"""A table to build at, and two prompts, for whoever builds a dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiplex.dataset import pictures
from tests.dataset.made import QUESTIONS, Table, write_prompts

_drawn: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _each_picture_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the builds of many tests to draw the same picture anew, which takes longer than all else in them."""
    draw: Callable[..., str] = pictures._svg

    def svg(plot: Any, rows: Any, name: str) -> str:
        key = repr((name, rows))
        if key not in _drawn:
            _drawn[key] = draw(plot, rows, name)
        return _drawn[key]

    monkeypatch.setattr(pictures, "_svg", svg)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    return write_prompts(tmp_path / "prompts.jsonl", QUESTIONS[:2])
