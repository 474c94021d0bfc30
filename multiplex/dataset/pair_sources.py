"""Where the rows of a preference set lie: files that are named, a dataset of ours, or any folder in a hub's layout."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from multiplex.content.files import no_such_file
from multiplex.dataset.reading import LONGEST_LINE, shards
from multiplex.dataset.rows import FORMATS, BadRow, Row
from multiplex.dataset.schemas import CONFIGS, SPLITS
from multiplex.errors import ContentError, near_miss

__all__ = ["SUFFIXES", "DataFile", "Sources", "data_files", "source_rows"]

SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
"""What preferences are read from; of a folder that holds several, the first."""

_PREFERRED = ("dpo", "reward", "kto")
"""Which configs are taken where nobody names one."""

_NO_ROWS = {
    "config.json",
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "manifest.json",
    "report.json",
    "state.json",
    "statistics.json",
}
_SHARD = re.compile(r"(?P<split>[\w.]+(?:-[\w.]+)*?)-\d{5,}-of-\d{5,}")
_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "dev", "val"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_LONGEST_HEADER = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of rows: where it lies, how it is told, and the split that it belongs to, if to any."""

    path: Path
    told: str
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a set, in their order; `name` says what was given, `notes` what was left out and why."""

    name: str
    files: tuple[DataFile, ...]
    config: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read."""
        return tuple(dict.fromkeys(file.split for file in self.files if file.split))


def data_files(paths: Sequence[Path], *, config: str | None = None, split: str | None = None) -> Sources:
    """Return the files that hold a set's rows: those named, and of each folder all that belong to one config.

    A dataset of ours is read from the Parquet files of `dpo`, else `reward`, else `kto`. Of any other folder the
    configs are those in the YAML header of its README.md, with their files; where it names none, all data files
    in it, in whatever folders, are one config, and the names of files and folders tell the split (`train` where
    they do not), as on the hub. Without `split` all splits are read.

    Raises:
        ContentError: nothing is there, a folder holds no data, or there is no such config or split.
    """
    if not paths:
        raise ContentError("no file or folder of preferences was named")
    found = [
        _of_folder(path, config) if _is_folder(path) else Sources(str(path), (_named_file(path),))
        for path in paths
    ]
    configs = {each.config for each in found if each.config}
    files = tuple({file.path: file for each in found for file in each.files}.values())
    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"
    whole = Sources(
        name.encode("utf-8", "replace").decode(),
        files,
        ", ".join(sorted(configs)) or None,
        tuple(note for each in found for note in each.notes),
    )
    if config is not None and not configs:
        raise ContentError(f"{name}: has no configs, so none is named {config!r}; leave --config out")
    if split is None:
        return whole
    if split not in whole.splits:
        there = f"its splits are {', '.join(whole.splits)}" if whole.splits else "it has no splits"
        raise ContentError(f"{name}: has no split {split!r}; {there}")
    return replace(whole, files=tuple(file for file in files if file.split == split))


def _is_folder(path: Path) -> bool:
    try:
        if path.is_dir() or path.is_file():
            return path.is_dir()
    except OSError as error:
        raise ContentError(f"{str(path)[:200]!r}: cannot be read: {error.strerror or error}") from error
    raise no_such_file(path)


def _named_file(path: Path) -> DataFile:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ContentError(
            f"{path}: preferences are read from {', '.join(SUFFIXES)} or a dataset's folder, not from "
            f"{suffix or 'a file without a suffix'!r}; convert or rename it"
        )
    return DataFile(path, path.name)


def _of_folder(folder: Path, config: str | None) -> Sources:
    try:
        if _is_ours(folder):
            return _ours(folder, config)
        told = _configs(folder)
        if not told:
            return _inferred(folder, folder)
        if config is None and len(told) > 1:
            default = [name for name, entry in told.items() if entry.get("default") is True]
            config = next((name for name in (*_PREFERRED, *default, "default") if name in told), None)
            if config is None:
                raise ContentError(
                    f"{folder}: its README.md names the configs {_listed(told)}; choose one with --config"
                )
        config = config or next(iter(told))
        if config not in told:
            raise ContentError(
                f"{folder}: its README.md names no config {config!r}; {near_miss(config, told)}"
            )
        found = _told(folder, config, told[config])
    except OSError as error:
        raise ContentError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return replace(found, config=config)


def _is_ours(folder: Path) -> bool:
    shard = "*-?????-of-?????.parquet"
    if any(True for config in _PREFERRED for _ in (folder / "data" / config).glob(shard)):
        return True
    known = (folder / "manifest.json").is_file() or (folder / ".build" / "work.sqlite").is_file()
    return known and any((folder / "data" / config).is_dir() for config in CONFIGS)


def _ours(folder: Path, config: str | None) -> Sources:
    if config is not None and config not in _PREFERRED:
        raise ContentError(
            f"{folder}: --config {config} holds no preferences; {near_miss(config, _PREFERRED)}"
        )
    found = shards(folder, configs=(config,) if config else _PREFERRED)
    first = found[0].config
    files = tuple(DataFile(each.file, each.path, each.split) for each in found if each.config == first)
    return Sources(str(folder), files, first)


def _configs(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the configs that a card's YAML header names, by name; none where there is no card or no such header."""
    card = folder / "README.md"
    if not card.is_file():
        return {}
    with card.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_LONGEST_HEADER)
    header = re.match(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|$)", text, re.S)
    try:
        data = yaml.safe_load(header[1]) if header else None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise ContentError(
            f"{card}: its YAML header cannot be read ({said}); mend it, or name the data files themselves"
        ) from error
    listed = data.get("configs") if isinstance(data, Mapping) else None
    if not isinstance(listed, list):
        return {}
    return {str(each.get("config_name", "default")): each for each in listed if isinstance(each, Mapping)}


def _told(folder: Path, config: str, entry: Mapping[str, Any]) -> Sources:
    """Return the files of a config that a card names: `data_files` as a pattern, a list, or by split; or `data_dir`."""
    inside = _inside(folder, str(entry.get("data_dir") or "."), config)
    given = entry.get("data_files")
    if not given:
        return _inferred(folder, folder / inside)
    listed = given if isinstance(given, list) else [given]
    if isinstance(given, Mapping):
        listed = [{"split": name, "path": patterns} for name, patterns in given.items()]
    files: dict[Path, DataFile] = {}
    lacking = []
    for each in listed:
        split, patterns = (
            (str(each.get("split", "train")), each.get("path")) if isinstance(each, Mapping) else (None, each)
        )
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            asked = PurePosixPath(inside, _inside(folder, str(pattern), config)).as_posix()
            matched = [file for path in _matching(folder, asked, config) for file in _rows_under(path)]
            if not matched:
                lacking.append(asked)
            for path in matched:
                told = path.relative_to(folder).as_posix()
                files.setdefault(path, DataFile(path, told, split or _split_of(told)))
    if not files:
        raise ContentError(
            f"{folder}: the files of config {config!r} that its README.md names are not in it, or are none that "
            f"can be read ({_listed(lacking)})"
        )
    notes = (
        [f"{folder}: its README.md names {_listed(lacking)}, and no such file is there"] if lacking else []
    )
    return Sources(str(folder), tuple(files.values()), None, tuple(notes))


def _inside(folder: Path, pattern: str, config: str) -> str:
    """Return a pattern of a card, which may not lead out of the folder."""
    parts = PurePosixPath(pattern).parts
    if "://" in pattern or pattern.startswith("/") or ".." in parts:
        raise ContentError(
            f"{folder}: the README.md names {pattern[:80]!r} for config {config!r}, which is not in the folder; "
            "name the data files themselves"
        )
    return PurePosixPath(*parts).as_posix()


def _matching(folder: Path, pattern: str, config: str) -> list[Path]:
    """Return the files and folders that a pattern names; a `.` is the folder itself."""
    if pattern == ".":
        return [folder]
    why = "`**` stands for whole folders alone, as in data/**/*.jsonl"
    try:
        if not any("**" in part and part != "**" for part in PurePosixPath(pattern).parts):
            return sorted(folder.glob(pattern))
    except (ValueError, IndexError, NotImplementedError) as error:
        why = str(error)
    raise ContentError(
        f"{folder}: the README.md names {pattern[:80]!r} for config {config!r}, which is no pattern of files ({why}); "
        "mend it, or name the data files themselves"
    )


def _rows_under(path: Path) -> list[Path]:
    """Return the data files at or under a path; hidden ones, and those known to hold no rows, are none."""
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else []
    return [
        each
        for each in sorted(path.rglob("*"))
        if each.suffix.lower() in SUFFIXES
        and each.name not in _NO_ROWS
        and not any(part.startswith((".", "__")) for part in each.relative_to(path).parts)
        and each.is_file()
    ]


def _inferred(folder: Path, place: Path) -> Sources:
    """Return all data files in a place, of one suffix, with the splits that their names tell."""
    found = _rows_under(place) if place.is_dir() else []
    if not found:
        raise ContentError(_nothing(folder, place))
    number = Counter(path.suffix.lower() for path in found)
    suffix = next(each for each in SUFFIXES if number[each])
    files = []
    for path in found:
        if path.suffix.lower() == suffix:
            told = path.relative_to(folder).as_posix()
            files.append(DataFile(path, told, _split_of(told)))
    order = {split: place for place, split in enumerate(SPLITS)}
    files.sort(key=lambda file: (order.get(str(file.split), len(order)), str(file.split), file.told))
    left = ", ".join(f"{count:,} {name}" for name, count in sorted(number.items()) if name != suffix)
    notes = (f"{folder}: read from its {suffix} files, and not from {left}",) if left else ()
    return Sources(str(folder), tuple(files), None, notes)


def _nothing(folder: Path, place: Path) -> str:
    if (folder / ".build" / "work.sqlite").is_file():
        return f"{folder}: is unfinished; run the same build again, and it goes on"
    others = {each.suffix.lower() for each in place.rglob("*") if each.is_file()} if place.is_dir() else set()
    if ".arrow" in others:
        return f"{folder}: holds Arrow files, as save_to_disk writes; save it with to_parquet"
    if packed := sorted(others & {".gz", ".zst", ".zip", ".bz2", ".xz"}):
        return f"{folder}: its files are packed ({', '.join(packed)}); unpack them first"
    return f"{folder}: no dataset: no {', '.join(SUFFIXES)} file is in it"


def _split_of(told: str) -> str:
    """Return the split that a path tells, `train` where it tells none."""
    if shard := _SHARD.match(PurePosixPath(told).name):
        words = re.split(r"[\W_]+", shard["split"].lower())
        return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), shard["split"])
    words = re.split(r"[\W_\d]+", told.lower())
    return next((_SPLIT_WORDS[word] for word in reversed(words) if word in _SPLIT_WORDS), "train")


def _listed(names: Iterable[str]) -> str:
    shown = [repr(name[:80]) for name in names]
    return ", ".join([*shown[:12], "..."] if len(shown) > 12 else shown)


def source_rows(sources: Sources, wanted: set[str]) -> Iterator[tuple[str, Row]]:
    """Yield where each row of the files stands, and the row; of Parquet the `wanted` columns (lower case) alone.

    Raises:
        ContentError: a file cannot be read, or is not of the format that its suffix says.
    """
    for file in sources.files:
        suffix = file.path.suffix.lower()
        rows = _json(file.path) if suffix == ".json" else FORMATS[suffix](file.path, wanted)
        for number, each in rows:
            yield f"{file.told}:{number}", each


def _json(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield the elements of a JSON list, one in memory at a time; what begins otherwise is JSON Lines."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text, number, decoder = file.read(1 << 16), 0, json.JSONDecoder()
            place = _past(text, 0)
            if text[place : place + 1] != "[":
                yield from FORMATS[".jsonl"](path, ())
                return
            place = _past(text, place + 1)
            size = 1 << 20
            while text[place : place + 1] != "]":
                try:
                    element, place = decoder.raw_decode(text, place)
                except json.JSONDecodeError as error:  # the element, most likely, goes on
                    more = file.read(size)
                    text, place, size = text[place:] + more, 0, 2 * size
                    if not more or len(text) > LONGEST_LINE:
                        said = f"{error.msg}; or it is longer than {LONGEST_LINE:,} characters"
                        raise ContentError(f"{path}: is no JSON behind element {number}: {said}") from error
                    place = _past(text, 0)
                    continue
                place, number, size = _past(text, place), number + 1, 1 << 20
                yield (
                    number,
                    element if isinstance(element, dict) else BadRow("malformed", "is no JSON object"),
                )
            if (text[place + 1 :] + file.read(1 << 16)).strip():
                raise ContentError(f"{path}: is no JSON: it goes on behind its list of {number:,}")
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8, or a number too long
        raise ContentError(f"{path}: cannot be read as JSON: {error}") from error


def _past(text: str, place: int) -> int:
    between = _BETWEEN.match(text, place)
    return between.end() if between else place
