"""What the records of a dataset hold: the columns of every config, as plain data and as Arrow schemas."""

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from multiplex.errors import ContentError, near_miss

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "CONFIGS", "SPLITS", "Type", "check_row", "normal_row", "schema"]

Type: TypeAlias = "str | list[Type] | dict[str, Type]"
"""A column's type: string, int64, double or bool (with ? where it may be null), [list of], {struct}."""

CONFIGS = ("sft", "dpo", "kto", "reward", "grpo", "distribution", "transcripts", "moral_graph")
SPLITS = ("train", "validation", "test")

_MESSAGES: Type = [{"role": "string", "content": "string"}]
_FIRST: dict[str, Type] = {"id": "string", "prompt_id": "string", "group": "string"}
_LAST: dict[str, Type] = {
    "domain": "string?",
    "persona": "string?",
    "perspective": "string?",
    "schwartz": ["string"],
    "rule": "string?",
    "origin": "string",
    "run": "string",
    "model": "string",
    "seed": "int64",
    "protocol": "string",
    "scenario_sha256": "string",
    "is_simulated": "bool",
}
_ENDORSEMENTS: Type = [{"persona": "string", "endorsement": "int64?"}]
_OWN: dict[str, dict[str, Type]] = {
    "sft": {
        "messages": _MESSAGES,
        "kind": "string",
        "endorsement": "double?",
        "coverage": "double?",
        "perspective_entropy": "double?",
    },
    "dpo": {
        "prompt": _MESSAGES,
        "chosen": _MESSAGES,
        "rejected": _MESSAGES,
        "margin": "double?",
        "claims_margin": "double?",
        "reason": "string",
        "chosen_kind": "string",
        "rejected_kind": "string",
        "chosen_endorsements": _ENDORSEMENTS,
        "rejected_endorsements": _ENDORSEMENTS,
        "supporters": ["string"],
        "opponents": ["string"],
        "dissent": [{"persona": "string", "text": "string"}],
    },
    "kto": {
        "prompt": _MESSAGES,
        "completion": _MESSAGES,
        "label": "bool",
        "kind": "string",
        "reason": "string",
    },
    "reward": {
        "chosen": _MESSAGES,
        "rejected": _MESSAGES,
        "margin": "double",
        "reason": "string",
        "supporters": ["string"],
        "opponents": ["string"],
    },
    "grpo": {
        "prompt": _MESSAGES,
        "answers": [{"kind": "string", "text": "string"}],
        "judgements": [
            {
                "answer": "int64",
                "persona": "string",
                "perspective": "string",
                "endorsement": "int64?",
                "objection": "string?",
            }
        ],
        "claims": [{"persona": "string", "perspective": "string", "text": "string"}],
    },
    "distribution": {
        "prompt": _MESSAGES,
        "kind": "string",
        "options": [{"key": "string", "text": "string"}],
        "shares": ["double"],
        "by_persona": [{"persona": "string", "perspective": "string", "shares": ["double"]}],
        "entropy": "double?",
    },
    "transcripts": {
        "question": "string",
        "turns": [
            {
                "speaker": "string",
                "step": "string",
                "round": "int64",
                "reply": "string?",
                "failure": "string?",
            }
        ],
    },
    "moral_graph": {
        "question": "string",
        "values": [
            {
                "id": "string",
                "title": "string",
                "description": "string",
                "policies": ["string"],
                "schwartz": ["string"],
            }
        ],
        "edges": [
            {
                "source": "string",
                "wiser": "string",
                "context": "string",
                "wiser_count": "int64",
                "not_wiser": "int64",
                "unsure": "int64",
                "abstained": "int64",
                "likelihood": "double?",
                "kept": "bool",
            }
        ],
    },
}

COLUMNS: dict[str, dict[str, Type]] = {config: {**_FIRST, **_OWN[config], **_LAST} for config in CONFIGS}
"""The columns of every config, in their order: what it is, what a trainer reads, where it comes from."""


@cache
def schema(config: str) -> "pa.Schema":
    """Return a config's Arrow schema; whatever has no ? in COLUMNS is marked as never null.

    Raises ContentError where there is no such config.
    """
    import pyarrow as pa

    return pa.schema([_field(name, of) for name, of in _columns(config).items()])


def check_row(config: str, columns: Mapping[str, Any]) -> None:
    """See that a row holds exactly its config's columns, each of its type.

    Raises:
        ContentError: it does not; the message names the row, the column and what stands there.
    """
    wanted = _columns(config)
    where = f"{config} row {columns.get('id')!r}"
    if missing := wanted.keys() - columns.keys():
        raise ContentError(f"{where}: has no {', '.join(sorted(missing))}")
    if unknown := columns.keys() - wanted.keys():
        raise ContentError(f"{where}: {sorted(unknown)[0]!r} is no column of it")
    for name, of in wanted.items():
        _check(columns[name], of, f"{where}: {name}")


def normal_row(config: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked row as it is written: columns in order, tuples as lists, text that is valid UTF-8.

    Half a surrogate pair, which a model may say and neither Parquet nor UTF-8 can hold, becomes U+FFFD.
    """
    check_row(config, columns)
    return {name: _normal(columns[name], of) for name, of in COLUMNS[config].items()}


def _columns(config: str) -> dict[str, Type]:
    if config not in COLUMNS:
        raise ContentError(f"no config named {config!r}; {near_miss(config, CONFIGS)}")
    return COLUMNS[config]


def _field(name: str, of: Type) -> "pa.Field":
    import pyarrow as pa

    nullable = isinstance(of, str) and of.endswith("?")
    return pa.field(name, _arrow(of), nullable=nullable)


def _arrow(of: Type) -> "pa.DataType":
    import pyarrow as pa

    if isinstance(of, list):
        return pa.list_(_field("item", of[0]))
    if isinstance(of, dict):
        return pa.struct([_field(name, part) for name, part in of.items()])
    types = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
    return types[of.removesuffix("?")]


_SAID = {"string": "text", "int64": "a whole number", "double": "a finite number", "bool": "true or false"}


def _check(value: Any, of: Type, where: str) -> None:
    if isinstance(of, list):
        if not isinstance(value, list | tuple):
            raise ContentError(f"{where}: needs a list, not {_shown(value)}")
        for number, each in enumerate(value):
            _check(each, of[0], f"{where}[{number}]")
    elif isinstance(of, dict):
        if not isinstance(value, Mapping) or value.keys() != of.keys():
            raise ContentError(f"{where}: needs {', '.join(of)}, not {_shown(value)}")
        for name, part in of.items():
            _check(value[name], part, f"{where}.{name}")
    elif value is None and of.endswith("?"):
        return
    elif not _is(value, of.removesuffix("?")):
        raise ContentError(f"{where}: needs {_SAID[of.removesuffix('?')]}, not {_shown(value)}")


def _is(value: Any, name: str) -> bool:
    match name:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int64":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case _:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and math.isfinite(value)


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:60]}..."


def _normal(value: Any, of: Type) -> Any:
    if value is None:
        return None
    if isinstance(of, list):
        return [_normal(each, of[0]) for each in value]
    if isinstance(of, dict):
        return {name: _normal(value[name], part) for name, part in of.items()}
    if of.startswith("string"):
        # UTF-16 joins two halves that belong together, and only those that do not are replaced.
        return str(value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return float(value) if of.startswith("double") else value
