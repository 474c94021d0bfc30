"""The Value Inequity Index."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.inequity import value_inequity
from multiplex.scoring.score import Score

SCORES = {"a": 60.0, "b": 70.0, "c": 80.0, "d": 90.0}
GROUPS = {
    "region": {"a": "north", "b": "north", "c": "south", "d": "south"},
    "age": {"a": "young", "b": "old", "c": "young", "d": "old"},
}


def test_the_index_is_the_mean_over_dimensions_of_the_deviation_between_group_means() -> None:
    score = value_inequity(SCORES, GROUPS, unit="accuracy in per cent")
    # Group means 65 and 85, then 70 and 80: population deviations 10 and 5.
    assert score.value == 7.5
    assert score.detail["dimensions"]["region"] == {
        "std": 10,
        "groups": {"north": {"mean": 65, "n": 2}, "south": {"mean": 85, "n": 2}},
    }
    assert score.detail["unit"] == "accuracy in per cent"


def test_a_dimension_with_one_group_is_left_out_and_named() -> None:
    everyone = {**GROUPS, "continent": dict.fromkeys(SCORES, "Asia"), "creed": {}}
    score = value_inequity(SCORES, everyone)
    assert score.value == 7.5
    assert score.detail["left_out"] == {"continent": "one group has a score", "creed": "no group has a score"}


def test_undefined_scores_are_no_zeros() -> None:
    score = value_inequity({**SCORES, "d": Score.undefined("abstained"), "c": Score(80.0)}, GROUPS)
    assert score.detail["unscored"] == ["d"]
    assert score.detail["dimensions"]["region"]["groups"]["south"] == {"mean": 80, "n": 1}
    nobody = value_inequity(dict.fromkeys(SCORES), GROUPS)
    assert nobody.reason == "no dimension has two groups with a score"
    assert value_inequity({}, {}).value is None


def test_who_a_dimension_does_not_place_is_left_out_of_it_alone() -> None:
    score = value_inequity(SCORES, {"region": {"a": "north", "c": "south"}})
    assert score.value == 10


def test_strangers_and_broken_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"groups\['region'\]: no score of 'sufy'; did you mean 'sufi'"):
        value_inequity({"sufi": 1.0}, {"region": {"sufy": "north"}})
    with pytest.raises(ValueError, match="score of 'a': needs a finite number"):
        value_inequity({"a": float("nan")}, {})


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from("xyz")), max_size=12))
def test_it_is_bounded_shifts_with_nothing_and_scales_with_the_unit(cells: list[tuple[float, str]]) -> None:
    scores = {str(i): number for i, (number, _) in enumerate(cells)}
    groups = {"g": {str(i): group for i, (_, group) in enumerate(cells)}}
    score = value_inequity(scores, groups)
    if score.value is None:
        assert len({group for _, group in cells}) < 2
        return
    numbers = [number for number, _ in cells]
    assert 0 <= score.value <= (max(numbers) - min(numbers)) / 2 + 1e-9
    means = [np.mean([n for n, g in cells if g == group]) for group in {g for _, g in cells}]
    assert score.value == pytest.approx(np.std(means), abs=1e-9)
    doubled = value_inequity({name: 2 * number + 5 for name, number in scores.items()}, groups)
    assert doubled.value == pytest.approx(2 * score.value, abs=1e-9)
    backward = value_inequity(dict(reversed(scores.items())), {"g": dict(reversed(groups["g"].items()))})
    assert backward.value == pytest.approx(score.value, abs=1e-12)
    json.dumps(score.as_dict(), allow_nan=False)


def test_equal_scores_have_no_inequity() -> None:
    assert value_inequity(dict.fromkeys(SCORES, math.pi), GROUPS).value == 0
