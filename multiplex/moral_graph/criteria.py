"""What can be checked of a good values card, without asking anybody."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from multiplex.errors import near_miss
from multiplex.moral_graph.cards import ValuesCard
from multiplex.sentences import is_without_case

__all__ = ["Complaint", "Criterion", "beyond_english", "complaints"]

Criterion = Literal[
    "number", "noun", "qualifier", "goal", "norm", "avoidance", "repetition", "title", "schwartz"
]

_PLURALS: tuple[str, ...] = (
    "MEN",
    "CHILDREN",
    "PEOPLE",
    "FOLK",
    "KIN",
    "FEET",
    "TEETH",
    "MICE",
    "GEESE",
    "OXEN",
)
_PLURALS += ("CATTLE", "POLICE", "CRITERIA", "PHENOMENA", "DATA", "MEDIA", "STRATA", "STIMULI", "ALUMNI")
"""Plurals without an S, and the ends of words that are made with them."""

_SINGULARS = {
    "ATLAS",
    "BIAS",
    "BUS",
    "CANVAS",
    "CHAOS",
    "CHORUS",
    "COSMOS",
    "ETHOS",
    "GAS",
    "GENIUS",
    "IMPETUS",
}
_SINGULARS |= {"LENS", "PATHOS", "PLUS", "STATUS", "VIRUS", "CENSUS", "CONSENSUS", "FOCUS", "SURPLUS", "THIS"}
"""Words that end in S and are one thing; so are those in -SS and -SIS."""

_GOAL = re.compile(
    r"\b(?:with the aim of|to (?:ensure|achieve|attain|accomplish|guarantee)"
    r"|to (?:maximi|minimi|optimi)[sz]e|(?:maximi|minimi|optimi)[sz](?:es|ing)"
    r"|reach(?:es|ing)? (?:a|an|the|one's|my|our|their|its) (?:goal|aim|target|objective|end|result)s?"
    r"|(?:good|better|best|desired|positive|optimal|right|successful|fair) outcomes?"
    r"|(?:my|our|one's|your|desired|common|shared) (?:goal|objective|target)s?"
    r"|lead(?:s|ing)? to (?:a|an|the)?\s?(?:\w+ )?(?:outcome|result|goal|success)s?)\b",
    re.IGNORECASE,
)
_PURPOSE = re.compile(
    r"\b(?:in order to|so as to|so that (?:i|we|you|one|all|everyone|everybody|people|others))\b",
    re.IGNORECASE,
)
_GOAL_NOUNS = {"GOALS", "OUTCOMES", "RESULTS", "OBJECTIVES"}

_NORM = re.compile(r"\b(?:should|shall|ought(?: not)? to|(?:is|are|was|were) supposed to)\b", re.IGNORECASE)
_COMPULSION = re.compile(
    r"\b(?:must|ha(?:ve|s) to|needs? to|(?:is|are) (?:required|obliged) to)\b", re.IGNORECASE
)
_COMMAND = re.compile(r"(?:^|[;:.]\s*)(?:never|always|do not|don't)\b", re.IGNORECASE)
_CLAUSE = re.compile(
    r"\b(?:who|whom|whose|that|which|what|where|when|whether|while|how|why|if|as|than|because)\b",
    re.IGNORECASE,
)
"""What opens a clause: a burden that people must carry is something to notice, and no rule; what others
do in order to live, and no goal of one's own."""

_AVOIDANCE = re.compile(r"^(?:AVOID\w*|LACKS?|ABSENCES?|NO|NOT|NON-\w+|WITHOUT)\b")
_MARKS = "\"'“”‘’,;:.()"
_PREPOSITION = re.compile(r"^(?:OF|IN|FOR|FROM|WITH|BETWEEN|AMONG|ON|AT|TO|AND|OR|BY)$")
_POLICIES = range(3, 8)
_TITLE = range(1, 7)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One criterion that a card does not meet.

    `where` is the field, as in `title` or `policies[2]`, counted from 0; `said` is one sentence for a reader.
    """

    criterion: Criterion
    where: str
    said: str


def complaints(
    card: ValuesCard | Mapping[str, object], *, basic_values: Collection[str] | None = None
) -> tuple[Complaint, ...]:
    """Return what a values card does not meet of the criteria that a program can check.

    They are: three to seven policies, no two the same; each begins with a plural noun in capitals (of
    several words in capitals, in ACTS OF KINDNESS the noun is ACTS, in FAMILY MEALS it is MEALS) and
    goes on with two words or more; it names no goal ("to achieve", "a better outcome", "in order to"), no
    norm ("should", "ought to", "must"), and no avoidance (LACKS of, AVOIDANCE of); the title has one to
    six words; there is a Schwartz value, and each is among `basic_values` (None leaves names unchecked;
    `multiplex.content.schwartz` has the 56). "Must", "have to" and "in order to"
    pass within a clause: what people have to bear, and what they do it for, may well be noticed.

    The words are English: of other languages' nouns those pass that end as an English plural does, and goals and
    norms are not found. Where a policy begins in a script without capitals, nothing can be told of its noun and
    qualifier, and neither is checked. `beyond_english` tells where the letters show as much.

    Whether the policies cohere, whether they are clear, and whether they are meaningful or only
    instrumental, no rule here can tell; and a rule that goes by words is wrong at times, both ways.

    The card is a mapping with `title`, `policies` and `schwartz`, or anything with these attributes, so
    that a draft that `ValuesCard` refuses can be judged too. Nothing that a card holds raises. The
    order is that of the fields: title, policies, schwartz.

    Source: the criteria of Klingefjord, Lowe and Edelman 2024, arXiv 2404.10636, as far as words show them.
    """
    return (
        *_of_title(_field(card, "title")),
        *_of_policies(_field(card, "policies")),
        *_of_schwartz(_field(card, "schwartz"), basic_values),
    )


def beyond_english(card: ValuesCard | Mapping[str, object]) -> bool:
    """Return whether the first word of a policy has letters that are not ASCII: plurals are known in English alone."""
    firsts = (_words(policy)[:1] for policy in _listed(_field(card, "policies")) if isinstance(policy, str))
    return any(c.isalpha() and not c.isascii() for first in firsts for word in first for c in word)


def _field(card: ValuesCard | Mapping[str, object], name: str) -> object:
    return card.get(name) if isinstance(card, Mapping) else getattr(card, name, None)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else []


def _of_title(title: object) -> Iterator[Complaint]:
    words = len(title.split()) if isinstance(title, str) else 0
    if words not in _TITLE:
        yield Complaint("title", "title", f"a title has one to six words, and this one has {words}")


def _of_policies(value: object) -> Iterator[Complaint]:
    policies = [policy if isinstance(policy, str) else "" for policy in _listed(value)]
    if len(policies) not in _POLICIES:
        yield Complaint(
            "number", "policies", f"a card has three to seven policies, and this one has {len(policies)}"
        )
    seen: dict[str, int] = {}
    for index, policy in enumerate(policies):
        where = f"policies[{index}]"
        for criterion, said in _of_policy(policy):
            yield Complaint(criterion, where, said)
        same = " ".join(re.findall(r"\w+", policy.casefold()))
        if same and same in seen:
            yield Complaint("repetition", where, f"it says the same as policies[{seen[same]}]")
        seen.setdefault(same, index)


def _of_policy(policy: str) -> Iterator[tuple[Criterion, str]]:
    words = _words(policy)
    capitals = 0
    while capitals < len(words) and words[capitals].isupper() and words[capitals] not in {"A", "I"}:
        capitals += 1
    noun = _noun(words[:capitals])
    if not (words and is_without_case(words[0])):
        if not noun:
            yield "noun", "it begins with no noun in capitals, as MOMENTS in 'MOMENTS when help is needed'"
        elif not _is_plural(noun) and not _AVOIDANCE.match(policy):
            yield "noun", f"it begins with {noun}, which is not a plural noun in capitals"
        if len(words) - capitals < 2:
            yield "qualifier", "the noun needs a qualifier of two words or more"
    if noun in _GOAL_NOUNS:
        yield "goal", f"{noun} are reached, not attended to for their own sake"
    elif found := _GOAL.search(policy) or _outside_clauses(_PURPOSE, policy):
        yield "goal", f"{found[0].strip()!r} names a goal"
    if found := (_NORM.search(policy) or _COMMAND.search(policy) or _outside_clauses(_COMPULSION, policy)):
        yield "norm", f"{found[0].strip(' ;:.')!r} makes a norm of it"
    if found := _AVOIDANCE.match(policy):
        yield "avoidance", f"{found[0]} says what is to be missing; say what is there instead"


def _words(policy: str) -> list[str]:
    return [word.strip(_MARKS) for word in policy.split()]


def _noun(capitals: Sequence[str]) -> str:
    """Return the head of the leading words in capitals: before the first preposition the last of them."""
    first = next((i for i, word in enumerate(capitals) if _PREPOSITION.match(word)), len(capitals))
    return capitals[first - 1] if first else ""


def _is_plural(noun: str) -> bool:
    parts = [part.removesuffix("'S").removesuffix("’S") for part in noun.split("-")]
    return any(
        part.endswith(_PLURALS)
        or (part.endswith("S") and not part.endswith(("SS", "SIS")) and part not in _SINGULARS)
        for part in parts
    )


def _outside_clauses(pattern: re.Pattern[str], policy: str) -> re.Match[str] | None:
    found = pattern.search(policy)
    return found if found and not _CLAUSE.search(policy, 0, found.start()) else None


def _of_schwartz(values: object, known: Collection[str] | None) -> Iterator[Complaint]:
    listed = _listed(values)
    if not listed:
        yield Complaint("schwartz", "schwartz", "a card carries one of Schwartz's basic values or more")
    for index, value in enumerate(listed):
        if not isinstance(value, str) or (known is not None and value not in known):
            said = f"no basic value is named {value!r}" + (
                f"; {near_miss(str(value), known)}" if known else ""
            )
            yield Complaint("schwartz", f"schwartz[{index}]", said)
