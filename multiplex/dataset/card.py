"""The dataset card: README.md, whose header the Hugging Face Hub reads and whose body people read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from multiplex.dataset.card_body import body, one_line
from multiplex.dataset.manifest import write_whole
from multiplex.dataset.reading import shards
from multiplex.dataset.schemas import COLUMNS, CONFIGS, SPLITS, Type

__all__ = ["CARD", "LICENCES", "About", "Generator", "Seat", "card", "write_card"]

CARD = "README.md"

LICENCES = frozenset(
    (
        *("afl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "c-uda", "cc", "cc0-1.0", "cc-by-2.0"),
        *("cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
        *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0"),
        *("cdla-sharing-1.0", "gfdl", "gpl-3.0", "mit", "odbl", "odc-by", "openrail", "other", "pddl"),
        *("unknown", "unlicense"),
    )
)
"""Names of licences that the Hub knows (those that suit data); any other stands as `other` with its name."""

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
    was skipped, masked and dropped, nested at will. `created` is a date (ISO 8601).
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
    if given.lower() in LICENCES:
        return {"license": given.lower()}
    return {"license": "other", "license_name": one_line(given)}


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
