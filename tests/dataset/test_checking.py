"""A sound dataset has no problems, and each thing that can be wrong with one is found and told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from multiplex.dataset.checking import MOST, Problem, examine
from multiplex.dataset.manifest import FileEntry, read_manifest, write_manifest
from multiplex.dataset.row_checks import faults_of
from multiplex.errors import ContentError
from tests.dataset.sound import RULES, rows, says, seal, sound, write_rows

SHARD = "data/dpo/train-00000-of-00002.parquet"
LINES = "jsonl/dpo/train-00000-of-00002.jsonl"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound(tmp_path_factory.mktemp("sound"), configs=("sft", "dpo"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A sound dataset of one's own to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "set"))


def told(folder: Path) -> set[str]:
    return {f"{each.check}: {each.where}: {each.said}" for each in examine(folder).problems}


def test_a_sound_dataset_has_no_problems(tmp_path: Path) -> None:
    assert examine(sound(tmp_path)).problems == []


def test_what_is_hidden_at_the_top_is_no_part_of_a_dataset(folder: Path) -> None:
    for name in (".build/rows.sqlite", ".cache/huggingface/download", ".gitattributes"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("not ours")
    assert examine(folder).problems == []


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_that_is_no_dataset_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContentError, match=r"no such folder|no dataset"):
        examine(tmp_path / name)


def test_a_build_that_was_cut_off_has_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / f"{SHARD}.partial").write_text("half")
    found = told(folder)
    assert any("no manifest.json, which is written last" in each for each in found)
    assert f"files: {SHARD}.partial: is half of a file, left by a build that was cut off" in found
    assert len(found) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"format": 1}', "[" * 5000, "\xff"])
def test_a_manifest_that_cannot_be_read_is_a_problem_and_no_crash(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    assert [each.check for each in examine(folder).problems] == ["manifest"]


def test_a_changed_file_does_not_fit_its_hash(folder: Path) -> None:
    lines = (folder / LINES).read_bytes()
    (folder / LINES).write_bytes(lines.replace(b'"train', b'"trbin').replace(b"0.3333", b"0.35", 1))
    assert told(folder) == {
        f"files: {LINES}: is not the file that the manifest describes: its hash is another",
        f"jsonl: {LINES}:1: is not the row that the Parquet holds",
    }


def test_a_manifest_that_was_edited_does_not_fit_its_own_hash(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"0.1.0"', '"0.2.0"'))
    assert [each.said for each in examine(folder).problems] == [
        "was changed after it was written: its own hash does not fit it"
    ]


def test_files_that_are_missing_and_files_that_are_stray_are_told(folder: Path) -> None:
    (folder / LINES).unlink()
    (folder / "data/dpo/notes.txt").write_text("mine")
    assert told(folder) == {
        f"files: {LINES}: is named in the manifest, and is not there",
        f"jsonl: {LINES}: is not there: the rows of {SHARD} have no JSONL",
        "files: data/dpo/notes.txt: is not named in the manifest",
    }


def test_nothing_outside_the_folder_is_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    manifest = read_manifest(folder)
    outside = [
        FileEntry(path=path, bytes=6, sha256="0" * 64) for path in ("../secret", "/etc/passwd", "link")
    ]
    write_manifest(folder, manifest.model_copy(update={"files": (*manifest.files, *outside)}))
    assert told(folder) == {
        "files: manifest.json: names '../secret', which is no path below the folder",
        "files: manifest.json: names '/etc/passwd', which is no path below the folder",
        "files: link: is named in the manifest, and is not there",
        "files: link: is a link; a dataset holds its own files",
    }


def test_a_manifest_that_counts_other_rows_is_told(folder: Path) -> None:
    manifest = read_manifest(folder)
    one, *others = (each for each in manifest.files if each.path != SHARD)
    mine = next(each for each in manifest.files if each.path == SHARD).model_copy(update={"rows": 7})
    write_manifest(folder, manifest.model_copy(update={"files": (one, *others, mine)}))
    assert told(folder) == {"manifest: data/dpo/train: holds 10 rows, and the manifest says 11"}


def test_a_card_may_be_completed_and_papers_may_stand_beside_it(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("title = {", "author = {Lovelace, Ada},\n  title = {"))
    for name in ("LICENSE", "CITATION.cff", "NOTICE.txt", ".gitattributes", "README.md.bak"):
        (folder / name).write_text("mine")
    found = examine(folder)
    assert found.problems == []
    assert [(each.check, each.where, each.said.partition(";")[0]) for each in found.notes] == [
        ("files", "CITATION.cff", "was put there by hand"),
        ("files", "LICENSE", "was put there by hand"),
        ("files", "NOTICE.txt", "was put there by hand"),
        ("files", "README.md.bak", "is an earlier card, edited by hand"),
        ("card", "README.md", "was edited by hand since it was built"),
    ]


@pytest.mark.parametrize(
    "name", ["notes.txt", "keys.md", "LICENSE.parquet", "data/LICENSE", "jsonl/dpo/LICENSE"]
)
def test_what_is_no_paper_or_stands_among_the_data_is_a_problem(folder: Path, name: str) -> None:
    (folder / name).write_text("mine")
    (found,) = examine(folder).problems
    assert (found.check, found.where) == ("files", name)
    assert ("beside the card may stand LICENSE" in found.said) is ("/" not in name)


EDITS = [
    (
        lambda card: card.replace("num_examples: 10", "num_examples: 11", 1),
        "'dpo' counts 11 rows of train, and",
    ),
    (lambda card: card.replace("data/dpo/train-*", "data/dpo/trian-*"), f"{SHARD}: is named by no config"),
]


@pytest.mark.parametrize(("change", "said"), EDITS)
def test_a_header_that_an_edit_made_untrue_is_a_problem(
    folder: Path, change: Callable[[str], str], said: str
) -> None:
    card = folder / "README.md"
    card.write_text(change(card.read_text()))
    found = told(folder)
    assert any(said in each for each in found)
    assert {each.partition(":")[0] for each in found} == {"card"}


def test_a_licence_that_no_hub_knows_is_a_note(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("license: cc-by-4.0", "license: cc-by-40"))
    found = examine(folder)
    assert found.problems == []
    assert "license: 'cc-by-40' is none that the hub knows" in [each.said for each in found.notes]


CARDS = [
    (lambda card: card.partition("---\n")[2], "has no header of YAML between lines of ---"),
    (lambda card: card.replace("configs:", "configs: [", 1), "has no header of YAML between lines of ---"),
    (lambda card: card.replace("data/dpo/train-*", "data/dpo/trian-*"), f"{SHARD}: is named by no config"),
    (lambda card: card.replace("data/dpo/train-*", "https://example.org/*"), "no file like 'https://exam"),
    (lambda card: card.replace("data/dpo/train-*", "../../data/dpo/*"), "no file like '../../data/dpo/"),
    (lambda card: card.replace("data/dpo/train-*", "data/sft/train-*"), "stands in the card as dpo/train"),
    (lambda card: card.replace("- split: train", "- name: train", 1), "needs config_name, and data_files"),
]


@pytest.mark.parametrize(("change", "said"), CARDS)
def test_the_card_names_every_shard_and_nothing_else(
    folder: Path, change: Callable[[str], str], said: str
) -> None:
    card = folder / "README.md"
    card.write_text(change(card.read_text()))
    seal(folder)
    found = told(folder)
    assert any(said in each for each in found)
    assert {each.partition(":")[0] for each in found} == {"card"}


def test_a_dataset_without_a_card_is_told(folder: Path) -> None:
    (folder / "README.md").unlink()
    seal(folder)
    assert told(folder) == {"card: README.md: there is no card"}


def respelt(folder: Path, change: Callable[[pa.Table], pa.Table]) -> set[str]:
    """Write a shard of Parquet with other columns, and return what the check tells of it."""
    pq.write_table(change(pq.read_table(folder / SHARD)), folder / SHARD)
    seal(folder)
    return {each for each in told(folder) if each.startswith("schema")}


def test_columns_are_those_of_the_config_and_their_types_too(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        table = table.drop_columns(["reason"]).append_column("note", [["x"] * table.num_rows])
        return table.set_column(table.schema.get_field_index("margin"), "margin", [["0.5"] * table.num_rows])

    assert respelt(folder, change) == {
        f"schema: {SHARD}: has no column 'reason'",
        f"schema: {SHARD}: has a column 'note', which is none of its config",
        f"schema: {SHARD}: margin: is of type string",
    }


def test_large_strings_and_large_lists_do_as_well(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index("supporters")
        wide = table["supporters"].cast(pa.large_list(pa.large_string()))
        return table.set_column(index, "supporters", wide)

    assert respelt(folder, change) == set()


def test_a_null_is_found_wherever_it_is(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        rows[0]["reason"], rows[1]["prompt"][0]["content"], rows[2]["persona"] = None, None, None
        shape = pa.schema([pa.field(f.name, f.type) for f in table.schema])
        loose = shape.set(
            shape.get_field_index("prompt"),
            pa.field("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        )
        return pa.Table.from_pylist(rows, schema=loose)

    assert respelt(folder, change) == {
        f"schema: {SHARD}: reason: is null where there must be a value",
        f"schema: {SHARD}: prompt[].content: is null where there must be a value",
    }


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_a_damaged_shard_is_told_and_the_others_are_checked(folder: Path, keep: int) -> None:
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:keep])
    seal(folder)
    found = {each for each in told(folder) if not each.startswith(("manifest", "jsonl"))}
    assert len(found) == 1
    assert f"schema: {SHARD}: cannot be read as Parquet" in found.pop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-1], f"jsonl: {LINES}:6: has no such row"),
        (lambda lines: [*lines, lines[0]], f"jsonl: {LINES}: holds more rows than the 6 of {SHARD}"),
        (lambda lines: [*lines[:2], b"{\n", *lines[3:]], f"jsonl: {LINES}:3: "),
        (
            lambda lines: [lines[1], lines[0], *lines[2:]],
            f"jsonl: {LINES}:1: is not the row that the Parquet",
        ),
    ],
)
def test_parquet_and_jsonl_hold_the_same_rows(
    folder: Path, change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    lines = (folder / LINES).read_bytes().splitlines(keepends=True)
    (folder / LINES).write_bytes(b"".join(change(lines)))
    seal(folder)
    found = {each for each in told(folder) if not each.startswith("manifest")}
    assert len(found) == 1
    assert said in found.pop()


def first(name: str, **new: Any) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Return a change of the row of that id."""
    return lambda config, row: row | new if row["id"] == name else row


def voted(side: str, **ballots: int) -> dict[str, Any]:
    """Return the column of what was endorsed so."""
    given = [{"persona": name, "endorsement": level} for name, level in ballots.items()]
    return {f"{side}_endorsements": given}


[JUDGED] = next(rows("grpo", 0))["judgements"]
DPO, OWN = "dpo-0-coverage", "dpo-0-in_character"
ASKED = [says("user", "Who may close sluice 0?")]
ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "dpo",
        DPO,
        {"prompt": [*ASKED, says("assistant", "I.")]},
        "messages: prompt does not end with a turn of the",
    ),
    ("dpo", DPO, {"prompt": []}, "messages: prompt does not end with a turn of the user"),
    ("dpo", DPO, {"prompt": [*ASKED, *ASKED]}, "messages: prompt: the turns are of 'user', 'user'"),
    ("dpo", DPO, {"prompt": [*ASKED, says("system", "Be."), *ASKED]}, "messages: prompt: the turns are of"),
    ("dpo", DPO, {"chosen": ASKED}, "messages: chosen is not one turn of the assistant"),
    ("dpo", DPO, {"chosen": [says("assistant", " ")]}, "messages: chosen holds an empty turn"),
    (
        "dpo",
        DPO,
        {"rejected": [says("assistant", "All, on 0.")]},
        "preference: chosen and rejected are the same",
    ),
    ("dpo", DPO, {"margin": 0.0}, "preference: its margin is 0.0 and not above 0"),
    ("dpo", DPO, {"margin": 1.5}, "preference: its margin is 1.5 and not above 0"),
    ("dpo", DPO, {"claims_margin": -0.5}, "preference: its claims margin is -0.5 and not above 0"),
    (
        "dpo",
        DPO,
        {"margin": None, "claims_margin": None},
        "preference: has no margin, neither from endorsement",
    ),
    ("dpo", DPO, {"rejected_endorsements": []}, "preference: its margin is 0.3333, and nobody endorsed both"),
    (
        "dpo",
        DPO,
        {
            **voted("chosen", miller=7, sailor=1),
            **voted("rejected", miller=1, sailor=7),
            "supporters": ["miller"],
            "margin": 0.9,
        },
        "minority: by the ballots 'sailor' would lose by it",
    ),
    (
        "dpo",
        DPO,
        {**voted("chosen", miller=2), **voted("rejected", miller=6), "margin": 0.5},
        "minority: by the ballots 'miller' would lose by it",
    ),
    (
        "dpo",
        DPO,
        {**voted("chosen", miller=2), **voted("rejected", miller=6), "margin": 0.5},
        "preference: its margin is 0.5, and by the ballots it is -0.6667",
    ),
    # Of three two voted on both; the third cannot live with the one, can live with the other, or objects.
    (
        "dpo",
        DPO,
        voted("chosen", miller=6, nurse=5, sailor=3),
        "minority: by the ballots 'sailor' would lose by it",
    ),
    (
        "dpo",
        DPO,
        voted("rejected", miller=2, nurse=5, sailor=4),
        "minority: by the ballots 'sailor' would lose by it",
    ),
    (
        "dpo",
        DPO,
        {"dissent": [{"persona": "sailor", "text": "Not so."}]},
        "minority: by the ballots 'sailor' would lose by it",
    ),
    ("dpo", DPO, {"supporters": ["miller", "nurse"]}, "preference: its supporters are not those who endorse"),
    ("dpo", DPO, {"supporters": []}, "preference: its supporters are not those who endorse what is chosen"),
    ("dpo", DPO, {"opponents": ["nurse"]}, "preference: its opponents are not those who endorse what is rej"),
    ("dpo", DPO, {"margin": 0.3335}, "preference: its margin is 0.3335, and by the ballots it is 0.3333"),
    ("dpo", DPO, {"margin": None}, "preference: has no margin from endorsement, which its rule goes by"),
    (
        "dpo",
        DPO,
        {
            "rule": "ratified",
            "margin": None,
            "chosen_endorsements": [],
            "rejected_endorsements": [],
            "supporters": [],
        },
        "preference: has no margin from endorsement, which its rule goes by",
    ),
    (
        "dpo",
        DPO,
        voted("rejected", miller=2),
        "preference: its margin is 0.3333, and fewer than two thirds of those who were asked endorsed both",
    ),
    (
        "dpo",
        DPO,
        {"chosen_endorsements": [{"persona": "miller", "endorsement": 6}] * 2},
        "endorsements: chosen: somebody votes twice",
    ),
    ("dpo", OWN, {"margin": 0.5}, "preference: is in character, and has a margin, though nobody is asked"),
    (
        "reward",
        "reward-0-coverage",
        {"rule": "in_character", "persona": "miller"},
        "preference: is in character, and has a margin, though nobody is asked",
    ),
    (
        "dpo",
        DPO,
        {"model": "extractive"},
        "minority: the extractive answer without a panel is rejected, which",
    ),
    (
        "kto",
        "kto-0-coverage",
        {"label": False, "kind": "alone", "model": "extractive"},
        "minority: the extractive answer without a panel is rejected, which",
    ),
    ("dpo", DPO, {"origin": ""}, "origin: does not say where its prompt came from"),
    ("dpo", DPO, {"opponents": ["miller"]}, "preference: 'miller' both supports and opposes it"),
    ("dpo", DPO, {"rule": None}, "rules: names no rule that prefers it"),
    ("dpo", DPO, {"rule": "majority"}, "rules: its rule 'majority' is not declared in the manifest"),
    ("dpo", DPO, {"is_simulated": False}, "simulated: does not say that it is simulated"),
    ("dpo", DPO, {"id": ""}, "ids: has no id"),
    (
        "dpo",
        DPO,
        {"rejected_kind": "steered"},
        "minority: a persona's own answer is rejected under the rule 'cov",
    ),
    ("dpo", OWN, {"prompt": ASKED}, "in_character: is in character, and no system turn says whose"),
    ("dpo", OWN, {"persona": None}, "in_character: is in character, and names no persona"),
    (
        "dpo",
        DPO,
        {"chosen_endorsements": [{"persona": "miller", "endorsement": 8}]},
        "endorsements: chosen: an endorsement of 8; they go from 1 to 7",
    ),
    (
        "kto",
        "kto-0-coverage",
        {"label": False, "kind": "steered"},
        "minority: a persona's own answer is unwanted under the rule 'coverage'",
    ),
    ("kto", "kto-0-coverage", {"prompt": [says("assistant", "I.")]}, "messages: prompt does not end with"),
    (
        "reward",
        "reward-0-coverage",
        {"chosen": ASKED},
        "messages: chosen does not end with a turn of the assist",
    ),
    (
        "reward",
        "reward-0-coverage",
        {"rejected": [says("user", "Another?"), says("assistant", "Nobody.")]},
        "messages: chosen and rejected do not answer the same prompt",
    ),
    ("sft", "sft-0-", {"messages": ASKED}, "messages: messages does not end with a turn of the assistant"),
    ("grpo", "grpo-0-", {"prompt": []}, "messages: prompt does not end with a turn of the user"),
    ("grpo", "grpo-0-", {"answers": []}, "judgements: one is of answer 0, and there are 0, from 0"),
    (
        "grpo",
        "grpo-0-",
        {"answers": [{"kind": "overton", "text": " "}]},
        "judgements: an answer that was judged is empty",
    ),
    ("grpo", "grpo-0-", {"judgements": [JUDGED] * 2}, "judgements: 'miller' judges answer 0 twice"),
    ("grpo", "grpo-0-", {"judgements": [JUDGED | {"answer": -1}]}, "judgements: one is of answer -1"),
    ("distribution", "distribution-0-", {"shares": [0.25]}, "shares: shares are 1 for 2 options"),
    (
        "distribution",
        "distribution-0-",
        {"shares": [0.25, 0.25]},
        "shares: shares are no shares that add up to 1",
    ),
    (
        "distribution",
        "distribution-0-",
        {"shares": [-0.5, 1.5]},
        "shares: shares are no shares that add up to 1",
    ),
    ("distribution", "distribution-0-", {"options": []}, "shares: needs at least two options"),
    (
        "moral_graph",
        "moral_graph-0-",
        {"values": []},
        "moral_graph: an edge names the value 'a', which is not",
    ),
]


@pytest.mark.parametrize(("config", "name", "new", "said"), ROWS)
def test_a_row_that_a_trainer_should_not_see_is_told(
    config: str, name: str, new: dict[str, Any], said: str
) -> None:
    row = next(each for each in rows(config, 0) if each["id"] == name)
    assert list(faults_of(config, row, RULES)) == []
    found = [f"{check}: {told}" for check, told in faults_of(config, row | new, RULES)]
    assert any(each.startswith(said) for each in found), found


def test_the_faults_of_rows_are_told_with_their_places(tmp_path: Path) -> None:
    change = first("kto-3-in_character", rule="majority")
    assert told(write_rows(tmp_path, change, "kto")) == {
        "rules: data/kto/train-00001-of-00002.parquet:2: its rule 'majority' is not declared in the manifest"
    }


def test_an_id_that_is_there_twice_in_one_config_is_told_with_both_places(tmp_path: Path) -> None:
    found = told(write_rows(tmp_path, first("kto-6-coverage", id="kto-0-coverage"), "kto", "dpo"))
    first_place = "data/kto/train-00000-of-00002.parquet:1"
    assert found == {
        "ids: data/kto/test-00000-of-00001.parquet:3: has the id 'kto-0-coverage', and so has " + first_place
    }


def test_a_group_in_two_splits_is_told_whatever_the_configs(tmp_path: Path) -> None:
    found = told(write_rows(tmp_path, first("sft-6-", group="g2"), "kto", "sft"))
    train = "data/sft/train-00000-of-00001.parquet:3"
    assert found == {
        f"splits: data/sft/test-00000-of-00001.parquet:2: the group 'g2' stands in test, and in train too ({train})"
    }


def test_a_personas_own_answer_is_found_however_it_is_labelled(tmp_path: Path) -> None:
    # The kinds say that the answer of a model alone is rejected, but it is what the miller itself said.
    own = [says("assistant", "Whoever owes the stream 0.")]

    def change(config: str, row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == "dpo-0-coverage":
            return row | {"rejected": own}
        return row | {"rejected": [*ASKED, *own]} if row["id"] == "reward-0-coverage" else row

    said = "rejects what a persona itself answered (rule 'coverage')"
    assert examine(write_rows(tmp_path, change, "sft", "dpo", "reward")).problems == [
        Problem("minority", "data/dpo/train-00000-of-00002.parquet:1", said),
        Problem("minority", "data/reward/train-00000-of-00001.parquet:1", said),
    ]


def test_in_its_own_character_no_persona_is_rejected(tmp_path: Path) -> None:
    own = [says("assistant", "Whoever owes the stream 0.")]
    change = first(OWN, rejected=own, chosen=[says("assistant", "Nobody.")], chosen_kind="alone")
    assert [each.said for each in examine(write_rows(tmp_path, change, "sft", "dpo")).problems] == [
        "rejects what miller itself answered (rule 'in_character')"
    ]


def test_a_text_that_is_desirable_and_undesirable_under_one_prompt_is_told(tmp_path: Path) -> None:
    [good] = [row for row in rows("kto", 0) if row["rule"] == "coverage"]
    same = {name: good[name] for name in ("prompt", "completion")}

    def change(config: str, row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == "kto-2-coverage":  # once more, and as desirable
            return row | same
        if row["id"] == "kto-1-coverage":
            return row | same | {"label": False, "kind": "alone"}
        if row["id"] == "kto-3-coverage":  # under another prompt
            return row | {"completion": good["completion"], "label": False, "kind": "alone"}
        return row

    place = "data/kto/train-00000-of-00002.parquet"
    assert examine(write_rows(tmp_path, change, "kto")).problems == [
        Problem(
            "preference", f"{place}:3", f"is undesirable, and under the same prompt desirable too ({place}:1)"
        )
    ]


def test_many_problems_of_a_kind_are_counted(tmp_path: Path) -> None:
    def change(config: str, row: dict[str, Any]) -> dict[str, Any]:
        options = [{"persona": "miller", "endorsement": 9}] * 10
        return row | {"chosen_endorsements": options}

    found = examine(write_rows(tmp_path, change, "dpo")).problems
    told_of = [each for each in found if each.where.startswith(f"{SHARD}:") and each.check == "endorsements"]
    assert len(told_of) == MOST
    assert Problem("endorsements", SHARD, "and 46 more of the kind") in found


def test_the_manifest_has_one_hash_for_the_same_rows_whenever_they_were_built(folder: Path) -> None:
    one = read_manifest(folder)
    other = write_manifest(folder, one.model_copy(update={"created": "2027-01-01T00:00:00Z"}))
    assert one.data_sha256 == other.data_sha256
    assert one.sha256 != other.sha256
    assert json.loads((folder / "manifest.json").read_text())["counts"]["dpo"] == {"test": 4, "train": 10}
