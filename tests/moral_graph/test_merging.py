"""Groups of cards that may be one value, against scikit-learn's DBSCAN."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from multiplex.embedding import SentenceEmbedder
from multiplex.moral_graph.merging import card_text, clusters, unit_rows
from tests.table import MILLER, card


def at(*degrees: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return points on the unit circle."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_neighbours_are_chained_and_who_is_alone_is_left_out() -> None:
    # cos 40° = 0.766 is nearer than 0.3, cos 80° = 0.17 is not: the middle one joins the two.
    assert clusters(at(0, 40, 80, 200)) == [[0, 1, 2]]
    assert clusters(at(0, 40, 80, 200), distance=0.2) == []


def test_with_more_neighbours_asked_for_a_pair_is_no_group() -> None:
    assert clusters(at(0, 5, 100, 105, 110), min_cards=3) == [[2, 3, 4]]


def test_a_card_at_the_edge_joins_its_nearest_dense_neighbour() -> None:
    # 0.25 is 41.4°: the one at 52° has two neighbours, at 12° and at 90°, and is not dense itself.
    assert clusters(at(0, 4, 8, 12, 52, 90, 94, 98, 102), min_cards=4, distance=0.25) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7, 8],
    ]


def test_equal_cards_are_one_group_at_no_distance() -> None:
    rows = np.random.default_rng(3).normal(size=(3, 40))
    assert clusters(rows[[0, 1, 0, 2, 1]], distance=0) == [[0, 2], [1, 4]]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_cards_make_no_group(count: int) -> None:
    assert clusters(np.ones((count, 3))) == []
    assert clusters([]) == []


@pytest.mark.parametrize("min_cards", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_dense_cards_are_grouped_as_scikit_learn_does(seed: int, min_cards: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, 16))
    rows = unit_rows(centres[rng.integers(12, size=600)] + rng.normal(scale=0.45, size=(600, 16)))
    published = DBSCAN(eps=0.1, min_samples=min_cards, metric="cosine").fit(rows.astype(np.float64))
    found = clusters(rows, distance=0.1, min_cards=min_cards)
    ours = np.full(600, -1)
    for number, group in enumerate(found):
        ours[group] = number
    assert len(found) == published.labels_.max() + 1 > 1
    # Which group a card at the edge of two joins, DBSCAN leaves open; whether it joins one, it does not.
    assert ((ours == -1) == (published.labels_ == -1)).all()
    core = published.core_sample_indices_
    same = published.labels_[core][:, None] == published.labels_[core]
    assert (same == (ours[core][:, None] == ours[core])).all()


@given(st.lists(st.integers(0, 359), max_size=25), st.randoms(use_true_random=False), st.integers(1, 4))
def test_groups_are_disjoint_and_depend_on_no_order(degrees: list[int], random: Random, least: int) -> None:
    degrees = list(dict.fromkeys(degrees))
    order = list(range(len(degrees)))
    random.shuffle(order)
    groups = clusters(at(*degrees) if degrees else [], distance=0.0201, min_cards=least)
    members = [index for group in groups for index in group]
    assert len(set(members)) == len(members)
    assert all(len(group) > 1 and group == sorted(group) for group in groups)
    if least > 2:
        return  # a card equally near to two groups joins the first
    shuffled = clusters(at(*(degrees[i] for i in order)) if degrees else [], distance=0.0201, min_cards=least)
    assert {frozenset(order[i] for i in group) for group in shuffled} == set(map(frozenset, groups))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1, 0], [float("nan"), 1]], "row 1 is not finite"),
        ([[float("inf"), 0], [0, 1]], "row 0 is not finite"),
        ([[1, 0], [0, 0]], "row 1 is zero"),
        ([1, 2], r"shape \(cards, dimensions\)"),
    ],
)
def test_rows_that_have_no_direction_are_refused(rows: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        clusters(rows)


def test_numbers_at_the_edge_of_their_range_still_have_a_direction() -> None:
    assert clusters([[1e38, 1e38], [1e-38, 1e-38], [-1.0, 1.0]]) == [[0, 1]]


@pytest.mark.parametrize("options", [{"distance": -0.1}, {"distance": 2.1}, {"distance": float("nan")}])
def test_a_distance_is_from_0_to_2(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="distance: needs to be from 0 to 2"):
        clusters(at(0, 1), **options)
    with pytest.raises(ValueError, match="min_cards: needs to be 1 or more"):
        clusters(at(0, 1), min_cards=0)


def test_what_is_embedded_of_a_card_is_its_policies() -> None:
    one, other = (
        card(MILLER),
        card(MILLER).model_copy(update={"title": "X", "description": "Y", "context": "Z"}),
    )
    assert card_text(one) == card_text(other)
    assert card_text(one).splitlines() == list(one.policies)


@pytest.mark.slow
@pytest.mark.heavy
def test_many_cards_are_embedded_in_their_order_and_as_a_few_at_a_time_are(tmp_path: Path) -> None:
    # From 64 texts on they are divided over the cores, sorted by length: lengths go up and down here.
    texts = [f"MOMENTS {'of rest ' * (n % 7)}at {n} o'clock\nSIGNS of day {n * n % 31}" for n in range(70)]
    many = SentenceEmbedder(cache=tmp_path / "many").embed(texts)
    few = SentenceEmbedder(cache=tmp_path / "few")
    parts = np.concatenate([few.embed(texts[start : start + 35]) for start in (0, 35)])
    assert np.abs(many - parts).max() < 1e-6
    assert np.abs(many - parts[::-1]).max() > 0.1
