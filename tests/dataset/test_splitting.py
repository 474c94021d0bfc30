"""Splits: nothing leaks, nothing that was there is ever moved, and there is something to train on."""

from collections import Counter
from collections.abc import Container

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.dataset.splitting import SHARES, Splitter, anchors_of
from multiplex.errors import ContentError

rows = st.lists(st.tuples(st.sampled_from(["sft", "dpo", "kto"]), st.text(max_size=4)), max_size=40)


def splitter_of(
    given_rows: list[tuple[str, str]], seed: int = 7, *, held_out: Container[str] = ()
) -> Splitter:
    """Split most groups away from train, so that an anchor shows."""
    groups: dict[str, list[str]] = {}
    for config, group in given_rows:
        groups.setdefault(config, []).append(group)
    anchors = frozenset(anchors_of(groups, held_out=held_out).values())
    return Splitter(seed, {"train": 0.2, "validation": 0.4, "test": 0.4}, anchors)


@given(rows, st.integers(0, 5))
def test_all_rows_of_a_group_lie_in_one_split_whatever_the_config(
    made: list[tuple[str, str]], seed: int
) -> None:
    splitter = splitter_of(made, seed)
    where: dict[str, set[str]] = {}
    for _, group in made:
        where.setdefault(group, set()).add(splitter.split_of(group))
    assert all(len(splits) == 1 for splits in where.values())


@given(rows, rows)
def test_adding_prompts_never_moves_an_old_one(
    old: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    before = splitter_of(old)
    splits = {group: before.split_of(group) for _, group in old}
    held_out = {group for group, split in splits.items() if split != "train"}
    after = splitter_of(old + new, held_out=held_out)
    assert {group: after.split_of(group) for group in splits} == splits
    # And where none of these would be moved, the splits are those of all rows at once.
    once = splitter_of(old + new)
    if held_out.isdisjoint(once.anchors):
        assert after == once


@given(rows)
def test_every_config_that_has_rows_has_something_to_train_on(made: list[tuple[str, str]]) -> None:
    report = splitter_of(made).report(made)
    assert all(of["train"] > 0 for of in report["rows"].values())
    assert sum(sum(of.values()) for of in report["rows"].values()) == len(made)
    assert sum(report["groups"].values()) == len({group for _, group in made})


def test_the_shares_come_out_and_another_seed_splits_otherwise() -> None:
    groups = [f"group {n}" for n in range(4_000)]
    found = [Splitter(1).split_of(group) for group in groups]
    shares = {name: count / 4_000 for name, count in Counter(found).items()}
    assert shares == pytest.approx(SHARES, abs=0.02)
    assert found != [Splitter(2).split_of(group) for group in groups]


def test_a_group_falls_where_it_always_fell() -> None:
    fell = {
        "a": "train",
        "5": "validation",
        "16": "validation",
        "47": "test",
        "59": "test",
        "\ud800": "validation",
    }
    assert {group: Splitter(7).split_of(group) for group in fell} == fell


@pytest.mark.parametrize("shares", [{"train": 1.0}, {"train": 1.0, "test": 0.0}, {"train": 1 - 1e-12}])
def test_a_split_without_a_share_stays_empty(shares: dict[str, float]) -> None:
    assert {Splitter(1, shares).split_of(str(n)) for n in range(200)} == {"train"}


@pytest.mark.parametrize(
    ("shares", "wrong"),
    [
        ({"train": 0.5, "test": 0.4}, "come to 0.9"),
        ({"train": 1.5, "test": -0.5}, "the share of 'train' is 1.5"),
        ({"train": float("nan"), "test": 0.5}, "the share of 'train'"),
        ({"train": 0.0, "test": 1.0}, "needs a share for 'train'"),
        ({"test": 1.0}, "needs a share for 'train'"),
    ],
)
def test_shares_that_are_none_are_told(shares: dict[str, float], wrong: str) -> None:
    with pytest.raises(ContentError, match=wrong):
        Splitter(1, shares)
