"""The graph as GraphML and as CSV tables: as their readers expect it, and read as what was written."""

import csv
import io
import itertools
from collections.abc import Callable

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import Profile
from multiplex.moral_graph.formats import to_graphml
from multiplex.moral_graph.formats.cards import PublishedCard
from multiplex.moral_graph.formats.graphml import read_graphml
from multiplex.moral_graph.formats.mgg import read_mgg
from multiplex.moral_graph.formats.spreadsheets import CsvTables, read_csv, to_csv
from multiplex.moral_graph.graph import aggregate
from multiplex.moral_graph.judgements import Judgement, Opinion
from tests.moral_graph.made import graph_of, judgements_in_contexts, judgements_of, mgg, pairs_of_values


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
