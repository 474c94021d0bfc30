"""Overton coverage, steerability and distributions."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import f1_score

from multiplex.scoring.pluralism import (
    distribution,
    distributional_distance,
    overton_entailment,
    representation,
    steerability,
)

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


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_a_threshold_that_is_no_finite_number_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold needs a finite number"):
        representation({"sufi": [[0.9]]}, threshold)
    with pytest.raises(ValueError, match="threshold needs a finite number"):
        overton_entailment(
            {"sufi": ["A claim."]}, ["Said."], lambda pairs: [0.9] * len(pairs), threshold=threshold
        )


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


def shared_words(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Entail a hypothesis by the share of its words that the premise has."""
    return [len({*a.split()} & {*b.split()}) / len({*b.split()}) for a, b in pairs]


CLAIMS = {"sufi": ["love heals all", "silence"], "zen": ["sit still"], "stoic": []}


def test_overton_coverage_is_the_mean_over_claims_of_the_best_entailment() -> None:
    # Published direction: the claim is the premise, a sentence of the text the hypothesis.
    score = overton_entailment(CLAIMS, ["love heals", "sit down"], shared_words)
    assert score.value == pytest.approx((1 + 0 + 0.5) / 3)
    assert score.detail["share"] == pytest.approx(2 / 3)
    assert (score.detail["threshold"], score.detail["premise"]) == (0.33, "claim")
    assert (score.detail["claims"], score.detail["sentences"]) == (3, 2)
    # OvertonBench's form: both personas with claims have at least half of them carried.
    assert (score.detail["covered"], score.detail["coverage"]) == (2, 1)
    assert score.detail["personas"]["stoic"].reason == "made no claims"


def test_the_direction_of_entailment_can_be_turned() -> None:
    score = overton_entailment(CLAIMS, ["love heals", "sit down"], shared_words, premise="sentence")
    assert score.value == pytest.approx((2 / 3 + 0 + 0.5) / 3)


def test_every_pair_is_asked_once_and_in_one_call() -> None:
    calls: list[list[tuple[str, str]]] = []

    def entails(pairs: Sequence[tuple[str, str]]) -> list[float]:
        calls.append(list(pairs))
        return [1.0] * len(pairs)

    score = overton_entailment({"a": ["x", "x"], "b": ["x"]}, ["s", "s", "t"], entails)
    assert calls == [[("x", "s"), ("x", "t")]]
    assert (score.value, score.detail["claims"], score.detail["sentences"]) == (1, 3, 3)


def test_without_claims_or_sentences_there_is_no_entailment_and_no_question() -> None:
    def unasked(pairs: Sequence[tuple[str, str]]) -> list[float]:
        raise AssertionError(pairs)

    assert overton_entailment({}, ["s"], unasked).reason == "nobody made a claim"
    assert overton_entailment({"a": []}, ["s"], unasked).detail["share"] is None
    assert overton_entailment({"a": ["x"]}, [], unasked).reason == "the text has no sentences"


def test_a_model_that_answers_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="entails gave 0 values for 1 pairs"):
        overton_entailment({"a": ["x"]}, ["s"], lambda pairs: [])
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        overton_entailment({"a": ["x"]}, ["s"], lambda pairs: [1.5])
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        overton_entailment({"a": ["x"]}, ["s"], lambda pairs: [math.nan])


words = st.lists(st.sampled_from(["a b", "b c", "c d e", "e"]), max_size=4)


@given(st.dictionaries(st.sampled_from("xyz"), words), words, st.permutations(range(4)))
def test_entailment_is_bounded_grows_with_the_text_and_knows_no_order(
    claims: dict[str, list[str]], text: list[str], order: list[int]
) -> None:
    score = overton_entailment(claims, text, shared_words)
    longer = overton_entailment(claims, [*text, "d"], shared_words)
    shuffled = [text[place] for place in order if place < len(text)]
    assert overton_entailment(claims, shuffled, shared_words).value == score.value
    if score.value is not None and longer.value is not None:
        assert 0 <= score.value <= longer.value <= 1
    json.dumps(score.as_dict(), allow_nan=False)


def test_steered_answers_that_speak_for_their_own_are_all_told_apart() -> None:
    table = {"sufi": {"sufi": 0.9, "zen": 0.2}, "zen": {"sufi": 0.1, "zen": 0.5}}
    result = steerability(table)
    assert (result.accuracy.value, result.macro_f1.value) == (1, 1)
    assert result.margin.value == pytest.approx((0.7 + 0.4) / 2)
    assert result.accuracy.detail["chance"] == 0.5
    assert result.by_persona["zen"].detail["speaks_for"] == ["zen"]


def test_an_answer_nearer_to_another_is_mistaken_for_it() -> None:
    table = {
        "sufi": {"sufi": 0.9, "zen": 0.2, "stoic": 0.0},
        "zen": {"sufi": 0.6, "zen": 0.5, "stoic": 0.0},
        "stoic": {"sufi": 0.0, "zen": 0.0, "stoic": 1.0},
    }
    result = steerability(table)
    assert result.accuracy.value == pytest.approx(2 / 3)
    # sufi: TP 1, FP 1; zen: FN 1; stoic: TP 1.
    assert result.macro_f1.value == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert result.by_persona["zen"].value == pytest.approx(-0.1)
    assert result.by_persona["zen"].detail["speaks_for"] == ["sufi"]


def test_answers_that_speak_for_all_alike_are_at_chance() -> None:
    result = steerability({a: dict.fromkeys("abcd", 0.3) for a in "abcd"})
    assert result.accuracy.value == result.macro_f1.value == 0.25
    assert result.margin.value == 0


def test_one_persona_cannot_be_mistaken() -> None:
    result = steerability({"zen": {"zen": 1.0}})
    for score in (result.accuracy, result.macro_f1, result.margin, result.by_persona["zen"]):
        assert score.reason == "with fewer than two personas none can be mistaken for another"
    assert steerability({}).accuracy.value is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sufi": {"sufi": 1.0, "sufy": 0.0}}, "no persona 'sufy'; did you mean 'sufi'"),
        ({"a": {"a": 1.0, "b": 0.0}, "b": {"b": 1.0}}, "nearness of 'b': lacks 'a'"),
        ({"a": {"a": math.inf}}, "nearness of 'a': needs finite numbers"),
    ],
)
def test_tables_that_are_not_square_or_finite_are_refused(
    table: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        steerability(table)


@given(st.integers(2, 5).flatmap(lambda n: st.lists(st.permutations(range(n)), min_size=n, max_size=n)))
def test_accuracy_and_macro_f1_are_those_of_scikit_learn_where_nothing_ties(rows: list[list[int]]) -> None:
    table = {str(i): {str(j): float(cell) for j, cell in enumerate(row)} for i, row in enumerate(rows)}
    result = steerability(table)
    nearest = [int(np.argmax(row)) for row in rows]
    truth = list(range(len(rows)))
    assert result.accuracy.value == pytest.approx(
        np.mean([a == b for a, b in zip(truth, nearest, strict=True)])
    )
    assert result.macro_f1.value == pytest.approx(
        f1_score(truth, nearest, average="macro", labels=truth, zero_division=0)
    )
    turned = steerability({a: dict(reversed(row.items())) for a, row in reversed(table.items())})
    assert turned.accuracy.value == result.accuracy.value
    assert turned.macro_f1.value == pytest.approx(result.macro_f1.value)
    json.dumps(result.as_dict(), allow_nan=False)


def test_distributions_on_different_options_are_as_far_apart_as_can_be() -> None:
    score = distributional_distance({"go": 1.0}, {"stay": 1.0})
    assert (score.value, score.detail["largest"], score.detail["match"]) == (1, 1, False)
    # scipy's default of base e, as in Modular Pluralism: at most 0.8326.
    natural = distributional_distance({"go": 1.0}, {"stay": 1.0}, base="e")
    assert natural.value == pytest.approx(0.8326, abs=1e-4)
    assert natural.detail["largest"] == pytest.approx(jensenshannon([1, 0], [0, 1]))


def test_weights_are_normalised_and_the_likeliest_option_compared() -> None:
    score = distributional_distance({"go": 3, "stay": 1}, {"go": 0.6, "stay": 0.4})
    assert score.value == pytest.approx(jensenshannon([3, 1], [6, 4], base=2))
    assert score.detail["panel"] == {"go": 0.75, "stay": 0.25}
    assert score.detail["match"] is True
    tied = distributional_distance({"go": 1, "stay": 1}, {"go": 1, "stay": 0})
    assert tied.detail["match"] is None
    assert tied.detail["likeliest"] == {"panel": ["go", "stay"], "reference": ["go"]}


def test_a_side_without_weight_has_no_distance() -> None:
    assert distributional_distance(None, {"go": 1}).reason == "the panel has no weight on any option"
    assert distributional_distance({"go": 1}, {"go": 0}).reason == "the reference has no weight on any option"
    assert distributional_distance({}, {}).value is None
    for broken in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="reference: 'go' needs a finite number of at least 0"):
            distributional_distance({"go": 1}, {"go": broken})
    with pytest.raises(ValueError, match="base is 2 or 'e', not 10"):
        distributional_distance({"go": 1}, {"go": 1}, base=10)  # type: ignore[arg-type]


weights = st.lists(st.floats(0, 1e6), min_size=3, max_size=3).filter(lambda row: sum(row) > 1e-3)


@given(weights, weights, st.floats(0.01, 100))
def test_the_distance_is_scipys_symmetric_and_blind_to_scale(
    p: list[float], q: list[float], by: float
) -> None:
    one, other = dict(zip("xyz", p, strict=True)), dict(zip("xyz", q, strict=True))
    score = distributional_distance(one, other, base="e")
    assert score.value is not None
    # The root blows the last bits of a divergence near 0 up to 1e-8, and scipy may have it below 0.
    with np.errstate(invalid="ignore"):
        oracle = float(np.nan_to_num(jensenshannon(p, q)))
    assert score.value == pytest.approx(oracle, abs=1e-7)
    assert distributional_distance(other, one, base="e").value == pytest.approx(score.value, abs=1e-7)
    scaled = {name: weight * by for name, weight in one.items()}
    assert distributional_distance(scaled, other, base="e").value == pytest.approx(score.value, abs=1e-7)
    assert (distributional_distance(one, one).value or 0) <= 1e-7
