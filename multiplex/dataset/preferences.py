"""What is preferred, and why: every rule is declared, and a pair that its rule does not carry is not made.

No rule lets a majority overrule a minority's sincere view. What a persona says is rejected in its own
character never, and in another's only as out of character; a group's text is preferred only where nobody
on the panel is known to lose by it: by ballots on both texts, or by what was said of one of them alone.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from multiplex.dataset.ballots import LIVE_WITH, SCALE, Preferred, losers, preferring, rise
from multiplex.dataset.conditions import are_told_apart
from multiplex.dataset.material import Material, Text
from multiplex.seeds import derive_seed
from multiplex.sentences import sentences

__all__ = ["RULES", "Pair", "Passed", "Thresholds", "pairs_of"]

RULES: Mapping[str, str] = {
    "coverage": (
        "The panel's Overton answer is preferred to the answer of the same model without the panel where it "
        "carries more of the panel's opening claims, its mean endorsement is higher and nobody endorses it less, "
        "and every persona keeps what the other carries of its claims, or at least half of them. "
        "Margin: the mean rise in endorsement, as a share of the scale; none where nobody was asked to endorse both. "
        "Claims margin: the rise in the mean share of each persona's claims."
    ),
    "in_character": (
        "A persona's own answer, given before it heard anyone, is preferred under that persona's system turn "
        "to the answer that another persona gave to the same question, where it carries at least half of that "
        "persona's claims, no other persona's better, and at least a quarter more of them than the other answer. "
        "The other's answer is rejected as out of character, and never as a view. "
        "Claims margin: the share of the persona's claims that its own answer carries and the other does not. "
        "It has no margin: nobody is asked to endorse another's answer."
    ),
    "after_critique": (
        "The consensus statement revised from the panel's objections is preferred to the one before, where its "
        "mean endorsement rose and nobody endorses it less. Margin: the mean rise, as a share of the scale."
    ),
    "ratified": (
        "The consensus statement is preferred to the answer of the same model without the panel where at least two "
        "thirds of those who voted on it can live with it (4 of 7 or more), where the other drew objections and less "
        "than half can live with it, and where nobody endorses it less. "
        "Margin: the mean difference in endorsement, as a share of the scale."
    ),
}
"""The rules by name, each in a sentence or two that stands in the dataset's card."""

Why = Literal["missing", "tie", "reversed", "conflict", "unfaithful", "same_scores"]

_BRACKETS = re.compile(r"\s*\((?:[^()]|\([^()]*\))*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From where a rule holds: shares from 0 to 1.

    `margin` is the least margin that is no tie; `carried` the share of a persona's claims from which it
    counts as heard; `faithful` the least share of its own claims that an answer in character carries.
    """

    margin: float = 0.02
    carried: float = 0.5
    faithful: float = 0.5
    ratified: float = 2 / 3
    objected: float = 1 / 2

    def __post_init__(self) -> None:
        """Raise ValueError where a threshold is no share."""
        for name in self.__slots__:
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ValueError(f"{name}: needs a share from 0 to 1, not {value!r}")


@dataclass(frozen=True, slots=True)
class Pair:
    """One text preferred to another under a declared rule, and by how much; each margin in (0, 1].

    `margin` is the mean rise in endorsement as a share of the scale, None where nobody was asked to endorse
    both. `claims_margin` is the rise in the share of claims carried, None where the rule does not look at
    claims. One of the two is there, and no pair is made where the one that decides is a tie.

    `persona` is whose system turn stands over both, None for a group's text. `preferring` says for each
    persona which of the two it endorses more, None where it did not vote on both.
    """

    rule: str
    persona: str | None
    chosen: Text
    rejected: Text
    margin: float | None
    claims_margin: float | None
    reason: str
    preferring: Mapping[str, Preferred | None]


@dataclass(frozen=True, slots=True)
class Passed:
    """A pair that was not made: a text was `missing`; it was a `tie`; the rule would prefer the other
    (`reversed`); some of the panel would lose by it (`conflict`); the answer was out of character
    (`unfaithful`); or the scores that would stand over both are the rejected text's too (`same_scores`).
    """

    rule: str
    why: Why
    persona: str | None = None


def pairs_of(
    material: Material,
    *,
    seed: int,
    thresholds: Thresholds | None = None,
    own: Collection[str] = (),
    conditions: bool = False,
) -> Iterator[Pair | Passed]:
    """Return what each rule makes of a deliberation, in the order of `RULES`.

    `seed` decides which other persona's answer is rejected as out of character. With `conditions` the scores of
    what is chosen stand over both texts, and no pair is made where the rejected one has the very same.
    """
    for each in _made(material, thresholds or Thresholds(), seed, own):
        if conditions and isinstance(each, Pair) and not are_told_apart(each.chosen, each.rejected):
            yield Passed(each.rule, "same_scores", each.persona)
        else:
            yield each


def _made(material: Material, given: Thresholds, seed: int, own: Collection[str]) -> Iterator[Pair | Passed]:
    sincere = {*own, *(each.text for each in material.texts if each.kind == "steered")}
    sincere |= {
        text.text for text in material.texts if text.kind != "steered" and _is_one_voice(text, material)
    }
    yield _coverage(material, given, sincere)
    yield from _in_character(material, given, seed)
    yield _after_critique(material, given, sincere)
    yield _ratified(material, given, sincere)


def _coverage(material: Material, given: Thresholds, own: Collection[str]) -> Pair | Passed:
    rule = "coverage"
    panel, alone = material.text("overton"), material.text("alone")
    if panel is None or alone is None:
        return Passed(rule, "missing")
    mine, theirs = _mean(panel.carried), _mean(alone.carried)
    if mine is None or theirs is None:
        return Passed(rule, "missing")
    if alone.text in own:
        return Passed(rule, "conflict")
    if mine <= theirs:
        return Passed(rule, "tie" if mine == theirs else "reversed")
    for persona, share in panel.carried.items():
        if (share or 0.0) < min(alone.carried.get(persona) or 0.0, given.carried):
            return Passed(rule, "conflict")
    sides = preferring(panel.endorsements, alone.endorsements)
    higher = rise(panel.endorsements, alone.endorsements)
    if higher is None and sides:
        return Passed(rule, "missing")  # too few of those who were asked gave a ballot on both
    more = mine - theirs
    decides = more if higher is None else higher
    if _is_tie(decides, given) or _is_nothing(more):
        return Passed(rule, "tie")
    if decides < 0:
        return Passed(rule, "reversed")
    if _somebody_loses(panel, alone):
        return Passed(rule, "conflict")
    measure = "nobody was asked to endorse both" if higher is None else _higher(higher)
    reason = f"carries {mine:.0%} of the panel's opening claims, the other {theirs:.0%}; {measure}"
    margin = None if higher is None else _share(higher)
    return Pair(rule, None, panel, alone, margin, _share(more), reason, sides)


def _in_character(material: Material, given: Thresholds, seed: int) -> Iterator[Pair | Passed]:
    rule = "in_character"
    answers = {text.persona: text for text in material.texts if text.kind == "steered" and text.persona}
    for name, own in answers.items():
        fidelity = own.carried.get(name)
        if fidelity is None:
            yield Passed(rule, "missing", name)
            continue
        if fidelity < given.faithful or any((own.carried.get(other) or 0.0) > fidelity for other in answers):
            yield Passed(rule, "unfaithful", name)
            continue
        others = [
            other
            for other in answers
            if other != name
            and answers[other].text != own.text
            and (ahead := fidelity - (answers[other].carried.get(name) or 0.0)) >= given.faithful / 2
            and not _is_tie(ahead, given)
        ]
        if not others:
            yield Passed(rule, "tie" if len(answers) > 1 else "missing", name)
            continue
        other = others[derive_seed(seed, "in_character", material.prompt.id, name) % len(others)]
        strange = answers[other].carried.get(name) or 0.0
        yield Pair(
            rule,
            name,
            own,
            answers[other],
            None,
            _share(fidelity - strange),
            f"carries {fidelity:.0%} of what {material.voice(name).label} claims, "
            f"the answer of {material.voice(other).label} {strange:.0%}",
            {name: "chosen"},
        )


def _after_critique(material: Material, given: Thresholds, own: Collection[str]) -> Pair | Passed:
    revised, draft = material.text("consensus"), material.text("draft")
    if revised is None or draft is None:
        return Passed("after_critique", "missing")
    return _endorsed("after_critique", own, revised, draft, given, "revised from the panel's objections")


def _ratified(material: Material, given: Thresholds, own: Collection[str]) -> Pair | Passed:
    rule = "ratified"
    # Answers to the plain question: a draft was asked for a statement, and Overton over alone is the rule of coverage.
    signed, refused = material.text("consensus"), material.text("alone")
    if signed is None or refused is None:
        return Passed(rule, "missing")
    mine, theirs = _living(signed), _living(refused)
    if mine < given.ratified or not refused.objections or not 0 <= theirs < given.objected:
        return Passed(rule, "missing")
    why = f"{mine:.0%} of those who voted on it can live with it, with the other {theirs:.0%}"
    return _endorsed(rule, own, signed, refused, given, why)


def _endorsed(
    rule: str, own: Collection[str], chosen: Text, rejected: Text, given: Thresholds, why: str
) -> Pair | Passed:
    """Return the pair where the panel endorses one more and nobody endorses it less."""
    higher = rise(chosen.endorsements, rejected.endorsements)
    if higher is None:
        return Passed(rule, "missing")
    if rejected.text in own:
        return Passed(rule, "conflict")
    if _is_tie(higher, given) or chosen.text == rejected.text:
        return Passed(rule, "tie")
    if higher < 0:
        return Passed(rule, "reversed")
    if _somebody_loses(chosen, rejected):
        return Passed(rule, "conflict")
    reason = f"{why}; {_higher(higher)}, and nobody's is lower"
    sides = preferring(chosen.endorsements, rejected.endorsements)
    return Pair(rule, None, chosen, rejected, _share(higher), None, reason, sides)


def _is_one_voice(text: Text, material: Material) -> bool:
    """Return whether a text is one persona's own: all that it holds is what that one claims, word for word.

    The extractive answer without a panel always is: it is that of the nearest persona of the whole pack,
    whether that one has a seat or not.
    """
    if text.kind == "alone" and material.provenance.get("models", {}).get("moderator") == "extractive":
        return True
    parts = _said(text.text)
    return any(
        parts and parts <= {p for claim in voice.claims for p in _said(claim)} for voice in material.voices
    )


def _said(text: str) -> set[str]:
    """Return a text's sentences without the sources in brackets, which one may give and the other not."""
    return set(sentences(_BRACKETS.sub("", text)))


def _somebody_loses(chosen: Text, rejected: Text) -> bool:
    return bool(losers(chosen.endorsements, rejected.endorsements, chosen.objections))


def _higher(rise: float) -> str:
    return f"of those who voted on both the mean endorsement is {rise * SCALE:.2f} higher, from 1 to 7"


def _living(text: Text) -> float:
    """Return the share of voters that can live with a text; -1 where nobody voted."""
    given = [each for each in text.endorsements.values() if each is not None]
    return sum(each >= LIVE_WITH for each in given) / len(given) if given else -1.0


def _mean(carried: Mapping[str, float | None]) -> float | None:
    known = [share for share in carried.values() if share is not None]
    return math.fsum(known) / len(known) if known else None


def _is_tie(margin: float, given: Thresholds) -> bool:
    """Return whether a margin is too small either way; one that would be written as 0 always is."""
    return abs(margin) < given.margin or _is_nothing(margin)


def _is_nothing(margin: float) -> bool:
    return not round(margin, 4)


def _share(margin: float) -> float:
    return round(min(max(margin, 0.0), 1.0), 4)
