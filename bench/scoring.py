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
from scipy.optimize import minimize
from scipy.spatial.distance import jensenshannon, pdist, squareform
from scipy.special import log_ndtr
from scipy.stats import entropy, friedmanchisquare, pmean
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import cohen_kappa_score, f1_score, silhouette_score

from multiplex.content.personas import load_pack
from multiplex.deliberation.scores import classifier_for
from multiplex.embedding import SentenceEmbedder
from multiplex.scoring.agreement import kendall_w, krippendorff_alpha
from multiplex.scoring.bridging import community_notes, pairwise_bridging
from multiplex.scoring.classifiers import cohen_kappa
from multiplex.scoring.discretion import cases_from_rankings, discretion
from multiplex.scoring.dynamics import spanning_tree_diversity
from multiplex.scoring.entropy import normalised_entropy
from multiplex.scoring.evenness import CORRECTED_DRAWS
from multiplex.scoring.jury import jury_verdict, jury_welfare
from multiplex.scoring.perspectives import perspective_entropy
from multiplex.scoring.pluralism import distributional_distance
from multiplex.scoring.polis import opinion_groups
from multiplex.scoring.priorities import Battle, elo, thurstone
from multiplex.scoring.value_action import value_action
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


def notes() -> Case:
    """Return the intercepts of notes; scipy gets the loss as it is written, and its gradient by hand, from one start.

    A factor's sign means nothing, and the best of ten starts may be better than one: ours has to be no worse.
    """
    draw = np.random.default_rng(10)
    raters, count = 300, 60
    side, lean = draw.choice([-1, 1], raters), draw.uniform(-1, 1, count)
    liked = 0.5 + 0.4 * np.outer(side, lean) + draw.normal(0, 0.2, (raters, count))
    table = np.where(draw.random((raters, count)) < 0.4, np.clip(np.round(2 * liked) / 2, 0, 1), np.nan)
    given = ~np.isnan(table)
    ratings = {
        f"{i:03d}": {f"{j:02d}": float(row[j]) for j in np.flatnonzero(given[i])}
        for i, row in enumerate(table)
    }
    n = int(given.sum())
    sizes = (1, raters, count, raters, count)
    cost = np.repeat(
        [0.15 * n, 0.15 * n / raters, 0.15 * n / count, 0.03 * n / raters, 0.03 * n / count], sizes
    )
    start = np.concatenate([np.zeros(1 + raters + count), draw.normal(0, 0.5, raters + count)])

    def loss(flat: Any) -> tuple[float, Any]:
        mu, i_u, i_n, f_u, f_n = np.split(flat, np.cumsum([1, raters, count, raters]))
        error = np.where(given, mu + i_u[:, None] + i_n + np.outer(f_u, f_n) - table, 0.0)
        slope = [[error.sum()], error.sum(axis=1), error.sum(axis=0), error @ f_n, f_u @ error]
        return float((error**2).sum() + cost @ flat**2), 2 * (np.concatenate(slope) + cost * flat)

    def theirs() -> float:
        options = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-15, "gtol": 1e-7}
        return float(minimize(loss, start, jac=True, method="L-BFGS-B", options=options).fun)

    return Case(
        "community notes, one start",
        "300 raters x 60 notes, 40 %",
        lambda: community_notes(ratings, seed=0, starts=1).fit.detail["loss"],
        "scipy",
        theirs,
        lambda one, other: bool(one <= other * (1 + 1e-6)),
    )


def bridging() -> Case:
    """Return the pairwise bridging of statements; scipy's mean city-block distance of the pairs that approve."""
    draw = np.random.default_rng(11)
    table = draw.choice([1, 1, 0, -1], (400, 20)).astype(float)
    votes = {f"{i:03d}": {f"{j:02d}": v for j, v in enumerate(row)} for i, row in enumerate(table.tolist())}

    def theirs() -> Any:
        found = []
        for statement in range(20):
            others = np.delete(table[table[:, statement] == 1], statement, axis=1)
            found.append(4 * pdist(others, "cityblock").sum() / 2 / 19 / len(table) ** 2)
        return found

    return Case(
        "pairwise bridging",
        "400 voters x 20 statements",
        lambda: [score.value for score in pairwise_bridging(votes).values()],
        "scipy",
        theirs,
        lambda one, other: bool(np.allclose(one, other)),
    )


def ratings() -> Case:
    """Return Elo ratings over random orders, which no library here gives."""
    draw = np.random.default_rng(12)
    fought = [draw.choice(16, 2, replace=False) for _ in range(2_000)]
    battles = [Battle(str(winner), str(loser)) for winner, loser in fought]
    return Case("elo", "2000 battles of 16, 100 orders", lambda: elo(battles, seed=0))


def utilities() -> Case:
    """Return Thurstone's utilities; scipy fits the same likelihood, its gradient by differences."""
    draw = np.random.default_rng(13)
    mu = draw.normal(size=8)
    a, b = np.triu_indices(8, 1)
    wins = draw.binomial(10, 1 / (1 + np.exp(mu[b] - mu[a])), (2, len(a)))  # in either order
    counts = {
        (f"{i}", f"{j}"): (int(won), 10 - int(won)) for i, j, won in zip(a, b, wins[0], strict=True)
    } | {(f"{j}", f"{i}"): (10 - int(won), int(won)) for i, j, won in zip(a, b, wins[1], strict=True)}
    share = wins.sum(axis=0) / 20

    def loss(flat: Any) -> float:
        means, logs = flat[:8], flat[8:]
        z = (means[a] - means[b]) / np.sqrt(np.exp(logs[a]) + np.exp(logs[b]))
        nats = -(share * log_ndtr(z) + (1 - share) * log_ndtr(-z))
        return float(20 * nats.sum() + flat @ flat / 2)

    def theirs() -> Any:
        means = minimize(loss, np.zeros(16), method="L-BFGS-B").x[:8]
        return (means - means.mean()) / means.std()

    def ours() -> list[float | None]:
        found = thurstone(counts, seed=0, resamples=0).utilities
        return [found[str(option)].value for option in range(8)]

    return Case(
        "thurstone, without intervals",
        "8 options, 28 pairs, 20 answers",
        ours,
        "scipy",
        theirs,
        lambda one, other: bool(np.allclose(one, other, atol=1e-3)),
    )


def alignment() -> Case:
    """Return the F1 of disagreement in word and deed; theirs gets the two sides as they are."""
    draw = np.random.default_rng(14)
    levels, shares = draw.integers(1, 5, (132, 56)), draw.choice([0.0, 0.25, 0.75, 1.0], (132, 56))
    stated = {str(i): {str(j): float(x) for j, x in enumerate(row)} for i, row in enumerate(levels.tolist())}
    acted = {str(i): {str(j): float(x) for j, x in enumerate(row)} for i, row in enumerate(shares.tolist())}
    said, done = (levels > 2).ravel(), (shares < 0.5).ravel()
    return Case(
        "value and action, F1",
        "7392 cells",
        lambda: value_action(stated, acted).alignment.value,
        "scikit-learn",
        lambda: f1_score(said, done),
    )


def kappa() -> Case:
    """Return Cohen's kappa of two classifiers."""
    draw = np.random.default_rng(15)
    one = draw.choice(list("abcdefghi"), 5_000)
    other = np.where(draw.random(5_000) < 0.5, one, draw.choice(list("abcdefghi"), 5_000))
    first, second = one.tolist(), other.tolist()
    return Case(
        "cohen's kappa",
        "5000 sentences, 9 labels",
        lambda: cohen_kappa(first, second).value,
        "scikit-learn",
        lambda: cohen_kappa_score(first, second),
    )


def evenness() -> Case:
    """Return the entropy of counts over a fixed list, one call a text on both sides."""
    rows = np.random.default_rng(16).integers(0, 9, (500, 8)) + 1
    names = [str(i) for i in range(8)]
    counted = [dict(zip(names, map(float, row), strict=True)) for row in rows]
    return Case(
        "perspective entropy of counts",
        "500 texts, 8 perspectives",
        lambda: np.mean([normalised_entropy(counts, names).value for counts in counted]),
        "scipy",
        lambda: np.mean([entropy(row) / np.log(8) for row in rows]),
    )


def perspectives() -> Case:
    """Return the perspective entropy of a text: labels, floor, correction and both intervals; no library does this."""
    pack = load_pack("civilizations")
    classifier = classifier_for(pack, SentenceEmbedder())
    text = " ".join(each.statement for persona in pack.personas for each in persona.commitments[:3])
    return Case(
        "perspective entropy of a text",
        f"{len(classifier.classify(text))} sentences, intervals and all",
        lambda: perspective_entropy(text, classifier, corrected_draws=CORRECTED_DRAWS),
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
    notes,
    bridging,
    ratings,
    utilities,
    alignment,
    kappa,
    evenness,
    perspectives,
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
    print(f"{'step':30s} {'size':32s} {'ours, s':>10s} {'theirs, s':>10s}  library")
    for row in rows:
        theirs = "" if row["theirs"] is None else f"{row['theirs']:.5f}"
        print(
            f"{row['name']:30s} {row['size']:32s} {row['ours']:>10.5f} {theirs:>10s}  {row['library'] or ''}"
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
