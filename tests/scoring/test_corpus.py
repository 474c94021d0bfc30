"""Perspective entropy over many texts: pooled, with floor, correction and control."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiplex.scoring.corpus import corpus_entropy, counts_of_labels, pooled_entropy
from multiplex.scoring.perspectives import NONE, perspective_entropy
from tests.scoring.made import LATE, PERSPECTIVES, small

pytestmark = pytest.mark.heavy


SIX = tuple("abcdef")


def test_published_limits_hold_over_texts() -> None:
    # WorldView-Bench (arXiv 2505.09595) as this project reads it: K is the fixed list, here of six.
    cases = [
        ({"a": 7}, 0),
        (dict.fromkeys(SIX, 3), 1),
        ({"a": 2, "b": 2}, 0.386853),
        (dict(zip(SIX, (90, 2, 2, 2, 2, 2), strict=True)), 0.2712567),
    ]
    for counts, value in cases:
        score = pooled_entropy([counts], SIX, draws=0)
        assert score.micro.value == score.macro.value == pytest.approx(value, abs=1e-6)


def test_micro_and_macro_and_the_two_modes_differ() -> None:
    texts: list[dict[str, float]] = [{"a": 9}, {"b": 1}, {"none": 4}]
    counted, present = pooled_entropy(texts, ("a", "b")), pooled_entropy(texts, ("a", "b"), mode="presence")
    assert counted.micro.value == pytest.approx(0.468996, abs=1e-6)  # H2(0.1), base 2
    assert present.micro.value == 1
    assert counted.macro.value == present.macro.value == 0
    assert counted.macro.detail["undefined"] == 1
    assert counted.macro.detail["entropies"] == [0, 0, None]
    assert (counted.micro.detail["none"], present.micro.detail["none"]) == (4, 1)
    assert counted.micro.detail["counts"] == {"a": 9, "b": 1}


def test_texts_without_references_are_undefined() -> None:
    for texts, reason in [([], "there are no texts"), ([{"none": 2}], "no text references a perspective")]:
        score = pooled_entropy(texts, ("a", "b"))
        assert score.macro.reason == reason
        assert score.micro.reason == "no perspective was referenced"
    assert pooled_entropy([{"a": 2}], ("a",)).micro.value is None


@pytest.mark.parametrize(
    ("counts", "perspectives", "mode", "problem"),
    [
        ({"c": 1}, ("a", "b"), "counts", "'c' is not on the list"),
        ({"a": -1}, ("a", "b"), "presence", "at least 0"),
        ({"a": math.nan}, ("a", "b"), "presence", "finite"),
        ({"a": math.inf}, ("a", "b"), "presence", "finite"),
        ({"a": 1, "none": -1}, ("a", "b"), "counts", "'none' needs a finite"),
        ({"a": 1}, ("a", "none"), "counts", "kept apart"),
        ({"a": 1}, ("a", "a"), "counts", "listed twice"),
        ({"a": 1}, ("a", "b"), "count", "counts or presence"),
    ],
)
def test_counts_that_make_no_sense_are_refused(
    counts: dict[str, float], perspectives: tuple[str, ...], mode: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        pooled_entropy([counts], perspectives, mode=mode)


tables = st.lists(
    st.dictionaries(st.sampled_from([*SIX, "none"]), st.integers(0, 9), max_size=7), min_size=1, max_size=6
)


@given(tables, st.sampled_from(["counts", "presence"]))
def test_entropies_over_texts_are_bounded_and_blind_to_order(table: list[dict[str, int]], mode: Any) -> None:
    one = pooled_entropy(table, SIX, mode=mode, draws=20)
    other = pooled_entropy(table[::-1], SIX[::-1], mode=mode, draws=20)
    for a, b in [(one.micro, other.micro), (one.macro, other.macro)]:
        assert (a.value is None) == (b.value is None)
        if a.value is not None:
            assert 0 <= a.value <= 1
            assert a.value == pytest.approx(b.value)


def test_many_texts_come_with_floor_correction_and_control() -> None:
    texts = ["The Ferryman says so.\nWe owe care to fish.", "Oakwise says so.", LATE, ""]
    score = corpus_entropy(texts, small(), draws=100)
    assert score.micro.detail["control"] == small().control()
    assert score.micro.detail["corrected"].value is not None
    assert score.macro.detail["corrected"].detail["undefined"] == 0
    assert score.macro.detail["undefined"] == 2
    assert score.macro.value == 0
    assert score.micro.detail["noise_floor"].raw is not None
    presence = corpus_entropy(texts, small(), mode="presence")
    assert presence.micro.value == pytest.approx(math.log(2) / math.log(3))
    assert presence.micro.detail["corrected"].reason == "presence is not corrected for errors"
    nothing = corpus_entropy([LATE], small())
    assert nothing.micro.detail["corrected"].reason == "no perspective was referenced"
    assert counts_of_labels(small().classify(texts[0]), PERSPECTIVES) == {
        "river": 2,
        "forest": 0,
        "desert": 0,
        NONE: 0,
    }


SAYINGS = ("The Ferryman says so.", "Oakwise says so.", "We owe care to fish.", "Dune law holds.", LATE)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.lists(st.sampled_from(SAYINGS), max_size=4).map("\n".join), max_size=4))
def test_entropies_of_a_corpus_are_bounded_blind_to_order_and_those_of_one_text(texts: list[str]) -> None:
    found = corpus_entropy(texts, small(), draws=20, corrected_draws=10)
    turned = corpus_entropy(texts[::-1], small(), draws=20, corrected_draws=10)
    for score, other in ((found.micro, turned.micro), (found.macro, turned.macro)):
        assert (score.value is None) == (other.value is None)
        corrected, also = score.detail["corrected"], other.detail["corrected"]
        for one, same in ((score, other), (corrected, also)):
            if one.value is not None:
                assert 0 <= one.value <= 1
                assert one.value == pytest.approx(same.value, abs=1e-3)
                interval = one.detail["interval"]
                assert interval.reason or 0 <= interval.low <= one.value <= interval.high <= 1
    if texts:
        alone = corpus_entropy(texts[:1], small(), draws=0)
        assert alone.micro.value == alone.macro.value == perspective_entropy(texts[0], small(), draws=0).value
