"""The graph in the shapes that others read and write."""

import json
import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import PROFILES, Profile
from multiplex.moral_graph.formats import read_dft, to_dft_json
from multiplex.moral_graph.formats.cards import PublishedCard, read_cards
from multiplex.moral_graph.formats.dft import whole_graph_json
from multiplex.moral_graph.formats.mgg import read_mgg, to_mgg_json
from multiplex.moral_graph.formats.reading import read_graph, to_json
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Opinion, Transition
from multiplex.moral_graph.pooling import pooled
from tests.moral_graph.made import graph_of, judgements_in_contexts, judgements_of, mgg, pairs_of_values


def published(**changes: Any) -> dict[str, Any]:
    """Two values and an edge as the published file of Democratic Fine-Tuning has them, with changes."""
    edge = {
        "sourceValueId": 7,
        "wiserValueId": 12,
        "contexts": ["When parenting"],
        "counts": {
            "markedWiser": 3,
            "markedNotWiser": 0,
            "markedLessWise": 0,
            "markedUnsure": 1,
            "impressions": 4,
        },
        "summary": {"wiserLikelihood": 0.75, "entropy": 1.4056390622295665},
    }
    value = {
        "title": "Guided growth",
        "instructionsShort": "ChatGPT should guide.",
        "instructionsDetailed": "ChatGPT should guide, at length.",
        "evaluationCriteria": ["MOMENTS of growth", "SIGNS of trust"],
        "createdAt": "2023-09-01T00:00:00Z",
        "updatedAt": "2023-09-02T00:00:00Z",
    }
    return {"values": [{"id": id_, **value} for id_ in (7, 12)], "edges": [{**edge, **changes}]}


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
        for s, w, c in [("a", "b", "care"), ("a", "b", "work"), ("b", "a", "news"), ("b", "a", "news")]
    ]
    shape = to_dft_json(aggregate(cards, judgements), created="2026-01-01T00:00:00Z")
    assert (shape["edges"], shape["values"]) == ([], [])  # as published, what is not kept is not among them
    everywhere = ["care", "news", "work"]
    assert [edge["contexts"] for edge in shape["allEdges"]] == [everywhere, everywhere]
    assert shape["allEdges"][0]["counts"]["markedLessWise"] == 2
    assert shape["allEdges"][0]["counts"]["impressions"] == 4
    assert [edge["keptContexts"] for edge in shape["allEdges"]] == [[], []]
    value = shape["otherValues"][0]
    keys = ["id", "title", "instructionsShort", "instructionsDetailed", "evaluationCriteria"]
    assert list(value)[:7] == [*keys, "createdAt", "updatedAt"]
    assert value["createdAt"] == value["updatedAt"] == "2026-01-01T00:00:00Z"
    assert value["evaluationCriteria"] == ["MOMENTS x", "SIGNS y", "WAYS z"]
    assert shape["thresholds"] == PROFILES["dft"].model_dump()


def test_an_edge_without_verdicts_has_a_null_summary() -> None:
    shape = to_dft_json(graph_of({"ab": ["abstained"]}))
    summary = {"wiserLikelihood": None, "entropy": None, "entropyOfVerdicts": None}
    assert shape["allEdges"][0]["summary"] == summary
    assert shape["otherValues"][0]["createdAt"] is None


@given(pairs_of_values)
def test_a_runs_file_agrees_with_the_graph_where_there_is_one_context(
    pairs: dict[str, list[Opinion]],
) -> None:
    graph = graph_of(pairs)
    shape = json.loads(json.dumps(whole_graph_json(graph), allow_nan=False))
    assert len(shape["edges"]) == len(graph.edges)
    for theirs, ours in zip(shape["edges"], graph.edges, strict=True):
        assert theirs["summary"]["wiserLikelihood"] == ours.likelihood
        assert theirs["summary"]["entropyOfVerdicts"] == ours.entropy
        assert theirs["kept"] == ours.kept
        assert theirs["counts"]["markedLessWise"] == ours.counts.less_wise


@given(judgements_in_contexts, st.sampled_from(["multiplex", "dft"]), st.sampled_from([0.33, 0.6]))
def test_the_dft_shape_has_kept_edges_under_edges_and_is_read_as_what_was_written(
    judgements: list[Judgement], profile: Profile, least: float
) -> None:
    graph = aggregate(graph_of({}).values, judgements, profile=profile, min_likelihood=least)
    shape = json.loads(json.dumps(to_dft_json(graph), allow_nan=False))
    for edge in shape["edges"]:
        assert edge["counts"]["markedWiser"] >= 2
        assert edge["summary"]["wiserLikelihood"] >= (least if profile == "dft" else 0.33)
        assert edge["summary"]["entropy"] <= 1.69
    assert shape["edges"] == [edge for edge in shape["allEdges"] if edge["kept"]]
    ends = {edge[end] for edge in shape["edges"] for end in ("sourceValueId", "wiserValueId")}
    assert {value["id"] for value in shape["values"]} == ends
    assert len(shape["values"]) + len(shape["otherValues"]) == len(graph.values)
    # Lost are the cases, and who said wiser.
    bare = [each.model_copy(update={"supporters": (), "transitions": ()}) for each in pooled(graph).edges]
    assert read_dft(shape) == MoralGraph(
        values=graph.values, edges=tuple(bare), thresholds=pooled(graph).thresholds
    )
    # What reads the published keys alone has the kept edges and their values.
    plain = read_dft({key: shape[key] for key in ("values", "edges")}) if profile == "multiplex" else None
    assert plain is None or [each for each in bare if each.kept] == list(plain.edges)


def test_an_edge_of_a_published_file_to_a_value_that_it_leaves_out_is_passed_over() -> None:
    data = published()
    [kept] = data["edges"]
    nothing = kept["counts"] | {"markedWiser": 0, "impressions": 1}
    out = kept | {"wiserValueId": 99, "counts": nothing, "summary": {"wiserLikelihood": 0.0, "entropy": 1.0}}
    back = out | {"sourceValueId": 12, "wiserValueId": 7}
    data["allEdges"] = [kept, out, back]
    graph = read_dft(data)
    assert [(edge.source, edge.wiser, edge.kept) for edge in graph.edges] == [
        ("12", "7", False),
        ("7", "12", True),
    ]
    with pytest.raises(ValueError, match=r"^allEdges\[1\] \('7' to '99'\): no value has the id '99'"):
        read_dft(data | {"otherValues": []})
    with pytest.raises(
        ValueError, match=r"^edges\[0\] \('7' to '12'\): does not stand in the same way among"
    ):
        read_dft(data | {"allEdges": [back]})
    for key in ("allEdges", "otherValues", "values"):
        with pytest.raises(ValueError, match=f"^{key}: needs to be a list"):
            read_dft(data | {key: {}})


def test_the_published_shape_is_read_with_its_own_rule() -> None:
    graph = read_dft(published())
    assert graph.thresholds.profile == "dft"
    (edge,) = graph.edges
    assert (edge.source, edge.wiser, edge.contexts) == ("7", "12", ("When parenting",))
    assert edge.entropy == pytest.approx(1.4056390622295665, abs=1e-15)
    assert edge.kept
    assert all(isinstance(card, PublishedCard) and len(card.policies) == 2 for card in graph.values)


_counts = st.lists(st.integers(0, 9), min_size=5, max_size=5)


@given(
    st.dictionaries(
        st.permutations("abcd").map(lambda letters: letters[0] + letters[1]),
        st.tuples(_counts, st.lists(st.text(max_size=3), unique=True, max_size=3)),
        max_size=6,
    ),
    st.lists(st.text("abc ", max_size=5).filter(str.strip).map(str.strip), max_size=9),
)
def test_the_published_shape_survives_being_read_and_written(
    edges: dict[str, tuple[list[int], list[str]]], criteria: list[str]
) -> None:
    names = ("markedWiser", "markedNotWiser", "markedLessWise", "markedUnsure", "impressions")
    value = published()["values"][0] | {"evaluationCriteria": criteria}
    data: dict[str, Any] = {"values": [value | {"id": id_} for id_ in "abcd"], "edges": []}
    for pair, (counts, contexts) in sorted(edges.items()):
        total = sum(counts[:4])
        shares = [count / sum(counts) for count in counts if count]
        summary = {
            "wiserLikelihood": (counts[0] - counts[2]) / total if total else math.nan,
            "entropy": -sum(p * math.log2(p) for p in shares) if total else 0.0,
        }
        data["edges"].append(
            {
                "sourceValueId": pair[0],
                "wiserValueId": pair[1],
                "contexts": sorted(contexts),
                "counts": dict(zip(names, counts, strict=True)),
                "summary": summary,
            }
        )
    graph = read_dft(data)
    back = json.loads(json.dumps(to_dft_json(graph), allow_nan=False))
    assert read_dft(back) == graph
    values = sorted(back["values"] + back["otherValues"], key=lambda value: str(value["id"]))
    for theirs, ours in zip(data["values"], values, strict=True):
        assert theirs == {key: ours[key] for key in theirs}
    for theirs, ours in zip(data["edges"], back["allEdges"], strict=True):
        assert theirs["counts"] == {name: ours["counts"][name] for name in names}
        assert theirs["contexts"] == ours["contexts"]
        if sum(theirs["counts"][name] for name in names[:4]):
            assert ours["summary"]["entropy"] == pytest.approx(theirs["summary"]["entropy"], abs=1e-12)
            assert ours["summary"]["wiserLikelihood"] == theirs["summary"]["wiserLikelihood"]
        else:
            assert ours["summary"]["entropy"] is None


_NO_VERDICT = dict.fromkeys(("markedWiser", "markedNotWiser", "markedLessWise", "markedUnsure"), 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wiserValueId": 13}, "edges[0] ('7' to '13'): no value has the id '13'; known: 12, 7"),
        ({"wiserValueId": 7}, "edges[0] ('7' to '7'): leads from a value to itself"),
        (
            {"summary": {"wiserLikelihood": 0.8, "entropy": 1.4056390622295665}},
            "edges[0] ('7' to '12'): summary.wiserLikelihood is 0.8, and its counts give 0.75",
        ),
        (
            {"summary": {"wiserLikelihood": math.nan, "entropy": 1.4}},
            "edges[0] ('7' to '12'): summary.wiserLikelihood is nan, and its counts give 0.75",
        ),
        (
            {"summary": {"entropy": math.inf}},
            "edges[0] ('7' to '12'): summary.entropy is inf, and its counts give 1.40563906",
        ),
        (
            {"counts": {**_NO_VERDICT, "impressions": 2}},
            "edges[0] ('7' to '12'): summary.wiserLikelihood is 0.75, and nobody gave a verdict",
        ),
        ({"counts": {**_NO_VERDICT, "impressions": -1}}, "edges[0].counts.impressions: input should be"),
        (
            {"counts": {**_NO_VERDICT, "impressions": math.nan}},
            "edges[0].counts.impressions: input should be",
        ),
        (
            {"counts": {**_NO_VERDICT, "markedWiser": 10**400, "impressions": 1}},
            "edges[0].counts.markedWiser: input should be less than or equal to 1000000000",
        ),
        (
            {"summary": {"wiserLikelihood": 10**400}},
            "edges[0].summary.wiserLikelihood: input should be a valid number",
        ),
        ({"counts": {}}, "edges[0].counts.markedWiser: is missing"),
        ({"counts": None}, "edges[0].counts: input should be"),
    ],
)
def test_a_published_edge_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="edges") as caught:
        read_dft(published(**changes))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_values_and_edges_that_repeat_are_refused() -> None:
    twice = published()
    twice["values"][1]["id"] = "7"
    with pytest.raises(ValueError, match=r"^values\[1\]: two cards have the id '7'$"):
        read_dft(twice)
    twice = published()
    twice["edges"] *= 2
    with pytest.raises(ValueError, match=r"^edges\[1\] \('7' to '12'\): the pair has an edge already$"):
        read_dft(twice)


@pytest.mark.parametrize("said", [math.nan, math.inf, 0.0, None])
def test_without_a_verdict_likelihood_and_entropy_are_undefined_whatever_the_file_says(
    said: float | None,
) -> None:
    counts = {**_NO_VERDICT, "impressions": 3}
    (edge,) = read_dft(published(counts=counts, summary={"wiserLikelihood": said, "entropy": said})).edges
    assert (edge.likelihood, edge.entropy, edge.interval, edge.kept) == (None, None, None, False)


def test_an_mgg_graph_is_asserted_and_not_judged_and_comes_back_as_it_was() -> None:
    found = read_mgg(mgg())
    assert [(edge.kept, edge.likelihood, edge.counts.total) for edge in found.graph.edges] == [
        (True, None, 0)
    ] * 2
    again = to_mgg_json(found.graph, metadata=found.metadata, seed_questions=found.seed_questions)
    assert again == mgg()
    # Through the published shape the edges stay asserted.
    assert [edge.kept for edge in read_dft(to_dft_json(found.graph)).edges] == [True, True]


def test_an_older_mgg_file_is_read_with_the_story_on_the_edge_and_what_it_repeats() -> None:
    old = mgg()
    old["edges"] = [{"from_id": "u1", "to_id": "u2", "context": "care", "story": s} for s in "xy"]
    del old["seed_questions"]
    assert read_mgg(old).metadata == {("u1", "u2", "care"): {"story": "x"}}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_metadata_that_json_does_not_have_is_refused_with_its_place(wrong: float) -> None:
    data = mgg()
    data["edges"][1]["metadata"] = {"scores": [{"of": 1.5}, {"of": wrong}]}
    with pytest.raises(ValueError, match="JSON does not have") as caught:
        read_graph(data)
    assert str(caught.value) == (
        "edges[1] ('u2' to 'u1'): metadata.scores[1].of is NaN or infinite, which JSON does not have"
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [("u3", "no value has the id 'u3'; known: u1, u2"), ("u1", "leads from a value to itself")],
)
def test_an_mgg_edge_to_nowhere_is_refused(end: str, said: str) -> None:
    wrong = mgg()
    wrong["edges"][0]["to_id"] = end
    with pytest.raises(ValueError, match=rf"^edges\[0\] \('u1' to '{end}'\): {said}"):
        read_mgg(wrong)


def test_a_judged_graph_becomes_mgg_with_the_stories_of_its_kept_edges() -> None:
    graph = graph_of({"ab": ["wiser", "wiser"], "cd": ["not_wiser"]})
    case = Transition(
        id="ab", source="a", wiser="b", context="care", about="trust", story="So it went.", proposer="m"
    )
    (edge,) = to_mgg_json(graph, transitions=[case])["edges"]
    assert (edge["from_id"], edge["to_id"], edge["context"]) == ("a", "b", "care")
    assert edge["metadata"]["story"] == "So it went."
    assert edge["metadata"]["input_value_was_really_about"] == "trust"


@given(pairs_of_values, st.sampled_from(["multiplex", "dft"]), st.sampled_from([0.5, 0.95]))
def test_a_graph_written_with_its_judgements_is_read_as_the_same(
    pairs: dict[str, list[Opinion]], profile: Literal["multiplex", "dft"], level: float
) -> None:
    judgements = judgements_of(pairs)
    graph = aggregate(graph_of({}).values, judgements, profile=profile, min_likelihood=0.5, level=level)
    data = json.loads(json.dumps(to_json(graph, judgements, level=level), allow_nan=False))
    found = read_graph(data)
    assert found.shape == "multiplex"
    assert [card.model_dump() for card in found.graph.values] == [card.model_dump() for card in graph.values]
    assert (found.graph.edges, found.graph.thresholds) == (graph.edges, graph.thresholds)
    assert (found.judgements, found.level) == (tuple(judgements), level)


def test_shapes_are_told_by_their_keys() -> None:
    assert read_graph(published()).shape == "dft"
    assert read_graph(mgg()).shape == "mgg"
    assert read_graph({"values": [], "edges": []}).shape == "dft"
    assert read_graph({"values": [], "edges": [], "judgements": []}).shape == "multiplex"
    others: list[object] = [[], None, {"edges": []}, {"values": {}, "edges": {}}, 3]
    for other in others:
        with pytest.raises(ValueError, match=r"needs|holds no"):
            read_graph(other)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.sampled_from(
        ["values", "edges", "judgements", "thresholds", "seed_questions", "level", "transitions"]
    ),
    _json,
    st.sampled_from([published, mgg]),
)
def test_whatever_stands_in_a_file_is_read_or_refused_in_one_sentence(key: str, junk: Any, of: Any) -> None:
    for spoilt in (junk, [junk], [{"id": junk, "title": junk, "data": junk, "from_id": junk}]):
        said = ""
        try:
            read_graph({**of(), key: spoilt})
        except ValueError as error:
            said = str(error)
        assert "\n" not in said


def test_cards_are_read_in_every_shape_and_only_the_sound_ones_are_strict() -> None:
    policies = ["MOMENTS x", "SIGNS y", "WAYS z"]
    full, few = read_cards([{"id": "a", "title": "T", "policies": policies}, {"id": 2, "title": "U"}])
    assert type(full) is ValuesCard
    assert (full.context, full.description, full.schwartz) == ("", "", ())
    assert (type(few), few.id, few.policies) == (PublishedCard, "2", ())
    assert [card.context for card in read_cards(mgg())] == ["care", "care"]
    with pytest.raises(ValueError, match=r"^values\[0\]\.title: is missing$"):
        read_cards([{"id": "a"}])
    nothings: list[object] = [[], {}, "x", None]
    for nothing in nothings:
        with pytest.raises(ValueError, match=r"^holds no cards"):
            read_cards(nothing)
