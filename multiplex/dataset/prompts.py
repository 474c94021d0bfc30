"""Prompt files in, prompts out: JSONL, CSV, Parquet, plain lines and scenario files, one row at a time.

What is wrong with a file is an error; what is wrong with one row of it is a `Skipped` that can be counted,
and the next row is read. Memory holds one row (of Parquet, one batch), and for every prompt seen a few numbers and
the id that it was given.
Formats go by the suffix: `.jsonl`, `.csv` (commas, semicolons or tabs), `.tsv`, `.parquet`, `.txt` (a prompt
a line) and `.yaml` (a scenario), or a folder of such files.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multiplex.content.files import explain, is_name, no_such_file
from multiplex.content.scenarios import Option, Scenario, load_scenario
from multiplex.content.topics import TOPICS
from multiplex.dataset.asked_columns import CHATS, COLUMNS, any_of_them
from multiplex.dataset.origins import file_of, numbered, place_of
from multiplex.dataset.rows import FORMATS, BadRow, read_rows
from multiplex.errors import ContentError

__all__ = [
    "LONGEST",
    "Prompt",
    "Skipped",
    "asked_of",
    "by_what_is_asked",
    "prompt_files",
    "prompt_id",
    "prompt_of",
    "read_prompts",
]

LONGEST = 4000
"""Characters that a question may have, unless another number is asked for."""

_BESIDE = frozenset({"id", "context", "choice_context", "domain", "options", "group"})

_SUFFIXES = (*FORMATS, ".yaml")

_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})

_LONGEST_QUESTION, _LONGEST_CONTEXT, _LONGEST_NAME = 20_000, 20_000, 200
"""Characters that a scenario's question and context, and an id or a group, may have at the most."""

_NO_LABEL = frozenset({*TOPICS, "none"})
"""What is no label of one's own: topics, and what says that there is no topic."""

_USER = frozenset({"user", "human"})
_SYSTEM = frozenset({"system", "developer"})
_ROLES = {**dict.fromkeys(_USER, "User"), "gpt": "Assistant", "model": "Assistant"}
"""How the turns of a chat are labelled where their own role does not say it; system turns are left out."""

_EARLIER = "Earlier in this conversation:"

_PATIENCE = 20
"""How many rows may lack the question before the file is said to have none."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Prompt(BaseModel):
    """A question for a panel, where it came from, and what has to stay in one split with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    """The first 16 hexadecimal digits of the sha256 of what is asked (see `prompt_id`); or the file's own, where no
    other prompt came before with the same, and which is none of what something else asks."""
    scenario: Scenario
    group: str
    origin: str
    """File and line, as in `file 1:12`; a scenario's file, as in `file 2`; or `generated`."""
    label: str | None = None
    """The file's own word for the topic, where it is none of the topics."""
    is_grouped: bool = Field(default=False, exclude=True, repr=False)
    """Whether the group was given, and does not stand for there being none; in memory alone."""
    keys: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """The options' keys as the file has them, which may tell of somebody; in memory alone, and never written."""

    @property
    def domain(self) -> str | None:
        """The topic, or the file's own word for it."""
        return self.scenario.domain or self.label


class Skipped(BaseModel):
    """A row that gave no prompt, or a prompt that was left out, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: str
    kind: str
    """`empty`, `not_utf8`, `too_long`, `malformed`, `passed_over`, `duplicate`, `near_duplicate`, ..."""
    reason: str
    """Published beside the origin, and so without anything that stands in the row: nobody has masked it."""
    folder: str = Field(default="", exclude=True, repr=False)
    """Where the folder lies that holds what is passed over; in memory alone, and never published."""
    again: Prompt | None = Field(default=None, exclude=True, repr=False)
    """The prompt that came before once more, under the id that it has, where this row gives it another group; in
    memory alone."""

    @property
    def source(self) -> str:
        """What it is counted of: the file that it stands in, or the folder."""
        return self.folder or file_of(self.origin)


def prompt_id(
    question: str,
    context: str | None = None,
    options: Sequence[Option] = (),
    choice_context: str | None = None,
) -> str:
    """Return the id of a prompt that has none of its own: 16 hexadecimal digits of all that speakers are shown."""
    asked: list[Any] = [question, context or "", [[o.key, o.text, *o.reasons] for o in options]]
    if choice_context:
        asked.append(choice_context)
    text = json.dumps(asked, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def asked_of(scenario: Scenario) -> str:
    """Return the id of what a scenario asks: two that show the same to those who speak have the same one."""
    return prompt_id(scenario.question, scenario.context, scenario.options, scenario.choice_context)


def by_what_is_asked(prompt: Prompt) -> Prompt:
    """Return a prompt under the id of what it asks, in place of one that another prompt has."""
    asked = asked_of(prompt.scenario)
    name = f"prompt_{asked}" if prompt.scenario.name == _name(prompt.id) else prompt.scenario.name
    update = {"id": asked, "scenario": prompt.scenario.model_copy(update={"name": name})}
    if not prompt.is_grouped:
        update["group"] = asked
    return prompt.model_copy(update=update)


def prompt_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files that prompts are read from, in their order: those named, and those that folders hold.

    Raises:
        ContentError: a path leads nowhere or to a format that is not read, or a folder holds nothing that is.
    """
    return [file for path in paths for file in _files(Path(path)) if not isinstance(file, Skipped)]


def read_prompts(
    paths: Iterable[str | Path],
    *,
    longest: int = LONGEST,
    column: str | None = None,
    only: Mapping[str, str] | None = None,
) -> Iterator[Prompt | Skipped]:
    """Yield the prompts of files and folders in their order, and what was skipped where it stood.

    A row's question is in the first of `asked_columns.COLUMNS` that the row has; of a chat it is the last user
    turn, and what was said before that turn becomes the end of the context, but for system turns. A row may
    also have `id`, `context`, `choice_context`, `domain` (one of the topics, or a label of one's own), `options` (a
    list of texts, or of mappings of key and text; in CSV the same as JSON) and `group`. Control characters are taken
    out. A prompt that has been seen, in whatever file, is skipped, and told again where it has another group; another
    one under an `id` that has been seen, as where two files number their rows, goes by the id of what it asks. So
    does one whose `id` has the form of such a one, which another prompt may have.

    Of a folder every file of a known format is read, by name; other files and folders in it are skipped as
    `passed_over`, and so is, as `malformed`, what is wrong with one of its files as a whole. What is hidden, or
    begins with an underscore, is not looked at.

    Args:
        paths: prompt files, scenario files and folders of these.
        longest: characters that a question may have, up to 20,000.
        column: where the question is, in place of the usual columns, and nothing else; plain lines and scenarios
            have none.
        only: of the files that the paths stand for, those to read by their places (see `origins.place_of`), and
            what each is called; None is all, called `file 1`, `file 2` and so on in their order. What folders
            hold that is passed over is told whatever is read.

    Raises:
        ContentError: at once, if a path leads nowhere or to a format that is not read; while reading, if a
            file that was named is binary, has no rows, has no column for the question, or is a wrong scenario.
    """
    if not 1 <= longest <= _LONGEST_QUESTION:
        raise ContentError(f"longest: {longest!r} needs to be from 1 to {_LONGEST_QUESTION:,} characters")
    found = [(file, Path(path).is_dir()) for path in paths for file in _files(Path(path))]
    if not found:
        raise ContentError("prompts: no file is named; name a .jsonl, .csv, .parquet, .txt or .yaml file")
    names = numbered(file for file, _ in found if isinstance(file, Path)) if only is None else only
    column = None if column is None else column.strip()
    return _told_apart(
        entry
        for file, in_folder in found
        if only is None or isinstance(file, Skipped) or place_of(file) in only
        for entry in (
            [file]
            if isinstance(file, Skipped)
            else _read(file, names[place_of(file)], longest, column, in_folder=in_folder)
        )
    )


def _files(path: Path) -> list[Path | Skipped]:
    """Return the files that a path stands for, and what of a folder is passed over in its place."""
    try:
        if path.is_dir():
            return _in_folder(path)
        if not path.exists():
            raise no_such_file(path)
        if not path.is_file():
            raise ContentError(f"{path}: is no file that can be read; name a file on disk")
    except OSError as error:
        raise ContentError(f"{path}: cannot be read: {error.strerror or error}") from error
    if path.suffix.lower() in _PACKED:
        raise ContentError(f"{path}: is packed; unpack it, and name the file that comes of it")
    if path.suffix.lower() not in _SUFFIXES:
        raise ContentError(
            f"{path}: prompts are read from {', '.join(_SUFFIXES)}, not from "
            f"{path.suffix or 'a file without a suffix'!r}; convert or rename it"
        )
    return [path]


def _in_folder(folder: Path) -> list[Path | Skipped]:
    found: list[Path | Skipped] = []
    passed_over: list[str] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.name[0] in "._":
            continue
        suffix = entry.suffix.lower()
        if entry.is_file() and suffix in _SUFFIXES:
            found.append(entry)
            continue
        if entry.is_dir():
            what, why = "a folder", "name it by its own path"
        elif suffix == ".yml":
            what, why = "a file .yml", "rename it to .yaml"
        elif suffix in _PACKED:
            what, why = "a packed file", "unpack it"
        else:
            what, why = "a file", f"prompts are read from {', '.join(_SUFFIXES)}"
        passed_over.append(f"{entry.name} is not read: {why}")
        reason = f"holds {what} that is not read; {why}"
        found.append(Skipped(origin="a folder", kind="passed_over", reason=reason, folder=place_of(folder)))
    if len(found) == len(passed_over):
        first = f"; {passed_over[0]}" if passed_over else ""
        raise ContentError(
            f"{folder}: holds no file that prompts are read from ({', '.join(_SUFFIXES)}){first}"
        )
    return found


def _told_apart(entries: Iterable[Prompt | Skipped]) -> Iterator[Prompt | Skipped]:
    """Skip the same prompt again, and give another under the same id one of its own.

    No own id is the hash of what something else asks (see `prompt_of`): so the two do not meet.
    """
    seen: set[int] = set()
    called: dict[int, str] = {}
    """The ids of those that have one of their own, by what they ask."""
    for entry in entries:
        if isinstance(entry, Prompt):
            told = asked_of(entry.scenario)
            asked = own = group = int(told, 16)
            if entry.id != told:
                own = _number("id", entry.id)
            if entry.is_grouped:
                group = _number("group", told, entry.group)
            if asked in seen:
                as_before = {"id": called.get(asked, told), "label": None}
                again = None if group in seen else entry.model_copy(update=as_before)
                reason = "the same prompt came before"
                entry = Skipped(origin=entry.origin, kind="duplicate", reason=reason, again=again)
            else:
                entry = by_what_is_asked(entry) if own in seen else entry
                if entry.id != told:
                    called[asked] = entry.id
                seen |= {asked, own}
            seen.add(group)
        yield entry


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8], "big")


class _NoQuestionError(BadRow):
    """The row has no column that a question could be in."""


def _read(
    path: Path, name: str, longest: int, column: str | None, *, in_folder: bool
) -> Iterator[Prompt | Skipped]:
    """Read a file; one that stands in a folder with others does not end it all where it is wrong."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".yaml":
            yield from _from_scenario(path, name, longest)
        else:
            yield from _from_rows(path, name, longest, None if suffix == ".txt" else column)
    except ContentError:
        if not in_folder:
            raise
        reason = "the file gives no prompt, or no more; name it by its own path to be told why"
        yield Skipped(origin=name, kind="malformed", reason=reason)


def _from_rows(path: Path, name: str, longest: int, column: str | None) -> Iterator[Prompt | Skipped]:
    """Turn the rows of a file into prompts; that it has none, or none with a question, is the file's own fault."""
    found: dict[str, None] = {}
    read = lacking = 0
    has_question = False
    asked_in = _asked_in(column)
    for number, row in read_rows(path, columns=_BESIDE | {*asked_in}):
        origin = f"{name}:{number}"
        read += 1
        try:
            if isinstance(row, BadRow):
                raise row
            if isinstance(row, str):
                if column is not None:
                    raise _NoQuestionError("malformed", "is a text, which has no columns")
                row = {"question": row}
            entry: Prompt | Skipped = prompt_of(row, origin=origin, longest=longest, column=column)
            has_question = True
        except BadRow as bad:
            if isinstance(bad, _NoQuestionError):
                lacking += 1
                if isinstance(row, Mapping):
                    found.update(dict.fromkeys(map(str, row)))
                if lacking == _PATIENCE and not has_question:
                    raise _lacks_question(path, found, column) from None
            elif not isinstance(row, BadRow):
                has_question = True  # and something else is wrong
            entry = Skipped(origin=origin, kind=bad.kind, reason=str(bad))
        yield entry
    if not read:
        raise ContentError(f"{path}: holds no rows; put a prompt in each")
    if lacking and not has_question:
        raise _lacks_question(path, found, column)


def _from_scenario(path: Path, origin: str, longest: int) -> Iterator[Prompt | Skipped]:
    scenario = load_scenario(path)
    if len(scenario.question) > longest:
        reason = f"the question: {len(scenario.question):,} characters are more than {longest:,}"
        yield Skipped(origin=origin, kind="too_long", reason=reason)
        return
    asked = asked_of(scenario)
    yield Prompt(id=asked, scenario=scenario, group=asked, origin=origin)


def _lacks_question(path: Path, columns: Iterable[str], column: str | None) -> ContentError:
    names = [repr(name[:60]) for name in columns]
    shown = ", ".join([*names[:12], "..."] if len(names) > 12 else names) or "none"
    if not names and column is not None:
        return ContentError(
            f"{path}: its rows are texts without columns, and so none is {column!r}; leave its name out"
        )
    if column is not None:
        return ContentError(
            f"{path}: has no column {column!r}; found: {shown}; name a column that every file has"
        )
    return ContentError(
        f"{path}: no column holds the question; found: {shown}; name it with --prompt-column NAME, or call it "
        f"{any_of_them()}"
    )


# --- one row -----------------------------------------------------------------------------------


def prompt_of(
    given: Mapping[str, Any], *, origin: str, longest: int = LONGEST, column: str | None = None
) -> Prompt:
    """Return the prompt that a row holds, its columns as in `read_prompts`.

    Raises:
        BadRow: the row holds none, and why.
    """
    row: dict[str, Any] = {}
    for name, value in given.items():
        row.setdefault(str(name).strip().lower(), value)
    asked, earlier = _asked(row, column)
    if column is not None:
        row.pop(column.lower())  # it does not stand beside the question too
    question = _text(asked, "the question", longest)
    if not question:
        raise BadRow("empty", "the question is empty")
    context = _text(row.get("context"), "context", _LONGEST_CONTEXT) or None
    if earlier:
        before = _text(earlier, "the earlier turns", _LONGEST_CONTEXT)
        context = _text("\n\n".join(filter(None, (context, before))), "context", _LONGEST_CONTEXT)
    domain = re.sub(r"[\s-]+", "_", str(row.get("domain") or "").strip().lower())
    label = None if domain in _NO_LABEL else _label(row.get("domain"), "domain") or None
    own = _label(row.get("id"), "id")
    if re.fullmatch(r"[0-9a-f]{16}", own):
        own = ""  # as the hashes that prompts without one go by: another may have it
    try:
        keys, options = _options(row.get("options"))
        choice = _text(row.get("choice_context"), "choice_context", 600) or None
        identity = own or prompt_id(question, context, options, choice)
        scenario = Scenario(
            name=_name(identity),
            question=question,
            context=context,
            choice_context=choice,
            domain=domain if domain in TOPICS else None,
            options=options,
        )
    except ValidationError as error:
        # What stands in quotes there stands in the row.
        said = re.sub(r"""(['"]).*\1""", "what stands there", explain(error, Scenario))
        raise BadRow("malformed", said) from error
    group = _label(row.get("group"), "group")
    return Prompt(
        id=identity,
        scenario=scenario,
        group=group or identity,
        is_grouped=bool(group),
        origin=origin,
        label=label,
        keys=keys,
    )


def _asked_in(column: str | None) -> tuple[str, ...]:
    """Return the columns that the question may be in, as rows are looked up by them."""
    return COLUMNS if column is None else (column.lower(),)


def _asked(row: Mapping[str, Any], column: str | None) -> tuple[Any, str]:
    """Return what a row asks, in the first of its columns that may; what was said before, where it is a chat."""
    for name in _asked_in(column):
        if name in row:
            value = row[name] if column is None else _chat_in(row[name])
            is_chat = isinstance(value, list) or (column is None and name in CHATS)
            return _last_user_turn(_parsed(value, name), name) if is_chat and value else (value, "")
    raise _NoQuestionError("malformed", "has no column that a question is in")


def _chat_in(value: Any) -> Any:
    """Return the chat that stands in a text as JSON, and anything else as it is."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return value
    is_chat = isinstance(found, list) and any(isinstance(turn, Mapping) for turn in found)
    return found if is_chat else value


def _last_user_turn(chat: Any, column: str) -> tuple[Any, str]:
    """Return what the user said last, in `role` and `content` or in `from` and `value`, and the turns before it."""
    turns = [turn for turn in chat if isinstance(turn, Mapping)] if isinstance(chat, list) else []
    roles = [str(turn.get("role", turn.get("from"))).lower() for turn in turns]
    last = max((place for place, role in enumerate(roles) if role in _USER), default=None)
    if last is None:
        raise BadRow("malformed", f"{column}: holds no turn of a user")
    told = []
    for role, turn in zip(roles[:last], turns[:last], strict=True):
        said = _said(turn)
        if isinstance(said, str) and said.strip() and role not in _SYSTEM:
            told.append(f"{_ROLES.get(role, role.capitalize())}: {said.strip()}")
    return _said(turns[last]), "\n\n".join((_EARLIER, *told)) if told else ""


def _said(turn: Mapping[str, Any]) -> Any:
    said = turn.get("content", turn.get("value"))
    if isinstance(said, list):  # in parts, of which some may be pictures
        parts = [part.get("text") for part in said if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return said


def _parsed(value: Any, column: str) -> Any:
    """Return a list or mapping that stands in a text as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadRow("malformed", f"{column}: is no JSON") from error


def _options(value: Any) -> tuple[tuple[str, ...], tuple[Option, ...]]:
    """Return options from a list of texts or of mappings, and their keys as they were given.

    A text of its own is read as JSON. In place of a key that cannot be made one of ours, as of another script, stands
    the option's number.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return (), ()
    given = _parsed(value, "options")
    if not isinstance(given, list):
        raise BadRow("malformed", "options: needs to be a list of texts, or of mappings of key and text")
    owns: list[str] = []
    texts: list[str] = []
    for number, each in enumerate(given, start=1):
        own = f"option_{number}"
        if isinstance(each, Mapping) and set(each) <= {"key", "text"}:
            own = str(each.get("key") or own).strip()
            texts.append(_text(each.get("text"), "options", 600))
        elif isinstance(each, str):
            texts.append(_text(each, "options", 600))
        else:
            raise BadRow("malformed", f"options: {number}: needs to be text, or a key and a text")
        owns.append(own)
    keys = [re.sub(r"\W+", "_", own.lower()) for own in owns]
    taken = {key for key in keys if is_name(key)}
    for place, key in enumerate(keys):
        if key not in taken:
            keys[place] = f"option_{place + 1}"
            while keys[place] in taken:
                keys[place] += "_"
    return tuple(owns), tuple(Option(key=key, text=text) for key, text in zip(keys, texts, strict=True))


def _text(value: Any, column: str, longest: int) -> str:
    """Return a column's text without control characters, empty where there is none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRow("malformed", f"{column}: needs to be text, and is a {type(value).__name__}")
    text = _CONTROL.sub("", value.replace("\r\n", "\n").replace("\r", "\n")).replace("\ufeff", "").strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRow("not_utf8", f"{column}: holds half a character (a surrogate alone)") from error
    if len(text) > longest:
        raise BadRow("too_long", f"{column}: {len(text):,} characters are more than {longest:,}")
    return text


def _label(value: Any, column: str) -> str:
    """Return an id or a group as text: numbers may stand for one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # what a missing number elsewhere in the column makes of whole ones
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return " ".join(_text(value, column, _LONGEST_NAME).split())


def _name(asked: str) -> str:
    """Return the scenario's name: with the id in it where it can stand in a name, else with a hash of it."""
    if re.fullmatch(r"[a-z0-9_]{1,50}", asked):
        return f"prompt_{asked}"
    return f"prompt_{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
