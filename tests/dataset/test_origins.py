"""What files are called in what is published."""

import json
from pathlib import Path

import pytest

from multiplex.dataset.origins import file_of, numbered, place_of
from multiplex.dataset.plan import numbered_sources, sources_of
from multiplex.dataset.prompts import Prompt, read_prompts


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([], []),
        (["/home/ada/priya_sharma.jsonl"], ["file 1"]),
        (["/home/ada/may/q.jsonl", "/home/ada/june/q.jsonl"], ["file 1", "file 2"]),
        (["may/q.jsonl", "./june/../june/q.jsonl", "june/q.jsonl"], ["file 1", "file 2", "file 2"]),
        (["q.jsonl", "./q.jsonl"], ["file 1", "file 1"]),
    ],
)
def test_a_file_is_called_by_a_number_and_by_nothing_of_its_path(files: list[str], names: list[str]) -> None:
    found = numbered(map(Path, files))
    assert [found[place_of(file)] for file in files] == names


def test_a_number_stands_and_others_are_only_added() -> None:
    before = numbered(["b.jsonl", "a.jsonl"])
    after = numbered(["c.jsonl", "a.jsonl", "d.jsonl"], before)
    assert after == {
        place_of(name): f"file {number}"
        for name, number in (("b.jsonl", 1), ("a.jsonl", 2), ("c.jsonl", 3), ("d.jsonl", 4))
    }


@pytest.mark.parametrize(
    ("origin", "file"), [("file 12:7", "file 12"), ("file 3", "file 3"), ("generated", "generated")]
)
def test_the_file_of_an_origin_is_told_without_the_line(origin: str, file: str) -> None:
    assert file_of(origin) == file


def test_prompts_and_the_plan_call_files_alike_and_as_before(tmp_path: Path) -> None:
    for folder in ("may", "june"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "asked.jsonl").write_text(json.dumps({"question": f"What of {folder}?"}))
    (tmp_path / "bells.yaml").write_text("name: bells\nquestion: What are bells for?\n")
    files = [tmp_path / "may" / "asked.jsonl", tmp_path / "june" / "asked.jsonl", tmp_path / "bells.yaml"]
    origins = [each.origin for each in read_prompts(files) if isinstance(each, Prompt)]
    assert origins == ["file 1:1", "file 2:1", "file 3"]
    sources = sources_of(files)
    assert [each["file"] for each in sources] == ["file 1", "file 2", "file 3"]
    later = numbered_sources(sources_of([files[2], files[0]]), sources[1:])
    assert [each["file"] for each in later] == ["file 3", "file 4"]
    only = {each["path"]: each["file"] for each in later[1:]}
    assert [each.origin for each in read_prompts(files, only=only)] == ["file 4:1"]
