"""How fast the scores are, and how fast the libraries are that do the same step.

Run `python bench/scoring.py` from the root of a checkout. Prints a table of seconds, the median of five
runs after one that warms up, and writes bench/results/scoring.json. `--only voting` runs the cases whose
name begins so. A library that is not installed is left out of the table; pref_voting is none of the
dependencies, because it asks for an older numpy: install it into an environment of its own.

Where a case has a library beside it, both get the same data in the form that each asks for, and the bench
checks that they find the same. To add a case, write a function that returns a `Case` and put it in CASES.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import krippendorff
import networkx as nx
import numpy as np
from scipy.spatial.distance import jensenshannon, pdist, squareform
from scipy.stats import friedmanchisquare, pmean
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from multiplex.scoring.agreement import kendall_w, krippendorff_alpha
from multiplex.scoring.discretion import cases_from_rankings, discretion
from multiplex.scoring.dynamics import spanning_tree_diversity
from multiplex.scoring.jury import jury_verdict, jury_welfare
from multiplex.scoring.pluralism import distributional_distance
from multiplex.scoring.polis import opinion_groups
from multiplex.voting import borda, copeland, instant_runoff, minimax, schulze, winners_under_every_rule

HERE = Path(__file__).parent
RUNS = 5

Step = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One step at one size: ours, and theirs with the name of the library, where there is one.

    `same` says whether the two results are the same; it sees both.
    """

    name: str
    size: str
    ours: Step
    library: str | None = None
    theirs: Step | None = None
    same: Callable[[Any, Any], bool] = lambda ours, theirs: bool(np.isclose(ours, theirs))


def rankings_of(voters: int, candidates: int, seed: int) -> list[list[int]]:
    """Return strict rankings that lean towards the order of the candidates: position is the candidate."""
    draw = np.random.default_rng(seed)
    heard = np.arange(candidates) + draw.normal(0, candidates, (voters, candidates))
    ranks: list[list[int]] = heard.argsort(axis=1).argsort(axis=1).tolist()
    return ranks


def voting(rule: str, voters: int, candidates: int) -> Callable[[], Case]:
    """Return a case of one rule of choice, beside pref_voting."""

    def case() -> Case:
        rows = rankings_of(voters, candidates, seed=1)
        ours: dict[str, Step] = {
            "schulze": lambda: schulze(rows).winners,
            "borda": lambda: borda(rows).winners,
            "copeland": lambda: copeland(rows).winners,
            "minimax": lambda: minimax(rows).winners,
            "instant run-off": lambda: instant_runoff(rows).winners,
        }
        theirs: Step | None = None
        if find_spec("pref_voting"):
            module, name = {
                "schulze": ("margin_based_methods", "beat_path"),
                "borda": ("scoring_methods", "borda"),
                "copeland": ("c1_methods", "copeland"),
                "minimax": ("margin_based_methods", "minimax"),
                "instant run-off": ("iterative_methods", "instant_runoff"),
            }[rule]
            profile = import_module("pref_voting.profiles").Profile
            method = getattr(import_module(f"pref_voting.{module}"), name)
            orders = np.argsort(rows, axis=1).tolist()

            def theirs() -> Any:
                return tuple(int(x) for x in method(profile(orders)))

        size = f"{voters} x {candidates}"
        return Case(
            f"voting: {rule}", size, ours[rule], "pref_voting", theirs, lambda one, other: one == other
        )

    return case


def every_rule() -> Case:
    """Return the winners under seven rules, which no library gives in one."""
    rows = rankings_of(10_000, 16, seed=1)
    return Case(
        "voting: every rule", "10000 x 16", lambda: winners_under_every_rule(rows, declared="schulze")
    )


def alpha() -> Case:
    """Return Krippendorff's alpha on verdicts: the library is beneath it, what is added is the reading."""
    draw = np.random.default_rng(2)
    values = draw.integers(0, 4, (2_000, 1)) + draw.integers(0, 2, (2_000, 8))
    units = [{f"rater {i}": float(value) for i, value in enumerate(row)} for row in values.tolist()]
    return Case(
        "krippendorff's alpha",
        "2000 units x 8 raters",
        lambda: krippendorff_alpha(units, level="interval").value,
        "krippendorff",
        lambda: krippendorff.alpha(values.T.astype(float), level_of_measurement="interval"),
    )


def divergence() -> Case:
    """Return the mean Jensen-Shannon distance of pairs of distributions, one call a pair on both sides."""
    pairs = np.random.default_rng(3).dirichlet(np.ones(7), (200, 2)).tolist()
    named = [[{f"option {i}": share for i, share in enumerate(row)} for row in pair] for pair in pairs]
    return Case(
        "jensen-shannon distance",
        "200 pairs over 7 options",
        lambda: np.mean([distributional_distance(panel, reference).value for panel, reference in named]),
        "scipy",
        lambda: np.mean([jensenshannon(p, q, base=2) for p, q in pairs]),
    )


def tree() -> Case:
    """Return the mean edge of a minimum spanning tree between stances, beside networkx's Kruskal."""
    points = np.random.default_rng(8).dirichlet(np.ones(5), 200).tolist()

    def theirs() -> float:
        apart = squareform(pdist(points))
        length: float = nx.minimum_spanning_tree(nx.from_numpy_array(apart)).size(weight="weight")
        return length / (len(points) - 1) / 2**0.5

    return Case(
        "spanning-tree diversity",
        "200 stances over 5 options",
        lambda: spanning_tree_diversity(points, widest=2**0.5).value,
        "networkx",
        theirs,
    )


def groups() -> Case:
    """Return the silhouette of opinion groups; the library gets a table without gaps, and the same k."""
    draw = np.random.default_rng(9)
    leaning = draw.uniform(-1, 1, (3, 50))[draw.integers(0, 3, 1_000)]
    table = np.sign(np.round(leaning + draw.normal(0, 0.5, leaning.shape), 0))
    votes = {f"{i:04d}": {f"{j:02d}": v for j, v in enumerate(row)} for i, row in enumerate(table.tolist())}

    def theirs() -> float:
        points = PCA(2).fit_transform(table)
        found = [KMeans(k, n_init=10, random_state=0).fit_predict(points) for k in range(2, 6)]
        return max(float(silhouette_score(points, labels)) for labels in found)

    return Case(
        "opinion groups",
        "1000 participants x 50 statements",
        lambda: opinion_groups(votes, seed=0).silhouette.value,
        "scikit-learn",
        theirs,
        lambda one, other: abs(one - other) < 0.01,  # k-means may start elsewhere
    )


def concordance() -> Case:
    """Return Kendall's W, which is Friedman's chi-squared over m (n - 1), ties corrected in both."""
    rows = rankings_of(1_000, 16, seed=4)
    columns = np.array(rows).T
    return Case(
        "kendall's W",
        "1000 rankings of 16",
        lambda: kendall_w(rows).value,
        "scipy",
        lambda: float(friedmanchisquare(*columns).statistic) / (1_000 * 15),
    )


def welfare() -> Case:
    """Return the geometric mean of a jury."""
    supports: dict[str, float | None] = {
        f"juror {i}": float(x) for i, x in enumerate(np.random.default_rng(5).uniform(0.1, 1, 1_000))
    }
    values = list(supports.values())
    return Case(
        "jury welfare, p = 0",
        "1000 jurors",
        lambda: jury_welfare(supports, p=0).value,
        "scipy",
        lambda: float(pmean(values, 0)),
    )


def verdict() -> Case:
    """Return the verdict of many juries."""
    draw = np.random.default_rng(6)
    groups = {
        f"group {g}": {f"{g}/{i}": float(x) for i, x in enumerate(draw.uniform(0, 1, 100))} for g in range(8)
    }
    seats = dict.fromkeys(groups, 1.5)
    return Case(
        "jury verdict",
        "1000 juries of 12 from 8 x 100",
        lambda: jury_verdict(groups, seats, juries=1_000, seed=0),
    )


def audit() -> Case:
    """Return an audit of a moderator from the panel's rankings of its drafts."""
    rows = {f"persona {i}": row for i, row in enumerate(rankings_of(1_000, 16, seed=7))}
    return Case("discretion", "1000 personas x 16 drafts", lambda: discretion(cases_from_rankings(rows, 0)))


CASES: list[Callable[[], Case | None]] = [
    *(voting(rule, 10_000, 16) for rule in ("schulze", "borda", "copeland", "minimax", "instant run-off")),
    every_rule,
    alpha,
    divergence,
    tree,
    groups,
    concordance,
    welfare,
    verdict,
    audit,
]


def main() -> None:
    """Run the cases, print a table, write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="run the cases whose name begins so")
    options = parser.parse_args()
    rows = [measured(case) for make in CASES if (case := make()) and case.name.startswith(options.only)]
    print(f"{'step':28s} {'size':32s} {'ours, s':>10s} {'theirs, s':>10s}  library")
    for row in rows:
        theirs = "" if row["theirs"] is None else f"{row['theirs']:.5f}"
        print(
            f"{row['name']:28s} {row['size']:32s} {row['ours']:>10.5f} {theirs:>10s}  {row['library'] or ''}"
        )
    if not options.only:
        out = HERE / "results" / "scoring.json"
        out.parent.mkdir(exist_ok=True)
        out.write_text(
            json.dumps({"runs": RUNS, "python": sys.version.split()[0], "cases": rows}, indent=2) + "\n"
        )
        print(f"\nwritten: {out}")


def measured(case: Case) -> dict[str, Any]:
    """Return the seconds of both sides, and stop where they find different things."""
    theirs = None
    ours, found = seconds(case.ours)
    if case.theirs:
        theirs, also = seconds(case.theirs)
        if not case.same(found, also):
            raise SystemExit(f"{case.name}: we find {found!r}, {case.library} finds {also!r}")
    library = case.library if case.theirs else None
    return {"name": case.name, "size": case.size, "ours": ours, "theirs": theirs, "library": library}


def seconds(step: Step) -> tuple[float, Any]:
    """Return the median of the runs after one that warms up, and what the step returns."""
    found, took = step(), []
    for _ in range(RUNS):
        start = time.perf_counter()
        step()
        took.append(time.perf_counter() - start)
    return statistics.median(took), found


if __name__ == "__main__":
    main()
