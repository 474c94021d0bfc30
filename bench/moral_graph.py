"""The moral graph at size: aggregation, winning values, merging, and corrupted judgements.

    python bench/moral_graph.py                      everything
    python bench/moral_graph.py --only robustness    one part: aggregation, winners, robustness or merging

Aggregation: 100,000 judgements over 10,000 cards in eight contexts, both profiles, the median of five,
against a Counter that does the counting and nothing else. Judgements follow planted scores of the cards; a
fifth of the cards gets most of them. Memory is what the peak of traced allocations adds, from a run of
its own, because tracing slows.

Winners: the four rankings of the graph that this gave, each by itself, and PageRank against
networkx.pagerank on the same networkx graph.

Robustness: the plain Bradley-Terry fit and the fit with bounded influence on planted scores, with shares
of the pairs reversed by chance, reversed where the gap is widest, or given to a faction of values;
Kendall's tau between fitted and planted scores, the mean over seeds. Of the outliers at penalty 0.5: the share
of corrupted pairs that is found, and the share of what is found that is corrupted.

Merging: 10,000 cards embedded and grouped, as `graph merge` and a run with that many would: policies drawn from
those of the shipped personas, as many a card as these have, a third of the cards another one with one policy
exchanged. Embedded by the default model with nothing on disk, the model loaded before. Memory
is the peak of the process. Then clusters of 10,000 random vectors of 384 dimensions with planted duplicates,
against sklearn.cluster.DBSCAN alone.

Prints tables, and writes bench/results/moral_graph.json.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import expit
from scipy.stats import kendalltau
from sklearn.cluster import DBSCAN

from multiplex.content.panels import pack_names
from multiplex.content.personas import load_pack
from multiplex.embedding import SentenceEmbedder
from multiplex.moral_graph.bradley_terry import BradleyTerry, bradley_terry
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import PROFILES
from multiplex.moral_graph.graph import MoralGraph, aggregate, to_networkx
from multiplex.moral_graph.judgements import Judgement, Opinion
from multiplex.moral_graph.merging import clusters
from multiplex.moral_graph.ranking import comparisons, winning_values

HERE = Path(__file__).parent
PARTS = ("aggregation", "winners", "robustness", "merging")
CONTEXTS = ("care", "conflict", "distress", "faith", "learning", "news", "parenting", "work")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
ATTACKS = ("chance", "widest", "faction")
DESIGNS = ((20, 1.0), (5, 0.3), (1, 0.5))
"""Judgements a pair, and the share of all pairs that is judged."""
PENALTIES = (None, 0.25, 0.5, 1.0, 2.0)
PENALTY = 0.5
"""What `winning_values` takes."""
AGGREGATION_S, MERGING_S = 10.0, 60.0

Row = dict[str, Any]
Scores = NDArray[np.float64]
Comparisons = dict[tuple[str, str], float]
Data = tuple[list[ValuesCard], list[Judgement]]


def made(cards: int, judgements: int, seed: int) -> Data:
    """Return cards, and judgements that follow planted scores of them."""
    rng = np.random.default_rng(seed)
    nodes = [
        ValuesCard(
            id=f"card-{n:05}",
            title=f"Value {n}",
            description="",
            policies=("MOMENTS of it", "SIGNS of it", "WAYS of it"),
            context=CONTEXTS[n % len(CONTEXTS)],
        )
        for n in range(cards)
    ]
    scores = rng.normal(0, 1.5, cards)
    # Three judgements a case on average; cases meet popular cards more often.
    cases = judgements // 3
    popularity = np.where(np.arange(cards) < cards // 5, 4.0, 1.0)
    ends = rng.choice(cards, (cases, 2), p=popularity / popularity.sum())
    ends[:, 1] = np.where(ends[:, 0] == ends[:, 1], (ends[:, 1] + 1) % cards, ends[:, 1])
    which = rng.integers(cases, size=judgements)
    odds = scores[ends[which, 1]] - scores[ends[which, 0]]
    draw, aside = rng.random(judgements), rng.random(judgements)
    found = []
    for n, case in enumerate(which.tolist()):
        verdict: Opinion = "wiser" if draw[n] < expit(odds[n]) else "not_wiser"
        verdict = "unsure" if aside[n] < 0.08 else "abstained" if aside[n] < 0.1 else verdict
        found.append(
            Judgement(
                source=nodes[ends[case, 0]].id,
                wiser=nodes[ends[case, 1]].id,
                context=CONTEXTS[case % len(CONTEXTS)],
                judge=f"judge-{n % 500}",
                verdict=verdict,
                transition=f"case-{case}",
            )
        )
    return nodes, found


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the median of so many runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def traced_mb(work: Callable[[], object]) -> float:
    """Return how much the peak of traced allocations adds, in MB."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return (peak - before) / 1e6


def counted(judgements: list[Judgement]) -> Counter[tuple[str, str, str, str]]:
    """Count what aggregation has to count, and nothing else: the floor."""
    return Counter((each.source, each.wiser, each.context, each.verdict) for each in judgements)


def aggregation(data: Data, options: argparse.Namespace) -> Row:
    """Time both profiles and the floor."""
    cards, judgements = data
    row: Row = {"cards": len(cards), "judgements": len(judgements), "contexts": len(CONTEXTS)}
    row["floor_s"] = seconds(lambda: counted(judgements), options.times)
    for profile in PROFILES:

        def work() -> MoralGraph:
            return aggregate(cards, judgements, profile=profile)  # noqa: B023 - called before the next

        graph = work()
        row[profile] = {
            "seconds": seconds(work, options.times),
            "peak_mb": traced_mb(work),
            "edges": len(graph.edges),
            "kept": sum(edge.kept for edge in graph.edges),
        }
    return row


def winners(data: Data, options: argparse.Namespace) -> Row:
    """Time the four rankings of one graph, together and each by itself."""
    graph = aggregate(*data, min_wiser=1)  # so that the graph to rank is a large one
    digraph = to_networkx(graph)
    compared = comparisons(graph)

    def networkx_pagerank() -> object:
        return nx.pagerank(digraph, weight="weight", tol=1e-12, max_iter=1000)

    ranked = winning_values(graph)
    return {
        "nodes": len(digraph),
        "edges": digraph.number_of_edges(),
        "pairs": len(compared) // 2,
        "components": max((value.component or 0) for value in ranked.values),
        "outliers": len(ranked.outliers),
        "winning_values_s": seconds(lambda: winning_values(graph), options.times),
        "to_networkx_s": seconds(lambda: to_networkx(graph), options.times),
        "networkx_pagerank_s": seconds(networkx_pagerank, options.times),
        "likelihood_sum_s": seconds(lambda: dict(digraph.in_degree(weight="weight")), options.times),
        "comparisons_s": seconds(lambda: comparisons(graph), options.times),
        "bradley_terry_s": seconds(lambda: bradley_terry(compared), options.times),
        "bradley_terry_bounded_s": seconds(
            lambda: bradley_terry(compared, outlier_penalty=PENALTY), options.times
        ),
        "warning": ranked.warning,
    }


def corrupted(
    seed: int, *, items: int, density: float, judged: int, share: float, attack: str
) -> tuple[Scores, Comparisons, set[frozenset[str]]]:
    """Return planted scores, comparisons that follow them but for a share of the pairs, and these pairs.

    `chance`: pairs drawn at random are reversed. `widest`: those with the widest gap in scores are. `faction`:
    the pairs of three items in ten with the rest, drawn at random, are all won by the three in ten.
    """
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1.5, items)
    every = np.stack(np.triu_indices(items, 1), axis=1)
    pairs = every[rng.random(len(every)) < density]
    gap = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    wins = rng.binomial(judged, expit(gap))
    size = round(share * len(pairs))
    if attack == "faction":
        favoured = np.zeros(items, dtype=bool)
        favoured[rng.choice(items, round(0.3 * items), replace=False)] = True
        between = np.flatnonzero(favoured[pairs[:, 0]] != favoured[pairs[:, 1]])
        chosen = rng.permutation(between)[:size]
        chosen = chosen[wins[chosen] != np.where(favoured[pairs[chosen, 0]], judged, 0)]  # else no corruption
        wins[chosen] = np.where(favoured[pairs[chosen, 0]], judged, 0)
    else:
        chosen = rng.permutation(len(pairs)) if attack == "chance" else np.argsort(-np.abs(gap))
        chosen = chosen[:size]
        wins[chosen] = judged - wins[chosen]
    found: Comparisons = {}
    for (i, j), won in zip(pairs.tolist(), wins.tolist(), strict=True):
        found |= {(f"{i:03}", f"{j:03}"): won, (f"{j:03}", f"{i:03}"): judged - won}
    return scores, found, {frozenset((f"{i:03}", f"{j:03}")) for i, j in pairs[chosen].tolist()}


def tau(truth: Scores, fit: BradleyTerry) -> float:
    """Return Kendall's tau-b between planted and fitted scores."""
    names = sorted(fit.scores)
    fitted = [fit.scores[name].value or 0.0 for name in names]
    return float(kendalltau(truth[[int(name) for name in names]], fitted).statistic)


def robustness(options: argparse.Namespace) -> Row:
    """Return the mean tau of every penalty, for each design, attack and share."""
    rows = []
    for judged, density in DESIGNS:
        for attack in ATTACKS:
            for share in SHARES:
                found: dict[str, list[float]] = {str(penalty): [] for penalty in PENALTIES}
                hits = called = wrong = 0
                for seed in range(options.seeds):
                    design: Row = {"items": options.items, "density": density, "judged": judged}
                    truth, data, bad = corrupted(seed, **design, share=share, attack=attack)
                    for penalty in PENALTIES:
                        fit = bradley_terry(data, outlier_penalty=penalty)
                        found[str(penalty)].append(tau(truth, fit))
                        if penalty == PENALTY:
                            hits += sum({each.winner, each.loser} in bad for each in fit.outliers)
                            called += len(fit.outliers)
                            wrong += len(bad)
                rows.append(
                    {
                        "judged": judged,
                        "density": density,
                        "attack": attack,
                        "share": share,
                        "tau": {name: statistics.mean(values) for name, values in found.items()},
                        "corrupted_found": hits / wrong if wrong else None,
                        "found_corrupted": hits / called if called else None,
                    }
                )
    return {"items": options.items, "seeds": options.seeds, "rows": rows}


def planted(cards: int, seed: int) -> NDArray[np.float32]:
    """Return unit vectors: a third of the cards repeats another, with noise a few hundredths wide."""
    rng = np.random.default_rng(seed)
    originals = rng.normal(size=(cards - cards // 3, 384))
    copies = originals[rng.integers(len(originals), size=cards // 3)]
    vectors = np.vstack([originals, copies + rng.normal(0, 0.3, copies.shape)])
    vectors = vectors[rng.permutation(len(vectors))]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def lists_of_policies(cards: int, seed: int) -> list[str]:
    """Return what is embedded of so many cards: a third are another card with one policy exchanged."""
    rng = np.random.default_rng(seed)
    held = [
        each.attends_to for name in pack_names() for p in load_pack(name).personas for each in p.commitments
    ]
    policies = sorted({policy for each in held for policy in each})
    found: list[list[str]] = []
    for number in range(cards):
        if number % 3 == 2:
            drawn = list(found[int(rng.integers(number))])
            drawn[int(rng.integers(len(drawn)))] = policies[int(rng.integers(len(policies)))]
        else:
            size = len(held[int(rng.integers(len(held)))])
            drawn = [policies[row] for row in rng.choice(len(policies), size, replace=False)]
        found.append(drawn)
    return ["\n".join(each) for each in found]


def whole_merging(options: argparse.Namespace) -> Row:
    """Time embedding and grouping of cards in words; first of all, because peaks of memory only grow."""
    texts = lists_of_policies(options.cards, options.seed)
    SentenceEmbedder().load()
    row: Row = {
        "cards": len(texts),
        "different": len(set(texts)),
        "words_a_card": statistics.mean(len(text.split()) for text in texts),
        "peak_mb_with_the_model": peak_mb(),
    }
    taken: dict[str, list[float]] = {"embed_s": [], "cluster_s": [], "both_s": [], "embed_cpu_s": []}
    for _ in range(options.merges):
        with tempfile.TemporaryDirectory() as folder:
            embedder = SentenceEmbedder(cache=Path(folder))
            embedder.load()
            start, cpu = time.perf_counter(), time.process_time()
            vectors = embedder.embed(texts)
            taken["embed_cpu_s"].append(time.process_time() - cpu)
            taken["embed_s"].append(time.perf_counter() - start)
        row.setdefault("peak_mb_embedding", peak_mb())
        start = time.perf_counter()
        groups = clusters(vectors, distance=0.15)
        taken["cluster_s"].append(time.perf_counter() - start)
        taken["both_s"].append(taken["embed_s"][-1] + taken["cluster_s"][-1])
        row.setdefault("peak_mb_grouping", peak_mb())
        row["groups"], row["grouped"] = len(groups), sum(map(len, groups))
    return row | {name: statistics.median(each) for name, each in taken.items()} | {"all": taken}


def peak_mb() -> float:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def merging(options: argparse.Namespace) -> Row:
    """Time embedding and clusters, and scikit-learn's alone; peaks of memory only grow, so the order matters."""
    vectors = planted(options.cards, options.seed)

    def alone() -> NDArray[np.int64]:
        labels = DBSCAN(eps=0.3, min_samples=2, metric="cosine").fit_predict(vectors)
        return np.asarray(labels, dtype=np.int64)

    groups = clusters(vectors, distance=0.3, min_cards=2)
    row: Row = {"cards": len(vectors), "clusters": len(groups), "clustered": sum(map(len, groups))}
    row["seconds"] = seconds(lambda: clusters(vectors, distance=0.3, min_cards=2), options.merges)
    row["process_peak_mb"] = peak_mb()
    labels = alone()
    row["dbscan_s"] = seconds(alone, options.merges)
    row["process_peak_with_dbscan_mb"] = peak_mb()
    theirs = {frozenset(np.flatnonzero(labels == label).tolist()) for label in range(labels.max() + 1)}
    row["same_as_dbscan"] = {frozenset(group) for group in groups} == theirs
    return row


def show(report: Row, console: Console) -> None:
    """Print what was measured."""
    if row := report.get("aggregation"):
        table = Table(title=f"{row['judgements']} judgements, {row['cards']} cards", title_justify="left")
        for heading in ("", "seconds", "MB at the peak", "edges", "kept"):
            table.add_column(heading, justify="right" if heading else "left")
        for profile in PROFILES:
            part = row[profile]
            cells = (
                f"{part['seconds']:.2f}",
                f"{part['peak_mb']:.0f}",
                str(part["edges"]),
                str(part["kept"]),
            )
            table.add_row(profile, *cells)
        table.add_row("Counter alone", f"{row['floor_s']:.2f}", "", "", "")
        console.print(table)
    if row := report.get("winners"):
        table = Table(
            title=f"{row['nodes']} values, {row['edges']} edges, {row['pairs']} pairs", title_justify="left"
        )
        table.add_column("")
        table.add_column("seconds", justify="right")
        for name, value in row.items():
            if name.endswith("_s"):
                table.add_row(name.removesuffix("_s"), f"{value:.3f}")
        console.print(table)
    if row := report.get("robustness"):
        title = f"Kendall's tau to the planted order, {row['items']} values, mean of {row['seeds']} seeds"
        table = Table(title=title, title_justify="left")
        for heading in (
            "judgements a pair",
            "corrupted",
            "share",
            "plain",
            *map(str, PENALTIES[1:]),
            "found",
            "rightly",
        ):
            table.add_column(heading, justify="left" if heading == "corrupted" else "right")
        for each in row["rows"]:
            taus = [f"{value:.3f}" for value in each["tau"].values()]
            shares = (each["corrupted_found"], each["found_corrupted"])
            called = ("-" if value is None else f"{value:.2f}" for value in shares)
            table.add_row(str(each["judged"]), each["attack"], f"{each['share']:.1f}", *taus, *called)
        console.print(table)
    if row := report.get("whole_merging"):
        said = (f"{name} {value:.1f}" for name, value in row.items() if isinstance(value, int | float))
        console.print(f"merging: {', '.join(said)}")
    if row := report.get("merging"):
        console.print("grouping alone: " + ", ".join(f"{name} {value}" for name, value in row.items()))
    for target in report["targets"]:
        verdict = "pass" if target["passed"] else "FAIL"
        console.print(
            f"{verdict}  {target['what']}: {target['value']:.2f} s (at most {target['target']:.0f})"
        )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--judgements", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=5, help="runs that a median is taken of")
    parser.add_argument("--merges", type=int, default=3, help="the same for merging")
    parser.add_argument("--items", type=int, default=40, help="values in the table of robustness")
    parser.add_argument("--seeds", type=int, default=10, help="simulations a cell of that table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "moral_graph.json")
    options = parser.parse_args()
    parts = options.only or PARTS
    console = Console(width=None if sys.stdout.isatty() else 140)

    # Merging is first: the peak of the process's memory is its own then.
    report: Row = {"targets": []}
    if "merging" in parts:
        report["whole_merging"] = whole_merging(options)
        report["targets"].append(
            _target("merging, embedding included", report["whole_merging"]["both_s"], MERGING_S)
        )
        report["merging"] = merging(options)
        report["targets"].append(_target("grouping", report["merging"]["seconds"], MERGING_S))
    if "aggregation" in parts or "winners" in parts:
        data = made(options.cards, options.judgements, options.seed)
        if "aggregation" in parts:
            report["aggregation"] = aggregation(data, options)
            report["targets"] += [
                _target(f"aggregation, {profile}", report["aggregation"][profile]["seconds"], AGGREGATION_S)
                for profile in PROFILES
            ]
        if "winners" in parts:
            report["winners"] = winners(data, options)
    if "robustness" in parts:
        report["robustness"] = robustness(options)
    show(report, console)
    report["load"] = os.getloadavg()
    report["machine"] = {"cpus": os.cpu_count(), "system": platform.platform()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    console.print(f"written: {options.out}")


def _target(what: str, value: float, target: float) -> Row:
    return {"what": what, "value": value, "target": target, "passed": value <= target}


if __name__ == "__main__":
    main()
