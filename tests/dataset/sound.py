"""A small dataset with every config and two splits that is sound, and what to change to make it unsound."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from multiplex.dataset.card import About, Generator, Seat, write_card
from multiplex.dataset.manifest import Manifest, described, write_manifest
from multiplex.dataset.schemas import CONFIGS
from multiplex.dataset.statistics import statistics
from multiplex.dataset.writing import write_split

__all__ = ["ABOUT", "PERSPECTIVES", "RULES", "SPLITS", "rows", "says", "seal", "sound", "write_rows"]

RULES = {"coverage": "Whatever carries more.", "in_character": "Whoever speaks as itself."}
PERSPECTIVES = ("rural", "coastal", "urban")
SPLITS = {"train": range(5), "test": range(5, 7)}
ABOUT = About(
    title="Streams and sluices",
    multiplex="0.1.0",
    created="2026-11-21",
    license="cc-by-4.0",
    protocol="multiplex",
    stages=("open", "exchange"),
    panel=(Seat(name="miller", label="Miller", perspective="rural", region="The river valley"),),
    generators=(Generator(name="scripted"),),
    rules=RULES,
    report={"skipped": {"empty": 2}},
)

Change = Callable[[str, dict[str, Any]], dict[str, Any]]


def says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def rows(config: str, prompt: int) -> Iterator[dict[str, Any]]:
    """Yield the rows that one prompt gives to a config: for pairs, one of each rule that has a margin there."""
    rules = {"dpo": (*RULES,), "kto": (*RULES,), "reward": ("coverage",)}
    for rule in rules.get(config, (None,)):
        steered = config == "sft" or rule == "in_character"
        persona = "miller" if steered else None
        asked = [says("user", f"Who may close sluice {prompt}?")]
        turns = [says("system", "You speak as the miller."), *asked] if steered else asked
        chosen = [
            says("assistant", f"Whoever owes the stream {prompt}." if steered else f"All, on {prompt}.")
        ]
        rejected = [says("assistant", f"Whoever sails {prompt}." if steered else f"Nobody, on {prompt}.")]
        margin = None if steered else 0.3333  # of 6: the miller's rise by 4, and the nurse's by none
        every: dict[str, dict[str, Any]] = {
            "sft": {
                "messages": [*turns, *chosen],
                "kind": "steered",
                "endorsement": None,
                "coverage": 0.5,
                "perspective_entropy": None,
            },
            "dpo": {
                "prompt": turns,
                "chosen": chosen,
                "rejected": rejected,
                "margin": margin,
                "claims_margin": 0.5,
                "reason": "It carries more.",
                "chosen_kind": "steered" if steered else "overton",
                "rejected_kind": "steered" if steered else "alone",
                "chosen_endorsements": [
                    {"persona": "miller", "endorsement": 6},
                    {"persona": "nurse", "endorsement": 5},
                    {"persona": "sailor", "endorsement": None},
                ],
                "rejected_endorsements": [
                    {"persona": "miller", "endorsement": 2},
                    {"persona": "nurse", "endorsement": 5},
                ],
                "supporters": ["miller"],
                "opponents": [],
                "dissent": [],
            },
            "kto": {
                "prompt": turns,
                "completion": chosen,
                "label": True,
                "kind": "steered" if steered else "overton",
                "reason": "It carries more.",
            },
            "reward": {
                "chosen": [*turns, *chosen],
                "rejected": [*turns, *rejected],
                "margin": margin,
                "reason": "It carries more.",
                "supporters": ["miller"],
                "opponents": [],
            },
            "grpo": {
                "prompt": turns,
                "answers": [{"kind": "overton", "text": "All."}],
                "judgements": [
                    {
                        "answer": 0,
                        "persona": "miller",
                        "perspective": "rural",
                        "endorsement": 6,
                        "objection": None,
                    }
                ],
                "claims": [{"persona": "miller", "perspective": "rural", "text": "Water is owed."}],
            },
            "distribution": {
                "prompt": turns,
                "kind": "stance",
                "options": [{"key": "open", "text": "Open it"}, {"key": "shut", "text": "Shut it"}],
                "shares": [0.25, 0.75],
                "by_persona": [{"persona": "miller", "perspective": "rural", "shares": [0.0, 1.0]}],
                "entropy": 0.5,
            },
            "transcripts": {
                "question": "Who may?",
                "turns": [
                    {"speaker": "miller", "step": "open", "round": 1, "reply": "{}", "failure": None},
                    {"speaker": "sailor", "step": "open", "round": 1, "reply": None, "failure": "timeout"},
                ],
            },
            "moral_graph": {
                "question": "Who may?",
                "values": [
                    {"id": v, "title": v, "description": "", "policies": ["STREAMS"], "schwartz": []}
                    for v in ("a", "b")
                ],
                "edges": [
                    {
                        "source": "a",
                        "wiser": "b",
                        "context": "sluices",
                        "wiser_count": 2,
                        "not_wiser": 0,
                        "unsure": 1,
                        "abstained": 0,
                        "likelihood": 0.75,
                        "kept": True,
                    }
                ],
            },
        }
        yield every[config] | {
            "id": f"{config}-{prompt}-{rule or ''}",
            "prompt_id": f"p{prompt}",
            "group": f"g{prompt}",
            "domain": "work",
            "persona": persona,
            "perspective": "rural" if persona else None,
            "schwartz": ["Helpful"],
            "rule": rule,
            "origin": f"sluices.jsonl:{prompt + 1}",
            "run": f"p{prompt}-7",
            "model": "scripted",
            "seed": 7,
            "protocol": "multiplex",
            "scenario_sha256": "0" * 64,
            "is_simulated": True,
        }


def sound(
    folder: Path,
    *,
    configs: tuple[str, ...] = CONFIGS,
    change: Change = lambda config, row: row,
    rules: dict[str, str] = RULES,
) -> Path:
    """Write a whole dataset, each row as `change` returns it."""
    for config in configs:
        for split, prompts in SPLITS.items():
            made = [change(config, row) for prompt in prompts for row in rows(config, prompt)]
            write_split(folder, config, split, iter(made), len(made), shard_rows=6)
    (folder / "report.json").write_text(json.dumps({"skipped": {"empty": 2}}))
    write_card(folder, ABOUT, statistics(folder, perspectives=PERSPECTIVES))
    seal(folder, rules=rules)
    return folder


def write_rows(folder: Path, change: Change, *configs: str) -> Path:
    """Write a dataset of a few configs with changed rows."""
    return sound(folder, configs=configs, change=change)


def seal(folder: Path, *, rules: dict[str, str] = RULES) -> None:
    """Write the manifest for the files that are there now."""
    files = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "manifest.json":
            place: dict[str, Any] = {}
            if name.startswith(("data/", "jsonl/")):
                lines = folder / "jsonl" / f"{name.partition('/')[2].rpartition('.')[0]}.jsonl"
                split = path.name.partition("-")[0]
                place = {
                    "rows": len(lines.read_bytes().splitlines()),
                    "config": path.parent.name,
                    "split": split,
                }
            files.append(described(folder, name, **place))
    write_manifest(
        folder,
        Manifest(
            multiplex="0.1.0",
            created="2026-11-21T00:00:00Z",
            files=tuple(files),
            rules=rules,
            perspectives=PERSPECTIVES,
        ),
    )
