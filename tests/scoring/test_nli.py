"""Entailment as a classifier, with a table of probabilities and with a real cross-encoder of no use."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from multiplex.entailment import CrossEncoderEntailment, entailment_index
from multiplex.errors import ModelError
from multiplex.scoring.classifiers import NONE
from multiplex.scoring.measured import measure
from multiplex.scoring.nli import NliClassifier

PERSPECTIVES = ("river", "latin_american")


def entails(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Find a hypothesis entailed where its words after "from a" begin the premise."""
    return [0.9 if h.split("from a ")[1].split(" point")[0] in p else 0.2 for p, h in pairs]


def test_the_surest_hypothesis_is_the_label_and_shares_add_up() -> None:
    classifier = NliClassifier(PERSPECTIVES, entails)
    assert classifier.hypotheses[1] == "This speaks from a latin american point of view."
    river, none = classifier.label(["The river flows.", "It rained."])
    assert (river.label, none.label) == ("river", NONE)
    assert river.probabilities == pytest.approx({"river": 0.75, "latin_american": 1 / 6, NONE: 1 / 12})
    assert none.probabilities == pytest.approx({"river": 1 / 6, "latin_american": 1 / 6, NONE: 2 / 3})
    assert none.probability == none.probabilities[NONE]


def test_every_different_sentence_is_paired_once_with_every_hypothesis() -> None:
    seen: list[tuple[str, str]] = []

    def counting(pairs: Sequence[tuple[str, str]]) -> list[float]:
        seen.extend(pairs)
        return entails(pairs)

    labels = NliClassifier(PERSPECTIVES, counting).label(["a", "b", "a"])
    assert [each.sentence for each in labels] == ["a", "b", "a"]
    assert len(seen) == 4
    assert NliClassifier(PERSPECTIVES, counting).label([]) == []


def test_names_and_template_are_the_callers() -> None:
    classifier = NliClassifier(
        PERSPECTIVES, entails, template="A voice from a {perspective} point.", names={"river": "fluvial"}
    )
    assert classifier.hypotheses[0] == "A voice from a fluvial point."


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"perspectives": ()}, "the list is empty"),
        ({"perspectives": ("a", "a")}, "listed twice"),
        ({"template": "This is {it}."}, "needs to hold {perspective}"),
        ({"names": {"rivr": "x"}}, "did you mean 'river'"),
        ({"least": 1.5}, "least"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        NliClassifier(**{"perspectives": PERSPECTIVES, "entails": entails, **options})


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, float("nan")], [0.5, 1.2]])
def test_probabilities_that_make_no_sense_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="every pair a probability"):
        NliClassifier(PERSPECTIVES, lambda pairs: scores).label(["a"])


def test_its_confusion_can_be_measured() -> None:
    told = [("river", f"The river {i}.", str(i), True) for i in range(9)]
    told += [("latin_american", f"We, latin american {i}.", str(i), True) for i in range(9)]
    control = measure(NliClassifier(PERSPECTIVES, entails), told, ["It rained."]).control()
    assert (control.accuracy_implicit, control.accuracy_none) == (1, 1)


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        ({0: "contradiction", 1: "entailment", 2: "neutral"}, 1),
        ({0: "ENTAILMENT", 1: "NEUTRAL", 2: "CONTRADICTION"}, 0),
        ({0: "not_entailment", 1: "entailment"}, 1),
    ],
)
def test_entailment_is_found_by_its_name(labels: dict[int, str], place: int) -> None:
    assert entailment_index(labels, where="m") == place


@pytest.mark.parametrize(
    "labels", [{}, {0: "LABEL_0", 1: "LABEL_1"}, {0: "entailment"}, {0: "entailment", 1: "Entailment"}]
)
def test_a_model_without_one_entailment_label_is_refused(labels: dict[int, str]) -> None:
    with pytest.raises(ModelError, match="needs one label named 'entailment'"):
        entailment_index(labels, where="m")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a cross-encoder with random weights, two layers and forty words."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    untyped: Any = transformers
    folder = tmp_path_factory.mktemp("tiny")
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    words = [*special, *("the river flows", "it rained", "this speaks from a point of view")]
    words = [word for line in words for word in line.split()]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    untyped.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            id2label={0: "contradiction", 1: "entailment", 2: "neutral"},
            label2id={"contradiction": 0, "entailment": 1, "neutral": 2},
            initializer_range=0.5,
        )
        untyped.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_cross_encoder_gives_probabilities_of_entailment(tiny: Path) -> None:
    import torch
    import transformers

    model = CrossEncoderEntailment(str(tiny))
    pairs = [("the river flows", "it rained"), ("it rained", "the river flows"), ("a view", "a view")]
    found = model.entails(pairs)
    assert all(0 < p < 1 for p in found)
    assert found[0] != found[1]
    assert model.entails(pairs[::-1]) == pytest.approx(found[::-1], abs=1e-6)
    assert model.entails([]) == []

    # The same by transformers alone: softmax over the three labels, at the second.
    untyped: Any = transformers
    tokenizer = untyped.AutoTokenizer.from_pretrained(tiny)
    plain = untyped.AutoModelForSequenceClassification.from_pretrained(tiny).eval()
    with torch.no_grad():
        logits = plain(**tokenizer(*pairs[0], return_tensors="pt")).logits
    assert found[0] == pytest.approx(float(logits.softmax(dim=1)[0, 1]), abs=1e-5)


@pytest.mark.slow
def test_a_cross_encoder_labels_sentences(tiny: Path) -> None:
    classifier = NliClassifier(PERSPECTIVES, CrossEncoderEntailment(str(tiny)).entails)
    labels = classifier.label(["the river flows", "it rained"])
    assert all(sum(each.probabilities.values()) == pytest.approx(1) for each in labels)


@pytest.mark.slow
def test_a_folder_that_holds_no_such_model_is_named(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        CrossEncoderEntailment(str(tmp_path / "nothing")).entails([("a", "b")])
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}
    config["label2id"] = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="has 'LABEL_0', 'LABEL_1', 'LABEL_2'"):
        CrossEncoderEntailment(str(tmp_path)).entails([("a", "b")])
