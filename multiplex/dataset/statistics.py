"""What a dataset holds, counted in one pass over its shards."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from multiplex.dataset.manifest import read_manifest
from multiplex.dataset.reading import Shard, read_batches, rows_in, shards
from multiplex.dataset.schemas import CONFIGS
from multiplex.errors import ContentError
from multiplex.scoring.entropy import normalised_entropy
from multiplex.scoring.score import Score

__all__ = ["BINS", "STATISTICS", "statistics"]

STATISTICS = "statistics.json"
"""Where a build keeps them, beside the card."""

BINS = 10
"""Margins, which lie in (0, 1], are counted in ten bins of the same width, each with its lower end."""

_AXES = ("perspective", "persona", "domain")
_SPOKEN = {
    "sft": ("messages",),
    "dpo": ("prompt", "chosen", "rejected"),
    "kto": ("prompt", "completion"),
    "reward": ("chosen", "rejected"),
    "grpo": ("prompt",),
    "distribution": ("prompt",),
}
"""The columns of each config that hold messages."""


def statistics(
    folder: Path,
    *,
    perspectives: Sequence[str] | None = None,
    of: str = "the list given",
    count_tokens: Callable[[str], int] | None = None,
) -> dict[str, Any]:
    """Return counts over a dataset as plain data; it is read in batches and never held as a whole.

    `configs`: by config, `rows` and `bytes` (in memory, as Arrow) by split, and `characters`, `words` (parted
    by white space) and, with `count_tokens`, `tokens` of the texts a row holds (mean, least, most, total);
    replies in transcripts are JSON.
    `completions`: the same for what a trainer learns from alone, by config and column.
    `balance`: rows by perspective, persona and domain, and rows that name a Schwartz value, by config; a row
    without one is counted as null. `rules`: rows by rule. `labels`: of `kto`, by split, how many answers are
    `desirable` and `undesirable`. `margins` and `claims_margins`: by config and rule, ten equal
    bins from 0 to 1, of the rows that have one. `endorsements`: ballots 1 to 7 (and abstentions) on the
    answers of `dpo`, by side.
    `perspective_entropy`: how evenly all rows that have a perspective spread over the fixed list of K
    perspectives (-sum p ln p / ln K); the list is the one given, else the manifest's, else those that occur,
    and `of` says which (of one that is given the caller may say whose it is). A perspective that is not on
    the list is counted apart.

    Raises:
        ContentError: there is no dataset in the folder, or a shard cannot be read.
    """
    told = {config: _Config(config, count_tokens) for config in CONFIGS}
    for shard in shards(folder):
        for part in read_batches(shard):
            told[shard.config].bytes[shard.split] += part.nbytes
            try:
                for row in rows_in(part, shard):
                    told[shard.config].add(shard, row)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ContentError(
                    f"{shard.file}: a row is not what a {shard.config} row is ({error!r}); "
                    "'multiplex dataset check' says more"
                ) from error
    present = {config: each for config, each in told.items() if each.rows}
    seen: Counter[str] = Counter()
    for each in present.values():
        seen.update({name: n for name, n in each.axes["perspective"].items() if name is not None})
    return {
        "configs": {config: each.sizes() for config, each in present.items()},
        "completions": {
            config: {name: length.as_dict() for name, length in each.columns.items()}
            for config, each in present.items()
            if each.columns
        },
        "balance": {
            axis: {config: _counts(each.axes[axis]) for config, each in present.items()}
            for axis in (*_AXES, "schwartz")
        },
        "rules": {config: _counts(each.axes["rule"]) for config, each in present.items()},
        "labels": {config: each.labels for config, each in present.items() if each.labels},
        "margins": {
            config: each.margins["margin"] for config, each in present.items() if each.margins["margin"]
        },
        "claims_margins": {
            config: each.margins["claims_margin"]
            for config, each in present.items()
            if each.margins["claims_margin"]
        },
        "endorsements": {side: _counts(found) for side, found in told["dpo"].ballots.items() if found},
        "perspective_entropy": _entropy(folder, seen, perspectives, of),
    }


class _Length:
    """Characters, words and tokens of texts: how many texts, in all, the least and the most."""

    def __init__(self, count_tokens: Callable[[str], int] | None) -> None:
        measures: dict[str, Callable[[str], int]] = {"characters": len, "words": lambda t: len(t.split())}
        if count_tokens:
            measures["tokens"] = count_tokens
        self.measures = measures
        self.rows = 0
        self.found = {name: [0, 0, 0] for name in measures}

    def add(self, texts: Sequence[str]) -> None:
        """Count the texts of one row."""
        for name, measure in self.measures.items():
            size, found = sum(measure(text) for text in texts), self.found[name]
            found[:] = found[0] + size, min(found[1], size) if self.rows else size, max(found[2], size)
        self.rows += 1

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return the figures by measure."""
        return {
            name: {"mean": round(total / self.rows, 2), "least": least, "most": most, "total": total}
            for name, (total, least, most) in self.found.items()
        }


class _Config:
    """The running counts of one config."""

    def __init__(self, config: str, count_tokens: Callable[[str], int] | None) -> None:
        self.config = config
        self.count_tokens = count_tokens
        self.rows: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.length = _Length(count_tokens)
        self.columns: dict[str, _Length] = {}
        self.axes: dict[str, Counter[str | None]] = {axis: Counter() for axis in (*_AXES, "schwartz", "rule")}
        self.labels: dict[str, dict[str, int]] = {}
        self.margins: dict[str, dict[str, list[int]]] = {"margin": {}, "claims_margin": {}}
        self.ballots: dict[str, Counter[str | None]] = {}

    def add(self, shard: Shard, row: Mapping[str, Any]) -> None:
        """Count one row."""
        self.rows[shard.split] += 1
        self.length.add(list(_texts(self.config, row)))
        for axis in (*_AXES, "rule"):
            self.axes[axis][row[axis]] += 1
        self.axes["schwartz"].update(set(row["schwartz"]) or {None})
        for column in ("chosen", "rejected", "completion"):
            if column in _SPOKEN.get(self.config, ()):
                length = self.columns.setdefault(column, _Length(self.count_tokens))
                length.add([row[column][-1]["content"]] if row[column] else [])
        for name, by_rule in self.margins.items():
            if row.get(name) is not None:
                bins = by_rule.setdefault(str(row["rule"]), [0] * BINS)
                bins[min(max(int(row[name] * BINS), 0), BINS - 1)] += 1
        if "label" in row:
            labels = self.labels.setdefault(shard.split, {"desirable": 0, "undesirable": 0})
            labels["desirable" if row["label"] else "undesirable"] += 1
        for side in ("chosen", "rejected"):
            for ballot in row.get(f"{side}_endorsements", ()):
                given = ballot["endorsement"]
                counts = self.ballots.setdefault(side, Counter())
                counts[None if given is None else str(given)] += 1

    def sizes(self) -> dict[str, Any]:
        """Return the rows and bytes by split, and the lengths."""
        return {"rows": dict(self.rows), "bytes": dict(self.bytes), **self.length.as_dict()}


def _texts(config: str, row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a row that a reader reads."""
    for column in _SPOKEN.get(config, ()):
        yield from (message["content"] for message in row[column])
    match config:
        case "grpo":
            yield from (each["text"] for each in (*row.get("answers", row["judgements"]), *row["claims"]))
        case "distribution":
            yield from (option["text"] for option in row["options"])
        case "transcripts":
            yield row["question"]
            yield from (turn["reply"] for turn in row["turns"] if turn["reply"] is not None)
        case "moral_graph":
            yield row["question"]
            for value in row["values"]:
                yield from (value["title"], value["description"], *value["policies"])


def _entropy(folder: Path, seen: Counter[str], perspectives: Sequence[str] | None, of: str) -> dict[str, Any]:
    if perspectives is None:
        with suppress(ContentError):
            perspectives, of = read_manifest(folder).perspectives, "the manifest's list"
    if not perspectives:
        perspectives, of = sorted(seen), "the perspectives that occur"
    listed = {name: seen[name] for name in perspectives}
    unlisted = {name: count for name, count in sorted(seen.items()) if name not in listed}
    score: Score = normalised_entropy(listed, list(listed))
    return {**score.as_dict(), "of": of, "unlisted": unlisted}


def _counts(counter: Counter[str | None]) -> list[dict[str, Any]]:
    """Return counts, the most frequent first; null is a name of its own, so no object can hold them as keys."""
    order = sorted(counter.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
    return [{"name": name, "rows": count} for name, count in order]
