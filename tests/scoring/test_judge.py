"""A judge's letters and references as labels, controls measured on known sentences, and agreement."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.acts import Act, Choice, Failure, Performed
from multiplex.acts.observer import ClassifySentence, ExtractValues, Observer, ShownValue, ShownValues
from multiplex.content.scenarios import Scenario
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.scoring.classifiers import (
    NONE,
    Recorded,
    SentenceLabel,
    classifier_agreement,
    cohen_kappa,
)
from multiplex.scoring.corpus import perspective_sentiment
from multiplex.scoring.evenness import above, resampled
from multiplex.scoring.judge import judge, labels_from_references
from multiplex.scoring.measured import Measured, measure
from multiplex.scoring.perspectives import perspective_entropy

PERSPECTIVES = ("river", "forest", "desert")
EIGHT = tuple("abcdefgh")


def said(sentence: str, label: str) -> SentenceLabel:
    return SentenceLabel(sentence, label, False, 1.0, {label: 1.0})


def known(many: int = 30) -> tuple[list[tuple[str, str, str, bool]], list[str]]:
    told = [(name, f"{name} {i}.", f"{name} {i}", True) for name in PERSPECTIVES for i in range(many)]
    return told, [f"none {i}." for i in range(many)]


def measured(errors: float, *, seed: int = 0, many: int = 30, text: Sequence[str] = ()) -> Measured:
    """Measure a classifier that reads the first word, and takes any label in a share of its labels."""
    draw = np.random.default_rng(seed)
    told, neutral = known(many)
    names = [*PERSPECTIVES, NONE]
    labels = []
    for sentence in [*(s for _, s, _, _ in told), *neutral, *text]:
        truth = sentence.split()[0]
        label = names[draw.integers(4)] if draw.random() < errors else truth
        labels.append(said(sentence, label))
    return measure(Recorded(PERSPECTIVES, labels), told, neutral)


# --- asking --------------------------------------------------------------------------------------


def asked(weigh: Any, sentences: Sequence[str], **options: Any) -> Recorded:
    return asyncio.run(judge(sentences, PERSPECTIVES, weigh, **options))


async def first_word(sentence: str, order: tuple[str, ...], seed: int) -> Mapping[str, float] | str:
    return {sentence.split()[0]: 3.0, order[0]: 1.0}


def test_a_judge_is_asked_about_each_sentence_once_in_each_order() -> None:
    calls: list[tuple[str, tuple[str, ...], int]] = []

    async def weigh(sentence: str, order: tuple[str, ...], seed: int) -> Mapping[str, float]:
        calls.append((sentence, order, seed))
        return {"river": 1.0}

    found = asked(weigh, ["a", "b", "a"], orders=3)
    assert [sentence for sentence, _, _ in calls] == ["a"] * 3 + ["b"] * 3
    assert all(sorted(order) == sorted((*PERSPECTIVES, NONE)) for _, order, _ in calls)
    assert len({seed for _, _, seed in calls}) == 6
    assert [each.label for each in found.label(["b", "a", "a"])] == ["river"] * 3
    again = asked(weigh, ["a", "b"], orders=3)
    assert calls[:6] == calls[6:]
    assert again.label(["a"]) == found.label(["a"])


def test_probabilities_are_means_of_shares_over_orders() -> None:
    found = asked(first_word, ["desert wind", "none of it"], orders=40)
    desert, none = found.label(["desert wind", "none of it"])
    assert (desert.label, none.label) == ("desert", NONE)
    assert sum(desert.probabilities.values()) == pytest.approx(1)
    assert desert.probability == desert.probabilities["desert"] >= 0.75
    # What the first letter draws to itself is spread over all of them.
    rest = [desert.probabilities[name] for name in ("river", "forest", NONE)]
    assert max(rest) < 0.15


def test_a_judge_that_failed_gives_no_label_and_not_none() -> None:
    async def weigh(sentence: str, order: tuple[str, ...], seed: int) -> Mapping[str, float] | str:
        return "timed out" if sentence == "forest b." else {sentence.split()[0]: 1.0}

    found = asked(weigh, ["river a.", "forest b."])
    assert found.failed == {"forest b.": "timed out"}
    assert [each.sentence for each in found.label(["river a.", "forest b."])] == ["river a."]
    with pytest.raises(ValueError, match="'c' was not labelled"):
        found.label(["c"])


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"rivr": 1.0}, "did you mean 'river'"),
        ({"river": float("nan")}, "finite number"),
        ({"river": -1.0}, "finite number"),
        ({"river": 0.0}, "all are zero"),
        ({}, "all are zero"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float], problem: str) -> None:
    async def weigh(sentence: str, order: tuple[str, ...], seed: int) -> Mapping[str, float]:
        return weights

    with pytest.raises(ValueError, match=problem):
        asked(weigh, ["a"])


def test_a_judge_needs_an_order_and_a_list() -> None:
    with pytest.raises(ValueError, match="orders"):
        asked(first_word, ["a"], orders=0)
    with pytest.raises(ValueError, match="perspectives"):
        asyncio.run(judge(["a"], (), first_word))
    with pytest.raises(ValueError, match="holds 'none'"):
        asyncio.run(judge(["a"], ("river", NONE), first_word))
    with pytest.raises(ValueError, match="did you mean 'river'"):
        Recorded(PERSPECTIVES, [said("a", "rivr")])
    with pytest.raises(ValueError, match="'a' has two labels: river and forest"):
        Recorded(PERSPECTIVES, [said("a", "river"), said("a", "river"), said("a", "forest")])


# --- the observer's acts -------------------------------------------------------------------------


class Letters:
    """A responder that is sure of one perspective, with or without saying how sure."""

    name = "letters"

    def __init__(self, logprobs: Mapping[str, float] | None, failure: Failure | None = None) -> None:
        self._logprobs, self._failure = logprobs, failure

    async def perform(self, act: Act[Any], *, seed: int) -> Performed[Any]:
        """Choose the forest, or fail."""
        if self._failure:
            return Performed(failure=self._failure)
        return Performed(reply=Choice(option="forest"), logprobs=self._logprobs)


def test_the_observer_weighs_by_the_letters_probabilities_or_by_the_letter() -> None:
    async def weigh(responder: Any) -> Any:
        return await Observer(responder).weigh("Oaks.", ("forest", NONE), 1)

    sure = asyncio.run(weigh(Letters({"forest": -0.1, NONE: -3.0})))
    assert sure == pytest.approx({"forest": 0.904837, NONE: 0.049787}, abs=1e-6)
    assert asyncio.run(weigh(Letters(None))) == {"forest": 1.0}
    assert asyncio.run(weigh(Letters(None, Failure("timeout", "too slow")))) == "too slow"


def test_a_language_model_is_shown_letters_and_the_sentence_and_nothing_of_it_is_an_instruction() -> None:
    seen: list[Sampling] = []

    def script(messages: Sequence[Message], schema: Any, sampling: Sampling) -> Completion:
        seen.append(sampling)
        body = messages[-1]["content"]
        assert "‹/text›" in body
        letter = next(line[0] for line in body.splitlines() if line.endswith(": river"))
        return Completion(text=letter, logprobs={letter: -0.05})

    observer = Observer(LanguageModelResponder(Scripted(script)))
    found = asyncio.run(judge(["Water </text> flows."], PERSPECTIVES, observer.weigh))
    (label,) = found.label(["Water </text> flows."])
    assert (label.label, label.probability) == ("river", 1.0)
    assert all(sampling.choices == ("A", "B", "C", "D") for sampling in seen)


def test_the_observer_extracts_values_whose_spans_stand_in_the_text() -> None:
    wrong = '{"values": [{"value": "care", "span": "not there"}]}'
    right = '{"values": [{"value": "care", "span": "We  owe care"}]}'
    observer = Observer(LanguageModelResponder(Scripted([wrong, right])))
    assert asyncio.run(observer.values("First, we owe care to all.", 1)) == (
        ShownValue(value="care", span="We  owe care"),
    )
    stubborn = Observer(LanguageModelResponder(Scripted([wrong, wrong])))
    assert "does not stand in the text" in str(asyncio.run(stubborn.values("We owe care.", 1)))


def test_the_observers_acts_narrow_their_replies() -> None:
    scenario = Scenario(name="text", question="What?")
    act = ClassifySentence(scenario=scenario, text="a", order=("river", NONE))
    assert act.schema()["properties"]["option"]["enum"] == ["river", NONE]
    act.check(Choice(option=NONE))
    with pytest.raises(ValueError, match="none of: river, none"):
        act.check(Choice(option="forest"))
    with pytest.raises(ValueError, match="at most 25 perspectives, not 29"):
        ClassifySentence(scenario=scenario, text="a", order=tuple(f"p{i}" for i in range(30))).letters()
    ExtractValues(scenario=scenario, text="a").check(ShownValues(values=()))


# --- references ----------------------------------------------------------------------------------


def test_references_become_labels_with_their_sentiment() -> None:
    sentences = ["The ferry waits.", "Oaks and dunes both matter.", "It rained."]
    labels = labels_from_references(
        sentences,
        [
            ("river", "the ferry", "positive"),
            ("forest", "Oaks", "neutral"),
            ("desert", "dunes both", "negative"),
            ("desert", "Oaks and dunes", "positive"),
        ],
        PERSPECTIVES,
    )
    assert [each.label for each in labels] == ["river", "forest", NONE]
    assert labels[1].references == ("forest", "desert")
    assert labels[1].sentiments == {"forest": "neutral", "desert": "negative"}
    assert labels[1].probabilities == {"river": 0, "forest": 0.5, "desert": 0.5, NONE: 0}
    score = perspective_sentiment(labels, PERSPECTIVES)
    assert score.value == 0
    assert score.detail["counts"] == {"positive": 1, "neutral": 1, "negative": 1}
    assert score.detail["perspectives"]["river"].value == 1
    assert score.detail["perspectives"]["desert"].value == -1


def test_a_reference_without_a_sentiment_counts_and_tells_none() -> None:
    labels = labels_from_references(
        ["The ferry waits by the oaks."],
        [("river", "ferry", None), ("river", "The ferry", "negative"), ("forest", "oaks", None)],
        PERSPECTIVES,
    )
    assert labels[0].references == ("river", "forest")
    assert labels[0].sentiments == {"river": "negative"}
    silent = labels_from_references(["A ferry."], [("river", "ferry", None)], PERSPECTIVES)
    assert perspective_sentiment(silent, PERSPECTIVES).value is None


def test_references_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'river'"):
        labels_from_references(["A ferry."], [("rivr", "ferry", "neutral")], PERSPECTIVES)
    for span in ("boat", "  "):
        with pytest.raises(ValueError, match="stands in no sentence"):
            labels_from_references(["A ferry."], [("river", span, "neutral")], PERSPECTIVES)


def test_sentiment_of_nothing_is_undefined() -> None:
    score = perspective_sentiment([said("a", "river")], PERSPECTIVES)
    assert (score.value, score.reason) == (None, "the classifier told no sentiment")
    assert score.detail["perspectives"]["river"].reason == "nothing is said of river"


# --- controls ------------------------------------------------------------------------------------


def test_confusion_counts_every_tested_sentence_once() -> None:
    told, neutral = known(2)
    told[0] = ("river", "river 0.", "river 0", False)
    labels = [said(s, "river") for s in [*(s for _, s, _, _ in told), *neutral]]
    control = measure(Recorded(PERSPECTIVES, labels), told, neutral, lexicon={"forest": ["forest"]}).control()
    assert control.sentences == 7
    assert control.confusion["forest"] == {"river": 2, "forest": 0, "desert": 0, NONE: 0}
    assert control.accuracy_explicit == 0
    assert control.accuracy_implicit == pytest.approx(1 / 3)
    assert control.accuracy_none == 0


def test_a_faultless_classifier_needs_no_correction_and_has_no_floor() -> None:
    text = [f"{name} x{i}." for name in ("river", "forest") for i in range(10)]
    sound = measured(0, text=text)
    floor = sound.noise_floor(12)
    assert floor.raw == pytest.approx(0, abs=0.01)
    assert floor.high == 0
    assert floor.corrected == pytest.approx(0, abs=0.02)
    labels = sound.label(text)
    likelihoods = sound.likelihoods(labels)
    assert likelihoods is not None
    assert likelihoods.shape == (20, 4)
    assert (likelihoods.argmax(axis=1) == [0] * 10 + [1] * 10).all()


def test_a_noisy_classifier_does_not_make_a_text_look_diverse() -> None:
    text = [f"River x{i}." for i in range(40)]
    draw = np.random.default_rng(5)
    names = [*PERSPECTIVES, NONE]
    told, neutral = known(60)
    heard = [*((s, p) for p, s, _, _ in told), *((s, NONE) for s in neutral), *((s, "river") for s in text)]
    labels = [said(s, names[draw.integers(4)] if draw.random() < 0.5 else truth) for s, truth in heard]
    noisy = measure(Recorded(PERSPECTIVES, labels), told, neutral)
    score = perspective_entropy(" ".join(text), noisy, draws=200, corrected_draws=20)
    floor = score.detail["noise_floor"]
    assert score.value is not None
    assert score.value > 0.5
    assert floor.raw > 0.5
    assert floor.corrected < 0.25
    assert score.detail["corrected"].value < 0.25
    assert score.detail["above_floor"] is False
    assert score.detail["interval"].low <= score.value <= score.detail["interval"].high
    assert score.detail["corrected"].detail["interval"].low <= score.detail["corrected"].value


def counted(*rows: Sequence[int]) -> Measured:
    """Measure a classifier whose confusion is given."""
    names = [*EIGHT, NONE]
    table = [
        (true, said_of)
        for true, row in zip(names, rows, strict=True)
        for said_of, n in zip(names, row, strict=True)
        for _ in range(n)
    ]
    told = [(true, f"{true} {i}.", f"{i}", True) for i, (true, _) in enumerate(table) if true != NONE]
    neutral = [f"{NONE} {i}." for i, (true, _) in enumerate(table) if true == NONE]
    labels = [said(f"{true} {i}.", given) for i, (true, given) in enumerate(table)]
    return measure(Recorded(EIGHT, labels), told, neutral)


@pytest.mark.slow
def test_a_long_text_of_one_perspective_is_not_told_from_one_by_its_length() -> None:
    # Twenty sentences a class, of which about twelve are labelled rightly; then texts of 1,000 sentences
    # from the rates that the twenty were drawn from, which the twenty themselves tell badly.
    draw, passed = np.random.default_rng(0), 0
    rates = np.full((9, 9), 0.4 / 8)
    np.fill_diagonal(rates, 0.6)
    for _ in range(2):
        noisy = counted(*draw.multinomial(20, rates).tolist())
        floor = noisy.noise_floor(1000)
        assert floor.sentences == 1000
        assert floor.raw is not None
        assert floor.high is not None
        assert floor.raw < floor.high
        for row in rates[:8]:
            parts = np.repeat(np.eye(9)[:, :-1], draw.multinomial(1000, row), axis=0)
            interval = resampled(parts, draws=100, level=0.95, seed=0)
            passed += above(interval, floor)["above_floor"] is True
    assert passed == 0


def test_texts_of_a_floor_differ_though_they_are_longer_than_what_was_measured() -> None:
    table = np.full((9, 9), 1)
    np.fill_diagonal(table, 12)
    floor = counted(*table.tolist()).noise_floor(20)
    assert floor.raw is not None
    assert floor.high is not None
    assert floor.high > floor.raw + 0.05
    assert floor.corrected is not None


def test_labels_that_tell_nothing_are_not_corrected() -> None:
    blind = measured(1.0)
    assert blind.likelihoods([]) is None
    assert blind.noise_floor(10).corrected is None
    told, neutral = known(5)
    always = [said(s, "river") for s in [*(s for _, s, _, _ in told), *neutral, "We."]]
    score = perspective_entropy("We.", measure(Recorded(PERSPECTIVES, always), told, neutral))
    assert score.value == 0
    assert "do not depend" in str(score.detail["corrected"].reason)


def test_sentences_that_were_not_labelled_are_counted_apart() -> None:
    told, neutral = known(5)
    labels = [said(s, s.split()[0]) for s in [*(s for _, s, _, _ in told), *neutral]]
    partly = Recorded(PERSPECTIVES, [*labels, said("We.", "river")], failed={"They.": "timed out"})
    score = perspective_entropy("We. They.", measure(partly, told, neutral))
    assert (score.detail["sentences"], score.detail["unlabelled"]) == (1, 1)
    nothing = perspective_entropy("They.", measure(partly, told, neutral))
    assert nothing.reason == "no sentence could be labelled"


def test_what_cannot_be_measured_is_named() -> None:
    told, neutral = known(1)
    with pytest.raises(ValueError, match="'forest' is not on the list"):
        measure(Recorded(("river",), []), told, neutral)
    with pytest.raises(ValueError, match="none that could be labelled"):
        measure(Recorded(PERSPECTIVES, []), [], [])


# --- agreement -----------------------------------------------------------------------------------


def test_cohens_kappa_of_published_cases() -> None:
    # Both are widely printed 2 x 2 cases: 20, 5, 10, 15 gives 0.4; Feinstein and Cicchetti (1990): high
    # agreement with low kappa, 80, 10, 5, 5 (p_o = .85, p_e = .78). Shen, Clark and Mitra (EMNLP 2025), table 10:
    # two annotators of 80 actions, all digits in huashen218/value_action_gap, src/analysis/kappa.ipynb. No other
    # counts give the first (but for which annotator and which label is which); 65, 1, 5, 9 give the second too.
    def case(both: int, first: int, second: int, neither: int) -> Any:
        one = ["y"] * (both + first) + ["n"] * (second + neither)
        other = ["y"] * both + ["n"] * first + ["y"] * second + ["n"] * neither
        return cohen_kappa(one, other)

    assert case(20, 5, 10, 15).value == pytest.approx(0.4)
    detail = dict(case(80, 10, 5, 5).detail)
    interval = detail.pop("interval")
    assert detail == pytest.approx({"items": 100, "observed": 0.85, "expected": 0.78})
    assert interval["low"] < 0.07 / 0.22 < interval["high"]
    assert case(80, 10, 5, 5).value == pytest.approx(0.07 / 0.22)
    assert case(72, 0, 1, 7).value == pytest.approx(0.9264705882352942, abs=1e-15)
    assert case(73, 1, 2, 4).value == pytest.approx(0.7073170731707317, abs=1e-15)


rated = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=20)


@given(rated, st.randoms())
def test_kappa_is_bounded_symmetric_and_blind_to_order(pairs: list[tuple[str, str]], random: Any) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    score = cohen_kappa(one, other)
    random.shuffle(pairs)
    shuffled = cohen_kappa([b for _, b in pairs], [a for a, _ in pairs])
    assert score.value == shuffled.value
    if score.value is None:
        assert len({*one, *other}) < 2
    else:
        assert -1 <= score.value <= 1
        assert (score.value == 1) == (one == other)


def test_kappa_matches_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.metrics").cohen_kappa_score
    draw = np.random.default_rng(3)
    one, other = draw.choice(list("abcd"), 50).tolist(), draw.choice(list("abcd"), 50).tolist()
    assert cohen_kappa(one, other).value == pytest.approx(theirs(one, other))


def test_kappa_is_undefined_without_chance_of_disagreement() -> None:
    assert cohen_kappa([], []).reason == "no item was rated by both"
    assert cohen_kappa(["a", "a"], ["a", "a"]).reason == "both give every item the same label"
    with pytest.raises(ValueError, match="1 labels of one rater and 0"):
        cohen_kappa(["a"], [])


def test_classifiers_are_compared_on_what_both_labelled() -> None:
    labels = {
        "default": {"s1": "river", "s2": NONE, "s3": "forest"},
        "judge": {"s1": "river", "s2": "forest", "s3": "forest"},
        "nli": {"s1": "river"},
    }
    found = classifier_agreement(labels)
    assert list(found.kappa) == [("default", "judge"), ("default", "nli"), ("judge", "nli")]
    assert found.kappa["default", "judge"].detail["items"] == 3
    assert found.kappa["default", "nli"].value is None
    assert found.alpha.detail["units"] == 3
    assert found.alpha.value is not None
    assert classifier_agreement({}).alpha.value is None


def test_classifiers_that_agree_on_everything_score_one() -> None:
    labels = {"s1": "river", "s2": NONE}
    found = classifier_agreement({"a": labels, "b": labels})
    assert found.alpha.value == 1
    assert found.kappa["a", "b"].value == 1


spoken = st.lists(
    st.dictionaries(st.sampled_from(PERSPECTIVES), st.sampled_from(["positive", "neutral", "negative"])),
    max_size=8,
)
TURNED = {"positive": "negative", "neutral": "neutral", "negative": "positive"}


@given(spoken)
def test_sentiment_is_bounded_blind_to_order_and_turns_with_its_words(told: list[dict[str, Any]]) -> None:
    def balance(sentences: Sequence[Mapping[str, Any]]) -> Any:
        labels = [
            SentenceLabel(str(i), NONE, False, 1.0, {}, tuple(each), each) for i, each in enumerate(sentences)
        ]
        return perspective_sentiment(labels, PERSPECTIVES)

    score = balance(told)
    assert balance(told[::-1]) == score
    if score.value is None:
        assert not any(told)
        return
    assert -1 <= score.value <= 1
    turned = balance([{name: TURNED[sentiment] for name, sentiment in each.items()} for each in told])
    assert turned.value == -score.value
    parts = score.detail["perspectives"].values()
    n = sum(sum(part.detail["counts"].values()) for part in parts)
    assert sum(score.detail["counts"].values()) == n == sum(map(len, told))
    weighed = sum((part.value or 0) * sum(part.detail["counts"].values()) for part in parts)
    assert score.value == pytest.approx(weighed / n)
    interval = score.detail["interval"]
    if interval["reason"] is None:
        assert -1 <= interval["low"] <= score.value <= interval["high"] <= 1
    else:
        assert sum(map(bool, told)) == 1


labelled = st.dictionaries(
    st.sampled_from(["ann", "bob", "cleo"]),
    st.dictionaries(st.sampled_from([f"s{i}" for i in range(5)]), st.sampled_from([*PERSPECTIVES, NONE])),
)


@given(labelled)
def test_agreement_is_at_most_one_and_does_not_hang_on_the_names_of_labels(
    labels: dict[str, dict[str, str]],
) -> None:
    found = classifier_agreement(labels)
    assert len(found.kappa) == len(labels) * (len(labels) - 1) // 2
    for score in (found.alpha, *found.kappa.values()):
        assert score.value is None or score.value <= 1
        assert score.value is not None or score.detail["interval"]["reason"] == score.reason
    renamed = {name: {s: f"the {label}" for s, label in given.items()} for name, given in labels.items()}
    assert classifier_agreement(renamed).alpha.value == pytest.approx(found.alpha.value)
    twins = {"one": labels.get("ann", {}), "two": labels.get("ann", {})}
    same = classifier_agreement(twins)
    assert same.alpha.value == same.kappa["one", "two"].value
    assert same.alpha.value in (1, None)
