"""The quality gate: what a text has to pass before it becomes a record.

Every check is declared in `CHECKS` with the reason for it, every limit in `Limits`, and every fault
says what was found. The gate judges form and grounds, never the view a text takes.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from multiplex.content.roles import load_roles
from multiplex.dataset.citations import Sources, unknown_citations
from multiplex.dataset.refusals import refusal
from multiplex.responders.extractive import moderator
from multiplex.responders.extractive import persona as speaker

__all__ = [
    "CHECKS",
    "LIMITS",
    "Fault",
    "Limits",
    "Tally",
    "dropped",
    "gate",
    "malformed",
    "repetition",
    "template_mark",
]

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "empty": "a text without words teaches silence",
        "too_short": "a text of fewer words or characters than its kind needs is no answer",
        "too_long": "a text beyond these words or characters is a model that did not stop",
        "refusal": "a text that opens with a declared refusal answers nothing",
        "repetition": "a text that says the same words again and again is a model in a loop",
        "placeholder": "a text with a template's leftovers was never finished",
        "control": "control characters, half characters and replacement marks are damage, not language",
        "prompt_leak": "the delimiters of role files and chat templates are the maker's words, not the answer's",
        "out_of_character": "a steered text carries its own persona's claims at least as well as any other's",
        "unknown_citation": "a source that nobody gave to the panel may be made up",
        "off_topic": "a persona, or a panel, that says it has nothing of its own on this answers another question",
    }
)
"""Every check by its name, and why it is made."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds of the gate.

    `fewest_words` holds for every kind of text not named in `fewest_words_of`. A word is what stands
    between spaces; where a script has none, each of its characters counts as one. `repeated` is the
    largest share (0..1) of a text's runs of five words that stand earlier in it already, asked of
    texts of 30 words or more; `run` how often one character may stand in a row. `behind` is by how
    much another persona's claims may be carried better than the text's own, as a share (0..1).
    """

    fewest_characters: int = 20
    most_characters: int = 20_000
    fewest_words: int = 5
    fewest_words_of: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({"overton": 30, "consensus": 10})
    )
    most_words: int = 3_000
    repeated: float = 0.3
    run: int = 80
    behind: float = 0.0

    def as_record(self) -> dict[str, Any]:
        """Return the limits as plain data, for a manifest."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return {**record, "fewest_words_of": dict(self.fewest_words_of)}


LIMITS = Limits()
"""What the gate asks unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A check that a text failed, and what was found: a count against its limit, or a few of its words."""

    check: str
    found: str


def gate(
    text: str,
    *,
    kind: str = "",
    persona: str | None = None,
    carried: Mapping[str, float | None] | None = None,
    sources: Sources | None = None,
    given: str = "",
    overton: str = "",
    limits: Limits = LIMITS,
    checks: Collection[str] = tuple(CHECKS),
) -> tuple[Fault, ...]:
    """Return the faults of one text, none where it passes, in the order of `CHECKS`.

    `persona` and `carried` (the share of each persona's
    claims that the text carries, 0..1, None where unknown) judge a text of kind "steered"; one whose
    own share is unknown is not judged. `sources` are those that may be cited; without them citations
    are not judged, and what stands in `given` (the question with its context) may be quoted from. A consensus
    statement, or a draft of one, is off topic where the same panel's `overton` answer is.
    `checks` names those to make: a rejected text need not stay in character.

    Raises:
        ValueError: a check of that name is not declared.
    """
    if unknown := set(checks) - set(CHECKS):
        raise ValueError(f"no check named {min(unknown)!r}; there are {', '.join(CHECKS)}")
    found: dict[str, str | None] = {
        **_length(text, limits.fewest_words_of.get(kind, limits.fewest_words), limits),
        "refusal": _refused(text),
        "repetition": _repeats(text, limits),
        "placeholder": _quoted(_PLACEHOLDER.search(text)),
        "control": _damage(text),
        "prompt_leak": _quoted(_delimiters().search(text)),
    }
    if kind == "steered" and persona is not None and carried is not None:
        found["out_of_character"] = _out_of_character(persona, carried, limits.behind)
    if sources is not None and "unknown_citation" in checks:
        found["unknown_citation"] = "; ".join(unknown_citations(text, sources, given=given)[:3]) or None
    if (said := _NOTHING.get(kind)) and said in (overton if kind in {"consensus", "draft"} else text):
        found["off_topic"] = repr(said[:60])
    return tuple(Fault(name, what) for name in CHECKS if name in checks and (what := found.get(name)))


def malformed(messages: Sequence[Mapping[str, Any]], *, ends: str) -> str | None:
    """Return what is wrong with a list of messages that is to end with a role, or None.

    Each message holds a role (system, user or assistant) and a content that is text and not blank;
    a system turn stands first or not at all, and then user and assistant alternate. A list that is a
    completion (its first turn is the assistant's) holds that turn alone. Rows are held against it once they
    are made, for it is they that a trainer takes (see `assembling`).
    """
    if not messages:
        return "there are no messages"
    roles = []
    for place, message in enumerate(messages, start=1):
        if set(message) != {"role", "content"}:
            return f"message {place} needs to hold role and content and no more"
        content = message["content"]
        if not isinstance(content, str) or not content.strip():
            return f"message {place} has no content"
        if message["role"] not in {"system", "user", "assistant"}:
            return f"message {place} has the role {str(message['role'])[:40]!r}"
        roles.append(message["role"])
    if roles[-1] != ends:
        return f"the last message is the {roles[-1]}'s and not the {ends}'s"
    turns = roles[1:] if roles[0] == "system" else roles
    if "system" in turns:
        return "a system turn stands after another"
    if roles == ["assistant"]:
        return None
    if any(role != ("user", "assistant")[place % 2] for place, role in enumerate(turns)):
        return "user and assistant do not take turns, the user first"
    return None


def repetition(text: str) -> float:
    """Return the share (0..1) of a text's runs of five words that stand earlier in it already.

    Case and punctuation do not count. A text of fewer than 30 words has none.
    """
    words = re.findall(rf"{_UNSPACED}|[^\W_]+", text.casefold())
    if len(words) < 30:
        return 0.0
    runs = Counter(zip(*(words[start:] for start in range(5)), strict=False))
    return 1 - len(runs) / runs.total()


def template_mark(text: str) -> str | None:
    """Return the first delimiter of a chat template that a text holds, None if it holds none."""
    found = re.search(_TEMPLATES, text)
    return found[0] if found else None


class Tally:
    """Counts of what passed the gate and what did not: also where nothing did."""

    def __init__(self) -> None:
        self.judged = 0
        self.passed = 0
        self._first: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def add(self, faults: Iterable[str | Fault]) -> None:
        """Count one text by its faults, or by the names of the checks it failed."""
        names = list(dict.fromkeys(f.check if isinstance(f, Fault) else f for f in faults))
        self.judged += 1
        self.passed += not names
        self._first.update(names[:1])
        self._all.update(names)

    def report(self) -> dict[str, Any]:
        """Return the counts as plain data.

        `faults` counts a text under every check it failed, `dropped_for` under the first alone, so
        that `passed` and the sum of `dropped_for` come to `judged`.
        """
        return {
            "judged": self.judged,
            "passed": self.passed,
            "dropped_for": {name: self._first[name] for name in CHECKS if self._first[name]},
            "faults": {name: self._all[name] for name in CHECKS if self._all[name]},
            "checks": dict(CHECKS),
        }


def dropped(counts: Mapping[str, Any]) -> str | None:
    """Return what the gate left out and why, in a sentence, by a tally's report; None where that was nothing."""
    why = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts["dropped_for"].items())
    return f"of {counts['judged']:,} the quality gate left out {why}" if why else None


_NOTHING = {
    "steered": speaker.NOTHING,
    **dict.fromkeys(("overton", "consensus", "draft"), moderator.NOTHING),
}
"""What an extractive answer says where no commitment bears on the question, by the kind of text that is then off topic.

A consensus statement does not say it itself: the Overton answer beside it does.
"""

_UNSPACED = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
"""One character of a script that is written without spaces between words."""

_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|\{%|%\}|<%|lorem ipsum|\bTODO:|\bX{2,}\b(?=\s+X{2,}\b)|\bundefined\b(?=\s+undefined\b)"
    r"|\[(?:your|insert|todo|tbd|placeholder|fill in|add|name of|date of)\b[^\]\n]{0,60}\]"
    r"|<(?:insert|your|placeholder)\b[^>\n]{0,60}>",
    re.IGNORECASE,
)
_TEMPLATES = (
    r"<\|[\w ]{2,30}\|>|\[/?INST\]|<</?SYS>>|</?think(?:ing)?>|<(?:start|end)_of_turn>|</?s>"
    r"|(?m:^### (?:Instruction|Response):)"
)


_DAMAGE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]"
)
"""Control characters but tab and line ends, lone surrogates, private use, and the replacement mark."""


def _length(text: str, fewest: int, limits: Limits) -> dict[str, str | None]:
    words = len(re.findall(rf"{_UNSPACED}|\S+?(?={_UNSPACED}|\s|$)", text))
    size = len(text)
    if not re.search(r"[^\W_]", text):
        return {"empty": "no letter or digit"}
    found: dict[str, str | None] = {}
    # A character of a script without spaces says about as much as three letters of another.
    weight = size + 2 * len(re.findall(_UNSPACED, text))
    if words < fewest or weight < limits.fewest_characters:
        found["too_short"] = (
            f"{words} words of at least {fewest}, {size} characters of at least {limits.fewest_characters}"
        )
    if words > limits.most_words or size > limits.most_characters:
        found["too_long"] = (
            f"{words} words of at most {limits.most_words}, {size} characters of at most {limits.most_characters}"
        )
    return found


def _refused(text: str) -> str | None:
    found = refusal(text)
    return f"{found[1]!r} ({found[0]})" if found else None


def _repeats(text: str, limits: Limits) -> str | None:
    if run := re.search(rf"(\S)\1{{{limits.run},}}", text):
        return f"{run[1]!r} {len(run[0])} times in a row, of at most {limits.run}"
    share = repetition(text)
    return (
        f"{share:.2f} of its runs of five words, of at most {limits.repeated:g}"
        if share > limits.repeated
        else None
    )


def _damage(text: str) -> str | None:
    found = _DAMAGE.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def _out_of_character(persona: str, carried: Mapping[str, float | None], behind: float) -> str | None:
    own = carried.get(persona)
    others = {name: share for name, share in carried.items() if name != persona and share is not None}
    if own is None or not others:
        return None
    best = max(sorted(others), key=lambda name: others[name])
    if others[best] - own <= behind + 1e-9:
        return None
    return f"{persona} carried to {own:.2f}, {best} to {others[best]:.2f}"


def _quoted(match: re.Match[str] | None) -> str | None:
    return repr(match[0][:60]) if match else None


@cache
def _delimiters() -> re.Pattern[str]:
    """Return what finds a delimiter of the shipped role files, as they stand or as data, or of a chat template."""
    roles = "\n".join(role.body for role in load_roles().values())
    names = sorted(set(re.findall(r"</(\w+)", roles)))
    return re.compile(rf"[<‹]/?(?:{'|'.join(names)})(?: [^<>‹›\n]{{1,60}})?[>›]|{_TEMPLATES}")
