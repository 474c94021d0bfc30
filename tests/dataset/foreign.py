"""Preference sets as others might have made them: written, read, and audited with the table's pack."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from multiplex.dataset.audit import audit
from multiplex.dataset.pair_files import Columns, Preference, read_preferences
from multiplex.dataset.pair_sources import data_files
from tests.table import PANEL, Words

PACK = PANEL.pack


ASKED = "Who may close the sluice when the harbour floods?"


def lines(path: Path, rows: Iterable[object]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def audited(path: Path, *, sample: int = 0, **options: Any) -> dict[str, Any]:
    return audit(path, pack=PACK, embedder=Words(), sample=sample, **options)


def pairs_in(path: Path, columns: Columns | None = None) -> list[Preference]:
    found = [entry for _, entry in read_preferences(data_files([path]), columns or Columns())]
    assert all(isinstance(entry, Preference) for entry in found), found
    return [entry for entry in found if isinstance(entry, Preference)]
