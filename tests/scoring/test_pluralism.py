"""Representation and distribution."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.scoring.pluralism import distribution, representation

matrices = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: st.lists(
        st.lists(st.floats(-1, 1), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    )
)


def test_a_persona_is_covered_where_half_of_its_claims_are_carried() -> None:
    score = representation(
        {"sufi": [[0.9, 0.1], [0.2, 0.3]], "zen": [[0.1, 0.2], [0.6, 0.0], [0.3, 0.3]]}, 0.5
    )
    assert score.value == 0.5
    assert score.detail["covered"] == 1
    sufi, zen = score.detail["personas"]["sufi"], score.detail["personas"]["zen"]
    assert (sufi.value, sufi.detail["carried"]) == (pytest.approx(0.6), 0.5)
    assert (zen.value, zen.detail["carried"]) == (pytest.approx(1.1 / 3), pytest.approx(1 / 3))


def test_a_match_at_the_threshold_carries_a_claim() -> None:
    assert representation({"sufi": [[0.5]]}, 0.5).value == 1


def test_personas_without_claims_are_left_out_with_a_reason() -> None:
    score = representation({"sufi": [[0.9]], "zen": []}, 0.5)
    assert score.value == 1
    assert score.as_dict()["personas"]["zen"] == {
        "value": None,
        "reason": "made no claims",
        "carried": None,
        "claims": 0,
    }


def test_an_empty_text_or_panel_is_undefined() -> None:
    score = representation({"sufi": [[], []]}, 0.5)
    assert score.value is None
    assert score.detail["personas"]["sufi"].reason == "the text has no sentences"
    assert representation({}, 0.5).value is None


def test_ragged_and_broken_matrices_are_refused() -> None:
    with pytest.raises(ValueError, match="'sufi': rows differ"):
        representation({"sufi": [[0.1], [0.1, 0.2]]}, 0.5)
    with pytest.raises(ValueError, match="'sufi': needs finite"):
        representation({"sufi": [[float("nan")]]}, 0.5)


@given(st.dictionaries(st.sampled_from("abcd"), matrices), st.floats(-1, 1), st.floats(-1, 1))
def test_coverage_is_bounded_and_falls_with_the_threshold(
    similarity: dict[str, list[list[float]]], one: float, other: float
) -> None:
    low, high = (representation(similarity, threshold) for threshold in sorted((one, other)))
    assert (low.value is None) == (high.value is None)
    if low.value is not None and high.value is not None:
        assert 0 <= high.value <= low.value <= 1
    json.dumps(low.as_dict(), allow_nan=False)


def test_the_distribution_is_the_mean_of_the_stances_taken() -> None:
    result = distribution(
        {"sufi": {"go": 1.0}, "zen": {"go": 0.5, "stay": 0.5}, "stoic": None}, ["go", "stay"]
    )
    assert result.overall == {"go": 0.75, "stay": 0.25}
    assert result.by_persona == {
        "sufi": {"go": 1.0, "stay": 0.0},
        "zen": {"go": 0.5, "stay": 0.5},
        "stoic": None,
    }
    assert (result.n, result.abstained, result.reason) == (2, 1, None)
    assert result.as_dict()["options"] == ["go", "stay"]


def test_without_options_or_stances_the_distribution_has_a_reason() -> None:
    assert distribution({"sufi": None}, ["go", "stay"]).reason == "nobody took a stance"
    assert distribution({"sufi": {}}, []).reason == "the scenario has no closed options"
    assert distribution({}, []).overall is None


@pytest.mark.parametrize(
    ("stance", "message"),
    [
        ({"go": 0.6, "stay": 0.6}, "add up to 1.2"),
        ({"gone": 1.0}, "did you mean 'go'"),
        ({"go": -0.5, "stay": 1.5}, "at least 0"),
        ({"go": float("nan")}, "at least 0"),
    ],
)
def test_a_stance_that_is_no_distribution_is_refused(stance: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distribution({"sufi": stance}, ["go", "stay"])


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any),
        min_size=1,
    )
)
def test_overall_shares_add_up_to_one_and_do_not_depend_on_order(weights: dict[str, list[int]]) -> None:
    stances = {who: dict(zip("xyz", (w / sum(ws) for w in ws), strict=True)) for who, ws in weights.items()}
    overall = distribution(stances, "xyz").overall
    assert overall is not None
    assert sum(overall.values()) == pytest.approx(1)
    assert overall == distribution(dict(reversed(stances.items())), "xyz").overall
