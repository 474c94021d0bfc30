"""Agreement against published cases and scipy."""

import math
from collections import Counter
from random import Random
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from multiplex.scoring.agreement import Level, kendall_w, krippendorff_alpha

Unit = dict[str, str | float | None]


def units(*raters: list[str | float | None]) -> list[Unit]:
    """Turn one row a rater into one mapping a unit."""
    return [
        {f"r{rater}": value for rater, value in enumerate(column)} for column in zip(*raters, strict=True)
    ]


_: None = None
WIKIPEDIA = units(
    [_, _, _, _, _, 3, 4, 1, 2, 1, 1, 3, 3, _, 3],
    [1, _, 2, 1, 3, 3, 4, 3, _, _, _, _, _, _, _],
    [_, _, 2, 1, 3, 4, 4, _, 2, 1, 1, 3, 3, _, 4],
)
KRIPPENDORFF = units(
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
)
SCALE = ["very low", "low", "mid", "high", "very high"]


@pytest.mark.parametrize(
    ("data", "level", "expected", "digits"),
    [
        (WIKIPEDIA, "nominal", 0.691358, 6),
        (WIKIPEDIA, "interval", 0.810845, 6),
        (KRIPPENDORFF, "nominal", 0.743, 3),
        (KRIPPENDORFF, "ordinal", 0.815, 3),
        (KRIPPENDORFF, "ratio", 0.797, 3),
    ],
)
def test_published_alphas_come_out(data: list[Unit], level: Level, expected: float, digits: int) -> None:
    value = krippendorff_alpha(data, level=level).value
    assert value is not None
    assert round(value, digits) == expected


def test_words_give_the_published_alphas() -> None:
    moods = units(["pos", "neg", "neu", _], ["pos", "neg", "neu", "pos"], ["pos", "neg", "pos", "pos"])
    assert krippendorff_alpha(moods).value == pytest.approx(0.722222, abs=5e-7)
    words: list[Unit] = [
        {rater: None if value is None else SCALE[int(value) - 1] for rater, value in unit.items()}
        for unit in KRIPPENDORFF
    ]
    assert krippendorff_alpha(words, level="ordinal", order=SCALE).value == pytest.approx(0.815, abs=5e-4)


def test_the_library_gives_its_published_alpha_for_a_distance_of_ones_own() -> None:
    # fast-krippendorff, tests/test_krippendorff.py, test_custom_distance_metric: |a - b| on two coders.
    def absolute(one: Any, other: Any, *_: Any, dtype: Any = np.float64, **__: Any) -> Any:
        return np.abs(one - other).astype(dtype)

    metric: Any = absolute
    alpha = krippendorff.alpha([[1, 2, 3], [1, 2, 4]], level_of_measurement=metric)
    assert alpha == pytest.approx(0.761905, abs=5e-7)
    ours = krippendorff_alpha(units([1, 2, 3], [1, 2, 4]), distance=lambda one, other: abs(one - other))
    assert ours.value == pytest.approx(0.761905, abs=5e-7)
    assert ours.detail["level"] == "own"
    # By hand: of 6 ratings, 2 of them a unit's disagreement of 1, all 30 ordered pairs differ by 42 in sum.
    assert alpha == pytest.approx(1 - (2 / 6) / (42 / 30))


@pytest.mark.parametrize(
    "distance", [lambda a, b: a - b, lambda a, b: -abs(a - b), lambda a, b: 1.0, lambda a, b: math.nan]
)
def test_a_distance_that_is_none_is_refused(distance: Any) -> None:
    with pytest.raises(ValueError, match="distance: needs to be 0 or more"):
        krippendorff_alpha(units([1, 2, 3], [1, 2, 4]), distance=distance)


def test_the_counts_behind_alpha_are_kept() -> None:
    detail = dict(
        krippendorff_alpha(
            [{"p": "wiser", "q": "unsure"}, {"p": "wiser"}, {"p": "wiser", "r": "wiser"}]
        ).detail
    )
    # Of two units a resample in four holds the one that is all alike alone.
    assert detail.pop("interval")["reason"].startswith("undefined in 2")
    assert detail == {
        "units": 2,
        "raters": 3,
        "ratings": 4,
        "values": {"unsure": 1, "wiser": 3},
        "level": "nominal",
    }


@pytest.mark.parametrize(
    "data", [[], [{}], [{"p": 1}, {"p": 2}], [{"p": 1}, {"q": 2}], [{"p": 1, "q": None}]]
)
def test_alpha_needs_two_ratings_of_a_unit(data: list[Unit]) -> None:
    assert krippendorff_alpha(data).reason == "no unit was rated by two raters"


def test_alpha_without_variance_is_undefined_and_not_one() -> None:
    # The lone 2 cannot be paired and does not make variance.
    score = krippendorff_alpha([{"p": 1, "q": 1}, {"p": 1, "q": 1}, {"p": 2}], level="interval")
    assert score.value is None
    assert score.reason is not None
    assert "all ratings are the same" in score.reason


def test_values_that_do_not_fit_the_level_are_refused() -> None:
    with pytest.raises(ValueError, match="mix words and numbers"):
        krippendorff_alpha([{"p": "a", "q": 1}])
    with pytest.raises(ValueError, match="no interval level"):
        krippendorff_alpha([{"p": "a", "q": "b"}], level="interval")
    with pytest.raises(ValueError, match="need an order"):
        krippendorff_alpha([{"p": "a", "q": "b"}], level="ordinal", order=["a"])
    with pytest.raises(ValueError, match="finite"):
        krippendorff_alpha([{"p": float("nan"), "q": 1}])
    with pytest.raises(ValueError, match="at least 0"):
        krippendorff_alpha([{"p": -1, "q": 1}], level="ratio")
    with pytest.raises(ValueError, match="no level named 'ordnial'; the levels are nominal, ordinal"):
        krippendorff_alpha([], level="ordnial")  # type: ignore[arg-type]


unit_lists = st.lists(
    st.dictionaries(st.sampled_from("pqrs"), st.sampled_from(["wiser", "not_wiser", "unsure"]) | st.none()),
    max_size=8,
)


@given(unit_lists, st.randoms(use_true_random=False))
def test_alpha_is_at_most_one_and_does_not_depend_on_order(data: list[Unit], rng: Random) -> None:
    score = krippendorff_alpha(data)
    shuffled = list(data)
    rng.shuffle(shuffled)
    if score.value is not None:
        assert score.value <= 1
        assert krippendorff_alpha(shuffled).value == pytest.approx(score.value)


@given(st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=2, max_size=8).filter(lambda xs: len(set(xs)) > 1))
def test_perfect_agreement_is_one_at_every_level(values: list[float]) -> None:
    levels: list[Level] = ["nominal", "ordinal", "interval", "ratio"]
    for level in levels:
        assert krippendorff_alpha([{"p": v, "q": v} for v in values], level=level).value == pytest.approx(1)


@given(
    st.integers(3, 6).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=3, max_size=6)
    )
)
def test_kendall_w_agrees_with_the_tie_corrected_friedman_test(rows: list[list[int]]) -> None:
    score = kendall_w(rows)
    m, n = len(rows), len(rows[0])
    if score.value is None:
        assert all(len(set(row)) == 1 for row in rows)
        return
    assert 0 <= score.value <= 1
    columns = list(zip(*rows, strict=True))
    assert score.value == pytest.approx(stats.friedmanchisquare(*columns).statistic / (m * (n - 1)), abs=1e-9)
    assert kendall_w(rows[::-1]).value == score.value


@given(st.permutations(range(5)), st.integers(2, 6))
def test_the_same_ranking_from_all_is_full_concordance(ranking: list[int], judges: int) -> None:
    assert kendall_w([ranking] * judges).value == 1


def test_opposite_rankings_cancel_and_ties_are_corrected() -> None:
    assert kendall_w([[0, 1, 2], [2, 1, 0]]).value == 0
    assert kendall_w([[0, 0, 1], [0, 0, 1], None]).value == 1
    # Ranks 123, 123, 231: sums 4, 7, 7, mean 6, S = 6.
    assert kendall_w([[0, 1, 2], [0, 1, 2], [1, 2, 0]]).value == pytest.approx(12 * 6 / (9 * 24))


def test_concordance_with_ties_by_hand() -> None:
    # Mid-ranks 1 2.5 2.5 4 and 1.5 1.5 3.5 3.5: sums 2.5 4 6 7.5, mean 5, S = 14.5; sum T = 6 + 12 = 18.
    expected = 12 * 14.5 / (4 * (64 - 4) - 2 * 18)
    assert kendall_w([[0, 1, 1, 2], [3, 3, 9, 9]]).value == pytest.approx(expected)
    # Without the correction it would be less: ties leave less room for agreement.
    assert expected > 12 * 14.5 / (4 * (64 - 4))


@pytest.mark.parametrize("rows", [[], [[0, 1]], [[0, 1], None], [[0], [0]], [[], []], [[1, 1], [0, 0]]])
def test_kendall_w_is_undefined_without_something_to_compare(rows: list[list[int] | None]) -> None:
    score = kendall_w(rows)
    assert score.value is None
    assert score.reason


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=2, max_size=6)
    )
)
def test_concordance_is_exactly_the_quotient_of_whole_numbers(rows: list[list[int]]) -> None:
    m, n = len(rows), len(rows[0])
    doubled = [[2 * sum(x < rank for x in row) + row.count(rank) + 1 for rank in row] for row in rows]
    sums = [sum(column) for column in zip(*doubled, strict=True)]
    spread = sum((each - m * (n + 1)) ** 2 for each in sums)  # 4 S
    ties = sum(t**3 - t for row in rows for t in Counter(row).values())
    most = m * (m * (n**3 - n) - ties)
    assert kendall_w(rows).value == (3 * spread / most if most else None)


def test_rankings_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        kendall_w([[0, 1], [0, 1, 2]])
    with pytest.raises(ValueError, match="finite"):
        kendall_w([[0, float("nan")], [0, 1]])
