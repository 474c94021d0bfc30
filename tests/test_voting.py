"""Schulze's method against published elections."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.voting import Ties, schulze, strongest_paths
from multiplex.voting.profile import Matrix, read_rankings


def ballots(*groups: str) -> list[list[int]]:
    """Read "5x0213": five ballots; position is the candidate, digit the rank."""
    parsed = [group.split("x") for group in groups]
    return [[int(rank) for rank in ranks] for number, ranks in parsed for _ in range(int(number))]


ELECTOWIKI = ballots(
    "5x0213", "2x0312", "3x0321", "4x1023", "3x3102", "3x3201", "1x1320", "5x2130", "4x3210"
)  # fmt: skip


def duels(rows: list[list[int]]) -> Matrix:
    return tuple(map(tuple, read_rankings(rows).preferences().tolist()))


rankings = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n), min_size=n, max_size=n), min_size=1, max_size=9)
)


@pytest.mark.parametrize(
    ("given_ballots", "paths", "ranks"),
    [
        (ELECTOWIKI, ((0, 20, 20, 17), (19, 0, 19, 17), (19, 21, 0, 17), (18, 18, 18, 0)), (1, 3, 2, 0)),
        (
            ballots("3x0123", "2x1230", "2x3120", "2x3102"),
            ((0, 5, 5, 5), (5, 0, 7, 5), (5, 5, 0, 5), (6, 5, 5, 0)),
            (1, 0, 1, 0),
        ),
        (
            ballots("1x0012", "1x0132"),
            ((0, 1, 2, 2), (0, 0, 2, 2), (0, 0, 0, 0), (0, 0, 0, 0)),
            (0, 1, 2, 2),
        ),
        (
            ballots("2x0132", "1x1320", "1x2301", "1x2031"),
            ((0, 4, 4, 3), (3, 0, 3, 3), (0, 0, 0, 0), (3, 3, 4, 0)),
            (0, 1, 2, 0),
        ),
    ],
    ids=["electowiki 1", "electowiki 2", "ties", "habermas machine"],
)
def test_published_elections_come_out_as_published(
    given_ballots: list[list[int]], paths: tuple[tuple[int, ...], ...], ranks: tuple[int, ...]
) -> None:
    outcome = schulze(given_ballots)
    assert outcome.paths == paths
    assert outcome.ranks == ranks
    assert outcome.ballots == len(given_ballots)


def test_published_duels() -> None:
    expected = ((0, 11, 20, 14), (19, 0, 9, 12), (10, 21, 0, 17), (16, 18, 13, 0))
    assert duels(ELECTOWIKI) == expected


def test_abstentions_are_counted_and_change_nothing() -> None:
    outcome = schulze([[0, 1], None, [-1, -1], [0, 1]])
    assert (outcome.ranks, outcome.ballots, outcome.abstained) == ((0, 1), 2, 2)
    assert outcome.winners == (0,)


def test_without_a_ballot_there_is_a_reason_and_no_ranking() -> None:
    assert schulze([]).reason == "there is no ballot"
    outcome = schulze([None, [-1, -1]])
    assert (outcome.ranks, outcome.reason, outcome.winners) == (None, "everyone abstained", ())


@pytest.mark.parametrize("bad", [[[0, 1], [0, 1, 2]], [[0, -1]], [[]]])
def test_malformed_ballots_are_refused(bad: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="needs a rank of at least 0"):
        schulze(bad)


def test_breaking_ties_needs_a_seed() -> None:
    with pytest.raises(ValueError, match="needs a seed"):
        schulze([[0, 0]], ties="RANDOM")


def test_tbrc_breaks_a_tie_by_a_ballot_and_random_by_lot() -> None:
    # Only the first two candidates are level, and every ballot that splits them puts 0 first or 1 first.
    level = [[0, 1, 2], [1, 0, 2]]
    assert schulze(level).ranks == (0, 0, 1)
    for ties in ("RANDOM", "TBRC"):
        assert {schulze(level, ties=ties, seed=seed).ranks for seed in range(20)} == {(0, 1, 2), (1, 0, 2)}
    # With the same split on every ballot that splits at all, TBRC has no choice.
    cycle = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    assert schulze(cycle).ranks == (0, 0, 0)
    assert {schulze(cycle, ties="TBRC", seed=seed).ranks for seed in range(30)} == {
        tuple(row) for row in cycle
    }


@given(rankings)
def test_the_order_of_ballots_does_not_matter(rows: list[list[int]]) -> None:
    assert schulze(rows[::-1]) == schulze(rows)


@given(rankings, st.randoms(use_true_random=False))
def test_candidates_are_treated_alike(rows: list[list[int]], rng: Random) -> None:
    order = list(range(len(rows[0])))
    rng.shuffle(order)
    ranks = schulze(rows).ranks
    assert ranks is not None
    assert schulze([[row[i] for i in order] for row in rows]).ranks == tuple(ranks[i] for i in order)


@given(rankings)
def test_ranks_are_dense_and_follow_the_paths(rows: list[list[int]]) -> None:
    outcome = schulze(rows)
    assert outcome.ranks is not None
    assert sorted(set(outcome.ranks)) == list(range(max(outcome.ranks) + 1))
    n = len(rows[0])
    for x in range(n):
        for y in range(n):
            if outcome.paths[x][y] > outcome.paths[y][x]:
                assert outcome.ranks[x] < outcome.ranks[y]


@given(rankings)
def test_a_candidate_that_wins_every_duel_wins_alone(rows: list[list[int]]) -> None:
    d = duels(rows)
    others = range(len(d))
    for x in others:
        if all(d[x][y] > d[y][x] for y in others if y != x):
            assert schulze(rows).winners == (x,)


@given(st.permutations(range(5)), st.integers(1, 6))
def test_unanimity_is_the_result(ranking: list[int], voters: int) -> None:
    assert schulze([ranking] * voters).ranks == tuple(ranking)


@given(rankings, st.sampled_from(["RANDOM", "TBRC"]), st.integers(0, 2**31 - 1))
def test_broken_ties_leave_a_strict_order_that_refines_the_tied_one(
    rows: list[list[int]], ties: Ties, seed: int
) -> None:
    tied, broken = schulze(rows).ranks, schulze(rows, ties=ties, seed=seed).ranks
    assert tied is not None
    assert broken is not None
    assert sorted(broken) == list(range(len(rows[0])))
    assert all(broken[x] < broken[y] for x in range(len(tied)) for y in range(len(tied)) if tied[x] < tied[y])
    assert schulze(rows, ties=ties, seed=seed).ranks == broken


@given(rankings)
def test_a_path_is_at_least_as_strong_as_its_link(rows: list[list[int]]) -> None:
    d = duels(rows)
    p = strongest_paths(d)
    for x in range(len(d)):
        assert p[x][x] == 0
        assert all(p[x][y] >= d[x][y] for y in range(len(d)) if d[x][y] > d[y][x])
