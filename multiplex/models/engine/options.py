"""What can be set about the engine: vLLM's own arguments by their names, and two of ours."""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from multiplex.errors import ContentError, near_miss

__all__ = ["check_options", "known_options", "known_quantizations", "parse_options"]

_OURS = {"chat_template": "str", "chat_template_kwargs": "dict[str, Any]"}
_CLASSES = {"EngineArgs", "AsyncEngineArgs"}
_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""Types that are checked here, where vLLM would take some seconds to; of all others it is the judge."""
_SCALES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
_PLUGINS = ("vllm.general_plugins", "vllm.platform_plugins")


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` texts: numbers, true and false, JSON lists and objects, else text.

    Dashes in a key count as underscores, so that names from vLLM's command line fit too. Where vLLM is
    installed and a whole number is wanted, 32k (thousands), 32K (1,024s) and `max_model_len=auto` are as there.

    >>> parse_options(["tensor-parallel-size=2", "quantization=awq", "enforce_eager=true"])
    {'tensor_parallel_size': 2, 'quantization': 'awq', 'enforce_eager': True}

    Raises:
        ContentError: a text has no `=`, a key is given twice, or `check_options` takes exception to one.
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
        kind = _kind(known.get(key, ""))
        value = value.strip()
        options[key] = _count(key, value) if kind == "int" else _value(key, value, is_text=kind == "str")
    check_options(options)
    return options


def check_options(options: Mapping[str, Any]) -> None:
    """Check the names of options, plain types and the quantization against the installed vLLM's.

    Raises:
        ContentError: vLLM knows no such argument or quantization, a value is of another type than the argument,
            or it is not for this place.
    """
    known = known_options()
    for key, value in options.items():
        if key == "model":
            raise ContentError("engine argument 'model': say which model after 'vllm:' instead")
        if known and key not in known:
            raise ContentError(f"vLLM has no engine argument {key!r}; {near_miss(key, known)}")
        kind = _kind(known.get(key, ""))
        if value is not None and kind in _KINDS and not _fits(value, kind):
            raise ContentError(f"engine argument {key!r}: needs to be {_KINDS[kind]}, not {value!r}")
    if options.get("logprobs_mode", "raw_logprobs") != "raw_logprobs":
        raise ContentError(
            "engine argument 'logprobs_mode': a poll takes raw_logprobs, what the model would say unconstrained; "
            "leave it out"
        )
    quantization, methods = options.get("quantization"), known_quantizations()
    unknown = isinstance(quantization, str) and bool(methods) and quantization.lower() not in methods
    if unknown and not _has_plugins():
        raise ContentError(
            f"vLLM has no quantization {quantization!r}; {near_miss(str(quantization), methods)}"
        )


def _has_plugins() -> bool:
    """Tell whether anybody but vLLM adds to it: what methods a plugin brings, vLLM knows once it has loaded it."""
    found = (point for group in _PLUGINS for point in entry_points(group=group))
    return any(point.module.partition(".")[0] != "vllm" for point in found)


@cache
def known_options() -> Mapping[str, str]:
    """Return the names of all options with their types as written, or nothing where vLLM is not installed.

    They are read from vLLM's source: importing it takes seconds.
    """
    body = _source("engine", "arg_utils.py")
    fields = {
        line.target.id: ast.unparse(line.annotation)
        for node in body
        if isinstance(node, ast.ClassDef) and node.name in _CLASSES
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }
    if not fields:
        return {}
    return {k: t for k, t in (fields | _OURS).items() if k != "model" and not k.startswith("_")}


@cache
def known_quantizations() -> tuple[str, ...]:
    """Return the names of vLLM's own quantizations, or nothing where it is not installed; read as options are."""
    for node in _source("model_executor", "layers", "quantization", "__init__.py"):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "QuantizationMethods":
            return tuple(
                part.value
                for part in ast.walk(node.value)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
    return ()


def _source(*path: str) -> list[ast.stmt]:
    """Return the statements of one of vLLM's files, none where it is not installed or cannot be read."""
    found = find_spec("vllm")
    if found is None or not found.submodule_search_locations:
        return []
    try:
        text = Path(found.submodule_search_locations[0]).joinpath(*path).read_text(encoding="utf-8")
        return ast.parse(text).body
    except (OSError, SyntaxError):
        return []


def _kind(annotation: str) -> str:
    """Return the one type that an annotation names beside None, or nothing if there are several."""
    parts = {part.strip() for part in annotation.split("|")} - {"None"}
    return parts.pop() if len(parts) == 1 else ""


def _fits(value: Any, kind: str) -> bool:
    """Tell whether vLLM would take a value, a number's text among them, for a whole number, a number or a truth."""
    if kind == "bool":
        return any(value is each or value == each for each in (True, False))
    if isinstance(value, bool):
        return False
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return kind == "float" or number.is_integer()


def _count(key: str, text: str) -> Any:
    """Read a whole number as vLLM's command line does; what is none stays as it is."""
    if key == "max_model_len" and text.lower() == "auto":
        return -1
    if scaled := re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG])", text):
        with suppress(OverflowError):
            return int(float(scaled[1]) * _SCALES[scaled[2]])
    return _value(key, text, is_text=False)


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
