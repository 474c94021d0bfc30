"""What a language model is told when it is asked which values cards are one."""

from multiplex.acts import MergeCards
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import LanguageModelResponder
from tests.table import MILLER, NURSE, SAILOR, SCENARIO, card

CARDS = (card(MILLER), card(SAILOR), card(NURSE), card(NURSE, 1))


def told(*clusters: tuple[str, ...]) -> str:
    act = MergeCards(scenario=SCENARIO, cards=CARDS, clusters=clusters)
    return LanguageModelResponder(Scripted([])).messages(act)[-1]["content"]


def test_clusters_are_told_a_line_each_after_the_cards() -> None:
    text = told(("miller.1", "sailor.1"), ("nurse.1", "nurse.2"))
    assert text.index("</card>") < text.index("- miller.1, sailor.1\n- nurse.1, nurse.2\n")
    assert "each from one line" in text


def test_without_clusters_any_cards_may_be_one_value() -> None:
    text = told()
    assert text.count("<card ") == len(CARDS)
    assert "line" not in text.partition("<card ")[2].rpartition("</card>")[2]
