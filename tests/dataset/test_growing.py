"""Datasets that are added to (`--extend`): as if they had been built at once, and nothing moves that was there."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Failure, TakePosition
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import Publication
from multiplex.dataset.checking import examine
from multiplex.dataset.masking import Masks
from multiplex.dataset.prompts import read_prompts
from multiplex.dataset.summary import told
from multiplex.errors import ContentError
from tests.dataset.made import QUESTIONS, WORDS, Table, report, said, write_prompts


class _Hide:
    """Masks these words, as a masker would names."""

    def __init__(self, *words: str) -> None:
        self._words = re.compile(r"\b(" + "|".join(words) + r")\b")

    names = frozenset[str]()

    def session(self, scenario: object = None) -> "_Hide":
        return self

    def mask(self, text: str) -> "_Hidden":
        return _Hidden(*self._words.subn("[NAME_1]", text))

    def mask_all(self, texts: Sequence[str]) -> "list[_Hidden]":
        return [self.mask(text) for text in texts]

    def parts(self, text: str, scenario: object = None) -> set[str]:
        return set()

    def text(self, text: str, scenario: object = None, parts: object = ()) -> tuple[str, Counter[str]]:
        return text, Counter()


class _Hidden:
    def __init__(self, text: str, number: int) -> None:
        self.text, self.counts = text, {"NAME": number} if number else {}


SHARED = "the mill and weir on our river under old oaks"
HALVES = Assembly(configs=("sft", "grpo"), shares={"train": 0.5, "validation": 0.25, "test": 0.25})


def rows_of(out: Path) -> dict[str, tuple[str, str]]:
    """Return the split and the group of every row by its id."""
    return {
        row["id"]: (path.name.partition("-")[0], row["group"])
        for path in (out / "jsonl").rglob("*.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    }


def test_a_set_that_grew_is_the_one_that_was_built_at_once(table: Table) -> None:
    first = write_prompts(table.folder / "a.jsonl", [QUESTIONS[0], f"Should {SHARED} stand?"])
    more = write_prompts(
        table.folder / "b.jsonl",
        [QUESTIONS[1], QUESTIONS[0], QUESTIONS[0].upper(), f"Should {SHARED} stand firm today?"],
    )
    table.build(first, assembly=HALVES)
    asked, before = len(table.responder.acts), rows_of(table.out)
    with pytest.raises(
        ContentError,
        match=r"was begun without .*b\.jsonl; .*add the prompts of this one with --extend, or name",
    ):
        table.build(more, assembly=HALVES)
    grown = table.build(more, assembly=HALVES, extend=True)
    new = {act.scenario.question for act in table.responder.acts[asked:]}
    assert new == {QUESTIONS[1], f"Should {SHARED} stand firm today?"}
    after = rows_of(table.out)
    assert {row: after[row] for row in before if row in after} == {r: before[r] for r in before if r in after}
    assert len(after) > len(before)
    left_out = report(table.out)["left_out"]["prompts"]
    assert {kind: each["number"] for kind, each in left_out.items()} == {"duplicate": 1, "near_duplicate": 1}
    assert examine(table.out).problems == []
    assert [source["file"] for source in grown.sources] == ["file 1", "file 2"]

    once = Table(table.folder / "once")
    both = lambda: read_prompts([first, more])  # noqa: E731
    assert once.build(more, assembly=HALVES, read=both).data_sha256 == grown.data_sha256
    asked = len(table.responder.acts)
    assert table.build(first, assembly=HALVES, extend=True).sha256 == grown.sha256
    assert len(table.responder.acts) == asked


def test_a_file_that_is_added_may_call_its_column_of_prompts_otherwise(table: Table) -> None:
    first = write_prompts(table.folder / "a.jsonl", [QUESTIONS[0]])
    more = write_prompts(table.folder / "b.jsonl", [QUESTIONS[1]])
    table.build(first, assembly=WORDS, plan={"column": "asked"})
    with pytest.raises(
        ContentError, match=r"\(--prompt-column\) \('asked', and now not given\); give the same"
    ):
        table.build(first, assembly=WORDS)
    with pytest.raises(ContentError, match=r"\('asked', and now 'other'\)"):  # there is nothing new to read
        table.build(first, assembly=WORDS, plan={"column": "other"}, extend=True)
    grown = table.build(more, assembly=WORDS, plan={"column": "ask_me"}, extend=True)
    assert grown.counts == {"transcripts": {"train": 2}}
    assert [source.get("column") for source in grown.sources] == [None, "ask_me"]
    assert grown.options["plan"]["column"] == "asked"
    for column in ("ask_me", "asked"):
        again = table.build(more, assembly=WORDS, plan={"column": column}, extend=True)
        assert again.sha256 == grown.sha256


def test_what_was_told_of_a_set_once_is_told_of_it_when_it_grows(table: Table) -> None:
    first = write_prompts(table.folder / "a.jsonl", [QUESTIONS[0]])
    more = write_prompts(table.folder / "b.jsonl", [QUESTIONS[1]])
    table.build(
        first, assembly=WORDS, publication=Publication(title="Mine", license="cc-by-4.0", languages=("de",))
    )
    table.build(more, assembly=WORDS, extend=True)
    card = (table.out / "README.md").read_text(encoding="utf-8")
    assert "# Mine" in card
    assert "license: cc-by-4.0" in card
    table.build(more, assembly=WORDS, extend=True, publication=Publication(title="Ours"))
    assert "# Ours" in (table.out / "README.md").read_text(encoding="utf-8")


def test_a_new_prompt_that_would_move_what_is_there_is_left_out(table: Table) -> None:
    first = write_prompts(
        table.folder / "a.jsonl", [f"{SHARED} cattle, sheep, goats", f"{SHARED} bakers, smiths, dyers"]
    )
    more = write_prompts(table.folder / "b.jsonl", [SHARED, QUESTIONS[0]])
    table.build(first, assembly=WORDS)
    before = rows_of(table.out)
    assert len({group for _, group in before.values()}) == 2
    grown = table.build(more, assembly=WORDS, extend=True)
    left_out = report(table.out)["left_out"]["prompts"]
    assert left_out["between_groups"]["number"] == 1
    assert left_out["between_groups"]["examples"][0].startswith("file 2:1: would link the groups ")
    after = rows_of(table.out)
    assert before.items() <= after.items()
    assert len(after) == 3
    once = Table(table.folder / "once")
    other = once.build(more, assembly=WORDS, read=lambda: read_prompts([first, more]))
    assert other.data_sha256 != grown.data_sha256  # there the one prompt links the two


def test_where_there_is_no_dataset_none_is_extended(table: Table, prompts: Path) -> None:
    with pytest.raises(
        ContentError, match=r"there is no dataset to extend; .* or begin one without --extend"
    ):
        table.build(prompts, assembly=WORDS, extend=True)
    assert not table.out.exists()


def test_what_is_given_a_group_that_is_there_joins_it_also_later(table: Table) -> None:
    files = []
    for number, group in enumerate(("x", "y", "x")):
        file = table.folder / f"{number}.jsonl"
        file.write_text(json.dumps({"question": QUESTIONS[number], "group": group}) + "\n")
        files.append(file)
    for file in files:
        table.build(file, assembly=WORDS, extend=file is not files[0])
    assert [group for _, group in rows_of(table.out).values()] == ["x", "y", "x"]


def test_who_is_interrupted_while_a_set_grows_goes_on_and_nothing_is_half_taken_in(
    table: Table, prompts: Path
) -> None:
    table.build(prompts, assembly=WORDS)
    more = write_prompts(table.folder / "more.jsonl", QUESTIONS[2:4])
    embed = table.words.embed

    def interrupted(texts: Any) -> Any:
        embed(texts)
        raise KeyboardInterrupt

    table.words.embed = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        table.build(more, assembly=WORDS, extend=True)
    table.words.embed = embed  # type: ignore[method-assign]
    assert examine(table.out).problems == []
    assert table.build(prompts, assembly=WORDS).counts == {"transcripts": {"train": 2}}

    def stop(phase: str) -> None:
        if phase == "deliberations":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table.build(more, assembly=WORDS, extend=True, on_phase=stop)
    grown = table.build(more, assembly=WORDS, extend=True)
    once = Table(table.folder / "once")
    whole = once.build(more, assembly=WORDS, read=lambda: read_prompts([prompts, more]))
    assert grown.data_sha256 == whole.data_sha256


def test_what_was_written_stays_in_its_split_when_a_prompt_that_failed_first_comes_to_something(
    table: Table,
) -> None:
    ill = True

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if ill and isinstance(act, TakePosition) and act.scenario.question == QUESTIONS[0]:
            return Failure("timeout", "no answer within 9 s")
        return said(act, seed)

    flaky = Table(table.folder / "flaky", script)
    few = replace(WORDS, shares={"train": 0.01, "validation": 0.495, "test": 0.495})
    first = write_prompts(table.folder / "a.jsonl", QUESTIONS[:4])
    flaky.build(first, assembly=few)
    before = rows_of(flaky.out)
    assert sorted({split for split, _ in before.values()}) != ["train"]
    assert "train" in {split for split, _ in before.values()}  # the first that came to something
    ill = False
    flaky.build(write_prompts(table.folder / "b.jsonl", QUESTIONS[4:5]), assembly=few, extend=True)
    after = rows_of(flaky.out)
    assert len(after) == len(before) + 2
    assert before.items() <= after.items()
    once = Table(table.folder / "once")
    once.build(first, assembly=few)
    assert not before.items() <= rows_of(once.out).items()  # there another prompt came first
    anew = replace(few, seed=1)  # another set: as in a new folder
    both = lambda: read_prompts([first, table.folder / "b.jsonl"])  # noqa: E731
    other = Table(table.folder / "other").build(first, assembly=anew, read=both)
    assert flaky.build(table.folder / "b.jsonl", assembly=anew, extend=True).data_sha256 == other.data_sha256


def test_a_file_that_has_grown_is_counted_as_if_it_had_been_read_once(table: Table) -> None:
    rows: list[Any] = [QUESTIONS[0], "", QUESTIONS[0], QUESTIONS[1], QUESTIONS[0].upper(), QUESTIONS[2]]
    prompts = write_prompts(table.folder / "priya_sharma.jsonl", rows[:5])
    masks = cast("Masks", _Hide("baker", "hail"))
    table.build(prompts, assembly=WORDS, masks=masks)
    assert report(table.out)["left_out"]["masked in prompts"]["NAME"]["number"] == 1
    write_prompts(prompts, rows)
    grown = table.build(prompts, assembly=WORDS, masks=masks, extend=True)
    once = Table(table.folder / "once")
    whole = once.build(prompts, assembly=WORDS, masks=masks)
    assert grown.data_sha256 == whole.data_sha256
    assert report(table.out)["left_out"] == report(once.out)["left_out"]
    assert report(once.out)["left_out"]["masked in prompts"] == {
        "NAME": {"number": 2, "examples": ["file 1:4", "file 1:6"]}
    }
    assert [source["file"] for source in grown.sources] == ["file 1", "file 1"]
    assert examine(table.out).problems == []
    assert table.build(prompts, assembly=WORDS, masks=masks).sha256 == grown.sha256
    write_prompts(prompts, rows[:5])
    with pytest.raises(
        ContentError, match=r"priya_sharma\.jsonl has grown since .* put it back, or give --extend"
    ):
        table.build(prompts, assembly=WORDS, masks=masks)
    assert table.build(prompts, assembly=WORDS, masks=masks, extend=True).sha256 == grown.sha256


def test_what_a_folder_holds_that_is_not_read_is_counted_once_also_where_it_is_added(table: Table) -> None:
    def passed_over() -> int:
        found: int = report(table.out)["left_out"]["prompts"]["passed_over"]["number"]
        return found

    for number, name in enumerate(("mill", "weir")):
        (table.folder / name).mkdir()
        (table.folder / name / "notes.docx").write_text("x")
        write_prompts(table.folder / name / "asked.jsonl", QUESTIONS[number : number + 1])
    table.build(write_prompts(table.folder / "first.jsonl", QUESTIONS[4:5]), assembly=WORDS)
    table.build(table.folder / "mill", assembly=WORDS, extend=True)
    assert passed_over() == 1
    table.build(table.folder / "weir", assembly=WORDS, extend=True)
    assert passed_over() == 2
    (table.folder / "mill" / "more.docx").write_text("x")
    write_prompts(table.folder / "mill" / "more.jsonl", QUESTIONS[2:3])
    table.build(table.folder / "mill", assembly=WORDS, extend=True)
    assert passed_over() == 3
    told = report(table.out)["left_out"]["prompts"]["passed_over"]["examples"]
    assert all(each.startswith("a folder: holds a file that is not read; ") for each in told)
    (table.folder / "weir" / "asked.jsonl").unlink()
    (table.folder / "weir" / "notes.docx").unlink()
    table.build(write_prompts(table.folder / "last.jsonl", QUESTIONS[3:4]), assembly=WORDS, extend=True)
    assert passed_over() == 3


def test_no_name_of_a_file_is_published_and_its_number_stands(table: Table) -> None:
    for folder in ("priya", "aisha"):
        (table.folder / folder).mkdir()
    first = write_prompts(table.folder / "priya" / "aisha.bello@example.org.jsonl", QUESTIONS[:1])
    table.build(first, assembly=WORDS)
    more = write_prompts(table.folder / "aisha" / "PriyaSharma.jsonl", ["", QUESTIONS[1], QUESTIONS[0]])
    table.build(more, assembly=WORDS, extend=True)
    published = "".join(
        path.read_bytes().decode("latin-1").lower()
        for path in table.out.rglob("*")
        if path.is_file() and ".build" not in path.parts
    )
    assert "file 2:2" in published
    for word in ("priya", "aisha", "bello", "sharma", str(table.folder)):
        assert word not in published
    paths = json.loads((table.out / ".build" / "sources.json").read_text())
    assert paths == {"file 1": str(first), "file 2": str(more)}
    left_out = report(table.out)["left_out"]["prompts"]
    assert left_out["empty"]["examples"] == ["file 2:1: the question is empty"]
    assert left_out["duplicate"]["examples"] == ["file 2:3: the same prompt is there already"]
    first.rename(moved := table.folder / "moved.jsonl")
    with pytest.raises(ContentError, match=r"was begun with .*PriyaSharma\.jsonl too; name it as well"):
        table.build(moved, assembly=WORDS)
    asked = len(table.responder.acts)
    assert table.build(moved, assembly=WORDS, extend=True).counts == {"transcripts": {"train": 2}}
    assert len(table.responder.acts) == asked


def test_a_group_that_is_found_to_tell_of_somebody_when_a_set_grows_is_told_of(table: Table) -> None:
    class Later(_Hide):
        """Knows of no name but in a prompt that gives it."""

        def session(self, scenario: object = None) -> _Hide:
            return _Hide("Ada") if "Ada" in str(scenario) else _Hide("nobody")

    masks = cast("Masks", Later("nobody"))
    for name, question in (("a.jsonl", QUESTIONS[0]), ("b.jsonl", f"{QUESTIONS[1]} Ada asks.")):
        file = table.folder / name
        file.write_text(json.dumps({"question": question, "group": "letters of Ada"}) + "\n")
        plan = {"masker": {"names": "x"}}
        table.build(file, assembly=WORDS, masks=masks, plan=plan, extend=name == "b.jsonl")
    assert {group for _, group in rows_of(table.out).values()} == {"letters of Ada"}
    [first] = report(table.out)["personal_groups"]
    card = (table.out / "README.md").read_text(encoding="utf-8")
    [told_of] = [line for line in told(table.out) if line.startswith("personal data: ")]
    assert told_of.removeprefix("personal data: ") in card
    assert f"(first prompts: {first})" in told_of


def test_to_prompts_that_were_written_none_are_added(table: Table, prompts: Path) -> None:
    written = {"sources": (), "generated": {"prompts": 2, "topics": "all"}}
    table.build(prompts, assembly=WORDS, plan=written)
    with pytest.raises(ContentError, match=r"its prompts were written \(--generate\), and to these none can"):
        table.build(prompts, assembly=WORDS, extend=True)
