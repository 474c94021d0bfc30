"""`multiplex graph merge`: what runs have in common becomes one, and nothing is counted twice."""

import json
import shutil
from pathlib import Path

import pytest

from multiplex.cli.graph_files import run_names
from tests.cli.graphs import HEADER, ran, refused, told


def test_merge_makes_one_node_of_the_same_value_and_keeps_the_contexts(tmp_path: Path, run: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    data = json.loads((run / "moral_graph.json").read_text(encoding="utf-8"))
    for each in data["judgements"]:
        each["context"] = "work"
    (second / "moral_graph.json").write_text(json.dumps(data), encoding="utf-8")
    out = tmp_path / "merged.json"
    found = told("merge", run, second, "--distance", "0", "--out", out)
    assert (found["runs"], found["values"], found["judgements"]) == (["first", "second"], 4, 12)
    assert found["merged"]["second/a"] == "first/a"
    assert told("show", out)["contexts"] == ["care", "work"]
    said = ran("merge", run, second, "--distance", "0")
    assert said.startswith("12 judgements, 4 cards merged into others; 4 values, 8 edges, 4 kept\n")


@pytest.mark.parametrize("again", ["the same", "its file", "a copy", "a copy of its file"])
def test_a_run_that_is_given_twice_counts_once(tmp_path: Path, run: Path, again: str) -> None:
    (run / "run.json").write_text('{"run": "20260101-first-1a2b"}', encoding="utf-8")
    path = {"the same": run, "its file": run / "moral_graph.json", "a copy": tmp_path / "copy"}.get(
        again, tmp_path / "elsewhere.json"
    )
    if again == "a copy":
        shutil.copytree(run, path)
    elif again == "a copy of its file":
        shutil.copy(run / "moral_graph.json", path)
    found = told("merge", run, path, "--distance", "0")
    assert (found["runs"], found["judgements"], found["kept"]) == (["first"], 6, 2)
    assert found["warnings"] == [f"{path}: is the same run as {run}, and counts once"]


def test_a_run_that_is_part_of_a_merged_graph_counts_once(tmp_path: Path, run: Path) -> None:
    (run / "run.json").write_text('{"run": "one"}', encoding="utf-8")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    (other / "run.json").write_text('{"run": "two"}', encoding="utf-8")
    _judged_by_others(other)
    both = tmp_path / "both.json"
    assert told("merge", run, other, "--distance", "0", "--out", both)["judgements"] == 12
    found = told("merge", both, run, "--distance", "0")
    assert (found["judgements"], found["repeated"]) == (12, 6)
    assert found["warnings"] == ["6 judgements left out: an earlier graph holds those of the same run"]


def _judged_by_others(folder: Path) -> None:
    path = folder / "moral_graph.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for each in data["judgements"]:
        each["judge"] = f"another {each['judge']}"
    path.write_text(json.dumps(data), encoding="utf-8")


def test_a_run_made_again_is_one_evidence_and_told_of(tmp_path: Path, run: Path) -> None:
    (run / "run.json").write_text('{"run": "one"}', encoding="utf-8")
    again, third = tmp_path / "again", tmp_path / "third"
    for folder in (again, third):
        shutil.copytree(run, folder)
        (folder / "run.json").write_text(json.dumps({"run": folder.name}), encoding="utf-8")
    _judged_by_others(third)
    path = again / "moral_graph.json"  # made again, all has other ids and times
    text = path.read_text(encoding="utf-8")
    data = json.loads(text)
    for each in data["judgements"]:
        each.update(source=f"x{each['source']}", wiser=f"x{each['wiser']}", time="later", seed=7)
    for each in data["values"]:
        each["id"] = f"x{each['id']}"
    data["edges"] = []
    path.write_text(json.dumps(data), encoding="utf-8")
    found = told("merge", run, again, "--distance", "0")
    assert (found["runs"], found["judgements"]) == (["first"], 6)
    (warning,) = [each for each in found["warnings"] if "one evidence" in each]
    assert warning.startswith(f"{again}: ")
    assert f"in {run}:" in warning
    assert told("merge", run, third, "--distance", "0")["judgements"] == 12
    # Within a graph that was merged before too, whichever comes first.
    merged = tmp_path / "merged.json"
    ran("merge", run, third, "--distance", "0", "--out", merged)
    assert told("merge", merged, again, "--distance", "0")["judgements"] == 12
    assert told("merge", again, merged, "--distance", "0")["judgements"] == 12
    # For another reason it is another evidence.
    data["judgements"][0]["reason"] = "Because of the tide."
    path.write_text(json.dumps(data), encoding="utf-8")
    assert told("merge", run, again, "--distance", "0")["judgements"] == 12


def test_judges_without_name_and_reason_may_be_others(tmp_path: Path, run: Path) -> None:
    other = tmp_path / "other"
    for folder in (run, other):
        if folder is other:
            shutil.copytree(run, other)
        (folder / "run.json").write_text(json.dumps({"run": folder.name}), encoding="utf-8")
        path = folder / "moral_graph.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        for each in data["judgements"]:
            each["judge"] = ""
        path.write_text(json.dumps(data), encoding="utf-8")
    assert told("merge", run, other, "--distance", "0")["judgements"] == 12


def test_runs_of_one_name_are_told_apart_by_the_folders_they_lie_in(tmp_path: Path, run: Path) -> None:
    (tmp_path / "x").mkdir()
    copy = tmp_path / "x" / "first"
    copy.mkdir()
    (copy / "moral_graph.json").write_bytes((run / "moral_graph.json").read_bytes())
    _judged_by_others(copy)
    for folder, id_ in ((run, "one"), (copy, "two")):
        (folder / "run.json").write_text(json.dumps({"run": id_}), encoding="utf-8")
    found = told("merge", run, copy, "--distance", "0")
    assert found["runs"] == [f"{tmp_path.name}/first", "x/first"]
    assert found["merged"]["x/first/a"] == f"{tmp_path.name}/first/a"
    files = [tmp_path / "first.json", tmp_path / "x" / "first.json", tmp_path / "other.json"]
    for path in files:
        path.write_bytes((run / "moral_graph.json").read_bytes())
    names = [f"{tmp_path.name}/first", f"{tmp_path.name}/first.json", "x/first.json", "other"]
    assert run_names([run, *files]) == names


def test_a_run_that_compared_no_values_adds_nothing_to_a_merged_graph(tmp_path: Path, run: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "moral_graph.json").write_text("null", encoding="utf-8")
    found = told("merge", run, tmp_path / "bare", "--distance", "0")
    assert found["runs"] == ["first"]
    assert found["warnings"] == [f"{tmp_path / 'bare'}: compared no values, and adds nothing"]
    assert "nothing to merge" in refused("merge", tmp_path / "bare")


def test_runs_with_different_thresholds_are_merged_under_those_of_the_profile(
    tmp_path: Path, run: Path, cards: Path, judgements: Path
) -> None:
    out = tmp_path / "other.json"
    judgements.write_text(HEADER + "a,b,wiser,k,care\n", encoding="utf-8")
    ran("build", judgements, "--cards", cards, "--profile", "dft", "--out", out)
    found = told("merge", run, out, "--distance", "0")
    assert found["warnings"] == [
        "the runs have different thresholds; those of the profile multiplex are taken"
    ]
    assert found["moral_graph"]["thresholds"]["profile"] == "multiplex"


def test_what_holds_no_judgements_cannot_be_merged(tmp_path: Path, run: Path) -> None:
    ran("export", run, "--format", "dft", "--out", tmp_path / "dft.json")
    assert "holds no judgements" in refused("merge", run, tmp_path / "dft.json")
