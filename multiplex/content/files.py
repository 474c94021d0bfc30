"""Find and read content files: shipped ones by bare name, a user's own by path.

Shipped content lies in the installed package (`multiplex/_content`) or, in a checkout, beside it.
Everything stays inside `Traversable`, so that it also works from a zip file.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from multiplex.errors import ContentError, near_miss

__all__ = [
    "KINDS",
    "Kind",
    "Text",
    "check_name",
    "explain",
    "is_name",
    "is_path",
    "model_from_yaml",
    "named_files",
    "no_such_file",
    "parse_yaml",
    "read_path",
    "read_text",
    "shipped",
]

Kind = Literal["agents", "personas", "graphs", "scenarios"]
KINDS: tuple[Kind, ...] = ("agents", "personas", "graphs", "scenarios")

M = TypeVar("M", bound=BaseModel)

_MAX_BYTES = 512 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Text:
    """A content file as read: where from, what it says, and the sha256 of its bytes."""

    where: str
    text: str
    sha256: str


def is_path(reference: str) -> bool:
    """Tell a path from a bare name: a path has a slash or a suffix; the two are never guessed between."""
    return "/" in reference or "\\" in reference or "." in reference


@cache
def shipped(kind: Kind) -> Traversable:
    """Return the folder of the content that ships with Multiplex."""
    installed = files("multiplex") / "_content" / kind
    if installed.is_dir():
        return installed
    return files("multiplex").joinpath("..", kind)


def named_files(folder: Traversable | Path, suffix: str = ".yaml") -> dict[str, Traversable]:
    """Return a folder's files by bare name, sorted, without those that start with a dot or underscore."""
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        stem = entry.name.removesuffix(suffix)
        if entry.is_file() and entry.name.endswith(suffix) and stem[:1] not in {"", ".", "_"}:
            found[stem] = entry
    return found


def no_such_file(path: Path) -> ContentError:
    """Return the error that says that there is no such file, and which one beside it may be meant."""
    siblings: list[str] = []
    with suppress(OSError):
        # The path itself may be there, as a link to nowhere.
        siblings = [p.name for p in path.parent.iterdir() if p.name != path.name]
    hint = f"; {near_miss(path.name, siblings, cutoff=0.75)}" if siblings else ""
    return ContentError(f"{path}: no such file{hint}")


def read_path(path: Path) -> Text:
    """Read a user's file; every way in which that can fail is a `ContentError`."""
    try:
        if not path.exists():
            raise no_such_file(path)
        if path.is_dir():
            raise ContentError(f"{path}: is a folder; name a file in it")
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error
    return read_text(path, where=str(path))


def read_text(file: Traversable | Path, *, where: str) -> Text:
    """Read a content file as UTF-8; too large, unreadable or not text is a `ContentError`."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ContentError(f"{where}: cannot be read: {error.strerror or error}") from error
    if len(data) > _MAX_BYTES:
        raise ContentError(
            f"{where}: is larger than {_MAX_BYTES // 1024} KiB, the most a content file may hold; shorten it"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ContentError(f"{where}: line {line}: is not UTF-8 text; save it as UTF-8") from error
    return Text(where=where, text=text, sha256=hashlib.sha256(data).hexdigest())


def parse_yaml(source: Text) -> dict[str, Any]:
    """Parse one YAML mapping, safely; syntax errors name line and column."""
    try:
        data = _loaded(source.text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise ContentError(f"{source.where}: {place}broken YAML: {problem or 'cannot be parsed'}") from error
    except yaml.reader.ReaderError as error:
        place = _place_of(error.character, source.text)
        raise ContentError(
            f"{source.where}: {place}broken YAML: a control character, U+{error.character:04X}; take it out"
        ) from error
    except RecursionError as error:
        raise ContentError(f"{source.where}: broken YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ContentError(f"{source.where}: broken YAML: {error}") from error
    if not isinstance(data, dict):
        raise ContentError(f"{source.where}: needs to be a YAML mapping (key: value), not {_noun(data)}")
    return data


def model_from_yaml(model: type[M], source: Text) -> M:
    """Turn a content file into its model; what does not fit is said by key, with the near miss."""
    data = parse_yaml(source)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ContentError(f"{source.where}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line what is wrong with the data, the first three problems in order."""
    problems: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False):
        place, message = _problem(dict(problem), model)
        problems.setdefault(place, []).append(message)
    # Of the branches of a union, the one that was followed deepest is the one that was meant; and a
    # list is too short for pydantic when its items are wrong.
    meant = {
        place: messages
        for place, messages in problems.items()
        if not (
            all(message in _TYPES.values() or message.startswith(_TOO_FEW) for message in messages)
            and any(other.startswith((f"{place}.", f"{place}[")) for other in problems)
        )
    }
    said = [f"{place}: {_joined(m)}" if place else _joined(m) for place, m in meant.items()]
    more = f" (and {len(said) - 3} more)" if len(said) > 3 else ""
    return "; ".join(said[:3]) + more


def is_name(text: str) -> bool:
    """Tell whether a text can be a bare name: lower-case letters, digits and underscores, at most 60."""
    return len(text) <= 60 and _NAME.fullmatch(text) is not None


def check_name(name: str) -> str:
    """Return the name if it can be a bare name, else raise ValueError."""
    if not is_name(name):
        raise ValueError(f"{name!r} cannot be a name: lower-case letters, digits and underscores, at most 60")
    return name


_TYPES = {
    "string_type": "needs to be text",
    "tuple_type": "needs to be a list",
    "model_type": "needs to be a mapping (key: value)",
    "dict_type": "needs to be a mapping (key: value)",
    "int_type": "needs to be a whole number",
    "int_parsing": "needs to be a whole number",
    "int_from_float": "needs to be a whole number",
    "float_type": "needs to be a number",
    "float_parsing": "needs to be a number",
    "bool_type": "needs to be true or false",
    "bool_parsing": "needs to be true or false",
}
_TOO_FEW = "needs at least"


def _problem(error: dict[str, Any], model: type[BaseModel]) -> tuple[str, str]:
    """Return where the problem is and what it is."""
    kind, location = error["type"], error["loc"]
    if kind == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        folder, key = _place(location[:-1]), str(location[-1])
        return f"{folder}.{key}" if folder else key, f"unknown key; {near_miss(key, known)}"
    place, context = _place(location), error.get("ctx", {})
    if kind == "missing":
        return place, "is missing"
    if kind == "string_type" and isinstance(error["input"], bool) and not _is_branch(str(location[-1])):
        return place, "needs to be text; put it in quotes"
    if kind in _TYPES:
        return place, _TYPES[kind]
    if kind == "string_too_short" and context["min_length"] == 1:
        return place, "is empty"
    if kind == "too_short":
        return place, f"{_TOO_FEW} {context['min_length']} of them, and has {context['actual_length']}"
    if kind == "too_long":
        return place, f"may hold at most {context['max_length']} of them"
    if kind == "literal_error" and isinstance(error["input"], str):
        known = re.findall(r"'([^']*)'", context["expected"])
        return place, f"{error['input']!r} is not known; {near_miss(error['input'], known)}"
    return place, str(error["msg"]).removeprefix("Value error, ")


def _joined(messages: Iterable[str]) -> str:
    """Join what is wrong at one place, "needs to be text" and "needs to be a list" into one sentence."""
    first, *others = dict.fromkeys(messages)
    for other in others:
        both = first.startswith("needs to be ") and other.startswith("needs to be ")
        first += f" or {other.removeprefix('needs to be ')}" if both else f", and {other}"
    return first


def _place(location: Sequence[str | int]) -> str:
    place = ""
    for part in location:
        if isinstance(part, int):
            place += f"[{part}]"
        elif not _is_branch(part):
            place += f".{part}" if place else part
    return place


def _is_branch(part: str) -> bool:
    """Tell pydantic's name for a branch of a union from a key; a reader of the file does not know it."""
    branches = ("function-", "tagged-union", "constrained-str", "list[", "tuple[", "dict[", "union[", "[key]")
    return part == "str" or part[:1].isupper() or part.startswith(branches)


def _fields_at(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    """Follow a location into nested models as far as they can be followed."""
    here: Any = model
    for part in location:
        if isinstance(part, str) and _is_branch(part):
            continue
        if isinstance(part, str) and isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(part)
            here = field.annotation if field else None
        here = _inner_model(here)
    if isinstance(here, type) and issubclass(here, BaseModel):
        return list(here.model_fields)
    return []


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _inner_model(argument)
        if inner is not None:
            return inner
    return None


def _noun(data: object) -> str:
    if data is None:
        return "an empty file"
    if isinstance(data, list):
        return "a list"
    return "plain text" if isinstance(data, str) else f"a {type(data).__name__}"


def _place_of(character: int, text: str) -> str:
    index = text.find(chr(character))
    if index < 0:
        return ""
    line = text.count("\n", 0, index) + 1
    return f"line {line}, column {index - text.rfind(chr(10), 0, index)}: "


_READ_OTHERWISE = re.compile(r"[\t\ufeff\u2028\u2029\x85]|[|>]#|\?[\]},:]|(?:^|[\s\[{,])!", re.MULTILINE)
"""What libyaml takes that PyYAML's own parser refuses or reads as something else."""


def _loaded(text: str) -> Any:
    """Parse YAML with libyaml where it is there, ten times as fast; what is wrong is told by PyYAML's own parser."""
    if yaml.__with_libyaml__ and not _READ_OTHERWISE.search(text):
        try:
            return yaml.load(text, Loader=_quick_loader())  # noqa: S506 (a safe one)
        except (yaml.YAMLError, ValueError, RecursionError):
            pass
    return yaml.load(io.StringIO(text), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)


class _Strict(yaml.composer.Composer, yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """What a loader refuses that would be lost or blown up silently: repeated keys, aliases.

    A date is text: there is no place for one in a content file, and a locus may look like one.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own name, and a class attribute there)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[attr-defined]
        if getattr(event, "anchor", None) is not None:  # an alias has one too
            raise yaml.composer.ComposerError(
                None, None, "anchors and aliases are not used in content files", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} needs to be text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _StrictLoader(_Strict, yaml.SafeLoader):
    """A safe and strict loader, wholly in Python."""


@cache
def _quick_loader() -> Any:
    """Return the same loader on top of libyaml's parser; nodes are still composed and checked here."""
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class Loader(_Strict, CParser):
        def __init__(self, stream: Any) -> None:
            CParser.__init__(self, stream)
            yaml.composer.Composer.__init__(self)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Loader
