"""Borda, approval, instant run-off, Copeland and minimax: textbook elections and properties."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiplex.voting import (
    Outcome,
    approval,
    approved_by_endorsement,
    approved_by_rank,
    borda,
    copeland,
    instant_runoff,
    minimax,
    schulze,
)

# The capital of Tennessee (Wikipedia, "Comparison of voting rules" and each rule's page): the voters of
# each city in percent, who prefer what is near. Memphis, Nashville, Chattanooga, Knoxville.
TENNESSEE = [[0, 1, 2, 3]] * 42 + [[3, 0, 1, 2]] * 26 + [[3, 2, 0, 1]] * 15 + [[3, 2, 1, 0]] * 17
MEMPHIS, NASHVILLE, CHATTANOOGA, KNOXVILLE = range(4)

Rule = Callable[..., Outcome]


def approval_of_the_best(rankings: list[Any]) -> Outcome:
    given_rankings = list(rankings)
    n = next((len(row) for row in given_rankings if row is not None), 1)
    return approval(approved_by_rank(given_rankings, top=1), candidates=n)


def split_runoff(rankings: list[Any]) -> Outcome:
    return instant_runoff(rankings, level="split")


def minimax_by_margins(rankings: list[Any]) -> Outcome:
    return minimax(rankings, strength="margins")


RULES: list[Rule] = [
    schulze,
    borda,
    approval_of_the_best,
    instant_runoff,
    split_runoff,
    copeland,
    minimax,
    minimax_by_margins,
]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)

profiles = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n), min_size=n, max_size=n), min_size=1, max_size=9)
)


def test_tennessee_counts_as_in_the_textbook() -> None:
    assert borda(TENNESSEE).scores == (126, 194, 173, 107)
    assert borda(TENNESSEE).winners == (NASHVILLE,)
    assert copeland(TENNESSEE).scores == (0, 3, 2, 1)
    assert copeland(TENNESSEE).ranks == (3, 0, 1, 2)
    assert approval_of_the_best(TENNESSEE).scores == (42, 26, 15, 17)
    assert minimax(TENNESSEE).scores == (-58, 0, -68, -83)
    assert minimax_by_margins(TENNESSEE).scores == (-16, 0, -36, -66)
    for rule in (schulze, minimax, minimax_by_margins):
        assert rule(TENNESSEE).winners == (NASHVILLE,)


def test_tennessee_runs_off_to_knoxville() -> None:
    outcome = instant_runoff(TENNESSEE)
    assert [round.votes for round in outcome.rounds] == [
        {0: 42, 1: 26, 2: 15, 3: 17},
        {0: 42, 1: 26, 3: 32},
        {0: 42, 3: 58},
        {3: 100},
    ]
    assert [round.eliminated for round in outcome.rounds] == [(CHATTANOOGA,), (NASHVILLE,), (MEMPHIS,), ()]
    assert outcome.ranks == (1, 2, 3, 0)
    assert outcome.winners == (KNOXVILLE,)


def test_winning_votes_and_margins_part_where_ballots_have_ties() -> None:
    # 0 loses to 2 by 6 to 3, 1 to 0 by 4 to 2, 2 to 1 by 5 to 4.
    rows = [[1, 1, 0]] * 3 + [[2, 0, 1]] * 2 + [[1, 2, 0]] + [[0, 1, 2]] * 3
    assert minimax(rows).scores == (-6, -4, -5)
    assert minimax(rows).winners == (1,)
    assert minimax_by_margins(rows).scores == (-3, -2, -1)
    assert minimax_by_margins(rows).winners == (2,)


def test_a_tied_candidate_gets_half_a_point_in_a_duel_and_in_a_ballot() -> None:
    assert copeland([[0, 1, 2], [1, 0, 2]]).scores == (1.5, 1.5, 0)
    assert borda([[0, 0, 1]]).scores == (1.5, 1.5, 0)


def test_the_last_leave_together_or_by_lot() -> None:
    rows = [[0, 1, 2, 2]] * 4 + [[2, 1, 0, 2]] * 2 + [[2, 0, 1, 2]] * 2
    assert instant_runoff(rows).rounds[0].eliminated == (3,)
    assert instant_runoff(rows).rounds[1].eliminated == (1, 2)
    assert instant_runoff(rows).winners == (0,)
    drawn = {instant_runoff(rows, ties="lot", seed=seed).winners for seed in range(20)}
    assert drawn == {(0,), (1,), (2,)}
    level = [[0, 1], [1, 0]]
    assert instant_runoff(level).winners == (0, 1)
    assert {instant_runoff(level, ties="lot", seed=seed).winners for seed in range(20)} == {(0,), (1,)}
    with pytest.raises(ValueError, match="needs a seed"):
        instant_runoff(level, ties="lot")


def test_a_tied_first_place_counts_whole_or_is_divided() -> None:
    rows = [[0, 0, 1], [0, 0, 1], [1, 1, 0], [1, 0, 1]]
    assert instant_runoff(rows).rounds[0].votes == {0: 2, 1: 3, 2: 1}
    assert instant_runoff(rows, level="split").rounds[0].votes == {0: 1, 1: 2, 2: 1}


def test_thirds_of_a_vote_add_up_exactly() -> None:
    # Three thirds are one vote: with rounding one of the last would be spared.
    rows = [[0, 0, 0, 1]] * 3 + [[1, 1, 1, 0]]
    assert instant_runoff(rows, level="split").winners == (0, 1, 2, 3)


def test_endorsements_approve_from_a_threshold() -> None:
    approved = approved_by_endorsement([[7, 5, 4], [1, None, 2], None, [None, None, None]])
    assert approved == [{0, 1}, set(), None, None]
    outcome = approval(approved, candidates=3)
    assert (outcome.scores, outcome.ballots, outcome.abstained) == ((1, 1, 0), 2, 2)
    with pytest.raises(ValueError, match="whole number from 1 to 7"):
        approved_by_endorsement([[8]])


def test_a_tie_at_the_threshold_is_approved_whole() -> None:
    assert approved_by_rank([[0, 1, 1, 3], None, [-1, -1, -1, -1]], top=2) == [{0, 1, 2}, None, None]
    with pytest.raises(ValueError, match="at least 1"):
        approved_by_rank([[0, 1]], top=0)


def test_approval_knows_its_candidates() -> None:
    with pytest.raises(ValueError, match="the candidates are 0 to 1"):
        approval([{2}], candidates=2)
    with pytest.raises(ValueError, match="needs a candidate"):
        approval([], candidates=0)
    assert approval([[0, 0]], candidates=1).scores == (1,)


@every_rule
def test_without_a_ballot_there_is_a_reason(rule: Rule) -> None:
    outcome = rule([])
    assert (outcome.ranks, outcome.scores, outcome.winners) == (None, (), ())
    assert outcome.reason == "there is no ballot"
    assert rule([None, None]).reason == "everyone abstained"
    assert rule([None, None]).abstained == 2


@every_rule
@pytest.mark.parametrize("bad", [[[0, 1], [0, 1, 2]], [[0, -1]], [[]], [[0, float("nan")]], [["a", "b"]]])
def test_malformed_ballots_are_refused_by_every_rule(rule: Rule, bad: list[Any]) -> None:
    with pytest.raises(ValueError, match="needs a rank of at least 0"):
        rule(bad)


@every_rule
@given(profiles, st.randoms(use_true_random=False))
def test_ballots_and_candidates_are_treated_alike(rule: Rule, rows: list[list[int]], rng: Random) -> None:
    ranks = rule(rows).ranks
    assert ranks is not None
    assert rule([*rows[::-1], None]).ranks == ranks
    order = list(range(len(rows[0])))
    rng.shuffle(order)
    assert rule([[row[i] for i in order] for row in rows]).ranks == tuple(ranks[i] for i in order)


@every_rule
@given(profiles)
def test_ranks_are_dense_and_follow_the_scores(rule: Rule, rows: list[list[int]]) -> None:
    outcome = rule(rows)
    assert outcome.ranks is not None
    assert sorted(set(outcome.ranks)) == list(range(max(outcome.ranks) + 1))
    assert len(outcome.scores) == len(outcome.ranks) == len(rows[0])
    best = max(outcome.scores)
    assert outcome.winners == tuple(x for x, score in enumerate(outcome.scores) if score == best)


@every_rule
@given(st.permutations(range(4)), st.integers(1, 5))
@settings(max_examples=20)
def test_what_everyone_puts_first_wins_alone(rule: Rule, row: list[int], voters: int) -> None:
    assert rule([row] * voters).winners == (row.index(0),)


@given(profiles)
def test_scores_keep_their_bounds(rows: list[list[int]]) -> None:
    voters, n = len(rows), len(rows[0])
    assert sum(borda(rows).scores) == voters * n * (n - 1) / 2
    assert sum(copeland(rows).scores) == n * (n - 1) / 2
    assert all(-voters <= score <= 0 for score in minimax(rows).scores)
    assert all(0 <= score <= voters for score in approval_of_the_best(rows).scores)


@given(profiles)
def test_who_wins_every_duel_wins_by_copeland_and_minimax(rows: list[list[int]]) -> None:
    n = len(rows[0])
    for x in range(n):
        duels = [(sum(r[x] < r[y] for r in rows), sum(r[y] < r[x] for r in rows)) for y in range(n) if y != x]
        if all(won > lost for won, lost in duels):
            for rule in (copeland, minimax, minimax_by_margins, schulze):
                assert rule(rows).winners == (x,)


@given(profiles, st.integers(0, 99))
def test_the_lot_leaves_one_winner_and_a_strict_order(rows: list[list[int]], seed: int) -> None:
    outcome = instant_runoff(rows, ties="lot", seed=seed)
    assert outcome.ranks is not None
    assert sorted(outcome.ranks) == list(range(len(rows[0])))
    assert instant_runoff(rows, ties="lot", seed=seed) == outcome


@pytest.mark.parametrize(
    ("rule", "options", "known"),
    [
        (minimax, {"strength": "vote"}, "strength needs 'winning votes' or 'margins', not 'vote'"),
        (schulze, {"ties": "lot", "seed": 1}, "ties needs 'TIES_ALLOWED', 'RANDOM' or 'TBRC', not 'lot'"),
        (instant_runoff, {"ties": "lots", "seed": 1}, "ties needs 'all' or 'lot', not 'lots'"),
        (instant_runoff, {"level": "splits"}, "level needs 'approval' or 'split', not 'splits'"),
    ],
)
def test_what_is_no_option_is_refused_and_the_known_ones_are_named(
    rule: Rule, options: dict[str, Any], known: str
) -> None:
    for rows in ([[0, 1], [1, 0]], []):
        with pytest.raises(ValueError, match=known):
            rule(rows, **options)


def test_a_large_panel_is_counted() -> None:
    rows = [list(range(16))] * 6000 + [list(range(15, -1, -1))] * 4000
    assert schulze(rows).winners == copeland(rows).winners == instant_runoff(rows).winners == (0,)
