"""Shards: the same rows in Parquet and JSONL, whole or not at all, and the same bytes for the same rows."""

import json
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiplex.dataset.reading import read_rows, shards
from multiplex.dataset.schemas import COLUMNS, CONFIGS, Type, check_row, normal_row, schema
from multiplex.dataset.writing import write_split
from multiplex.errors import ContentError, RunError
from tests.dataset.sound import rows


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def kto(count: int) -> Iterator[dict[str, Any]]:
    return (next(rows("kto", number)) for number in range(count))


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file may grow beyond 20,000 bytes, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_rows_come_in_shards_that_hold_the_same_in_parquet_and_jsonl(tmp_path: Path) -> None:
    files = write_split(tmp_path, "kto", "train", kto(25), 25, shard_rows=10)
    assert files_in(tmp_path) == [
        *(f"data/kto/train-0000{n}-of-00003.parquet" for n in range(3)),
        *(f"jsonl/kto/train-0000{n}-of-00003.jsonl" for n in range(3)),
    ]
    assert [each.path for each in files] == files_in(tmp_path)
    assert [each.rows for each in files] == [10, 10, 5, 10, 10, 5]
    read = [row for shard in shards(tmp_path) for row in read_rows(shard)]
    assert read == [
        json.loads(line) for f in files[3:] for line in (tmp_path / f.path).read_text().splitlines()
    ]
    assert read == list(kto(25))


@pytest.mark.parametrize("config", CONFIGS)
def test_a_shard_has_its_configs_schema(tmp_path: Path, config: str) -> None:
    made = list(rows(config, 1))
    files = write_split(tmp_path, config, "test", iter(made), len(made))
    shape = pq.read_schema(tmp_path / files[0].path)
    assert shape.equals(schema(config))
    assert shape.names == list(COLUMNS[config])


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    one = write_split(tmp_path / "one", "kto", "train", kto(30), 30, shard_rows=12)
    assert one == write_split(tmp_path / "other", "kto", "train", kto(30), 30, shard_rows=12)


def test_no_rows_leave_no_file_and_take_away_what_an_earlier_attempt_left(tmp_path: Path) -> None:
    write_split(tmp_path, "kto", "train", kto(20), 20, shard_rows=5)
    write_split(tmp_path, "kto", "test", kto(1), 1)
    (tmp_path / "data/kto/train-00000-of-00009.parquet.partial").write_text("half")
    assert write_split(tmp_path, "kto", "train", kto(0), 0) == []
    assert files_in(tmp_path) == [
        "data/kto/test-00000-of-00001.parquet",
        "jsonl/kto/test-00000-of-00001.jsonl",
    ]


@pytest.mark.usefixtures("little_room")
def test_a_disk_that_is_full_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"train-00000-of-00001\.parquet: cannot be written: File too large; noth"
    ):
        write_split(tmp_path, "kto", "train", kto(2000), 2000)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(("told", "come"), [(10, 9), (10, 11), (0, 1)])
def test_rows_that_are_not_as_many_as_told_are_an_error(tmp_path: Path, told: int, come: int) -> None:
    with pytest.raises(RunError, match="rows"):
        write_split(tmp_path, "kto", "train", kto(come), told)
    assert not [name for name in files_in(tmp_path) if name.endswith(".partial")]


def test_what_breaks_off_in_the_midst_of_the_rows_leaves_nothing_half_written(tmp_path: Path) -> None:
    def broken() -> Iterator[Mapping[str, Any]]:
        yield from kto(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_split(tmp_path, "kto", "train", broken(), 5)
    assert files_in(tmp_path) == []


def test_half_a_surrogate_pair_becomes_a_replacement_character_in_both_files(tmp_path: Path) -> None:
    row = next(kto(1)) | {"reason": "half \ud83d, whole \ud83d\ude00, \u2028 and \x00"}
    parquet, jsonl = write_split(tmp_path, "kto", "train", iter([row]), 1)
    said = "half \ufffd, whole \U0001f600, \u2028 and \x00"
    assert pq.read_table(tmp_path / parquet.path)["reason"].to_pylist() == [said]
    assert json.loads((tmp_path / jsonl.path).read_bytes())["reason"] == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": 1}, "kto row 'kto-0-coverage': label: needs true or false, not 1"),
        ({"seed": True}, "seed: needs a whole number, not True"),
        ({"seed": 2**63}, "seed: needs a whole number"),
        ({"reason": None}, "reason: needs text, not None"),
        ({"prompt": "hello"}, "prompt: needs a list, not 'hello'"),
        ({"prompt": [{"role": "user"}]}, r"prompt\[0\]: needs role, content, not"),
        ({"prompt": [{"role": "user", "content": 3}]}, r"prompt\[0\]\.content: needs text, not 3"),
        ({"margin": 0.5}, "'margin' is no column of it"),
    ],
)
def test_a_row_that_does_not_fit_its_config_is_told_with_its_column(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ContentError, match=said):
        write_split(tmp_path, "kto", "train", iter([next(kto(1)) | change]), 1)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "0.5"])
def test_a_margin_is_a_finite_number(number: Any) -> None:
    with pytest.raises(ContentError, match="margin: needs a finite number"):
        check_row("dpo", next(rows("dpo", 1)) | {"margin": number})


def test_a_pair_may_lack_a_margin_and_a_row_to_reward_may_not() -> None:
    check_row("dpo", next(rows("dpo", 1)) | {"margin": None})
    with pytest.raises(ContentError, match="margin: needs a finite number, not None"):
        check_row("reward", next(rows("reward", 1)) | {"margin": None})


def test_a_missing_column_a_config_and_a_split_that_do_not_exist_are_told(tmp_path: Path) -> None:
    row = next(kto(1))
    del row["label"]
    with pytest.raises(ContentError, match="has no label"):
        check_row("kto", row)
    with pytest.raises(ContentError, match="no config named 'dop'; did you mean 'dpo'"):
        write_split(tmp_path, "dop", "train", iter([]), 0)
    with pytest.raises(ContentError, match="no split named 'valid'; did you mean 'validation'"):
        write_split(tmp_path, "dpo", "valid", iter([]), 0)


def values(of: Type) -> st.SearchStrategy[Any]:
    if isinstance(of, list):
        return st.lists(values(of[0]), max_size=2)
    if isinstance(of, dict):
        return st.fixed_dictionaries({name: values(part) for name, part in of.items()})
    plain: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(max_size=5),
        "int64": st.integers(-(2**63), 2**63 - 1),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "bool": st.booleans(),
    }
    found = plain[of.removesuffix("?")]
    return st.none() | found if of.endswith("?") else found


@given(row=st.fixed_dictionaries({name: values(of) for name, of in COLUMNS["distribution"].items()}))
@settings(max_examples=12)  # each is two files brought to the disk
def test_any_row_of_the_right_types_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    _, jsonl = write_split(folder, "distribution", "train", iter([row]), 1)
    assert [normal_row("distribution", row)] == list(read_rows(shards(folder)[0]))
    assert json.loads((folder / jsonl.path).read_bytes()) == normal_row("distribution", row)
