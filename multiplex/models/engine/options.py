"""What can be set about the engine: vLLM's own arguments by their names, and two of ours."""

import ast
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from multiplex.errors import ContentError, near_miss

__all__ = ["check_options", "known_options", "parse_options"]

_OURS = {"chat_template": "str", "chat_template_kwargs": "dict[str, Any]"}
_CLASSES = {"EngineArgs", "AsyncEngineArgs"}
_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts: numbers, true and false, JSON lists and objects, else text.

    Dashes in a key count as underscores, so that names from vLLM's command line fit too.

    >>> parse_options(["tensor-parallel-size=2", "quantization=awq", "enforce_eager=true"])
    {'tensor_parallel_size': 2, 'quantization': 'awq', 'enforce_eager': True}

    Raises:
        ContentError: a text has no `=`, a key is given twice, or vLLM is installed and knows no such key.
    """
    options: dict[str, Any] = {}
    known = known_options()
    for pair in pairs:
        key, given, value = pair.partition("=")
        key = key.strip().removeprefix("--").replace("-", "_")
        if not given or not key:
            raise ContentError(f"engine argument {pair!r}: needs to be KEY=VALUE, such as max_model_len=8192")
        if key in options:
            raise ContentError(f"engine argument {key!r}: given twice")
        is_text = {part.strip() for part in known.get(key, "").split("|")} <= {"str", "None"}
        options[key] = _value(key, value.strip(), is_text=key in known and is_text)
    check_options(options)
    return options


def check_options(options: Mapping[str, Any]) -> None:
    """Check the names of options against the installed vLLM's.

    Raises:
        ContentError: vLLM knows no such argument, or it is not for this place.
    """
    known = known_options()
    for key in options:
        if key == "model":
            raise ContentError("engine argument 'model': say which model after 'vllm:' instead")
        if known and key not in known:
            raise ContentError(f"vLLM has no engine argument {key!r}; {near_miss(key, known)}")


@cache
def known_options() -> Mapping[str, str]:
    """Return the names of all options with their types as written, or nothing where vLLM is not installed.

    They are read from vLLM's source: importing it takes seconds.
    """
    found = find_spec("vllm")
    if found is None or not found.submodule_search_locations:
        return {}
    source = Path(found.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return {}
    fields = {
        line.target.id: ast.unparse(line.annotation)
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in _CLASSES
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }
    return {k: t for k, t in (fields | _OURS).items() if k != "model" and not k.startswith("_")}


def _value(key: str, text: str, *, is_text: bool) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if is_text:
        return text
    if text.startswith(("{", "[")):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ContentError(f"engine argument {key!r}: {text!r} is no JSON ({error})") from error
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
