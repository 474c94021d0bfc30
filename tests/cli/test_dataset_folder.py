"""`multiplex dataset check`, `stats` and `push` as they are typed."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from multiplex.cli.dataset_folder import check_command, push_command, stats_command
from tests.dataset.sound import sound, write_rows

app = typer.Typer()
app.command("check")(check_command)
app.command("stats")(stats_command)
app.command("push")(push_command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound(tmp_path_factory.mktemp("sound"), configs=("sft", "dpo"))


def typed(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_a_sound_dataset_is_said_to_be_sound(folder: Path) -> None:
    result = typed("check", folder)
    assert (result.exit_code, result.stdout.strip()) == (0, f"{folder}: sound")
    assert json.loads(typed("check", folder, "--json").stdout) == {
        "folder": str(folder),
        "problems": [],
        "notes": [],
    }


def test_problems_are_a_line_each_and_exit_code_1(tmp_path: Path) -> None:
    def change(config: str, row: dict[str, Any]) -> dict[str, Any]:
        return row | {"is_simulated": False} if row["id"] == "kto-0-coverage" else row

    made = write_rows(tmp_path, change, "kto")
    result = typed("check", made)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "data/kto/train-00000-of-00002.parquet:1: does not say that it is simulated (simulated)",
        f"{made}: 1 problem",
    ]
    told = typed("check", made, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["problems"] == [
        {
            "check": "simulated",
            "where": "data/kto/train-00000-of-00002.parquet:1",
            "said": "does not say that it is simulated",
        }
    ]


def test_a_completed_card_and_a_licence_beside_it_are_notes_and_exit_code_0(tmp_path: Path) -> None:
    made = sound(tmp_path, configs=("kto",))
    with (made / "README.md").open("a") as card:
        card.write("Ada Lovelace\n")
    (made / "LICENSE").write_text("do as you like")
    result = typed("check", made)
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "note: LICENSE: was put there by hand; it goes along when the dataset is pushed",
            "note: README.md: was edited by hand since it was built",
            f"{made}: sound",
        ],
    )
    told = json.loads(typed("check", made, "--json").stdout)
    assert [each["where"] for each in told["notes"]] == ["LICENSE", "README.md"]
    assert told["problems"] == []


def test_a_long_path_stays_on_one_line(tmp_path: Path) -> None:
    made = sound(tmp_path / ("long" * 30), configs=("kto",))
    (made / "data" / "kto" / f"{'stray' * 30}.txt").write_text("mine")
    result = typed("check", made)
    assert f"data/kto/{'stray' * 30}.txt: is not named in the manifest (files)" in result.stdout.splitlines()


def test_labels_are_counted_in_a_table(tmp_path: Path) -> None:
    made = sound(tmp_path, configs=("kto",))
    lines = [line.split() for line in typed("stats", made).stdout.splitlines()]
    assert ["labels", "of", "kto", "desirable", "undesirable"] in lines
    assert ["train", "10", "0"] in lines


def test_statistics_are_tables_or_one_object(folder: Path) -> None:
    shown = typed("stats", folder)
    assert shown.exit_code == 0
    for words in (
        "config",
        "perspective",
        "rural",
        "coverage",
        "perspective entropy: 0.000 over 3 perspectives",
    ):
        assert words in shown.stdout
    found = json.loads(typed("stats", folder, "--json").stdout)
    assert found["configs"]["dpo"]["rows"] == {"train": 10, "test": 4}


@pytest.mark.parametrize("command", ["check", "stats"])
def test_a_folder_that_is_no_dataset_is_one_sentence(tmp_path: Path, command: str) -> None:
    result = typed(command, tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {tmp_path}: no dataset: ")


def test_push_needs_a_token_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    result = typed("push", folder, "ada/panel", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "HF_TOKEN" in result.stderr


@pytest.mark.slow
def test_tokens_are_counted_with_a_tokenizer_that_is_there_and_another_is_told(
    folder: Path, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=plain, unk_token="[UNK]").save_pretrained(tmp_path)
    sizes = json.loads(typed("stats", folder, "--tokenizer", tmp_path, "--json").stdout)["configs"]["dpo"]
    assert sizes["tokens"] == sizes["words"]
    lost = typed("stats", folder, "--tokenizer", tmp_path / "nothing")
    assert lost.exit_code == 1
    assert "cannot be loaded" in lost.stderr
