"""Running counts over preferences: whose side they take, how long they are, and a sample of them."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

from multiplex.dataset.pair_files import Preference
from multiplex.dataset.rows import BadRow
from multiplex.errors import ContentError
from multiplex.scoring.discretion import Case
from multiplex.scoring.inequity import value_inequity
from multiplex.scoring.intervals import Estimate
from multiplex.scoring.score import Score

__all__ = ["Counts"]

_MOST_RULES, _MOST_PERSONAS, _MOST_SHOWN = 100, 1_000, 20

_OTHER = "other rules"
_LEVEL = 0.95
_Z = NormalDist().inv_cdf((1 + _LEVEL) / 2)


@dataclass(slots=True)
class _Mean:
    """A mean of numbers that are not kept, with its normal interval."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.n, self.total, self.squares = self.n + 1, self.total + value, self.squares + value * value

    def score(self, over: str, missing: str, *, within: tuple[float, float] = (-math.inf, math.inf)) -> Score:
        if not self.n:
            return Score.undefined(missing, interval=None)
        mean = self.total / self.n
        low = high = reason = None
        if self.n > 1:
            spread = max(self.squares - self.n * mean * mean, 0.0) / (self.n - 1)
            reach = _Z * math.sqrt(spread / self.n)
            low, high = max(within[0], mean - reach), min(within[1], mean + reach)
        else:
            reason = f"an interval needs two {over}"
        return _scored(mean, low, high, self.n, "normal", over, reason)


def _share(some: int, n: int, missing: str, *, over: str = "pairs", **detail: Any) -> Score:
    """Return some / n with its Wilson interval."""
    if not n:
        return Score.undefined(missing, **detail, interval=None)
    share, z2 = some / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = max(0.0, centre - reach), min(1.0, centre + reach)
    return _scored(share, min(low, share), max(high, share), n, "wilson", over, None, **detail)


def _scored(
    value: float,
    low: float | None,
    high: float | None,
    n: int,
    method: str,
    over: str,
    reason: str | None,
    **detail: Any,
) -> Score:
    around = Estimate(Score(value), low, high, _LEVEL, n, 0, 0, reason, method, over)
    return Score(value, detail={**detail, "interval": around.beside()})


@dataclass(slots=True)
class _Person:
    """What was decided of one persona's sides."""

    won: int = 0
    lost: int = 0
    indifferent: int = 0
    taken: int = 0
    conflicts: int = 0
    chosen: _Mean = field(default_factory=_Mean)
    rejected: _Mean = field(default_factory=_Mean)

    def summary(self) -> dict[str, Any]:
        sides, nobody = self.won + self.lost, "endorsed none of these texts"
        return {
            "with": self.won,
            "against": self.lost,
            "indifferent": self.indifferent,
            "win_rate": _share(self.won, sides, "takes no side"),
            "supremacy": _share(
                self.taken,
                self.conflicts,
                "takes a side in no conflict",
                taken=self.taken,
                conflicts=self.conflicts,
            ),
            "endorsement_of_chosen": self.chosen.score("ballots", nobody, within=(1, 7)),
            "endorsement_of_rejected": self.rejected.score("ballots", nobody, within=(1, 7)),
        }


class _Tally:
    """`discretion` in running counts: no case is kept."""

    def __init__(self) -> None:
        self.kinds = {"consensus": 0, "conflict": 0, "indifference": 0}
        self.consensus = {"with": 0, "against": 0}
        self.conflict = {"majority": 0, "minority": 0, "even": 0}
        self.complete = self.longer = self.unequal = 0
        self.people: dict[str, _Person] = {}
        self.against: list[str] = []

    @property
    def cases(self) -> int:
        return sum(self.kinds.values())

    def add(self, pair: Preference) -> None:
        """Count a pair whose sides are known."""
        sides, ballots = pair.sides, pair.ballots
        case = Case("chosen", "rejected", sides)
        self.kinds[case.kind] += 1
        votes = Counter(sides.values())
        ahead = votes["chosen"] - votes["rejected"]
        if case.kind == "consensus":
            self.consensus["against" if case.contradicts else "with"] += 1
            self.complete += None not in votes
            if case.contradicts and len(self.against) < _MOST_SHOWN:
                self.against.append(pair.where)
        elif case.kind == "conflict":
            self.conflict["majority" if ahead > 0 else "minority" if ahead < 0 else "even"] += 1
        more = len(pair.chosen) - len(pair.rejected)
        self.longer += votes["chosen" if more > 0 else "rejected"] if more else 0
        self.unequal += votes["chosen"] + votes["rejected"] if more else 0
        for name, side in sides.items():
            person = self._person(name)
            person.won += side == "chosen"
            person.lost += side == "rejected"
            person.indifferent += side is None
            if case.kind == "conflict" and side is not None:
                person.conflicts += 1
                person.taken += side == "chosen"
        for name, given in ballots["chosen"].items():
            self._person(name).chosen.add(given)
        for name, given in ballots["rejected"].items():
            self._person(name).rejected.add(given)

    def _person(self, name: str) -> _Person:
        if name not in self.people:
            if len(self.people) >= _MOST_PERSONAS:
                raise ContentError(
                    f"more than {_MOST_PERSONAS:,} personas endorse: these are no personas of a panel"
                )
            self.people[name] = _Person()
        return self.people[name]

    def summary(self) -> dict[str, Any]:
        """Return discretion and inequity over personas."""
        people = {name: person.summary() for name, person in sorted(self.people.items())}
        groups = {"persona": {name: name for name in people}}
        missing = "there is no case of consensus" if self.cases else "there is no case"
        of = {
            "endorsement_of_chosen": ("endorsement, 1 to 7", "nobody's endorsement is known"),
            "win_rate": ("share of pairs, 0 to 1", "nobody takes a side"),
        }
        inequity = {
            name: value_inequity({who: each[name] for who, each in people.items()}, groups, unit=unit)
            if people
            else Score.undefined(why, unit=unit)
            for name, (unit, why) in of.items()
        }
        return {
            "discretion": {
                "cases": self.kinds,
                "decided": {"consensus": self.consensus, "conflict": self.conflict},
                "arbitrariness": _share(
                    self.consensus["against"], self.kinds["consensus"], missing, complete=self.complete
                ),
                "against": self.against,
                "longer_preferred": _share(
                    self.longer,
                    self.unequal,
                    "nobody takes a side on texts of different length",
                    over="sides",
                ),
                "personas": people,
            },
            "inequity": inequity,
        }


class _Length:
    """How long what was chosen is, against what was rejected."""

    def __init__(self) -> None:
        self.sizes = {m: {"chosen": _Mean(), "rejected": _Mean()} for m in ("characters", "words")}
        self.difference = _Mean()
        self.longer = self.shorter = self.equal = 0

    def add(self, pair: Preference) -> None:
        for side, text in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            self.sizes["characters"][side].add(len(text))
            self.sizes["words"][side].add(len(text.split()))
        more = len(pair.chosen) - len(pair.rejected)
        self.difference.add(more)
        self.longer, self.shorter = self.longer + (more > 0), self.shorter + (more < 0)
        self.equal += more == 0

    def summary(self) -> dict[str, Any]:
        missing = "no two texts differ"
        return {
            **{
                measure: {side: mean.score("pairs", missing) for side, mean in sides.items()}
                for measure, sides in self.sizes.items()
            },
            "difference": self.difference.score("pairs", missing),
            "longer_wins": _share(
                self.longer,
                self.longer + self.shorter,
                "no two texts differ in length",
                longer=self.longer,
                shorter=self.shorter,
                equal=self.equal,
            ),
        }


class _Part:
    """The counts of all pairs, or of those of one rule."""

    def __init__(self) -> None:
        self.pairs = 0
        self.tally, self.length = _Tally(), _Length()

    def summary(self) -> dict[str, Any]:
        return {"pairs": self.pairs, **self.tally.summary(), "length": self.length.summary()}


class Counts:
    """One pass over a set: counts, and a sample of its pairs (a reservoir: Vitter's algorithm R)."""

    def __init__(self, sample: int, seed: int) -> None:
        self.rows = self.pairs = self.identical = 0
        self.skipped: Counter[str] = Counter()
        self.reasons: list[str] = []
        self.whole = _Part()
        self.parts: dict[str, _Part] = {}
        self._sample, self._draw = sample, random.Random(seed)  # noqa: S311 (a sample is no secret)
        self._kept: list[tuple[int, Preference]] = []

    @property
    def kept(self) -> list[Preference]:
        """Return the sample, in the order of the set."""
        return [pair for _, pair in sorted(self._kept, key=lambda each: each[0])]

    def add(self, where: str, entry: Preference | BadRow) -> None:
        """Count a row."""
        self.rows += 1
        if isinstance(entry, BadRow):
            self.skipped[entry.kind] += 1
            if len(self.reasons) < _MOST_SHOWN:
                self.reasons.append(f"{where}: {entry}")
            return
        if entry.chosen == entry.rejected:
            self.identical += 1
            return
        self.pairs += 1
        for part in self.both(entry):
            part.pairs += 1
            part.length.add(entry)
            if entry.sides:
                part.tally.add(entry)
        if len(self._kept) < self._sample:
            self._kept.append((self.pairs, entry.shortened()))
        elif (place := self._draw.randrange(self.pairs)) < self._sample:
            self._kept[place] = (self.pairs, entry.shortened())

    def both(self, pair: Preference) -> Iterator[_Part]:
        """Yield the counts of all pairs, and those of the pair's rule."""
        yield self.whole
        if pair.rule is not None:
            rule = pair.rule if pair.rule in self.parts or len(self.parts) < _MOST_RULES else _OTHER
            yield self.parts.setdefault(rule, _Part())
