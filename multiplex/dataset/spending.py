"""What a build has taken: the tokens of every call that was answered, each counted once.

They are read from the response cache of the build, where each answer is kept as it comes: so those of prompts
that were written, of deliberations that failed and of such as were cut off count too, and what was recalled is
not counted again. A kill changes nothing of it. Workers on other machines have caches of their own, and tell
what is in them; each is known by a name that lies in it, so that it counts once whatever its machine is called.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from multiplex.dataset.store import Store
from multiplex.errors import RunError

__all__ = ["RESPONSES", "Spending", "cost_of", "keep_spent", "name_of"]

RESPONSES = "responses.sqlite"
"""The response cache's file in the folder that a dataset is made in."""

_ELSEWHERE = "spent_elsewhere"
"""The fact of the work file that holds what the caches of other machines took, by their names."""

# An answer that cannot be read was paid for all the same: it counts as a call, of which nothing more is known. One that
# is asked for again takes its place, in another row: so calls are the rows that there are, and not those that came.
_SUM = """
SELECT (SELECT count(*) FROM responses), max(rowid),
    sum(CASE WHEN json_valid(told) THEN CAST(json_extract(told, '$.prompt_tokens') AS INTEGER) END),
    sum(CASE WHEN json_valid(told) THEN CAST(json_extract(told, '$.completion_tokens') AS INTEGER) END)
FROM (SELECT rowid, CAST(completion AS TEXT) AS told FROM responses WHERE rowid > ?)
"""


class Spending:
    """What the build in a folder has taken: the answers kept there, which are read once, and those kept elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._responses = folder / RESPONSES
        self._work = Store(folder).path
        self._last = 0
        self._here = {"calls": 0, "prompt": 0, "completion": 0}

    def total(self) -> dict[str, int]:
        """Return `calls`, and the tokens that they took, `prompt` and `completion`; nothing where none is kept.

        Raises:
            RunError: a file that is there cannot be read.
        """
        if row := _row(self._responses, "responses", _SUM, self._last):
            calls, last, prompt, completion = row
            self._last = last or self._last
            self._here["calls"] = calls
            for name, number in (("prompt", prompt), ("completion", completion)):
                self._here[name] += number or 0
        total = dict(self._here)
        if row := _row(self._work, "facts", "SELECT value FROM facts WHERE name = ?", _ELSEWHERE):
            for elsewhere in json.loads(row[0]).values():
                total = {name: number + elsewhere[name] for name, number in total.items()}
        return total


def keep_spent(store: Store, cache: str, spent: Mapping[str, int]) -> None:
    """Keep what a cache elsewhere holds so far, by its name; of two that tell it at once the later may come first."""
    kept = store.fact(_ELSEWHERE) or {}
    before = kept.get(cache, {})
    # An answer that could not be read, and was asked for again, brings tokens and no call.
    most = {name: max(number, before.get(name, 0)) for name, number in spent.items()}
    if most != before:
        store.keep_fact(_ELSEWHERE, {**kept, cache: most})


def name_of(folder: Path) -> str:
    """Return the name of the cache in a folder, drawn when it is first asked for; it goes with the folder.

    Raises:
        OSError: the folder cannot be read or written.
    """
    name = folder / "name"
    if not name.exists():
        drawn = folder / f"name-{secrets.token_hex(8)}"
        drawn.write_text(secrets.token_hex(16), encoding="ascii")
        with suppress(FileExistsError):  # another worker was quicker
            os.link(drawn, name)
        drawn.unlink()
    return name.read_text(encoding="ascii")


def cost_of(spent: Mapping[str, int], prices: tuple[float, float]) -> float:
    """Return what tokens cost, at the prices of a million prompt and a million completion tokens."""
    return (spent["prompt"] * prices[0] + spent["completion"] * prices[1]) / 1e6


def _row(path: Path, table: str, query: str, given: Any) -> Any:
    """Return the first row of a query; None where there is none, no such table or no such file."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as store:
            there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
            if store.execute(there, (table,)).fetchone() is None:  # it is being made
                return None
            return store.execute(query, (given,)).fetchone()
    except sqlite3.Error as error:
        advice = "; put it back, or remove it to do without" if path.name == RESPONSES else ""
        raise RunError(
            f"{path}: cannot be read, so that nobody can tell what the build took: {error}{advice}"
        ) from error
