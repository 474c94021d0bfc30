"""From what the deliberations left to rows that are ready to be written: made, gated, masked, thinned, balanced.

Everything here is a function of the work file and of the options, in the prompts' order. It is done anew from
the start each time: it asks no model, and is short beside the deliberations.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from multiplex.dataset.citations import Sources
from multiplex.dataset.curation import AXES, Item, curate
from multiplex.dataset.masking import Masks, masked
from multiplex.dataset.material import Material, Text
from multiplex.dataset.preferences import Pair, Thresholds, pairs_of
from multiplex.dataset.quality import CHECKS, LIMITS, Limits, Tally, gate
from multiplex.dataset.records import rows_of
from multiplex.dataset.schemas import CONFIGS
from multiplex.dataset.similarity import Seen
from multiplex.dataset.splitting import SHARES, Splitter, anchors_of
from multiplex.dataset.store import Staged, Store
from multiplex.embedding import Embedder, Vectors
from multiplex.errors import RunError
from multiplex.sentences import sentences

__all__ = ["REPEATED", "Assembly", "assemble"]

_BATCH = 256
_FORM = ("empty", "too_long", "control", "prompt_leak")
"""The checks of a text that is there to be compared with."""

_STAGES = ("texts", "pairs", "masked in texts", "near-duplicate completions", "curation")


REPEATED = 0.98
"""The cosine from which a completion is a near-duplicate: means of sentences lie nearer together than texts do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """How rows are made of deliberations; none of it takes another deliberation.

    `ratio` bounds the fullest cell of a balanced axis (see `curation`); `duplicate` is the cosine from which
    a completion is a near-duplicate of one of the same kind and persona; `shares` are those of the splits.
    """

    configs: tuple[str, ...] = CONFIGS
    conditions: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)
    limits: Limits = LIMITS
    duplicate: float = REPEATED
    axes: tuple[str, ...] = AXES
    ratio: float = 3.0
    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the options as plain data."""
        options = {name: getattr(self, name) for name in self.__slots__}
        return {
            **options,
            "configs": list(self.configs),
            "axes": list(self.axes),
            "shares": dict(self.shares),
            "thresholds": asdict(self.thresholds),
            "limits": self.limits.as_record(),
            "ratio": self.ratio if math.isfinite(self.ratio) else None,
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
    with store.together():
        report = _made(store, assembly, masks)
    report["made"] = {config: _number(store, config) for config in assembly.configs}
    report["near_duplicates"] = {}
    report["curation"] = {}
    for config in assembly.configs:
        with store.together():
            removed = _thinned(store, config, folder, assembly, embedder)
            report["near_duplicates"][config] = removed
        items = (_item(each) for each in store.staged(config))
        curated = curate(items, axes=assembly.axes, ratio=assembly.ratio, seed=assembly.seed)
        numbers = [each.number for each in store.staged(config)]
        with store.together():
            store.drop(number for number, kept in zip(numbers, curated.kept, strict=True) if not kept)
        # Ties have gone with their rules: no pair is made of one.
        report["curation"][config] = {k: v for k, v in curated.report.items() if k != "ties"}
    splitter = Splitter(assembly.seed, dict(assembly.shares), anchors_of(_places(store, assembly)))
    report["splits"] = splitter.report(_places(store, assembly))
    if not any(_number(store, config) for config in assembly.configs):
        raise RunError(f"{folder.parent}: no row is left to write: {_why(store, report)}")
    return splitter, report


def _made(store: Store, assembly: Assembly, masks: Masks | None) -> dict[str, Any]:
    """Make every deliberation's rows, of the texts that pass the gate; return what the gate and the rules counted."""
    tally = Tally()
    rules: dict[str, Counter[str]] = {}
    known: dict[Any, Sources] = {}
    for material in store.materials():
        if masks is not None:
            material, found = masked(material, masks)
            for kind, number in found.items():
                store.count("masked in texts", kind, material.prompt.origin, number)
        fit = _gated(store, material, assembly, tally, known)
        pairs: list[Pair] = []
        own = {text.text for text in material.texts if text.kind == "steered"}  # also what the gate stops
        for each in pairs_of(fit, seed=assembly.seed, thresholds=assembly.thresholds, own=own):
            counts = rules.setdefault(each.rule, Counter())
            if isinstance(each, Pair):
                counts["made"] += 1
                pairs.append(each)
            else:
                counts[each.why] += 1
                place = f"{material.prompt.id} {each.rule} {each.persona or ''}".rstrip()
                store.count("pairs", f"{each.rule}: {each.why}", place)
        store.stage(list(rows_of(fit, pairs, configs=assembly.configs, conditions=assembly.conditions)))
    return {"gate": tally.report(), "rules": {rule: dict(counts) for rule, counts in rules.items()}}


def _gated(
    store: Store, material: Material, assembly: Assembly, tally: Tally, known: dict[Any, Sources]
) -> Material:
    """Return the material without the texts that have a fault."""
    seated = tuple(voice.sha256 for voice in material.voices)
    if seated not in known:
        known[seated] = Sources(source for voice in material.voices for source in voice.sources)
    scenario = material.prompt.scenario
    options = (part for option in scenario.options for part in (option.text, *option.reasons))
    asked = " ".join((scenario.context or "", scenario.question, *options))
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


def _thinned(store: Store, config: str, folder: Path, assembly: Assembly, embedder: Embedder) -> int:
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
                    store.count("near-duplicate completions", f"{config}: {partition}")
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
    return Item(row.id, None, cells)


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
    gated = report["gate"]
    if gated["judged"]:
        worst = ", ".join(f"{name} {number}" for name, number in list(gated["dropped_for"].items())[:3])
        why = f" (dropped: {worst})" if worst else ""
        parts.append(f"{gated['passed']} of {gated['judged']} texts passed the gate{why}")
    failures = store.failures(1)
    if failures:
        parts.append(f"the first failure was: {failures[0][1]}")
    return "; ".join(parts)
