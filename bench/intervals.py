"""How often intervals of 95 % hold the truth: means of items, the spreads of a panel's stances, corrected entropies.

Means: items drawn from a normal and from an exponential distribution. Panels: stances on three options drawn from
three Dirichlet distributions, from even to torn; the truth is taken from a sample of the distribution that is large
enough not to matter. For the spanning tree the truth is its mean over panels of that size. Corrected entropies: texts
of held-out sentences of the pack's perspectives, drawn from shares that are known. Prints tables, and writes
bench/results/intervals.json.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from multiplex.content.personas import load_pack
from multiplex.deliberation.scores import classifier_for
from multiplex.embedding import SentenceEmbedder
from multiplex.scoring import panel_intervals
from multiplex.scoring.evenness import CORRECTED_DRAWS, corrected_entropy
from multiplex.scoring.intervals import interval_of

HERE = Path(__file__).parent
STANCES = ((0.2, 0.2, 0.2), (0.5, 0.5, 0.5), (3.0, 1.0, 1.0))
PERSONAS = (3, 5, 8, 16)
ITEMS = (3, 5, 10, 30)

Rows = NDArray[np.float64]


def entropy(shares: Rows) -> float:
    """Return the entropy of shares in nats."""
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())


def tree(rows: Rows) -> float:
    """Return the mean edge of the minimum spanning tree over stances, in Euclidean distance over root 2."""
    return float(linkage(pdist(rows) / 2**0.5, "single")[:, 2].mean())


def means(repeats: int) -> dict[str, dict[int, float]]:
    """Return the share of intervals that hold the mean, by distribution and number of items."""
    draw = np.random.default_rng(1)
    kinds = {"normal": (0.0, draw.standard_normal), "exponential": (1.0, draw.standard_exponential)}
    found: dict[str, dict[int, float]] = {}
    for kind, (truth, drawn) in kinds.items():
        found[kind] = {}
        for count in ITEMS:
            held = 0
            for number in range(repeats):
                interval = interval_of(drawn(count).tolist(), over="items", seed=number)
                held += interval.low is not None and interval.low <= truth <= (interval.high or 0.0)
            found[kind][count] = held / repeats
    return found


def panels(repeats: int) -> dict[str, dict[int, list[float]]]:
    """Return for each spread and size of panel the shares of intervals that hold the truth, one a distribution."""
    draw = np.random.default_rng(0)
    found: dict[str, dict[int, list[float]]] = {
        name: {count: [] for count in PERSONAS}
        for name in ("entropy", "euclidean", "disagreement", "spanning_tree")
    }
    for alpha in STANCES:
        many = draw.dirichlet(alpha, 20_000)
        own = float(np.mean([entropy(row) for row in many]))
        whole = entropy(many.mean(axis=0))
        apart = float((pdist(many[:1500]) / 2**0.5).mean())
        for count in PERSONAS:
            truth = {
                "entropy": whole / np.log(3),
                "euclidean": apart,
                "disagreement": (whole - own) / np.log(min(count, 3)),
                "spanning_tree": float(np.mean([tree(draw.dirichlet(alpha, count)) for _ in range(2000)])),
            }
            held = dict.fromkeys(truth, 0)
            for _ in range(repeats):
                rows = np.array(sorted(map(tuple, draw.dirichlet(alpha, count))))
                without = [tree(np.delete(rows, place, 0)) for place in range(count)]
                intervals: dict[str, Any] = {
                    "entropy": panel_intervals.entropy(rows.tolist()),
                    "euclidean": panel_intervals.pairwise(squareform(pdist(rows) / 2**0.5)),
                    "disagreement": panel_intervals.divergence(rows.tolist()),
                    "spanning_tree": panel_intervals.jackknife(tree(rows), without, count),
                }
                for name, interval in intervals.items():
                    held[name] += interval.low <= truth[name] <= interval.high
            for name, number in held.items():
                found[name][count].append(number / repeats)
    return found


def corrected(repeats: int) -> dict[str, dict[int, tuple[float, float]]]:
    """Return for each kind of text the shares of intervals, and of plain percentiles, that hold the true entropy.

    A thousandth is forgiven: a text of one perspective has 0, and a corrected entropy is only as good as 0.
    """
    classifier = classifier_for(load_pack("civilizations"), SentenceEmbedder())
    draw, names = np.random.default_rng(0), classifier.perspectives
    shares = {
        "nearly even": [1 / 8] * 8,
        "two, even": [0.5, 0.5] + [0.0] * 6,
        "one at 90 %": [0.9] + [0.1 / 7] * 7,
        "one": [1.0] + [0.0] * 7,
    }
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for kind, expected in shares.items():
        found[kind] = {}
        for count in (12, 30):
            held = plain = 0
            for number in range(repeats):
                share = draw.permutation(expected)
                share = draw.dirichlet(160 * share) if min(expected) == max(expected) else share
                truth = entropy(share) / np.log(len(names))
                pools = classifier.explained(1, count, draw)
                rows = pools[draw.choice(len(names), count, p=share), np.arange(count)]
                score = corrected_entropy(rows, names, draws=CORRECTED_DRAWS, level=0.95, seed=number)
                interval = score.detail["interval"]
                held += bool(interval.low - 1e-3 <= truth <= interval.high + 1e-3)
                plain += bool(interval.percentile[0] - 1e-3 <= truth <= interval.percentile[1] + 1e-3)
            found[kind][count] = (held / repeats, plain / repeats)
    return found


def _row(cells: Sequence[object]) -> None:
    print("  ".join(f"{cell!s:>14}" for cell in cells))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=300, help="panels of each size and kind")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "intervals.json")
    options = parser.parse_args()
    of_means = means(options.repeats * 5)
    of_panels = panels(options.repeats)
    of_corrected = corrected(options.repeats // 5)
    _row(["items", *ITEMS])
    for kind, shares in of_means.items():
        _row([kind, *(f"{share:.0%}" for share in shares.values())])
    _row(["personas", *PERSONAS])
    for name, by_count in of_panels.items():
        _row([name, *(f"{min(each):.0%} to {max(each):.0%}" for each in by_count.values())])
    _row(["sentences", 12, 30, "plain, 12", "plain, 30"])
    for kind, by_length in of_corrected.items():
        rates = [each[which] for which in (0, 1) for each in by_length.values()]
        _row([kind, *(f"{rate:.0%}" for rate in rates)])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(
        json.dumps(
            {
                "repeats": options.repeats,
                "means": of_means,
                "panels": of_panels,
                "corrected": of_corrected,
            },
            indent=2,
        )
    )
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
