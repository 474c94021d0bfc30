"""What the deliberations of a dataset depend on, kept with them: a build goes on only with the same."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

from multiplex.dataset.intake import Likeness
from multiplex.dataset.origins import numbered, place_of
from multiplex.dataset.producing import Recipe
from multiplex.dataset.prompts import LONGEST, prompt_files
from multiplex.dataset.published import published
from multiplex.errors import ContentError

__all__ = ["Plan", "differing", "numbered_sources", "sources_of"]

_SAID = {
    "model": "model (--model)",
    "recipe.personas": "panel (--personas)",
    "recipe.protocol": "protocol (--protocol)",
    "recipe.seed": "seed (--seed)",
    "recipe.contrast": "choice of --no-contrast",
    "generated": "order for prompts (--generate, --topic)",
    "masker": "way of masking (--no-mask, --names)",
    "column": "column of prompts (--prompt-column)",
    "longest": "length of prompts (--longest-prompt)",
    "engine": "option of the engine (--engine-arg)",
    "embedding": "embedding model",
    "multiplex": "version of Multiplex",
    "content": "state of personas, protocols or roles",
}
"""How people know the parts of a plan; what was given comes before what follows from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the deliberations of a dataset depend on: a build goes on only with the same.

    `sources` are the prompt files (see `sources_of`; of those that were added with another `column`, with theirs),
    `generated` what prompts were asked for instead;
    `content` the hashes of personas, protocols and roles; `masker` what masks personal data, None for nothing.
    """

    model: str
    recipe: Recipe
    embedding: str
    multiplex: str
    sources: tuple[Mapping[str, Any], ...] = ()
    generated: Mapping[str, Any] | None = None
    content: Mapping[str, str] = field(default_factory=dict)
    masker: Mapping[str, Any] | None = None
    likeness: Likeness = field(default_factory=Likeness)
    longest: int = LONGEST
    column: str | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)
    """Options of vLLM's engine, but for the hub's token."""

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        plan: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plan

    def public(self) -> dict[str, Any]:
        """Return the plan as it is published: prompt files by number, and of whatever is a path its last part alone."""
        plan = self.as_dict()
        recipe = plan["recipe"]
        if recipe["personas"] is not None:
            recipe["personas"] = [Path(name).name for name in recipe["personas"]]
        if recipe["protocol"] is not None:
            recipe["protocol"] = Path(recipe["protocol"]).name
        named = {name: published(plan[name]) for name in ("model", "embedding", "masker", "engine")}
        return {**plan, **named, "sources": list(self.public_sources())}

    def public_sources(self) -> tuple[dict[str, Any], ...]:
        """Return the prompt files as they are published: what they are called, and the column of some.

        A hash or a size is of the file before anything in it was masked: with the rows, in which all but that stands,
        whoever tries what may have been masked would know it by them.
        """
        return tuple(
            {name: each[name] for name in ("file", "column") if name in each} for each in self.sources
        )


def sources_of(paths: Iterable[str | Path]) -> tuple[dict[str, Any], ...]:
    """Return what is kept of prompt files: what they are called in what is published, as in `file 1`; their paths,
    and the hashes that tell whether they have changed, which both stay in the work file.

    Raises:
        ContentError: a file cannot be read.
    """
    found = []
    files = prompt_files(paths)
    names = numbered(files)
    for file in files:
        try:
            with file.open("rb") as opened:
                digest = file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise ContentError(f"{file}: cannot be read: {error.strerror or error}") from error
        place = place_of(file)
        found.append({"file": names[place], "path": place, "sha256": digest, "bytes": file.stat().st_size})
    return tuple(found)


def numbered_sources(
    given: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, Any], ...]:
    """Return given sources called as those `before` are, by their paths; others get the numbers that follow."""
    sources = list(given)
    names = numbered((each["path"] for each in sources), {each["path"]: each["file"] for each in before})
    return tuple({**each, "file": names[each["path"]]} for each in sources)


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return the first part in which two plans (as plain data) differ, as people know it, with both; None for none."""
    old, new = dict(_flat(before)), dict(_flat(now))
    differ = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    for part, said in _SAID.items():
        for name in differ:
            if name == part or name.startswith(f"{part}."):
                if part == "content":
                    return f"{said} ({name.removeprefix('content.')})"
                return f"{said} ({_given(part, old.get(name))}, and now {_given(part, new.get(name))})"
    return f"{differ[0]} ({old.get(differ[0])!r}, and now {new.get(differ[0])!r})" if differ else None


def _given(part: str, value: object) -> str:
    if part == "recipe.contrast":
        return "not given" if value else "given"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not given" if value is None else repr(value)


def _flat(data: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    else:
        yield name, None if data == {} else data
