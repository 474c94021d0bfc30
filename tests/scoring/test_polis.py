"""Polis: opinion groups, representativeness and group-aware consensus, against red-dwarf."""

import csv
import json
import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.polis import (
    Representative,
    group_aware_agreement,
    opinion_groups,
    representativeness,
    tabulate,
    vote_table,
)

Votes = dict[str, dict[str, float | None]]
_: None = None


def votes(rows: list[list[int | None]]) -> Votes:
    """Name the rows p00, p01 and the columns a, b, c."""
    return {f"p{i:02}": dict(zip("abcdefgh", row, strict=False)) for i, row in enumerate(rows)}


# Drawn once at random; the numbers below come from red-dwarf 0.4.0 (pip install red-dwarf) on the same
# matrix: reddwarf.utils.stats.calculate_comment_statistics(pd.DataFrame(rows), [0] * 6 + [1] * 6).
DIVIDED = votes(
    [
        [1, -1, 0, 1, 1],
        [1, -1, 0, 0, -1],
        [1, -1, 1, 1, -1],
        [1, -1, 0, -1, _],
        [1, -1, -1, 1, 1],
        [1, -1, _, -1, -1],
        [-1, 1, 1, 1, -1],
        [-1, 1, 1, 0, 1],
        [-1, 1, -1, 0, -1],
        [-1, 1, -1, -1, _],
        [-1, 1, 1, 1, 1],
        [-1, 0, 1, _, -1],
    ]
)
HALVES = {"first": [f"p{i:02}" for i in range(6)], "second": [f"p{i:02}" for i in range(6, 12)]}
RED_DWARF = {
    ("first", "agree"): {
        "probability": [0.875, 0.125, 0.2857142857, 0.5, 0.4285714286],
        "ratio": [7.0, 0.1666666667, 0.4571428571, 1.1666666667, 1.0],
        "probability_z": [2.6457513111, -1.889822365, -0.8164965809, 0.377964473, 0.0],
        "ratio_z": [3.2403703492, -2.6726124191, -1.373543343, 0.2575393768, 0.0],
    },
    ("first", "disagree"): {
        "probability": [0.125, 0.875, 0.2857142857, 0.375, 0.5714285714],
        "ratio": [0.1428571429, 7.0, 0.7619047619, 1.3125, 1.0],
        "probability_z": [-1.889822365, 2.6457513111, -0.8164965809, -0.377964473, 0.8164965809],
        "ratio_z": [-3.2403703492, 3.2403703492, -0.3518657753, 0.3518657753, 0.0],
    },
    ("second", "agree"): {
        "probability": [0.125, 0.75, 0.625, 0.4285714286, 0.4285714286],
        "ratio": [0.1428571429, 6.0, 2.1875, 0.8571428571, 1.0],
        "probability_z": [-1.889822365, 1.889822365, 1.133893419, 0.0, 0.0],
        "ratio_z": [-3.2403703492, 2.6726124191, 1.373543343, -0.2575393768, 0.0],
    },
    ("second", "disagree"): {
        "probability": [0.875, 0.125, 0.375, 0.2857142857, 0.5714285714],
        "ratio": [7.0, 0.1428571429, 1.3125, 0.7619047619, 1.0],
        "probability_z": [2.6457513111, -1.889822365, -0.377964473, -0.8164965809, 0.8164965809],
        "ratio_z": [3.2403703492, -3.2403703492, 0.3518657753, -0.3518657753, 0.0],
    },
}

# Two camps with some noise and gaps; places and labels from red-dwarf 0.4.0: run_reducer(reducer="pca")
# and run_clusterer(clusterer="kmeans", max_group_count=5); its silhouette is 0.830704706339667.
CAMPS = votes(
    [
        [1, _, 1, -1, -1, _, 1, 0],
        [1, 0, 1, -1, -1, -1, 1, 0],
        [1, 1, 1, -1, -1, -1, 1, 0],
        [1, 1, 1, -1, _, -1, 1, 0],
        [1, 1, _, _, -1, -1, 1, 0],
        [1, 1, 1, -1, -1, -1, 1, 0],
        [-1, -1, 0, 1, 1, 1, _, -1],
        [-1, -1, 0, 1, 1, 1, 1, -1],
        [-1, -1, 0, 1, 1, 1, _, -1],
        [-1, -1, 1, 1, 0, 1, _, -1],
        [-1, -1, 0, _, 1, 1, 1, -1],
    ]
)
PLACES = [
    (1.531547, -0.980929),
    (1.815079, -0.454407),
    (2.221881, 0.113377),
    (1.989385, 0.712656),
    (2.075636, 0.442714),
    (2.221881, 0.113377),
    (-2.622749, 0.253572),
    (-2.453357, 0.237195),
    (-2.622749, 0.253572),
    (-1.998046, -0.845304),
    (-2.153677, 0.113591),
]

ballots = st.dictionaries(
    st.sampled_from("pqrstuvw"),
    st.dictionaries(st.sampled_from("abcde"), st.sampled_from([1.0, 0.0, -1.0, None]), min_size=1),
    max_size=8,
)


def test_representativeness_is_that_of_red_dwarf() -> None:
    found = representativeness(DIVIDED, HALVES)
    assert len(found) == 2 * 2 * 5
    for each in found:
        expected = RED_DWARF[each.group, each.vote]
        place = "abcde".index(each.statement)
        for key, column in expected.items():
            assert each.metric.detail[key] == pytest.approx(column[place], abs=1e-9)
        assert each.metric.value == pytest.approx(math.prod(column[place] for column in expected.values()))


def test_what_sets_a_group_apart_is_kept_and_comes_first() -> None:
    found = representativeness(DIVIDED, HALVES)
    kept = [(each.group, each.statement, each.vote) for each in found if each.kept]
    assert kept == [
        ("first", "a", "agree"),
        ("first", "b", "disagree"),
        ("second", "a", "disagree"),
        ("second", "b", "agree"),
    ]
    assert [each.kept for each in found[:3]] == [True, True, False]
    lenient = representativeness(DIVIDED, HALVES, confidence=0.8)
    assert ("second", "c", "agree") in [
        (each.group, each.statement, each.vote) for each in lenient if each.kept
    ]


def test_group_aware_consensus_is_that_of_red_dwarf() -> None:
    found = group_aware_agreement(DIVIDED, HALVES)
    agree = [0.109375, 0.09375, 0.1785714286, 0.2142857143, 0.1836734694]
    disagree = [0.109375, 0.109375, 0.1071428571, 0.1071428571, 0.3265306122]
    assert [score.value for score in found.values()] == pytest.approx(agree)
    assert [score.detail["disagree"] for score in found.values()] == pytest.approx(disagree)
    assert found["c"].detail["groups"]["second"] == {"agree": 4, "n": 6, "probability": 0.625}


def test_collective_constitutional_ai_counts_without_smoothing() -> None:
    found = group_aware_agreement(DIVIDED, HALVES, smoothed=False)
    assert found["c"].value == pytest.approx(1 / 5 * 4 / 6)
    assert found["c"].detail["minimum"] == pytest.approx(1 / 5)
    assert found["a"].value == 0
    assert found["a"].detail["ceiling"] == 1


def ccai() -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Of every statement that Collective Constitutional AI kept, (agree, seen) of its two groups.

    The figures alone, without the statements: they follow from clean_comments.csv of saffronh/ccai at 0e2ad21, where
    `group_0_consensus` and `group_1_consensus` are agree / seen, and both groups together have `agrees` and `agrees` +
    `disagrees` + `passes`. Only of statement 308, with 4 in 9 for either group, does the split of its 36 votes not
    follow; it stands here in halves.
    """
    with Path(__file__).with_name("ccai.csv").open(newline="") as file:
        rows = {
            row.pop("statement"): {name: int(count) for name, count in row.items()}
            for row in csv.DictReader(file)
        }
    return {
        statement: ((row["agree_a"], row["seen_a"]), (row["agree_b"], row["seen_b"]))
        for statement, row in rows.items()
    }


def test_collective_constitutional_ai_has_its_published_counts_and_its_most_agreed_statement() -> None:
    tallies = ccai()
    assert (len(tallies), sum(seen for row in tallies.values() for _, seen in row)) == (275, 34_563)
    # Who votes on what does not matter to these scores, only how many.
    ballots: Votes = {f"{group}{i:03}": {} for group, size in (("a", 619), ("b", 383)) for i in range(size)}
    for statement, counts in tallies.items():
        for group, (agree, seen) in zip("ab", counts, strict=True):
            for i in range(seen):
                ballots[f"{group}{i:03}"][statement] = 1 if i < agree else -1
    ballots = {name: row for name, row in ballots.items() if row}
    groups = {group: [name for name in ballots if name[0] == group] for group in "ab"}
    raw = group_aware_agreement(ballots, groups, smoothed=False)
    least = [score.detail["minimum"] for score in raw.values()]
    counted = {share: sum(value > share for value in least) for share in (0.6, 0.7, 0.75, 0.8)}
    assert counted == {0.6: 233, 0.7: 196, 0.75: 180, 0.8: 135}
    shares = [found["probability"] for found in raw["44"].detail["groups"].values()]
    assert shares == pytest.approx([0.9482758620689655, 0.9859154929577465])
    smoothed = group_aware_agreement(ballots, groups)
    most = max(smoothed, key=lambda statement: smoothed[statement].value or 0)
    assert most == "274"
    assert smoothed[most].value == pytest.approx(0.9311, abs=5e-5)


def test_a_silent_group_is_unknown_when_smoothed_and_undefined_when_not() -> None:
    rows: Votes = {"p": {"a": 1, "b": 1}, "q": {"a": 1}}
    groups = {"one": ["p"], "two": ["q"]}
    smoothed = group_aware_agreement(rows, groups)["b"]
    assert smoothed.value == pytest.approx(2 / 3 * 1 / 2)
    assert smoothed.detail["silent"] == ["two"]
    assert group_aware_agreement(rows, groups, smoothed=False)["b"].reason == "no vote from two"
    outside = group_aware_agreement({"p": {"a": 1}, "q": {"b": 1}}, {"one": ["q"]})
    assert outside["a"].reason == "no vote from one"
    unseen = {(each.group, each.statement): each for each in representativeness(rows, groups)}
    assert unseen["one", "b"].metric.reason == "nobody in the other groups saw the statement"
    assert unseen["two", "b"].metric.reason == "nobody in the group saw the statement"
    assert not unseen["two", "b"].kept


def test_opinion_groups_are_those_of_red_dwarf() -> None:
    found = opinion_groups(CAMPS, seed=1, least_votes=1)
    assert found.groups == {
        "A": tuple(f"p{i:02}" for i in range(6)),
        "B": tuple(f"p{i:02}" for i in range(6, 11)),
    }
    assert found.silhouette.value == pytest.approx(0.830704706339667, abs=1e-6)
    assert found.silhouette.detail["k"] == 2
    assert found.silhouette.detail["explained"] == pytest.approx((0.89577515, 0.04458107), abs=1e-7)
    ours, theirs = np.array(list(found.points.values())), np.array(PLACES)
    signs = np.sign(ours[0] * theirs[0])  # a component has no sign of its own
    assert ours == pytest.approx(theirs * signs, abs=2e-6)
    assert json.dumps(found.as_dict(), allow_nan=False)


@pytest.mark.parametrize("camps", [2, 3, 4, 5])
def test_as_many_camps_as_were_planted_are_found(camps: int) -> None:
    rng = np.random.default_rng(camps)
    # Camps stand at the corners of a polygon, so that two components show them all.
    angle = 2 * np.pi * np.arange(camps) / camps
    load = rng.normal(size=(2, 60))
    lean = np.column_stack([np.cos(angle), np.sin(angle)]) @ load
    rows: Votes = {}
    for camp in range(camps):
        for i in range(12):
            cast = np.sign(lean[camp] + rng.normal(scale=0.15, size=60))
            rows[f"camp{camp} {i}"] = {f"s{c}": float(v) for c, v in enumerate(cast) if rng.random() < 0.9}
    found = opinion_groups(rows, seed=0)
    planted = {frozenset(f"camp{camp} {i}" for i in range(12)) for camp in range(camps)}
    assert {frozenset(group) for group in found.groups.values()} == planted


def test_who_voted_little_joins_no_group() -> None:
    rows = CAMPS | {"guest": {"a": 1.0}, "mute": {"a": None}}
    found = opinion_groups(rows, seed=1, least_votes=5)
    assert found.left_out == ("guest", "mute")
    assert "guest" not in found.points
    assert sum(map(len, found.groups.values())) == 11


def test_groups_are_undefined_for_three_participants_and_where_all_vote_alike() -> None:
    three = opinion_groups({name: {"a": 1, "b": -1} for name in "pqr"}, seed=0)
    assert three.silhouette.reason == "3 participants voted enough to be placed: groups need 4"
    assert (three.groups, three.points) == ({}, {})
    alike = opinion_groups({name: {"a": 1, "b": -1} for name in "pqrst"}, seed=0)
    assert (
        alike.silhouette.reason == "all participants stand in one place, so there are no groups to tell apart"
    )
    assert opinion_groups({}, seed=0).silhouette.value is None
    assert opinion_groups({"p": {"a": None}}, seed=0).left_out == ("p",)


@given(ballots, st.randoms(use_true_random=False))
def test_groups_part_the_participants_and_do_not_depend_on_order(rows: Votes, rng: Random) -> None:
    found = opinion_groups(rows, seed=3)
    shuffled = list(rows.items())
    rng.shuffle(shuffled)
    assert opinion_groups(dict(shuffled), seed=3) == found
    if found.silhouette.value is None:
        assert found.groups == {}
        return
    assert -1 <= found.silhouette.value <= 1
    assert sorted([*(name for group in found.groups.values() for name in group), *found.left_out]) == sorted(
        rows
    )
    assert 2 <= len(found.groups) == found.silhouette.detail["k"] <= 5
    sizes = [len(group) for group in found.groups.values()]
    assert sizes == sorted(sizes, reverse=True)


@given(ballots.filter(bool), st.integers(1, 3), st.randoms(use_true_random=False))
def test_scores_of_groups_keep_their_bounds_in_any_order(rows: Votes, parts: int, rng: Random) -> None:
    groups = {f"g{part}": sorted(rows)[part::parts] for part in range(parts)}
    shuffled = list(rows.items())
    rng.shuffle(shuffled)
    turned = dict(reversed(groups.items()))
    for smoothed in (True, False):
        found = group_aware_agreement(rows, groups, smoothed=smoothed)
        again = group_aware_agreement(dict(shuffled), turned, smoothed=smoothed)
        for statement, score in found.items():
            assert again[statement].value == score.value
            if score.value is not None:
                assert 0 <= score.value <= score.detail["ceiling"] <= 1

    def key(each: Representative) -> tuple[str, str, str]:
        return each.group, each.statement, each.vote

    both = (representativeness(rows, groups), representativeness(dict(shuffled), turned))
    assert sorted(both[0], key=key) == sorted(both[1], key=key)
    for each in both[0]:
        if each.kept:
            assert each.metric.value is not None
            assert each.metric.value > 0
            assert each.metric.detail["ratio"] > 0
        assert (each.metric.value is None) != bool(
            each.metric.detail["seen"] and each.metric.detail["others_seen"]
        )


def test_a_table_keeps_names_in_order_and_gaps_as_nan() -> None:
    table = tabulate({"q": {"b": 1}, "p": {"a": 0, "b": None}})
    assert (table.rows, table.columns) == (("p", "q"), ("a", "b"))
    assert np.array_equal(table.values, [[0, np.nan], [np.nan, 1]], equal_nan=True)
    assert tabulate({}).values.shape == (0, 0)
    assert vote_table({"p": {"a": 1, "unseen": None}}).columns == ("a",)


@pytest.mark.parametrize("vote", [2, 0.5, float("inf"), True, "1"])
def test_what_is_no_vote_is_refused(vote: float) -> None:
    with pytest.raises(ValueError, match="vote of 'p' on 'a': needs"):
        opinion_groups({"p": {"a": vote}}, seed=0)


def test_senseless_groups_and_options_are_refused() -> None:
    rows: Votes = {"p": {"a": 1}, "q": {"a": 1}}
    with pytest.raises(ValueError, match="group 'one': 'z' has no votes"):
        group_aware_agreement(rows, {"one": ["z"]})
    with pytest.raises(ValueError, match="'p' is in more than one group"):
        representativeness(rows, {"one": ["p"], "two": ["q", "p"]})
    with pytest.raises(ValueError, match="at least one group"):
        group_aware_agreement(rows, {})
    with pytest.raises(ValueError, match="confidence needs"):
        representativeness(rows, {"one": ["p"]}, confidence=90)
    with pytest.raises(ValueError, match="most needs at least 2"):
        opinion_groups(rows, most=1, seed=0)
