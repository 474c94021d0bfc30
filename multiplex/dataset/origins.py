"""What the files that prompts come from are called in what is published: `file 1`, `file 2` and so on.

Whether a file's own name tells of somebody nobody can know, so that no part of it is published, and of no path.
"""

import os.path
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["file_of", "numbered", "place_of"]


def place_of(file: str | Path) -> str:
    """Return where a file lies, the same from whatever folder it is named; links are not followed."""
    return os.path.abspath(file)  # noqa: PTH100 (`resolve` follows links)


def numbered(files: Iterable[str | Path], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what each file is called, by its place: those `known` as before, others with the next free numbers."""
    names = dict(known or {})
    taken = max((int(name.removeprefix("file ")) for name in names.values()), default=0)
    for place in map(place_of, files):
        if place not in names:
            taken += 1
            names[place] = f"file {taken}"
    return names


def file_of(origin: str) -> str:
    """Return what the file is called that an origin (`file 2:17`) names, without the line."""
    return re.sub(r":\d+$", "", origin)
