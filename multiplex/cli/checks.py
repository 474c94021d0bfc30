"""What `validate` looks at: content files and folders, yours or those that ship."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path

from multiplex.content.files import KINDS, parse_yaml, read_path, shipped
from multiplex.content.panels import seat
from multiplex.content.personas import load_pack, load_persona
from multiplex.content.protocols import load_protocol
from multiplex.content.roles import read_role
from multiplex.content.scenarios import load_scenario
from multiplex.deliberation.run import check_panel
from multiplex.errors import ContentError
from multiplex.responders.choose import model_names

__all__ = ["Checked", "validate_paths", "validate_shipped"]


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

    A path that does not exist, or holds no content, is a problem like any other.
    """
    checked = Checked()
    for path in paths:
        before = sum(checked.counts.values()) + len(checked.problems)
        if path.is_dir():
            _folder(path, checked)
        elif not path.exists() and str(path) in KINDS:
            _folder(_as_path(shipped(str(path))), checked)
        else:
            _file(path, checked)
        if sum(checked.counts.values()) + len(checked.problems) == before:
            checked.problems.append(f"{path}: holds no content (YAML files, or Markdown roles)")
    return checked


def validate_shipped() -> Checked:
    """Check all content that ships with Multiplex."""
    return validate_paths([_as_path(shipped(kind)) for kind in KINDS])


def _as_path(folder: Traversable) -> Path:
    if isinstance(folder, Path):
        return folder
    raise ContentError("the shipped content lies in an archive; name a folder")


def _folder(folder: Path, checked: Checked) -> None:
    if (folder / "pack.yaml").is_file():
        _count(checked, lambda: _pack(folder, checked))
        return
    if (folder / "run.json").is_file():  # a run holds Markdown that is no role
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
            panel = seat(scenario.personas)
            check_panel(load_protocol(scenario.protocol), panel)
            model_names(scenario, panel, "extractive")
        except ContentError as error:
            raise ContentError(f"{path}: {error}") from error
        checked.counts["scenario"] += 1


def _pack(folder: Path, checked: Checked) -> None:
    pack = load_pack(folder if folder.is_absolute() else f"./{folder}")
    checked.counts["pack"] += 1
    checked.counts["persona"] += len(pack.personas)
    checked.counts["commitment"] += sum(len(persona.commitments) for persona in pack.personas)
