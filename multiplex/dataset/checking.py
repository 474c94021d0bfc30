"""Whether a folder is a dataset that a trainer can take: files, hashes, columns, splits and preferences.

Data are held to their hashes. The card is there to be completed by people: an edited one is told and no problem,
as long as its header still names the files and counts that are there; so are a licence and other papers beside it.

Any folder of this layout can be checked, whoever made it. What is in it is only read: nothing is fetched,
no link is followed, and nothing outside the folder is opened.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from multiplex.dataset.card import kept_cards
from multiplex.dataset.hub_labels import LICENCES
from multiplex.dataset.manifest import MANIFEST, Manifest, described, read_manifest
from multiplex.dataset.reading import Shard, json_rows, read_rows, shards
from multiplex.dataset.row_checks import faults_of
from multiplex.dataset.schemas import COLUMNS, Type
from multiplex.dataset.traces import Traces
from multiplex.errors import ContentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST", "PAPERS", "Checked", "Problem", "examine"]

MOST = 20
"""How many problems of one kind in one file are told one by one; the others are counted."""

PAPERS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "CITATION", "AUTHORS", "CHANGELOG", "CONTRIBUTING")
"""What may stand beside the card, with or without one of the suffixes .md, .txt, .rst, .bib and .cff."""

_SUFFIXES = {"", ".md", ".txt", ".rst", ".bib", ".cff"}
_CARD = "README.md"
_LARGEST_CARD = 4_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong: the name of the check, the file (and row) where, and a sentence."""

    check: str
    where: str
    said: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check finds: `problems` make a dataset unsound; `notes` are worth a look before it is published."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


def examine(folder: Path) -> Checked:
    """Return everything that is wrong with a dataset, and what has been changed or added by hand.

    Shards are read in batches; some 40 bytes a row are kept, to find ids that are there twice, groups in
    two splits, answers of personas that are rejected under another name, and texts that are labelled both ways.

    Raises:
        ContentError: there is no such folder, or no dataset in it.
    """
    parts = shards(folder)
    found = _Problems()
    manifest = _manifest(folder, found)
    _files(folder, manifest, found)
    header = _header(folder / _CARD, found)
    if header is not None:
        _card(header, parts, found)
    traces = Traces()
    counts: dict[tuple[str, str], int] = {}
    for shard in parts:
        key = (shard.config, shard.split)
        counts[key] = counts.get(key, 0) + _shard(shard, manifest, traces, found)
    if manifest is not None:
        told = {(c, s): n for c, splits in manifest.counts.items() for s, n in splits.items() if n}
        for place in sorted(told.keys() | counts.keys()):
            if (here := counts.get(place, 0)) != (there := told.get(place, 0)):
                where = f"data/{'/'.join(place)}"
                found.add("manifest", where, f"holds {here:,} rows, and the manifest says {there:,}")
    if header is not None:
        _told_counts(header, counts, manifest, found)
    for name, where, said in traces.problems(parts):
        found.add(name, where, said)
    return Checked(found.all(), found.notes)


class _Problems:
    """Problems in the order found, with no more than `MOST` of a kind for one file."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._counts: dict[tuple[str, str], int] = {}
        self.notes: list[Problem] = []

    def note(self, check: str, where: str, said: str) -> None:
        """Keep what is no problem, and is told all the same."""
        self.notes.append(Problem(check, where, said))

    def add(self, check: str, where: str, said: str) -> None:
        """Keep a problem, or count it where there are many like it."""
        key = (check, where.partition(":")[0])
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= MOST:
            self._found.append(Problem(check, where, said))

    def all(self) -> list[Problem]:
        """Return what was kept, and how many more there were."""
        more = [
            Problem(check, file, f"and {count - MOST:,} more of the kind")
            for (check, file), count in self._counts.items()
            if count > MOST
        ]
        return self._found + more


def _manifest(folder: Path, found: _Problems) -> Manifest | None:
    try:
        manifest = read_manifest(folder)
    except ContentError as error:
        found.add("manifest", MANIFEST, str(error).removeprefix(f"{folder}: "))
        return None
    if manifest.seal() != manifest.sha256:
        found.add("manifest", MANIFEST, "was changed after it was written: its own hash does not fit it")
    return manifest


def _files(folder: Path, manifest: Manifest | None, found: _Problems) -> None:
    """Hold the files that are there against those that the manifest names."""
    listed = {entry.path for entry in manifest.files} if manifest else None
    earlier = {path.name for path in kept_cards(folder)}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found.add("files", name, "is a link; a dataset holds its own files")
        elif path.name.endswith(".partial"):
            found.add("files", name, "is half of a file, left by a build that was cut off")
        elif listed is not None and name not in listed and name != MANIFEST:
            if name in earlier:
                found.note("files", name, "is an earlier card, edited by hand; it is never pushed")
            elif name.partition(".")[0] in PAPERS and path.suffix in _SUFFIXES:
                found.note("files", name, "was put there by hand; it goes along when the dataset is pushed")
            else:
                found.add("files", name, _stray(name))
    for entry in manifest.files if manifest else ():
        path = folder / entry.path
        if not entry.stays_inside():
            found.add("files", MANIFEST, f"names {entry.path!r}, which is no path below the folder")
        elif not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            found.add("files", entry.path, "is named in the manifest, and is not there")
        elif path.stat().st_size == entry.bytes and described(folder, entry.path).sha256 == entry.sha256:
            continue
        elif entry.path == _CARD:
            found.note("card", _CARD, "was edited by hand since it was built")
        else:
            found.add("files", entry.path, "is not the file that the manifest describes: its hash is another")


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; hidden ones at its top (.build, .git, a hub's cache) are none of its data."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            if path.is_dir() and not path.is_symlink():
                yield from (
                    each for each in sorted(path.rglob("*")) if not each.is_dir() or each.is_symlink()
                )
            else:
                yield path


def _stray(name: str) -> str:
    """Return what is wrong with a file of nobody's: at the top, with what may stand there."""
    said = "is not named in the manifest"
    return said if "/" in name else f"{said}; beside the card may stand {', '.join(PAPERS)}"


def _card(header: Mapping[str, Any], parts: list[Shard], found: _Problems) -> None:
    """See that the card's header names every shard under its config and split, and nothing else."""
    licence = header.get("license")
    if isinstance(licence, str) and licence not in LICENCES:
        found.note("card", _CARD, f"license: {licence!r} is none that the hub knows")
    named: dict[str, tuple[str, str]] = {}
    configs = header.get("configs")
    for config in configs if isinstance(configs, list) else []:
        patterns = list(_patterns(config))
        if not patterns:
            found.add("card", _CARD, "configs: needs config_name, and data_files with split and path each")
        for name, split, pattern in patterns:
            files = _matching(parts, pattern)
            if not files:
                found.add("card", _CARD, f"config {name!r}, split {split!r}: no file like {pattern!r}")
            named |= dict.fromkeys(files, (name, split))
    for shard in parts:
        place = named.get(shard.path)
        if place is None:
            found.add("card", shard.path, "is named by no config of the card")
        elif place != (shard.config, shard.split):
            found.add("card", shard.path, f"stands in the card as {'/'.join(place)}")


def _told_counts(
    header: Mapping[str, Any],
    counts: Mapping[tuple[str, str], int],
    manifest: Manifest | None,
    found: _Problems,
) -> None:
    """See that the rows which the card's header counts are there: the library `datasets` refuses others.

    Where rows and manifest differ that is told elsewhere: the header may go with either.
    """
    infos = header.get("dataset_info")
    for info in infos if isinstance(infos, list) else [infos]:
        if not isinstance(info, Mapping) or not isinstance(info.get("splits"), list):
            continue
        config = info.get("config_name")
        here = {split: n for (name, split), n in counts.items() if name == config}
        listed = manifest.counts.get(str(config), {}) if manifest else here
        told = {
            str(each.get("name")): each.get("num_examples")
            for each in info["splits"]
            if isinstance(each, Mapping)
        }
        for split in sorted(here.keys() | told.keys()):
            if told.get(split, 0) not in (here.get(split, 0), listed.get(split, 0)):
                said = f"counts {told.get(split, 0)} rows of {split}, and there are {here.get(split, 0):,}"
                found.add("card", _CARD, f"dataset_info: {config!r} {said}")


def _patterns(config: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the config, split and path of each of its data files, and nothing where one of them is no text."""
    try:
        files = [
            (config["config_name"], each["split"], path)
            for each in config["data_files"]
            for path in (each["path"] if isinstance(each["path"], list) else [each["path"]])
        ]
    except (TypeError, KeyError):
        return
    if all(isinstance(part, str) for file in files for part in file):
        yield from files


def _header(path: Path, found: _Problems) -> Mapping[str, Any] | None:
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_CARD).decode("utf-8", "replace")
    except OSError:
        found.add("card", _CARD, "there is no card")
        return None
    block = re.match(r"---\r?\n(.*?)\r?\n---(\r?\n|\Z)", text, re.DOTALL)
    loader, data = getattr(yaml, "CSafeLoader", yaml.SafeLoader), None
    with suppress(yaml.YAMLError, ValueError, RecursionError):
        data = yaml.load(block[1], Loader=loader) if block else None  # noqa: S506 (either loader is the safe one)
    if not isinstance(data, Mapping):
        found.add("card", _CARD, "has no header of YAML between lines of ---")
        return None
    return data


def _matching(parts: list[Shard], pattern: str) -> list[str]:
    """Return the shards that a pattern names. It is held against them, so it can lead nowhere else."""
    wanted = PurePosixPath(pattern)
    return [
        shard.path
        for shard in parts
        if len(wanted.parts) == len(PurePosixPath(shard.path).parts)
        and PurePosixPath(shard.path).match(pattern)
    ]


def _shard(shard: Shard, manifest: Manifest | None, traces: Traces, found: _Problems) -> int:
    """Check one shard and its JSONL, row by row, and return how many rows it has."""
    try:
        sound = _columns(shard, found)
    except ContentError as error:
        found.add("schema", shard.path, str(error).removeprefix(f"{shard.file}: "))
        return 0
    twin = shard.twin.relative_to(shard.folder).as_posix()
    lines: Iterator[Any] = iter(())
    same = shard.twin.is_file() and not shard.twin.is_symlink()
    if same:
        lines = json_rows(shard.twin)
    else:
        found.add("jsonl", twin, f"is not there: the rows of {shard.path} have no JSONL")
    rules = manifest.rules if manifest else None
    number = 0
    try:
        for number, row in enumerate(read_rows(shard), start=1):
            where = f"{shard.path}:{number}"
            if sound:
                for name, said in faults_of(shard.config, row, rules):
                    found.add(name, where, said)
                traces.add(shard, row)
            if same:
                same = _as_line(lines, row, f"{twin}:{number}", found)
    except ContentError as error:
        found.add("schema", shard.path, str(error).removeprefix(f"{shard.file}: "))
        return number
    if same and _more(lines):
        found.add("jsonl", twin, f"holds more rows than the {number:,} of {shard.path}")
    return number


def _as_line(lines: Iterator[Any], row: Mapping[str, Any], where: str, found: _Problems) -> bool:
    """Return whether the next line of JSONL is this row; once it is not, no further line is compared."""
    try:
        line = next(lines, None)
    except ContentError as error:
        found.add("jsonl", where, str(error).rpartition(": ")[2])
        return False
    if line == row:
        return True
    found.add("jsonl", where, "has no such row" if line is None else "is not the row that the Parquet holds")
    return False


def _more(lines: Iterator[Any]) -> bool:
    with suppress(ContentError):
        return next(lines, None) is not None
    return True


def _columns(shard: Shard, found: _Problems) -> bool:
    """Return whether a shard has its config's columns and types, without nulls where none may be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with shard.file.open("rb") as source, pq.ParquetFile(source) as file:
            shape = file.schema_arrow
            faults = list(_differences(shape, COLUMNS[shard.config]))
            nulls = [] if faults else _nulls(file, COLUMNS[shard.config])
    except (OSError, pa.ArrowException) as error:
        raise ContentError(
            f"{shard.file}: cannot be read as Parquet: {str(error).partition(chr(10))[0]}"
        ) from error
    for said in (*faults, *nulls):
        found.add("schema", shard.path, said)
    return not faults and not nulls


def _differences(shape: "pa.Schema", wanted: Mapping[str, Type]) -> Iterator[str]:
    for name in wanted.keys() - set(shape.names):
        yield f"has no column {name!r}"
    for name in dict.fromkeys(shape.names):
        if name not in wanted:
            yield f"has a column {name!r}, which is none of its config"
        elif shape.names.count(name) > 1:
            yield f"has the column {name!r} twice"
        elif not _fits(shape.field(name).type, wanted[name]):
            yield f"{name}: is of type {shape.field(name).type}"


def _fits(of: "pa.DataType", wanted: Type) -> bool:
    """Return whether an Arrow type holds what a column holds; wide strings and lists do as well."""
    import pyarrow.types as is_

    if isinstance(wanted, list):
        return (is_.is_list(of) or is_.is_large_list(of)) and _fits(of.value_type, wanted[0])
    if isinstance(wanted, dict):
        names = [of.field(number).name for number in range(of.num_fields)] if is_.is_struct(of) else []
        return sorted(names) == sorted(wanted) and all(
            _fits(of.field(name).type, part) for name, part in wanted.items()
        )
    match wanted.removesuffix("?"):
        case "string":
            return bool(is_.is_string(of) or is_.is_large_string(of))
        case "int64":
            return bool(is_.is_int64(of))
        case "double":
            return bool(is_.is_float64(of))
        case _:
            return bool(is_.is_boolean(of))


def _nulls(file: Any, wanted: Mapping[str, Type]) -> list[str]:
    faults: dict[str, None] = {}
    for batch in file.iter_batches(batch_size=256):
        for name, of in wanted.items():
            for where in _null_in(batch.column(name), of, name):
                faults[f"{where}: is null where there must be a value"] = None
    return list(faults)


def _null_in(column: Any, of: Type, where: str) -> Iterator[str]:
    if isinstance(of, str) and of.endswith("?"):
        return
    if column.null_count:
        yield where
    elif isinstance(of, list):
        yield from _null_in(column.flatten(), of[0], f"{where}[]")
    elif isinstance(of, dict):
        for name, part in of.items():
            yield from _null_in(column.field(name), part, f"{where}.{name}")
