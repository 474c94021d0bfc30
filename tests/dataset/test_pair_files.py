"""Preference sets in every format and layout: which files, columns and rows are read as pairs."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from multiplex.dataset.audit import audit
from multiplex.dataset.pair_files import Columns, Preference, read_preferences
from multiplex.dataset.pair_sources import data_files
from multiplex.errors import ContentError
from tests.dataset.foreign import ASKED, PACK, audited, lines, pairs_in
from tests.table import Words

Row = Mapping[str, Any]


def test_the_same_pairs_are_read_from_every_format_and_shape(tmp_path: Path) -> None:
    def says(role: str, said: object) -> dict[str, object]:
        return {"role": role, "content": said}

    plain = [(ASKED, 'All of us, "and" more.', "Nobody;\nat all."), (f"{ASKED} Tell.", "Yes.", "No, never.")]
    rows = [{"prompt": q, "chosen": a, "rejected": b} for q, a, b in plain]
    chats = [
        {"prompt": [says("system", "Be brief."), says("user", q)], "chosen": [says("assistant", a)],
         "rejected": [says("assistant", b)]}
        for q, a, b in plain
    ]  # fmt: skip
    whole = [  # the question is in both, and stands beside them as well
        {"prompt": q, "chosen": [says("user", q), says("assistant", a)],
         "rejected": [says("user", q), says("assistant", [{"type": "text", "text": b}])]}
        for q, a, b in plain
    ]  # fmt: skip
    shared = [  # the question is in both alone
        {side: [{"from": "human", "value": q}, {"from": "gpt", "value": said}]
         for side, said in (("chosen", a), ("rejected", b))}
        for q, a, b in plain
    ]  # fmt: skip
    dialogues = [
        {side: f"\n\nHuman: Hello\n\nAssistant: Hello.\n\nHuman: {q}\n\nAssistant: {said}"
         for side, said in (("chosen", a), ("rejected", b))}
        for q, a, b in plain
    ]  # fmt: skip
    named = [{"Question": q, "response_j": a, "response_k": b} for q, a, b in plain]
    by_name = Columns(chosen="response_j", rejected="response_k", prompt="question")

    shapes: list[list[Any]] = [rows, chats, whole, shared, dialogues]
    for number, shape in enumerate(shapes):
        found = pairs_in(lines(tmp_path / f"{number}.jsonl", shape))
        assert [(each.question, *each.texts) for each in found] == plain
    (tmp_path / "list.json").write_text(json.dumps(rows, indent=2))
    lines(tmp_path / "lines.json", chats)
    lines(tmp_path / "named.jsonl", named)
    pq.write_table(pa.Table.from_pylist(chats), tmp_path / "set.parquet")
    for name, delimiter in (("set.csv", ","), ("set.tsv", "\t")):
        with (tmp_path / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["prompt", "chosen", "rejected"], delimiter=delimiter)
            writer.writeheader()
            writer.writerow({key: json.dumps(value) for key, value in chats[0].items()})
            writer.writerow(rows[1])
    for name in ("list.json", "lines.json", "set.parquet", "set.csv", "set.tsv"):
        assert [(each.question, *each.texts) for each in pairs_in(tmp_path / name)] == plain, name
    assert [(p.question, *p.texts) for p in pairs_in(tmp_path / "named.jsonl", by_name)] == plain


def test_an_answer_that_is_json_itself_is_a_text(tmp_path: Path) -> None:
    said = ['[{"a": 1}]', "[not JSON", "[]"]
    rows = [{"chosen": each, "rejected": "No."} for each in said]
    assert [pair.chosen for pair in pairs_in(lines(tmp_path / "set.jsonl", rows))] == said


def test_a_json_list_is_read_in_pieces_whatever_they_cut(tmp_path: Path) -> None:
    rows = [{"chosen": f"{n}: {'é' * (n * 7001)}.", "rejected": "]}, {["} for n in range(60)]
    file = tmp_path / "set.json"
    file.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert file.stat().st_size > 20 * (1 << 16)
    assert [pair.chosen for pair in pairs_in(file)] == [row["chosen"] for row in rows]


def numbered(*numbers: int) -> list[dict[str, str]]:
    return [{"prompt": ASKED, "chosen": f"All of {n}.", "rejected": f"None of {n}."} for n in numbers]


def table(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def chosen_in(*paths: Path, **options: Any) -> list[str]:
    found = [entry for _, entry in read_preferences(data_files(paths, **options), Columns())]
    return [entry.chosen for entry in found if isinstance(entry, Preference)]


def test_a_folder_in_a_hubs_layout_is_read_whole_shard_after_shard(tmp_path: Path) -> None:
    table(tmp_path / "data/test-00000-of-00001.parquet", numbered(5))
    for shard in (1, 0):
        table(tmp_path / f"data/train-0000{shard}-of-00002.parquet", numbered(2 * shard, 2 * shard + 1))
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# A set\n")
    (tmp_path / "dataset_infos.json").write_text("{}")
    table(tmp_path / ".cache/train.parquet", numbered(9))
    (tmp_path / "jsonl").mkdir()
    lines(tmp_path / "jsonl/train.jsonl", numbered(0, 1, 2, 3, 4))
    found = audited(tmp_path)
    assert (found["pairs"], found["files"], found["splits"]) == (5, 3, ["train", "test"])
    assert found["notes"] == [f"{tmp_path}: read from its .parquet files, and not from 1 .jsonl"]
    assert chosen_in(tmp_path) == [f"All of {n}." for n in (0, 1, 2, 3, 5)]
    assert chosen_in(tmp_path, split="test") == ["All of 5."]
    places = [where for where, _ in read_preferences(data_files([tmp_path]), Columns())]
    assert places[2:4] == ["data/train-00001-of-00002.parquet:1", "data/train-00001-of-00002.parquet:2"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.jsonl", "train"),
        ("set.jsonl", "train"),
        ("validation/part1.jsonl", "validation"),
        ("my-dev-set.jsonl", "validation"),
        ("test/train_of_thought/eval.jsonl", "test"),
        ("train_prefs-00000-of-00003.jsonl", "train"),
        ("even-00000-of-00003.jsonl", "even"),
        ("latest.jsonl", "train"),
    ],
)
def test_names_of_files_and_folders_tell_the_split(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    lines(tmp_path / name, numbered(1))
    assert data_files([tmp_path]).splits == (split,)


def test_a_cards_configs_say_which_files_are_read(tmp_path: Path) -> None:
    for name, number in (("a/one", 1), ("a/two", 2), ("b/three", 3), ("b/four", 4), ("loose", 5)):
        table(tmp_path / f"{name}.parquet", numbered(number))

    def card(configs: str) -> None:
        (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n# A set\n")

    listed = """- config_name: first
  data_files:
  - {split: train, path: "a/*.parquet"}
  - {split: test, path: [b/three.parquet, b/gone.parquet]}
- config_name: second
  data_files: b/four.parquet
- config_name: third
  data_dir: b
"""
    card(listed)
    with pytest.raises(
        ContentError, match="names the configs 'first', 'second', 'third'; choose one with --config"
    ):
        chosen_in(tmp_path)
    found = data_files([tmp_path], config="first")
    assert [(f.told, f.split) for f in found.files] == [
        ("a/one.parquet", "train"), ("a/two.parquet", "train"), ("b/three.parquet", "test")
    ]  # fmt: skip
    assert (found.config, found.notes) == (
        "first", (f"{tmp_path}: its README.md names 'b/gone.parquet', and no such file is there",)
    )  # fmt: skip
    assert chosen_in(tmp_path, config="first", split="test") == ["All of 3."]
    assert chosen_in(tmp_path, config="second") == ["All of 4."]
    assert chosen_in(tmp_path, config="third") == ["All of 4.", "All of 3."]
    with pytest.raises(ContentError, match="no config 'secnd'; did you mean 'second'"):
        chosen_in(tmp_path, config="secnd")
    card(listed.replace("- config_name: second", "- config_name: second\n  default: true"))
    assert chosen_in(tmp_path) == ["All of 4."]
    card(listed.replace("third", "dpo"))
    assert chosen_in(tmp_path) == ["All of 4.", "All of 3."]
    card("- config_name: only\n  data_files: {train: a/one.parquet, test: a/two.parquet}\n")
    assert chosen_in(tmp_path, split="test") == ["All of 2."]


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ("- config_name: x\n  data_files: ../other/*.parquet", "which is not in the folder"),
        ("- config_name: x\n  data_files: /etc/*.json", "which is not in the folder"),
        ("- config_name: x\n  data_files: https://a.example/b.parquet", "which is not in the folder"),
        ("- config_name: x\n  data_dir: /etc", "which is not in the folder"),
        (
            "- config_name: x\n  data_files: data/**.jsonl",
            "'data/\\*\\*.jsonl' for config 'x', which is no pattern",
        ),
        ("- config_name: x\n  data_files: gone/*", "config 'x' that its README.md names are not in it"),
        ("- config_name: [", "its YAML header cannot be read"),
    ],
)
def test_a_card_that_leads_nowhere_is_one_sentence(tmp_path: Path, configs: str, message: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}\n---\n")
    table(tmp_path / "set.parquet", numbered(1))
    with pytest.raises(ContentError, match=message) as caught:
        chosen_in(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raised", [ValueError, IndexError, NotImplementedError])
def test_a_pattern_that_this_version_of_python_does_not_take_is_one_sentence(
    raised: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glob = Path.glob

    def refused(folder: Path, pattern: str) -> Any:
        if pattern.startswith("C:"):  # as on another system
            raise raised("Non-relative patterns are unsupported")
        return glob(folder, pattern)

    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: x\n  data_files: C:*.csv\n---\n")
    table(tmp_path / "set.parquet", numbered(1))
    monkeypatch.setattr(Path, "glob", refused)
    with pytest.raises(ContentError, match=r"'C:\*\.csv' for config 'x', which is no pattern.*Non-relative"):
        data_files([tmp_path])


@pytest.mark.parametrize("given", [".", "''", "./", "['.']", "{train: .}"])
def test_a_card_that_names_the_folder_itself_means_all_in_it(tmp_path: Path, given: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: x\n  data_files: {given}\n---\n")
    table(tmp_path / "a" / "set.parquet", numbered(1))
    assert chosen_in(tmp_path) == ["All of 1."]


def test_a_folder_that_no_reader_reads_says_what_it_holds(tmp_path: Path) -> None:
    for name, said in (("data.arrow", "save it with to_parquet"), ("train.jsonl.gz", "unpack them first")):
        folder = tmp_path / name.partition(".")[2]
        folder.mkdir()
        (folder / name).write_bytes(b"x")
        with pytest.raises(ContentError, match=said):
            chosen_in(folder)


def test_several_files_of_any_format_are_one_set_and_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    one, two = lines(tmp_path / "one.jsonl", numbered(1)), table(tmp_path / "two.parquet", numbered(2, 3))
    assert chosen_in(one, two, one) == ["All of 1.", "All of 2.", "All of 3."]
    found = audit(one, two, pack=PACK, embedder=Words(), sample=0)
    assert (found["source"], found["pairs"], found["files"]) == (f"{one} and 1 more", 3, 2)
    with pytest.raises(ContentError, match=r"one\.jsonl: has no split 'test'; it has no splits"):
        chosen_in(one, split="test")


def test_other_names_of_pairs_are_known(tmp_path: Path) -> None:
    best, worst = "All of us.", "Nobody."
    shapes: dict[str, list[dict[str, Any]]] = {
        "pku": [
            {"prompt": ASKED, "response_0": best, "response_1": worst, "better_response_id": 0,
             "safer_response_id": 1},
            {"prompt": ASKED, "response_0": worst, "response_1": best, "better_response_id": 1},
        ],
        "shp": [
            {"history": ASKED, "human_ref_A": best, "human_ref_B": worst, "labels": 1},
            {"history": ASKED, "human_ref_A": worst, "human_ref_B": best, "labels": 0},
        ],
        "stack": [{"qid": 1, "question": ASKED, "response_j": best, "response_k": worst}] * 2,
        "orca": [{"system": "Be brief.", "question": ASKED, "chosen": best, "rejected": worst}] * 2,
    }  # fmt: skip
    for name, rows in shapes.items():
        for file in (lines(tmp_path / f"{name}.jsonl", rows), table(tmp_path / f"{name}.parquet", rows)):
            found = pairs_in(file)
            assert [(each.question, *each.texts) for each in found] == [(ASKED, best, worst)] * 2, file
    bad = [{**shapes["pku"][0], "better_response_id": given} for given in (-1, None, "both")]
    found_bad = audited(lines(tmp_path / "bad.jsonl", [*shapes["pku"], *bad]))
    assert (found_bad["pairs"], found_bad["skipped"]) == (2, {"preference": 3})
    assert found_bad["reasons"][0] == "bad.jsonl:3: better_response_id: needs 0 or 1, and is -1"
