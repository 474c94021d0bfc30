"""The dataset card: README.md, whose header the Hugging Face Hub reads and whose body people read."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from multiplex.dataset.card_body import body, one_line
from multiplex.dataset.hub_labels import LICENCES, licence_name
from multiplex.dataset.manifest import MANIFEST, described, write_whole
from multiplex.dataset.reading import shards
from multiplex.dataset.schemas import COLUMNS, CONFIGS, SPLITS, Type

__all__ = ["CARD", "About", "Generator", "Seat", "card", "keep_edited_card", "kept_cards", "write_card"]

CARD = "README.md"

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Seat(_Record):
    """A persona that sat on the panel."""

    name: str
    label: str
    perspective: str
    region: str | None = None


class Generator(_Record):
    """What wrote the texts: a model by the name given, and its licence where the user told it."""

    name: str
    licence: str | None = None


class About(_Record):
    """What the card tells that cannot be counted from the shards; texts are the user's, and are escaped.

    `masker` is what the privacy agent says of itself, None where none ran. `report` holds counts of what
    was skipped, masked and dropped, nested at will; `left_out` says the same of each config in a sentence, `empty` why
    a config that was asked for has no row, `covered` what the prompts cover, `personal` which names stand although
    they tell of somebody. `created` is a date (ISO 8601).
    """

    title: str
    multiplex: str
    created: str
    license: str | None = None
    languages: tuple[str, ...] = ("en",)
    protocol: str = ""
    stages: tuple[str, ...] = ()
    panel: tuple[Seat, ...] = ()
    generators: tuple[Generator, ...] = ()
    embedding: str | None = None
    notice: str | None = None
    rules: dict[str, str] = {}
    masker: dict[str, Any] | None = None
    report: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    empty: dict[str, str] = {}
    covered: str | None = None
    personal: str | None = None
    options: dict[str, Any] = {}


def write_card(
    folder: Path, about: About, statistics: Mapping[str, Any], *, pictures: Sequence[str] = ()
) -> Path:
    """Write README.md for the shards that are in the folder, and return its path.

    `statistics` are those of `multiplex.dataset.statistics`, `pictures` paths below the folder.

    Raises:
        ContentError: there is no shard in the folder.
        RunError: the card cannot be written.
    """
    sizes: dict[str, int] = {}
    for shard in shards(folder):
        sizes[shard.config] = sizes.get(shard.config, 0) + shard.file.stat().st_size
    write_whole(folder / CARD, card(about, statistics, sizes=sizes, pictures=pictures))
    return folder / CARD


def card(
    about: About,
    statistics: Mapping[str, Any],
    *,
    sizes: Mapping[str, int] | None = None,
    pictures: Sequence[str] = (),
) -> str:
    """Return a dataset card: a YAML header between lines of ---, and a body in Markdown.

    `sizes` are bytes of Parquet by config. The same arguments give the same text.
    """
    import yaml

    header = yaml.safe_dump(
        _header(about, statistics, sizes or {}), sort_keys=False, allow_unicode=True, width=1000
    )
    return f"---\n{header}---\n\n{body(about, statistics, pictures)}"


def keep_edited_card(folder: Path) -> Path | None:
    """Copy a card that was changed since its build beside it, before another is written; return where, if anywhere.

    It is told by the hash in the manifest: without one nothing is known to have been changed, and None comes back.

    Raises:
        OSError: it cannot be written.
    """
    here, told = folder / CARD, None
    with suppress(OSError, ValueError, KeyError, TypeError):
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        told = next((each["sha256"] for each in files if each["path"] == CARD), None)
    if told is None or not here.is_file() or (now := described(folder, CARD).sha256) == told:
        return None
    kept = kept_cards(folder)
    if same := [path for path in kept if described(folder, path.name).sha256 == now]:
        return same[0]  # a build that was cut off has kept it already
    numbers = (f"{CARD}.bak{number or ''}" for number in range(len(kept) + 1))
    there = next(folder / name for name in numbers if not (folder / name).exists())
    partial = there.with_name(f"{there.name}.partial")
    shutil.copyfile(here, partial)
    return partial.replace(there)


def kept_cards(folder: Path) -> list[Path]:
    """Return the earlier cards that were kept in a folder, in order of their names."""
    found = folder.glob(f"{CARD}.bak*")
    return sorted(path for path in found if re.fullmatch(rf"{re.escape(CARD)}\.bak\d*", path.name))


def _header(about: About, statistics: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    rows = {
        config: statistics["configs"][config]["rows"] for config in CONFIGS if config in statistics["configs"]
    }
    splits = {config: [split for split in SPLITS if counts.get(split)] for config, counts in rows.items()}
    held = {config: statistics["configs"][config]["bytes"] for config in rows}
    total = sum(sum(counts.values()) for counts in rows.values())
    trained = [config for config in ("sft", "dpo", "kto", "reward", "grpo") if config in rows]
    return {
        "pretty_name": one_line(about.title),
        "language": [one_line(each) for each in about.languages],
        **_license(about.license),
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "size_categories": [next((name for most, name in _SIZES if total < most), "10B<n<100B")],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "multiplex", "pluralistic-alignment", "deliberation", *trained],
        "configs": [
            {
                "config_name": config,
                "data_files": [
                    {"split": split, "path": f"data/{config}/{split}-*.parquet"} for split in splits[config]
                ],
            }
            for config in rows
        ],
        "dataset_info": [
            {
                "config_name": config,
                "features": [_feature(name, of) for name, of in COLUMNS[config].items()],
                "splits": [
                    {"name": split, "num_bytes": held[config][split], "num_examples": counts[split]}
                    for split in splits[config]
                ],
                **({"download_size": sizes[config]} if config in sizes else {}),
                "dataset_size": sum(held[config].values()),
            }
            for config, counts in rows.items()
        ],
    }


def _license(given: str | None) -> dict[str, str]:
    if given is None:
        return {"license": "unknown"}
    name = licence_name(given)
    if name is None and given.lower() in LICENCES:
        return {"license": given.lower()}
    # A hub takes an id here, as my-licence-1.0; the body tells the name as it was given.
    told = re.sub(r"[^a-z0-9.]+", "-", (name or one_line(given)).lower()).strip("-.")
    return {"license": "other", "license_name": told or "unnamed"}


def _feature(name: str, of: Type) -> dict[str, Any]:
    """Return a column as the library `datasets` writes it in a card."""
    return {"name": name, **_kind(of)}


def _kind(of: Type) -> dict[str, Any]:
    if isinstance(of, list):
        inner = _kind(of[0])
        return {"list": inner.get("struct", inner.get("dtype"))}
    if isinstance(of, dict):
        return {"struct": [_feature(name, part) for name, part in of.items()]}
    return {"dtype": {"double": "float64"}.get(of.removesuffix("?"), of.removesuffix("?"))}
