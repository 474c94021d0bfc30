"""Running counts over preferences: whose side they take, how long they are, and a sample of them."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from multiplex.dataset.pair_files import Preference
from multiplex.dataset.rows import BadRow
from multiplex.dataset.running import Mean, Sample, rule_among, share
from multiplex.errors import ContentError
from multiplex.scoring.discretion import Case
from multiplex.scoring.inequity import value_inequity
from multiplex.scoring.score import Score

__all__ = ["Counts"]

_MOST_PERSONAS, _MOST_SHOWN = 1_000, 20


@dataclass(slots=True)
class _Person:
    """What was decided of one persona's sides."""

    won: int = 0
    lost: int = 0
    indifferent: int = 0
    taken: int = 0
    conflicts: int = 0
    chosen: Mean = field(default_factory=Mean)
    rejected: Mean = field(default_factory=Mean)

    def summary(self) -> dict[str, Any]:
        sides, nobody = self.won + self.lost, "endorsed none of these texts"
        return {
            "with": self.won,
            "against": self.lost,
            "indifferent": self.indifferent,
            "win_rate": share(self.won, sides, "takes no side"),
            "supremacy": share(
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
        self.complete = self.longer = self.unequal = self.unequal_pairs = 0
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
        sides_taken = votes["chosen"] + votes["rejected"] if more else 0
        self.unequal += sides_taken
        self.unequal_pairs += sides_taken > 0
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
                "arbitrariness": share(
                    self.consensus["against"], self.kinds["consensus"], missing, complete=self.complete
                ),
                "against": self.against,
                "longer_preferred": share(
                    self.longer,
                    self.unequal,
                    "nobody takes a side on texts of different length",
                    units=self.unequal_pairs,  # the sides of one pair are of the same two texts
                    sides=self.unequal,
                ),
                "personas": people,
            },
            "inequity": inequity,
        }


class _Length:
    """How long what was chosen is, against what was rejected."""

    def __init__(self) -> None:
        self.sizes = {m: {"chosen": Mean(), "rejected": Mean()} for m in ("characters", "words")}
        self.difference = Mean()
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
                measure: {
                    side: mean.score("pairs", missing, within=(0, math.inf)) for side, mean in sides.items()
                }
                for measure, sides in self.sizes.items()
            },
            "difference": self.difference.score("pairs", missing),
            "longer_wins": share(
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
    """One pass over a set: counts, and a sample of its pairs."""

    def __init__(self, sample: int, seed: int) -> None:
        self.rows = self.pairs = self.identical = self.nobodys = 0
        self.skipped: Counter[str] = Counter()
        self.reasons: list[str] = []
        self.whole = _Part()
        self.parts: dict[str, _Part] = {}
        self._sample = Sample[Preference](sample, seed)

    @property
    def kept(self) -> list[Preference]:
        """Return the sample, in the order of the set."""
        return self._sample.kept

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
        self.nobodys += entry.nobodys
        for part in self.both(entry):
            part.pairs += 1
            part.length.add(entry)
            if entry.sides:
                part.tally.add(entry)
        self._sample.offer(entry.shortened)

    def both(self, pair: Preference) -> Iterator[_Part]:
        """Yield the counts of all pairs, and those of the pair's rule."""
        yield self.whole
        if pair.rule is not None:
            yield self.parts.setdefault(rule_among(pair.rule, self.parts), _Part())
