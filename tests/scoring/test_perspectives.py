"""The default perspective classifier, its controls, and the entropy built on it."""

import math
import tracemalloc
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multiplex.content.passages import neutral_sentences, passages
from multiplex.content.personas import load_pack
from multiplex.deliberation.scores import classifier_for
from multiplex.embedding import SentenceEmbedder
from multiplex.scoring.classifiers import SentenceLabel
from multiplex.scoring.corpus import pooled_entropy
from multiplex.scoring.evenness import (
    above,
    contributions,
    corrected_entropy,
    entropies,
    mean_interval,
    resampled,
)
from multiplex.scoring.lexicon import Lexicon
from multiplex.scoring.perspectives import NONE, PerspectiveClassifier, perspective_entropy
from multiplex.scoring.quantify import mixtures, mixtures_of_resamples
from multiplex.scoring.score import plain
from multiplex.scoring.text_model import fit
from multiplex.sentences import sentences
from tests.scoring.made import LATE, LEXICON, NEUTRAL, PERSPECTIVES, WORDS, embed, persona, small, train

pytestmark = pytest.mark.heavy


def shipped() -> PerspectiveClassifier:
    return classifier_for(load_pack("civilizations"), SentenceEmbedder())


@cache
def bench(split: str) -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "bench" / "sentences.yaml"
    items = yaml.safe_load(path.read_text(encoding="utf-8"))["sentences"]
    return [item for item in items if item["split"] == split]


def test_a_term_is_matched_as_a_whole_word_with_its_capitals() -> None:
    lexicon = Lexicon({"river": ["Mill", "the Ferryman", "rites"], "forest": ["Gutiérrez", "Shi'i"]})
    assert lexicon.references("Mill was right.") == {"river": 1}
    assert lexicon.references("The mill stands still, and Millers write.") == {}
    assert lexicon.references("The Ferryman. RITES and Rites.") == {"river": 3}
    assert lexicon.references("Gutierrez read a Shi’i book.") == {"forest": 2}


def test_a_term_inside_a_longer_one_counts_once() -> None:
    assert Lexicon({"river": ["Lotus", "Lotus Sutra"]}).references("the Lotus Sutra") == {"river": 1}


def test_masking_leaves_no_term() -> None:
    lexicon = Lexicon(LEXICON)
    masked = lexicon.mask("The Book of Rivers and Oakwise disagree with mycelism.")
    assert lexicon.references(masked) == {}
    assert "disagree" in masked


def test_a_lexicon_without_terms_finds_nothing() -> None:
    assert Lexicon({"river": []}).references("anything") == {}
    assert Lexicon({}).references("anything") == {}


def test_sentences_of_a_text_are_labelled_in_order() -> None:
    labels = small().classify("Oakwise says so. We owe care to camels and wells. The minutes were approved.")
    assert [each.label for each in labels] == ["forest", "desert", NONE]
    assert [each.explicit for each in labels] == [True, False, False]
    assert labels[0].references == ("forest",)


def test_probabilities_are_shares_and_the_label_is_the_likeliest() -> None:
    for each in small().classify("Where moss suffer we have failed. The dune law speaks. It rained at nine."):
        assert math.fsum(each.probabilities.values()) == pytest.approx(1)
        assert each.probability == max(each.probabilities.values()) == each.probabilities[each.label]
        assert list(each.probabilities) == [*PERSPECTIVES, NONE]


def test_a_name_outweighs_the_reasoning_around_it() -> None:
    (label,) = small().label(["The Ferryman too cares for camels, wells and sand."])
    assert (label.label, label.explicit) == ("river", True)
    assert label.probability > 0.9


def test_a_sentence_that_names_two_is_decided_by_its_reasoning_and_counts_in_halves() -> None:
    text = "Oakwise and the Ferryman care for moss and deer."
    (label,) = small().classify(text)
    assert label.label == "forest"
    assert label.references == ("river", "forest")
    counts = perspective_entropy(text, small()).detail["counts"]
    assert counts == {"river": 0.5, "forest": 0.5, "desert": 0}


def test_training_twice_gives_the_same_figures() -> None:
    text = "Where roots suffer we have failed. We owe care to fish. The Ferryman waits. It is late."
    once, twice = train(), train()
    assert once.classify(text) == twice.classify(text)
    assert plain(perspective_entropy(text, once)) == plain(perspective_entropy(text, twice))
    assert once.trust == twice.trust


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="'forrest' is not on the list; did you mean 'forest'"):
        train(lexicon={"forrest": ["Oakwise"]})
    with pytest.raises(ValueError, match="'desert' is not on the list"):
        train(perspectives=("river", "forest"), lexicon={})
    with pytest.raises(ValueError, match="there are none to learn from"):
        train(passages=[], lexicon={})


def test_a_classifier_needs_neither_lexicon_nor_neutral_lines() -> None:
    labels = train(lexicon={}, neutral=[]).classify("We owe care to camels and wells.")
    assert [(each.label, each.explicit) for each in labels] == [("desert", False)]


def test_a_perspective_that_nobody_speaks_for_is_still_found_by_name() -> None:
    classifier = train(passages=[*passages(persona("river")), *passages(persona("forest"))])
    (label,) = classifier.classify("The dune law forbids it.")
    assert label.label == "desert"


def test_the_model_left_out_is_the_model_trained_without_the_fold() -> None:
    texts = [f"We owe care to {word} {i}" for i in range(6) for words in WORDS.values() for word in words]
    labels = np.array([k for _ in range(6) for k, words in enumerate(WORDS.values()) for _ in words])
    folds = np.arange(len(texts)) % 3
    model, held_out = fit(texts, embed(texts), labels, folds, classes=3)
    rows = folds == 1
    kept = np.flatnonzero(~rows)
    kernel = np.exp(2.0 * (model.vectors @ model.vectors.T - 1)) + (model.words @ model.words.T).toarray()
    ridge = 2.0 * np.eye(len(kept))  # the classes are of one size, so that every text weighs 1
    weights = np.linalg.solve(kernel[np.ix_(kept, kept)] + ridge, np.eye(3)[labels[kept]])
    assert held_out[rows] == pytest.approx(kernel[np.ix_(rows, ~rows)] @ weights, abs=1e-5)


def test_control_counts_every_tested_sentence_once() -> None:
    control = small().control()
    assert sum(sum(row.values()) for row in control.confusion.values()) == control.sentences
    assert control.sentences == 3 * 8 * 2 + len(NEUTRAL)
    assert sum(control.confusion[NONE].values()) == len(NEUTRAL)
    assert control.accuracy_explicit is None
    assert control.accuracy_implicit is not None
    assert control.accuracy_implicit > 0.5


def test_correction_lowers_the_noise_floor() -> None:
    floor = shipped().noise_floor(20)
    assert floor.raw is not None
    assert floor.corrected is not None
    assert floor.high is not None
    assert floor.corrected < 0.2 < floor.raw < floor.high


def test_a_floor_is_of_texts_as_long_as_the_text() -> None:
    floors = [small().noise_floor(n) for n in (1, 5, 40, 333)]
    assert [floor.sentences for floor in floors] == [1, 5, 40, 333]
    raw = [floor.raw for floor in floors if floor.raw is not None]
    assert raw == sorted(set(raw))
    assert floors[0].raw == floors[0].high == 0
    assert small().noise_floor(5) == train().noise_floor(5)


@pytest.mark.slow
def test_all_that_a_tradition_says_is_not_told_from_one_perspective() -> None:
    # The labels of the cross-validation, of the 250 to 315 sentences of each tradition; before, floors
    # were of 40 sentences at most, and two traditions passed.
    confusion = shipped().control().confusion
    for name in shipped().perspectives:
        counts = [confusion[name][label] for label in shipped().labels]
        parts = np.repeat(np.eye(len(counts))[:, :-1], counts, axis=0)
        interval = resampled(parts, draws=300, level=0.95, seed=0)
        assert above(interval, shipped().noise_floor(len(parts)))["above_floor"] is False


@pytest.mark.slow
def test_of_held_out_texts_of_one_perspective_few_have_a_corrected_interval_above_the_floor() -> None:
    texts = shipped().explained(6, 4, np.random.default_rng(0))
    floor = shipped().noise_floor(4).corrected
    assert texts is not None
    assert floor is not None
    lows = []
    for rows in texts:
        score = corrected_entropy(rows, shipped().perspectives, draws=60, level=0.95, seed=0)
        interval = score.detail["interval"]
        lows.append(interval.low or 0.0)
        if interval.percentile:
            low, high = interval.percentile
            assert interval.low == min(low, score.value)
            assert interval.high == max(min(high - 2 * min(interval.bias, 0), 1), score.value)
    assert len(lows) == 48
    # There are 3 above 0.1 and none above the floor; with percentiles moved by twice the bias, 24 and 16.
    assert sum(low > 0.1 for low in lows) <= 4
    assert sum(low > floor for low in lows) <= 1


def test_texts_longer_than_two_thousand_sentences_have_a_floor_before_correction_only() -> None:
    floor = small().noise_floor(2001)
    assert floor.high is not None
    assert floor.corrected is None
    assert floor.reason == "2001 sentences: texts of no more than 2000 are corrected"


def test_without_texts_of_one_perspective_there_is_no_floor_and_a_reason() -> None:
    untested = [(*passage[:3], False) for name in PERSPECTIVES for passage in passages(persona(name))]
    score = perspective_entropy("Oakwise says so. The Ferryman says so.", train(passages=untested))
    assert score.detail["noise_floor"].high is None
    assert score.detail["above_floor"] is None
    assert score.detail["above_floor_reason"] == "no text of one perspective has an entropy"


def test_texts_without_perspective_are_undefined() -> None:
    for text, reason in [("", "no sentence"), ("The minutes were approved at nine.", "no perspective")]:
        score = perspective_entropy(text, small())
        assert score.value is None
        assert reason in str(score.reason)
        assert score.detail["corrected"].value is None
        assert score.detail["counts"] == dict.fromkeys(PERSPECTIVES, 0) if text else True


def test_neutral_sentences_are_counted_apart() -> None:
    spoken = "Oakwise says so. The Ferryman says so."
    with_minutes = spoken + " The meeting began at nine and the minutes were approved." * 5
    plainly, padded = perspective_entropy(spoken, small()), perspective_entropy(with_minutes, small())
    assert padded.value == plainly.value == pytest.approx(math.log(2) / math.log(3))
    assert padded.detail["none"] == 5
    assert padded.detail["sentences"] == 7
    assert padded.detail["explicit"] == 2


def test_published_limits_hold_for_texts_of_names() -> None:
    names = {
        "river": "The Ferryman says so.",
        "forest": "Oakwise says so.",
        "desert": "The dune law says so.",
    }
    one = perspective_entropy("\n".join([names["river"]] * 12), small())
    even = perspective_entropy("\n".join([*names.values()] * 6), small())
    assert one.value == 0
    assert one.detail["corrected"].value == pytest.approx(0, abs=0.02)
    assert even.value == pytest.approx(1)
    assert even.detail["corrected"].value == pytest.approx(1, abs=0.02)


vocabulary = [word for words in WORDS.values() for word in words]
prose = st.lists(
    st.lists(st.sampled_from([*vocabulary, "Oakwise", "minutes"]), min_size=1, max_size=6), max_size=8
)


@given(prose)
def test_entropies_stay_in_bounds_and_order_does_not_matter(drawn: list[list[str]]) -> None:
    lines = [" ".join(words) for words in drawn]
    score = perspective_entropy("\n".join(lines), small())
    again = perspective_entropy("\n".join(reversed(lines)), small())
    for one, other in [(score, again), (score.detail["corrected"], again.detail["corrected"])]:
        assert (one.value is None) == (other.value is None)
        if one.value is not None:
            assert 0 <= one.value <= 1
            assert one.value == pytest.approx(other.value, abs=1e-3)


@given(st.integers(1, 12), st.integers(2, 6), st.integers(0, 2**20))
def test_mixtures_count_no_more_than_there_is(n: int, classes: int, seed: int) -> None:
    shares = np.random.default_rng(seed).dirichlet(np.ones(classes + 1), size=(3, n))
    counts = mixtures(shares)
    assert counts.shape == (3, classes)
    assert (counts >= 0).all()
    assert (counts.sum(axis=1) <= n + 1e-9).all()


def test_a_mixture_of_certain_labels_is_their_count() -> None:
    certain = np.eye(4)[[0, 0, 1, 3, 3, 2]]
    assert mixtures(certain[None])[0] == pytest.approx([2, 1, 1], abs=1e-6)


def test_weak_signs_of_one_perspective_add_up() -> None:
    row = np.array([0.3, *[0.1] * 7])
    rows = np.stack([np.append(row, 0.0)] * 20)
    counts = mixtures(rows[None])[0]
    assert counts[0] / counts.sum() > 0.95


# --- intervals -----------------------------------------------------------------------------------


def test_an_interval_holds_the_value_and_says_what_it_comes_from() -> None:
    text = "\n".join(["The Ferryman says so."] * 12 + ["Oakwise says so."] * 4 + [LATE] * 3)
    score = perspective_entropy(text, small(), draws=400, corrected_draws=20, seed=3)
    interval = score.detail["interval"]
    assert score.value is not None
    assert 0 <= interval.low < score.value < interval.high <= 1
    assert (interval.draws, interval.level, interval.undefined) == (400, 0.95, 0)
    assert interval.bias == pytest.approx(0, abs=0.1)
    assert interval.percentile[0] == pytest.approx(interval.low + 2 * interval.bias)
    corrected = score.detail["corrected"].detail["interval"]
    assert 0 <= corrected.low <= corrected.high <= 1
    assert perspective_entropy(text, small(), draws=400, corrected_draws=20, seed=3) == score
    assert perspective_entropy(text, small(), draws=400, seed=4).detail["interval"] != interval


def test_a_narrower_level_gives_a_narrower_interval() -> None:
    parts = np.eye(3)[[0, 0, 0, 1, 1, 2, 0, 1, 0, 0]]
    wide, narrow = (resampled(parts, draws=500, level=level, seed=0).percentile for level in (0.99, 0.5))
    assert wide is not None
    assert narrow is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_without_anything_to_resample_there_is_no_interval_and_a_reason() -> None:
    one = perspective_entropy("Oakwise says so.", small())
    assert one.value == 0
    assert one.detail["interval"].reason == "1 of them: resampling needs two"
    assert one.detail["above_floor"] is None
    assert one.detail["above_floor_reason"] == "1 of them: resampling needs two"
    none = perspective_entropy(f"Oakwise says so. {LATE}", small(), draws=0)
    assert none.detail["interval"].reason == "no resamples were asked for"
    rare = resampled(np.array([[1.0, 0], *[[0.0, 0]] * 9]), draws=200, level=0.95, seed=0)
    assert rare.low is None
    assert "resamples hold no perspective" in str(rare.reason)
    for options in ({"draws": -1}, {"level": 1.0}):
        with pytest.raises(ValueError, match="needs to"):
            perspective_entropy(f"Oakwise says so. {LATE}", small(), **options)


def test_a_corrected_interval_is_not_moved_away_from_one_perspective() -> None:
    # Two sentences, both unsure: resamples of either alone are of one perspective.
    rows = np.array([[0.75, 0.05, 0.05, 0.15], [0.05, 0.75, 0.05, 0.15]])
    score = corrected_entropy(rows, PERSPECTIVES, draws=60, level=0.95, seed=0)
    interval = score.detail["interval"]
    assert interval.bias < -0.02
    assert interval.low == interval.percentile[0]
    assert interval.percentile[1] < interval.high == 1  # moved up by twice the bias, and no further than 1
    assert interval.low <= score.value


def test_resamples_of_a_long_text_take_bounded_memory() -> None:
    parts = np.eye(8)[np.arange(10_000) % 8]
    tracemalloc.start()
    interval = resampled(parts, draws=300, level=0.95, seed=0)
    mean_interval(parts[:, 0], draws=300, level=0.95, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000  # all draws at once: 24 MB, and as much again as floats
    assert interval.draws == 300


def test_blocks_of_resamples_are_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = np.eye(3)[[0, 0, 1, 2, 2, 2, 0, 1, 1, 0]]
    whole = resampled(parts, draws=50, level=0.95, seed=1)
    monkeypatch.setattr("multiplex.scoring.evenness._CELLS", 30)
    assert resampled(parts, draws=50, level=0.95, seed=1) == whole


def test_more_than_two_thousand_sentences_are_corrected_without_an_interval() -> None:
    rows = np.tile([[0.9, 0.05, 0.0, 0.05], [0.0, 0.9, 0.05, 0.05], [0.05, 0.0, 0.9, 0.05]], (667, 1))
    score = corrected_entropy(rows, PERSPECTIVES, draws=100, level=0.95, seed=0)
    assert score.value == pytest.approx(1, abs=0.01)
    assert score.detail["interval"].low is None
    assert "2001 sentences: no more than 2000" in score.detail["interval"].reason


@given(st.lists(st.integers(0, 2), min_size=2, max_size=30), st.integers(0, 2**16))
def test_intervals_are_ordered_and_bounded(drawn: list[int], seed: int) -> None:
    parts = np.eye(3)[drawn]
    interval = resampled(parts, draws=100, level=0.9, seed=seed)
    assert interval.low is not None
    assert interval.high is not None
    value = float(entropies(parts.sum(axis=0, keepdims=True))[0])
    assert 0 <= interval.low <= value <= interval.high <= 1
    if len(set(drawn)) == 1:
        assert interval.low == interval.high == 0


def test_the_interval_holds_the_entropy_that_texts_were_drawn_from() -> None:
    draw = np.random.default_rng(0)
    shares = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    true = -float(shares @ np.log(shares)) / math.log(8)
    held = plainly_held = 0
    for seed in range(100):
        parts = np.eye(8)[draw.choice(8, 30, p=shares)]
        counts = dict(zip("abcdefgh", parts.sum(axis=0).tolist(), strict=True))
        value = pooled_entropy([counts], tuple("abcdefgh"), draws=0).micro.value
        assert value is not None
        interval = resampled(parts, draws=200, level=0.95, seed=seed)
        assert interval.low is not None
        assert interval.high is not None
        assert interval.percentile is not None
        assert interval.low <= value <= interval.high
        held += interval.low <= true <= interval.high
        plainly_held += interval.percentile[0] <= true <= interval.percentile[1]
    assert held >= 85 > 60 >= plainly_held


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).random(40)
    ours = mean_interval(values, draws=4000, level=0.95, seed=0)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


@given(st.integers(2, 8), st.integers(2, 5), st.floats(0.05, 3), st.integers(0, 2**16))
def test_a_corrected_entropy_is_bounded_blind_to_order_and_to_the_scale_of_likelihoods(
    n: int, classes: int, spread: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    rows = draw.dirichlet(np.full(classes + 1, spread), size=n) + 1e-9
    names = [str(i) for i in range(classes)]
    score = corrected_entropy(rows, names, draws=10, level=0.9, seed=seed)
    assert score.value is not None
    assert 0 <= score.value <= 1
    interval = score.detail["interval"]
    assert 0 <= interval.low <= score.value <= interval.high <= 1
    scaled = draw.permutation(rows) * 7
    again = corrected_entropy(scaled, names, draws=0, level=0.9, seed=0)
    assert again.value == pytest.approx(score.value, abs=1e-3)
    assert again.detail["interval"].reason == "no resamples were asked for"


def test_resamples_are_explained_as_if_they_were_written_out() -> None:
    draw = np.random.default_rng(5)
    rows = draw.dirichlet(np.ones(4), size=9)
    drawn = draw.integers(9, size=(6, 9))
    counts = np.stack([np.bincount(each, minlength=9) for each in drawn]).astype(float)
    assert mixtures_of_resamples(rows, counts) == pytest.approx(mixtures(rows[drawn]), abs=1e-9)


def test_a_sentence_adds_one_in_all_or_nothing() -> None:
    labels = [
        SentenceLabel("a", "river", True, 1.0, {}, ("river", "desert")),
        SentenceLabel("b", NONE, False, 1.0, {}),
        SentenceLabel("c", "forest", False, 1.0, {}),
    ]
    assert contributions(labels, PERSPECTIVES).tolist() == [[0.5, 0, 0.5], [0, 0, 0], [0, 1, 0]]
    assert contributions([], PERSPECTIVES).shape == (0, 3)


def test_sentences_are_split_at_stops_and_line_breaks() -> None:
    assert sentences('He said "No." Then he left. It was 3.5 km\nSo be it') == (
        'He said "No.',
        "Then he left.",
        "It was 3.5 km",
        "So be it",
    )
    assert sentences(" \n ") == ()


def test_shipped_terms_belong_to_one_perspective_each() -> None:
    lexicon = load_pack("civilizations").lexicon
    owners: dict[str, set[str]] = {}
    for name, terms in lexicon.items():
        assert len(terms) > 50
        for term in terms:
            assert Lexicon({name: [term]}).references(term) == {name: 1}
            owners.setdefault(term.lower(), set()).add(name)
    assert {term: names for term, names in owners.items() if len(names) > 1} == {}


def test_neutral_sentences_name_no_perspective() -> None:
    lexicon = Lexicon(load_pack("civilizations").lexicon)
    assert len(neutral_sentences()) == 560
    assert [line for line in neutral_sentences() if lexicon.references(line)] == []


def test_the_shipped_classifier_does_not_fall_below_its_floor_on_dev_sentences() -> None:
    items = bench("dev")
    labels = shipped().label([item["text"] for item in items])
    right = np.array([a.label == b["perspective"] for a, b in zip(labels, items, strict=True)])
    explicit = np.array([item["explicit"] for item in items])
    neutral = np.array([item["perspective"] == NONE for item in items])
    assert right[explicit].mean() >= 0.9
    assert right[neutral].mean() >= 0.85
    assert right[~explicit & ~neutral].mean() >= 0.38


def test_sentences_that_were_learned_from_are_labelled_by_models_that_had_not_seen_them() -> None:
    classifier = small()
    known = persona("river").commitments[0].statement.split(". ")[0] + "."
    told = f"{known[:-1]} (A book, chapter 1 (the beginning))."
    strange = "Nobody has said anything of the kind."
    labels, seen = classifier.label_held_out([known, told, strange])
    plainly = classifier.label([known, told, strange])
    assert seen == 2
    assert [each.sentence for each in labels] == [known, told, strange]
    assert labels[0].probabilities["river"] < plainly[0].probabilities["river"]
    assert labels[1].probabilities == labels[0].probabilities
    assert labels[2] == plainly[2]
    assert classifier.label_held_out([]) == ([], 0)
