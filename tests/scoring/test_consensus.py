"""Endorsement and group-aware consensus."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from multiplex.scoring.consensus import endorsement, group_aware_consensus
from multiplex.scoring.intervals import bootstrap

ballots = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 7) | st.none())


def test_the_welfare_family_of_one_vote() -> None:
    score = endorsement({"sufi": 7, "zen": 1, "stoic": None, "bantu": 7})
    assert score.value == score.detail["mean"] == 5
    assert score.detail["minimum"] == 1
    assert score.detail["share"] == pytest.approx(2 / 3)
    assert score.detail["nash"] == pytest.approx(49 ** (1 / 3))
    assert score.detail["harmonic"] == pytest.approx(3 / (1 / 7 + 1 + 1 / 7))
    assert (score.detail["n"], score.detail["abstained"]) == (3, 1)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=9))
def test_the_family_is_that_of_scipys_power_means(votes: list[int]) -> None:
    detail = endorsement({str(i): vote for i, vote in enumerate(votes)}).detail
    for name, p in (("mean", 1), ("nash", 0), ("harmonic", -1)):
        assert detail[name] == pytest.approx(float(stats.pmean(votes, p)))
    assert detail["minimum"] == pytest.approx(float(stats.pmean(votes, -100)), rel=0.03)


def test_the_mean_has_a_bootstrap_interval_over_those_who_voted() -> None:
    votes: dict[str, int | None] = dict(zip("abcdefgh", [7, 6, 5, 5, 4, 3, 6, 2], strict=True))
    interval = endorsement({**votes, "silent": None}).detail["interval"]
    expected = bootstrap(sorted(v for v in votes.values() if v), fmean, seed=0)
    assert (interval["low"], interval["high"]) == (3.625, 5.75)
    assert interval["low"] == pytest.approx(expected.low, abs=0.125)
    assert interval["high"] == pytest.approx(expected.high, abs=0.125)
    assert (interval["n"], interval["level"], interval["resamples"]) == (8, 0.95, 1000)
    assert "score" not in interval
    assert endorsement(dict(reversed(votes.items()))).detail["interval"] == interval


def test_one_vote_has_a_mean_and_no_interval() -> None:
    interval = endorsement({"sufi": 7, "zen": None}).detail["interval"]
    assert (interval["low"], interval["high"], interval["n"]) == (None, None, 1)
    assert interval["reason"] == "an interval needs two personas"


def test_without_a_vote_nothing_is_defined() -> None:
    assert endorsement({}).reason == "there is no ballot"
    score = endorsement({"sufi": None})
    assert score.reason == "everyone abstained"
    assert score.value is None
    assert [score.detail[key] for key in ("mean", "minimum", "share", "nash", "harmonic")] == [None] * 5
    told = [score.detail["interval"], *score.detail["intervals"].values()]
    assert [(each["low"], each["reason"]) for each in told] == [(None, "everyone abstained")] * 5
    assert score.detail["abstained"] == 1


@pytest.mark.parametrize("vote", [0, 8, 5.5, True, "7"])
def test_a_ballot_is_a_whole_number_from_one_to_seven(vote: int) -> None:
    with pytest.raises(ValueError, match="ballot of 'sufi'"):
        endorsement({"sufi": vote})
    with pytest.raises(ValueError, match="ballot of 'sufi'"):
        group_aware_consensus({"muslim": {"sufi": vote}})


@given(ballots)
def test_minimum_harmonic_nash_and_mean_are_in_this_order(votes: dict[str, int | None]) -> None:
    score = endorsement(votes)
    if score.value is None:
        assert not any(votes.values())
        return
    detail = score.detail
    assert 1 <= detail["minimum"] <= detail["harmonic"] <= detail["nash"] <= detail["mean"] <= 7
    assert 0 <= detail["share"] <= 1
    assert endorsement({**votes, "silent": None}).value == score.value
    assert endorsement(dict(reversed(votes.items()))).value == score.value


@given(st.integers(1, 7), st.integers(1, 9))
def test_unanimity_is_its_own_mean(vote: int, n: int) -> None:
    detail = endorsement({str(i): vote for i in range(n)}).detail
    assert detail["mean"] == detail["minimum"] == vote
    assert detail["nash"] == pytest.approx(vote)
    assert detail["harmonic"] == pytest.approx(vote)
    assert detail["share"] == (1 if vote >= 5 else 0)


def test_group_aware_consensus_is_the_smoothed_product() -> None:
    score = group_aware_consensus(
        {"a": {"p": 7, "q": 6, "r": 5}, "b": {"s": 5, "t": 4, "u": 2, "v": 1, "w": None}}
    )
    assert score.value == pytest.approx(4 / 5 * 2 / 6)
    assert score.detail["groups"]["b"] == {"agree": 1, "n": 4, "probability": pytest.approx(2 / 6)}
    assert score.detail["ceiling"] == pytest.approx(4 / 5 * 5 / 6)


def test_a_silent_group_counts_as_unknown() -> None:
    score = group_aware_consensus({"a": {"p": 7}, "b": {"q": None}})
    assert score.value == pytest.approx(2 / 3 * 1 / 2)
    assert score.detail["silent"] == ["b"]


@pytest.mark.parametrize("groups", [{}, {"a": {}}, {"a": {"p": None}, "b": {}}])
def test_group_aware_consensus_without_a_vote_is_undefined(groups: dict[str, dict[str, int | None]]) -> None:
    assert group_aware_consensus(groups).reason == "no group has a vote"


@given(st.dictionaries(st.sampled_from("xyz"), ballots, min_size=1))
def test_group_aware_consensus_stays_below_its_ceiling(groups: dict[str, dict[str, int | None]]) -> None:
    score = group_aware_consensus(groups)
    if score.value is not None:
        assert 0 < score.value <= score.detail["ceiling"] < 1
        assert group_aware_consensus(dict(reversed(groups.items()))).value == score.value


def test_one_group_against_lowers_what_a_majority_lifts() -> None:
    divided = group_aware_consensus({"a": dict.fromkeys("pqrstu", 7), "b": {"v": 1, "w": 1}}).value
    shared = group_aware_consensus(
        {"a": dict.fromkeys("pqrs", 7) | {"t": 1, "u": 1}, "b": {"v": 7, "w": 7}}
    ).value
    assert divided is not None
    assert shared is not None
    assert divided < shared
