"""From judgements to edges."""

import math
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import PROFILES, Counts, Edge, Interval, Profile, Thresholds, entropy_bits
from multiplex.moral_graph.graph import MoralGraph, aggregate, to_networkx
from multiplex.moral_graph.judgements import Judgement, Opinion
from multiplex.moral_graph.pooling import pooled

CARDS = [
    ValuesCard(
        id=id_,
        title=f"Title {id_}",
        description="",
        policies=("MOMENTS x", "SIGNS y", "WAYS z"),
        context="care",
    )
    for id_ in "abcd"
]


def judged(pair: str, verdicts: Iterable[Opinion], context: str = "care") -> list[Judgement]:
    return [
        Judgement(
            transition=f"{pair}-{context}",
            source=pair[0],
            wiser=pair[1],
            context=context,
            judge=f"p{index}",
            verdict=verdict,
            reason="",
        )
        for index, verdict in enumerate(verdicts)
    ]


def test_min_wiser_counts_different_judges_and_under_dft_verdicts() -> None:
    [one, two] = judged("ab", ["wiser", "wiser"])
    again = [one, one.model_copy(update={"transition": "other"})]
    for judgements, ours, published in (
        ([one, two], True, True),
        (again, False, True),
        ([one], False, False),
    ):
        assert aggregate(CARDS, judgements).edges[0].kept == ours
        assert aggregate(CARDS, judgements, profile="dft").edges[0].kept == published
    edge = aggregate(CARDS, again).edges[0]
    assert (edge.counts.wiser, edge.likelihood, edge.supporters) == (2, 1.0, ("p0",))
    unnamed = [each.model_copy(update={"judge": ""}) for each in again]
    assert aggregate(CARDS, unnamed).edges[0].kept  # nobody knows that they are one
    assert aggregate(CARDS, unnamed).edges[0].supporters == ()


judgement_lists = st.lists(
    st.builds(
        Judgement,
        transition=st.sampled_from(["t", "u"]),
        source=st.sampled_from("ab"),
        wiser=st.sampled_from("cd"),
        context=st.sampled_from(["care", "work"]),
        judge=st.sampled_from(["p", "q", "r"]),
        verdict=st.sampled_from(["wiser", "not_wiser", "unsure", "abstained"]),
        reason=st.just(""),
    )
    | st.builds(
        Judgement,
        transition=st.just("v"),
        source=st.sampled_from("cd"),
        wiser=st.sampled_from("ab"),
        context=st.sampled_from(["care", "work"]),
        judge=st.sampled_from(["p", "q", "r"]),
        verdict=st.sampled_from(["wiser", "not_wiser", "unsure", "abstained"]),
        reason=st.just(""),
    ),
    max_size=30,
)


def test_verdicts_are_counted_and_abstentions_kept_apart() -> None:
    graph = aggregate(
        CARDS,
        judged("ab", ["wiser", "wiser", "wiser", "unsure", "abstained"]) + judged("ba", ["unsure", "wiser"]),
    )
    edge = graph.edges[0]
    assert edge.counts == Counts(wiser=3, less_wise=1, unsure=1, abstained=1, impressions=5)
    assert edge.likelihood == pytest.approx((3 - 1) / 5)
    assert edge.entropy == pytest.approx(-(0.6 * math.log2(0.6) + 0.4 * math.log2(0.2)))
    assert edge.kept
    assert edge.supporters == ("p0", "p1", "p2")
    assert edge.transitions == ("ab-care",)
    assert not graph.edges[1].kept


def test_an_edge_that_nobody_gave_a_verdict_on_is_undefined_and_stays() -> None:
    (edge,) = aggregate(CARDS, judged("ab", ["abstained", "abstained"])).edges
    assert edge.likelihood is None
    assert edge.entropy is None
    assert not edge.kept
    assert edge.counts.impressions == 2


@pytest.mark.parametrize(
    ("verdicts", "kept"),
    [
        (["wiser"], False),
        (["wiser"] * 2, True),
        (["wiser", "wiser", "not_wiser", "unsure"], True),  # entropy is exactly 1.5
        (["wiser", "wiser"] + ["not_wiser"] * 4, True),  # likelihood is 1/3
        (["wiser", "wiser"] + ["not_wiser"] * 5, False),
        (["wiser"] * 4 + ["not_wiser"] * 3 + ["unsure"] * 3, False),  # too divided
    ],
)
def test_an_edge_is_kept_where_all_three_thresholds_hold(verdicts: list[Opinion], kept: bool) -> None:
    assert aggregate(CARDS, judged("ab", verdicts)).edges[0].kept is kept


def test_contexts_are_not_pooled() -> None:
    graph = aggregate(CARDS, judged("ab", ["wiser"]) + judged("ab", ["wiser"], context="work"))
    assert [(edge.contexts, edge.kept) for edge in graph.edges] == [(("care",), False), (("work",), False)]


def test_the_published_rule_pools_contexts_and_counts_impressions_of_both_directions() -> None:
    judgements = [
        *judged("ab", ["wiser", "wiser", "unsure"]),
        *judged("ab", ["wiser", "abstained"], context="work"),
        *judged("ba", ["wiser", "not_wiser"], context="work"),
    ]
    there, back = aggregate(CARDS, judgements, profile="dft").edges
    assert back.contexts == ("care", "work")  # a verdict's context is one of both directions
    assert (there.source, there.wiser, there.contexts) == ("a", "b", ("care", "work"))
    assert there.counts == Counts(wiser=3, less_wise=1, unsure=1, abstained=1, impressions=6)
    assert back.counts == Counts(wiser=1, not_wiser=1, less_wise=3, impressions=6)
    assert there.likelihood == pytest.approx(2 / 5)
    assert there.entropy == pytest.approx(entropy_bits((3, 0, 1, 1, 6)))


def test_the_published_case() -> None:
    # meaningalignment.org/research/openai-dft-the-first-moral-graph: an edge of the published file.
    judgements = judged("ab", ["wiser", "wiser", "wiser", "unsure"])
    graph = aggregate(CARDS, judgements, profile="dft")
    edge, back = graph.edges
    assert (back.counts, back.kept) == (Counts(less_wise=3, impressions=4), False)
    assert graph.thresholds == Thresholds(profile="dft", min_wiser=2, min_likelihood=0.33, max_entropy=1.69)
    assert edge.counts == Counts(wiser=3, unsure=1, impressions=4)
    assert edge.likelihood == 0.75
    assert edge.entropy == pytest.approx(1.4056390622295665, abs=1e-12)
    assert edge.kept


def test_an_abstention_which_the_published_data_do_not_know_changes_no_edge_that_has_a_verdict() -> None:
    verdicts = judged("ab", ["wiser", "wiser"])
    graph = aggregate(CARDS, verdicts + judged("ba", ["abstained"], context="work"), profile="dft")
    assert [(edge.contexts, edge.counts.impressions) for edge in graph.edges] == [(("care",), 2)] * 2
    assert graph.edges[0] == aggregate(CARDS, verdicts, profile="dft").edges[0]
    (alone,) = aggregate(CARDS, judged("ba", ["abstained"], context="work"), profile="dft").edges
    assert (alone.contexts, alone.likelihood, alone.counts.impressions) == (("work",), None, 0)


@pytest.mark.parametrize("thresholds", [{"min_wiser": 5}, {"min_likelihood": 0.8}, {"max_entropy": 1.4}])
def test_a_threshold_that_is_given_stands_in_the_place_of_the_profiles(thresholds: dict[str, Any]) -> None:
    judgements = judged("ab", ["wiser", "wiser", "wiser", "unsure"])
    assert not aggregate(CARDS, judgements, profile="dft", **thresholds).edges[0].kept


def test_the_interval_of_a_likelihood() -> None:
    # By hand: 3 wiser, 1 less wise of 6; p = 4/8, q = 2/8, d = 1/4, half-width z sqrt((6/8 - 1/16) / 8).
    counts = Counts(wiser=3, less_wise=1, unsure=2)
    found = counts.interval()
    assert found is not None
    half = 1.959963984540054 * math.sqrt((0.75 - 0.0625) / 8)
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half))
    assert found.level == 0.95
    assert Counts(abstained=3).interval() is None


@given(*[st.integers(0, 40)] * 4, st.floats(0.5, 0.99))
def test_an_interval_stays_in_its_bounds_and_widens_with_the_level(
    wiser: int, not_wiser: int, less_wise: int, unsure: int, level: float
) -> None:
    counts = Counts(wiser=wiser, not_wiser=not_wiser, less_wise=less_wise, unsure=unsure)
    found, wider = counts.interval(level), counts.interval(0.995)
    if found is None or wider is None:
        assert counts.total == 0
        return
    assert -1 <= found.low <= found.high <= 1
    assert wider.low <= found.low
    assert found.high <= wider.high


def test_a_reversed_judgement_in_another_context_does_not_count() -> None:
    graph = aggregate(CARDS, judged("ab", ["wiser", "wiser"]) + judged("ba", ["wiser"], context="work"))
    assert graph.edges[0].counts.less_wise == 0


def test_judgements_on_unknown_cards_and_impossible_thresholds_are_refused() -> None:
    with pytest.raises(ValueError, match="names the card 'z'"):
        aggregate(CARDS, judged("az", ["wiser"]))
    with pytest.raises(ValueError, match="same id"):
        aggregate([CARDS[0], CARDS[0]], [])
    with pytest.raises(ValueError, match="min_likelihood"):
        aggregate(CARDS, [], min_likelihood=0)
    with pytest.raises(ValueError, match="level=1"):
        aggregate(CARDS, [], level=1)


@pytest.mark.parametrize(
    "changes",
    [
        *({"likelihood": wrong} for wrong in (math.nan, math.inf, -1.01, 1.01)),
        *({"entropy": wrong} for wrong in (math.nan, math.inf, -0.1, 2.4)),
        *({"interval": Interval(low, high, 0.95)} for low, high in [(math.nan, 1), (-1, math.inf), (-2, 1)]),
        {"interval": Interval(0, 1, math.nan)},
    ],
)
def test_an_edge_whose_numbers_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    (edge,) = aggregate(CARDS, judged("ab", ["wiser", "wiser"])).edges
    fields = dict(edge)
    assert Edge.model_validate(fields) == edge
    with pytest.raises(ValueError, match=rf"Edge\n{next(iter(changes))}"):
        Edge.model_validate(fields | changes)


def test_more_than_a_thousand_million_verdicts_are_refused() -> None:
    assert Counts(wiser=10**9).likelihood == 1
    with pytest.raises(ValueError, match="less than or equal to 1000000000"):
        Counts(wiser=10**9 + 1)


def test_a_graph_whose_edges_name_other_cards_is_refused() -> None:
    graph = aggregate(CARDS, judged("ab", ["wiser", "wiser"]))
    with pytest.raises(ValueError, match="an edge names the card 'a'; known: b, c, d"):
        MoralGraph(values=graph.values[1:], edges=graph.edges, thresholds=graph.thresholds)


def test_thresholds_are_recorded() -> None:
    graph = aggregate(CARDS, judged("ab", ["wiser"]), min_wiser=1, max_entropy=1)
    assert graph.edges[0].kept
    assert graph.thresholds.model_dump() == {
        "profile": "multiplex",
        "min_wiser": 1,
        "min_likelihood": 0.33,
        "max_entropy": 1.0,
    }


def test_entropy_matches_the_edge_of_the_published_graph() -> None:
    assert entropy_bits((3, 0, 0, 1, 4)) == pytest.approx(1.4056390622295665, abs=1e-15)
    assert entropy_bits((1, 1, 1, 1)) == 2
    assert entropy_bits((5, 0)) == 0
    assert entropy_bits((0, 0)) is None


@given(judgement_lists, st.randoms(use_true_random=False))
def test_the_order_of_cards_and_judgements_does_not_matter(judgements: list[Judgement], rng: Random) -> None:
    cards, shuffled = list(CARDS), list(judgements)
    rng.shuffle(cards)
    rng.shuffle(shuffled)
    for profile in PROFILES:
        ours = aggregate(CARDS, judgements, profile=profile)
        assert aggregate(cards, shuffled, profile=profile) == ours


# Opposite moves of one pair in several contexts, which is where the published rule differs from a plain count.
verdicts_on_pairs = st.lists(
    st.builds(
        lambda pair, context, judge, verdict: Judgement(
            source=pair[0], wiser=pair[1], context=context, judge=judge, verdict=verdict
        ),
        st.sampled_from(["ab", "ba", "bc", "cb", "ca", "ad"]),
        st.sampled_from("kmn"),
        st.sampled_from("pqr"),
        st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure"]),
    ),
    max_size=24,
)


def by_the_published_rule(judgements: list[Judgement]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every ordered pair by the published rule, asked of all judgements anew for each number."""
    found = {}
    for pair in {pair for j in judgements for pair in ((j.source, j.wiser), (j.wiser, j.source))}:
        there = [j for j in judgements if (j.source, j.wiser) == pair]
        back = [j for j in judgements if (j.wiser, j.source) == pair]
        said = [j.verdict for j in there]
        five = [said.count("wiser"), said.count("not_wiser"), said.count("unsure")]
        five += [[j.verdict for j in back].count("wiser"), len(there) + len(back)]
        verdicts = sum(five[:4])
        likelihood = (five[0] - five[3]) / verdicts if verdicts else math.nan
        entropy = sum(n / sum(five) * math.log2(sum(five) / n) for n in five if n)
        found[pair] = {
            "contexts": {j.context for j in there + back},
            "counts": five,
            "likelihood": likelihood,
            "entropy": entropy,
            "kept": five[0] >= 2 and likelihood >= 0.33 and entropy <= 1.69,
        }
    return found


@given(verdicts_on_pairs, st.randoms(use_true_random=False))
def test_the_profile_dft_is_the_published_rule_in_any_order(judgements: list[Judgement], rng: Random) -> None:
    graph = aggregate(CARDS, judgements, profile="dft")
    oracle = by_the_published_rule(judgements)
    assert {(edge.source, edge.wiser) for edge in graph.edges} == oracle.keys()
    for edge in graph.edges:
        theirs, counts = oracle[edge.source, edge.wiser], edge.counts
        five = [counts.wiser, counts.not_wiser, counts.unsure, counts.less_wise, counts.impressions]
        assert (five, edge.kept) == (theirs["counts"], theirs["kept"])
        assert edge.contexts == tuple(sorted(theirs["contexts"]))
        if edge.likelihood is None or edge.entropy is None:
            assert math.isnan(theirs["likelihood"])
        else:
            assert edge.likelihood == theirs["likelihood"]
            assert edge.entropy == pytest.approx(theirs["entropy"], abs=1e-12)
    shuffled = list(judgements)
    rng.shuffle(shuffled)
    assert aggregate(CARDS, shuffled, profile="dft") == graph


@given(judgement_lists)
def test_pooling_a_graph_of_contexts_gives_what_the_published_rule_makes_of_its_judgements(
    judgements: list[Judgement],
) -> None:
    assert pooled(aggregate(CARDS, judgements)) == aggregate(CARDS, judgements, profile="dft")


@given(judgement_lists)
def test_every_judgement_is_counted_once_and_scores_stay_in_bounds(judgements: list[Judgement]) -> None:
    graph = aggregate(CARDS, judgements)
    assert sum(edge.counts.impressions for edge in graph.edges) == len(judgements)
    for edge in graph.edges:
        counts = edge.counts
        assert counts.impressions == counts.wiser + counts.not_wiser + counts.unsure + counts.abstained
        assert (edge.likelihood is None) == (edge.entropy is None) == (counts.total == 0)
        if edge.likelihood is not None and edge.entropy is not None:
            assert -1 <= edge.likelihood <= 1
            assert 0 <= edge.entropy <= 2
    assert MoralGraph.model_validate_json(graph.model_dump_json()) == graph


@given(*[st.integers(0, 30)] * 4, st.integers(0, 5), st.sampled_from(["multiplex", "dft"]))
def test_counts_weigh_wiser_against_less_wise(
    wiser: int, not_wiser: int, less_wise: int, unsure: int, abstained: int, profile: Profile
) -> None:
    counts = Counts(wiser=wiser, not_wiser=not_wiser, less_wise=less_wise, unsure=unsure, abstained=abstained)
    assert counts.asked == counts.total - less_wise + abstained
    turned = counts.model_copy(update={"wiser": less_wise, "less_wise": wiser})
    one, other = counts.likelihood, turned.likelihood
    if one is None or other is None:
        assert counts.entropy(profile) is None
        assert not PROFILES[profile].keep(counts)
        return
    assert one == -other
    assert counts.entropy(profile) == pytest.approx(turned.entropy(profile))
    assert not (PROFILES[profile].keep(counts) and PROFILES[profile].keep(turned))
    if PROFILES[profile].keep(counts):
        assert one >= 0.33
        assert wiser >= 2


def test_unanimity_has_likelihood_one_and_no_entropy() -> None:
    (edge,) = aggregate(CARDS, judged("ab", ["wiser"] * 6)).edges
    assert (edge.likelihood, edge.entropy, edge.kept) == (1, 0, True)


def test_the_networkx_graph_sums_likelihoods_over_contexts() -> None:
    judgements = judged("ab", ["wiser", "wiser"])
    judgements += judged("ab", ["wiser", "wiser", "wiser", "unsure"], context="work")
    digraph = to_networkx(aggregate(CARDS, judgements))
    assert digraph.edges["a", "b"] == {"weight": 1.75, "contexts": ("care", "work")}
    assert digraph.nodes["b"] == {"title": "Title b"}


def test_the_networkx_graph_holds_nothing_where_no_edge_is_kept() -> None:
    judgements = judged("ab", ["not_wiser"]) + judged("bc", ["abstained"])
    assert not to_networkx(aggregate(CARDS, judgements))


def test_a_pair_weighs_what_it_weighs_where_it_is_kept() -> None:
    yes: list[Opinion] = ["wiser", "wiser", "wiser"]
    graph = aggregate(CARDS, judged("ab", yes) + judged("ab", ["wiser", "not_wiser"], context="work"))
    assert [edge.kept for edge in graph.edges] == [True, False]
    assert to_networkx(graph).edges["a", "b"] == {"weight": 1.0, "contexts": ("care",)}
