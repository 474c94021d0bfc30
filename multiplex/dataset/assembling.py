"""From what the deliberations left to rows that are ready to be written: made, gated, masked, thinned, balanced.

Everything here is a function of the work file and of the options, in the prompts' order. It is done anew from
the start each time: it asks no model, and is short beside the deliberations.

What is thinned and balanced is a unit: the rows of one config, but of `dpo`, `kto` and `reward` the pairs, once
for all three. Each of them then holds the pairs that are kept, in its own form.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np

from multiplex.dataset.citations import Sources
from multiplex.dataset.coverage import Covered
from multiplex.dataset.curation import BALANCE, Item, curate
from multiplex.dataset.masking import Masks, masked
from multiplex.dataset.material import Material, Text, user_turn
from multiplex.dataset.preferences import Pair, Thresholds, pairs_of
from multiplex.dataset.quality import CHECKS, LIMITS, Limits, Tally, dropped, gate, malformed
from multiplex.dataset.records import Row, rows_of
from multiplex.dataset.schemas import CONFIGS
from multiplex.dataset.similarity import Seen
from multiplex.dataset.splitting import SHARES, Splitter
from multiplex.dataset.store import Staged, Store
from multiplex.embedding import Embedder, Vectors
from multiplex.errors import RunError
from multiplex.sentences import sentences

__all__ = ["PAIRED", "REPEATED", "Assembly", "assemble"]

PAIRED = ("dpo", "kto", "reward")
"""The configs that are made of pairs: they hold the same ones."""

_DECIDING = "dpo"
"""The config that has a row for every pair, by which pairs are thinned and balanced."""

_ENDS = {
    "messages": "assistant",
    "prompt": "user",
    "chosen": "assistant",
    "rejected": "assistant",
    "completion": "assistant",
}
"""Whose turn is the last of each column of messages."""

_BATCH = 256
_FORM = ("empty", "too_long", "control", "prompt_leak", "off_topic")
"""The checks of a text that is there to be compared with."""

_STAGES = ("texts", "pairs", "rows", "masked in texts", "near-duplicate completions", "curation")


REPEATED = 0.98
"""The cosine from which a completion is a near-duplicate: means of sentences lie nearer together than texts do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """How rows are made of deliberations; none of it takes another deliberation.

    `balance` bounds the fullest cell of each axis (see `curation`); `duplicate` is the cosine from which
    a completion is a near-duplicate of one of the same kind and persona; `shares` are those of the splits.
    """

    configs: tuple[str, ...] = CONFIGS
    conditions: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)
    limits: Limits = LIMITS
    duplicate: float = REPEATED
    balance: Mapping[str, float] = field(default_factory=lambda: dict(BALANCE))
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the options as plain data."""
        options = {name: getattr(self, name) for name in self.__slots__}
        return {
            **options,
            "configs": list(self.configs),
            "shares": dict(self.shares),
            "thresholds": asdict(self.thresholds),
            "limits": self.limits.as_record(),
            "balance": {
                axis: bound if math.isfinite(bound) else None for axis, bound in self.balance.items()
            },
        }


def assemble(
    store: Store, folder: Path, assembly: Assembly, *, embedder: Embedder, masks: Masks | None
) -> tuple[Splitter, dict[str, Any]]:
    """Make all rows anew, and keep those that stay; return how they are split, and a report.

    Raises:
        RunError: no row is left, with what became of them; or the disk is full.
    """
    store.clear_rows()
    store.clear_counts(_STAGES)
    covered = Covered(store.states()["done"], seed=assembly.seed)
    with store.together():
        report = _made(store, assembly, masks, covered)
    report["coverage"] = covered.coverage(embedder.embed).model_dump(mode="json")
    report |= {"configs": list(assembly.configs), "made": {}, "near_duplicates": {}, "curation": {}}
    for config in _staged(assembly):
        if config in PAIRED and config != _DECIDING:
            continue
        unit = "pairs" if config == _DECIDING else config
        report["made"][unit] = _number(store, config)
        with store.together():
            removed = _thinned(store, config, unit, folder, assembly, embedder)
            report["near_duplicates"][unit] = removed
        items = (_item(each) for each in store.staged(config))
        curated = curate(items, balance=assembly.balance, seed=assembly.seed)
        numbers = [each.number for each in store.staged(config)]
        with store.together():
            store.drop(number for number, kept in zip(numbers, curated.kept, strict=True) if not kept)
        report["curation"][unit] = curated.report
    with store.together():
        report["halves"] = _follow_pairs(store, assembly)
    splitter = _splitter(store, assembly)
    report["splits"] = splitter.report(_places(store, assembly))
    if not any(_number(store, config) for config in assembly.configs):
        raise RunError(f"{folder.parent}: no row is left to write: {_why(store, report)}")
    return splitter, report


def _staged(assembly: Assembly) -> tuple[str, ...]:
    """Return the configs that rows are made for: with any that is made of pairs, the one that decides on them."""
    paired = not set(PAIRED).isdisjoint(assembly.configs)
    return tuple(each for each in CONFIGS if each in assembly.configs or (paired and each == _DECIDING))


def _made(store: Store, assembly: Assembly, masks: Masks | None, covered: Covered) -> dict[str, Any]:
    """Make every deliberation's rows, of the texts that pass the gate; return what the gate and the rules counted."""
    tally = Tally()
    rules: dict[str, Counter[str]] = {}
    known: dict[Any, Sources] = {}
    for material in store.materials():
        covered.add(material.prompt)
        if masks is not None:
            material, found = masked(material, masks)
            for kind, number in found.items():
                store.count("masked in texts", kind, material.prompt.origin, number)
        fit = _gated(store, material, assembly, tally, known)
        pairs: list[Pair] = []
        own = {text.text for text in material.texts if text.kind == "steered"}  # also what the gate stops
        for each in pairs_of(
            fit,
            seed=assembly.seed,
            thresholds=assembly.thresholds,
            own=own,
            conditions=assembly.conditions,
        ):
            counts = rules.setdefault(each.rule, Counter())
            if isinstance(each, Pair):
                counts["made"] += 1
                pairs.append(each)
                kept = each.margin is not None or "reward" not in assembly.configs
                why = None if kept else "not in reward, without a margin from endorsement"
            else:
                counts[each.why] += 1
                why = each.why
            if why is not None:
                place = f"{material.prompt.id} {each.rule} {each.persona or ''}".rstrip()
                store.count("pairs", f"{each.rule}: {why}", place)
        store.stage([row for row in _rows(fit, pairs, assembly) if not _malformed(store, row)])
    return {"gate": tally.report(), "rules": {rule: dict(counts) for rule, counts in rules.items()}}


def _rows(material: Material, pairs: Sequence[Pair], assembly: Assembly) -> Iterator[Row]:
    configs = _staged(assembly)
    whole = [config for config in configs if config != "kto"]
    yield from rows_of(material, pairs, configs=whole, conditions=assembly.conditions)
    if "kto" in configs:  # pair by pair: which halves are told apart hangs on which pairs are kept
        for pair in pairs:
            yield from rows_of(material, [pair], configs=("kto",), conditions=assembly.conditions)


def _malformed(store: Store, row: Row) -> bool:
    """Return whether a row holds messages that a trainer does not take, and count it if so."""
    for column, ends in _ENDS.items():
        if column in row.columns and (what := malformed(row.columns[column], ends=ends)):
            store.count("rows", "schema", f"{row.config} {row.id}: {column}: {what}")
            return True
    return False


def _follow_pairs(store: Store, assembly: Assembly) -> dict[str, int]:
    """Drop from the other forms what belongs to no pair that is kept; return what became of `kto`'s halves.

    Some 60 bytes a pair are held. The same answer may stand under the same prompt in two pairs of one
    deliberation: it is kept once (`shared`), and not at all where one wants it and the other does not (`torn`).
    """
    if set(PAIRED).isdisjoint(assembly.configs):
        return {}
    kept = {_pair(columns) for _, columns in store.columns(_DECIDING)}
    if "reward" in assembly.configs:
        rows = zip(store.staged("reward"), store.columns("reward"), strict=True)
        lost = [row.number for row, (_, columns) in rows if _pair(columns) not in kept]
        store.drop(lost)
    counts: Counter[str] = Counter()
    if "kto" in assembly.configs:
        halves = zip(store.staged("kto"), store.columns("kto"), strict=True)
        lost = []
        for _, found in groupby(halves, key=lambda half: half[1][1]["prompt_id"]):
            labels: dict[str, set[bool]] = {}
            places: dict[str, list[int]] = {}
            for row, (_, columns) in found:
                if _pair(columns) not in kept:
                    lost.append(row.number)
                else:
                    said = json.dumps([columns["prompt"], columns["completion"]])
                    labels.setdefault(said, set()).add(columns["label"])
                    places.setdefault(said, []).append(row.number)
            for said, numbers in places.items():
                torn = len(labels[said]) > 1
                lost += numbers if torn else numbers[1:]
                counts["torn" if torn else "shared"] += len(numbers) if torn else len(numbers) - 1
        store.drop(lost)
    return {name: counts[name] for name in ("shared", "torn")}


def _pair(columns: Mapping[str, Any]) -> int:
    """Return a number for the pair that a row is made of: a rule makes one of a deliberation, or one a persona."""
    place = json.dumps([columns[name] for name in ("prompt_id", "rule", "persona")])
    return int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], "big")


def _gated(
    store: Store, material: Material, assembly: Assembly, tally: Tally, known: dict[Any, Sources]
) -> Material:
    """Return the material without the texts that have a fault."""
    seated = tuple(voice.sha256 for voice in material.voices)
    if seated not in known:
        known[seated] = Sources(source for voice in material.voices for source in voice.sources)
    asked = user_turn(material.prompt.scenario)
    overton = material.text("overton")
    kept: list[Text] = []
    for text in material.texts:
        # What is only ever rejected need not be good: it is the answer of the same model as it came.
        checks = [name for name in CHECKS if text.kind not in {"alone", "draft"} or name in _FORM]
        faults = gate(
            text.text,
            kind=text.kind,
            persona=text.persona,
            carried=text.carried,
            sources=known[seated],
            given=asked,
            overton="" if overton is None else overton.text,
            limits=assembly.limits,
            checks=checks,
        )
        tally.add(faults)
        for fault in faults:
            where = f"{material.prompt.id} {text.kind} {text.persona or ''}".rstrip()
            store.count("texts", fault.check, f"{where}: {fault.found}")
        if not faults:
            kept.append(text)
    return material.model_copy(update={"texts": tuple(kept)})


def _thinned(
    store: Store, config: str, unit: str, folder: Path, assembly: Assembly, embedder: Embedder
) -> int:
    """Drop rows whose completion repeats one of the same kind and persona; return how many went."""
    path = folder / f"{config}.seen"
    path.unlink(missing_ok=True)
    seen: Seen | None = None
    dropped: list[int] = []
    told = store.completions(config)
    try:
        while batch := list(islice(told, _BATCH)):
            vectors = _vectors([completion for _, _, completion in batch], embedder)
            if seen is None:
                seen = Seen(
                    path,
                    dimensions=vectors.shape[1],
                    threshold=assembly.duplicate,
                    embedding=embedder.name,
                    longest_key=20,
                )
            keys = [str(number) for number, _, _ in batch]
            partitions = [partition for _, partition, _ in batch]
            for (number, partition, _), near in zip(
                batch, seen.add_many(keys, vectors, partitions=partitions), strict=True
            ):
                if near is not None:
                    dropped.append(number)
                    store.count("near-duplicate completions", f"{unit}: {partition}")
    finally:
        if seen is not None:
            seen.close()
        path.unlink(missing_ok=True)
    store.drop(dropped)
    return len(dropped)


def _vectors(texts: Sequence[str], embedder: Embedder) -> Vectors:
    """Return a unit vector a text: the mean of its sentences', weighed by their length.

    The whole of a long text counts so, and not what fits into the embedding model; and its sentences are
    known since it was measured. Where the sentences cancel out, the text is embedded as it stands.
    """
    parts = [sentences(text) or (text,) for text in texts]
    rows = embedder.embed([part for each in parts for part in each])
    weights = np.array([len(part) or 1 for each in parts for part in each], dtype=np.float32)
    starts = np.cumsum([0, *(len(each) for each in parts[:-1])])
    sums = np.add.reduceat(rows * weights[:, None], starts, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if (lost := np.flatnonzero(lengths[:, 0] < 1e-6)).size:
        sums[lost] = embedder.embed([texts[int(place)] for place in lost])
        lengths[lost] = 1
    vectors: Vectors = sums / lengths
    return vectors


def _item(row: Staged) -> Item:
    cells = {
        "perspective": (row.perspective,) if row.perspective else (),
        "topics": row.topics,
        "schwartz": row.schwartz,
    }
    return Item(row.id, cells)


def _splitter(store: Store, assembly: Assembly) -> Splitter:
    """Return how the rows that are kept are split; what falls outside of train is kept there for good.

    For good is for as long as rows are made with the same options: with others it is another set, which is split
    as it would be in a new folder.
    """
    made = json.loads(json.dumps(assembly.as_dict()))
    with store.together():
        if store.fact("held_out_of") != made:
            store.keep_fact("first_groups", {})
            store.keep_fact("held_out", [])
            store.keep_fact("held_out_of", made)
        anchors = frozenset(store.first_groups(assembly.configs).values())
        splitter = Splitter(assembly.seed, dict(assembly.shares), anchors)
        outside = {group for _, group in _places(store, assembly) if splitter.split_of(group) != "train"}
        store.keep_fact("held_out", sorted(outside.union(store.fact("held_out"))))
    return splitter


def _places(store: Store, assembly: Assembly) -> Iterator[tuple[str, str]]:
    for config in assembly.configs:
        for group in store.groups(config):
            yield config, group


def _number(store: Store, config: str) -> int:
    return sum(1 for _ in store.groups(config))


def _why(store: Store, report: Mapping[str, Any]) -> str:
    """Say in a sentence where everything went."""
    states = store.states()
    parts = [f"{states['done']} of {sum(states.values())} deliberations came to something"]
    if said := dropped(report["gate"]):
        parts.append(f"texts: {said}")
    for _, _, reason in store.failures(1):
        parts.append(f"the first failure was: {reason}")
    return "; ".join(parts)
