"""Bridging: pairwise disagreement and the intercept of Community Notes."""

import json
import tracemalloc
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiplex.scoring import bridging
from multiplex.scoring.bridging import community_notes, pairwise_bridging

Votes = dict[str, dict[str, float | None]]

ballots = st.dictionaries(
    st.sampled_from("pqrstu"),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from([1.0, 0.0, -1.0, None]), max_size=4),
    max_size=6,
)
whole_ballots = st.dictionaries(
    st.sampled_from("pqrstu"),
    st.fixed_dictionaries({c: st.sampled_from([1.0, 0.0, -1.0]) for c in "abcd"}),
    min_size=2,
    max_size=6,
)


def camps(size: int) -> Votes:
    """Two camps that differ on three statements, share one, and each have one of their own."""
    left: dict[str, float | None] = {"x": 1.0, "y": 1.0, "z": -1.0, "shared": 1.0}
    right: dict[str, float | None] = {"x": -1.0, "y": -1.0, "z": 1.0, "shared": 1.0}
    return {f"l{i}": dict(left) for i in range(size)} | {f"r{i}": dict(right) for i in range(size)}


def by_hand(votes: Votes, statement: str) -> float:
    """Follow the formula pair by pair."""
    voters = [v for v in votes.values() if v.get(statement) is not None]
    total, pairs, compared = 0.0, 0, 0
    for one, two in combinations([v for v in voters if v[statement] == 1], 2):
        others = [(one[c], two[c]) for c in one if c != statement and two.get(c) is not None]
        apart = [abs(a - b) / 2 for a, b in others if a is not None and b is not None]
        total += sum(apart) / len(apart) if apart else 0
        pairs, compared = pairs + 1, compared + bool(apart)
    return 4 * total * pairs / max(compared, 1) / len(voters) ** 2


def test_what_two_opposed_camps_share_bridges_in_full_and_what_one_likes_does_not() -> None:
    found = pairwise_bridging(camps(3))
    assert found["shared"].value == 1
    assert found["x"].value == found["z"].value == 0
    detail = dict(found["shared"].detail)
    interval = detail.pop("interval")
    assert detail == {"n": 6, "approve": 6, "pairs": 15, "unknown_pairs": 0}
    # Whoever leaves, camps of three and two are left: it makes no difference who.
    assert (interval["low"], interval["high"]) == pytest.approx((1, 1))
    assert (interval["method"], interval["over"], interval["n"]) == ("jackknife", "voters", 6)


@given(ballots)
def test_pairwise_bridging_follows_the_formula_pair_by_pair(votes: Votes) -> None:
    for statement, score in pairwise_bridging(votes).items():
        if score.value is not None:
            assert score.value == pytest.approx(by_hand(votes, statement), abs=1e-12)
            assert 0 <= score.value < 2


@given(whole_ballots, st.randoms(use_true_random=False))
def test_whole_ballots_bridge_by_one_at_most_in_any_order(votes: Votes, rng: Random) -> None:
    shuffled = list(votes.items())
    rng.shuffle(shuffled)
    again = pairwise_bridging(dict(shuffled))
    for statement, score in pairwise_bridging(votes).items():
        assert score.value is not None
        assert 0 <= score.value <= 1 + 1e-12
        assert again[statement] == score


def test_pairwise_bridging_is_undefined_without_pairs_to_compare() -> None:
    assert pairwise_bridging({}) == {}
    assert pairwise_bridging({"p": {"a": 1}})["a"].reason == "one vote makes no pair"
    alone = pairwise_bridging({"p": {"a": 1}, "q": {"a": 1}})["a"]
    assert alone.reason == "those who approve have no other statement in common"
    assert alone.detail["unknown_pairs"] == 1
    assert pairwise_bridging({"p": {"a": -1}, "q": {"a": 1}})["a"].value == 0
    with pytest.raises(ValueError, match="vote of 'p' on 'a': needs 1, 0, -1 or None, not 2"):
        pairwise_bridging({"p": {"a": 2}})


def test_where_most_approving_pairs_cannot_be_compared_bridging_is_undefined() -> None:
    # Four approve of a; only p and q share another statement: five of six pairs are unknown.
    votes: Votes = {"p": {"a": 1, "b": 1}, "q": {"a": 1, "b": 1}, "r": {"a": 1, "c": 1}, "s": {"a": 1}}
    found = pairwise_bridging(votes)["a"]
    assert found.value is None
    assert found.reason == "5 of 6 approving pairs have no other statement in common"
    detail = dict(found.detail)
    assert detail.pop("interval")["reason"] == found.reason
    assert detail == {"n": 4, "approve": 4, "pairs": 6, "unknown_pairs": 5}


def test_unknown_pairs_are_taken_to_be_as_far_apart_as_the_others() -> None:
    # p and q, p and r, q and r are known, at 1, 1 and 0; s has nothing else in common with anybody.
    votes: Votes = {"p": {"a": 1, "b": 1}, "q": {"a": 1, "b": -1}, "r": {"a": 1, "b": -1}, "s": {"a": 1}}
    found = pairwise_bridging(votes)["a"]
    assert found.detail["unknown_pairs"] == 3
    assert found.value == pytest.approx(4 / 16 * 6 / 3 * 2)


@given(ballots)
def test_blocks_of_voters_change_nothing(votes: Votes) -> None:
    whole = pairwise_bridging(votes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bridging, "_CELLS", 2 * max(1, len(votes)))
        parts = pairwise_bridging(votes)
    for statement, score in whole.items():
        told, whole_told = dict(parts[statement].detail), dict(score.detail)
        interval, whole_interval = told.pop("interval"), whole_told.pop("interval")
        assert told == whole_told
        assert interval["reason"] == whole_interval["reason"]
        assert interval["low"] == pytest.approx(whole_interval["low"], abs=1e-9)
        assert interval["high"] == pytest.approx(whole_interval["high"], abs=1e-9)
        assert parts[statement].value == pytest.approx(score.value, abs=1e-12)


def test_memory_does_not_grow_with_the_square_of_the_voters() -> None:
    votes: Votes = {f"{i:04}": {"a": 1.0, "b": 1.0 if i % 2 else -1.0} for i in range(2_000)}
    tracemalloc.start()
    try:
        found = pairwise_bridging(votes)["a"]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.value == pytest.approx(1)
    assert most < 100_000_000  # the whole square at once took 200 MB


def noted(size: int = 6) -> Votes:
    """Two camps with notes of their own; `both` and `one` have the same mean, one half."""
    rows: Votes = {}
    for i in range(size):
        shared = {"both": 0.5, "good": 1.0, "bad": 0.0}
        rows[f"left{i}"] = {"l1": 1.0, "l2": 1.0, "r1": 0.0, "r2": 0.0, "one": 1.0, **shared}
        rows[f"right{i}"] = {"l1": 0.0, "l2": 0.0, "r1": 1.0, "r2": 1.0, "one": 0.0, **shared}
    return rows


def test_the_intercept_rewards_what_both_camps_find_helpful() -> None:
    found = community_notes(noted(), seed=1)
    value = {name: note.intercept.value or 0.0 for name, note in found.notes.items()}
    assert value["good"] > value["both"] > value["bad"]
    assert max(value, key=lambda name: value[name]) == "good"
    assert found.notes["good"].status == "helpful"
    assert found.notes["bad"].status == "not helpful"
    assert found.notes["l1"].status == "needs more ratings"
    assert found.fit.detail["converged"]
    assert found.fit.detail["two_sides"]
    sides = {name: (rater.factor or 0.0) > 0 for name, rater in found.raters.items()}
    assert len({sides[f"left{i}"] for i in range(6)}) == 1
    assert sides["left0"] != sides["right0"]
    assert json.dumps(found.as_dict(), allow_nan=False)


def test_the_fit_is_that_of_the_public_loss_minimised_by_other_means() -> None:
    # The numbers come from torch: Adam (3,000 steps, five starts, the least loss taken) on the loss of the
    # public code, mean squared error + 0.15 (mu^2 + mean i_u^2 + mean i_n^2) + 0.03 (mean f_u^2 + mean f_n^2).
    rng = np.random.default_rng(4)
    side, quality = rng.choice([-1, 1], size=24), rng.uniform(0.1, 0.9, size=10)
    lean = rng.uniform(-0.5, 0.5, size=10)
    rows = {
        f"u{u:02}": {
            f"n{n}": round(2 * float(np.clip(quality[n] + side[u] * lean[n] + rng.normal(scale=0.2), 0, 1)))
            / 2
            for n in range(10)
            if rng.random() < 0.7
        }
        for u in range(24)
    }
    found = community_notes(rows, seed=0)
    intercepts = [0.124416, 0.192027, 0.350516, -0.122098, 0.481584]
    intercepts += [0.202083, -0.144486, 0.28533, 0.188522, 0.352876]
    factors = [0.52132, -0.695556, 0.298423, 0.046558, 0.000464]
    factors += [0.69592, -0.345417, -0.532329, 0.300845, 0.455788]
    assert [note.intercept.value for note in found.notes.values()] == pytest.approx(intercepts, abs=5e-6)
    assert [note.factor for note in found.notes.values()] == pytest.approx(factors, abs=5e-6)
    assert found.fit.detail["loss"] == pytest.approx(10.988673, abs=1e-6)
    assert [name for name, note in found.notes.items() if note.status == "helpful"] == ["n4"]
    assert [name for name, note in found.notes.items() if note.status == "not helpful"] == ["n3"]


@pytest.mark.slow
@given(st.integers(3, 8), st.integers(1, 6), st.integers(0, 50))
@settings(max_examples=10)
def test_a_note_of_the_larger_camp_is_below_one_liked_moderately_by_both_at_the_same_mean(
    left: int, smaller: int, seed: int
) -> None:
    right = max(2, left - smaller)
    share = left / (left + right)
    rows: Votes = {}
    for i in range(left):
        rows[f"left{i}"] = {"l1": 1.0, "l2": 1.0, "l3": 1.0, "r1": 0.0, "r2": 0.0, "one": 1.0, "both": share}
    for i in range(right):
        rows[f"right{i}"] = {"l1": 0.0, "l2": 0.0, "l3": 0.0, "r1": 1.0, "r2": 1.0, "one": 0.0, "both": share}
    found = community_notes(rows, seed=seed, least_ratings=2).notes
    one, both = found["one"].intercept.value, found["both"].intercept.value
    assert one is not None
    assert both is not None
    assert one <= both + 1e-6


def test_neither_seed_nor_order_changes_the_fit() -> None:
    rng = np.random.default_rng(2)
    side, quality = rng.choice([-1, 1], size=30), rng.uniform(0.2, 0.8, size=12)
    lean = rng.uniform(-0.3, 0.3, size=12)
    rows = {
        f"rater{u}": {
            f"note{n}": float(np.clip(quality[n] + side[u] * lean[n] + rng.normal(scale=0.1), 0, 1))
            for n in range(12)
            if rng.random() < 0.8
        }
        for u in range(30)
    }
    first = community_notes(rows, seed=1)
    other = community_notes({u: dict(reversed(rows[u].items())) for u in reversed(rows)}, seed=99)
    for name, note in first.notes.items():
        assert note.intercept.value == pytest.approx(other.notes[name].intercept.value, abs=1e-4)
        assert note.factor == pytest.approx(other.notes[name].factor, abs=1e-3)
    assert first.fit.detail["same_loss"] >= 9
    intercepts = [first.notes[f"note{n}"].intercept.value or 0.0 for n in range(12)]
    factors = [first.notes[f"note{n}"].factor or 0.0 for n in range(12)]
    assert np.corrcoef(intercepts, quality)[0, 1] > 0.95
    assert abs(np.corrcoef(factors, lean)[0, 1]) > 0.95


@pytest.mark.parametrize("penalty", ["mean", "sum"])
def test_the_fit_is_a_stationary_point_of_the_stated_loss(penalty: str) -> None:
    rows = {f"u{i}": {f"n{j}": float((i * j + i) % 3) / 2 for j in range(5) if i != j} for i in range(7)}
    found = community_notes(rows, seed=0, least_ratings=2, penalty="sum" if penalty == "sum" else "mean")
    mu = found.fit.detail["mu"]
    users, notes = sorted(found.raters), sorted(found.notes)
    n = found.fit.detail["ratings"]

    def loss(shift: dict[tuple[str, str], float]) -> float:
        def at(name: str, kind: str) -> float:
            if name == "mu":
                return float(mu) + shift.get((name, kind), 0.0)
            who = found.raters.get(name)
            if who is not None:
                value = who.intercept if kind == "i" else who.factor
            else:
                note = found.notes[name]
                value = note.intercept.value if kind == "i" else note.factor
            assert value is not None
            return value + shift.get((name, kind), 0.0)

        error = sum(
            (r - at("mu", "i") - at(u, "i") - at(c, "i") - at(u, "f") * at(c, "f")) ** 2
            for u, row in rows.items()
            for c, r in row.items()
        )
        scale = (n, n / len(users), n / len(notes)) if penalty == "mean" else (1, 1, 1)
        cost = 0.15 * scale[0] * at("mu", "i") ** 2
        for names, weight in ((users, scale[1]), (notes, scale[2])):
            cost += weight * sum(0.15 * at(x, "i") ** 2 + 0.03 * at(x, "f") ** 2 for x in names)
        return error + cost

    assert found.fit.detail["loss"] == pytest.approx(loss({}))
    for name in ["mu", *users, *notes]:
        for kind in "if":
            if (name, kind) != ("mu", "f"):
                assert loss({(name, kind): 0.01}) > loss({}) - 1e-9
                assert loss({(name, kind): -0.01}) > loss({}) - 1e-9


def test_a_note_with_few_ratings_has_no_status_and_does_not_sway_the_others() -> None:
    rows = noted()
    rows["left0"]["rare"] = 1.0
    found, without = community_notes(rows, seed=1), community_notes(noted(), seed=1)
    assert found.notes["rare"].intercept.reason == "1 ratings: a status needs 5"
    assert (found.notes["rare"].factor, found.notes["rare"].status) == (None, "needs more ratings")
    assert found.notes["good"] == without.notes["good"]


def test_without_two_notes_or_two_raters_there_are_no_viewpoints() -> None:
    assert community_notes({}, seed=0).fit.value is None
    one = community_notes({str(i): {"a": 1.0} for i in range(6)}, seed=0)
    assert one.fit.reason == "1 notes with 5 ratings or more: viewpoints need two"
    assert one.notes["a"].intercept.reason == one.fit.reason
    assert one.raters["0"].intercept is None
    lone = community_notes({"p": {"a": 1.0, "b": 0.0}}, seed=0, least_ratings=1)
    assert lone.fit.reason == "one rater shows no viewpoints"


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_unanimity_has_no_two_sides_and_the_same_score_for_every_note(level: float) -> None:
    found = community_notes({str(i): dict.fromkeys("abc", level) for i in range(6)}, seed=0)
    assert not found.fit.detail["two_sides"]
    for note in found.notes.values():
        assert note.intercept.value == pytest.approx(found.notes["a"].intercept.value, abs=1e-5)


def test_what_is_no_rating_is_refused() -> None:
    with pytest.raises(ValueError, match="rating of 'p' on 'a': needs a number from 0 to 1, not 2"):
        community_notes({"p": {"a": 2}}, seed=0)
    with pytest.raises(ValueError, match="rating of 'p' on 'a': needs a number, not 'yes'"):
        community_notes({"p": {"a": "yes"}}, seed=0)  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="penalty needs"):
        community_notes({}, seed=0, penalty="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="penalties"):
        community_notes({}, seed=0, factor_penalty=0)
