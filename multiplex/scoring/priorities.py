"""Which values win where they clash: Elo over battles, and Thurstone utilities from paired choices."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_ndtr

from multiplex.blas import one_thread
from multiplex.errors import near_miss
from multiplex.scoring.intervals import interval_of, no_interval, summarised
from multiplex.scoring.score import Score, plain

__all__ = ["Battle", "Priorities", "Utilities", "elo", "thurstone"]

_Floats = NDArray[np.float64]
_FEWEST_HELD_OUT = 5
_SAME = 1e-6
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Battle:
    """One clash of two values: the one behind the chosen action won; a tie names them in any order."""

    winner: str
    loser: str
    tie: bool = False


@dataclass(frozen=True, slots=True)
class Priorities:
    """Elo ratings by value, with `low`, `high`, `battles`, `wins` and `ties` in the detail of each.

    `ranking`: the rated values from the highest down, by name where equal. `ignored`: battles of a
    value with itself, which move nothing.
    """

    ratings: Mapping[str, Score]
    ranking: tuple[str, ...]
    battles: int
    ignored: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


def elo(
    battles: Sequence[Battle],
    *,
    seed: int,
    values: Sequence[str] | None = None,
    orders: int = 100,
    resample: bool = False,
    k: float = 4.0,
    scale: float = 400.0,
    base: float = 10.0,
    start: float = 1000.0,
    confidence: float = 0.95,
) -> Priorities:
    """Return online Elo ratings, averaged over random orders of the battles.

        E_w = 1 / (1 + base^((R_l - R_w) / scale))      R_w += k (S - E_w)      R_l -= k (S - E_w)

    with S = 1 for a win and 1/2 for a tie. Online ratings hang on the order of the battles; the value is
    the mean over `orders` orders, and `low` and `high` are percentiles over them. Orders are
    permutations, so the interval tells the noise of the order alone; with `resample` battles are drawn
    with replacement, and it tells that of the sample too. Ratings are in Elo points: their
    mean stays at `start`, and a difference of `scale` means odds of `base` to 1. With few battles ratings
    stay near the start; compare ranks. The order in which battles are given does not matter.

    `values` is the list of what could fight; without it, those that fought, sorted. A value without a
    battle has no rating.

    Source: Chiu et al., LitmusValues (2025; arXiv 2505.14633; `kellycyy/LitmusValues`): k 4, scale 400,
    base 10, start 1000, 100 random orders, seed 42. The random numbers here are those of numpy's
    `default_rng(seed)`, so figures agree with the published ones up to the noise of the order.

    Raises ValueError where a battle names an unlisted value, or an option is out of its range.
    """
    in_range = k > 0 and scale > 0 and base > 1 and 0 < confidence < 1
    if orders < 1 or not in_range or not all(map(math.isfinite, (k, scale, base, start))):
        raise ValueError(
            "elo needs orders >= 1, k > 0, scale > 0, base > 1, confidence in (0, 1), all of them and start finite"
        )
    # Sorted, a tie by its names too, so that the seed alone decides the orders.
    fought = sorted(_canonical(battle) for battle in battles if battle.winner != battle.loser)
    names = _listed([name for battle in battles for name in (battle.winner, battle.loser)], values)
    place = {name: index for index, name in enumerate(names)}
    winners = np.array([place[winner] for winner, _, _ in fought], dtype=np.intp)
    losers = np.array([place[loser] for _, loser, _ in fought], dtype=np.intp)
    won = np.array([0.5 if tie else 1.0 for _, _, tie in fought])
    rng, n = np.random.default_rng(seed), len(fought)
    drawn = [rng.integers(n, size=n) if resample and n else rng.permutation(n) for _ in range(orders)]
    ratings = np.full((orders, len(names)), start)
    rows = np.arange(orders)
    # All orders advance together, one battle of each at a time.
    for step in np.transpose(drawn):
        first, second = winners[step], losers[step]
        behind = ratings[rows, second] - ratings[rows, first]
        gain = k * (won[step] - expit(-behind / scale * math.log(base)))
        ratings[rows, first] += gain
        ratings[rows, second] -= gain
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(ratings, [tail, 100 - tail], axis=0)
    count = Counter(name for winner, loser, _ in fought for name in (winner, loser))
    wins = Counter(winner for winner, _, tie in fought if not tie)
    ties = Counter(name for winner, loser, tie in fought if tie for name in (winner, loser))
    found = {
        name: Score(
            float(ratings[:, index].mean()),
            detail={
                "low": float(low[index]),
                "high": float(high[index]),
                "battles": count[name],
                "wins": wins[name],
                "ties": ties[name],
            },
        )
        if count[name]
        else Score.undefined("fought no battle", low=None, high=None, battles=0, wins=0, ties=0)
        for index, name in enumerate(names)
    }
    return Priorities(found, _ranking(found), battles=n, ignored=len(battles) - n)


def _canonical(battle: Battle) -> tuple[str, str, bool]:
    swap = battle.tie and battle.loser < battle.winner
    return (battle.loser, battle.winner, True) if swap else (battle.winner, battle.loser, battle.tie)


def _listed(used: Sequence[str], listed: Sequence[str] | None) -> list[str]:
    if listed is None:
        return sorted(set(used))
    if len(set(listed)) != len(listed):
        raise ValueError("values: one is listed twice")
    for name in dict.fromkeys(used):
        if name not in listed:
            raise ValueError(f"values: {name!r} is not on the list; {near_miss(name, listed)}")
    return list(listed)


def _ranking(scores: Mapping[str, Score]) -> tuple[str, ...]:
    rated = sorted(
        (-round(score.value, 9), name) for name, score in scores.items() if score.value is not None
    )
    return tuple(name for _, name in rated)


@dataclass(frozen=True, slots=True)
class Utilities:
    """Thurstone utilities: `utilities` standardised (mean 0, deviation 1), with `sd` in their detail.

    `coherence`: accuracy on held-out pairs, in [0, 1], chance 1/2. `order_effect`: how much more than
    half of the time what was shown first was chosen, in [-1/2, 1/2].
    """

    utilities: Mapping[str, Score]
    ranking: tuple[str, ...]
    coherence: Score
    order_effect: Score
    pairs: int
    one_order: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Unordered pairs as arrays: the places of both options, P(first preferred), and the answers."""

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    preferred: _Floats
    answers: _Floats

    def __getitem__(self, which: NDArray[np.intp]) -> "_Pairs":
        return _Pairs(self.a[which], self.b[which], self.preferred[which], self.answers[which])


def thurstone(
    counts: Mapping[tuple[str, str], tuple[int, int]],
    *,
    seed: int,
    holdout: float = 0.05,
    penalty: float = 1.0,
    resamples: int = 100,
) -> Utilities:
    """Fit U(o) ~ N(mu_o, sd_o^2) to choices between pairs.

        P(A > B) = Phi((mu_A - mu_B) / sqrt(sd_A^2 + sd_B^2))

    `counts` maps (shown first, shown second) to how often the first and how often the second was chosen.
    Ask every pair in both orders: the share that preferred A is the mean of the shares in the two orders,
    each weighing the same, so that a liking for what comes first cancels. Pairs asked in one order are
    used as they are and counted in `one_order`. The order effect is the mean over pairs asked in both
    of (share of the first shown) - 1/2.

    The fit minimises  sum_pairs n CE(p, P) + penalty / 2 (sum mu^2 + sum s^2),  with CE in nats, n the
    answers to the pair and s = ln sd^2: standard normal priors for `penalty` 1, which keep the fit
    finite where one option always wins. mu is then standardised (mean 0, population deviation 1), and sd
    put on the same scale.

    Coherence is the accuracy on pairs held out of another fit (`holdout` of them, drawn with
    `default_rng(seed)`): how often the option of higher mu is the one preferred. Pairs preferred half
    and half are left out, as are those whose options no other pair links. Its detail holds `n` and
    `cross_entropy`, in nats. Undefined where fewer than 5 pairs are left: hold out more. Utilities are
    undefined without answers, where the options fall into groups never compared with each other, and
    where all come out alike.

    Each score has a 95 % bootstrap `interval` over pairs: that of the order effect over pairs asked in both
    orders, that of coherence over the pairs tested, and those of the utilities over all pairs, each with its
    answers; for these every one of the `resamples` is fitted and standardised anew, which takes milliseconds,
    and is undefined where it leaves options that are not compared. 0 resamples leave them out, with a `reason`.

    Source: Mazeika et al., Utility Engineering (arXiv 2502.08640; `centerforaisafety/emergent-values`), which
    fits with Adam and no penalty; the model is Thurstone's (A Law of Comparative Judgment, 1927), case III.

    Raises ValueError where an option meets itself, a count is negative, not whole or above 10^9, `holdout`
    is not in [0, 1), `penalty` is not above 0, or `resamples` is below 0.
    """
    if resamples < 0:
        raise ValueError(f"resamples needs at least 0, not {resamples}")
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout needs a share from 0 to below 1, not {holdout!r}")
    if not (penalty > 0 and math.isfinite(penalty)):
        raise ValueError(f"penalty needs a finite number above 0, not {penalty!r}")
    names = sorted({name for pair in counts for name in pair})
    pairs, effects = _pairs(counts, {name: index for index, name in enumerate(names)})
    answers = np.bincount(pairs.a, pairs.answers, len(names)) + np.bincount(
        pairs.b, pairs.answers, len(names)
    )
    reason = _unfit(pairs, len(names)) if names else None
    mu, s = (np.zeros(0), np.zeros(0)) if reason or not names else _fit(pairs, len(names), penalty)
    if names and not reason and mu.std() <= _SAME:
        reason = "every option is liked alike"
    if reason or not names:
        found = {
            name: Score.undefined(
                str(reason),
                sd=None,
                answers=int(answers[place]),
                interval=no_interval(str(reason), over="pairs", n=len(pairs.a)),
            )
            for place, name in enumerate(names)
        }
    else:
        spread, values = float(mu.std()), (mu - mu.mean()) / mu.std()
        intervals = _intervals(pairs, values, (mu, s), penalty, resamples, seed)
        found = {
            name: Score(
                float(values[place]),
                detail={
                    "sd": float(np.exp(s[place] / 2) / spread),
                    "answers": int(answers[place]),
                    "interval": intervals[place],
                },
            )
            for place, name in enumerate(names)
        }
    around = interval_of(sorted(effects), over="pairs", seed=seed)
    order_effect = (
        Score(math.fsum(effects) / len(effects), detail={"pairs": len(effects), "interval": around.beside()})
        if effects
        else Score.undefined("no pair was asked in both orders", pairs=0, interval=around.beside())
    )
    return Utilities(
        utilities=found,
        ranking=_ranking(found),
        coherence=_coherence(pairs, len(names), seed, holdout, penalty),
        order_effect=order_effect,
        pairs=len(pairs.a),
        one_order=len(pairs.a) - len(effects),
    )


def _pairs(
    counts: Mapping[tuple[str, str], tuple[int, int]], place: Mapping[str, int]
) -> tuple[_Pairs, list[float]]:
    for (one, other), chosen in counts.items():
        if one == other:
            raise ValueError(f"{one!r} is compared with itself")
        if len(chosen) != 2 or any(type(count) is not int or count < 0 for count in chosen):
            raise ValueError(
                f"counts of {one!r} before {other!r}: two whole numbers of at least 0, not {chosen!r}"
            )
        if max(chosen) > _MOST:
            raise ValueError(f"counts of {one!r} before {other!r}: 10^9 at most")
    columns: list[tuple[int, int, float, int]] = []
    effects: list[float] = []
    for one, other in sorted({(min(pair), max(pair)) for pair in counts}):
        ahead, behind = counts.get((one, other), (0, 0)), counts.get((other, one), (0, 0))
        firsts = [each[0] / sum(each) if sum(each) else None for each in (ahead, behind)]
        shares = [
            share for share in (firsts[0], None if firsts[1] is None else 1 - firsts[1]) if share is not None
        ]
        if not shares:
            continue
        if firsts[0] is not None and firsts[1] is not None:
            effects.append((firsts[0] + firsts[1]) / 2 - 0.5)
        columns.append((place[one], place[other], sum(shares) / len(shares), sum(ahead) + sum(behind)))
    a, b, preferred, answers = zip(*columns, strict=True) if columns else ((), (), (), ())
    return (
        _Pairs(
            np.array(a, np.intp), np.array(b, np.intp), np.array(preferred, float), np.array(answers, float)
        ),
        effects,
    )


def _groups(pairs: _Pairs, options: int) -> NDArray[np.intp]:
    links = coo_array((np.ones(len(pairs.a)), (pairs.a, pairs.b)), shape=(options, options))
    labels: NDArray[np.intp] = connected_components(links, directed=False)[1]
    return labels


def _unfit(pairs: _Pairs, options: int) -> str | None:
    if not len(pairs.a):
        return "no comparison was answered"
    groups = int(_groups(pairs, options).max()) + 1
    return None if groups == 1 else f"the options fall into {groups} groups that were never compared"


def _z(mu: _Floats, s: _Floats, pairs: _Pairs) -> tuple[_Floats, _Floats]:
    width = np.exp(s[pairs.a]) + np.exp(s[pairs.b])
    return (mu[pairs.a] - mu[pairs.b]) / np.sqrt(width), width


def _cross_entropies(z: _Floats, preferred: _Floats) -> _Floats:
    nats: _Floats = -(preferred * log_ndtr(z) + (1 - preferred) * log_ndtr(-z))
    return nats


def _intervals(
    pairs: _Pairs,
    values: _Floats,
    fitted: tuple[_Floats, _Floats],
    penalty: float,
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the interval of each utility, over the pairs; resamples are fitted from where all pairs lead."""
    n, options = len(pairs.a), len(values)
    few = "no resamples were asked for" if not resamples else "an interval needs two pairs" if n < 2 else None
    if few:
        return [no_interval(few, over="pairs", n=n)] * options
    draw, told = np.random.default_rng(seed), np.full((resamples, options), np.nan)
    for row in told:
        drawn = pairs[np.sort(draw.integers(n, size=n))]
        if _unfit(drawn, options) is None:
            mu, _ = _fit(drawn, options, penalty, fitted)
            if mu.std() > _SAME:
                row[:] = (mu - mu.mean()) / mu.std()
    return [
        summarised(float(value), told[:, place], n, over="pairs").beside()
        for place, value in enumerate(values)
    ]


def _fit(
    pairs: _Pairs, options: int, penalty: float, start: tuple[_Floats, _Floats] | None = None
) -> tuple[_Floats, _Floats]:
    first = np.zeros(2 * options) if start is None else np.concatenate(start)

    def loss(flat: _Floats) -> tuple[float, _Floats]:
        mu, s = flat[:options], flat[options:]
        z, width = _z(mu, s, pairs)
        nats = pairs.answers @ _cross_entropies(z, pairs.preferred) + penalty / 2 * (flat @ flat)
        # phi / Phi by logarithms, which stays finite far out in the tails.
        log_phi = -(z**2) / 2 - math.log(2 * math.pi) / 2
        up, down = np.exp(log_phi - log_ndtr(z)), np.exp(log_phi - log_ndtr(-z))
        by_z = -pairs.answers * (pairs.preferred * up - (1 - pairs.preferred) * down)
        by_mu = by_z / np.sqrt(width)
        by_s = -by_z * z / (2 * width)
        slope = np.concatenate(
            [
                np.bincount(pairs.a, by_mu, options) - np.bincount(pairs.b, by_mu, options),
                np.bincount(pairs.a, by_s * np.exp(s[pairs.a]), options)
                + np.bincount(pairs.b, by_s * np.exp(s[pairs.b]), options),
            ]
        )
        return float(nats), slope + penalty * flat

    bounds = [(-50.0, 50.0)] * options + [(-20.0, 20.0)] * options
    with one_thread():
        best = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2000})
    flat: _Floats = best.x
    return flat[:options], flat[options:]


def _coherence(pairs: _Pairs, options: int, seed: int, holdout: float, penalty: float) -> Score:
    shuffled = np.random.default_rng(seed).permutation(len(pairs.a))
    held, kept = np.split(shuffled, [round(holdout * len(shuffled))])
    group = _groups(pairs[kept], options) if len(kept) else np.arange(options)
    tested = pairs[held]
    usable = (np.abs(tested.preferred - 0.5) > _SAME) & (group[tested.a] == group[tested.b])
    tested = tested[np.flatnonzero(usable)]
    n = len(tested.a)
    detail = {"n": n, "held_out": len(held), "cross_entropy": None}
    if n < _FEWEST_HELD_OUT:
        reason = f"{n} of the pairs held out can be tested, fewer than {_FEWEST_HELD_OUT}"
        return Score.undefined(reason, **detail, interval=no_interval(reason, over="pairs", n=n))
    mu, s = _fit(pairs[kept], options, penalty)
    z, _ = _z(mu, s, tested)
    # A prediction of one half is half right.
    right = np.where(np.abs(z) < _SAME, 0.5, (z > 0) == (tested.preferred > 0.5))
    nats = float(np.mean(_cross_entropies(z, tested.preferred)))
    interval = interval_of(right.tolist(), over="pairs", seed=seed).beside()
    return Score(float(right.mean()), detail={**detail, "cross_entropy": nats, "interval": interval})
