"""What a build has taken: the tokens of every call that was answered, each counted once.

They are read from the response cache of the build, where each answer is kept as it comes: so those of prompts
that were written, of deliberations that failed and of such as were cut off count too, and what was recalled is
not counted again. A kill changes nothing of it.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

__all__ = ["RESPONSES", "Spending", "cost_of"]

RESPONSES = "responses.sqlite"
"""The response cache's file in the folder that a dataset is made in."""

_SUM = (
    "SELECT count(*), max(rowid), sum(json_extract(told, '$.prompt_tokens')), "
    "sum(json_extract(told, '$.completion_tokens')) "
    "FROM (SELECT rowid, CAST(completion AS TEXT) AS told FROM responses WHERE rowid > ?)"
)


class Spending:
    """The calls that a response cache holds, and their tokens; what has been read is not read again."""

    def __init__(self, responses: Path) -> None:
        self._path = responses
        self._last = 0
        self._total = {"calls": 0, "prompt": 0, "completion": 0}

    def total(self) -> dict[str, int]:
        """Return `calls`, and the tokens that they took, `prompt` and `completion`; nothing where none is kept."""
        if self._path.exists():
            with (
                suppress(sqlite3.Error),  # it is being made, or holds nothing that can be read
                closing(sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True)) as store,
            ):
                calls, last, prompt, completion = store.execute(_SUM, (self._last,)).fetchone()
                self._last = last or self._last
                for name, number in (("calls", calls), ("prompt", prompt), ("completion", completion)):
                    self._total[name] += number or 0
        return dict(self._total)


def cost_of(spent: Mapping[str, int], prices: tuple[float, float]) -> float:
    """Return what tokens cost, at the prices of a million prompt and a million completion tokens."""
    return (spent["prompt"] * prices[0] + spent["completion"] * prices[1]) / 1e6
