"""What is published of what was given to a build: of a path no folder, of an address neither user nor path.

Where a model, a cache or a pipeline lies tells of whoever builds: their name, often. What it is called stays.
"""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["public_name", "published"]

_KIND = re.compile(r"((?:vllm|openai|spacy):)?(.*)", re.DOTALL)
_AT = re.compile(r"(?<=://)[^/?#\s]*@")
_BEHIND = re.compile(r"(?<=://)([^/?#\s]*)\S*")
_PATH = re.compile(r"[~./\\]|[A-Za-z]:[\\/]|[^\s:{}]*\\")
"""How a path begins; a backslash is in no other name."""
_FOLDERS = re.compile(r"[\w.+@=-]+(?:/[\w.+@=-]+){2,}/?")
"""Folders below the one where a build was started; a name on a hub has two parts at the most."""


def public_name(given: str) -> str:
    """Return what is published of the name of a model, or of anything else that may lie in a folder.

    Of a path it is the last part, of an address the host and the port; other names, as those on a hub, stay whole.

    >>> [public_name(name) for name in ("vllm:/home/ada/ckpt", "vllm:./ckpt", "vllm:Qwen/Qwen3-8B")]
    ['vllm:ckpt', 'vllm:ckpt', 'vllm:Qwen/Qwen3-8B']
    >>> public_name("http://ada:secret@localhost:8000/v1?key=1")
    'http://localhost:8000'
    """
    found = _KIND.fullmatch(_AT.sub("", given))
    kind, name = (found[1] or "", found[2]) if found else ("", given)
    if "://" in name:  # of weights in a bucket the host says nothing
        return kind + (_last(re.sub(r"[?#].*", "", name)) if kind else _BEHIND.sub(r"\1", name))
    # What a server calls a model may have many parts, and is a path only where it begins like one.
    if _PATH.match(name) or (kind != "openai:" and _FOLDERS.fullmatch(name)):
        return kind + _last(name)
    return given


def published(given: Any) -> Any:
    """Return plain data with every text in it as `public_name` gives it; names of fields stay."""
    if isinstance(given, str):
        return public_name(given)
    if isinstance(given, Mapping):
        return {name: published(value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [published(value) for value in given]
    return given


def _last(path: str) -> str:
    """Return the last part of a path; `~ada` is a home, and its owner's name no part."""
    last = re.split(r"[\\/]", path.rstrip("\\/"))[-1]
    return "~" if last.startswith("~") else last
