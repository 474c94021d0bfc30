"""Opinion groups in a table of votes, what each group stands for, and what all groups share (after Polis).

The conventions are those of Polis from 2016 to 2023 as red-dwarf states them. A vote is 1 (agree), -1
(disagree) or 0 (pass); None, NaN or a statement left out was not seen.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from multiplex.scoring.intervals import no_interval
from multiplex.scoring.panel_intervals import every_group
from multiplex.scoring.score import Score, plain

__all__ = [
    "OpinionGroups",
    "Representative",
    "Table",
    "Votes",
    "group_aware_agreement",
    "opinion_groups",
    "representativeness",
    "tabulate",
    "vote_table",
]

_Array = NDArray[np.float64]

Votes = Mapping[str, Mapping[str, float | None]]
"""Participant -> statement -> 1 (agree), 0 (pass), -1 (disagree), None (not seen)."""

_FEWEST = 4  # below two groups of two, a partition says nothing


class Table(NamedTuple):
    """A matrix of shape rows x columns, both in the order of their names; NaN where there is nothing."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: _Array


@dataclass(frozen=True, slots=True)
class OpinionGroups:
    """The groups, named A, B, C from the largest down, and the `silhouette` that chose their number.

    `points` are the places on the first two principal components of all who are in a group; `left_out`
    are those who voted on too little to be placed.
    """

    silhouette: Score
    groups: Mapping[str, tuple[str, ...]]
    points: Mapping[str, tuple[float, float]]
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


@dataclass(frozen=True, slots=True)
class Representative:
    """How far one vote on one statement sets a group apart; `kept` where both tests are significant."""

    group: str
    statement: str
    vote: Literal["agree", "disagree"]
    kept: bool
    metric: Score


def tabulate(rows: Mapping[str, Mapping[str, float | None]], *, what: str = "vote") -> Table:
    """Return nested mappings as a table in the order of the names; None, NaN and gaps become NaN.

    Raises ValueError where a value is no number; `what` names it.
    """
    names, columns = sorted(rows), sorted({column for row in rows.values() for column in row})
    kinds = {type(value) for row in rows.values() for value in row.values()}
    if odd := {kind for kind in kinds if not _is_number(kind)}:
        found = [(n, c, v) for n in names for c, v in rows[n].items() if type(v) in odd]
        raise ValueError(f"{what} of {found[0][0]!r} on {found[0][1]!r}: needs a number, not {found[0][2]!r}")
    cells = [[rows[name].get(column) for column in columns] for name in names]
    values = np.array(cells, dtype=float).reshape(len(names), len(columns))
    return Table(tuple(names), tuple(columns), values)


def _is_number(kind: type) -> bool:
    return kind is type(None) or (issubclass(kind, int | float | np.number) and kind is not bool)


def vote_table(votes: Votes) -> Table:
    """Return votes as a table of 1, 0, -1 and NaN, without the statements that nobody saw.

    Raises ValueError where a vote is anything else.
    """
    table = tabulate(votes)
    wrong = np.argwhere(~np.isnan(table.values) & ~np.isin(table.values, (-1, 0, 1)))
    if len(wrong):
        row, column = wrong[0]
        where = f"vote of {table.rows[row]!r} on {table.columns[column]!r}"
        raise ValueError(f"{where}: needs 1, 0, -1 or None, not {table.values[row, column]:g}")
    shown = np.atleast_1d(~np.isnan(table.values).all(axis=0))
    columns = tuple(name for name, keep in zip(table.columns, shown, strict=True) if keep)
    return Table(table.rows, columns, table.values[:, shown])


def opinion_groups(votes: Votes, *, most: int = 5, least_votes: int = 7, seed: int) -> OpinionGroups:
    """Return the opinion groups; the score is their mean silhouette, in [-1, 1].

    What was not seen counts as the mean of its statement. The first two principal components place the
    participants; each place is moved outward by sqrt(statements / votes cast), so that those who voted
    little do not gather in the middle. k-means (ten starts from `seed`) runs for k = 2 to `most`, and the
    k with the highest silhouette is taken, the smallest of equals. A participant with fewer than
    `least_votes` votes (or than all statements, where these are fewer) shapes the components but joins
    no group. Some partition is always found: below about 0.25 there is little reason to speak of groups.

    The detail holds `k`, `silhouettes` per k, `explained` (share of variance of each component), and the
    number of `participants` placed and of `statements`. The order of the input does not matter.
    Undefined below four participants to place, and where they all stand in one place.

    Source: Small et al. 2021, Polis: Scaling deliberation by mapping high dimensional opinion spaces,
    RECERCA 26(2); conventions of red-dwarf (polis-community/red-dwarf).

    Raises ValueError where a vote is not 1, 0, -1 or None, or `most` is below 2.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if most < 2:
        raise ValueError(f"most needs at least 2 groups, not {most}")
    table = vote_table(votes)
    cast = (~np.isnan(table.values)).sum(axis=1)
    placed = cast >= max(1, min(least_votes, len(table.columns)))
    names = [name for name, here in zip(table.rows, placed, strict=True) if here]
    left_out = tuple(name for name, here in zip(table.rows, placed, strict=True) if not here)
    counts = {"participants": len(names), "statements": len(table.columns)}
    if len(names) < _FEWEST:
        reason = f"{len(names)} participants voted enough to be placed: groups need {_FEWEST}"
        return OpinionGroups(Score.undefined(reason, **counts), {}, {}, left_out)
    places, explained = _project(table.values)
    # Rounded, so that equal ballots are equal points whatever the linear algebra library.
    points = np.round(places * np.sqrt(len(table.columns) / np.maximum(cast, 1))[:, None], 9)[placed]
    distinct = len(np.unique(points, axis=0))
    if distinct < 2:
        reason = "all participants stand in one place, so there are no groups to tell apart"
        return OpinionGroups(Score.undefined(reason, **counts), {}, {}, left_out)
    found = {
        k: KMeans(k, n_init=10, random_state=seed).fit_predict(points)
        for k in range(2, min(most, distinct, len(names) - 1) + 1)
    }
    silhouettes = {k: float(silhouette_score(points, labels)) for k, labels in found.items()}
    best = max(silhouettes, key=lambda k: (round(silhouettes[k], 12), -k))
    members = [tuple(n for n, own in zip(names, found[best], strict=True) if own == g) for g in range(best)]
    members.sort(key=lambda group: (-len(group), group))
    return OpinionGroups(
        silhouette=Score(
            silhouettes[best],
            detail={"k": best, "silhouettes": silhouettes, "explained": explained, **counts},
        ),
        groups={_letter(place): group for place, group in enumerate(members)},
        points={name: (float(x), float(y)) for name, (x, y) in zip(names, points, strict=True)},
        left_out=left_out,
    )


def _project(values: _Array) -> tuple[_Array, tuple[float, ...]]:
    filled = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    left, strengths, right = np.linalg.svd(filled - filled.mean(axis=0), full_matrices=False)
    # A component has no sign of its own: the largest loading is made positive.
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    places = np.zeros((len(values), 2))
    kept = (left * strengths * signs)[:, :2]
    places[:, : kept.shape[1]] = kept
    total = float((strengths**2).sum())
    return places, tuple(float(each**2 / total) if total else 0.0 for each in strengths[:2])


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"G{place + 1}"


class _Counts(NamedTuple):
    groups: tuple[str, ...]
    statements: tuple[str, ...]
    seen: _Array  # groups x statements
    agree: _Array
    disagree: _Array


def _count(votes: Votes, groups: Mapping[str, Collection[str]]) -> _Counts:
    table = vote_table(votes)
    place = {name: row for row, name in enumerate(table.rows)}
    members = np.zeros((len(groups), len(table.rows)))
    for number, (group, names) in enumerate(groups.items()):
        if strangers := sorted(set(names) - place.keys()):
            raise ValueError(f"group {group!r}: {strangers[0]!r} has no votes")
        members[number, [place[name] for name in names]] = 1
    if (members.sum(axis=0) > 1).any():
        twice = table.rows[int((members.sum(axis=0) > 1).argmax())]
        raise ValueError(f"{twice!r} is in more than one group")
    cells = (~np.isnan(table.values), table.values == 1, table.values == -1)
    seen, agree, disagree = (members @ each for each in cells)
    return _Counts(tuple(groups), table.columns, seen, agree, disagree)


def representativeness(
    votes: Votes, groups: Mapping[str, Collection[str]], *, confidence: float = 0.90
) -> tuple[Representative, ...]:
    """Return for each group, statement and direction v how far the vote v sets the group g apart.

        P_v(g, c) = (N_v + 1) / (N + 2)             N counts agree, disagree and pass of the group
        R_v(g, c) = P_v(g, c) / P_v(not g, c)       not g: all who are in another group
        z_P = 2 sqrt(N + 1) ((N_v + 1) / (N + 1) - 1/2)
        z_R = (p - q) / sqrt(h (1 - h) (1 / (N + 1) + 1 / (M + 1)))
        metric = R z_R P z_P

    with p = (N_v + 1) / (N + 1), q the same of the M votes outside, and h of both together; z_R is 0
    where h = 1. Two negative z make a positive metric, so look at `kept` first: both z above
    Phi^-1(confidence), 1.2816 by default, one-sided and not corrected for the number of statements. The
    metric has no bounds. Its detail holds `count` N_v, `seen` N, `others_count`, `others_seen`,
    `probability` P, `probability_z`, `ratio` R and `ratio_z`. Undefined, and not kept, where nobody in
    the group or nobody outside saw the statement. In the order of the groups, what is kept first, then by
    falling metric.

    Source: Small et al. 2021, Polis, RECERCA 26(2); red-dwarf `reddwarf/utils/stats.py`.

    Raises ValueError for a participant in two groups or without votes, and for confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence needs a number between 0 and 1, not {confidence}")
    counts, least = _count(votes, groups), float(norm.ppf(confidence))
    found: list[Representative] = []
    directions: tuple[tuple[Literal["agree", "disagree"], _Array], ...] = (
        ("agree", counts.agree),
        ("disagree", counts.disagree),
    )
    for number, group in enumerate(counts.groups):
        inside = counts.seen[number]
        outside = counts.seen.sum(axis=0) - inside
        rows: list[Representative] = []
        for vote, tally in directions:
            own, other = tally[number], tally.sum(axis=0) - tally[number]
            columns = _columns(own, inside, other, outside)
            rows += [
                _representative(group, statement, vote, least, {key: column[i] for key, column in columns})
                for i, statement in enumerate(counts.statements)
            ]
        found += sorted(rows, key=_rank)
    return tuple(found)


def _columns(own: _Array, inside: _Array, other: _Array, outside: _Array) -> list[tuple[str, list[float]]]:
    probability = (own + 1) / (inside + 2)
    here, there = (own + 1) / (inside + 1), (other + 1) / (outside + 1)
    together = (own + other + 2) / (inside + outside + 2)
    noise = np.sqrt(together * (1 - together) * (1 / (inside + 1) + 1 / (outside + 1)))
    columns = {
        "count": own,
        "seen": inside,
        "others_count": other,
        "others_seen": outside,
        "probability": probability,
        "probability_z": 2 * np.sqrt(inside + 1) * (here - 0.5),
        "ratio": probability / ((other + 1) / (outside + 2)),
        "ratio_z": np.divide(here - there, noise, out=np.zeros_like(noise), where=together < 1),
    }
    return [(key, column.tolist()) for key, column in columns.items()]


def _representative(
    group: str, statement: str, vote: Literal["agree", "disagree"], least: float, found: dict[str, float]
) -> Representative:
    counts: dict[str, Any] = {key: int(found[key]) for key in _COUNTED}
    if not (found["seen"] and found["others_seen"]):
        who = "the group" if not found["seen"] else "the other groups"
        reason = f"nobody in {who} saw the statement"
        return Representative(group, statement, vote, False, Score.undefined(reason, **counts))
    value = found["ratio"] * found["ratio_z"] * found["probability"] * found["probability_z"]
    kept = found["ratio_z"] > least and found["probability_z"] > least
    return Representative(group, statement, vote, kept, Score(value, detail={**found, **counts}))


_COUNTED = ("count", "seen", "others_count", "others_seen")


def _rank(each: Representative) -> tuple[bool, float, str, str]:
    metric = -math.inf if each.metric.value is None else each.metric.value
    return (not each.kept, -metric, each.statement, each.vote)


def group_aware_agreement(
    votes: Votes, groups: Mapping[str, Collection[str]], *, smoothed: bool = True
) -> dict[str, Score]:
    """Return for each statement the product over groups of the share that agrees, in [0, 1].

        smoothed (Polis):                             (N_agree + 1) / (N + 2)
        not smoothed (Collective Constitutional AI):  N_agree / N

    N counts agree, disagree and pass. The detail holds `groups` (agree, n and probability of each),
    `minimum` over the groups (Collective Constitutional AI asks that all lie above a threshold), `disagree`
    (the same product for disagreement), `silent` groups, and `ceiling`, the value at unanimity of the same
    votes. Smoothed, a silent group counts as unknown, 1/2, and the score is undefined where all are silent;
    not smoothed, it is undefined where any is. `interval` is the 95 % bootstrap interval over those who voted,
    within each group, the groups kept; None with a `reason` where no group has two.

    Source: Small et al. 2021, Polis, RECERCA 26(2), and red-dwarf; Huang et al. 2024, Collective
    Constitutional AI, arXiv 2406.07814.

    Raises ValueError for a participant in two groups or without votes, and where there is no group.
    """
    if not groups:
        raise ValueError("group-aware agreement needs at least one group")
    counts = _count(votes, groups)
    return {
        statement: _agreement(
            dict(zip(counts.groups, counts.seen[:, i].tolist(), strict=True)),
            dict(zip(counts.groups, counts.agree[:, i].tolist(), strict=True)),
            dict(zip(counts.groups, counts.disagree[:, i].tolist(), strict=True)),
            1 if smoothed else 0,
        )
        for i, statement in enumerate(counts.statements)
    }


def _agreement(
    seen: Mapping[str, float], agree: Mapping[str, float], disagree: Mapping[str, float], extra: int
) -> Score:
    silent = sorted(group for group, n in seen.items() if not n)
    if silent and (not extra or len(silent) == len(seen)):
        reason = f"no vote from {', '.join(silent)}"
        return Score.undefined(reason, silent=silent, interval=no_interval(reason, over="participants"))

    def share(count: Mapping[str, float]) -> dict[str, float]:
        return {group: (count[group] + extra) / (n + 2 * extra) for group, n in seen.items()}

    shares = share(agree)
    told = [(int(agree[group]), int(n)) for group, n in seen.items()]
    return Score(
        _product(shares.values()),
        detail={
            "groups": {
                group: {"agree": int(agree[group]), "n": int(n), "probability": shares[group]}
                for group, n in seen.items()
            },
            "minimum": min(shares.values()),
            "disagree": _product(share(disagree).values()),
            "silent": silent,
            "ceiling": _product(share(seen).values()),
            "interval": every_group(told, extra=extra, over="participants").beside(),
        },
    )


def _product(factors: Iterable[float]) -> float:
    return math.prod(sorted(factors))  # sorted, so that the order of the groups changes no bit
