"""Winning values: four rankings, and what is said where they disagree."""

import math

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.bradley_terry import bradley_terry
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import PROFILES, Counts, Edge, Profile
from multiplex.moral_graph.graph import MoralGraph, aggregate, to_networkx
from multiplex.moral_graph.judgements import Judgement, Opinion
from multiplex.moral_graph.ranking import Compared, Winner, Winners, comparisons, winning_values

CARDS = [
    ValuesCard(
        id=id_,
        title=f"T {id_}",
        description="About it.",
        policies=("MOMENTS x", "SIGNS y", "WAYS z"),
        context="care",
    )
    for id_ in "abcdefghijkl"
]
YES: list[Opinion] = ["wiser", "wiser"]


def graph_of(
    pairs: dict[str, list[Opinion]], *, context: str = "care", profile: Profile = "multiplex"
) -> MoralGraph:
    return aggregate(CARDS, judgements(pairs, context), profile=profile)


def judgements(pairs: dict[str, list[Opinion]], context: str) -> list[Judgement]:
    return [
        Judgement(source=pair[0], wiser=pair[1], context=context, judge=f"p{i}", verdict=verdict)
        for pair, verdicts in pairs.items()
        for i, verdict in enumerate(verdicts)
    ]


def imported(likelihoods: dict[str, float | None]) -> MoralGraph:
    """Return a graph of kept edges with these likelihoods and no counts, as others publish them."""
    edges = tuple(
        Edge(
            source=pair[0],
            wiser=pair[1],
            contexts=("care",),
            counts=Counts(),
            likelihood=likelihood,
            interval=None,
            entropy=None,
            kept=True,
        )
        for pair, likelihood in likelihoods.items()
    )
    return MoralGraph(values=tuple(CARDS), edges=edges, thresholds=PROFILES["dft"])


def order(winners: Winners, rank: str) -> list[tuple[str, int]]:
    return sorted(((each.id, getattr(each, rank)) for each in winners.values), key=lambda pair: pair[::-1])


def test_rank_flows_from_source_to_wiser() -> None:
    winners = winning_values(graph_of({"ab": YES}))
    assert winners.reason is None
    assert [(each.id, each.rank, each.likelihood_rank) for each in winners.values] == [
        ("b", 1, 1),
        ("a", 2, 2),
    ]
    # r_a = 0.075 + 0.425 r_b, r_a + r_b = 1
    assert winners.values[1].pagerank == pytest.approx(0.5 / 1.425)
    assert winners.values[0].likelihood_sum == 1


def test_the_dft_variant_lets_the_mass_of_dangling_values_leak() -> None:
    better, worse = winning_values(graph_of({"ab": YES})).values
    # r_a = (1 - 0.85) / 2, r_b = r_a + 0.85 r_a; r_b is passed on to nobody.
    assert worse.dft_pagerank == pytest.approx(0.075)
    assert better.dft_pagerank == pytest.approx(0.075 * 1.85)
    assert (better.dft_rank, worse.dft_rank) == (1, 2)


def test_the_rankings_can_name_different_winners_and_a_warning_says_which() -> None:
    # c hears from two weak values, d from c alone.
    winners = winning_values(graph_of({"ac": YES, "bc": YES, "cd": YES}))
    assert winners.winners == {
        "pagerank": ("d",),
        "dft_pagerank": ("d",),
        "likelihood_sum": ("c",),
        "bradley_terry": ("d",),
    }
    assert winners.warning == (
        "The rankings disagree on the first place: 'T d' under PageRank, PageRank as in dft and Bradley-Terry "
        "(no pair has the 5 verdicts that robustness needs), 'T c' under summed likelihood."
    )
    assert winners.values[0].id == "d"
    assert winners.values[0].likelihood_rank == 2


def test_a_warning_names_three_of_many_that_tie() -> None:
    pairs = dict.fromkeys(("ac", "bc", "cd", "ef", "gh", "ij", "kl"), YES)
    warning = winning_values(graph_of(pairs)).warning
    assert warning is not None
    assert "'T d', 'T f', 'T h' and 2 more under Bradley-Terry (" in warning


def test_rankings_that_share_a_winner_agree() -> None:
    # Summed likelihood has b and c first, and the others c.
    winners = winning_values(graph_of({"ab": YES, "bc": YES}))
    assert winners.winners["likelihood_sum"] == ("b", "c")
    assert winners.winners["pagerank"] == ("c",)
    assert winners.warning is None


def test_ties_share_a_rank() -> None:
    winners = winning_values(graph_of({"ab": YES, "cd": YES}))
    for rank in ("rank", "dft_rank", "likelihood_rank"):
        assert order(winners, rank) == [("b", 1), ("d", 1), ("a", 3), ("c", 3)]


def test_bradley_terry_ranks_within_a_component() -> None:
    winners = winning_values(graph_of({"ab": YES, "cd": YES, "de": YES}))
    assert order(winners, "component") == [("c", 1), ("d", 1), ("e", 1), ("a", 2), ("b", 2)]
    assert order(winners, "bradley_terry_rank") == [("b", 1), ("e", 1), ("a", 2), ("d", 2), ("c", 3)]


def test_bradley_terry_ranks_whatever_was_compared_and_the_warning_sees_who_is_first() -> None:
    # Six contexts found c wiser than b, one judge in each, so that none is kept; a to b alone is.
    one_each = [each for n in range(6) for each in judgements({"bc": ["wiser"]}, f"context {n}")]
    graph = aggregate(CARDS, [*judgements({"ab": YES}, "care"), *one_each])
    found = winning_values(graph)
    assert [(each.id, each.bradley_terry_rank) for each in found.values] == [("b", 2), ("a", 3)]
    (other,) = found.others
    assert (other.id, other.bradley_terry_rank, other.component) == ("c", 1, 1)
    assert (other.pagerank, other.rank, other.likelihood_sum, other.dft_pagerank) == (None,) * 4
    assert other.reason.startswith("ends no kept edge")
    assert found.winners["bradley_terry"] == ("c",)
    assert found.warning is not None
    assert "'T c' under robust Bradley-Terry" in found.warning


def test_bradley_terry_is_called_robust_where_a_pair_has_the_verdicts_for_it() -> None:
    few = winning_values(graph_of({"ab": ["wiser"] * 4}))
    assert (few.bounded, few.methods["bradley_terry"].partition(" (")[0]) == (0, "Bradley-Terry")
    some = winning_values(graph_of({"ab": ["wiser"] * 5, "bc": ["wiser"] * 4, "cd": ["wiser"] * 9}))
    assert (some.bounded, some.methods["bradley_terry"]) == (2, "robust Bradley-Terry")


def test_a_component_without_a_kept_edge_is_ranked_and_names_no_winner() -> None:
    found = winning_values(graph_of({"ab": YES, "cd": ["unsure"]}))
    assert [(each.id, each.component, each.bradley_terry_rank) for each in found.others] == [
        ("c", 2, 1),
        ("d", 2, 1),
    ]
    assert found.winners["bradley_terry"] == ("b",)
    assert found.warning is None


def test_a_context_is_taken_by_its_whole_name() -> None:
    both = [*judgements({"ab": YES}, "care"), *judgements({"bc": YES}, "care of the old")]
    graph = aggregate(CARDS, both)
    assert [each.id for each in winning_values(graph).values] == ["c", "b", "a"]
    assert [each.id for each in winning_values(graph, context="care").values] == ["b", "a"]
    with pytest.raises(ValueError, match=r"in the context 'car'; did you mean 'care'\?"):
        winning_values(graph, context="car")
    with pytest.raises(ValueError, match="there are none"):
        winning_values(graph_of({}), context="care")


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [({}, "no transition was judged"), ({"ab": ["not_wiser"]}, "none of 1 judged edges passed")],
)
def test_without_a_kept_edge_there_is_a_reason_and_no_winner(
    pairs: dict[str, list[Opinion]], reason: str
) -> None:
    winners = winning_values(graph_of(pairs))
    assert winners.values == ()
    assert winners.winners == {}
    assert winners.reason is not None
    assert reason in winners.reason


def test_comparisons_count_wiser_as_a_win_and_unsure_and_not_wiser_as_ties() -> None:
    graph = graph_of({"ab": ["wiser", "wiser", "unsure", "not_wiser", "abstained"]})
    assert comparisons(graph) == {("b", "a"): 3, ("a", "b"): 1}
    (edge,) = graph.edges
    assert edge.likelihood == 0.5
    assert (1 + edge.likelihood) / 2 == 3 / 4


@pytest.mark.parametrize("profile", ["multiplex", "dft"])
def test_a_verdict_on_the_reversed_move_is_counted_once(profile: Profile) -> None:
    graph = graph_of({"ab": ["wiser", "wiser", "wiser"], "ba": ["wiser"]}, profile=profile)
    assert comparisons(graph) == {("b", "a"): 3, ("a", "b"): 1}
    kept = graph.model_copy(update={"edges": tuple(edge for edge in graph.edges if edge.kept)})
    assert comparisons(kept) == {("b", "a"): 3, ("a", "b"): 1}


def test_an_edge_that_was_asserted_and_not_judged_is_one_win() -> None:
    winners = winning_values(imported({"ab": None, "bc": None}))
    assert comparisons(imported({"ab": None})) == {("b", "a"): 1, ("a", "b"): 0}
    assert [each.id for each in winners.values] == ["c", "b", "a"]


@pytest.mark.parametrize("profile", ["multiplex", "dft"])
def test_cycles_are_ranked_and_self_loops_are_left_out(profile: Profile) -> None:
    winners = winning_values(graph_of({"ab": YES, "bc": YES, "ca": YES}, profile=profile))
    for rank in ("rank", "dft_rank", "likelihood_rank", "bradley_terry_rank"):
        assert {each[1] for each in order(winners, rank)} == {1}
    assert winners.warning is None
    assert comparisons(imported({"aa": 1.0, "ab": 1.0})) == {("b", "a"): 1, ("a", "b"): 0}
    assert winning_values(imported({"aa": 1.0, "ab": 0.5})) == winning_values(imported({"ab": 0.5}))
    assert winning_values(imported({"aa": 1.0})).values == ()


@pytest.mark.parametrize("likelihood", [math.nan, math.inf, -0.5, 0.0])
def test_a_kept_edge_needs_a_likelihood_that_rank_can_flow_along(likelihood: float) -> None:
    with pytest.raises(ValueError, match=r"from 'a' to 'b' is kept with the likelihood|for Edge\nlikelihood"):
        winning_values(imported({"ab": likelihood}))


@pytest.mark.parametrize("damping", [-0.1, 1.0, math.nan])
def test_damping_is_at_least_0_and_below_1(damping: float) -> None:
    with pytest.raises(ValueError, match="damping="):
        winning_values(graph_of({"ab": YES}), damping=damping)


pairs_of_values = st.dictionaries(
    st.permutations("abcdef").map(lambda letters: letters[0] + letters[1]),
    st.lists(st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure"]), min_size=1, max_size=6),
    max_size=12,
)


@given(pairs_of_values, st.sampled_from(["multiplex", "dft"]), st.sampled_from([0.0, 0.5, 0.85, 0.99]))
def test_pageranks_are_those_of_networkx_and_the_leaking_ones_a_constant_times_these(
    pairs: dict[str, list[Opinion]], profile: Profile, damping: float
) -> None:
    graph = graph_of(pairs, profile=profile)
    winners = winning_values(graph, damping=damping)
    assert bool(winners.values) == (winners.reason is None) == any(edge.kept for edge in graph.edges)
    if not winners.values:
        return
    assert sum(each.pagerank for each in winners.values) == pytest.approx(1, abs=1e-6)
    oracle = nx.pagerank(to_networkx(graph), alpha=damping, tol=1e-12, max_iter=10_000)
    assert {each.id: each.pagerank for each in winners.values} == pytest.approx(oracle, abs=1e-6)
    assert [each.rank for each in winners.values] == sorted(each.rank for each in winners.values)
    assert winners.values[0].rank == 1
    total = sum(each.dft_pagerank for each in winners.values)
    assert 0 < total <= 1 + 1e-6
    if damping < 0.9:  # a hundred steps are enough
        for each in winners.values:
            assert each.dft_pagerank / total == pytest.approx(each.pagerank, abs=1e-6)
    assert all(winners.winners.values())
    agreed = set.intersection(*(set(ids) for ids in winners.winners.values()))
    assert (winners.warning is None) == bool(agreed)


@given(pairs_of_values)
def test_the_share_of_wins_of_an_edge_is_half_of_one_plus_its_likelihood(
    pairs: dict[str, list[Opinion]],
) -> None:
    one_way = {pair: verdicts for pair, verdicts in pairs.items() if pair[::-1] not in pairs}
    graph = graph_of(one_way)
    won = comparisons(graph)
    for edge in graph.edges:
        wins, losses = won[edge.wiser, edge.source], won[edge.source, edge.wiser]
        assert wins / (wins + losses) == pytest.approx((1 + (edge.likelihood or 0.0)) / 2)


@given(pairs_of_values, st.sampled_from(["multiplex", "dft"]))
def test_bradley_terry_ranks_are_those_of_the_fit_over_all_that_were_compared(
    pairs: dict[str, list[Opinion]], profile: Profile
) -> None:
    graph = graph_of(pairs, profile=profile)
    found = winning_values(graph)
    if not found.values:
        assert found.others == ()
        return
    everyone: list[Winner | Compared] = [*found.values, *found.others]
    ranked = {each.id: each for each in everyone}
    fit = bradley_terry(comparisons(graph), outlier_penalty=0.5)
    assert len(ranked) == len(found.values) + len(found.others)
    assert ranked.keys() == {id_ for id_, score in fit.scores.items() if score.value is not None}
    kept = {end for edge in graph.edges if edge.kept for end in (edge.source, edge.wiser)}
    assert {each.id for each in found.values} == kept
    for part in fit.components:
        scores = {id_: ranked[id_].bradley_terry for id_ in part}
        for id_ in part:
            assert ranked[id_].bradley_terry_rank == 1 + sum(s > scores[id_] for s in scores.values())
        first = {id_ for id_ in part if ranked[id_].bradley_terry_rank == 1}
        assert first & set(found.winners["bradley_terry"]) == (first if kept & set(part) else set())


@given(pairs_of_values, st.sampled_from(["multiplex", "dft"]))
def test_summed_likelihoods_are_those_of_the_kept_edges_into_a_value(
    pairs: dict[str, list[Opinion]], profile: Profile
) -> None:
    graph = graph_of(pairs, profile=profile)
    found = {each.id: each for each in winning_values(graph).values}
    for id_, each in found.items():
        into = [edge.likelihood or 0.0 for edge in graph.edges if edge.kept and edge.wiser == id_]
        assert each.likelihood_sum == pytest.approx(sum(into), abs=1e-9)
        assert 0 <= each.likelihood_sum <= len(into)
        assert each.likelihood_rank == 1 + sum(o.likelihood_sum > each.likelihood_sum for o in found.values())
