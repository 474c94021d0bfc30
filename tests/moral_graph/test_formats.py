"""The graph in the shapes that others read and write."""

import csv
import io
import itertools
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import PROFILES, Profile
from multiplex.moral_graph.formats import read_dft, to_dft_json, to_graphml
from multiplex.moral_graph.formats.cards import PublishedCard, read_cards
from multiplex.moral_graph.formats.dft import whole_graph_json
from multiplex.moral_graph.formats.graphml import read_graphml
from multiplex.moral_graph.formats.mgg import read_mgg, to_mgg_json
from multiplex.moral_graph.formats.reading import read_graph, to_json
from multiplex.moral_graph.formats.spreadsheets import CsvTables, read_csv, to_csv
from multiplex.moral_graph.formats.tables import Rows, read_judgements
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Opinion, Transition
from multiplex.moral_graph.pooling import pooled


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
    return aggregate(cards, judgements_of(pairs, context=context))


def judgements_of(pairs: dict[str, list[Opinion]], *, context: str = "care") -> list[Judgement]:
    return [
        Judgement(transition=pair, source=pair[0], wiser=pair[1], context=context, judge=f"p{i}", verdict=v)
        for pair, verdicts in pairs.items()
        for i, v in enumerate(verdicts)
    ]


pairs_of_values = st.dictionaries(
    st.permutations("abcdef").map(lambda letters: letters[0] + letters[1]),
    st.lists(st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure"]), min_size=1, max_size=6),
    max_size=12,
)


judgements_in_contexts = st.lists(
    st.builds(
        lambda pair, context, judge, verdict: Judgement(
            transition=pair, source=pair[0], wiser=pair[1], context=context, judge=judge, verdict=verdict
        ),
        st.sampled_from(["ab", "ba", "bc", "cb", "cd", "de"]),
        st.sampled_from(["k", "m", ""]),
        st.sampled_from("pqr"),
        st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure", "abstained"]),
    ),
    max_size=16,
)


def published(**changes: Any) -> dict[str, Any]:
    """The worked example of the published file (SYSTEMS.md, section 2), with changes."""
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


def mgg() -> dict[str, Any]:
    metadata = {"story": "One day.", "context_shifts": [1], "problem": {"p": 1}, "improvements": []}
    return {
        "values": [
            {
                "id": id_,
                "data": {"title": f"Value {id_}", "policies": ["MOMENTS x"], "choice_context": "care"},
            }
            for id_ in ("u1", "u2")
        ],
        "edges": [
            {"from_id": "u1", "to_id": "u2", "context": "care", "metadata": metadata},
            {"from_id": "u2", "to_id": "u1", "context": "work", "metadata": {}},
        ],
        "seed_questions": ["What now?"],
    }


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


def rows(text: str | bytes, form: Literal["csv", "jsonl"] = "csv") -> Rows:
    data = text.encode() if isinstance(text, str) else text
    return read_judgements(io.BytesIO(data), form=form, known=["ana", "ben", "3"])


HEADER = "from,to,verdict,judge,context,time\n"


def test_judgements_are_read_from_csv_with_the_published_words_as_synonyms() -> None:
    words = ["wiser", "not_wiser", "unsure", "abstained", "upgrade", "no_upgrade", "not_sure"]
    found = rows(
        "\ufeff"
        + HEADER
        + "".join(f'ana,ben,{word},j{i},"at work, late",\r\n' for i, word in enumerate(words))
    )
    assert [each.verdict for each in found.judgements] == [*words[:4], *words[:3]]
    assert {(each.context, each.time) for each in found.judgements} == {("at work, late", None)}
    assert found.repeats == 0


def test_judgements_are_read_from_json_lines_and_repeats_are_counted() -> None:
    row = {"from": "ana", "to": 3, "verdict": "upgrade", "judge": 17}
    times = ("2026-01-31", 20260131, None)
    found = rows("\n\n".join(json.dumps(row | {"time": time}) for time in times), "jsonl")
    assert [(each.source, each.wiser, each.judge, each.time) for each in found.judgements] == [
        ("ana", "3", "17", "2026-01-31"),
        ("ana", "3", "17", "20260131"),
        ("ana", "3", "17", None),
    ]
    assert found.repeats == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no judgements"),
        (HEADER, "holds no judgements"),
        ("from,to,verdikt,judge\n", "line 1: unknown column 'verdikt'; did you mean 'verdict'?"),
        ("from,to,verdict\n", "line 1: the column 'judge' is missing"),
        ("from,from,to,verdict,judge\n", "line 1: the column 'from' stands twice"),
        (HEADER + "ana,ben,wiser\n", "line 2: has 3 cells, and the header has 6"),
        (
            HEADER + "ana,ben,wisser,j,,\n",
            "line 2: the verdict 'wisser' is not known; did you mean 'wiser'?",
        ),
        (HEADER + "\nana,bem,wiser,j,,\n", "line 3: no card has the id 'bem'; did you mean 'ben'?"),
        (HEADER + "ana,ana,wiser,j,,\n", "line 2: a move joins two different cards, and both are 'ana'"),
        (HEADER + "ana,ben,wiser, ,,\n", "line 2: judge is empty"),
        (HEADER + 'ana,ben,wiser,"j\n', "line 2: broken CSV: unexpected end of data"),
        (HEADER + "x" * 10_000_000, "line 2: is longer than 64 KiB, the most a line may hold"),
        (HEADER + '"' + "x\n" * 5_000_000, "line 65538: broken CSV: field larger than field limit (131072)"),
        (b"\xff\xfef\x00", "line 1: is not UTF-8 text; save the file as UTF-8"),
        (HEADER.encode() + b"ana,ben,wiser,\xe9,,\n", "line 2: is not UTF-8 text; save the file as UTF-8"),
    ],
)
def test_a_table_of_judgements_that_makes_no_sense_is_refused_with_its_line(
    text: str | bytes, said: str
) -> None:
    with pytest.raises(ValueError, match=r"judgements|line") as caught:
        rows(text)
    assert str(caught.value) == said


@given(st.datetimes(timezones=st.none() | st.timezones()), st.sampled_from("T "))
def test_a_time_of_iso_8601_is_kept_as_it_is_written(when: datetime, between: str) -> None:
    for text in (
        when.isoformat(between, "seconds"),
        when.date().isoformat(),
        f"{when:%Y%m%dT%H%M}".zfill(13),
    ):
        (judgement,) = rows(HEADER + f"ana,ben,wiser,j,,{text}\n").judgements
        assert judgement.time == text


@pytest.mark.parametrize(
    "time", ["notatime", "31.01.2026", "2026-13-01", "2026-02-30", "2026-01-31x14:05", "2026", "1769868300"]
)
def test_a_time_that_is_none_is_refused_with_its_line(time: str) -> None:
    said = f"line 2: the time '{time}' is no date of ISO 8601, as 2026-01-31 or 2026-01-31T14:05:00Z"
    row = {"from": "ana", "to": "ben", "verdict": "wiser", "judge": "j"}
    for text, form in (
        (HEADER + f"ana,ben,wiser,j,,{time}\n", "csv"),
        (f"{json.dumps(row)}\n{json.dumps(row | {'time': time})}\n", "jsonl"),
    ):
        with pytest.raises(ValueError, match="the time") as caught:
            rows(text, form)  # type: ignore[arg-type]
        assert str(caught.value) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: is no JSON; every line needs to be one JSON object"),
        ("[" * 60_000, "line 2: is no JSON; every line needs to be one JSON object"),
        ("[1]", "line 2: needs to be a JSON object with the keys from, to, verdict, judge, context, time"),
        ('{"frm": 1}', "line 2: unknown column 'frm'; did you mean 'from'?"),
        ('{"from": "ana"}', "line 2: the column 'to' is missing"),
        ('{"from": "ana", "to": "ben", "from": "ben"}', "line 2: the column 'from' stands twice"),
        (
            '{"from": "ana", "to": "ben", "verdict": NaN, "judge": "j"}',
            "line 2: verdict needs to be text",
        ),
        (
            '{"from": "ana", "to": "ben", "verdict": "wiser", "judge": "\\ud800"}',
            "line 2: judge holds half a character",
        ),
    ],
)
def test_json_lines_that_make_no_sense_are_refused_with_their_line(line: str, said: str) -> None:
    good = '{"from": "ana", "to": "ben", "verdict": "wiser", "judge": "j"}'
    with pytest.raises(ValueError, match="line 2") as caught:
        rows(f"{good}\n{line}\n", "jsonl")
    assert str(caught.value) == said


@given(st.text(max_size=10))
def test_graphml_can_be_read_back_whatever_the_titles(title: str) -> None:
    graph = graph_of({"ab": ["wiser", "wiser"], "cd": ["not_wiser"]}, context="R&D <home>", title=title)
    read = nx.parse_graphml(to_graphml(graph))
    assert sorted(read) == list("abcdef")
    said = {"weight": 1.0, "likelihood": 1.0, "contexts": "R&D <home>", "kept": True, "wiser": 2}
    assert {name: read.edges["a", "b"][name] for name in said} == said
    assert sorted(nx.parse_graphml(to_graphml(graph, kept_only=True))) == ["a", "b"]


def test_every_context_has_an_edge_in_graphml_and_what_nobody_judged_weighs_nothing() -> None:
    judgements = [
        *judgements_of({"ab": ["wiser", "wiser"]}),
        *judgements_of({"ab": ["not_wiser"], "bc": ["abstained"]}, context="work"),
    ]
    read = nx.parse_graphml(to_graphml(aggregate(graph_of({}).values, judgements)))
    edges = sorted(
        (source, wiser, data["contexts"], data["weight"]) for source, wiser, data in read.edges.data()
    )
    assert edges == [("a", "b", "care", 1.0), ("a", "b", "work", 0.0), ("b", "c", "work", 0.0)]
    asserted = nx.parse_graphml(to_graphml(read_mgg(mgg()).graph))
    assert [data["weight"] for *_, data in asserted.edges.data()] == [1.0, 1.0]


_words = st.text("ab;&<>\"',= é漢", min_size=1, max_size=6).filter(str.strip).map(str.strip)
_cards = st.builds(
    lambda texts, policies, lists: [
        PublishedCard(
            id=id_,
            title=f"{texts[0]} {id_}",
            description=texts[1],
            policies=tuple(policies),
            schwartz=tuple(lists),
            context=texts[2],
            authors=tuple(lists[:1]),
            sources=tuple(lists[1:]),
        )
        for id_ in "abcd"
    ],
    st.lists(_words, min_size=3, max_size=3),
    st.lists(_words, max_size=8),
    st.lists(_words, max_size=3),
)


@given(
    _cards,
    judgements_in_contexts,
    _words,
    st.sampled_from(["multiplex", "dft"]),
    st.sampled_from([0.5, 0.95]),
)
def test_graphml_and_csv_are_read_as_what_was_written(
    cards: list[ValuesCard], judgements: list[Judgement], context: str, profile: Profile, level: float
) -> None:
    named = [
        each.model_copy(update={"context": context}) if each.context == "k" else each for each in judgements
    ]
    named = [each for each in named if {each.source, each.wiser} <= set("abcd")]
    graph = aggregate(cards, named, profile=profile, min_likelihood=0.4, level=level)
    found, stated = read_graphml(to_graphml(graph, level=level))
    assert stated == level
    tables = to_csv(graph)
    table = read_csv(tables)
    marked = read_csv(CsvTables(*(text.replace("\n", "\r\n") for text in tables)))  # as spreadsheets do
    unjudged = all(edge.interval is None for edge in graph.edges)
    for each in (found, table, marked):
        assert [card.model_dump() for card in each.values] == [
            card.model_dump(include=set(type(each.values[0]).model_fields)) for card in graph.values
        ]
        assert each.edges == graph.edges
        assert each.thresholds == graph.thresholds or (each is not found and unjudged)


def test_an_asserted_graph_is_read_back_from_graphml_and_csv() -> None:
    graph = read_mgg(mgg()).graph
    assert read_graphml(to_graphml(graph)).graph.edges == graph.edges
    assert read_csv(to_csv(graph)).edges == graph.edges
    empty = graph.model_copy(update={"values": (), "edges": ()})
    assert read_graphml(to_graphml(empty)).graph == empty
    assert read_csv(to_csv(empty)) == empty


ENTITIES = "<!ENTITY a 'lol'>" + "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in itertools.pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "is no XML: no element found"),
        (lambda text: text[:-20], "is no XML: "),
        (lambda text: "<html/>", "is no GraphML that can be read: file not successfully read as graphml"),
        (lambda text: f"<!DOCTYPE x [{ENTITIES}]><x>&j;</x>", "has a document type"),
        (
            lambda text: (
                '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + text.replace("T a", "&f;")
            ),
            "has a document type",
        ),
        (lambda text: text.replace("T a", "&f;"), "is no XML: undefined entity"),
        (lambda text: "<a>" * 100_000, "is no XML: no element found"),
        (lambda text: text.replace('="directed"', '="undirected"'), "is an undirected graph"),
        (lambda text: text.replace('"profile"', '"profil"'), "holds no moral graph: its graph has no data"),
        (lambda text: text.replace(">multiplex<", ">dft2<"), "graph.profile: input should be"),
        (lambda text: text.replace(">0.95<", ">nan<"), "graph.level: input should be"),
        (lambda text: text.replace('"title"', '"label"'), "values[0].title: is missing"),
        (lambda text: text.replace('<node id="b">', '<node id="a">'), "two values have the id 'a'"),
        (
            lambda text: text.replace('target="b"', 'target="a"'),
            "edge from 'a' to 'a': leads from a value to its",
        ),
        (
            lambda text: text.replace('target="b"', 'target="z"'),
            "edge from 'a' to 'z': no value has the id 'z'",
        ),
        (
            lambda text: text.replace('attr.type="long"', 'attr.type="odd"'),
            "is no GraphML that can be read: ",
        ),
        (lambda text: text.replace(">2<", ">two<"), "is no GraphML that can be read: invalid literal"),
        (lambda text: text.replace(">0<", ">-2<"), "edge from 'a' to 'b'.not_wiser: input should be greater"),
        (
            lambda text: text.replace(">1.0<", ">nan<"),
            "edge from 'a' to 'b': likelihood is nan, and its counts",
        ),
        (
            lambda text: text.replace(">2<", ">3<").replace(">1.0<", ">0.5<"),
            "edge from 'a' to 'b': likelihood is",
        ),
    ],
)
def test_a_graphml_that_makes_no_sense_is_refused_in_one_sentence(
    change: Callable[[str], str], said: str
) -> None:
    with pytest.raises(ValueError, match=r"is|has|have|holds|input|leads|no value") as caught:
        read_graphml(change(to_graphml(graph_of({"ab": ["wiser", "wiser"]}))))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("values", None, "", "the table of values: is empty"),
        ("values", "title", "titel", "the table of values, line 1: the column 'title' is missing"),
        ("edges", "from", "to", "the table of edges, line 1: the column 'from' is missing"),
        ("edges", ",less_wise", ",wiser", "the table of edges, line 1: the column 'wiser' stands twice"),
        ("edges", "a,b,", "a,b", "the table of edges, line 2: has 21 cells, and the header has 22"),
        ("edges", "a,b,", "a,z,", "the table of edges, line 2 ('a' to 'z'): no value has the id 'z'"),
        ("edges", "a,b,", "a,a,", "the table of edges, line 2 ('a' to 'a'): leads from a value to itself"),
        ("edges", "a,b,", '"a,b,', "the table of edges, line 2: broken CSV: "),
        (
            "edges",
            ",1.0,",
            ",0.5,",
            "the table of edges, line 2 ('a' to 'b'): likelihood is 0.5, and its counts",
        ),
        (
            "edges",
            ",1.0,",
            ",nan,",
            "the table of edges, line 2 ('a' to 'b'): likelihood is nan, and its counts",
        ),
        ("edges", ",0.95,", ",7,", "the table of edges, line 2.level: input should be less than 1"),
        ("edges", "care,2,", "care,-2,", "the table of edges, line 2.wiser: input should be greater than or"),
        (
            "edges",
            "care,2,",
            "care,9e999,",
            "the table of edges, line 2.wiser: input should be a valid integer",
        ),
        ("edges", ",true,", ",yesno,", "the table of edges, line 2.kept: input should be a valid boolean"),
        (
            "edges",
            "multiplex",
            "dtf",
            "the table of edges, line 2.profile: input should be 'multiplex' or 'dft'",
        ),
        (
            "edges",
            "b,c,care",
            "a,b,care",
            "the table of edges, line 4 ('a' to 'b'): the pair has an edge already",
        ),
        (
            "edges",
            ",false,",
            ",true,",
            "the table of edges, line 4 ('b' to 'c'): is kept, and its counts do not",
        ),
    ],
)
def test_csv_tables_that_make_no_sense_are_refused_in_one_sentence(
    table: str, old: str | None, new: str, said: str
) -> None:
    tables = to_csv(graph_of({"ab": ["wiser", "wiser"], "bc": ["wiser"]}))
    text = getattr(tables, table)
    assert old is None or old in text
    wrong = new if old is None else text.replace(old, new, 1)
    with pytest.raises(ValueError, match="the table of") as caught:
        read_csv(tables._replace(**{table: wrong}))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_rows_of_different_thresholds_are_no_graph() -> None:
    tables = to_csv(graph_of({"ab": ["wiser", "wiser"], "bc": ["wiser"]}))
    *head, last = tables.edges.splitlines(keepends=True)
    mixed = tables._replace(edges="".join([*head, last.replace(",0.33,", ",0.5,")]))
    with pytest.raises(ValueError, match="line 4: has other thresholds than the rows before it"):
        read_csv(mixed)


@given(pairs_of_values, st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8))
def test_the_csv_tables_hold_every_value_and_edge(pairs: dict[str, list[Opinion]], title: str) -> None:
    graph = graph_of(pairs, title=title, context='at "work"; late, or not')
    tables = to_csv(graph)
    values = list(csv.DictReader(io.StringIO(tables.values, newline="")))
    assert [row["title"] for row in values] == [card.title for card in graph.values]
    assert {row["policies"] for row in values} == {"MOMENTS x\nSIGNS y\nWAYS z"}
    edges = list(csv.DictReader(io.StringIO(tables.edges, newline="")))
    assert [(row["from"], row["to"], row["contexts"]) for row in edges] == [
        (edge.source, edge.wiser, "\n".join(edge.contexts)) for edge in graph.edges
    ]
    for row, edge in zip(edges, graph.edges, strict=True):
        assert int(row["wiser"]) == edge.counts.wiser
        assert float(row["likelihood"]) == edge.likelihood
        assert row["kept"] == ("true" if edge.kept else "false")


def test_an_undefined_number_is_an_empty_cell() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(graph_of({"ab": ["abstained"]})).edges))
    assert (row["likelihood"], row["low"], row["entropy"], row["abstained"]) == ("", "", "", "1")
