"""Spread, movement, erosion and gains."""

import json
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.dynamics import dynamics, euclidean_diversity, spanning_tree_diversity

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


def test_a_gain_of_what_led_at_the_start_is_not_one_of_shifted_stances_alone() -> None:
    result = dynamics([{"sufi": stance(0.8), "zen": stance(0.8)}, {"sufi": stance(0.81), "zen": stance(0.8)}])
    assert result.gain.value == pytest.approx(0.005)
    assert result.gain.detail["led_at_start"]
    assert not result.gain.detail["only_under_shift"]
    assert result.evaluation.only_under_shift == ()


def test_what_was_level_at_the_start_led_too() -> None:
    gain = dynamics([{"sufi": stance(0.5)}, {"sufi": stance(0.6)}]).gain
    assert gain.detail["led_at_start"]
    assert not gain.detail["only_under_shift"]


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
        scores += [spread.euclidean, spread.spanning_tree]
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
        scores = [spread.entropy, spread.diversity, spread.disagreement]
        for score in (*scores, spread.euclidean, spread.spanning_tree):
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


def test_two_camps_have_a_short_tree_however_far_apart() -> None:
    camps: Round = {"a": stance(1), "b": stance(1), "c": stance(0), "d": stance(0)}
    spread = dynamics([camps]).rounds[0]
    # Four of six pairs are as far apart as can be; one of three edges of the tree, the others have length 0.
    assert spread.euclidean.value == pytest.approx(2 / 3)
    assert spread.spanning_tree.value == pytest.approx(1 / 3)


def test_evenly_spread_stances_are_joined_by_even_edges() -> None:
    spread = dynamics([{"a": stance(0), "b": stance(0.5), "c": stance(1)}]).rounds[0]
    assert spread.euclidean.value == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert spread.spanning_tree.value == pytest.approx(0.5)


def test_answers_to_questions_are_measured_against_their_ranges() -> None:
    # Ranges 3 and 4: the furthest two can be apart is 5.
    answers = [[1, 1], [4, 5]]
    assert euclidean_diversity(answers, widest=[3, 4]).value == 1
    assert euclidean_diversity([[1, 1], [4, 1]], widest=[3, 4]).value == pytest.approx(0.6)
    assert spanning_tree_diversity([[1, 1], [4, 1], [4, 5]], widest=[3, 4]).value == pytest.approx(0.7)


def test_too_few_rows_or_no_range_have_no_diversity() -> None:
    for measure in (euclidean_diversity, spanning_tree_diversity):
        assert measure([], widest=1.0).reason == "fewer than two rows differ from nobody"
        assert measure([[1.0]], widest=1.0).value is None
        assert measure([[1.0], [1.0]], widest=[0.0]).reason == "nothing can differ"


@pytest.mark.parametrize(
    ("points", "widest", "message"),
    [
        ([[1], [1, 2]], 1.0, "rows differ in length"),
        ([[1], [math.nan]], 1.0, "points need finite"),
        ([[1], [2]], [1, 1], "widest: 2 ranges for rows of 1"),
        ([[1], [2]], -1.0, "widest needs finite"),
        ([[1], [5]], [3], "further apart than widest allows"),
    ],
)
def test_points_that_make_no_sense_are_refused(
    points: list[list[float]], widest: float | list[float], message: str
) -> None:
    for measure in (euclidean_diversity, spanning_tree_diversity):
        with pytest.raises(ValueError, match=message):
            measure(points, widest=widest)


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=2, max_size=7))
def test_the_tree_is_that_of_networkx_with_edges_of_no_length(points: list[list[int]]) -> None:
    graph: nx.Graph[int] = nx.Graph()
    rows = np.array(points, float)
    for i in range(len(rows)):
        for j in range(i):
            graph.add_edge(i, j, weight=float(np.linalg.norm(rows[i] - rows[j])))
    length = nx.minimum_spanning_tree(graph).size(weight="weight")
    tree = spanning_tree_diversity(points, widest=[3, 3]).value
    pairwise = euclidean_diversity(points, widest=[3, 3]).value
    assert tree is not None
    assert pairwise is not None
    assert tree == pytest.approx(length / (len(rows) - 1) / math.sqrt(18))
    assert 0 <= tree <= pairwise + 1e-12 <= 1 + 1e-12


def test_what_was_lost_is_a_share_of_what_there_was() -> None:
    halves = dynamics([{"a": stance(1), "b": stance(0)}, {"a": stance(0.5), "b": stance(0.5)}]).erosion
    assert halves.detail["lost"].value == 1
    grown = dynamics([{"a": stance(0.6), "b": stance(0.5)}, {"a": stance(1), "b": stance(0)}]).erosion
    assert (grown.detail["lost"].value or 0) < 0
    none = dynamics([{"a": stance(0.5), "b": stance(0.5)}, {"a": stance(1), "b": stance(0)}]).erosion
    assert none.detail["lost"].reason == "there was no diversity to lose"


THREE: list[Round] = [
    {"sufi": stance(0.9), "zen": stance(0.1), "stoic": stance(0.4)},
    {"sufi": stance(0.9), "zen": None, "stoic": stance(0.8)},
    {"sufi": stance(0.9), "zen": stance(0.7), "stoic": stance(0.3)},
]


def test_the_consensus_is_judged_under_initial_final_and_real_time_stances() -> None:
    result = dynamics(THREE).evaluation
    assert result.option == "go"
    assert result.initial.value == pytest.approx(1.4 / 3)
    assert result.final.value == pytest.approx(1.9 / 3)
    assert result.real_time.value == pytest.approx((0.9 + 0.4 + 0.5) / 3)
    zen = result.personas["zen"]
    assert zen.value == pytest.approx(0.6)
    assert (zen.detail["initial"], zen.detail["final"]) == (0.1, 0.7)
    assert zen.detail["real_time"] == pytest.approx(0.4)
    assert result.only_under_shift == ("zen",)
    assert [result.personas[who].detail["throughout"] for who in THREE[0]] == [True, False, False]
    assert result.unambiguous is False


def test_another_consensus_and_another_bar_can_be_named() -> None:
    other = dynamics(THREE, consensus="stay").evaluation
    assert other.option == "stay"
    assert other.only_under_shift == ()
    assert dynamics(THREE, endorsed_above=0.25).evaluation.only_under_shift == ("zen",)
    assert dynamics(THREE, endorsed_above=0.05).evaluation.unambiguous is True
    assert dynamics(THREE, endorsed_above=0.8).evaluation.only_under_shift == ()


def test_a_torn_persona_endorses_nothing() -> None:
    still: Round = {"sufi": stance(0.5), "zen": stance(0.9)}
    result = dynamics([still, still]).evaluation
    assert result.unambiguous is False
    assert not result.personas["sufi"].detail["throughout"]


def test_what_cannot_be_evaluated_says_why() -> None:
    level = dynamics([{"a": stance(1)}, {"a": stance(0.5)}]).evaluation
    assert level.initial.reason == "two or more options end level"
    assert level.unambiguous is None
    single = dynamics([{"a": stance(1)}], consensus="go").evaluation
    assert single.final.reason == "nobody took a stance both in the first and in the last round"
    half: list[Round] = [{"a": stance(1), "b": None}, {"a": stance(1), "b": stance(0)}]
    assert dynamics(half).evaluation.personas["b"].value is None
    assert dynamics([], options=["go", "stay"]).evaluation.personas == {}


def test_an_unknown_consensus_and_a_senseless_bar_are_refused() -> None:
    with pytest.raises(ValueError, match="consensus: no option 'gone'; did you mean 'go'"):
        dynamics(THREE, consensus="gone")
    with pytest.raises(ValueError, match="endorsed_above needs a share"):
        dynamics(THREE, endorsed_above=1.0)


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=4))
def test_an_evaluation_is_bounded_blind_to_order_and_says_what_the_gain_says(
    table: list[list[float]],
) -> None:
    rounds: list[Round] = [{f"p{i}": stance(go) for i, go in enumerate(row)} for row in table]
    result = dynamics(rounds, options=["go", "stay"], consensus="go")
    told = result.evaluation
    initial, final, real_time = told.initial.value, told.final.value, told.real_time.value
    assert initial is not None
    assert final is not None
    assert real_time is not None
    means = [sum(row) / 4 for row in table]
    assert (initial, final) == pytest.approx((means[0], means[-1]))
    assert min(means) - 1e-9 <= real_time <= max(means) + 1e-9
    for score in (told.initial, told.final, told.real_time):
        low, high = score.detail["interval"]["low"], score.detail["interval"]["high"]
        assert 0 <= low <= (score.value or 0) + 1e-9
        assert (score.value or 0) - 1e-9 <= high <= 1 + 1e-9
    if result.gain.detail.get("option") == "go":
        assert result.gain.value == pytest.approx(final - initial)
    shifted = [f"p{i}" for i in range(4) if table[0][i] <= 0.5 < table[-1][i]]
    assert list(told.only_under_shift) == shifted
    turned: list[Round] = [dict(reversed(each.items())) for each in rounds]
    assert dynamics(turned, options=["stay", "go"], consensus="go").evaluation.initial == told.initial
    unmoved = dynamics([rounds[0]] * 3, options=["go", "stay"], consensus="go").evaluation
    assert unmoved.only_under_shift == ()
    assert unmoved.initial.value == unmoved.final.value == pytest.approx(unmoved.real_time.value)
