"""What the files that prompts come from are called in what is published: by name, and by no path of this machine."""

import os.path
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

__all__ = ["origins_of"]


def origins_of(files: Iterable[Path]) -> dict[Path, str]:
    """Return what each file is called: its name, and where others share it, as much of its path as tells it apart.

    No more is told than lies below the folder that holds them all.
    """
    whole = {file: Path(os.path.abspath(file)) for file in files}  # noqa: PTH100 (without following links)
    if not whole:
        return {}
    top = os.path.commonpath([path.parent for path in whole.values()])
    parts = {file: path.relative_to(top).parts for file, path in whole.items()}
    found: dict[Path, str] = {}
    for length in range(1, max(map(len, parts.values())) + 1):
        shared = Counter(each[-length:] for each in set(parts.values()))
        for file, each in parts.items():
            if file not in found and (shared[each[-length:]] == 1 or len(each) == length):
                found[file] = "/".join(each[-length:])
    return found
