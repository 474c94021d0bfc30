"""How well the default perspective classifier does on held-out sentences, and the entropy's controls.

Run `python bench/perspectives.py` from the root of a checkout. Prints tables and writes
bench/results/perspectives.json.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from multiplex.content.passages import neutral_sentences, passages
from multiplex.content.personas import load_pack
from multiplex.embedding import SentenceEmbedder
from multiplex.scoring.perspectives import (
    NONE,
    PerspectiveClassifier,
    SentenceLabel,
    perspective_entropy,
)
from multiplex.scoring.score import plain

HERE = Path(__file__).parent
MIXTURES = (1, 2, 4, 8)
TEXTS = 60

Item = dict[str, Any]


def main() -> None:
    """Train, score the sentences, compose texts of 1, 2, 4 and 8 perspectives, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=["dev", "test", "both"], default="both")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    splits = ["dev", "test"] if options.split == "both" else [options.split]

    pack, embed = load_pack("civilizations"), SentenceEmbedder().embed
    said = [passage for persona in pack.personas for passage in passages(persona)]

    def train() -> PerspectiveClassifier:
        return PerspectiveClassifier.train(said, pack.perspectives, pack.lexicon, neutral_sentences(), embed)

    train()  # fills the cache of embeddings
    start = time.perf_counter()
    classifier = train()
    report: dict[str, Any] = {
        "training_seconds": round(time.perf_counter() - start, 2),
        "cross_validation": plain(classifier.control()),
        "trust_in_names": classifier.trust,
        "noise_floor": {n: plain(classifier.noise_floor(n)) for n in (8, 16, 24)},
    }
    control = classifier.control()
    print(f"training and cross-validation: {report['training_seconds']} s (embeddings cached)")
    print(
        f"cross-validated on the pack: explicit {shown(control.accuracy_explicit)}, implicit "
        f"{shown(control.accuracy_implicit)}, none {shown(control.accuracy_none)} ({control.sentences} sentences)"
    )
    items = yaml.safe_load((HERE / "sentences.yaml").read_text(encoding="utf-8"))["sentences"]
    for split in splits:
        chosen = [item for item in items if item["split"] == split]
        report[split] = measure(classifier, chosen, options.seed, title=split)
    (HERE / "results").mkdir(exist_ok=True)
    out = HERE / "results" / "perspectives.json"
    out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten: {out}")


def measure(
    classifier: PerspectiveClassifier, items: Sequence[Item], seed: int, *, title: str
) -> dict[str, Any]:
    """Return accuracy, confusion and the control table of one split."""
    labels = classifier.label([item["text"] for item in items])
    groups = {
        "explicit": [i for i, item in enumerate(items) if item["explicit"]],
        "implicit": [
            i for i, item in enumerate(items) if not item["explicit"] and item["perspective"] != NONE
        ],
        "neutral": [i for i, item in enumerate(items) if item["perspective"] == NONE],
    }
    accuracy = {name: share_right(items, labels, rows) for name, rows in groups.items()}
    confusion = {true: dict.fromkeys(classifier.labels, 0) for true in classifier.labels}
    for item, label in zip(items, labels, strict=True):
        confusion[item["perspective"]][label.label] += 1

    figures = [f"{name} {shown(value)} (n={len(groups[name])})" for name, value in accuracy.items()]
    print(f"\n{title}: {', '.join(figures)}")
    print(f"  {'true, then labelled':18s}" + "".join(f"{name[:6]:>8s}" for name in classifier.labels))
    for true, row in confusion.items():
        print(f"  {true:18s}" + "".join(f"{count or '.':>8}" for count in row.values()))

    table = []
    print(f"  composed texts, {TEXTS} of each: mean (sd)")
    print(f"  {'perspectives':>12s}{'true':>14s}{'raw':>14s}{'corrected':>14s}")
    for many in MIXTURES:
        rows = compose(classifier, items, many, np.random.default_rng([seed, many]))
        spread = {key: summary([row[key] for row in rows]) for key in ("true", "raw", "corrected")}
        table.append({"perspectives": many, **spread})
        cells = "".join(f"{each['mean']:>8.2f} ({each['sd']:.2f})" for each in spread.values())
        print(f"  {many:>12d}{cells}")
    return {"accuracy": accuracy, "confusion": confusion, "composed": table}


def compose(
    classifier: PerspectiveClassifier, items: Sequence[Item], many: int, draw: np.random.Generator
) -> list[dict[str, float]]:
    """Score texts of 16 to 24 sentences of `many` perspectives in equal parts, and up to 6 neutral ones.

    No sentence stands twice in a text, so that texts of one perspective have at most its 20 sentences.
    """
    rows = []
    for _ in range(TEXTS):
        length, counts, parts = int(draw.integers(16, 25)), dict[str, int](), list[str]()
        names = draw.choice(list(classifier.perspectives), many, replace=False).tolist()
        for place, name in enumerate([*names, NONE]):
            pool = [item["text"] for item in items if item["perspective"] == name]
            count = int(draw.integers(0, 7)) if name == NONE else length // many + (place < length % many)
            drawn = draw.choice(len(pool), min(count, len(pool)), replace=False)
            parts += [pool[i] for i in drawn]
            counts[name] = len(drawn)
        shares = np.array([n for name, n in counts.items() if name != NONE]) / sum(counts[n] for n in names)
        true = abs(float(-(shares * np.log(shares)).sum())) / float(np.log(len(classifier.perspectives)))
        score = perspective_entropy("\n".join(draw.permutation(parts).tolist()), classifier)
        corrected = score.detail["corrected"].value
        if score.value is not None and corrected is not None:
            rows.append({"true": true, "raw": score.value, "corrected": corrected})
    return rows


def share_right(items: Sequence[Item], labels: Sequence[SentenceLabel], rows: Sequence[int]) -> float | None:
    """Return the share of items whose label is theirs."""
    return float(np.mean([labels[i].label == items[i]["perspective"] for i in rows])) if rows else None


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return mean and standard deviation."""
    return {"mean": float(np.mean(values)), "sd": float(np.std(values))}


def shown(value: float | None) -> str:
    """Return a share for print."""
    return "undefined" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
