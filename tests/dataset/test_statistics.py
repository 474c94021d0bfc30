"""Counts over a dataset, held against counts by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

from multiplex.dataset.manifest import read_manifest, write_manifest
from multiplex.dataset.statistics import statistics
from multiplex.errors import ContentError
from tests.dataset.sound import sound, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def change(config: str, row: dict[str, Any]) -> dict[str, Any]:
        if config == "sft" and row["prompt_id"] in {"p0", "p6"}:
            return row | {"perspective": "coastal", "schwartz": []}
        if row["rule"] == "coverage" and "margin" in row:
            return row | {"margin": 0.25 + int(row["prompt_id"][1:]) / 20}
        return row

    return sound(tmp_path_factory.mktemp("sound"), change=change)


def test_rows_are_counted_by_config_and_split(folder: Path) -> None:
    found = statistics(folder)["configs"]
    assert {config: each["rows"] for config, each in found.items()} == {
        config: {"train": 5 * (1 + (config in pairs)), "test": 2 * (1 + (config in pairs))}
        for pairs in [{"dpo", "kto"}]
        for config in found
    }
    assert len(found) == 8


def test_lengths_are_of_all_messages_and_of_the_answers_alone(folder: Path) -> None:
    found = statistics(folder, count_tokens=lambda text: text.count("e"))
    # You speak as the miller. Who may close sluice 0? Whoever owes the stream 0.
    assert found["configs"]["sft"]["words"] == {"mean": 15.0, "least": 15, "most": 15, "total": 105}
    assert found["configs"]["sft"]["tokens"]["least"] == 10
    # All, on 0. against: Whoever owes the stream 0.
    assert found["completions"]["kto"]["completion"]["words"] == {
        "mean": 4.0,
        "least": 3,
        "most": 5,
        "total": 56,
    }
    assert "tokens" not in statistics(folder)["configs"]["sft"]


def test_balance_rules_margins_and_ballots_are_counted(folder: Path) -> None:
    found = statistics(folder)
    assert found["balance"]["perspective"]["sft"] == [
        {"name": "rural", "rows": 5},
        {"name": "coastal", "rows": 2},
    ]
    assert found["balance"]["perspective"]["dpo"] == [{"name": "rural", "rows": 7}, {"name": None, "rows": 7}]
    assert found["balance"]["schwartz"]["sft"] == [{"name": "Helpful", "rows": 5}, {"name": None, "rows": 2}]
    assert found["rules"]["dpo"] == [{"name": "coverage", "rows": 7}, {"name": "in_character", "rows": 7}]
    # 0.25, 0.3, ... 0.55
    assert found["margins"]["dpo"] == {"coverage": [0, 0, 1, 2, 2, 2, 0, 0, 0, 0]}
    claims = [0, 0, 0, 0, 0, 7, 0, 0, 0, 0]
    assert found["claims_margins"] == {"dpo": {"coverage": claims, "in_character": claims}}
    assert found["endorsements"] == {
        "chosen": [{"name": "5", "rows": 14}, {"name": "6", "rows": 14}, {"name": None, "rows": 14}],
        "rejected": [{"name": "2", "rows": 14}, {"name": "5", "rows": 14}],
    }


def test_labels_of_kto_are_counted_by_split_and_rows_without_a_margin_are_no_bin(tmp_path: Path) -> None:
    def change(config: str, row: dict[str, Any]) -> dict[str, Any]:
        if config == "kto":
            return row | {"label": row["rule"] == "coverage" or row["prompt_id"] == "p6"}
        return row | {"margin": None if row["rule"] == "in_character" else row["margin"]}

    found = statistics(write_rows(tmp_path, change, "kto", "dpo"))
    assert found["labels"] == {
        "kto": {"train": {"desirable": 5, "undesirable": 5}, "test": {"desirable": 3, "undesirable": 1}}
    }
    assert set(found["margins"]["dpo"]) == {"coverage"}
    assert set(found["claims_margins"]["dpo"]) == {"coverage", "in_character"}


def test_the_entropy_of_perspectives_is_over_a_fixed_list(folder: Path) -> None:
    rural, coastal = 5 + 2 * 7, 2  # of sft, and of dpo and kto
    shares = [rural / (rural + coastal), coastal / (rural + coastal)]
    nats = -sum(p * math.log(p) for p in shares)
    of_manifest = statistics(folder)["perspective_entropy"]
    assert of_manifest["value"] == pytest.approx(nats / math.log(3))
    assert of_manifest["of"] == "the manifest's list"
    given = statistics(folder, perspectives=("rural", "urban"))["perspective_entropy"]
    assert (given["value"], given["unlisted"], given["of"]) == (0.0, {"coastal": 2}, "the list given")
    write_manifest(folder, read_manifest(folder).model_copy(update={"perspectives": ()}))
    assert statistics(folder)["perspective_entropy"]["value"] == pytest.approx(nats / math.log(2))


def test_the_entropy_of_one_perspective_is_undefined_with_a_reason(tmp_path: Path) -> None:
    folder = write_rows(tmp_path, lambda config, row: row | {"perspective": None}, "kto")
    found = statistics(folder)["perspective_entropy"]
    assert found["value"] is None
    assert found["reason"] == "no perspective was referenced"


def test_a_shard_of_something_else_is_told(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "data/dpo").mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), tmp_path / "data/dpo/train-00000-of-00001.parquet")
    with pytest.raises(ContentError, match=r"a row is not what a dpo row is .*; 'multiplex dataset check'"):
        statistics(tmp_path)
