"""The pairs of any preference set, ours or foreign, one row at a time: whatever they are called, strings or chats."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from multiplex.dataset.reading import LONGEST_LINE, read_rows, shards
from multiplex.dataset.rows import FORMATS, BadRow, Row
from multiplex.errors import ContentError, near_miss

__all__ = ["Columns", "Preference", "Side", "label", "read_preferences"]

Side = Literal["chosen", "rejected"]

_LONGEST_TEXT, _LONGEST_QUESTION = 20_000, 4_000
"""Characters of a text and of a question that are kept for the embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns hold what; without `prompt` the first of prompt, question, instruction and query there is."""

    chosen: str = "chosen"
    rejected: str = "rejected"
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """One row: two texts on a question (empty where it has none), and who is known to be on which side.

    `sides` are by persona, None for indifference; empty where nobody's is known. `ballots` are the endorsements,
    1 to 7, by side and persona.
    """

    where: str
    question: str
    chosen: str
    rejected: str
    rule: str | None = None
    sides: Mapping[str, Side | None] = field(default_factory=dict)
    ballots: Mapping[Side, Mapping[str, int]] = field(default_factory=dict)
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


_Entries = Iterator[tuple[str, Preference | BadRow]]

_QUESTIONS = ("prompt", "question", "instruction", "query")
_OURS = ("id", "rule", "persona", "chosen_endorsements", "rejected_endorsements", "supporters", "opponents")
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
}
_PATIENCE = 20
"""How many rows may lack a column before the set is said to have none."""

_ASSISTANT, _HUMAN = "\n\nAssistant:", "\n\nHuman:"
_BETWEEN = re.compile(r"[\s,]*")


def read_preferences(path: Path, columns: Columns) -> _Entries:
    """Yield where each row of a preference set stands, and its pair or what is wrong with it.

    A dataset's folder is read from its Parquet files; a file by its suffix: `.jsonl`, `.json` (a list, or
    JSON Lines), `.csv`, `.tsv`, `.parquet`. Texts are strings or chats (lists of `role` and `content`, or of
    `from` and `value`); what both chats begin with is the question, and of the rest the assistant's turns
    are the text. Two strings that begin with the same dialogue, its turns headed by "Human:" and "Assistant:"
    behind an empty line, are parted likewise.

    Raises:
        ContentError: there is nothing at the path that can be read, or there are no such columns in it.
    """
    named = Columns(
        chosen=columns.chosen.strip().lower(),
        rejected=columns.rejected.strip().lower(),
        prompt=columns.prompt and columns.prompt.strip().lower(),
    )
    needed = [name for name in (named.chosen, named.rejected, named.prompt) if name]
    if len(set(needed)) < len(needed):
        raise ContentError("columns: chosen, rejected and prompt need to be three different ones")
    lacking, found = 0, False
    for where, given in _rows(path, {*needed, *_QUESTIONS, *_OURS}):
        if isinstance(given, BadRow):
            yield where, given
            continue
        row = {str(name).strip().lower(): value for name, value in given.items()}
        if missing := [name for name in needed if name not in row]:
            lacking += 1
            if not found and lacking == _PATIENCE:
                raise _no_column(path, missing, row)
            yield where, BadRow("column", f"has no column {missing[0]!r}; its columns are {_listed(row)}")
            continue
        found = True
        try:
            yield where, _preference(where, row, named)
        except BadRow as bad:
            yield where, bad
    if lacking and not found:
        raise _no_column(path, missing, row)


def _no_column(path: Path, missing: Sequence[str], row: Mapping[str, Any]) -> ContentError:
    return ContentError(
        f"{path}: has no column {missing[0]!r}; its columns are {_listed(row)}: name those that hold the texts "
        "with --chosen-column and --rejected-column, and the question's with --prompt-column"
    )


def _listed(row: Mapping[str, Any]) -> str:
    names = [repr(label(name)) for name in row]
    return ", ".join([*names[:12], "..."] if len(names) > 12 else names) or "none"


def _rows(path: Path, wanted: set[str]) -> Iterator[tuple[str, Row]]:
    near: list[str] = []
    try:
        folder, file = path.is_dir(), path.is_file()
        if not folder and not file and path.parent.is_dir():
            near = [each.name for each in path.parent.iterdir()]
    except OSError as error:
        raise ContentError(f"{str(path)[:200]!r}: cannot be read: {error.strerror or error}") from error
    if folder:
        found = shards(path, configs=("dpo", "reward"))
        for shard in (each for each in found if each.config == found[0].config):
            for number, row in enumerate(read_rows(shard), start=1):
                yield f"{shard.path}:{number}", row
        return
    if not file:
        raise ContentError(f"{path}: no such file{f'; {near_miss(path.name, near)}' if near else ''}")
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise ContentError(
            f"{path}: preferences are read from {', '.join(_SUFFIXES)} or a dataset's folder, not from "
            f"{suffix or 'a file without a suffix'!r}; convert or rename it"
        )
    rows = _json(path) if suffix == ".json" else FORMATS[suffix](path, wanted)
    for number, each in rows:
        yield f"{path.name}:{number}", each


def _json(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield the elements of a JSON list, one in memory at a time; what begins otherwise is JSON Lines."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text, number, decoder = file.read(1 << 16), 0, json.JSONDecoder()
            place = _past(text, 0)
            if text[place : place + 1] != "[":
                yield from FORMATS[".jsonl"](path, ())
                return
            place = _past(text, place + 1)
            size = 1 << 20
            while text[place : place + 1] != "]":
                try:
                    element, place = decoder.raw_decode(text, place)
                except json.JSONDecodeError as error:  # the element, most likely, goes on
                    more = file.read(size)
                    text, place, size = text[place:] + more, 0, 2 * size
                    if not more or len(text) > LONGEST_LINE:
                        said = f"{error.msg}; or it is longer than {LONGEST_LINE:,} characters"
                        raise ContentError(f"{path}: is no JSON behind element {number}: {said}") from error
                    place = _past(text, 0)
                    continue
                place, number, size = _past(text, place), number + 1, 1 << 20
                yield (
                    number,
                    element if isinstance(element, dict) else BadRow("malformed", "is no JSON object"),
                )
            if (text[place + 1 :] + file.read(1 << 16)).strip():
                raise ContentError(f"{path}: is no JSON: it goes on behind its list of {number:,}")
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8, or a number too long
        raise ContentError(f"{path}: cannot be read as JSON: {error}") from error


def _past(text: str, place: int) -> int:
    between = _BETWEEN.match(text, place)
    return between.end() if between else place


def _preference(where: str, row: Mapping[str, Any], columns: Columns) -> Preference:
    """Return the pair in a row; BadRow where there is none."""
    sides = [_turns(row[name], name) for name in (columns.chosen, columns.rejected)]
    asked = next(
        (row[name] for name in ((columns.prompt,) if columns.prompt else _QUESTIONS) if row.get(name)), ""
    )
    question = _question(_turns(asked, "prompt")) if asked else ""
    if not all(sides):
        raise BadRow("empty", f"{columns.rejected if sides[0] else columns.chosen} is empty")
    if isinstance(sides[0], list) and isinstance(sides[1], list):
        # What both begin with is the question, but the last turn of either is never a part of it.
        most = min(map(len, sides)) - 1
        same = next((i for i in range(most) if sides[0][i] != sides[1][i]), most)
        question = question or _question(sides[0][:same])
        texts = [_answer(side[same:]) for side in sides if isinstance(side, list)]
    elif isinstance(sides[0], str) and isinstance(sides[1], str):
        common = os.path.commonprefix([sides[0], sides[1]])  # noqa: RUF071 (texts, no paths)
        opening = common.rfind(_ASSISTANT) + len(_ASSISTANT) if _ASSISTANT in common else 0
        question = question or _question(common[:opening])
        texts = [str(side)[opening:].strip() for side in sides]
    else:
        raise BadRow("malformed", "one text is a chat and the other is not")
    if not all(texts):
        raise BadRow("empty", f"{columns.rejected if texts[0] else columns.chosen} is empty")
    rule, name = row.get("rule"), row.get("id")
    held, ballots = _recorded(row)
    return Preference(
        where=f"{where} ({label(name)})" if isinstance(name, str) and name else where,
        question=question,
        chosen=texts[0],
        rejected=texts[1],
        rule=label(rule) if isinstance(rule, str) and rule else None,
        sides=held,
        ballots=ballots,
    )


def _turns(value: Any, column: str) -> str | list[tuple[str, str]]:
    """Return a string, or the turns of a chat by role; BadRow where it is neither."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":  # as a table holds a chat
        with suppress(ValueError, RecursionError):
            parsed = json.loads(value)
            chat = parsed and all(
                isinstance(turn, dict) and {"role", "from"} & turn.keys() for turn in parsed
            )
            value = parsed if chat else value
    if value is None or isinstance(value, str):
        return value or ""
    turns = [value] if isinstance(value, Mapping) else value
    if not isinstance(turns, list):
        raise BadRow("malformed", f"{column}: needs text or a chat, and is {type(value).__name__}")
    found = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise BadRow("malformed", f"{column}: a turn of a chat needs role and content")
        role, said = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if isinstance(said, list):  # in parts, of which some may be pictures
            said = "\n".join(
                str(part["text"]) for part in said if isinstance(part, Mapping) and part.get("text")
            )
        if not isinstance(role, str) or not isinstance(said, str | None):
            raise BadRow("malformed", f"{column}: a turn of a chat needs role and content")
        found.append((_ROLES.get(role, role), said or ""))
    return found


def _question(asked: str | list[tuple[str, str]]) -> str:
    """Return what was asked last."""
    if isinstance(asked, list):
        return next((said.strip() for role, said in reversed(asked) if role == "user"), "")
    last = asked.removesuffix(_ASSISTANT).rpartition(_HUMAN)[2]
    return last.partition(_ASSISTANT)[0].strip()


def _answer(turns: list[tuple[str, str]]) -> str:
    said = [text for role, text in turns if role == "assistant"] or [text for _, text in turns]
    return "\n\n".join(said).strip()


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
