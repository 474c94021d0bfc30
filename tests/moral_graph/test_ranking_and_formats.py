"""Winning values, and the graph in others' shapes."""

import json

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.formats import to_dft_json, to_graphml
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Opinion
from multiplex.moral_graph.ranking import winning_values


def graph_of(pairs: dict[str, list[Opinion]], *, context: str = "care", title: str = "T") -> MoralGraph:
    cards = [
        ValuesCard(
            id=id_,
            title=f"{title} {id_}",
            description="About it.",
            policies=("MOMENTS x", "SIGNS y", "WAYS z"),
            context=context,
            authors=("sufi",),
        )
        for id_ in "abcdef"
    ]
    judgements = [
        Judgement(
            transition=pair,
            source=pair[0],
            wiser=pair[1],
            context=context,
            judge=f"p{i}",
            verdict=v,
            reason="",
        )
        for pair, verdicts in pairs.items()
        for i, v in enumerate(verdicts)
    ]
    return aggregate(cards, judgements)


def test_rank_flows_from_source_to_wiser() -> None:
    winners = winning_values(graph_of({"ab": ["wiser", "wiser"]}))
    assert winners.reason is None
    assert [(each.id, each.rank, each.likelihood_rank) for each in winners.values] == [
        ("b", 1, 1),
        ("a", 2, 2),
    ]
    # r_a = 0.075 + 0.425 r_b, r_a + r_b = 1
    assert winners.values[1].pagerank == pytest.approx(0.5 / 1.425)
    assert winners.values[0].likelihood_sum == 1


def test_the_two_rankings_can_name_different_winners() -> None:
    # c hears from three weak values, d from b alone, which two others feed.
    yes: list[Opinion] = ["wiser", "wiser"]
    winners = winning_values(graph_of({"ac": yes, "bc": yes, "cd": yes})).values
    assert winners[0].id == "d"
    assert winners[0].likelihood_rank == 2
    assert next(each for each in winners if each.likelihood_rank == 1).id == "c"


def test_ties_share_a_rank() -> None:
    winners = winning_values(graph_of({"ab": ["wiser", "wiser"], "cd": ["wiser", "wiser"]})).values
    assert [(each.id, each.rank) for each in winners] == [("b", 1), ("d", 1), ("a", 3), ("c", 3)]


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [({}, "no transition was judged"), ({"ab": ["not_wiser"]}, "none of 1 judged edges passed")],
)
def test_without_a_kept_edge_there_is_a_reason_and_no_winner(
    pairs: dict[str, list[Opinion]], reason: str
) -> None:
    winners = winning_values(graph_of(pairs))
    assert winners.values == ()
    assert winners.reason is not None
    assert reason in winners.reason


pairs_of_values = st.dictionaries(
    st.permutations("abcdef").map(lambda letters: letters[0] + letters[1]),
    st.lists(st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure"]), min_size=1, max_size=6),
    max_size=12,
)


@settings(deadline=None)  # networkx imports scipy on the first call
@given(pairs_of_values)
def test_pageranks_add_up_to_one(pairs: dict[str, list[Opinion]]) -> None:
    graph = graph_of(pairs)
    winners = winning_values(graph)
    assert bool(winners.values) == (winners.reason is None) == any(edge.kept for edge in graph.edges)
    if winners.values:
        assert sum(each.pagerank for each in winners.values) == pytest.approx(1, abs=1e-6)
        assert [each.rank for each in winners.values] == sorted(each.rank for each in winners.values)
        assert winners.values[0].rank == 1


def test_the_published_edge_has_its_published_summary() -> None:
    graph = graph_of({"ab": ["wiser", "wiser", "wiser", "unsure"]})
    (edge,) = to_dft_json(graph)["edges"]
    assert edge["counts"] == {
        "markedWiser": 3,
        "markedNotWiser": 0,
        "markedLessWise": 0,
        "markedUnsure": 1,
        "impressions": 4,
        "asked": 4,
        "abstained": 0,
    }
    assert edge["summary"]["wiserLikelihood"] == 0.75
    assert edge["summary"]["entropy"] == pytest.approx(1.4056390622295665, abs=1e-15)
    assert edge["summary"]["entropyOfVerdicts"] == graph.edges[0].entropy
    assert (edge["sourceValueId"], edge["wiserValueId"], edge["contexts"]) == ("a", "b", ["care"])
    assert edge["kept"]


def test_the_dft_shape_has_its_keys_and_pools_contexts() -> None:
    cards = graph_of({}).values
    judgements = [
        Judgement(transition="t", source=s, wiser=w, context=c, judge="p", verdict="wiser", reason="")
        for s, w, c in [("a", "b", "care"), ("a", "b", "work"), ("b", "a", "news")]
    ]
    shape = to_dft_json(aggregate(cards, judgements), created="2026-01-01T00:00:00Z")
    assert [edge["contexts"] for edge in shape["edges"]] == [["care", "work"], ["news"]]
    assert shape["edges"][0]["counts"]["markedLessWise"] == 1
    assert shape["edges"][0]["counts"]["impressions"] == 3
    assert shape["edges"][0]["keptContexts"] == []
    value = shape["values"][0]
    published = ["id", "title", "instructionsShort", "instructionsDetailed", "evaluationCriteria"]
    assert list(value)[:7] == [*published, "createdAt", "updatedAt"]
    assert value["createdAt"] == value["updatedAt"] == "2026-01-01T00:00:00Z"
    assert value["evaluationCriteria"] == ["MOMENTS x", "SIGNS y", "WAYS z"]
    assert shape["thresholds"]["max_entropy"] == 1.5


def test_an_edge_without_verdicts_has_a_null_summary() -> None:
    shape = to_dft_json(graph_of({"ab": ["abstained"]}))
    summary = {"wiserLikelihood": None, "entropy": None, "entropyOfVerdicts": None}
    assert shape["edges"][0]["summary"] == summary
    assert shape["values"][0]["createdAt"] is None


@given(pairs_of_values)
def test_the_dft_shape_is_json_and_agrees_with_the_graph_where_there_is_one_context(
    pairs: dict[str, list[Opinion]],
) -> None:
    graph = graph_of(pairs)
    shape = json.loads(json.dumps(to_dft_json(graph), allow_nan=False))
    assert len(shape["edges"]) == len(graph.edges)
    for theirs, ours in zip(shape["edges"], graph.edges, strict=True):
        assert theirs["summary"]["wiserLikelihood"] == ours.likelihood
        assert theirs["summary"]["entropyOfVerdicts"] == ours.entropy
        assert theirs["kept"] == ours.kept
        assert theirs["counts"]["markedLessWise"] == ours.counts.less_wise


@given(st.text(max_size=10))
def test_graphml_can_be_read_back_whatever_the_titles(title: str) -> None:
    graph = graph_of({"ab": ["wiser", "wiser"], "cd": ["not_wiser"]}, context="R&D <home>", title=title)
    read = nx.parse_graphml(to_graphml(graph))
    assert sorted(read) == list("abcdef")
    assert read.edges["a", "b"] == {"weight": 1.0, "contexts": "R&D <home>", "kept": True}
    assert sorted(nx.parse_graphml(to_graphml(graph, kept_only=True))) == ["a", "b"]
