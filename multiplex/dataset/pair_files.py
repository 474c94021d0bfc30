"""The rows of any preference set, ours or foreign, one at a time: whatever they are called, strings or chats."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from multiplex.dataset.pair_sources import Sources, source_rows
from multiplex.dataset.pair_texts import ASSISTANT, answer, question, turns
from multiplex.dataset.preferences import RULES
from multiplex.dataset.rows import BadRow
from multiplex.errors import ContentError

__all__ = ["Columns", "Labelled", "Preference", "Side", "label", "read_preferences"]

Side = Literal["chosen", "rejected"]

_LONGEST_TEXT, _LONGEST_QUESTION = 20_000, 4_000
"""Characters of a text and of a question that are kept for the embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns hold what, where they are named; else they are told by the names that sets commonly give them.

    Without `prompt` it is the first of prompt, question, instruction and query that is there.
    """

    chosen: str | None = None
    rejected: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """One row: two texts on a question (empty where it has none), and who is known to be on which side.

    `sides` are by persona, None for indifference; empty where nobody's is known. `ballots` are the endorsements,
    1 to 7, by side and persona. `nobodys` says that the row is of a rule of ours that takes nobody's side.
    """

    where: str
    question: str
    chosen: str
    rejected: str
    rule: str | None = None
    sides: Mapping[str, Side | None] = field(default_factory=dict)
    ballots: Mapping[Side, Mapping[str, int]] = field(default_factory=dict)
    nobodys: bool = False
    whole: bool = True

    def shortened(self) -> "Preference":
        """Return the pair with no more of its texts than is embedded."""
        question, one, other = self.question[:_LONGEST_QUESTION], *(t[:_LONGEST_TEXT] for t in self.texts)
        whole = (one, other) == self.texts
        return replace(self, question=question, chosen=one, rejected=other, whole=whole)

    @property
    def texts(self) -> tuple[str, str]:
        """Return what was chosen and what was rejected."""
        return self.chosen, self.rejected


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row of an unpaired set: a text on a question (empty where it has none), and whether it is desirable.

    `nobodys` says that the row is of ours under a persona's own system turn: its label is of that, and of no view.
    """

    where: str
    question: str
    text: str
    desirable: bool
    rule: str | None = None
    nobodys: bool = False
    whole: bool = True

    def shortened(self) -> "Labelled":
        """Return the row with no more of its text than is embedded."""
        question, text = self.question[:_LONGEST_QUESTION], self.text[:_LONGEST_TEXT]
        return replace(self, question=question, text=text, whole=text == self.text)


_Entry = Preference | Labelled


class _Form(NamedTuple):
    """A form that rows come in: the columns it needs, those it may have, and what reads a row of it."""

    needs: tuple[str, ...]
    asked: tuple[str, ...]
    read: Callable[[str, Mapping[str, Any]], _Entry]


_QUESTIONS = ("prompt", "question", "instruction", "query")
_OURS = ("id", "rule", "persona", "chosen_endorsements", "rejected_endorsements", "supporters", "opponents")
_PATIENCE = 20
"""How many rows may lack a column before the set is said to have none."""


def read_preferences(sources: Sources, columns: Columns) -> Iterator[tuple[str, _Entry | BadRow]]:
    """Yield where each row of a preference set stands, and what it holds or what is wrong with it.

    A file is read by its suffix: `.jsonl`, `.json` (a list, or JSON Lines), `.csv`, `.tsv`, `.parquet`. The first
    row that has all columns of a form says what all of them are:

    - `chosen` and `rejected`, or columns that were named;
    - `response_j` and `response_k`, the first of which is preferred;
    - `response_0`, `response_1` and `better_response_id`, 0 or 1;
    - `human_ref_A`, `human_ref_B` and `labels`, 1 where the first is preferred, on a `history`;
    - `completion` and `label`, true where it is desirable: rows without a pair (`Labelled`).

    Texts are strings or chats (lists of `role` and `content`, or of
    `from` and `value`); what both chats begin with is the question, and of the rest the assistant's turns
    are the text. Two strings that begin with the same dialogue, its turns headed by "Human:" and "Assistant:"
    behind an empty line, are parted likewise.

    Raises:
        ContentError: a file cannot be read, or there are no such columns in the set.
    """
    forms = _forms(columns)
    wanted = {name for form in forms for name in (*form.needs, *form.asked)} | {*_OURS}
    form: _Form | None = None
    lacking, row = 0, {}
    for where, given in source_rows(sources, wanted):
        if isinstance(given, str):
            given = BadRow("malformed", "is a text without columns")
        if isinstance(given, BadRow):
            yield where, given
            continue
        row = {str(name).strip().lower(): value for name, value in given.items()}
        form = form or next((each for each in forms if row.keys() >= set(each.needs)), None)
        if form is None or not row.keys() >= set(form.needs):
            lacking += 1
            if form is None and lacking == _PATIENCE:
                raise _no_column(sources, forms, row)
            missing = _missing(form or forms[0], row)
            yield where, BadRow("column", f"has no column {missing!r}; its columns are {_listed(row)}")
            continue
        try:
            yield where, form.read(where, row)
        except BadRow as bad:
            yield where, bad
    if lacking and form is None:
        raise _no_column(sources, forms, row)


def _forms(columns: Columns) -> tuple[_Form, ...]:
    chosen, rejected, prompt = (
        name and name.strip().lower() for name in (columns.chosen, columns.rejected, columns.prompt)
    )
    questions = (prompt,) if prompt else _QUESTIONS
    needs = (prompt,) if prompt else ()

    def paired(one: str, other: str) -> _Form:
        return _Form(
            (one, other, *needs), questions, lambda where, row: _preference(where, row, one, other, questions)
        )

    first = paired(chosen or "chosen", rejected or "rejected")
    if len(set(first.needs)) < len(first.needs):
        raise ContentError("columns: chosen, rejected and prompt need to be three different ones")
    if chosen or rejected:
        return (first,)
    history = questions if prompt else ("history", *questions)
    return (
        first,
        paired("response_j", "response_k"),
        _Form(
            ("response_0", "response_1", "better_response_id", *needs),
            questions,
            lambda where, row: _numbered(
                where, row, ("response_0", "response_1"), "better_response_id", (0, 1), questions
            ),
        ),
        _Form(
            ("human_ref_a", "human_ref_b", "labels", *needs),
            history,
            lambda where, row: _numbered(
                where, row, ("human_ref_a", "human_ref_b"), "labels", (1, 0), history
            ),
        ),
        _Form(
            ("completion", "label", *needs), questions, lambda where, row: _labelled(where, row, questions)
        ),
    )


def _missing(form: _Form, row: Mapping[str, Any]) -> str:
    return next(name for name in form.needs if name not in row)


def _no_column(sources: Sources, forms: Sequence[_Form], row: Mapping[str, Any]) -> ContentError:
    partly = [form for form in forms if any(name in row for name in form.needs if name != "prompt")]
    return ContentError(
        f"{sources.name}: has no column {_missing((partly or forms)[0], row)!r}; its columns are {_listed(row)}: "
        "name those that hold the texts with --chosen-column and --rejected-column, and the question's with "
        "--prompt-column; or give texts without a pair as completion and label"
    )


def _listed(row: Mapping[str, Any]) -> str:
    names = [repr(label(name)) for name in row]
    return ", ".join([*names[:12], "..."] if len(names) > 12 else names) or "none"


def _preference(
    where: str, row: Mapping[str, Any], chosen: str, rejected: str, questions: Sequence[str]
) -> Preference:
    """Return the pair in a row; BadRow where there is none."""
    sides = [turns(row[name], name) for name in (chosen, rejected)]
    asked = _asked(row, questions)
    if not all(sides):
        raise BadRow("empty", f"{rejected if sides[0] else chosen} is empty")
    if isinstance(sides[0], list) and isinstance(sides[1], list):
        # What both begin with is the question, but the last turn of either is never a part of it.
        most = min(map(len, sides)) - 1
        same = next((i for i in range(most) if sides[0][i] != sides[1][i]), most)
        asked = asked or question(sides[0][:same])
        texts = [answer(side[same:]) for side in sides if isinstance(side, list)]
    elif isinstance(sides[0], str) and isinstance(sides[1], str):
        common = os.path.commonprefix([sides[0], sides[1]])  # noqa: RUF071 (texts, no paths)
        opening = common.rfind(ASSISTANT) + len(ASSISTANT) if ASSISTANT in common else 0
        asked = asked or question(common[:opening])
        texts = [str(side)[opening:].strip() for side in sides]
    else:
        raise BadRow("malformed", "one text is a chat and the other is not")
    if not all(texts):
        raise BadRow("empty", f"{rejected if texts[0] else chosen} is empty")
    held, ballots = _recorded(row)
    return Preference(
        where=_place(where, row),
        question=asked,
        chosen=texts[0],
        rejected=texts[1],
        rule=_rule(row),
        sides=held,
        ballots=ballots,
        nobodys=not held and _takes_nobodys_side(row),
    )


def _numbered(
    where: str,
    row: Mapping[str, Any],
    texts: tuple[str, str],
    column: str,
    numbers: tuple[int, int],
    questions: Sequence[str],
) -> Preference:
    """Return the pair in a row whose `column` holds the number of the preferred one of two texts."""
    told = str(row[column]).strip().removesuffix(".0")
    if told not in map(str, numbers):
        raise BadRow("preference", f"{column}: needs 0 or 1, and is {label(repr(row[column]))}")
    chosen, rejected = texts if told == str(numbers[0]) else texts[::-1]
    return _preference(where, row, chosen, rejected, questions)


def _labelled(where: str, row: Mapping[str, Any], questions: Sequence[str]) -> Labelled:
    """Return the text in a row without a pair; BadRow where there is none, or no label."""
    told = str(row["label"]).strip().lower().removesuffix(".0")
    if told not in {"true", "false", "1", "0"}:
        raise BadRow("label", f"label: needs true or false, and is {label(repr(row['label']))}")
    said, asked = turns(row["completion"], "completion"), _asked(row, questions)
    if isinstance(said, list):  # a chat may begin with what was asked
        asked = asked or question(said[:-1])
        said = answer(said if len(said) < 2 or said[0][0] == "assistant" else said[-1:])
    if not said.strip():
        raise BadRow("empty", "completion is empty")
    return Labelled(
        where=_place(where, row),
        question=asked,
        text=said.strip(),
        desirable=told in {"true", "1"},
        rule=_rule(row),
        nobodys=_is_in_character(row),
    )


def _asked(row: Mapping[str, Any], questions: Sequence[str]) -> str:
    given = next((row[name] for name in questions if row.get(name)), "")
    return question(turns(given, "prompt")) if given else ""


def _place(where: str, row: Mapping[str, Any]) -> str:
    name = row.get("id")
    return f"{where} ({label(name)})" if isinstance(name, str) and name else where


def _rule(row: Mapping[str, Any]) -> str | None:
    rule = row.get("rule")
    return label(rule) if isinstance(rule, str) and rule else None


def _recorded(
    row: Mapping[str, Any],
) -> tuple[dict[str, Side | None], dict[Side, Mapping[str, int]]]:
    """Return the sides that a row tells, and the ballots that they rest on where there are any."""
    one, other = _ballots(row.get("chosen_endorsements")), _ballots(row.get("rejected_endorsements"))
    sides: dict[str, Side | None] = {
        name: None if given == other[name] else "chosen" if given > other[name] else "rejected"
        for name, given in one.items()
        if name in other
    }
    # Under a persona's own system turn nobody votes: that it supports its own answer is the rule, no ballot.
    if not sides and row.get("persona") is None:
        for side, column in (("chosen", "supporters"), ("rejected", "opponents")):
            named = row.get(column)
            if isinstance(named, list) and all(isinstance(name, str) for name in named):
                sides.update(dict.fromkeys(map(label, named), side))  # type: ignore[arg-type]
    return sides, {"chosen": one, "rejected": other}


def _takes_nobodys_side(row: Mapping[str, Any]) -> bool:
    """Return whether a pair is one of ours under a persona's own system turn, where nobody votes."""
    named = (row.get("supporters"), row.get("opponents"))
    return _is_in_character(row) and all(type(n) is list for n in named)


def _is_in_character(row: Mapping[str, Any]) -> bool:
    return _rule(row) in RULES and row.get("persona") is not None


def _ballots(given: Any) -> dict[str, int]:
    listed = given if isinstance(given, list) else []
    found = {}
    for ballot in listed:
        name, level = (
            (ballot.get("persona"), ballot.get("endorsement")) if isinstance(ballot, Mapping) else (0, 0)
        )
        if isinstance(name, str) and type(level) is int and 1 <= level <= 7:
            found[label(name)] = level
    return found


def label(text: object) -> str:
    """Return a name that can be printed and is no longer than one."""
    return str(text)[:80].encode("utf-8", "replace").decode()
