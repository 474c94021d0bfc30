"""Files of cards and judgements, and what a run leaves of its moral graph."""

import json
from pathlib import Path

import pytest

from tests.cli.graphs import HEADER, MOVES, card, ran


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    path = tmp_path / "cards.json"
    path.write_text(json.dumps([card(id_) for id_ in "abcd"]), encoding="utf-8")
    return path


@pytest.fixture
def judgements(tmp_path: Path) -> Path:
    path = tmp_path / "judgements.csv"
    rows = [f"{a},{b},{verdict},j{i},care\n" for i, (a, b, verdict) in enumerate(MOVES)]
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path: Path, cards: Path, judgements: Path) -> Path:
    """A folder with what a run leaves of its moral graph."""
    (tmp_path / "first").mkdir()
    ran("build", judgements, "--cards", cards, "--out", tmp_path / "first" / "moral_graph.json")
    return tmp_path / "first"
