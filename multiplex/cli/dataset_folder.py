"""`multiplex dataset check`, `stats` and `push`: what can be done with a dataset that is built."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from multiplex.cli.graph_shown import counted, flat, number, print_rows, say
from multiplex.cli.outcome import Json, plain_errors, print_json
from multiplex.errors import ContentError

__all__ = ["check_command", "push_command", "stats_command"]

_MOST_VALUES = 15

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A dataset's folder.", show_default=False)]


def check_command(folder: _Folder, as_json: Json = False) -> None:
    """Hold a dataset's files, columns, splits and preferences against what must be true of them.

    Any folder of this layout can be checked, whoever made it; exit with 1 if there are problems.
    """
    with plain_errors():
        from multiplex.dataset.checking import examine

        checked = examine(folder)
        problems = checked.problems
        if as_json:
            print_json(
                {
                    "folder": str(folder),
                    "problems": [asdict(each) for each in problems],
                    "notes": [asdict(each) for each in checked.notes],
                }
            )
        else:
            # A line each, however long: whoever pipes it looks for paths in it.
            for each in problems:
                say(f"{each.where}: {each.said} ({each.check})")
            for each in checked.notes:
                say(f"note: {each.where}: {each.said}")
            say(f"{folder}: {counted(len(problems), 'problem') if problems else 'sound'}")
        if problems:
            raise typer.Exit(1)


def stats_command(
    folder: _Folder,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Count tokens too, with a tokenizer of transformers: a folder or a name.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count a dataset's rows, lengths, balance, margins and endorsements."""
    with plain_errors():
        from multiplex.dataset.statistics import statistics

        found = statistics(folder, count_tokens=_counter(tokenizer) if tokenizer else None)
        if as_json:
            print_json({"folder": str(folder), **found})
            return
        _print_statistics(found)


def push_command(
    folder: _Folder,
    repo: Annotated[str, typer.Argument(help="Where to, as owner/name.", show_default=False)],
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone read it; else it is private.")
    ] = False,
    endpoint: Annotated[
        str | None, typer.Option(envvar="HF_ENDPOINT", help="A hub of your own.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Push a dataset to a hub, once the check finds no problem; the token is that of HF_TOKEN."""
    with plain_errors():
        from multiplex.dataset.pushing import push

        if not as_json:
            print(f"checking and pushing {folder}", file=sys.stderr)
        address = push(
            folder,
            repo,
            token=os.environ.get("HF_TOKEN", "").strip() or None,
            private=not public,
            endpoint=endpoint,
            on_note=lambda note: print(f"note: {flat(note).plain}", file=sys.stderr),
        )
        if as_json:
            print_json({"folder": str(folder), "repo": repo, "private": not public, "commit": address})
        else:
            say(address)


def _counter(name: str) -> Callable[[str], int]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise ContentError(f"--tokenizer {name}: cannot be loaded: {said}") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _print_statistics(found: Mapping[str, Any]) -> None:
    tokens = any("tokens" in each for each in found["configs"].values())
    print_rows(
        ("config", "train", "validation", "test", "words a row", *(["tokens a row"] if tokens else [])),
        [
            (
                config,
                *(each["rows"].get(split, 0) for split in ("train", "validation", "test")),
                each["words"]["mean"],
                *([each["tokens"]["mean"]] if tokens else []),
            )
            for config, each in found["configs"].items()
        ],
    )
    say("")
    lengths = [
        (f"{config}: {column}", each["characters"]["mean"], each["words"]["mean"], each["words"]["most"])
        for config, columns in found["completions"].items()
        for column, each in columns.items()
    ]
    print_rows(("answers", "mean characters", "mean words", "most words"), lengths)
    for axis, by_config in {**found["balance"], "rule": found["rules"]}.items():
        named = {config: each for config, each in by_config.items() if any(one["name"] for one in each)}
        if not named:
            continue
        say("")
        if axis == "schwartz":  # many values, and most in every config: their sum is enough to read
            totals = _totals(named)
            most = list(totals.items())[:_MOST_VALUES]
            print_rows(("schwartz, the most frequent", "rows in all configs"), most)
            if len(totals) > _MOST_VALUES:
                say(f"... and {len(totals) - _MOST_VALUES} more; --json prints all")
        else:
            rows = [(name, *(_rows_of(each, name) for each in named.values())) for name in _totals(named)]
            print_rows((axis, *named), rows)
    for config, splits in found["labels"].items():
        say("")
        rows = [(split, of["desirable"], of["undesirable"]) for split, of in splits.items()]
        print_rows((f"labels of {config}", "desirable", "undesirable"), rows)
    for name in ("margins", "claims_margins"):
        for config, by_rule in found[name].items():
            say("")
            bins = [f"{bin_ / 10:.1f}" for bin_ in range(10)]
            title = f"{name.replace('_', ' ')} of {config} from"
            print_rows((title, *bins), [(rule, *counts) for rule, counts in by_rule.items()])
    entropy = found["perspective_entropy"]
    say("")
    if entropy["value"] is None:
        say(f"perspective entropy: undefined: {entropy['reason']}")
    else:
        classes = f"over {entropy['classes']} perspectives ({entropy['of']})"
        say(f"perspective entropy: {number(entropy['value'])} {classes}")


def _totals(by_config: Mapping[str, Any]) -> dict[str, int]:
    """Return how many rows name each name in any config, the most frequent first."""
    totals: dict[str, int] = {}
    for found in by_config.values():
        for each in found:
            if each["name"] is not None:
                totals[each["name"]] = totals.get(each["name"], 0) + each["rows"]
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def _rows_of(found: list[Mapping[str, Any]], name: str) -> int:
    return next((each["rows"] for each in found if each["name"] == name), 0)
