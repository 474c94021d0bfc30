"""`multiplex dataset audit` as it is typed."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from multiplex.cli.dataset_audit import audit_command
from tests.dataset.sound import sound

app = typer.Typer()
app.command()(audit_command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound(tmp_path_factory.mktemp("sound"), configs=("dpo",))


def typed(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_an_audit_is_tables_or_one_object(folder: Path) -> None:
    shown = typed(folder, "--sample", "0")
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    for words in (
        "14 rows: 14 pairs, 0 with the same text twice, 0 skipped",
        "sides are those that the rows record",
        "consensus 14 with 14, against 0",
        "decided against a consensus 0.000 0.000 to 0.215",
        "miller 14 0 0 1.000 - 6.000 2.000",
        "in_character 7 7 0 0 0",
        "the longer wins",
        "chosen, pooled undefined no pair was sampled",
    ):
        assert words in text, words
    found = json.loads(typed(folder, "--sample", "0", "--json").stdout)
    assert found["discretion"]["cases"] == {"consensus": 14, "conflict": 0, "indifference": 0}
    assert found["inequity"]["win_rate"]["reason"] == "no dimension has two groups with a score"


def test_columns_are_named_by_options(tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps({"q": "Who?", "good": "All of us.", "bad": "No."}))
    missing = typed(file, "--sample", "0")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "its columns are 'q', 'good', 'bad'" in missing.stderr
    assert "Traceback" not in missing.stderr
    named = ("--chosen-column", "good", "--rejected-column", "bad", "--prompt-column", "q")
    found = json.loads(typed(file, "--sample", "0", "--json", *named).stdout)
    assert (found["pairs"], found["length"]["difference"]["value"]) == (1, 7.0)


def test_a_pack_that_is_not_known_and_a_folder_that_is_no_dataset_are_one_sentence(tmp_path: Path) -> None:
    for words, said in (
        ((tmp_path, "--pack", "civilization"), "did you mean 'civilizations'?"),
        ((tmp_path,), "no dataset"),
    ):
        result = typed(*words)
        assert result.exit_code == 1
        assert said in result.stderr


def test_several_files_and_folders_are_one_set_and_a_split_is_named(tmp_path: Path) -> None:
    for name, number in (("hub/train", 3), ("hub/test", 2), ("more", 1)):
        file = tmp_path / f"{name}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([json.dumps({"chosen": "Yes, all.", "rejected": "No."})] * number))
    shown = typed(tmp_path / "hub", tmp_path / "more.jsonl", "--sample", "0")
    assert shown.exit_code == 0
    assert "6 rows: 6 pairs" in shown.stdout
    assert "read from 3 files, splits train, test" in shown.stdout
    assert (
        json.loads(typed(tmp_path / "hub", "--split", "test", "--sample", "0", "--json").stdout)["pairs"] == 2
    )
    for words, said in (
        ((tmp_path / "hub", "--split", "tests"), "no split 'tests'; its splits are train, test"),
        ((tmp_path / "hub", "--config", "dpo"), "has no configs"),
    ):
        wrong = typed(*words)
        assert (wrong.exit_code, wrong.stdout) == (1, "")
        assert said in " ".join(wrong.stderr.split())


def test_texts_without_a_pair_are_told_by_kind(tmp_path: Path) -> None:
    file = tmp_path / "kto.jsonl"
    rows = [{"completion": "All of us.", "label": True}, {"completion": "No.", "label": False}]
    file.write_text("\n".join(map(json.dumps, rows)))
    shown = typed(file, "--sample", "0")
    text = " ".join(shown.stdout.split())
    assert shown.exit_code == 0
    for words in (
        "2 rows: 1 desirable, 1 undesirable, 0 skipped",
        "discretion undefined the texts are marked one by one",
        "characters of the desirable 10.000",
        "perspectives, in 0 of 2 texts",
        "undesirable, pooled undefined no text of this kind was sampled",
    ):
        assert words in text, words


@pytest.mark.slow
def test_a_foreign_set_is_judged_by_the_packs_personas_with_the_real_embedding(tmp_path: Path) -> None:
    filial = "A child owes the parents care in old age, as the Analects teach, and rites keep a family whole."
    free = "Every person is free to choose a life of their own, and consent is what makes a duty binding."
    rows = [
        {"prompt": "Should an only child give up a career to care for ageing parents?", "chosen": a, "rejected": b}
        for a, b in ((filial, free), (free, f"{filial} Honour them."))
    ]  # fmt: skip
    file = tmp_path / "set.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    shown = typed(file)
    assert shown.exit_code == 0
    assert "an estimate by embeddings, which cannot tell a claim from its denial" in " ".join(
        shown.stdout.split()
    )
    found = json.loads(typed(file, "--json").stdout)
    people = found["discretion"]["personas"]
    assert (people["confucian"]["with"], people["confucian"]["against"]) == (1, 1)
    counts = found["perspective_entropy"]["all"]["micro"]["counts"]
    assert counts["confucian"] >= 2
