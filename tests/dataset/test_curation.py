"""Curation: no cell takes more than its room, and the order given decides nothing."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.dataset.curation import BALANCE, Curation, Item, balance_of, curate
from multiplex.errors import ContentError

PERSPECTIVES = ("west", "east", "north", "south", "centre")
items = st.lists(
    st.builds(
        lambda perspective, topics: Item(id="", cells={"perspective": perspective, "topics": topics}),
        st.lists(st.sampled_from(PERSPECTIVES), max_size=1),
        st.lists(st.sampled_from([*["work"] * 5, "care", "law", "death", "news", "play"]), max_size=3),
    ),
    max_size=60,
).map(lambda made: [Item(f"{place:016x}", item.cells) for place, item in enumerate(made)])


def many(perspective: str, count: int, *topics: str) -> list[Item]:
    return [
        Item(f"{perspective} {n}", {"perspective": [perspective], "topics": topics}) for n in range(count)
    ]


def every(bound: float) -> dict[str, float]:
    """Return one bound for every axis."""
    return dict.fromkeys(BALANCE, bound)


def kept(given_items: list[Item], curation: Curation) -> set[str]:
    return {item.id for item, stays in zip(given_items, curation.kept, strict=True) if stays}


def counts(chosen: list[Item], axis: str) -> Counter[str]:
    return Counter(cell for item in chosen for cell in set(item.cells.get(axis, ())))


@given(items, st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.integers(0, 3))
def test_what_is_kept_keeps_to_the_room_and_could_not_be_more(
    rows: list[Item], ratio: float, seed: int
) -> None:
    curation = curate(rows, balance=dict.fromkeys(("perspective", "topics"), ratio), seed=seed)
    staying = [item for item, stays in zip(rows, curation.kept, strict=True) if stays]
    rooms = {}
    for axis in ("perspective", "topics"):
        before, after = counts(rows, axis), counts(staying, axis)
        room = math.floor(ratio * sum(before.values()) / len(before) + 1e-9) if before else math.inf
        rooms[axis] = room
        assert all(count <= room for count in after.values())
        shown = curation.report["axes"][axis]["cells"]
        assert {cell: each["before"] for cell, each in shown.items() if each["before"]} == before
        assert {cell: each["after"] for cell, each in shown.items() if each["after"]} == after
    for item in (each for each in rows if each not in staying):
        assert any(
            counts([*staying, item], axis)[cell] > rooms[axis]
            for axis, cells in item.cells.items()
            for cell in cells
        ), "a row was left out that there is room for"
    assert bool(staying) == bool(rows)
    report = curation.report
    assert report["given"] == report["over"] + report["kept"] == len(rows)


@given(items, st.randoms(use_true_random=False))
def test_the_order_given_decides_nothing(rows: list[Item], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (curate(each, balance=every(1.0), seed=1) for each in (rows, shuffled))
    assert kept(rows, one) == kept(shuffled, other)
    assert one.report == other.report


def test_a_balanced_set_is_kept_whole() -> None:
    rows = many("west", 30) + many("east", 10) + many("north", 10)
    curation = curate(rows, balance=every(3.0), seed=1)
    assert curation.kept.all()
    assert curation.report["axes"]["perspective"]["ratio"] == {"before": 1.8, "after": 1.8}
    assert curation.report["axes"]["topics"]["ratio"] == {"before": None, "after": None}


def test_a_full_cell_gives_up_rows_and_the_scarce_lose_none() -> None:
    rows = many("west", 100, "work") + many("east", 4, "work") + many("north", 3, "care") + many("south", 1)
    curation = curate(rows, balance=every(1.5), seed=1)
    cells = curation.report["axes"]["perspective"]["cells"]
    assert curation.report["axes"]["perspective"]["room"] == 40
    assert {name: each["after"] for name, each in cells.items()} == {
        "west": 40,
        "east": 4,
        "north": 3,
        "south": 1,
    }
    assert cells["west"] == {"before": 100, "after": 40}
    assert curation.report["over_by"] == {"perspective": 60, "topics": 0, "schwartz": 0}


def test_in_a_full_cell_the_rows_of_scarce_cells_stay() -> None:
    rare = [Item(f"rare {n}", {"perspective": ["west"], "topics": ["care"]}) for n in range(5)]
    common = [
        Item(f"{topic} {n}", {"perspective": ["west"], "topics": [topic]})
        for topic in ("work", "law", "news", "play")
        for n in range(50)
    ]
    rows = common + rare + many("east", 10, "death")
    curation = curate(rows, balance=every(1.0), seed=1)
    assert {item.id for item in rare} <= kept(rows, curation)
    west = curation.report["axes"]["perspective"]["cells"]["west"]
    assert west == {"before": 205, "after": 107}


def test_which_rows_of_a_full_cell_stay_hangs_on_the_seed() -> None:
    rows = many("west", 60) + many("east", 3) + many("north", 3)
    first, second = (kept(rows, curate(rows, balance=every(1.0), seed=seed)) for seed in (1, 2))
    assert len(first) == len(second) == 22 + 6
    assert first != second


def test_few_scarce_cells_do_not_pull_the_whole_set_down() -> None:
    rows = [row for n in range(20) for row in many(f"rare{n}", 1)] + many("west", 500) + many("east", 500)
    assert curate(rows, balance=every(3.0), seed=1).report["kept"] == 20 + 2 * 139


@pytest.mark.parametrize("rows", [[], [Item("a")]])
def test_nothing_or_a_row_of_no_cell_is_no_error_and_stays(rows: list[Item]) -> None:
    curation = curate(rows, seed=1)
    assert curation.kept.shape == (len(rows),)
    assert curation.kept.dtype == np.bool_
    assert curation.kept.all()


def test_without_a_bound_nothing_goes() -> None:
    rows = [*many("west", 100), *many("east", 1)]
    report = curate(rows, balance=every(math.inf), seed=1).report
    assert (report["kept"], report["axes"]["perspective"]["bound"]) == (101, None)


def test_wrong_asks_are_errors() -> None:
    for ratio in (0.9, -1.0, math.nan):
        with pytest.raises(ContentError, match="needs to be 1 or more"):
            curate([], balance=every(ratio), seed=1)
    with pytest.raises(ValueError, match="an id comes twice"):
        curate([Item("a"), Item("a")], seed=1)


def test_an_axis_of_its_own_bound_leaves_out_nothing_more_and_is_told_as_the_one_that_did() -> None:
    rows = many("west", 30, "work") + many("east", 30, "work") + many("north", 30, "care")
    strict = curate(rows, balance={"perspective": 3.0, "topics": 1.0}, seed=1).report
    assert (strict["over"], strict["over_by"]) == (15, {"perspective": 0, "topics": 15})
    loose = curate(rows, balance={"perspective": 3.0, "topics": math.inf}, seed=1).report
    assert (loose["over"], loose["axes"]["topics"]["cells"]["work"]["after"]) == (0, 60)
    assert (loose["axes"]["topics"]["bound"], loose["axes"]["perspective"]["bound"]) == (None, 3.0)


def test_a_row_that_finds_no_room_on_two_axes_counts_for_both() -> None:
    report = curate(many("west", 9, "work") + many("east", 1, "care"), balance=every(1.0), seed=1).report
    assert (report["over"], report["over_by"]) == (4, {"perspective": 4, "topics": 4, "schwartz": 0})


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("none", {"perspective": math.inf, "topics": math.inf, "schwartz": math.inf}),
        ("2.5", {"perspective": 2.5, "topics": 2.5, "schwartz": 2.5}),
        ("schwartz=none", {**BALANCE, "schwartz": math.inf}),
        ("perspective=1, schwartz = 9", {**BALANCE, "perspective": 1.0, "schwartz": 9.0}),
    ],
)
def test_bounds_are_one_for_all_or_one_an_axis(text: str, bounds: dict[str, float]) -> None:
    assert balance_of(text) == bounds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("some", "'some' is no bound; it needs to be a number of 1 or more, or none"),
        ("0.5", "'0.5' is no bound"),
        ("nan", "'nan' is no bound"),
        ("inf", "'inf' is no bound"),
        ("", "'' is no bound"),
        ("topics=", "'' is no bound"),
        ("topics=3,4", "'4' is no bound of an axis; write as in perspective=3,schwartz=none"),
        ("topic=3", "'topic' is nothing to balance over; did you mean 'topics'?"),
    ],
)
def test_a_bound_that_is_none_is_told(text: str, said: str) -> None:
    with pytest.raises(ContentError) as caught:
        balance_of(text)
    assert said in str(caught.value)
