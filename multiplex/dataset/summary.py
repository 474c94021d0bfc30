"""What a build left out and what its prompts cover, in the few lines that a card and a console tell."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from multiplex.content.topics import TOPICS
from multiplex.dataset.assembling import PAIRED
from multiplex.dataset.card import kept_cards
from multiplex.dataset.prospects import needed
from multiplex.dataset.quality import dropped
from multiplex.dataset.schemas import CONFIGS

__all__ = ["covered", "empty", "left_out", "personal", "told", "untrained"]

_AXES = {"perspective": "perspectives", "topics": "topics", "schwartz": "Schwartz values"}
_NO_ROWS = {
    "not_generated": "requests for questions that brought none",
    "passed_over": "files and folders that are not read",
}
"""What kinds are called that count something else than rows."""

_UNTRAINED = "none of its rows is in train: they are of groups that were written to other splits before"

_MOST = 6
"""How many topics and choice contexts are named."""


def told(folder: Path) -> list[str]:
    """Return what is to be said at the end of a build: what was left out, what is empty, what is covered, which card
    was kept.

    Nothing where there is no report, or one that this version cannot read.
    """
    lines: list[str] = []
    report: Any = None
    with suppress(OSError, ValueError):
        report = json.loads((folder / "report.json").read_bytes())
    if isinstance(report, dict) and "made" in report:
        lines += [f"{what}: {said} (see report.json)" for what, said in _before(report).items()]
        lost = [line for unit in report["made"] if (line := _lost(report, unit))]
        if any(report["curation"][unit]["over"] for unit in report["made"]):
            lost.append(
                "balance: --balance none keeps all of them, and --balance schwartz=9, say, loosens one axis"
            )
        lines += [f"empty: {config}: {why}" for config, why in report.get("empty", {}).items()]
        lines += [f"{config}: {why}" for config, why in untrained(report).items()]
        lines += [*lost, f"coverage: {covered(report)}"]
        lines += [f"personal data: {said}"] if (said := personal(report)) else []
    return lines + [
        f"{path.name}: the card that was there, with what had been written into it; carry it over into README.md"
        for path in kept_cards(folder)
    ]


def left_out(report: Mapping[str, Any]) -> dict[str, str]:
    """Return a sentence for each config: of how many rows or pairs how many are in it, and why others are not.

    Before them stands what no row could be made of: `prompts` and `texts`, and `rows` that no trainer takes.
    `report` is that of a build, with `left_out`, `gate`, `made`, `near_duplicates`, `curation`, `halves` and `splits`.
    """
    rows = {config: sum(of.values()) for config, of in report["splits"]["rows"].items()}
    lines = _before(report)
    for unit, made in report["made"].items():
        lost = f"; {said}" if (said := _lost(report, unit, whole=False)) else ""
        kept = report["curation"][unit]["kept"]
        for config in PAIRED if unit == "pairs" else (unit,):
            if config not in _asked(report):
                continue
            here = rows.get(config, 0)
            if not made:
                lines[config] = _none(report, config)
            elif config == "kto":
                lines[config] = f"{here:,} answers of {kept:,} pairs{_halves(report['halves'])}{lost}"
            elif config == "reward":
                why = (
                    ""
                    if here == kept
                    else "; a pair that nobody endorsed both sides of has no margin, and is not here"
                )
                lines[config] = f"{here:,} of {kept:,} pairs{why}{lost}"
            else:
                lines[config] = f"{here:,} of {made:,} {'pairs' if unit == 'pairs' else 'rows'}{lost}"
    return lines | {config: f"{lines[config]}; {why}" for config, why in untrained(report).items()}


def empty(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the configs that were asked for and have no row, each with why, as `left_out` says it."""
    rows, said = report["splits"]["rows"], left_out(report)
    return {config: said[config] for config in _asked(report) if not sum(rows.get(config, {}).values())}


def untrained(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the configs that have rows and none to train on, each with why."""
    rows = report["splits"]["rows"]
    return {config: _UNTRAINED for config, of in rows.items() if sum(of.values()) and not of.get("train")}


def covered(report: Mapping[str, Any]) -> str:
    """Return what the prompts of a build cover, in a sentence: topics, choice contexts and clusters."""
    found = report["coverage"]
    topics = {name: n for name, n in found["topics"].items() if n and name != "none"}
    ours = sum(name in TOPICS for name in topics)
    own = found["different"]["own topics"]
    parts = [
        f"{found['prompts']:,} on {ours} of {len(TOPICS)} topics{f' and {own:,} of their own' if own else ''}"
        f"{_named(topics)}"
    ]
    if unlabelled := found["topics"]["none"]:
        parts.append(f"{unlabelled:,} without a topic, over which they are not balanced")
    if contexts := found["different"]["choice contexts"]:
        parts.append(f"{contexts:,} choice context{'' if contexts == 1 else 's'}")
    if len(sizes := [each["prompts"] for each in found["clusters"]]) > 1:
        of = "" if found["clustered"] == found["prompts"] else f" of a sample of {found['clustered']:,}"
        parts.append(f"{len(sizes)} clusters{of}, of {min(sizes):,} to {max(sizes):,} prompts")
    return "; ".join(parts)


def personal(report: Mapping[str, Any]) -> str | None:
    """Return which names of groups stand although they tell of somebody, in a sentence; None where none does."""
    if not (groups := report.get("personal_groups")):
        return None
    return (
        f"{len(groups):,} group names in which personal data was found only when prompts were added stand as they were "
        f"published, for their rows would else move to other splits (first prompts: {', '.join(groups[:_MOST])}); "
        "build all prompts at once into another folder to be rid of them"
    )


def _before(report: Mapping[str, Any]) -> dict[str, str]:
    """Return what no row could be made of, by the stage that left it out; nothing where nothing was."""
    numbers = {
        stage: {kind: each["number"] for kind, each in kinds.items()}
        for stage, kinds in report["left_out"].items()
    }
    found = {"prompts": _kinds(numbers.get("prompts", {})), "texts": dropped(report["gate"])}
    found["rows"] = _kinds(numbers.get("rows", {}))
    return {stage: said for stage, said in found.items() if said}


def _asked(report: Mapping[str, Any]) -> list[str]:
    """Return the configs that were asked for: those that there are, and those that came out empty."""
    return [config for config in CONFIGS if config in report["configs"] or config in report.get("empty", {})]


def _none(report: Mapping[str, Any], config: str) -> str:
    """Return why nothing was made that a config could hold."""
    if config not in PAIRED:
        return f"0 rows; no deliberation came to one, which takes {needed(config) or 'any stage'}"
    why = [
        f"{rule} ({', '.join(f'{kind} {number:,}' for kind, number in counts.items())})"
        for rule, counts in report["rules"].items()
    ]
    return f"0 of 0 pairs; no rule made one: {', '.join(why) or f'it takes {needed(config)}'}"


def _kinds(numbers: Mapping[str, int]) -> str | None:
    said = [
        f"{number:,} {_NO_ROWS.get(kind, kind.replace('_', ' '))}"
        for kind, number in numbers.items()
        if kind != "exhausted"  # it says why there are no more, and is none itself
    ]
    return f"left out {', '.join(said)}" if said else None


def _lost(report: Mapping[str, Any], unit: str, *, whole: bool = True) -> str | None:
    """Return how many of a unit were left out and why, None where none was; `whole` says of what too."""
    near, over = report["near_duplicates"][unit], report["curation"][unit]["over"]
    if not near and not over:
        return None
    parts = [f"{near:,} near-duplicates"] if near else []
    if over:
        by = [
            f"{_AXES.get(axis, axis)} {n:,}" for axis, n in report["curation"][unit]["over_by"].items() if n
        ]
        parts.append(f"{over:,} for balance ({', '.join(by)})")
    said = f"left out: {' and '.join(parts)}"
    *others, last = [config for config in PAIRED if config in _asked(report)] if unit == "pairs" else [unit]
    name = f"{', '.join(others)} and {last}" if others else last
    return (
        f"{name}: of {report['made'][unit]:,} {'pairs' if unit == 'pairs' else 'rows'} {said}"
        if whole
        else said
    )


def _halves(halves: Mapping[str, int]) -> str:
    parts = []
    if halves["shared"]:
        parts.append(f"{halves['shared']:,} stand once for two pairs")
    if halves["torn"]:
        parts.append(f"{halves['torn']:,} that one pair wants and another does not are not here")
    return f" ({', '.join(parts)})" if parts else ""


def _named(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown: Iterator[str] = (f"{name.replace('_', ' ')} {n:,}" for name, n in most[:_MOST])
    more = f" and {len(most) - _MOST} more" if len(most) > _MOST else ""
    return f" ({', '.join(shown)}{more})" if counts else ""
