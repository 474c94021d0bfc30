"""What `validate` and `doctor` look at."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from multiplex.content.files import KINDS, parse_yaml, read_path, shipped
from multiplex.content.panels import seat
from multiplex.content.personas import load_pack, load_persona
from multiplex.content.protocols import load_protocol
from multiplex.content.roles import read_role
from multiplex.content.scenarios import load_scenario
from multiplex.deliberation.run import check_panel
from multiplex.errors import ContentError, ModelError, MultiplexError

__all__ = ["Checked", "Finding", "examine", "validate_paths"]


@dataclass(slots=True)
class Checked:
    """What was checked, counted by kind, and what is wrong, one sentence each."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Return what was checked as a sentence."""
        found = ", ".join(
            f"{count} {kind if count == 1 else kind + 's'}" for kind, count in self.counts.items()
        )
        wrong = f"{len(self.problems)} {'problem' if len(self.problems) == 1 else 'problems'}"
        return f"{found or 'nothing'}: {wrong if self.problems else 'all valid'}"


def validate_paths(paths: list[Path]) -> Checked:
    """Check files and folders; the name of a content folder that is not here means the shipped one.

    Raises:
        ContentError: a path does not exist, or nothing in it is content.
    """
    checked = Checked()
    for path in paths:
        before = sum(checked.counts.values()) + len(checked.problems)
        if path.is_dir():
            _folder(path, checked)
        elif not path.exists() and str(path) in KINDS:
            _folder(_as_path(shipped(str(path))), checked)  # type: ignore[arg-type]  # a Kind
        else:
            _file(path, checked)
        if sum(checked.counts.values()) + len(checked.problems) == before:
            raise ContentError(f"{path}: holds no content (YAML files, or Markdown roles)")
    return checked


def _as_path(folder: Traversable) -> Path:
    if isinstance(folder, Path):
        return folder
    raise ContentError("the shipped content lies in an archive; name a folder")


def _folder(folder: Path, checked: Checked) -> None:
    if (folder / "pack.yaml").is_file():
        _count(checked, lambda: _pack(folder, checked))
        return
    for entry in sorted(folder.iterdir()):
        if entry.name[:1] in {".", "_"}:
            continue
        if entry.is_dir():
            _folder(entry, checked)
        elif entry.suffix in {".yaml", ".md"} and entry.name != "README.md":
            _file(entry, checked)


def _file(path: Path, checked: Checked) -> None:
    _count(checked, lambda: _one(path, checked))


def _count(checked: Checked, check: Callable[[], None]) -> None:
    try:
        check()
    except ContentError as error:
        checked.problems.append(str(error))


def _one(path: Path, checked: Checked) -> None:
    text = read_path(path)
    if path.suffix == ".md":
        read_role(text, agent=path.parent.name, name=path.stem)
        checked.counts["role"] += 1
        return
    if path.suffix != ".yaml":
        raise ContentError(f"{path}: content files end in .yaml or .md")
    keys = parse_yaml(text).keys()
    if "stages" in keys:
        load_protocol(path)
        checked.counts["protocol"] += 1
    elif "commitments" in keys:
        persona = load_persona(path)
        checked.counts["persona"] += 1
        checked.counts["commitment"] += len(persona.commitments)
    elif "perspectives" in keys:
        raise ContentError(f"{path}: a pack is checked as a folder; name {path.parent}")
    else:
        scenario = load_scenario(path)
        try:
            check_panel(load_protocol(scenario.protocol), seat(scenario.personas))
        except ContentError as error:
            raise ContentError(f"{path}: {error}") from error
        checked.counts["scenario"] += 1


def _pack(folder: Path, checked: Checked) -> None:
    pack = load_pack(folder if folder.is_absolute() else f"./{folder}")
    checked.counts["pack"] += 1
    checked.counts["persona"] += len(pack.personas)
    checked.counts["commitment"] += sum(len(persona.commitments) for persona in pack.personas)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that doctor looked at, and what to do if it is not well."""

    what: str
    good: bool
    detail: str

    def line(self) -> str:
        """Return the finding as a line."""
        return f"{'ok ' if self.good else 'BAD'}  {self.what}: {self.detail}"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {"what": self.what, "good": self.good, "detail": self.detail}


def examine(model: str, base_url: str | None, api_key: str | None) -> list[Finding]:
    """Look at Python, packages, content, embeddings, the cache folder and the model."""
    return [_python(), _packages(), _content(), _embeddings(), _cache(), _model(model, base_url, api_key)]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, sys.version.split()[0] + ("" if good else "; install 3.11 or later"))


def _packages() -> Finding:
    names = ("langgraph", "pydantic", "networkx", "sentence-transformers", "torch", "openai")
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(
            "packages", False, f"missing: {', '.join(missing)}; run 'make setup', or pip install them"
        )
    return Finding("packages", True, ", ".join(found))


def _content() -> Finding:
    checked = validate_paths([Path(str(_as_path(shipped(kind)))) for kind in KINDS])
    if checked.problems:
        return Finding("content", False, f"{checked.problems[0]}; mend or reinstall it")
    return Finding("content", True, checked.sentence())


def _embeddings() -> Finding:
    from multiplex.embedding import SentenceEmbedder

    embedder = SentenceEmbedder()
    try:
        shape = embedder.load().shape
    except ModelError as error:
        return Finding("embeddings", False, str(error))
    return Finding("embeddings", True, f"{embedder.name}, {shape[1]} dimensions")


def _cache() -> Finding:
    from multiplex.embedding import cache_folder
    from multiplex.errors import RunError
    from multiplex.runs import check_writable

    try:
        check_writable(cache_folder())
    except RunError:
        return Finding(
            "cache", False, f"{cache_folder()} cannot be written; set MULTIPLEX_CACHE to a folder that can"
        )
    return Finding("cache", True, str(cache_folder()))


def _model(model: str, base_url: str | None, api_key: str | None) -> Finding:
    import asyncio

    from multiplex.models.base import Sampling
    from multiplex.responders.choose import model_named

    try:
        served = model_named(model, base_url=base_url, api_key=api_key, timeout=20.0, retries=0)
    except MultiplexError as error:
        return Finding("model", False, str(error))
    if served is None:
        return Finding("model", True, "extractive: needs no language model")
    schema = {
        "title": "Probe",
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }

    async def probe() -> str:
        try:
            asked = [{"role": "user", "content": 'Reply with the JSON object {"ok": true}.'}]
            answered = await served.complete(asked, sampling=Sampling(seed=1, max_tokens=32), schema=schema)  # type: ignore[arg-type]
            return answered.text
        finally:
            await served.aclose()

    where = base_url or "the endpoint of the openai client's default"
    try:
        text = asyncio.run(probe())
    except ModelError as error:
        return Finding(
            "model",
            False,
            f"{model} at {where}: {error}; start the server, or check --base-url and the model's name",
        )
    import json

    try:
        constrained = isinstance(json.loads(text), dict)
    except ValueError:
        constrained = False
    if not constrained:
        return Finding(
            "model",
            False,
            f"{model} at {where}: answers, but not in the JSON schema it was given; "
            "use a server with JSON-schema decoding",
        )
    return Finding("model", True, f"{model} at {where}: answers, in the JSON schema it was given")
