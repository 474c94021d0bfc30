"""Seeds: the same for the same place, different for every other, and no global state."""

import random

from hypothesis import given
from hypothesis import strategies as st

from multiplex.seeds import derive_seed

places = st.lists(st.text(max_size=8) | st.integers(0, 99), max_size=4).map(tuple)


@given(st.integers(0, 2**63 - 1), places)
def test_a_seed_is_in_range_and_the_same_every_time(seed: int, place: tuple[object, ...]) -> None:
    derived = derive_seed(seed, *place)
    assert 0 <= derived < 2**31
    assert derived == derive_seed(seed, *place)


def test_seeds_stay_what_they_are_from_one_version_to_the_next() -> None:
    assert derive_seed(0) == 804681139
    assert derive_seed(7, "open.position", 1, "take_position", "nurse", "") == 1248465379


def test_neighbouring_places_are_far_apart() -> None:
    seeds = {derive_seed(seed, name, i) for seed in range(10) for name in "abc" for i in range(100)}
    assert len(seeds) == 3000


def test_parts_of_a_place_are_kept_apart() -> None:
    assert derive_seed(1, "ab", "c") != derive_seed(1, "a", "bc")
    assert derive_seed(1, 2) != derive_seed(12)


def test_the_global_random_state_is_left_alone() -> None:
    before = random.getstate()
    derive_seed(1, "x")
    assert random.getstate() == before
