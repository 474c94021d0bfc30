"""Texts that people name on the command line, read with care: plain text, JSONL, transcripts and run folders."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from multiplex.content.files import no_such_file
from multiplex.errors import ContentError, near_miss
from multiplex.runs import cut_off, load_run

__all__ = ["Passage", "read_passages"]

Passage = tuple[str, str]
"""Where a text stands, and the text."""

_MOST_BYTES = 8 * 1024 * 1024
"""The largest text or transcript that is read."""

_MOST_RUN_BYTES = 64 * 1024 * 1024
"""The largest file of a run's folder that is read: a transcript holds every reply twice, and its reasoning."""

_KEYS = ("text", "answer", "response", "completion", "output")
"""Where an object of a JSONL file may hold its text."""

_RUN_FILES = ("run.json", "transcript.jsonl", "answers.json", "moral_graph.json", "scores.json")


def read_passages(path: Path) -> list[Passage]:
    """Read a run's folder, a `.jsonl` file or any other file as plain text.

    Of a run: the Overton answer, the consensus statement and what personas said in their turns. Of a JSONL
    file: a transcript's turns and answers; else of each line a text in quotes, or the `text`, `answer`,
    `response`, `completion` or `output` of an object. Nothing else in it is read.

    Raises:
        ContentError: it is missing, too large, no UTF-8, or a line is not as above.
        RunError: a run's folder is damaged.
    """
    try:
        folder = path.is_dir()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise ContentError(f"{str(path)[:200]!r}: cannot be read: {error}") from error
    if folder:
        return [(where, _whole(said)) for where, said in _of_run(path)]
    if path.name in _RUN_FILES and (path.parent / "run.json").is_file() and path.suffix != ".jsonl":
        raise ContentError(f"{path}: is a file of a run; name the run's folder, {path.parent}")
    text = _read(path, _MOST_BYTES)
    found = _of_lines(path, text) if path.suffix == ".jsonl" else [(str(path), text)]
    if not any(said.strip() for _, said in found):
        raise ContentError(f"{path}: holds no text")
    return [(where, _whole(said)) for where, said in found]


def _whole(text: str) -> str:
    """Return a text without half characters, which JSON can hold and nothing can encode."""
    return text.encode("utf-8", "replace").decode()


def _of_run(folder: Path) -> list[Passage]:
    for name in _RUN_FILES:
        if (folder / name).is_file():
            _read(folder / name, _MOST_RUN_BYTES)
    run = load_run(folder)
    found = []
    if run.answers.overton:
        found.append((f"{folder}: overton", run.answers.overton))
    if run.answers.consensus:
        found.append((f"{folder}: consensus", run.answers.consensus.statement))
    found += [
        (f"{folder}: {where}", text) for act in run.transcript for where, text in _said(act, drafts=False)
    ]
    if not found:
        raise ContentError(f"{folder}: nobody said anything in this run")
    return found


def _of_lines(path: Path, text: str) -> list[Passage]:
    found: list[Passage] = []
    drafts: list[Passage] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ContentError(f"{where}: is no JSON; a .jsonl file has one JSON value a line") from error
        if isinstance(entry, str):
            found.append((where, entry))
        elif isinstance(entry, dict) and {"act", "reply"} <= entry.keys():
            said = list(_said(entry, drafts=True))
            # Of several drafts the last stands for all: they say nearly the same.
            drafts = (
                [(f"{where}: {who}", t) for who, t in said]
                if entry["act"] == "synthesise" and said
                else drafts
            )
            found += [(f"{where}: {who}", t) for who, t in said] if entry["act"] != "synthesise" else []
        else:
            known = entry if isinstance(entry, dict) else {}
            kept = [known[key] for key in _KEYS if isinstance(known.get(key), str)]
            if not kept:
                hint = near_miss(str(next(iter(known), "")), (*_KEYS, "act", "reply"))
                raise ContentError(
                    f"{where}: needs a text in quotes, an object with `text` or `answer`, or an act of a "
                    f"transcript; {hint}"
                )
            found.append((where, kept[0]))
    return found + drafts


def _said(act: Mapping[str, Any], *, drafts: bool) -> Iterator[Passage]:
    reply, speaker = act["reply"], str(act.get("speaker"))
    keys = ("statement", "answer", *(("overton", "consensus") if drafts else ()))
    if isinstance(reply, dict):
        for key in keys:
            if isinstance(reply.get(key), str):
                yield f"{speaker}, {key}", reply[key]


def _read(path: Path, most: int) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except FileNotFoundError as error:
        raise cut_off(path) or no_such_file(path) from error
    except (OSError, ValueError) as error:  # a name may hold what no name may
        raise ContentError(f"{str(path)[:200]!r}: cannot be read: {error}") from error
    if len(data) > most:
        raise ContentError(f"{path}: is larger than {most // 1024**2} MiB, the most that is read; divide it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ContentError(f"{path}: line {line}: is not UTF-8 text; save it as UTF-8") from error
