"""Splits of sets that are added to: what was written stays where it was, also when a config gets its first rows."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from multiplex.dataset.assembling import Assembly
from multiplex.dataset.checking import examine
from multiplex.dataset.prompts import read_prompts
from multiplex.dataset.summary import told
from tests.dataset.made import QUESTIONS, Table, report

FEW = Assembly(configs=("sft", "distribution"), shares={"train": 0.01, "validation": 0.495, "test": 0.495})
OPTIONS = [{"key": "yes", "text": "Yes, it is"}, {"key": "no", "text": "No, it is not"}]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path, stages=("open", "synthesise"))


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def prompts_in(folder: Path) -> Path:
    """Write five prompts, each in a group of its own: no row of `distribution` comes of them."""
    rows = [{"question": each, "group": f"g{n}"} for n, each in enumerate(QUESTIONS[:5])]
    return write(folder / "first.jsonl", *rows)


def asked(folder: Path, number: int, group: str) -> Path:
    """Write a prompt with options, which gives `distribution` a row."""
    row = {"question": QUESTIONS[number], "group": group, "options": OPTIONS}
    return write(folder / f"{number}.jsonl", row)


def rows_of(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in (out / "jsonl").rglob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path.name.partition("-")[0], json.loads(line)


def splits_of(out: Path) -> dict[str, str]:
    """Return the split of every row by its id."""
    return {row["id"]: split for split, row in rows_of(out)}


def test_a_config_that_gets_its_first_row_from_an_old_group_moves_nothing(table: Table) -> None:
    table.build(prompts_in(table.folder), assembly=FEW)
    before = splits_of(table.out)
    [held_out] = {split for split, row in rows_of(table.out) if row["group"] == "g3"}
    assert held_out != "train"
    grown = table.build(asked(table.folder, 5, "g3"), assembly=FEW, extend=True)
    after = splits_of(table.out)
    assert before.items() <= after.items()
    assert len(after) > len(before)
    assert grown.counts["distribution"] == {held_out: 1}
    assert examine(table.out).problems == []
    # The next group is not written yet: it is there to train on, and what was written stays again.
    more = table.build(asked(table.folder, 6, "new"), assembly=FEW, extend=True)
    assert more.counts["distribution"] == {held_out: 1, "train": 1}
    assert after.items() <= splits_of(table.out).items()
    after = splits_of(table.out)
    table.build(asked(table.folder, 7, "g3"), assembly=FEW, extend=True)
    assert after.items() <= splits_of(table.out).items()


@pytest.mark.parametrize("group", ["g0", "new"])
def test_a_config_that_gets_its_first_row_later_is_as_in_one_build_where_nothing_has_to_move(
    table: Table, group: str
) -> None:
    first, more = prompts_in(table.folder), asked(table.folder, 5, group)
    table.build(first, assembly=FEW)
    grown = table.build(more, assembly=FEW, extend=True)
    assert grown.counts["distribution"] == {"train": 1}
    once = Table(table.folder / "once", stages=("open", "synthesise"))
    whole = once.build(more, assembly=FEW, read=lambda: read_prompts([first, more]))
    assert grown.data_sha256 == whole.data_sha256


@pytest.mark.parametrize("phase", ["prompts", "deliberations", "rows", "files"])
def test_who_is_interrupted_while_a_config_gets_its_first_row_comes_to_the_same(
    table: Table, phase: str
) -> None:
    first, more = prompts_in(table.folder), asked(table.folder, 5, "g3")
    table.build(first, assembly=FEW)

    def stop(begun: str) -> None:
        if begun == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table.build(more, assembly=FEW, extend=True, on_phase=stop)
    assert examine(table.out).problems == []
    grown = table.build(more, assembly=FEW, extend=True)
    whole = Table(table.folder / "whole", stages=("open", "synthesise"))
    whole.build(first, assembly=FEW)
    assert grown.data_sha256 == whole.build(more, assembly=FEW, extend=True).data_sha256


def test_another_set_in_the_same_folder_is_split_as_in_a_new_one(table: Table) -> None:
    first, more = prompts_in(table.folder), asked(table.folder, 5, "g3")
    table.build(first, assembly=Assembly(configs=("sft",), shares=FEW.shares))
    table.build(more, assembly=Assembly(configs=("sft",), shares=FEW.shares), extend=True)
    both = table.build(more, assembly=FEW, extend=True)
    once = Table(table.folder / "once", stages=("open", "synthesise"))
    whole = once.build(more, assembly=FEW, read=lambda: read_prompts([first, more]))
    assert both.data_sha256 == whole.data_sha256
    assert both.counts["distribution"] == {"train": 1}


def test_fewer_configs_are_another_set_and_split_as_in_a_new_folder(table: Table) -> None:
    first, old, new = prompts_in(table.folder), asked(table.folder, 5, "g3"), asked(table.folder, 6, "new")
    table.build(first, assembly=FEW)
    table.build(old, assembly=FEW, extend=True)
    table.build(new, assembly=FEW, extend=True)
    fewer = Assembly(configs=("distribution",), shares=FEW.shares)
    again = table.build(new, assembly=fewer, extend=True)
    once = Table(table.folder / "once", stages=("open", "synthesise"))
    whole = once.build(new, assembly=fewer, read=lambda: read_prompts([first, old, new]))
    assert splits_of(table.out) == splits_of(once.out)
    assert again.data_sha256 == whole.data_sha256


# --- configs whose first rows balance leaves out -----------------------------------------------

TIGHT = Assembly(
    configs=("distribution", "grpo", "transcripts"),
    balance={"perspective": math.inf, "topics": 1.0, "schwartz": math.inf},
    shares=FEW.shares,
)


def labelled(folder: Path, name: str, labels: str, *, first: int = 0) -> Path:
    """Write prompts with options, each in a group of its own, on these topics of their own."""
    rows = (
        {"question": QUESTIONS[n], "group": f"g{n}", "options": OPTIONS, "domain": label}
        for n, label in enumerate(labels, start=first)
    )
    return write(folder / f"{name}.jsonl", *rows)


def test_a_config_whose_first_rows_are_left_out_has_something_to_train_on(table: Table) -> None:
    made = table.build(labelled(table.folder, "a", "aaabc"), assembly=TIGHT)
    assert {config: of["train"] for config, of in made.counts.items()} == dict.fromkeys(TIGHT.configs, 1)
    assert report(table.out)["untrained"] == {}
    loose = replace(TIGHT, balance=dict.fromkeys(TIGHT.balance, math.inf))
    table.build(labelled(table.folder, "a", "aaabc"), assembly=loose)
    assert report(table.out)["splits"]["anchored"] == ["g0"]  # one group is enough where nothing is left out


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("labels", ["aaabcaab", "abababcc", "aabbccdd"])
def test_rows_stay_where_they_were_written_however_balance_is_struck_when_the_set_grows(
    table: Table, labels: str, seed: int
) -> None:
    tight = replace(TIGHT, seed=seed)
    groups: dict[str, str] = {}
    for number, (first, last) in enumerate(((0, 3), (3, 5), (5, 6), (6, 8))):
        more = labelled(table.folder, f"part{number}", labels[first:last], first=first)
        made = table.build(more, assembly=tight, extend=number > 0)
        now = {row["group"]: split for split, row in rows_of(table.out)}
        assert groups | now == now | groups
        groups |= now
        told_of = report(table.out)["untrained"]
        assert {config for config, of in made.counts.items() if "train" not in of} == set(told_of)
        assert number or not told_of
        assert table.build(more, assembly=tight, extend=True).sha256 == made.sha256
    assert examine(table.out).problems == []


@pytest.mark.parametrize("phase", ["rows", "files"])
def test_who_is_interrupted_while_first_rows_are_left_out_comes_to_the_same(table: Table, phase: str) -> None:
    prompts = labelled(table.folder, "a", "aaabc")

    def stop(begun: str) -> None:
        if begun == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table.build(prompts, assembly=TIGHT, on_phase=stop)
    made = table.build(prompts, assembly=TIGHT)
    whole = Table(table.folder / "whole", stages=("open", "synthesise"))
    assert made.data_sha256 == whole.build(prompts, assembly=TIGHT).data_sha256


def test_a_config_that_has_nothing_to_train_on_is_told(table: Table) -> None:
    table.build(prompts_in(table.folder), assembly=FEW)
    table.build(asked(table.folder, 5, "g3"), assembly=FEW, extend=True)
    [(config, why)] = report(table.out)["untrained"].items()
    assert config == "distribution"
    assert why.startswith(
        "none of its rows is in train: they are of groups that were written to other splits"
    )
    assert f"distribution: {why}" in told(table.out)
    assert f"- `distribution`: 1 of 1 rows; {why}\n" in (table.out / "README.md").read_text(encoding="utf-8")
