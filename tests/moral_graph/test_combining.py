"""Moral graphs merged, compared and walked; and where they contradict themselves."""

import itertools
import math
import time
from collections.abc import Sequence

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.across import near_across, same_words
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.combining import Part, merge_graphs, paths
from multiplex.moral_graph.comparing import difference
from multiplex.moral_graph.contradictions import cycles, self_contradictions
from multiplex.moral_graph.edges import PROFILES, Edge
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Opinion, Transition
from multiplex.moral_graph.merging import clusters

POLICIES = ("MOMENTS when x shows", "SIGNS of much y", "WAYS to z again")


def card(id_: str, title: str | None = None, *, context: str = "care") -> ValuesCard:
    return ValuesCard(
        id=id_, title=title or f"Title {id_}", description="", policies=POLICIES, context=context
    )


def said(pair: str, *verdicts: Opinion, context: str = "care", judge: str = "p") -> list[Judgement]:
    return [
        Judgement(source=pair[0], wiser=pair[1], context=context, judge=f"{judge}{i}", verdict=verdict)
        for i, verdict in enumerate(verdicts)
    ]


def sets(owners: str) -> list[set[str]]:
    return [{owner} for owner in owners]


def named(part: Part) -> Sequence[ValuesCard]:
    return [each.model_copy(update={"id": f"{part.name}/{each.id}"}) for each in part.cards]


def graph_of(*judgements: list[Judgement], ids: str = "abcde") -> MoralGraph:
    return aggregate([card(id_) for id_ in ids], itertools.chain(*judgements))


def test_the_same_value_of_two_runs_becomes_one_node_and_contexts_are_kept() -> None:
    one = Part("one", [card("a"), card("b")], said("ab", "wiser", "wiser"))
    two = Part(
        "two",
        [card("x", "Title a", context="work"), card("y", "Title b")],
        said("xy", "wiser", context="work"),
    )
    merged = merge_graphs([one, two])
    assert [value.id for value in merged.graph.values] == ["one/a", "one/b"]
    assert merged.aliases["two/x"] == "one/a"
    assert [(edge.source, edge.wiser, edge.contexts) for edge in merged.graph.edges] == [
        ("one/a", "one/b", ("care",)),
        ("one/a", "one/b", ("work",)),
    ]
    assert [edge.counts.wiser for edge in merged.graph.edges] == [2, 1]
    pooled = merge_graphs([one, two], thresholds=PROFILES["dft"]).graph
    assert [(edge.contexts, edge.counts.wiser, edge.counts.less_wise) for edge in pooled.edges] == [
        (("care", "work"), 3, 0),
        (("care", "work"), 0, 3),
    ]


def test_groups_that_share_a_card_are_one_and_judgements_within_it_are_counted_out() -> None:
    case = Transition(id="t", source="b", wiser="c", context="care", about="", story="", proposer="m")
    same = [card("a"), card("b", "Title a"), card("c", "Title a"), card("d")]
    part = Part("run", same, said("ab", "wiser") + said("cd", "unsure"), [case])
    others = [Part(name, [card("e", name)], []) for name in ("two", "three")]
    merged = merge_graphs([part, *others], [["run/b", "two/e"], ["two/e", "three/e"]])
    assert [value.id for value in merged.graph.values] == ["run/a", "run/d"]
    assert merged.aliases["three/e"] == "run/a"
    assert merged.inner == 1
    assert [(each.source, each.wiser) for each in merged.judgements] == [("run/a", "run/d")]
    assert merged.transitions == ()


def test_cards_that_a_run_kept_apart_are_not_merged_by_what_lies_between() -> None:
    angles = np.radians([0, 20, 8, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # One chain by DBSCAN; the third row is nearer to the first than to the second.
    assert clusters(vectors, distance=0.1) == [[0, 1, 2]]
    assert near_across(sets("1122"), vectors, distance=0.1) == [[0, 2]]
    assert near_across(sets("1234"), vectors, distance=0.1) == [[0, 1, 2]]
    assert near_across([{"1"}, {"2"}, {"2", "3"}, {"4"}], vectors, distance=0.1) == [[0, 2]]
    assert near_across([], [], distance=0.1) == []
    with pytest.raises(ValueError, match="every row needs its own"):
        near_across(sets("1"), vectors, distance=0.1)
    with pytest.raises(ValueError, match="and are a text"):
        near_across(["one", "one", "two", "two"], vectors, distance=0.1)


def test_what_a_run_kept_apart_is_not_merged_by_the_words_of_others() -> None:
    parts = [
        Part("A", [card("1", "First"), card("2", "Second")], said("12", "wiser")),
        Part("B", [card("1", "Second")], []),
    ]
    one, other = same_words((part.name, each) for part in parts for each in named(part))
    assert (one.ids, sorted(one.owners)) == (("A/1",), ["A"])
    assert (other.ids, sorted(other.owners)) == (("A/2", "B/1"), ["A", "B"])
    assert near_across([one.owners, other.owners], [[1, 0], [1, 0]], distance=0.15) == []
    merged = merge_graphs(parts)
    assert merged.aliases == {"A/1": "A/1", "A/2": "A/2", "B/1": "A/2"}
    assert merged.inner == 0
    with pytest.raises(
        ValueError, match=r"^'A/1' and 'B/1' cannot be one value: two cards that one part kept"
    ):
        merge_graphs(parts, [["A/1", "B/1"]])


def test_equal_rows_of_many_owners_are_one_group_in_a_moment() -> None:
    parts = [Part(f"r{i:04}", [card(f"{k}") for k in range(8)], []) for i in range(1000)]
    start = time.process_time()
    words = same_words((part.name, each) for part in parts for each in named(part))
    assert near_across([each.owners for each in words], np.eye(8), distance=0.15) == []
    assert len(merge_graphs(parts).graph.values) == 8
    groups = near_across([{str(index)} for index in range(2000)], np.ones((2000, 4)), distance=0.15)
    assert groups == [list(range(2000))]
    # All near and none equal: every pair is looked at.
    angles = np.radians(np.linspace(0, 5, 1000))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert len(near_across([{str(index)} for index in range(1000)], vectors, distance=0.15)) == 1
    assert time.process_time() - start < 15


def test_of_equally_near_rows_the_first_are_joined_whatever_rounding_says() -> None:
    for nudge in (-1e-6, 0, 1e-6):  # which moves a cosine by 2e-7
        angles = np.radians([0, 11, -11]) + np.array([0, 0, nudge])
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        assert near_across(sets("122"), vectors, distance=0.05) == [[0, 1]]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 90)), max_size=12))
def test_groups_lie_within_clusters_and_have_no_run_twice(rows: list[tuple[str, int]]) -> None:
    owners, degrees = [row[0] for row in rows], np.radians([row[1] for row in rows])
    vectors = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    wide = [set(cluster) for cluster in clusters(vectors, distance=0.01)]
    groups = near_across([{owner} for owner in owners], vectors, distance=0.01)
    for group in groups:
        assert len({owners[index] for index in group}) == len(group) > 1
        assert any(set(group) <= cluster for cluster in wide)
    placed = [index for group in groups for index in group]
    assert len(placed) == len(set(placed))


def test_cases_keep_their_judgements() -> None:
    case = Transition(id="t", source="a", wiser="b", context="care", about="", story="", proposer="m")
    judged = [said("ab", "wiser")[0].model_copy(update={"transition": "t"})]
    merged = merge_graphs([Part("run", [card("a"), card("b")], judged, [case])])
    assert merged.graph.edges[0].transitions == ("run/t",)
    assert [(each.id, each.source, each.wiser) for each in merged.transitions] == [
        ("run/t", "run/a", "run/b")
    ]


def test_what_cannot_be_merged_is_refused() -> None:
    part = Part("run", [card("a")], [])
    with pytest.raises(ValueError, match=r"^two parts have the name 'run'$"):
        merge_graphs([part, part])
    with pytest.raises(ValueError, match=r"^no card has the id 'run/b'; did you mean 'run/a'\?$"):
        merge_graphs([part], [["run/a", "run/b"]])
    with pytest.raises(ValueError, match=r"^part 'run': a move names the card 'z', which is not there$"):
        merge_graphs([Part("run", [card("a")], said("az", "wiser"))])
    with pytest.raises(ValueError, match="two cards have the id 'run/a'"):
        merge_graphs([Part("run", [card("a"), card("a")], [])])
    assert merge_graphs([]).graph.values == ()


verdicts: st.SearchStrategy[Opinion] = st.sampled_from(["wiser", "wiser", "not_wiser", "unsure", "abstained"])

moves = st.lists(
    st.tuples(
        st.permutations("abcde").map(lambda letters: letters[0] + letters[1]),
        verdicts,
        st.sampled_from(["care", "work"]),
    ),
    max_size=25,
).map(lambda found: [said(pair, verdict, context=context)[0] for pair, verdict, context in found])


@given(moves, moves)
def test_merging_loses_no_judgement_and_its_order_changes_only_names(
    one: list[Judgement], two: list[Judgement]
) -> None:
    cards = [card(id_) for id_ in "abcde"]
    parts = [Part("one", cards, one), Part("two", cards, two)]
    merged, turned = merge_graphs(parts), merge_graphs(parts[::-1])
    assert len(merged.judgements) == len(one) + len(two)
    bare = aggregate(cards, [*one, *two])

    def shape(graph: MoralGraph) -> list[tuple[object, ...]]:
        return [
            (edge.source[-1], edge.wiser[-1], edge.contexts, edge.counts, edge.kept) for edge in graph.edges
        ]

    assert shape(merged.graph) == shape(turned.graph) == shape(bare)


@given(moves, moves)
def test_a_difference_is_empty_with_oneself_and_turns_round(
    one: list[Judgement], two: list[Judgement]
) -> None:
    before, after = graph_of(one), graph_of(two, ids="abcdef")
    assert not difference(before, before)
    there, back = difference(before, after), difference(after, before)
    assert there.edges_added == back.edges_removed
    assert [(c.before, c.after) for c in there.edges_changed] == [
        (c.after, c.before) for c in back.edges_changed
    ]
    assert [value.id for value in there.cards_added] == ["f"]


def test_a_difference_names_what_changed() -> None:
    before = graph_of(said("ab", "wiser", "wiser"), said("bc", "wiser"))
    after = aggregate(
        [card(id_, "New title" if id_ == "b" else None) for id_ in "abcd"],
        said("ab", "wiser", "not_wiser") + said("cd", "wiser"),
    )
    found = difference(before, after)
    assert [value.id for value in found.cards_removed] == ["e"]
    assert [(c.before.title, c.after.title) for c in found.cards_changed] == [("Title b", "New title")]
    assert [(e.source, e.wiser) for e in found.edges_added] == [("c", "d")]
    assert [(e.source, e.wiser) for e in found.edges_removed] == [("b", "c")]
    assert [(c.before.kept, c.after.kept) for c in found.edges_changed] == [(True, False)]
    assert found.not_compared == ()


@given(moves)
def test_graphs_of_one_set_of_judgements_do_not_differ_across_profiles(judgements: list[Judgement]) -> None:
    cards = [card(id_) for id_ in "abcde"]
    ours, published = (aggregate(cards, judgements, profile=p) for p in ("multiplex", "dft"))
    for found in (difference(ours, published), difference(published, ours)):
        assert not found
        assert len(found.not_compared) == 3


def test_across_profiles_values_contexts_and_pooled_counts_are_compared() -> None:
    work = said("ab", "wiser", context="work", judge="q")
    before = graph_of(said("ab", "wiser", "unsure"), work, said("bc", "wiser"))
    after = aggregate([card(id_) for id_ in "abcdf"], said("ab", "wiser", "unsure", "wiser"), profile="dft")
    found = difference(before, after)
    assert [value.id for value in (*found.cards_added, *found.cards_removed)] == ["f", "e"]
    assert [(e.source, e.wiser) for e in found.edges_removed] == [("b", "c")]
    [changed] = found.edges_changed  # the counts are the same, the contexts are not
    assert changed.before.counts.wiser == changed.after.counts.wiser == 2
    assert (changed.before.contexts, changed.after.contexts) == (("care", "work"), ("care",))
    assert "each profile has its own rule" in found.not_compared[0]


def test_judgements_of_one_run_count_once_however_many_parts_hold_them() -> None:
    cards = [card("a"), card("b")]
    asked = [Transition(id="t", source="a", wiser="b", context="care", about="", story="", proposer="m")]
    judged = [each.model_copy(update={"transition": "t"}) for each in said("ab", "wiser", "wiser")]
    one = Part("one", cards, judged, asked, run="r1")
    copy = Part("copy", cards, judged, asked, run="r1")
    other = Part("other", cards, said("ab", "not_wiser", judge="q"), run="r2")
    first = merge_graphs([one, other])
    assert {each.run for each in first.judgements} == {"r1", "r2"}
    for parts in ([one, copy, other], [copy, other, one]):
        merged = merge_graphs(parts)
        assert merged.repeated == 2
        assert [edge.counts for edge in merged.graph.edges] == [edge.counts for edge in first.graph.edges]
        assert len(merged.transitions) == 1
    # A graph that was merged before holds the runs that it was made of.
    whole = Part("whole", first.graph.values, first.judgements, first.transitions, run="merged")
    again = merge_graphs([whole, one, Part("third", cards, said("ab", "wiser"), run="r3")])
    assert (again.repeated, len(again.judgements)) == (2, 4)
    assert merge_graphs([Part("x", cards, judged), Part("y", cards, judged)]).repeated == 0


def test_the_strongest_path_is_taken_with_its_contexts() -> None:
    weak = said("ac", "wiser", "wiser", "not_wiser", "not_wiser")
    graph = graph_of(
        weak,
        said("ab", "wiser", "wiser"),
        said("bc", "wiser", "wiser"),
        said("bc", "wiser", "wiser", context="w"),
    )
    found = paths(graph, "a", "c")
    assert [(hop.source, hop.wiser, hop.likelihood, hop.contexts) for hop in found.hops] == [
        ("a", "b", 1.0, ("care",)),
        ("b", "c", 1.0, ("care", "w")),
    ]
    assert found.strength == 1
    assert paths(graph_of(weak), "a", "c").strength == 0.5


def test_of_equally_strong_paths_the_shorter_is_taken() -> None:
    yes: tuple[Opinion, Opinion] = ("wiser", "wiser")
    graph = graph_of(said("ab", *yes), said("bc", *yes), said("cd", *yes), said("ad", *yes))
    assert [hop.wiser for hop in paths(graph, "a", "d").hops] == ["d"]


def test_where_no_chain_leads_the_reason_is_given() -> None:
    graph = graph_of(said("ab", "wiser", "wiser"), said("cd", "unsure"))
    assert paths(graph, "c", "d").reason == "no chain of kept edges leads from 'c' to 'd'"
    assert str(paths(graph, "b", "a").reason).endswith("but there is one the other way")
    assert (paths(graph, "e", "e").hops, paths(graph, "e", "e").strength) == ((), 1.0)
    with pytest.raises(ValueError, match="no value has the id 'f'; known: a, b, c, d, e"):
        paths(graph, "a", "f")


def weighed(edge: Edge, **changes: float) -> Edge:
    return edge.model_copy(update=changes)


def test_an_edge_of_elsewhere_kept_at_a_likelihood_of_0_or_below_is_no_hop() -> None:
    graph = graph_of(said("ab", "wiser", "wiser"), said("bc", "wiser", "wiser"))
    for likelihood in (0.0, -0.5):
        edges = (graph.edges[0], weighed(graph.edges[1], likelihood=likelihood))
        foreign = MoralGraph(values=graph.values, edges=edges, thresholds=graph.thresholds)
        assert paths(foreign, "a", "b").strength == 1
        assert paths(foreign, "a", "c").reason == (
            "no chain of kept edges leads from 'a' to 'c'; 1 kept at a likelihood of 0 or below are no hops"
        )


def test_a_likelihood_that_is_no_number_differs_from_every_other() -> None:
    graph = graph_of(said("ab", "wiser", "wiser"))
    wrong = graph.model_copy(update={"edges": (weighed(graph.edges[0], likelihood=math.nan),)})
    assert len(difference(graph, wrong).edges_changed) == 1


@given(moves)
def test_paths_are_those_that_trying_all_finds(judgements: list[Judgement]) -> None:
    graph = graph_of(judgements)
    kept: dict[tuple[str, str], float] = {}
    for edge in graph.edges:
        if edge.kept and edge.likelihood:
            pair = (edge.source, edge.wiser)
            kept[pair] = max(edge.likelihood, kept.get(pair, 0.0))
    every = nx.DiGraph(list(kept))
    every.add_nodes_from("abcde")
    for start, end in itertools.permutations("abcde", 2):
        strengths = [
            math.prod(kept[pair] for pair in itertools.pairwise(nodes))
            for nodes in nx.all_simple_paths(every, start, end)
        ]
        found = paths(graph, start, end)
        if strengths:
            assert found.strength == pytest.approx(max(strengths), abs=1e-6)
        else:
            assert found.strength is None
            assert found.reason


def test_cycles_and_judges_who_said_both_are_found() -> None:
    yes: tuple[Opinion, Opinion] = ("wiser", "wiser")
    ring = [said("ab", *yes), said("bc", *yes), said("ca", *yes), said("de", *yes)]
    (cycle,) = cycles(graph_of(*ring))
    assert cycle.values == ("a", "b", "c")
    assert sorted(cycle.example) == ["a", "b", "c"]
    assert cycles(graph_of(*ring[1:])) == ()
    both = [*said("ab", "wiser"), *said("ba", "wiser"), *said("ba", "wiser", context="work")]
    (found,) = self_contradictions([*both, *said("cd", "wiser"), *said("dc", "unsure")])
    assert tuple(found) == ("p0", "a", "b", "care")


@given(moves)
def test_every_example_of_a_cycle_is_one(judgements: list[Judgement]) -> None:
    graph = graph_of(judgements)
    kept = {(edge.source, edge.wiser) for edge in graph.edges if edge.kept}
    found = cycles(graph)
    assert bool(found) == (not nx.is_directed_acyclic_graph(nx.DiGraph(list(kept))))
    for cycle in found:
        around = (*cycle.example, cycle.example[0])
        assert set(itertools.pairwise(around)) <= kept
        assert set(cycle.example) <= set(cycle.values)
