"""What a good card is, as far as words show it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.content.schwartz import SCHWARTZ_VALUES
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.criteria import beyond_english, complaints

GOOD: dict[str, Any] = {
    "title": "Help unasked",
    # The first noun phrases are those of the published cards: MOMENTS where, CHANGES in, INSIGHTS that.
    "policies": [
        "MOMENTS where a person's pride makes asking harder than the work",
        "CHANGES in people when they are listened to",
        "INSIGHTS that emerge through patient conversation",
    ],
    "schwartz": ["Helpful"],
}


def found(**changed: Any) -> list[tuple[str, str]]:
    told = complaints({**GOOD, **changed}, basic_values=SCHWARTZ_VALUES)
    return [(each.criterion, each.where) for each in told]


def of_policy(policy: str) -> list[str]:
    policies = [*GOOD["policies"], policy]
    assert all(where == "policies[3]" for _, where in found(policies=policies))
    return [criterion for criterion, _ in found(policies=policies)]


def test_a_good_card_has_nothing_to_complain_of() -> None:
    assert complaints(GOOD) == ()
    card = ValuesCard.model_validate({**GOOD, "id": "a", "description": "It is.", "context": ""})
    assert complaints(card) == ()


def test_a_complaint_says_what_is_wrong_and_where() -> None:
    wrong = {**GOOD, "schwartz": ["Helpfull"]}
    [complaint] = complaints(wrong, basic_values=SCHWARTZ_VALUES)
    assert (complaint.criterion, complaint.where) == ("schwartz", "schwartz[0]")
    assert complaint.said == "no basic value is named 'Helpfull'; did you mean 'Helpful'?"
    assert complaints(wrong) == ()


@pytest.mark.parametrize("count", [0, 2, 8])
def test_a_card_has_three_to_seven_policies(count: int) -> None:
    nouns = ("MOMENTS", "SIGNS", "PEOPLE", "CHANGES", "WORDS", "ACTS", "DEBTS", "GIFTS")
    policies = [f"{noun} of quiet care" for noun in nouns[:count]]
    assert found(policies=policies) == [("number", "policies")]


@pytest.mark.parametrize(
    "policy",
    [
        "ACTS OF KINDNESS that nobody sees",
        "FAMILY MEALS where everyone is heard",
        "CHILDREN, whose questions are put off",
        "CRAFTSMEN who stay with one thing",
        "HANDINGS-ON of a trade",
        "PEOPLE near death",
        "BURDENS that adults must carry in public",
        "GROUPS that use a freedom in order to take it from others",
        "CURES that never reach those who need them",
    ],
)
def test_policies_that_are_as_they_should_be(policy: str) -> None:
    assert of_policy(policy) == []


@pytest.mark.parametrize(
    ("policy", "criterion"),
    [
        ("moments when help is needed", "noun"),
        ("A MOMENT of rest with friends", "noun"),
        ("LONELINESS among many people", "noun"),
        ("PATIENCE with slow learners", "noun"),
        ("CRISIS in a small town", "noun"),
        ("OLD people who are skipped", "noun"),
        ("MOMENTS together", "qualifier"),
        ("MOMENTS", "qualifier"),
        ("STEPS taken to achieve peace at home", "goal"),
        ("HABITS kept in order to win", "goal"),
        ("WORDS chosen so that everyone agrees", "goal"),
        ("GOALS that a family shares", "goal"),
        ("CHOICES that lead to a better outcome", "goal"),
        ("PEOPLE should be treated well", "norm"),
        ("MOMENTS when one ought to speak", "norm"),
        ("PROMISES must be kept by all", "norm"),
        ("CHILDREN need to be heard", "norm"),
        ("PROMISES of help: never break them", "norm"),
        ("LACK OF attention to the weak", "avoidance"),
        ("ABSENCES of respect in talk", "avoidance"),
        ("AVOIDANCE of needless harm", "avoidance"),
        ("changes in people when they are listened TO", "noun"),
        ("CHANGES in people, when they are listened to.", "repetition"),
    ],
)
def test_a_policy_that_falls_short_is_told_by_its_criterion(policy: str, criterion: str) -> None:
    assert criterion in of_policy(policy)


@pytest.mark.parametrize("title", ["A title of far too many words", " ", "", None, 3])
def test_a_title_has_one_to_six_words(title: object) -> None:
    assert found(title=title) == [("title", "title")]


@pytest.mark.parametrize("title", ["Friendship", "Neither too much nor too little"])
def test_the_shortest_and_the_longest_titles_pass(title: str) -> None:
    assert found(title=title) == []


@pytest.mark.parametrize("schwartz", [(), None, "Helpful", 7])
def test_a_card_carries_basic_values(schwartz: object) -> None:
    assert found(schwartz=schwartz) == [("schwartz", "schwartz")]


def test_an_empty_mapping_lacks_everything() -> None:
    assert [each.criterion for each in complaints({})] == ["title", "number", "schwartz"]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(title=anything, policies=anything | st.lists(anything, max_size=9), schwartz=anything)
def test_nothing_that_a_card_holds_raises(title: object, policies: object, schwartz: object) -> None:
    for each in complaints(
        {"title": title, "policies": policies, "schwartz": schwartz}, basic_values=SCHWARTZ_VALUES
    ):
        assert each.said
        assert each.where.split("[")[0] in {"title", "policies", "schwartz"}


@given(st.text(max_size=80))
def test_a_policy_that_passes_begins_with_capitals(policy: str) -> None:
    if not of_policy(policy):
        first = policy.split()[0].strip("\"'“”‘’,;:.()")
        assert first.isupper() or first.title() == first.lower() != ""


@pytest.mark.parametrize(
    "policy", ["順番を待つ家々", "順番 を待つ家々", "مشاركات كل بيت", "जल के बिना घर", "ოჯახები"]
)
def test_of_a_script_without_capitals_neither_noun_nor_qualifier_is_told(policy: str) -> None:
    assert of_policy(policy) == []
    assert found(policies=[*GOOD["policies"], policy, f"{policy}."]) == [("repetition", "policies[4]")]


def test_of_other_scripts_with_capitals_the_noun_is_held_against_english_plurals() -> None:
    assert of_policy("СЕМЬИ, где ждут воды") == ["noun"]
    assert of_policy("семьи, где ждут воды") == ["noun"]
    assert of_policy("123 of them wait") == ["noun"]


@pytest.mark.parametrize(
    ("policy", "beyond"),
    [
        ("MOMENTS of 順番 in line", False),
        ("“MOMENTS” that everyone knows", False),
        ("", False),
        ("順番を待つ家々", True),
        ("ÉLÈVES qui attendent", True),
        ("СЕМЬИ, где ждут воды", True),
    ],
)
def test_a_card_whose_plurals_are_not_known_is_told(policy: str, beyond: bool) -> None:
    assert beyond_english({**GOOD, "policies": [*GOOD["policies"], policy]}) is beyond
    assert beyond_english({"policies": None}) is False
