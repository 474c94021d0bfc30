"""A dataset in the making, on disk: its prompts, what each deliberation left, and the rows made of it.

One SQLite file, `work.sqlite` in the folder `.build` of the dataset. What a method was given is committed
when it returns: whoever is killed right after loses nothing, and whoever goes on reads it again.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from multiplex.dataset.material import Material
from multiplex.dataset.prompts import Prompt, Skipped
from multiplex.dataset.records import Row
from multiplex.dataset.splitting import Splitter, anchors_of
from multiplex.errors import ContentError, RunError

__all__ = ["Staged", "Store", "Task"]

_EXAMPLES = 20
"""How many of what was left out are kept as examples, of each kind; the rest is counted."""

_FORMAT = 3
"""To be raised when tables or facts change, so that nobody goes on with what another version wrote."""

_TABLES = f"""
PRAGMA user_version={_FORMAT};
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompts (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, prompt TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'todo', material BLOB, failure TEXT, failure_kind TEXT);
CREATE INDEX IF NOT EXISTS states ON prompts (state, place);
CREATE TABLE IF NOT EXISTS left_out (
    stage TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, number INTEGER NOT NULL, examples TEXT NOT NULL,
    PRIMARY KEY (stage, kind, source)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, config TEXT NOT NULL, id TEXT NOT NULL, bunch TEXT NOT NULL, kept INTEGER NOT NULL,
    partition TEXT NOT NULL, completion TEXT NOT NULL, facts TEXT NOT NULL, columns BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_config ON rows (config, kept, number);
"""


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt that waits for its deliberation, and its place in the dataset."""

    place: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Staged:
    """A row as it waits for curation: what is decided by, without its columns."""

    number: int
    id: str
    group: str
    kind: str
    persona: str | None
    perspective: str | None
    topics: tuple[str, ...]
    schwartz: tuple[str, ...]


class Store:
    """The work file. Use it as a context manager; one process writes at a time (see `building`)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "work.sqlite"
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Open the file, and make it where there is none.

        Raises:
            ContentError: a version of Multiplex wrote it that kept other things.
            RunError: it cannot be opened or is no such file.
        """
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            try:
                self._check_format()
                self._connection.executescript(
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES
                )
            except (sqlite3.Error, ContentError):
                self.__exit__()
                raise
        return self

    def _check_format(self) -> None:
        [(tables,)] = self._db.execute("SELECT count(*) FROM sqlite_master")
        [(form,)] = self._db.execute("PRAGMA user_version")
        if tables and form != _FORMAT:
            version = "a later" if form > _FORMAT else "an earlier"
            raise ContentError(
                f"{self.path}: was begun by {version} version of Multiplex, which kept other things; "
                "build the dataset anew in another folder with --out"
            )

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit all that is written within at once, or nothing of it.

        Raises:
            RunError: the disk is full, or the file is damaged.
        """
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # a full disk ends one by itself
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def fact(self, name: str) -> Any:
        """Return a fact that was kept, None if there is none."""
        with self._told():
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return None if row is None else json.loads(row[0])

    def keep_fact(self, name: str, value: Any) -> None:
        """Keep a fact, in place of an earlier one of that name."""
        with self._told():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, _json(value)))

    def add_prompt(self, prompt: Prompt) -> None:
        """Put a prompt, whose id no other there has, in the next place."""
        with self._told():
            query = "INSERT INTO prompts (id, prompt) VALUES (?, ?)"
            self._db.execute(query, (prompt.id, prompt.model_dump_json()))

    def regroup(self, groups: Mapping[str, str]) -> None:
        """Give every prompt its group, by the prompts' ids."""
        with self._told():
            self._db.executemany(
                "UPDATE prompts SET prompt = json_set(prompt, '$.group', ?) WHERE id = ?",
                [(group, prompt) for prompt, group in groups.items()],
            )

    def rename(self, name: str, prompt: Prompt) -> None:
        """Put a prompt, whose id no other there has, in the place of the one of that id."""
        with self._told():
            query = "UPDATE prompts SET id = ?, prompt = ? WHERE id = ?"
            self._db.execute(query, (prompt.id, prompt.model_dump_json(), name))

    def relabel(self, labels: Mapping[str, str]) -> None:
        """Give prompts other labels, by the labels that they have."""
        with self._told():
            self._db.executemany(
                "UPDATE prompts SET prompt = json_set(prompt, '$.label', ?) "
                "WHERE json_extract(prompt, '$.label') = ?",
                [(new, old) for old, new in labels.items()],
            )

    def labels(self) -> set[str]:
        """Return the labels that prompts have."""
        with self._told():
            query = "SELECT DISTINCT json_extract(prompt, '$.label') FROM prompts"
            return {label for (label,) in self._db.execute(query) if label is not None}

    def prompt(self, name: str) -> Prompt | None:
        """Return the prompt of that id, None where there is none."""
        with self._told():
            row = self._db.execute("SELECT prompt FROM prompts WHERE id = ?", (name,)).fetchone()
            return None if row is None else Prompt.model_validate_json(row[0])

    def remove_prompt(self, name: str) -> None:
        """Forget the prompt of that id."""
        with self._told():
            self._db.execute("DELETE FROM prompts WHERE id = ?", (name,))

    def prompt_groups(self) -> dict[str, str]:
        """Return the group of every prompt by its id, in the prompts' order."""
        with self._told():
            query = "SELECT id, json_extract(prompt, '$.group') FROM prompts ORDER BY place"
            return dict(self._db.execute(query).fetchall())

    def tables(self) -> list[Prompt]:
        """Return one prompt for each different choice of personas and protocol, with options and without, in order."""
        with self._told():
            query = (
                "SELECT prompt FROM prompts WHERE place IN (SELECT min(place) FROM prompts GROUP BY "
                "json_extract(prompt, '$.scenario.personas'), json_extract(prompt, '$.scenario.protocol'), "
                "json_array_length(prompt, '$.scenario.options') > 0) "
                "ORDER BY place"
            )
            return [Prompt.model_validate_json(prompt) for (prompt,) in self._db.execute(query)]

    def clear_prompts(self) -> None:
        """Forget all prompts and what was left out when they were read."""
        with self._told():
            self._db.execute("DELETE FROM prompts")
            self._db.execute("DELETE FROM left_out")

    def count(
        self, stage: str, kind: str, example: str | None = None, number: int = 1, *, source: str = ""
    ) -> None:
        """Count something that was left out at a stage, with an example of where; by `source`, where it has one."""
        place = (stage, kind, source)
        with self._told():
            query = "SELECT number, examples FROM left_out WHERE stage = ? AND kind = ? AND source = ?"
            found = self._db.execute(query, place).fetchone()
            so_far, examples = (found[0], json.loads(found[1])) if found else (0, [])
            if example is not None and len(examples) < _EXAMPLES:
                examples.append(example)
            row = (*place, so_far + number, _json(examples))
            self._db.execute("INSERT OR REPLACE INTO left_out VALUES (?, ?, ?, ?, ?)", row)

    def skip(self, skipped: Skipped) -> None:
        """Count a row of a prompt file that gave no prompt."""
        self.count("prompts", skipped.kind, f"{skipped.origin}: {skipped.reason}", source=skipped.source)

    def counts(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return what was left out, by stage and kind: its number and some examples."""
        with self._told():
            found: dict[str, dict[str, dict[str, Any]]] = {}
            query = "SELECT stage, kind, number, examples FROM left_out ORDER BY stage, kind, length(source), source"
            for stage, kind, number, examples in self._db.execute(query):
                each = found.setdefault(stage, {}).setdefault(kind, {"number": 0, "examples": []})
                each["number"] += number
                each["examples"] = [*each["examples"], *json.loads(examples)][:_EXAMPLES]
            return found

    def forget_skipped(self, source: str) -> None:
        """Forget the rows of a prompt file that gave no prompt: it is read again, as it is now."""
        with self._told():
            self._db.execute("DELETE FROM left_out WHERE stage = 'prompts' AND source = ?", (source,))

    def clear_counts(self, stages: Iterable[str]) -> None:
        """Forget what was left out at these stages."""
        with self._told():
            self._db.executemany("DELETE FROM left_out WHERE stage = ?", [(stage,) for stage in stages])

    def states(self) -> dict[str, int]:
        """Return how many prompts are `todo`, `done` and `failed`."""
        with self._told():
            found = dict(self._db.execute("SELECT state, count(*) FROM prompts GROUP BY state").fetchall())
            return {state: found.get(state, 0) for state in ("todo", "done", "failed")}

    def retry_failed(self) -> None:
        """Let what failed be tried again."""
        with self._told():
            self._db.execute("UPDATE prompts SET state = 'todo', failure = NULL WHERE state = 'failed'")

    def todo(self, *, after: int = 0, most: int = 200) -> list[Task]:
        """Return the next prompts that wait, in their order."""
        with self._told():
            query = (
                "SELECT place, prompt FROM prompts WHERE state = 'todo' AND place > ? ORDER BY place LIMIT ?"
            )
            rows = self._db.execute(query, (after, most)).fetchall()
            return [Task(place, Prompt.model_validate_json(prompt)) for place, prompt in rows]

    def done(self, place: int, material: str) -> None:
        """Keep what a deliberation left (a `Material` as JSON)."""
        with self._told():
            self._db.execute(
                "UPDATE prompts SET state = 'done', material = ?, failure = NULL WHERE place = ?",
                (zlib.compress(material.encode("utf-8", "backslashreplace"), 6), place),
            )

    def failed(self, place: int, failure: str, *, kind: str) -> None:
        """Keep why a deliberation came to nothing, and the kind of the failure, which alone is published."""
        with self._told():
            self._db.execute(
                "UPDATE prompts SET state = 'failed', failure = ?, failure_kind = ? WHERE place = ?",
                (failure.encode("utf-8", "backslashreplace").decode(), kind, place),
            )

    def failures(self, most: int = _EXAMPLES) -> list[tuple[str, str, str]]:
        """Return the ids of prompts that failed, the kind of each failure, and its reason."""
        with self._told():
            query = (
                "SELECT id, failure_kind, failure FROM prompts WHERE state = 'failed' ORDER BY place LIMIT ?"
            )
            return self._db.execute(query, (most,)).fetchall()

    def materials(self) -> Iterator[Material]:
        """Return what the deliberations left, in the prompts' order, one at a time."""
        place = 0
        while True:
            with self._told():
                query = (
                    "SELECT place, material, json_extract(prompt, '$.label') FROM prompts "
                    "WHERE state = 'done' AND place > ? ORDER BY place LIMIT 1"
                )
                row = self._db.execute(query, (place,)).fetchone()
            if row is None:
                return
            place = row[0]
            made = Material.model_validate_json(zlib.decompress(row[1]))
            # A label may have been found personal since: what the prompt is called now is what is published.
            prompt = made.prompt.model_copy(update={"label": row[2]})
            yield made.model_copy(update={"prompt": prompt})

    def clear_rows(self) -> None:
        """Forget all rows."""
        with self._told():
            self._db.execute("DELETE FROM rows")

    def stage(self, rows: Sequence[Row]) -> None:
        """Put rows after those that are there."""
        with self._told():
            self._db.executemany(
                "INSERT INTO rows (config, id, bunch, kept, partition, completion, facts, columns) "
                "VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
                [
                    (
                        *(row.config, row.id, row.group, _partition(row), _whole(row.completion)),
                        *(_facts(row), _packed(row.columns)),
                    )
                    for row in rows
                ],
            )

    def staged(self, config: str) -> Iterator[Staged]:
        """Return the rows of a config that are still kept, in their order, without their columns."""
        with self._told():
            query = "SELECT number, id, bunch, facts FROM rows WHERE config = ? AND kept = 1 ORDER BY number"
            for number, row, group, facts in self._db.execute(query, (config,)):
                kind, persona, perspective, topics, schwartz = json.loads(facts)
                yield Staged(number, row, group, kind, persona, perspective, tuple(topics), tuple(schwartz))

    def drop(self, numbers: Iterable[int]) -> None:
        """Keep these rows no longer."""
        with self._told():
            self._db.executemany("UPDATE rows SET kept = 0 WHERE number = ?", [(n,) for n in numbers])

    def completions(self, config: str) -> Iterator[tuple[int, str, str]]:
        """Return (number, partition, completion) of a config's kept rows that have one, in their order.

        Rows of one partition are compared with each other: those of one rule, kind, persona and label. Two
        rules may prefer the same text to different ones.
        """
        with self._told():
            query = (
                "SELECT number, partition, completion FROM rows "
                "WHERE config = ? AND kept = 1 AND completion <> '' AND number > ? ORDER BY number LIMIT 1000"
            )
            last = 0
            while found := self._db.execute(query, (config, last)).fetchall():
                last = found[-1][0]
                yield from found

    def groups(self, config: str) -> Iterator[str]:
        """Return the group of every kept row of a config, in their order."""
        with self._told():
            query = "SELECT bunch FROM rows WHERE config = ? AND kept = 1 ORDER BY number"
            for (group,) in self._db.execute(query, (config,)):
                yield group

    def first_groups(self, configs: Sequence[str]) -> dict[str, str]:
        """Return the groups that are in train whatever their hash, by the config that each is there for.

        It is the first group that the config was given, in rows that are kept or not. Where no row that is kept
        would be in train so, it is the first group of those that are kept too, as `CONFIG/GROUP`. Neither is one
        that is held out, and so a config may have none.

        What was kept when rows were written (`keep_first_groups`) is so for good: a prompt that failed then, and
        gives rows now, may stand before it. Held out are the groups of the fact `held_out`, and seed and shares
        of the splits stand in `held_out_of`.
        """
        held_out = frozenset(self.fact("held_out") or ())
        known: dict[str, str] = self.fact("first_groups") or {}
        new = {config: self._all_groups(config) for config in configs if config not in known}
        found = {
            name: group
            for name, group in (known | anchors_of(new, held_out=held_out)).items()
            if name.partition("/")[0] in configs
        }
        made = self.fact("held_out_of")
        splitter = Splitter(made["seed"], made["shares"], frozenset(found.values()))
        lacking = {
            config: self.groups(config)
            for config in configs
            if all(splitter.split_of(group) != "train" for group in self.groups(config))
        }
        also = anchors_of(lacking, held_out=held_out)
        return found | {f"{config}/{group}": group for config, group in also.items()}

    def keep_first_groups(self, configs: Sequence[str]) -> None:
        """Let the first groups of these configs be those that they are now."""
        self.keep_fact("first_groups", (self.fact("first_groups") or {}) | self.first_groups(configs))

    def _all_groups(self, config: str) -> Iterator[str]:
        with self._told():
            query = "SELECT bunch FROM rows WHERE config = ? ORDER BY number"
            for (group,) in self._db.execute(query, (config,)):
                yield group

    def columns(self, config: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return the kept rows of a config in their order: the group of each, and its columns."""
        with self._told():
            query = "SELECT bunch, columns FROM rows WHERE config = ? AND kept = 1 ORDER BY number"
            for group, columns in self._db.execute(query, (config,)):
                yield group, json.loads(zlib.decompress(columns))

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the store is closed; use it in a `with` statement")
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            what = str(error)
            if "full" in what:
                what = "the disk is full; make room, and run the same command again"
            elif "I/O" in what:  # so SQLite calls a full disk too, where it needs room beside the file
                what = (
                    f"cannot be read or written ({error}); the disk may be full: make room, and run it again"
                )
            raise RunError(f"{self.path}: {what}") from error
        except OSError as error:
            raise RunError(f"{self.path}: {error.strerror or error}") from error


def _partition(row: Row) -> str:
    rule, label = row.columns.get("rule"), row.columns.get("label")
    said = None if label is None else str(label).lower()
    return "/".join(part for part in (rule, row.kind, row.persona, said) if part)


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _facts(row: Row) -> str:
    return _json([row.kind, row.persona, row.perspective, row.topics, row.schwartz])


def _packed(columns: Mapping[str, Any]) -> bytes:
    return zlib.compress(_json(columns).encode("utf-8", "backslashreplace"), 1)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
