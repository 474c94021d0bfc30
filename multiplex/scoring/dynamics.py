"""How a panel's stances moved: spread in each round, who moved towards whom, and what was lost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

from multiplex.errors import near_miss
from multiplex.scoring import panel_intervals as over_personas
from multiplex.scoring.entropy import generalised_jsd, js_distance, shannon_entropy, total_variation
from multiplex.scoring.intervals import Estimate, interval_of
from multiplex.scoring.score import Score, plain
from multiplex.scoring.stances import Stances, mean_shares, options_named, stated

__all__ = [
    "Dynamics",
    "Evaluation",
    "Spread",
    "dynamics",
    "euclidean_diversity",
    "spanning_tree_diversity",
]

_Shares = Mapping[str, tuple[float, ...]]
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """One round: the mean stance, and five measures of spread, each in [0, 1].

    `entropy` of the mean stance is high both where personas differ and where each is torn;
    `disagreement` holds the first alone; `diversity` is the mean distance of two personas, and
    `euclidean` the same by Euclidean distance; `spanning_tree` is low where personas stand in a few
    tight camps, however far apart.
    """

    round: int
    n: int
    abstained: int
    mean: Mapping[str, float] | None
    entropy: Score
    diversity: Score
    disagreement: Score
    euclidean: Score
    spanning_tree: Score


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The option that stands, judged under the stances of different times (DR-MDP; Carroll et al. 2024).

    `initial`, `final`, `real_time`: mean support for it under the first stances, the last, and each
    round's own averaged over the rounds; in [0, 1]. `personas`: for each its final minus its initial
    support, in [-1, 1], with `initial`, `final`, `real_time`, `only_under_shift` (it endorses only
    under its last stance) and `throughout` (it endorses in every round in which it took a stance).
    `only_under_shift`: who endorses under the shifted stance alone. `unambiguous`: whether everyone
    endorses throughout, None where nobody can be judged. The notion of natural shift, what stances would
    have become without the deliberation, cannot be observed in a run and is not given.
    """

    option: str | None
    initial: Score
    final: Score
    real_time: Score
    personas: Mapping[str, Score]
    only_under_shift: tuple[str, ...]
    unambiguous: bool | None


@dataclass(frozen=True, slots=True)
class Dynamics:
    """The rounds, counted from 1, and the way from the first to the last.

    `moved`: for each persona the total variation distance between its first and last stance, in [0, 1],
    with `towards` (another persona, or None) and `closer_by`, the fall in distance to it.
    `erosion`: last minus first diversity, in [-1, 1]; below 0 the panel lost diversity.
    `gain`: last minus first mean support for the option that ends with the most, in [-1, 1].
    Every measure of spread, erosion, gain and the three parts of the evaluation have an `interval` in their
    detail: 95 %, over the personas (see `panel_intervals`; the option is kept).
    `evaluation`: that option, or the consensus named, under initial, final and real-time stances.
    """

    options: tuple[str, ...]
    rounds: tuple[Spread, ...]
    moved: Mapping[str, Score]
    erosion: Score
    gain: Score
    evaluation: Evaluation

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


def dynamics(
    rounds: Sequence[Stances],
    *,
    options: Sequence[str] | None = None,
    consensus: str | None = None,
    endorsed_above: float = 0.5,
) -> Dynamics:
    """Follow stances (persona -> option -> share, None for none) from round to round.

        entropy       = H(mean stance) / ln K                     K options
        diversity     = mean over pairs of the Jensen-Shannon distance, base 2
        disagreement  = (H(mean) - mean H(stance)) / ln min(n, K)   (generalised Jensen-Shannon)
        euclidean     = mean over pairs of |p - q| / sqrt 2         (sqrt 2: two certain of different options)
        spanning_tree = length of the minimum spanning tree of |p - q| / sqrt 2, over n - 1

    `options` is the fixed list; without it, the options that any stance names. What compares the first
    and the last round rests on the personas with a stance in both, so that nobody's silence looks like
    a move. A persona moved towards the one whose *first* stance it came closer to by most; of equals,
    the one that was nearest at the start, then by name. The gain's detail has `option`,
    `initial_support`, `final_support`, `led_at_start` (no option had more support then), and
    `only_under_shift`: support grew, and the option leads under the last stances but not under the first
    (Carroll et al. 2024, DR-MDPs: judge an outcome under the first stances as well as the last). Erosion's
    detail has `first`, `last` and `lost`, the share of the first diversity that was lost, at most 1, below 0
    where it grew, undefined where there was none. `consensus` names the option to evaluate in place of the
    one that ends with the most; a persona endorses it where its share is above `endorsed_above`. The last
    two measures of spread are after Xu et al., Beyond Alignment (arXiv 2606.05985), which gives them times
    100.

    Undefined, with a reason: everything without two options or a stance; diversity, in every form, and
    disagreement for one persona; comparisons with fewer than two rounds; the gain where two options end level.

    Raises ValueError where a stance is not a distribution over the options, `consensus` is none of them,
    or `endorsed_above` is not in [0, 1).
    """
    listed = tuple(options_named(rounds) if options is None else options)
    if consensus is not None and consensus not in listed:
        raise ValueError(f"consensus: no option {consensus!r}; {near_miss(consensus, listed)}")
    if not 0 <= endorsed_above < 1:
        raise ValueError(f"endorsed_above needs a share from 0 to below 1, not {endorsed_above!r}")
    shares = [stated(stances, listed) for stances in rounds]
    first, last = (shares[0], shares[-1]) if len(rounds) > 1 else ({}, {})
    both = [persona for persona in first if persona in last]
    first, last = {who: first[who] for who in both}, {who: last[who] for who in both}
    gain = _gain(first, last, listed)
    everyone = dict.fromkeys(persona for stances in rounds for persona in stances)
    return Dynamics(
        options=listed,
        rounds=tuple(
            _spread(number, each, len(stances) - len(each), listed)
            for number, (each, stances) in enumerate(zip(shares, rounds, strict=True), start=1)
        ),
        moved={persona: _moved(persona, first, last, listed) for persona in everyone},
        erosion=_erosion(first, last, listed),
        gain=gain,
        evaluation=_evaluation(
            [{who: each[who] for who in both if who in each} for each in shares],
            everyone,
            listed,
            consensus if consensus is not None else gain.detail.get("option"),
            gain.reason,
            endorsed_above,
        ),
    )


def euclidean_diversity(points: Sequence[Sequence[float]], *, widest: Sequence[float] | float) -> Score:
    """Return the mean pairwise Euclidean distance over the largest one possible, in [0, 1].

        mean over pairs of |a - b| / W        W = widest, or sqrt(sum widest_q^2)

    `points` holds one row a persona: answers to questions, or shares over options. `widest` is the range
    of each question (4 for answers from 1 to 5), or one number, the largest distance of two rows: sqrt 2
    for distributions. Undefined for fewer than two rows, or where nothing can differ (W = 0).

    Source: Xu et al., Beyond Alignment (arXiv 2606.05985), pairwise diversity, there times 100.

    Raises ValueError where rows differ in length, a number is not finite, or two rows are further apart
    than W.
    """
    apart = _apart(points, widest)
    if isinstance(apart, Score):
        return apart
    return _with(_mean(apart), over_personas.pairwise(squareform(apart)), n=len(points))


def spanning_tree_diversity(points: Sequence[Sequence[float]], *, widest: Sequence[float] | float) -> Score:
    """Return the mean edge of the minimum spanning tree, over the largest distance possible, in [0, 1].

        length of the tree / (N - 1),   distances and W as in `euclidean_diversity`

    Equal rows are joined by edges of length 0, which count among the N - 1. Never above the mean pairwise
    distance. A bootstrap would draw rows twice and so shorten any tree: `interval` is a jackknife's over the
    rows, each left out once (None with a `reason` below three). Undefined, and errors, as there. Source: Xu
    et al. (arXiv 2606.05985), structural diversity.
    """
    apart = _apart(points, widest)
    if isinstance(apart, Score):
        return apart
    # The heights of single linkage are the edges of a minimum spanning tree, those of length 0 included,
    # which scipy.sparse.csgraph takes for no edge.
    value, table, n = _mean(linkage(apart, "single")[:, 2]), squareform(apart), len(points)
    each_once = range(n if 2 < n <= over_personas.MOST_LEFT_OUT else 0)
    without = [np.delete(np.delete(table, i, 0), i, 1) for i in each_once]
    left_out = [_mean(linkage(squareform(each), "single")[:, 2]) for each in without]
    return _with(value, over_personas.jackknife(value, left_out, n), n=n)


def _mean(distances: NDArray[np.float64]) -> float:
    # Summed exactly, so that the order of personas does not show in the last bits.
    return math.fsum(distances.tolist()) / len(distances)


def _apart(points: Sequence[Sequence[float]], widest: Sequence[float] | float) -> NDArray[np.float64] | Score:
    if any(len(row) != len(points[0]) for row in points):
        raise ValueError("points: rows differ in length")
    ranges = np.atleast_1d(np.asarray(widest, float))
    if not np.isfinite(ranges).all() or (ranges < 0).any():
        raise ValueError("widest needs finite numbers of at least 0")
    if not isinstance(widest, int | float) and points and len(ranges) != len(points[0]):
        raise ValueError(f"widest: {len(ranges)} ranges for rows of {len(points[0])}")
    # Sorted, so that the order of the rows does not show in what is drawn for an interval.
    rows, largest = np.array(sorted(map(tuple, points)), float), float(np.linalg.norm(ranges))
    if not np.isfinite(rows).all():
        raise ValueError("points need finite numbers")
    if len(points) < 2:
        return Score.undefined("fewer than two rows differ from nobody", n=len(points))
    if not largest:
        return Score.undefined("nothing can differ", n=len(points))
    apart: NDArray[np.float64] = pdist(rows) / largest
    if apart.max() > 1 + _NOTHING:
        raise ValueError("points: two rows are further apart than widest allows")
    return np.minimum(apart, 1.0)


def _spread(number: int, shares: _Shares, abstained: int, options: tuple[str, ...]) -> Spread:
    rows = list(shares.values())
    mean = mean_shares(rows) if rows and options else None
    entropy = diversity = disagreement = euclidean = tree = Score.undefined(
        _lack(rows, options) or "one persona differs from nobody"
    )
    if mean is not None and len(options) > 1:
        rows.sort()  # so that the order of personas does not show in what is drawn
        value = min(shannon_entropy(mean) / math.log(len(options)), 1.0)
        entropy = _with(value, over_personas.entropy(rows))
        if len(rows) > 1:
            apart = _distances(rows)
            diversity = _with(_mean(apart), over_personas.pairwise(squareform(apart)))
            disagreement = _with(generalised_jsd(rows), over_personas.divergence(rows))
            euclidean = euclidean_diversity(rows, widest=math.sqrt(2))
            tree = spanning_tree_diversity(rows, widest=math.sqrt(2))
    named = None if mean is None else dict(zip(options, mean, strict=True))
    return Spread(number, len(rows), abstained, named, entropy, diversity, disagreement, euclidean, tree)


def _lack(rows: Sequence[object], options: Sequence[str]) -> str | None:
    if len(options) < 2:
        return "there are no two options to choose between"
    return None if rows else "nobody took a stance"


def _with(value: float, interval: Estimate, **detail: Any) -> Score:
    return Score(value, detail={**detail, "interval": interval.beside()})


def _distances(rows: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    """Return the Jensen-Shannon distance of each pair, in the order of `combinations`."""
    return np.array([js_distance(a, b) for a, b in combinations(rows, 2)])


def _moved(persona: str, first: _Shares, last: _Shares, options: Sequence[str]) -> Score:
    if len(options) < 2 or persona not in first:
        return Score.undefined(
            _lack([persona], options) or "no stance both in the first and in the last round"
        )
    start, end = first[persona], last[persona]
    closer = [
        (total_variation(start, there) - total_variation(end, there), total_variation(start, there), other)
        for other, there in first.items()
        if other != persona
    ]
    # Rounded, so that equals are not told apart by their last bits.
    closer.sort(key=lambda each: (-round(each[0], 9), round(each[1], 9), each[2]))
    fell, _, towards = closer[0] if closer else (0.0, 0.0, None)
    detail = (
        {"towards": towards, "closer_by": fell} if fell > _NOTHING else {"towards": None, "closer_by": 0.0}
    )
    return Score(total_variation(start, end), detail=detail)


def _erosion(first: _Shares, last: _Shares, options: Sequence[str]) -> Score:
    if len(options) < 2 or len(first) < 2:
        return Score.undefined(
            _lack(["-"], options)
            or "fewer than two personas took a stance both in the first and in the last round"
        )
    pairs = sorted((first[who], last[who]) for who in first)
    apart, then = (_distances([pair[when] for pair in pairs]) for when in (0, 1))
    before, after = _mean(apart), _mean(then)
    lost = (
        Score((before - after) / before)
        if before > _NOTHING
        else Score.undefined("there was no diversity to lose")
    )
    interval = over_personas.pairwise(squareform(then - apart))
    return _with(after - before, interval, first=before, last=after, lost=lost, n=len(first))


def _gain(first: _Shares, last: _Shares, options: Sequence[str]) -> Score:
    if len(options) < 2 or not first:
        return Score.undefined(
            _lack(["-"], options) or "nobody took a stance both in the first and in the last round"
        )
    before, after = mean_shares(first.values()), mean_shares(last.values())
    top = [index for index, share in enumerate(after) if share >= max(after) - _NOTHING]
    if len(top) > 1:
        return Score.undefined("two or more options end level", level=[options[index] for index in top])
    initial, final = before[top[0]], after[top[0]]
    led = initial >= max(before) - _NOTHING
    grown = sorted(last[who][top[0]] - first[who][top[0]] for who in first)
    return _with(
        final - initial,
        interval_of(grown, over="personas", seed=0),
        option=options[top[0]],
        initial_support=initial,
        final_support=final,
        only_under_shift=final - initial > _NOTHING and not led,
        led_at_start=led,
        n=len(first),
    )


def _evaluation(
    rounds: Sequence[_Shares],
    everyone: Mapping[str, None],
    options: Sequence[str],
    option: str | None,
    reason: str | None,
    endorsed_above: float,
) -> Evaluation:
    judging = list(rounds[0]) if rounds else []
    if option is None or len(options) < 2 or not judging:
        lack = reason or "nobody took a stance both in the first and in the last round"
        nothing = Score.undefined(lack)
        return Evaluation(option, nothing, nothing, nothing, dict.fromkeys(everyone, nothing), (), None)
    place = options.index(option)
    personas: dict[str, Score] = {}
    for persona in everyone:
        if persona not in judging:
            personas[persona] = Score.undefined("no stance both in the first and in the last round")
            continue
        support = [shares[persona][place] for shares in rounds if persona in shares]
        endorsed = [share > endorsed_above for share in support]
        personas[persona] = Score(
            support[-1] - support[0],
            detail={
                "initial": support[0],
                "final": support[-1],
                "real_time": math.fsum(support) / len(support),
                "only_under_shift": endorsed[-1] and not endorsed[0],
                "throughout": all(endorsed),
            },
        )
    judged = {name: score.detail for name, score in personas.items() if score.value is not None}
    initial, final, real_time = (
        _with(
            math.fsum(each[when] for each in judged.values()) / len(judged),
            interval_of(sorted(each[when] for each in judged.values()), over="personas", seed=0),
            n=len(judged),
        )
        for when in ("initial", "final", "real_time")
    )
    return Evaluation(
        option,
        initial,
        final,
        real_time,
        personas,
        only_under_shift=tuple(sorted(name for name, each in judged.items() if each["only_under_shift"])),
        unambiguous=all(each["throughout"] for each in judged.values()),
    )
