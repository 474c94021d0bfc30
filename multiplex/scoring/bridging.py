"""Bridging: which statements bring together those who otherwise disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from multiplex.blas import one_thread
from multiplex.scoring.intervals import no_interval
from multiplex.scoring.panel_intervals import jackknife
from multiplex.scoring.polis import Votes, tabulate, vote_table
from multiplex.scoring.score import Score, plain

__all__ = ["CommunityNotes", "Note", "Rater", "Ratings", "community_notes", "pairwise_bridging"]

_Array = NDArray[np.float64]

Ratings = Mapping[str, Mapping[str, float | None]]
"""Rater -> note -> how helpful, from 0 (no) over 0.5 (somewhat) to 1 (yes); None for no rating."""

_CELLS = 1_000_000
"""How many pairs of voters are compared at once, so that memory stays bounded."""

_SIDE = 1e-3  # how far from 0 a factor lies that is on a side

Status = Literal["helpful", "not helpful", "needs more ratings"]


@dataclass(frozen=True, slots=True)
class Note:
    """A note (or statement): its bridging score, its side, and what both make of it."""

    intercept: Score
    factor: float | None
    status: Status


@dataclass(frozen=True, slots=True)
class Rater:
    """A rater's leniency and side; None where the rater rated no note that was fitted."""

    intercept: float | None
    factor: float | None


@dataclass(frozen=True, slots=True)
class CommunityNotes:
    """The fitted model; `fit` holds the mean squared error of its predictions, or why there is none."""

    fit: Score
    notes: Mapping[str, Note]
    raters: Mapping[str, Rater]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


def pairwise_bridging(votes: Votes) -> dict[str, Score]:
    """Return for each statement how far those who approve of it disagree elsewhere, in [0, 1] without gaps.

        b(c) = (4 / n^2) (p / q) sum over pairs i < j that both approve c and can be compared of d_ij

    n is the number who voted on c, passes included; d_ij in [0, 1] is the mean of |v_i - v_j| / 2 over the
    other statements that both voted on, so agree against disagree counts 1 and a pass against either 1/2.
    p is the number of pairs that both approve, q of those the ones with another statement in common; the
    others are taken to be as far apart as these on average, and counted in `unknown_pairs`, beside `pairs`,
    `approve` and `n`. 1 is reached where two equal camps that differ on everything else both approve; a
    camp that agrees with itself in all gives 0, and so does a statement that fewer than two approve. Where
    ballots have gaps the value can exceed 1, but not 2. Undefined where fewer than two voted on c, or where
    more than half of the approving pairs are unknown. `interval` is a jackknife's over the voters, each left
    out once (a bootstrap would draw voters twice, who then agree with themselves); None with a `reason` below
    three voters, and where the value is undefined without one of them.

    The sum over pairs is a published bridging measure; that d_ij leaves out c, counts a pass as half, takes
    n statement by statement, and p / q are the choices made here. Time grows with the square of the voters
    (times statements); they are compared a block of rows at a time, so that memory grows with the table alone.

    Raises ValueError where a vote is not 1, 0, -1 or None.
    """
    table = vote_table(votes)
    cells = ((table.values == 1), (table.values == 0), (table.values == -1), ~np.isnan(table.values))
    agree, passed, disagree, seen = (each.astype(float) for each in cells)
    voted = agree + disagree
    # What each voter adds to the sum over pairs, and to the pairs that can be compared, of each statement.
    parts, known_parts = np.zeros(table.values.shape), np.zeros(table.values.shape)
    size = max(1, _CELLS // max(1, len(table.rows)))
    for start in range(0, len(table.rows), size):
        rows = slice(start, start + size)
        # Two who both approve c do not differ on c, so only the number of common statements leaves c out.
        common = seen[rows] @ seen.T - 1
        differing = agree[rows] @ disagree.T + disagree[rows] @ agree.T
        differing += (passed[rows] @ voted.T + voted[rows] @ passed.T) / 2
        distance = np.divide(differing, common, out=np.zeros_like(common), where=common > 0)
        known = (common > 0).astype(float)
        known[np.arange(len(known)), start + np.arange(len(known))] = 0  # nobody is compared with itself
        parts[rows] = distance @ agree * agree[rows]
        known_parts[rows] = known @ agree * agree[rows]
    # Over all voters each sum meets a pair twice, as i, j and as j, i.
    sums, compared = parts.sum(axis=0) / 2, known_parts.sum(axis=0) / 2
    n, approve = seen.sum(axis=0), agree.sum(axis=0)
    without = _bridges(sums - parts, n - seen, approve - agree, compared - known_parts)
    most = 1.0 if seen.all() else 2.0
    return {
        statement: _bridge(
            float(sums[i]), int(n[i]), int(approve[i]), round(compared[i]), without[seen[:, i] > 0, i], most
        )
        for i, statement in enumerate(table.columns)
    }


def _bridges(total: _Array, n: _Array, approve: _Array, compared: _Array) -> _Array:
    """Return the bridging scores of many statements at once, NaN where undefined."""
    pairs = approve * (approve - 1) / 2
    # Differences of sums may miss 0 by their last bits.
    found: _Array = 4 * np.maximum(total, 0) * pairs / np.maximum(compared, 1) / np.maximum(n, 1) ** 2
    return np.where((n < 2) | (2 * np.round(compared) < pairs), np.nan, found)


def _bridge(total: float, n: int, approve: int, compared: int, without: _Array, most: float) -> Score:
    pairs = approve * (approve - 1) // 2
    detail = {"n": n, "approve": approve, "pairs": pairs, "unknown_pairs": pairs - compared}
    reason = None
    if n < 2:
        reason = "one vote makes no pair"
    elif pairs and not compared:
        reason = "those who approve have no other statement in common"
    elif 2 * compared < pairs:
        reason = f"{pairs - compared} of {pairs} approving pairs have no other statement in common"
    if reason:
        return Score.undefined(reason, **detail, interval=no_interval(reason, over="voters", n=n))
    value = float(_bridges(*(np.array(each, float) for each in (total, n, approve, compared))))
    if n > 2 and np.isnan(without).any():
        interval = no_interval("undefined without one of the voters", over="voters", n=n)
    else:
        interval = jackknife(value, without.tolist(), n, most=most, over="voters").beside()
    return Score(value, detail={**detail, "interval": interval})


def community_notes(
    ratings: Ratings,
    *,
    seed: int,
    starts: int = 10,
    least_ratings: int = 5,
    intercept_penalty: float = 0.15,
    factor_penalty: float = 0.03,
    penalty: Literal["mean", "sum"] = "mean",
) -> CommunityNotes:
    """Fit r = mu + i_u + i_n + f_u f_n; a note's intercept i_n is its bridging score.

    What raters of one side like is left to the factors, because intercepts cost five times as much; the
    intercept is what raters of both sides share. With N ratings of U raters and M notes the fit minimises

        mean: sum (r - r')^2 + N (l_i (mu^2 + mean i_u^2 + mean i_n^2) + l_f (mean f_u^2 + mean f_n^2))
        sum:  sum (r - r')^2 +    l_i (mu^2 + sum i_u^2 + sum i_n^2) + l_f (sum f_u^2 + sum f_n^2)

    `mean` is what the public code does, and does not depend on size; `sum` is the formula as documented.
    L-BFGS with the exact gradient, once from the leading singular vectors and `starts` - 1 times from
    factors drawn with `seed`; the least loss is taken. The sign of the factors means nothing in itself:
    the largest factor of a note is made positive. The fit's detail holds `mu`, `loss`, `converged`,
    `same_loss` (how many starts came to this loss; few ratings have several minima), `ratings`, `raters`,
    `notes`, and `two_sides`: whether raters were found on both sides of 0. Where they were not, as when
    everybody likes everything, the cheaper factor has taken on what all share, and intercepts say little.

    Status: helpful where i_n >= 0.40 and |f_n| < 0.50; not helpful where i_n < -0.05 - 0.8 |f_n|; else
    needs more ratings. This is the core rule without rater helpfulness, tags, uncertainty and hysteresis.
    A note with fewer than `least_ratings` is left out of the fit and its intercept undefined; all are
    where fewer than two notes or raters remain. For ratings in [0, 1] intercepts lie within about (-1, 1).

    Source: Wojcik et al. 2022, Birdwatch, arXiv 2210.15723; X, Community Notes guide, "Note ranking
    algorithm", and `scoring/matrix_factorization` (twitter/communitynotes).

    Raises ValueError for a rating outside [0, 1] and for options that make no sense.
    """
    if starts < 1 or least_ratings < 1 or not (intercept_penalty > 0 and factor_penalty > 0):
        raise ValueError("starts and least_ratings need at least 1, and penalties a number above 0")
    if penalty not in ("mean", "sum"):
        raise ValueError(f"penalty needs 'mean' or 'sum', not {penalty!r}")
    table = tabulate(ratings, what="rating")
    given = ~np.isnan(table.values)
    wrong = np.argwhere(given & ~((table.values >= 0) & (table.values <= 1)))
    if len(wrong):
        row, column = wrong[0]
        where = f"rating of {table.rows[row]!r} on {table.columns[column]!r}"
        raise ValueError(f"{where}: needs a number from 0 to 1, not {table.values[row, column]:g}")
    counts = given.sum(axis=0)
    enough = counts >= least_ratings
    active = np.atleast_1d(given[:, enough].any(axis=1))
    size = {"ratings": int(given[:, enough].sum()), "raters": int(active.sum()), "notes": int(enough.sum())}
    notes = {name: _unfitted(int(n), least_ratings) for name, n in zip(table.columns, counts, strict=True)}
    raters = dict.fromkeys(table.rows, Rater(None, None))
    if size["raters"] < 2 or size["notes"] < 2:
        reason = f"{size['notes']} notes with {least_ratings} ratings or more: viewpoints need two"
        if size["notes"] > 1:
            reason = "one rater shows no viewpoints"
        notes = {name: _unfitted(int(counts[i]), least_ratings, reason) for i, name in enumerate(notes)}
        return CommunityNotes(Score.undefined(reason, **size), notes, raters)
    values = table.values[np.ix_(active, enough)]
    weights = _weights(values, intercept_penalty, factor_penalty, penalty)
    with one_thread():
        solution, runs = _best(values, weights, starts, np.random.default_rng(seed))
    for name, i, f in zip(_of(table.columns, enough), solution.note, solution.note_factor, strict=True):
        n = int(counts[table.columns.index(name)])
        notes[name] = Note(Score(float(i), detail={"ratings": n}), float(f), _status(float(i), float(f)))
    for name, i, f in zip(_of(table.rows, active), solution.rater, solution.rater_factor, strict=True):
        raters[name] = Rater(float(i), float(f))
    residual = values - solution.predict()
    sides = solution.rater_factor
    two_sides = bool(sides.min() < -_SIDE and sides.max() > _SIDE)
    detail = {"mu": solution.mu, **runs, **size, "two_sides": two_sides, "penalty": penalty}
    fit = Score(float(np.nanmean(residual**2)), detail=detail)
    return CommunityNotes(fit, notes, raters)


def _unfitted(n: int, least: int, reason: str | None = None) -> Note:
    few = f"{n} ratings: a status needs {least}"
    return Note(
        Score.undefined(few if n < least or reason is None else reason, ratings=n), None, "needs more ratings"
    )


def _status(intercept: float, factor: float) -> Status:
    if intercept >= 0.40 and abs(factor) < 0.50:
        return "helpful"
    return "not helpful" if intercept < -0.05 - 0.8 * abs(factor) else "needs more ratings"


def _of(names: tuple[str, ...], chosen: NDArray[np.bool_]) -> list[str]:
    return [name for name, keep in zip(names, chosen, strict=True) if keep]


class _Weights(NamedTuple):
    """What a squared parameter of each kind costs."""

    mu: float
    rater: float
    note: float
    rater_factor: float
    note_factor: float


def _weights(values: _Array, intercept: float, factor: float, penalty: Literal["mean", "sum"]) -> _Weights:
    if penalty == "sum":
        return _Weights(intercept, intercept, intercept, factor, factor)
    n = float((~np.isnan(values)).sum())
    per_rater, per_note = n / values.shape[0], n / values.shape[1]
    return _Weights(
        intercept * n, intercept * per_rater, intercept * per_note, factor * per_rater, factor * per_note
    )


class _Parameters(NamedTuple):
    mu: float
    rater: _Array
    note: _Array
    rater_factor: _Array
    note_factor: _Array

    def predict(self) -> _Array:
        crossed: _Array = self.rater_factor[:, None] * self.note_factor
        return crossed + (self.mu + self.rater)[:, None] + self.note


def _unpack(flat: _Array, raters: int, notes: int) -> _Parameters:
    ends = np.cumsum([1, raters, notes, raters])
    mu, rater, note, rater_factor, note_factor = np.split(flat, ends)
    return _Parameters(float(mu[0]), rater, note, rater_factor, note_factor)


def _best(
    values: _Array, weights: _Weights, starts: int, rng: np.random.Generator
) -> tuple[_Parameters, dict[str, Any]]:
    given = ~np.isnan(values)
    there, filled = given.astype(float), np.where(given, values, 0.0)
    raters, notes = values.shape
    total, by_rater, by_note = float((filled**2).sum()), filled.sum(axis=1), filled.sum(axis=0)
    w = weights

    def loss(flat: _Array) -> tuple[float, _Array]:
        at = _unpack(flat, raters, notes)
        base, fu, fn = at.mu + at.rater, at.rater_factor, at.note_factor
        # The sums of the errors e = r' - r, without ever writing down the matrix of errors.
        ones, own, f, crossed, squared = (there @ _stack(at.note, fn)).T
        liked = filled @ fn
        e_rater = base * ones + own + fu * f - by_rater
        e_rater_f = base * f + crossed + fu * squared - liked
        ones, own, f, crossed, squared = _stack(base, fu).T @ there
        e_note = own + at.note * ones + fn * f - by_note
        e_note_f = crossed + at.note * f + fn * squared - fu @ filled
        # sum e^2 = sum e r' - sum r r' + sum r^2
        error = base @ e_rater + at.note @ e_note + fu @ e_rater_f
        error += total - base @ by_rater - at.note @ by_note - fu @ liked
        cost = w.mu * at.mu**2 + w.rater * (at.rater @ at.rater) + w.note * (at.note @ at.note)
        cost += w.rater_factor * (fu @ fu) + w.note_factor * (fn @ fn)
        slope = (
            np.atleast_1d(e_rater.sum() + w.mu * at.mu),
            e_rater + w.rater * at.rater,
            e_note + w.note * at.note,
            e_rater_f + w.rater_factor * fu,
            e_note_f + w.note_factor * fn,
        )
        return float(error + cost), 2 * np.concatenate(slope)

    found = []
    for number in range(starts):
        factors = rng.normal(scale=0.5, size=raters + notes) if number else _singular(values)
        start = np.concatenate([np.zeros(1 + raters + notes), factors])
        # Tolerances far below the default: the intercepts shall not depend on the start.
        options = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-15, "gtol": 1e-7}
        found.append(minimize(loss, start, jac=True, method="L-BFGS-B", options=options))
    least = min(found, key=lambda run: float(run.fun))
    at = _unpack(least.x, raters, notes)
    sign = 1.0 if at.note_factor[np.abs(at.note_factor).argmax()] >= 0 else -1.0
    slope = float(np.abs(least.jac).max())
    runs = {
        "loss": float(least.fun),
        "converged": slope <= 1e-4 * max(1.0, float(given.sum(axis=0).max())),
        "same_loss": sum(float(run.fun) - float(least.fun) <= 1e-6 * max(1.0, least.fun) for run in found),
    }
    return at._replace(rater_factor=sign * at.rater_factor, note_factor=sign * at.note_factor), runs


def _stack(intercept: _Array, factor: _Array) -> _Array:
    ones = np.ones_like(factor)
    return np.stack([ones, intercept, factor, intercept * factor, factor**2], axis=1)


def _singular(values: _Array) -> _Array:
    """Return the leading singular vectors of what the means of raters and notes leave over."""
    rest = values - np.nanmean(values)
    rest = rest - np.nanmean(rest, axis=0)
    rest = np.nan_to_num(rest - np.nanmean(rest, axis=1)[:, None])
    left, strengths, right = np.linalg.svd(rest, full_matrices=False)
    size = float(np.sqrt(strengths[0])) + 1e-3  # not 0, where the gradient of both factors vanishes
    return np.concatenate([left[:, 0], right[0]]) * size
