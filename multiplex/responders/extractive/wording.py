"""How the extractive responder makes sentences out of commitments."""

import re
from collections.abc import Sequence

from multiplex.content.personas import Commitment
from multiplex.content.scenarios import Option

__all__ = [
    "STOPS",
    "attention",
    "cited",
    "ended",
    "fitted",
    "is_torn",
    "joined",
    "leaning",
    "lower_first",
    "named",
    "number",
    "pick",
    "quoted",
]


STOPS = ".!?。！？؟।။።፧۔"
"""What a sentence may end with."""

_ENDED = re.compile(rf"[{STOPS}…;:]['\"”’»)\]」』]*$")
_ASKS = re.compile(
    r"(?:(?:and|but|so|or|then) )?(?:[^,]{1,80}, (?:and |but )?)?(?:who|whom|whose|what|which|when|where|why|how|"
    r"whether|is|are|am|was|were|do|does|did|can|could|may|might|must|shall|should|will|would|has|have|had|ought)"
    r"(?:n['’]t)?\b(?!:)",
    re.I,
)
_MARKS = (
    (re.compile(r"[\u3040-\u30ff\u3400-\u9fff]\W*$"), ("\u3002", "\uff1f")),
    (re.compile(r"[\u0600-\u06ff]\W*$"), (".", "\u061f")),
)


def ended(question: str) -> str:
    """Return what was asked with a mark at its end: a question's where it opens like one, else a full stop."""
    said = question.rstrip()
    if not said or _ENDED.search(said):
        return said
    stop, asks = next((marks for script, marks in _MARKS if script.search(said)), (".", "?"))
    last = re.split(r"(?<=[.!?])\s+", said)[-1]
    return said.rstrip(",-–—") + (asks if _ASKS.match(last) else stop)


def pick(choices: Sequence[str], seed: int, offset: int = 0) -> str:
    """Return one of the choices; neighbouring offsets give different ones."""
    return choices[(seed + offset) % len(choices)]


def cited(commitment: Commitment) -> str:
    """Return the statement with its source, the full stop after the brackets."""
    statement = commitment.statement.rstrip()
    end = statement[-1] if statement[-1] in STOPS else "."
    return f"{statement.removesuffix(end)} ({commitment.source.brief}){end}"


def attention(policy: str) -> str:
    """Return a policy as it reads inside a sentence: its capitals lowered, its full stop gone."""
    noun, _, rest = policy.rstrip(". ").partition(" ")
    words = [noun.lower()]
    for word in rest.split():
        capital = len(word) > 2 and word.isupper() and len(words) < 3
        words.append(word.lower() if capital else word)
    return " ".join(words)


def fitted(text: str, longest: int) -> str:
    """Return the text, cut after a word where it is longer than a reply may be."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 1].rsplit(maxsplit=1)[0].rstrip(' ,;:')}…"


def joined(parts: Sequence[str], last: str = "and") -> str:
    """Return parts as a list in a sentence: a, b and c."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def lower_first(text: str) -> str:
    """Return the text with its first letter lowered, unless its first word is all capitals or 'I'."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    if first == "I" or first.startswith("I'") or (len(first) > 1 and first.isupper()):
        return text
    return text[:1].lower() + text[1:]


def named(commitment: Commitment) -> str:
    """Return a commitment's title in quotation marks, with its source."""
    return f"{quoted(commitment.title)} ({commitment.source.brief})"


def number(count: int) -> str:
    """Return a count in words, up to twelve."""
    words = [
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ]
    return words[count] if count < len(words) else str(count)


def quoted(title: str) -> str:
    """Return a title in quotation marks."""
    return f"“{title.rstrip('.')}”"


_LEANINGS = (
    "Of the courses open here, the reasons given for this one come nearest to mine: {option}.",
    "Among the courses before us I hear most of what I attend to in this one: {option}.",
    "The case made for one course sounds closest to my own concerns: {option}.",
    "If I look for my own reasons among the courses, I find most of them here: {option}.",
)
_TORN = (
    "I hear my concerns in two of the courses: {option}, and also {other}.",
    "Two of the courses speak to what I attend to: {option}, and yet also {other}.",
    "I would not pretend to be of one mind: {option} weighs with me, and so does {other}.",
)


def is_torn(stance: dict[str, float]) -> bool:
    """Tell whether a stance's two heaviest options are too close to say where it leans."""
    first, second = sorted(stance.values(), reverse=True)[:2]
    return first - second < 0.15


def leaning(stance: dict[str, float], options: Sequence[Option], seed: int) -> str:
    """Return one sentence on where a stance leans, or that it leans two ways; empty without options."""
    if not stance:
        return ""
    ordered = sorted(options, key=lambda o: -stance.get(o.key, 0.0))
    first, second = lower_first(ordered[0].text.rstrip(".")), lower_first(ordered[1].text.rstrip("."))
    if is_torn(stance):
        return pick(_TORN, seed).format(option=first, other=second)
    return pick(_LEANINGS, seed).format(option=first)
