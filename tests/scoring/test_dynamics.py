"""Spread, movement, erosion and gains."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.dynamics import dynamics

Round = dict[str, dict[str, float] | None]


def stance(go: float) -> dict[str, float]:
    return {"go": go, "stay": 1 - go}


def test_a_divided_panel_and_a_torn_one_have_the_same_entropy_and_not_the_same_disagreement() -> None:
    divided = dynamics([{"sufi": stance(1), "zen": stance(0)}]).rounds[0]
    torn = dynamics([{"sufi": stance(0.5), "zen": stance(0.5)}]).rounds[0]
    assert divided.entropy.value == torn.entropy.value == 1
    assert divided.disagreement.value == pytest.approx(1)
    assert divided.diversity.value == 1
    assert torn.disagreement.value == torn.diversity.value == 0


def test_the_entropy_of_a_round_is_that_of_the_mean_stance() -> None:
    only = dynamics(
        [{"sufi": {"go": 1.0}, "zen": stance(0.5), "stoic": None}], options=["go", "stay", "wait"]
    )
    spread = only.rounds[0]
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(3)
    assert spread.entropy.value == pytest.approx(expected)
    assert spread.mean == {"go": 0.75, "stay": 0.25, "wait": 0}
    assert (spread.round, spread.n, spread.abstained) == (1, 2, 1)


def test_who_moved_towards_whom() -> None:
    rounds: list[Round] = [
        {"sufi": stance(1.0), "zen": stance(0.5), "stoic": stance(0.0)},
        {"sufi": stance(0.6), "zen": stance(0.5), "stoic": stance(0.0)},
    ]
    moved = dynamics(rounds).moved
    assert moved["sufi"].value == pytest.approx(0.4)
    # It came as much closer to stoic; zen was nearer at the start.
    assert moved["sufi"].detail["towards"] == "zen"
    assert moved["sufi"].detail["closer_by"] == pytest.approx(0.4)
    assert moved["zen"].value == 0
    assert moved["zen"].detail == {"towards": None, "closer_by": 0.0}


def test_passing_someone_by_is_moving_towards_the_one_beyond() -> None:
    rounds: list[Round] = [
        {"sufi": stance(1.0), "zen": stance(0.7), "stoic": stance(0.0)},
        {"sufi": stance(0.1), "zen": stance(0.7), "stoic": stance(0.0)},
    ]
    assert dynamics(rounds).moved["sufi"].detail["towards"] == "stoic"


def test_being_approached_is_not_moving() -> None:
    rounds: list[Round] = [
        {"sufi": stance(1), "zen": stance(0)},
        {"sufi": stance(1), "zen": stance(0.5)},
    ]
    moved = dynamics(rounds).moved
    assert moved["sufi"].detail["towards"] is None
    assert moved["zen"].detail["towards"] == "sufi"


def test_erosion_is_negative_where_diversity_is_lost() -> None:
    converged = dynamics([{"sufi": stance(1), "zen": stance(0)}, {"sufi": stance(0.5), "zen": stance(0.5)}])
    assert converged.erosion.value == -1
    assert (converged.erosion.detail["first"], converged.erosion.detail["last"]) == (1, 0)


def test_silence_is_not_a_move() -> None:
    rounds: list[Round] = [
        {"sufi": stance(1), "zen": stance(0.8), "stoic": stance(0)},
        {"sufi": stance(1), "zen": stance(0.8), "stoic": None},
    ]
    result = dynamics(rounds)
    assert result.erosion.value == 0
    assert result.gain.value == 0
    assert not result.gain.detail["only_under_shift"]
    assert result.moved["stoic"].reason == "no stance both in the first and in the last round"


def test_a_gain_under_shifted_stances_is_flagged_with_both_supports() -> None:
    gain = dynamics([{"sufi": stance(0.9), "zen": stance(0)}, {"sufi": stance(1), "zen": stance(0.6)}]).gain
    assert gain.detail["option"] == "go"
    assert gain.detail["initial_support"] == pytest.approx(0.45)
    assert gain.detail["final_support"] == pytest.approx(0.8)
    assert gain.value == pytest.approx(0.35)
    assert gain.detail["only_under_shift"]
    assert not gain.detail["led_at_start"]


def test_no_gain_is_claimed_where_nobody_moved() -> None:
    still: Round = {"sufi": stance(0.9), "zen": stance(0.4)}
    gain = dynamics([still, still]).gain
    assert gain.value == 0
    assert not gain.detail["only_under_shift"]
    assert gain.detail["led_at_start"]


def test_level_options_have_no_gain() -> None:
    gain = dynamics([{"sufi": stance(1)}, {"sufi": stance(0.5)}]).gain
    assert gain.reason == "two or more options end level"
    assert gain.detail["level"] == ["go", "stay"]


def test_one_persona_has_entropy_and_no_diversity() -> None:
    result = dynamics([{"sufi": stance(0.5)}, {"sufi": stance(0.9)}])
    assert result.rounds[0].entropy.value == 1
    assert result.rounds[0].diversity.reason == "one persona differs from nobody"
    assert result.rounds[0].disagreement.value is None
    assert result.erosion.value is None
    assert result.moved["sufi"].value == pytest.approx(0.4)
    assert result.moved["sufi"].detail["towards"] is None


@pytest.mark.parametrize(
    ("rounds", "reason"),
    [
        ([{"sufi": None, "zen": None}] * 2, "there are no two options to choose between"),
        ([{"sufi": {"go": 1.0}, "zen": {"go": 1.0}}] * 2, "there are no two options to choose between"),
    ],
)
def test_without_two_options_everything_is_undefined(rounds: list[Round], reason: str) -> None:
    result = dynamics(rounds)
    scores = [result.erosion, result.gain, *result.moved.values()]
    for spread in result.rounds:
        scores += [spread.entropy, spread.diversity, spread.disagreement]
    assert {score.reason for score in scores} == {reason}


def test_one_round_and_none_have_no_movement() -> None:
    single = dynamics([{"sufi": stance(1), "zen": stance(0)}])
    assert single.erosion.value is None
    assert single.gain.value is None
    assert single.moved["sufi"].value is None
    assert dynamics([], options=["go", "stay"]).rounds == ()
    silent = dynamics([{"sufi": None}], options=["go", "stay"]).rounds[0]
    assert silent.entropy.reason == "nobody took a stance"
    assert silent.mean is None


stances = (
    st.lists(st.integers(0, 20), min_size=3, max_size=3)
    .filter(any)
    .map(lambda ws: {option: w / sum(ws) for option, w in zip("xyz", ws, strict=True)})
)
rounds_of_three = st.lists(st.fixed_dictionaries(dict.fromkeys("abc", stances | st.none())), max_size=4)


@given(rounds_of_three)
def test_everything_is_bounded_and_plain(rounds: list[Round]) -> None:
    result = dynamics(rounds, options="xyz")
    for spread in result.rounds:
        for score in (spread.entropy, spread.diversity, spread.disagreement):
            assert score.value is None or 0 <= score.value <= 1
    assert all(score.value is None or 0 <= score.value <= 1 for score in result.moved.values())
    for change in (result.erosion, result.gain):
        assert change.value is None or -1 <= change.value <= 1
    json.dumps(result.as_dict(), allow_nan=False)


@given(rounds_of_three)
def test_the_order_of_personas_does_not_matter(rounds: list[Round]) -> None:
    forward = dynamics(rounds, options="xyz")
    backward = dynamics([dict(reversed(each.items())) for each in rounds], options="xyz")
    assert forward.as_dict() == backward.as_dict()


@given(stances, st.integers(2, 4))
def test_unanimity_has_no_diversity(shared: dict[str, float], rounds: int) -> None:
    result = dynamics([dict.fromkeys("abc", shared)] * rounds, options="xyz")
    for spread in result.rounds:
        assert spread.diversity.value == pytest.approx(0, abs=1e-7)
        assert spread.disagreement.value == pytest.approx(0, abs=1e-7)
    assert result.erosion.value == 0
