"""How a panel's stances moved: spread in each round, who moved towards whom, and what was lost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from multiplex.scoring.entropy import generalised_jsd, js_distance, shannon_entropy, total_variation
from multiplex.scoring.score import Score, plain
from multiplex.scoring.stances import Stances, mean_shares, options_named, stated

__all__ = ["Dynamics", "Spread", "dynamics"]

_Shares = Mapping[str, tuple[float, ...]]
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """One round: the mean stance, and three measures of spread, each in [0, 1].

    `entropy` of the mean stance is high both where personas differ and where each is torn;
    `disagreement` holds the first alone; `diversity` is the mean distance of two personas.
    """

    round: int
    n: int
    abstained: int
    mean: Mapping[str, float] | None
    entropy: Score
    diversity: Score
    disagreement: Score


@dataclass(frozen=True, slots=True)
class Dynamics:
    """The rounds, counted from 1, and the way from the first to the last.

    `moved`: for each persona the total variation distance between its first and last stance, in [0, 1],
    with `towards` (another persona, or None) and `closer_by`, the fall in distance to it.
    `erosion`: last minus first diversity, in [-1, 1]; below 0 the panel lost diversity.
    `gain`: last minus first mean support for the option that ends with the most, in [-1, 1].
    """

    options: tuple[str, ...]
    rounds: tuple[Spread, ...]
    moved: Mapping[str, Score]
    erosion: Score
    gain: Score

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


def dynamics(rounds: Sequence[Stances], *, options: Sequence[str] | None = None) -> Dynamics:
    """Follow stances (persona -> option -> share, None for none) from round to round.

        entropy      = H(mean stance) / ln K                     K options
        diversity    = mean over pairs of the Jensen-Shannon distance, base 2
        disagreement = (H(mean) - mean H(stance)) / ln min(n, K)   (generalised Jensen-Shannon)

    `options` is the fixed list; without it, the options that any stance names. What compares the first
    and the last round rests on the personas with a stance in both, so that nobody's silence looks like
    a move. A persona moved towards the one whose *first* stance it came closer to by most; of equals,
    the one that was nearest at the start, then by name. The gain's detail has `option`,
    `initial_support`, `final_support`, `led_at_start`, and `only_under_shift`: support grew, and as the
    same personas are compared, only because their stances moved (Carroll et al. 2024, DR-MDPs: judge an
    outcome under the first stances as well as the last).

    Undefined, with a reason: everything without two options or a stance; diversity and disagreement for
    one persona; comparisons with fewer than two rounds; the gain where two options end level.

    Raises ValueError where a stance is not a distribution over the options.
    """
    listed = tuple(options_named(rounds) if options is None else options)
    shares = [stated(stances, listed) for stances in rounds]
    first, last = (shares[0], shares[-1]) if len(rounds) > 1 else ({}, {})
    both = [persona for persona in first if persona in last]
    first, last = {who: first[who] for who in both}, {who: last[who] for who in both}
    everyone = dict.fromkeys(persona for stances in rounds for persona in stances)
    return Dynamics(
        options=listed,
        rounds=tuple(
            _spread(number, each, len(stances) - len(each), listed)
            for number, (each, stances) in enumerate(zip(shares, rounds, strict=True), start=1)
        ),
        moved={persona: _moved(persona, first, last, listed) for persona in everyone},
        erosion=_erosion(first, last, listed),
        gain=_gain(first, last, listed),
    )


def _spread(number: int, shares: _Shares, abstained: int, options: tuple[str, ...]) -> Spread:
    rows = list(shares.values())
    mean = mean_shares(rows) if rows and options else None
    entropy = diversity = disagreement = Score.undefined(
        _lack(rows, options) or "one persona differs from nobody"
    )
    if mean is not None and len(options) > 1:
        entropy = Score(min(shannon_entropy(mean) / math.log(len(options)), 1.0))
        if len(rows) > 1:
            diversity = Score(_diversity(rows))
            disagreement = Score(generalised_jsd(rows))
    named = None if mean is None else dict(zip(options, mean, strict=True))
    return Spread(number, len(rows), abstained, named, entropy, diversity, disagreement)


def _lack(rows: Sequence[object], options: Sequence[str]) -> str | None:
    if len(options) < 2:
        return "there are no two options to choose between"
    return None if rows else "nobody took a stance"


def _diversity(rows: Sequence[tuple[float, ...]]) -> float:
    pairs = [js_distance(a, b) for a, b in combinations(rows, 2)]
    return math.fsum(pairs) / len(pairs)


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
    before, after = _diversity(list(first.values())), _diversity(list(last.values()))
    return Score(after - before, detail={"first": before, "last": after, "n": len(first)})


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
    return Score(
        final - initial,
        detail={
            "option": options[top[0]],
            "initial_support": initial,
            "final_support": final,
            "only_under_shift": final - initial > _NOTHING,
            "led_at_start": initial >= max(before) - _NOTHING,
            "n": len(first),
        },
    )
