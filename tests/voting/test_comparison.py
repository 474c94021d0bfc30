"""The winner under every rule."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.voting import Rule, winners_under_every_rule

# The capital of Tennessee: see test_rules.
TENNESSEE = [[0, 1, 2, 3]] * 42 + [[3, 0, 1, 2]] * 26 + [[3, 2, 0, 1]] * 15 + [[3, 2, 1, 0]] * 17
CITIES = ("Memphis", "Nashville", "Chattanooga", "Knoxville")


def test_where_rules_differ_it_is_said() -> None:
    comparison = winners_under_every_rule(TENNESSEE, declared="schulze", top=1, names=CITIES)
    assert comparison.chosen == 1
    assert comparison.agreed is False
    assert comparison.winners == {
        "schulze": (1,),
        "borda": (1,),
        "approval": (0,),
        "instant run-off": (3,),
        "copeland": (1,),
        "minimax by winning votes": (1,),
        "minimax by margins": (1,),
    }
    assert comparison.sentence == (
        "The declared rule, schulze, chooses Nashville; others differ "
        "(approval: Memphis; instant run-off: Knoxville)."
    )


def test_where_rules_agree_it_is_said() -> None:
    comparison = winners_under_every_rule([[1, 0, 2], None], declared="borda")
    assert (comparison.chosen, comparison.agreed) == (1, True)
    assert comparison.sentence == "Every rule chooses 1."


def test_a_level_result_needs_the_lot_to_choose() -> None:
    level = [[0, 1], [1, 0]]
    assert winners_under_every_rule(level, declared="copeland").chosen is None
    assert winners_under_every_rule(level, declared="copeland").sentence == "Every rule chooses 0 and 1."
    drawn = {winners_under_every_rule(level, declared="copeland", seed=seed).chosen for seed in range(20)}
    assert drawn == {0, 1}


def test_without_a_ballot_nothing_is_chosen() -> None:
    comparison = winners_under_every_rule([None], declared="schulze", seed=1)
    assert (comparison.chosen, comparison.agreed, comparison.reason) == (None, None, "everyone abstained")
    assert comparison.sentence == "No rule has a winner: everyone abstained."
    assert winners_under_every_rule([], declared="schulze").reason == "there is no ballot"


def test_unknown_rules_and_wrong_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no rule named 'dictator'; the rules are schulze, borda"):
        winners_under_every_rule([[0]], declared="dictator")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 names for 2 candidates"):
        winners_under_every_rule([[0, 1]], declared="borda", names=["one"])
    with pytest.raises(ValueError, match="at least 1"):
        winners_under_every_rule([[0, 1]], declared="borda", top=0)


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=7), st.integers(0, 9)
)
def test_who_is_chosen_is_a_winner_of_the_declared_rule(rows: list[list[int]], seed: int) -> None:
    for declared in get_args(Rule):
        comparison = winners_under_every_rule(rows, declared=declared, seed=seed)
        assert comparison.chosen in comparison.winners[comparison.declared]
        assert comparison.agreed == (len(set(comparison.winners.values())) == 1)
