"""What is published of what was given to a build: of a path no folder, of an address neither user nor path.

Where a model, a cache or a pipeline lies tells of whoever builds: their name, often. What it is called stays.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from multiplex.models.endpoint import without_user

__all__ = ["public_name", "published"]

_KIND = re.compile(r"((?:vllm|openai|spacy):)?(.*)", re.DOTALL)
_BEHIND = re.compile(r"(?<=://)([^/?#\s]*).*", re.DOTALL)
_PATH = re.compile(r"[~./\\]|[A-Za-z]:[\\/]|[^\s:{}]*\\")
"""How a path begins; a backslash is in no other name."""
_HUB_NAME = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?(?::\w[\w.-]*)?")
"""A name on a hub, with a file or a form of the weights behind a colon."""
_WORDS = re.compile(r"\{\{|\{%|(?<!\S)and/or(?!\S)")
"""What is in a chat template, or in a sentence, and tells it from a path."""


def public_name(given: str) -> str:
    """Return what is published of the name of a model, or of anything else that may lie in a folder.

    Of a path it is the last part, of an address the host and the port; names on a hub stay whole, unless a folder
    or a file is called so where the build runs.

    >>> [public_name(name) for name in ("vllm:/home/ada/ckpt", "vllm:./ckpt", "vllm:Qwen/Qwen3-8B")]
    ['vllm:ckpt', 'vllm:ckpt', 'vllm:Qwen/Qwen3-8B']
    >>> public_name("http://ada:secret@localhost:8000/v1?key=1")
    'http://localhost:8000'
    """
    found = _KIND.fullmatch(without_user(given))
    kind, name = (found[1] or "", found[2]) if found else ("", given)
    if "://" in name:  # of weights in a bucket the host says nothing
        return kind + (_last(re.sub(r"[?#].*", "", name)) if kind else _BEHIND.sub(r"\1", name))
    return kind + _last(name) if _is_path(kind, name) else given


def published(given: Any) -> Any:
    """Return plain data with every text in it as `public_name` gives it; names of fields stay."""
    if isinstance(given, str):
        return public_name(given)
    if isinstance(given, Mapping):
        return {name: published(value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [published(value) for value in given]
    return given


def _is_path(kind: str, name: str) -> bool:
    if _PATH.match(name):
        return True
    if kind == "openai:":  # what a server calls a model may have many parts
        return False
    if _HUB_NAME.fullmatch(name):
        return "/" in name and _is_here(Path(name).absolute())
    return bool(kind) or not _WORDS.search(name)


@cache  # every row names its models
def _is_here(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (any length)


def _last(path: str) -> str:
    """Return the last part of a path; `~ada` is a home, and its owner's name no part."""
    last = re.split(r"[\\/]", path.rstrip("\\/"))[-1]
    return "~" if last.startswith("~") else last
