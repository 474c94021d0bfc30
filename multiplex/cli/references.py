"""What stands on the command line for a scenario: its name, its path, or a question in words."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from multiplex.cli.text import safe
from multiplex.content.files import is_path

__all__ = ["called", "in_words", "short", "where"]

_LONGEST = 60
"""The most columns of a terminal that what a scenario is called takes up; no name is longer."""


def in_words(reference: str) -> bool:
    """Tell a question, an empty one too, from the name or the path of a scenario, be it misspelt.

    Where letters have no case, questions may have no spaces, and names have no such letters.
    """
    files = (reference, f"{reference}.yaml")
    if reference.endswith((".yaml", ".yml")) or any(map(os.path.isfile, files)):
        return False
    if len(reference.split()) != 1:
        return True
    asks = reference.rstrip().endswith(("?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}"))
    caseless = any(unicodedata.category(letter) == "Lo" for letter in reference)
    return (asks and caseless) if is_path(reference) else (asks or caseless)


def called(names: Mapping[str, str | None]) -> dict[str, str]:
    """Return by reference, in the same order, what each scenario is called beside the others.

    It is the scenario's name. Of a question, of what could not be read (which has none) and of those that
    share a name it is the reference, cut short; where two then look the same, with a number: its place among them.
    """
    words = {
        reference: reference if in_words(reference) else name or reference
        for reference, name in names.items()
    }
    having = Counter(words.values())
    brief = {reference: short(word if having[word] == 1 else reference) for reference, word in words.items()}
    alike = Counter(brief.values())
    return {
        reference: word if alike[word] == 1 else f"{word} ({place})"
        for place, (reference, word) in enumerate(brief.items(), start=1)
    }


def where(reference: str) -> str:
    """Return how an error names a reference: a question cut short, a path as it is written shortest."""
    return short(reference) if in_words(reference) else str(Path(reference))


def short(reference: str) -> str:
    """Return a reference in one line of 60 columns at most: where it is longer, its beginning and its end."""
    line = " ".join(safe(reference).plain.split()) or '""'
    if cell_len(line) <= _LONGEST:
        return line
    end = _LONGEST // 3
    head, tail = set_cell_size(line, _LONGEST - end - 3), set_cell_size(line[::-1], end)[::-1]
    return f"{head.rstrip()} … {tail.lstrip()}"
