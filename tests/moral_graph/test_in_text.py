"""Values that a text shows: nearest cards above a floor, and Schwartz's values through them."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from multiplex.content.schwartz import SCHWARTZ_VALUES, group_of
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.in_text import Span, nearness_floor, spans_of, values_in_text
from tests.table import Words

GROUPS = {value: group_of(value) for value in SCHWARTZ_VALUES}
POLICIES = ("MOMENTS of care", "PEOPLE in need", "RULES that bind")


def card(name: str, title: str, description: str, *schwartz: str) -> ValuesCard:
    return ValuesCard(
        id=name, title=title, description=description, policies=POLICIES, schwartz=schwartz, context=""
    )


CARDS = (
    card(
        "water", "Clean water", "Rivers belong to all. Nobody may foul a stream.", "Protect the Environment"
    ),
    card("elders", "Care for elders", "We owe our parents care.", "Honoring of Parents and Elders", "Loyal"),
    card("plain", "Play", "Children need games."),
)
embed = Words().embed


def test_sentences_show_the_card_they_are_nearest_to() -> None:
    text = "Nobody may foul a stream. We owe our parents care. Children need games. Seven buses stopped."
    found = values_in_text(spans_of(text, where="a.txt"), CARDS, embed, floor=0.9, groups=GROUPS)
    assert [each.card for each in found.shown] == ["water", "elders", "plain", None]
    assert [each.nearness for each in found.shown[:3]] == pytest.approx([1, 1, 1], abs=1e-5)
    assert found.shown[0].span == Span("Nobody may foul a stream.", "a.txt")
    assert (found.spans, found.none, found.untagged, found.reason) == (4, 1, 1, None)
    assert found.cards.counts == {"elders": 1, "plain": 1, "water": 1}
    assert found.cards.shares == pytest.approx(dict.fromkeys(("elders", "plain", "water"), 1 / 3))
    assert found.schwartz.counts == {
        "Protect the Environment": 1,
        "Honoring of Parents and Elders": 0.5,
        "Loyal": 0.5,
    }
    assert found.groups.shares == {"self_transcendence": 0.75, "conservation": 0.25}
    assert found.names == {}


def test_names_of_a_model_are_counted_and_lead_in_to_the_span() -> None:
    spans = [Span("They came.", "a", "Clean water"), Span("They left.", "a", "clean water")]
    alone = values_in_text([Span("They came.")], CARDS, embed, floor=0.5, groups=GROUPS)
    named = values_in_text(spans, CARDS, embed, floor=0.5, groups=GROUPS)
    assert alone.cards.counts == {}
    assert named.cards.counts == {"water": 2}
    assert named.names == {"clean water": 2}


def test_a_text_without_values_says_why() -> None:
    nothing = values_in_text([], CARDS, embed, floor=0.5, groups=GROUPS)
    assert (nothing.reason, nothing.cards.shares, nothing.cards.total) == (
        "no span was found in the text",
        None,
        0,
    )
    far = values_in_text(spans_of("Seven buses stopped."), CARDS, embed, floor=0.9, groups=GROUPS)
    assert (far.reason, far.none) == ("no card is near to anything in the text", 1)
    assert far.groups.shares is None


def test_equally_near_cards_leave_it_to_the_first() -> None:
    twins = (card("a", "Water", "Same words here."), card("b", "Water", "Same words here."))
    found = values_in_text(spans_of("Same words here."), twins, embed, floor=0.5, groups=GROUPS)
    assert found.cards.counts == {"a": 1}


def test_what_makes_no_sense_is_refused() -> None:
    spans = spans_of("Water.")
    with pytest.raises(ValueError, match="none to map"):
        values_in_text(spans, (), embed, floor=0.5, groups=GROUPS)
    with pytest.raises(ValueError, match="same id"):
        values_in_text(spans, (CARDS[0], CARDS[0]), embed, floor=0.5, groups=GROUPS)
    for floor in (float("nan"), 1.5):
        with pytest.raises(ValueError, match="between -1 and 1"):
            values_in_text(spans, CARDS, embed, floor=floor, groups=GROUPS)
    with pytest.raises(ValueError, match="'Kindness' is in no group"):
        values_in_text(spans, (card("x", "X", "", "Kindness"),), embed, floor=0.5, groups=GROUPS)


def test_the_floor_is_what_one_neutral_sentence_in_twenty_exceeds() -> None:
    near = np.linspace(0, 0.99, 100)
    vectors = {f"line {i}": (value, float(np.sqrt(1 - value**2))) for i, value in enumerate(near)}

    def table(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([vectors.get(text, (1.0, 0.0)) for text in texts], dtype=np.float32)

    floor = nearness_floor(list(vectors), [card("a", "A", "B.")], table)
    assert floor == pytest.approx(np.quantile(near, 0.95), abs=1e-6)
    assert sum(value > floor for value in near) == 5
    with pytest.raises(ValueError, match="no sentences"):
        nearness_floor([], CARDS, embed)
    with pytest.raises(ValueError, match="exceeded"):
        nearness_floor(["a"], CARDS, embed, exceeded=0)


words = "water rivers elders parents care games buses nobody".split()  # noqa: SIM905
texts = st.lists(st.lists(st.sampled_from(words), min_size=1, max_size=5).map(" ".join), max_size=8)


@given(texts, st.floats(0, 1))
def test_counts_add_up_in_any_order(lines: list[str], floor: float) -> None:
    spans = [Span(line) for line in lines]
    found = values_in_text(spans, CARDS, embed, floor=floor, groups=GROUPS)
    again = values_in_text(spans[::-1], CARDS, embed, floor=floor, groups=GROUPS)
    assert (found.cards, found.schwartz, found.groups) == (again.cards, again.schwartz, again.groups)
    assert found.none + sum(found.cards.counts.values()) == found.spans == len(lines)
    assert found.schwartz.total == pytest.approx(found.cards.total - found.untagged)
    assert found.groups.total == pytest.approx(found.schwartz.total)
    for part in (found.cards, found.schwartz, found.groups):
        assert part.shares is None or sum(part.shares.values()) == pytest.approx(1)
    higher = values_in_text(spans, CARDS, embed, floor=1, groups=GROUPS)
    assert higher.none >= found.none
