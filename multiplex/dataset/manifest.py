"""manifest.json: what a dataset was made of and how, and the hash of every file; the last thing written."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from multiplex.errors import ContentError, RunError

__all__ = [
    "FORMAT",
    "MANIFEST",
    "FileEntry",
    "Manifest",
    "described",
    "read_manifest",
    "sync_folder",
    "write_manifest",
    "write_whole",
]

FORMAT = 2
MANIFEST = "manifest.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Record):
    """One file of a dataset: its path below the folder (with /), its size and hash; for a shard, its place."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None
    config: str | None = None
    split: str | None = None

    def stays_inside(self) -> bool:
        """Return whether the path leads nowhere out of the folder."""
        path = PurePosixPath(self.path)
        return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


class Manifest(_Record):
    """What a dataset is.

    `data_sha256` is over the shards alone: two builds of the same rows have the same one, whenever and
    wherever they ran. `sha256` is over everything else in this file.
    """

    format: int = FORMAT
    multiplex: str
    created: str
    options: dict[str, Any] = {}
    sources: tuple[dict[str, Any], ...] = ()
    counts: dict[str, dict[str, int]] = {}
    files: tuple[FileEntry, ...] = ()
    rules: dict[str, str] = {}
    models: dict[str, Any] = {}
    perspectives: tuple[str, ...] = ()
    seeds: dict[str, Any] = {}
    masker: dict[str, Any] | None = None
    data_sha256: str = ""
    sha256: str = ""

    def sealed(self) -> Self:
        """Return it with files in order of their paths, rows counted, and both hashes."""
        files = tuple(sorted(self.files, key=lambda each: each.path))
        counts: dict[str, dict[str, int]] = {}
        for each in files:
            # Every row stands in two files: it is counted where a trainer reads it.
            if each.config and each.split and each.path.endswith(".parquet"):
                of = counts.setdefault(each.config, {})
                of[each.split] = of.get(each.split, 0) + (each.rows or 0)
        data = _hash([each.path, each.sha256] for each in files if each.config)
        told = self.model_copy(update={"files": files, "counts": counts, "data_sha256": data})
        return told.model_copy(update={"sha256": told.seal()})

    def seal(self) -> str:
        """Return the hash of everything but the field `sha256` itself."""
        return _hash([self.model_dump(mode="json", exclude={"sha256"})])


def described(folder: Path, path: str, **place: Any) -> FileEntry:
    """Return a file's entry; it is read in pieces. `place` may hold `rows`, `config` and `split`.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        with (folder / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return FileEntry(path=path, bytes=file.tell(), sha256=digest.hexdigest(), **place)
    except OSError as error:
        raise RunError(f"{folder / path}: cannot be read: {error.strerror or error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Seal a manifest and write it, whole or not at all; return it as written.

    Raises:
        RunError: it cannot be written.
    """
    sealed = manifest.sealed()
    write_whole(
        folder / MANIFEST, json.dumps(sealed.model_dump(mode="json"), ensure_ascii=True, indent=2) + "\n"
    )
    return sealed


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, whatever happens in between.

    Raises:
        RunError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)  # noqa: PTH105 (the rename is what makes it whole)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Let a rename in the folder outlive a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_manifest(folder: Path) -> Manifest:
    """Read a dataset's manifest. What it says is not checked here; `check` does that.

    Raises:
        ContentError: there is none, or it is none that this version can read.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ContentError(
            f"{folder}: no dataset: it has no {MANIFEST}, which is written last; if a build was cut off, run it again"
        ) from None
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ContentError(f"{path}: is no JSON: {error}") from error
    version = data.get("format") if isinstance(data, Mapping) else None
    if version != FORMAT:
        raise ContentError(
            f"{path}: format {version!r}; this version of Multiplex reads format {FORMAT}; "
            "build it again, or use the version that wrote it"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContentError(f"{path}: {where}: {first['msg']}") from error


def _hash(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()
