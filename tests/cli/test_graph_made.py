"""Which cards of several runs are offered as one value."""

from collections.abc import Sequence

import numpy as np

from multiplex.cli.graph_made import near_groups
from multiplex.embedding import Vectors
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.combining import Part
from multiplex.moral_graph.formats.cards import PublishedCard


class BagOfWords:
    """An embedding of the words that a text has."""

    name = "words"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row a text."""
        words = sorted({word for text in texts for word in text.split()})
        rows = np.array([[word in text.split() for word in words] for text in texts], dtype=np.float32)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def test_near_cards_of_two_runs_are_a_group() -> None:
    def part(name: str, *texts: str) -> Part:
        cards = [
            ValuesCard(
                id=text[0], title="T", description="", policies=(text, "SIGNS y", "WAYS z"), context=""
            )
            for text in texts
        ]
        return Part(name, cards, [])

    parts = [part("one", "a b c d e", "p q r s t"), part("two", "a b c d f")]
    assert near_groups(parts, BagOfWords(), distance=0.2) == [["one/a", "two/a"]]
    assert near_groups(parts, BagOfWords(), distance=0.001) == []
    assert near_groups([], BagOfWords(), distance=0.1) == []


def of_words(id_: str, title: str, words: str) -> ValuesCard:
    return ValuesCard(id=id_, title=title, description="", policies=(words, "SIGNS y", "WAYS z"), context="")


def test_near_cards_are_those_of_runs_that_have_none_of_the_same_words() -> None:
    first, second = of_words("1", "First", "a b c d e"), of_words("2", "Second", "a b c d e")
    parts = [Part("A", [first, second], []), Part("B", [second], [])]
    assert near_groups(parts, BagOfWords(), distance=0.2) == []
    assert near_groups(
        [*parts, Part("C", [of_words("1", "T", "a b c d e")], [])], BagOfWords(), distance=0.2
    ) == [["A/1", "C/1"]]
    bare = [PublishedCard(id="x", title=title, description="", context="") for title in "TU"]
    parts = [Part("A", bare[:1], []), Part("B", bare[1:], [])]
    assert near_groups(parts, BagOfWords(), distance=0.2) == []


def test_the_order_of_runs_and_cards_does_not_change_which_are_near() -> None:
    one = of_words("a", "T", "a b c d e")
    others = [of_words("b1", "T", "a b c d f"), of_words("b2", "T", "a b c d g")]
    for parts in (
        [Part("A", [one], []), Part("B", others, [])],
        [Part("B", others, []), Part("A", [one], [])],
        [Part("B", others[::-1], []), Part("A", [one], [])],
    ):
        assert near_groups(parts, BagOfWords(), distance=0.2) == [["A/a", "B/b1"]]
