"""Running counts over texts that are marked as desirable or not, without a pair, and a sample of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from multiplex.dataset.pair_files import Labelled
from multiplex.dataset.running import Mean, Sample, difference, rule_among
from multiplex.scoring.inequity import value_inequity
from multiplex.scoring.score import Score

__all__ = ["LabelCounts"]

Mark = Literal["desirable", "undesirable"]

_MARKS: tuple[Mark, Mark] = ("desirable", "undesirable")
_UNPAIRED = "the texts are marked one by one: without pairs nothing is decided between two"
_NO_PROMPT = "no text of this kind that was sampled stands with a prompt and was judged"


def _either() -> dict[Mark, Mean]:
    return {mark: Mean() for mark in _MARKS}


@dataclass(slots=True)
class _Part:
    """The lengths of all texts, or of those of one rule."""

    characters: dict[Mark, Mean] = field(default_factory=_either)
    words: dict[Mark, Mean] = field(default_factory=_either)

    def add(self, row: Labelled) -> None:
        mark = _mark(row)
        self.characters[mark].add(len(row.text))
        self.words[mark].add(len(row.text.split()))

    def summary(self) -> dict[str, Any]:
        missing = "no text is of this kind"
        return {
            "texts": {mark: mean.n for mark, mean in self.characters.items()},
            "length": {
                **{
                    name: {
                        mark: mean.score("texts", missing, within=(0, math.inf))
                        for mark, mean in sizes.items()
                    }
                    for name, sizes in (("characters", self.characters), ("words", self.words))
                },
                "difference": difference(
                    self.characters["desirable"],
                    self.characters["undesirable"],
                    "texts",
                    "all texts are of one kind",
                ),
                "longer_wins": Score.undefined(_UNPAIRED),
            },
        }


class LabelCounts:
    """One pass over an unpaired set: counts, and a sample of its texts."""

    def __init__(self, sample: int, seed: int) -> None:
        self.number = 0
        self._whole, self._parts = _Part(), dict[str, _Part]()
        self._people: dict[str, dict[Mark, Mean]] = {}
        self._sample = Sample[Labelled](sample, seed)

    @property
    def kept(self) -> list[Labelled]:
        """Return the sample, in the order of the set."""
        return self._sample.kept

    def add(self, row: Labelled) -> None:
        """Count a row."""
        self.number += 1
        self._whole.add(row)
        if row.rule is not None:
            self._parts.setdefault(rule_among(row.rule, self._parts), _Part()).add(row)
        self._sample.offer(row.shortened)

    def endorse(self, row: Labelled, persona: str, level: int) -> None:
        """Count a persona's endorsement, 1 to 7, of a row's text."""
        self._people.setdefault(persona, _either())[_mark(row)].add(level)

    def summary(self, personas: Sequence[str]) -> dict[str, Any]:
        """Return counts, lengths, each persona's endorsements, and their inequity over personas."""
        people: dict[str, dict[str, Score]] = {}
        for name in personas:
            given = self._people.get(name) or _either()
            people[name] = {
                f"endorsement_of_{mark}": given[mark].score("texts", _NO_PROMPT, within=(1, 7))
                for mark in _MARKS
            }
            people[name]["difference"] = difference(
                given["desirable"], given["undesirable"], "texts", _NO_PROMPT
            )
        units = {f"endorsement_of_{mark}": "endorsement, 1 to 7" for mark in _MARKS}
        units["difference"] = "difference of endorsements, -6 to 6"
        groups = {"persona": {name: name for name in people}}
        return {
            **self._whole.summary(),
            "rules": {rule: part.summary() for rule, part in sorted(self._parts.items())},
            "discretion": Score.undefined(_UNPAIRED),
            "personas": people,
            "inequity": {
                what: value_inequity({who: each[what] for who, each in people.items()}, groups, unit=unit)
                for what, unit in units.items()
            },
        }


def _mark(row: Labelled) -> Mark:
    return "desirable" if row.desirable else "undesirable"
