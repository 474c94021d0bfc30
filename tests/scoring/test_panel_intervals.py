"""Intervals of what a panel gives together: around the score, wider for fewer, a point for the unanimous."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.agreement import kendall_w
from multiplex.scoring.consensus import group_aware_consensus
from multiplex.scoring.dynamics import dynamics, euclidean_diversity, spanning_tree_diversity
from multiplex.scoring.inequity import value_inequity
from multiplex.scoring.intervals import Estimate, bootstrap, bootstrap_counts
from multiplex.scoring.panel_intervals import divergence, entropy, jackknife, pairwise
from multiplex.scoring.pluralism import overton_entailment, representation, steerability
from multiplex.scoring.score import Score

RNG = np.random.default_rng(11)
KEYS = {"low", "high", "level", "method", "n", "resamples", "undefined", "over", "reason"}
SPREADS = ("entropy", "diversity", "disagreement", "euclidean", "spanning_tree")


def stances(rows: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    return {f"p{i}": dict(zip("abc", row, strict=True)) for i, row in enumerate(rows)}


def spread_of(rows: Sequence[Sequence[float]]) -> dict[str, Score]:
    [spread] = dynamics([stances(rows)], options="abc").rounds
    return {name: getattr(spread, name) for name in SPREADS}


def represented(n: int) -> dict[str, Score]:
    # Of every other persona both claims are carried, of the rest none or one of three.
    rows = {f"p{i}": [[0.9], [0.8]] if i % 2 else [[0.7], [0.2], [0.1]] for i in range(n)}
    found = representation(rows, 0.6)
    over_claims = {"interval": found.detail["interval_over_claims"]}
    return {"personas": found, "claims": Score(found.value, found.reason, over_claims)}


def ranked(n: int) -> dict[str, Score]:
    orders = [[0, 1, 2, 3], [0, 2, 1, 3], [1, 0, 2, 3], [3, 2, 0, 1]]
    return {"w": kendall_w([orders[i % 4] for i in range(n)])}


def steered(n: int) -> dict[str, Score]:
    """Every fourth answer speaks for the next persona."""
    names = [f"p{i}" for i in range(n)]
    table: dict[str, list[dict[str, float]]] = {}
    for i, name in enumerate(names):
        near = names[(i + 1) % n] if i % 4 == 3 else name
        table[name] = [
            {other: 0.6 + 0.1 * (k % 2) if other == near else 0.3 + 0.05 * (k % 3) for other in names}
            for k in range(6)
        ]
    found = steerability(table)
    return {"accuracy": found.accuracy, "macro_f1": found.macro_f1, "margin": found.margin}


def moved(n: int) -> dict[str, Score]:
    first = [(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.2, 0.2, 0.6), (0.6, 0.4, 0.0)]
    last = [(0.8, 0.1, 0.1), (0.5, 0.4, 0.1), (0.5, 0.2, 0.3), (0.6, 0.3, 0.1)]
    found = dynamics([stances([rows[i % 4] for i in range(n)]) for rows in (first, last)], options="abc")
    evaluation = found.evaluation
    return {
        "erosion": found.erosion,
        "gain": found.gain,
        "initial": evaluation.initial,
        "final": evaluation.final,
        "real_time": evaluation.real_time,
    }


def spreads(n: int) -> dict[str, Score]:
    rows = np.random.default_rng(3).dirichlet([1, 1, 1], n)
    return spread_of(rows.tolist())


def uneven(n: int) -> dict[str, Score]:
    scores: dict[str, float | Score | None] = {f"p{i}": (0.2, 0.4, 0.5, 0.9)[i % 4] for i in range(n)}
    return {"inequity": value_inequity(scores, {"persona": {name: name for name in scores}})}


def endorsed(n: int) -> dict[str, Score]:
    votes = {f"p{i}": (6, 7, 3, 5)[i % 4] for i in range(n)}
    return {
        "group_aware": group_aware_consensus({"one": votes, "other": dict(list(votes.items())[: n // 2])})
    }


PANELS: list[Callable[[int], dict[str, Score]]] = [
    represented,
    ranked,
    steered,
    moved,
    spreads,
    uneven,
    endorsed,
]


def ends(score: Score) -> tuple[float, float]:
    interval = score.detail["interval"]
    assert set(interval) == KEYS
    assert interval["level"] == 0.95
    assert interval["resamples"] == (interval["n"] if interval["method"] == "jackknife" else 1000)
    return interval["low"], interval["high"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_an_interval_holds_its_score_and_says_how_it_was_made(
    panel: Callable[[int], dict[str, Score]],
) -> None:
    for name, score in panel(8).items():
        low, high = ends(score)
        assert low <= (score.value or 0) <= high, name
        assert low < high, name


@pytest.mark.parametrize("panel", PANELS[:-1], ids=lambda panel: panel.__name__)  # the last is smoothed
def test_an_interval_is_wider_for_fewer_of_the_same_kind(panel: Callable[[int], dict[str, Score]]) -> None:
    few, many = panel(4), panel(24)
    for name in few:
        widths = [high - low for low, high in (ends(few[name]), ends(many[name]))]
        assert widths[0] > widths[1], name


def test_a_panel_of_one_mind_has_intervals_of_no_width() -> None:
    same = [(0.6, 0.3, 0.1)] * 5
    for name, score in spread_of(same).items():
        assert ends(score) == pytest.approx((score.value, score.value), abs=1e-6), name
    still = dynamics([stances(same), stances(same)], options="abc")
    for score in (still.erosion, still.gain, still.evaluation.final):
        assert ends(score) == pytest.approx((score.value, score.value))
    assert ends(kendall_w([[0, 1, 2]] * 5)) == (1, 1)
    whole = representation({name: [[0.9], [0.8]] for name in "abcd"}, 0.6)
    assert ends(whole) == (1, 1)
    assert (whole.detail["interval_over_claims"]["low"], whole.detail["interval_over_claims"]["over"]) == (
        1,
        "claims",
    )
    own = {name: [{other: float(other == name) for other in "abc"}] * 3 for name in "abc"}
    for score in (steerability(own).accuracy, steerability(own).macro_f1, steerability(own).margin):
        assert ends(score) == (1, 1)
    assert ends(value_inequity(dict.fromkeys("abcd", 0.5), {"own": {name: name for name in "abcd"}})) == (
        0,
        0,
    )


def test_too_few_have_no_interval_but_a_reason() -> None:
    alone = spread_of([(0.6, 0.3, 0.1)])["entropy"].detail["interval"]
    assert (alone["low"], alone["reason"]) == (None, "an interval needs two personas")
    for score in list(spread_of([(0.6, 0.3, 0.1), (0.1, 0.3, 0.6)]).values())[1:]:
        interval = score.detail["interval"]
        enough = interval["over"] == "personas" and interval["method"] == "moved"  # disagreement of two
        assert enough or interval["reason"] == "an interval needs three personas"
    two = kendall_w([[0, 1, 2], [1, 0, 2]]).detail["interval"]
    assert (two["low"], two["reason"]) == (None, "an interval needs three raters")
    lone = representation({"sufi": [[0.5]]}, 0.5)
    assert lone.detail["interval"]["reason"] == "an interval needs two personas"
    assert lone.detail["personas"]["sufi"].detail["interval"]["reason"] == "an interval needs two claims"
    pair = value_inequity({"a": 0.1, "b": 0.9}, {"own": {"a": "a", "b": "b"}}).detail["interval"]
    assert pair["reason"] == "an interval needs three groups in every dimension"


rows_of_shares = st.lists(
    st.lists(st.integers(0, 9), min_size=3, max_size=3)
    .filter(any)
    .map(lambda row: tuple(each / sum(row) for each in row)),
    min_size=1,
    max_size=7,
)


@given(rows_of_shares, st.randoms(use_true_random=False))
def test_every_spread_is_inside_its_interval_and_the_order_of_personas_does_not_show(
    rows: list[tuple[float, ...]], random: Any
) -> None:
    found = spread_of(rows)
    for score in found.values():
        interval = score.detail.get("interval")
        if interval and interval["low"] is not None and score.value is not None:
            assert 0 <= interval["low"] <= score.value + 1e-12
            assert score.value - 1e-12 <= interval["high"] <= 1
        assert not interval or (interval["low"] is None) == bool(interval["reason"])
    random.shuffle(rows)
    assert spread_of(rows) == found


def test_what_is_computed_for_all_resamples_at_once_is_what_one_by_one_gives() -> None:
    rows = sorted(map(tuple, RNG.dirichlet([1, 1, 1], 7).tolist()))

    def one_by_one(sample: Any) -> float:
        mean = np.mean(sample, axis=0)
        return float(-(mean * np.log(mean)).sum() / math.log(3))

    slow = bootstrap(rows, one_by_one, resamples=4000, seed=1)
    fast = bootstrap_counts(
        lambda counts: np.array(
            [one_by_one(np.repeat(rows, row.astype(int), axis=0)) for row in counts[:1000]]
        ),
        len(rows),
        seed=1,
    )
    assert fast.score.value == pytest.approx(slow.score.value)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.02)
    told = entropy(rows)
    assert told.score.value == pytest.approx(fast.score.value)
    assert told.method == "moved"
    assert told.low is not None
    assert fast.low is not None
    assert told.low > fast.low  # resamples are lower on average, and the panel was too when it was drawn


def test_a_pair_of_the_same_persona_is_no_pair() -> None:
    apart = 1 - np.eye(6)  # all as far from each other as can be
    assert pairwise(apart).low == pairwise(apart).high == 1
    assert kendall_w([[0, 1, 2], [1, 2, 0], [2, 0, 1]]).detail["interval"]["high"] < 0.5


def test_nine_of_ten_intervals_of_eight_personas_hold_what_the_panel_was_drawn_from() -> None:
    rng = np.random.default_rng(4)
    many = rng.dirichlet([0.5, 0.5, 0.5], 400)
    truth = np.linalg.norm(many[:, None] - many, axis=2).sum() / (400 * 399)
    held = {"entropy": 0, "pairs": 0}
    for _ in range(60):
        rows = rng.dirichlet([0.5, 0.5, 0.5], 8)
        told = entropy(rows.tolist()), pairwise(np.linalg.norm(rows[:, None] - rows, axis=2))
        for name, each, true in zip(held, told, (1.0, truth), strict=True):
            assert each.low is not None
            assert each.high is not None
            held[name] += each.low <= true <= each.high + 1e-3
    assert min(held.values()) >= 51


def test_steering_over_sentences_keeps_the_personas_and_draws_the_sentences() -> None:
    sure = {"a": [{"a": 0.9, "b": 0.1}] * 4, "b": [{"a": 0.1, "b": 0.9}] * 4}
    torn = {"a": [{"a": 0.9, "b": 0.1}, {"a": 0.2, "b": 0.8}] * 2, "b": sure["b"]}

    def over(table: Mapping[str, Any]) -> dict[str, Any]:
        interval: dict[str, Any] = steerability(table).margin.detail["interval_over_sentences"]
        return interval

    assert over(sure)["low"] == pytest.approx(over(sure)["high"]) == pytest.approx(0.8)
    assert (over(torn)["n"], over(torn)["over"]) == (8, "sentences")
    assert over(torn)["low"] < steerability(torn).margin.value < over(torn)["high"]
    means = {name: {key: sum(row[key] for row in rows) / 4 for key in "ab"} for name, rows in torn.items()}
    by_answer = steerability(means)
    assert by_answer.margin.value == pytest.approx(steerability(torn).margin.value)
    assert "interval_over_sentences" not in by_answer.margin.detail
    with pytest.raises(ValueError, match="has no sentence"):
        steerability({"a": [], "b": []})


def test_entailed_claims_have_an_interval_over_claims_and_one_over_personas() -> None:
    truth = {"x": 0.9, "y": 0.1, "z": 0.8}
    claims = {"a": ["x", "y"], "b": ["z"], "c": ["x", "z", "y"]}
    found = overton_entailment(claims, ["s"], lambda pairs: [truth[claim] for claim, _ in pairs])
    assert found.value is not None
    for name, over, n in (("interval", "claims", 6), ("interval_over_personas", "personas", 3)):
        interval = found.detail[name]
        assert (interval["over"], interval["n"]) == (over, n)
        assert interval["low"] < found.value < interval["high"]


def test_a_jackknife_of_a_mean_is_the_interval_of_student() -> None:
    values = np.array([0.2, 0.4, 0.5, 0.9])
    left_out = [float(np.delete(values, i).mean()) for i in range(4)]
    found = jackknife(0.5, left_out, 4)
    reach = 3.182446305 * values.std(ddof=1) / 2  # t of 3 degrees of freedom
    assert found.low == pytest.approx(0.5 - reach)
    assert found.high == pytest.approx(0.5 + reach)


def test_many_units_are_drawn_in_parts_and_make_a_narrow_interval() -> None:
    found: Estimate = bootstrap_counts(lambda counts: counts @ (np.arange(2000) % 2) / 2000, 2000, seed=1)
    assert found.low is not None
    assert found.high is not None
    assert 0.46 < found.low < 0.5 < found.high < 0.54
    assert divergence([(1.0, 0.0)] * 3).high == 0


def test_where_there_are_too_many_the_reason_says_so() -> None:
    rows = np.random.default_rng(0).uniform(0, 1, (1001, 1)).tolist()
    found = [
        measure(rows, widest=1.0).detail["interval"]
        for measure in (euclidean_diversity, spanning_tree_diversity)
    ]
    assert [each["reason"] for each in found] == [
        "1001 personas: no more than 1000 are resampled",
        "1001 personas: no more than 100 are resampled",
    ]
