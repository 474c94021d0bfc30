"""What files are called in what is published."""

import json
from pathlib import Path

import pytest

from multiplex.dataset.origins import origins_of
from multiplex.dataset.plan import sources_of
from multiplex.dataset.prompts import Prompt, read_prompts


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([], []),
        (["/home/ada/q.jsonl"], ["q.jsonl"]),
        (["/home/ada/q.jsonl", "/home/ada/r.jsonl"], ["q.jsonl", "r.jsonl"]),
        (["/home/ada/may/q.jsonl", "/home/ada/june/q.jsonl"], ["may/q.jsonl", "june/q.jsonl"]),
        (["/home/ada/q.jsonl", "/home/ada/old/q.jsonl"], ["q.jsonl", "old/q.jsonl"]),
        (
            ["/home/ada/may/q.jsonl", "/data/june/q.jsonl", "/data/r.txt"],
            ["may/q.jsonl", "june/q.jsonl", "r.txt"],
        ),
        (["/a/x/q.txt", "/b/x/q.txt", "/b/y/q.txt"], ["a/x/q.txt", "b/x/q.txt", "y/q.txt"]),
        (["may/q.jsonl", "./june/../june/q.jsonl"], ["may/q.jsonl", "june/q.jsonl"]),
        (["q.jsonl", "./q.jsonl"], ["q.jsonl", "q.jsonl"]),
    ],
)
def test_a_file_is_called_by_its_name_and_no_more_of_its_path_than_tells_it_apart(
    files: list[str], names: list[str]
) -> None:
    found = origins_of(map(Path, files))
    assert [found[Path(file)] for file in files] == names


def test_prompts_and_the_manifest_call_files_of_one_name_alike(tmp_path: Path) -> None:
    for folder in ("may", "june"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "asked.jsonl").write_text(json.dumps({"question": f"What of {folder}?"}))
    (tmp_path / "bells.yaml").write_text("name: bells\nquestion: What are bells for?\n")
    files = [tmp_path / "may" / "asked.jsonl", tmp_path / "june" / "asked.jsonl", tmp_path / "bells.yaml"]
    origins = [each.origin for each in read_prompts(files) if isinstance(each, Prompt)]
    assert origins == ["may/asked.jsonl:1", "june/asked.jsonl:1", "bells.yaml"]
    assert [each["file"] for each in sources_of(files)] == [
        "may/asked.jsonl",
        "june/asked.jsonl",
        "bells.yaml",
    ]
