"""`multiplex graph`: from files to a graph, and from a graph to what people and programs read."""

import csv
import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from multiplex.moral_graph.ranking import METHODS
from tests.cli.graphs import HEADER, card, graph, ran, refused, told


def test_build_makes_a_graph_of_files_and_says_what_it_is(
    tmp_path: Path, cards: Path, judgements: Path
) -> None:
    out = tmp_path / "graph.json"
    said = ran("build", judgements, "--cards", cards, "--out", out)
    assert said == f"6 judgements; 4 values, 4 edges, 2 kept\nwrote {out}\n"
    data = json.loads(out.read_text(encoding="utf-8"))
    assert [each["judge"] for each in data["judgements"]] == [f"j{i}" for i in range(6)]
    assert data["thresholds"]["profile"] == "multiplex"
    assert data["winners"]["values"][0]["id"] == "c"
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    assert refused("build", judgements, "--cards", cards, "--out", out).endswith("--force writes over it")
    assert told("build", judgements, "--cards", cards, "--out", out, "--force")["out"] == str(out)


def test_build_follows_the_profile_and_the_thresholds_and_reads_them_again(
    tmp_path: Path, cards: Path, judgements: Path
) -> None:
    out = tmp_path / "graph.json"
    words = ("--profile", "dft", "--min-wiser", "3", "--level", "0.8", "--out", out)
    assert told("build", judgements, "--cards", cards, *words)["kept"] == 0
    shown = told("show", out)
    assert shown["thresholds"] == {
        "profile": "dft",
        "min_wiser": 3,
        "min_likelihood": 0.33,
        "max_entropy": 1.69,
    }
    assert shown["edges"][0]["interval"]["level"] == 0.8
    assert refused("build", judgements, "--cards", cards, "--max-entropy", "nan").startswith(
        "the graph cannot be built: max_entropy: input should be"
    )
    assert refused("build", judgements, "--cards", cards, "--level", "1").endswith("between 0 and 1")


def test_build_prints_the_graph_and_warns_of_repeats(tmp_path: Path, cards: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    row = {"from": "a", "to": "b", "verdict": "wiser", "judge": "j", "time": "2026-01-31"}
    path.write_text("".join(f"{json.dumps(row)}\n" for _ in range(2)), encoding="utf-8")
    result = graph("build", path, "--cards", cards, "--json")
    found = json.loads(result.stdout)
    assert (found["repeats"], found["kept"], found["out"]) == (1, 0, None)  # one judge is not two
    assert found["moral_graph"]["edges"][0]["counts"]["markedWiser"] == 2
    assert "1 judgement repeats an earlier judge" in result.stderr
    assert found["warnings"][0] in result.stderr
    assert "nothing was written" in ran("build", path, "--cards", cards)


def test_cards_come_from_a_run_a_graph_or_json_lines(tmp_path: Path, run: Path, judgements: Path) -> None:
    lines = tmp_path / "cards.jsonl"
    lines.write_text("".join(f"{json.dumps(card(id_))}\n" for id_ in "abcd"), encoding="utf-8")
    for source in (run, run / "moral_graph.json", lines):
        assert told("build", judgements, "--cards", source)["values"] == 4
    lines.write_text(json.dumps(card("a")), encoding="utf-8")
    assert refused("build", judgements, "--cards", lines).startswith(
        f"{judgements}: line 2: no card has the id 'b'"
    )


def test_files_that_hold_something_else_are_refused_in_one_sentence(
    tmp_path: Path, cards: Path, judgements: Path
) -> None:
    path = tmp_path / "x.json"
    for data, said in [
        (b"", "is empty"),
        (b"\xff\xfe", "line 1: is not UTF-8 text; save it as UTF-8"),
        (b'{"values": [', "line 1: broken JSON: Expecting value"),
        (b"[" * 100_000, "broken JSON: nested too deeply"),
        (b'{"values": [], "edges": [\n{"a": NaN}]}', "edges[0].a is NaN or infinite, which JSON does not"),
        (b'{"values": [], "edges": [], "x": -Infinity}', "x is NaN or infinite, which JSON does not have"),
        (b"null", "holds no moral graph: the run compared no values"),
        (b'{"question": "What?"}', "holds no moral graph: needs `values` and `edges`"),
        (b"x" * 10_000_000, "line 1: broken JSON: Expecting value"),
        (b'{"values": [{"id": 1, "title": "T"}], "edges": [3]}', "edges[0]: input should be"),
    ]:
        path.write_bytes(data)
        assert refused("show", path).startswith(f"{path}: {said}")
    # JSON Lines are told by their first line.
    good = json.dumps(card("a")).encode()
    for lines, said in [
        ([good, good, b'{"id": 1} x', good], "line 3: broken JSON: Extra data"),
        ([good, b"", b"[" * 100_000], "line 3: broken JSON: nested too deeply"),
        ([b"[", good, b"]]"], "line 3: broken JSON: Extra data"),
        ([b"[", good, b"{]"], "line 3: broken JSON: Expecting ',' delimiter"),
    ]:
        path.write_bytes(b"\n".join(lines))
        assert refused("build", judgements, "--cards", path) == f"{path}: {said}"
    assert refused("show", tmp_path / "cardss.json").endswith("no such file; did you mean 'cards.json'?")
    assert refused("show", tmp_path).endswith("is no run (it holds no moral_graph.json)")
    path.write_text(f"[{json.dumps({'from': 'a'})}]", encoding="utf-8")
    assert "is a JSON list" in refused("build", path, "--cards", cards)
    judgements.write_text(HEADER + "a,b,wiser,j,care\na,e,wiser,j,care\n", encoding="utf-8")
    assert refused("build", judgements, "--cards", cards).startswith(
        f"{judgements}: line 3: no card has the id"
    )


def test_check_is_silent_about_good_cards_and_exits_with_one_over_complaints(
    tmp_path: Path, run: Path, judgements: Path
) -> None:
    assert ran("check", run) == "4 cards, 0 complaints; 0 cycles of kept edges, 0 self-contradictions\n"
    bad = tmp_path / "bad.json"
    bad.write_text(
        json.dumps([card("a", policies=[], schwartz=["Equalty"]), *map(card, "bcd")]), encoding="utf-8"
    )
    ran("build", judgements, "--cards", bad, "--out", tmp_path / "graph.json")
    result = graph("check", tmp_path / "graph.json", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert {each["card"] for each in found["complaints"]} == {"a"}
    assert {each["criterion"] for each in found["complaints"]} == {"number", "schwartz"}
    assert graph("check", tmp_path / "graph.json").stdout.count("complaint") >= 1


def test_check_says_what_it_cannot_tell_of_policies_in_other_scripts(
    tmp_path: Path, judgements: Path
) -> None:
    cards = tmp_path / "cards.json"
    policies = ["順番を待つ家々", "जल के बिना घर", "مشاركات كل بيت"]
    cards.write_text(
        json.dumps([card("a", policies=policies), *map(card, "bcd")], ensure_ascii=False), encoding="utf-8"
    )
    ran("build", judgements, "--cards", cards, "--out", tmp_path / "graph.json")
    said = ran("check", tmp_path / "graph.json")
    assert "4 cards, 0 complaints" in said
    assert said.count("not checked: plurals that are not English") == 1
    [held] = told("check", tmp_path / "graph.json")["not_checked"]
    assert held in said


def test_check_tells_cycles_and_judges_who_said_both(tmp_path: Path, cards: Path) -> None:
    path = tmp_path / "judgements.csv"
    moves = [
        ("a", "b", "j1", "care"),
        ("a", "b", "j2", "care"),
        ("b", "a", "j1", "work"),
        ("b", "a", "j2", "work"),
    ]
    moves += [("b", "a", "j1", "care")]
    path.write_text(HEADER + "".join(f"{a},{b},wiser,{j},{c}\n" for a, b, j, c in moves), encoding="utf-8")
    ran("build", path, "--cards", cards, "--min-likelihood", "0.3", "--out", tmp_path / "g.json")
    found = told("check", tmp_path / "g.json")
    assert [each["values"] for each in found["cycles"]] == [["a", "b"]]
    assert found["self_contradictions"] == [{"judge": "j1", "one": "a", "other": "b", "context": "care"}]
    said = ran("check", tmp_path / "g.json")
    assert "cycle: a -> b -> a" in said
    assert "j1 found a and b each wiser than the other in 'care'" in said


def test_show_prints_the_kept_edges_and_is_safe_for_a_terminal(
    tmp_path: Path, judgements: Path, run: Path
) -> None:
    said = ran("show", run)
    assert "Trust in a" in said
    assert "4 values, 4 edges, 2 kept; profile multiplex" in said
    assert told("show", run, "--context", "care")["contexts"] == ["care"]
    assert refused("show", run, "--context", "car").endswith("context 'car'; did you mean 'care'?")
    nasty = tmp_path / "nasty.json"
    nasty.write_text(json.dumps([card(id_, title="\x1b[1m[red]x") for id_ in "abcd"]), encoding="utf-8")
    ran("build", judgements, "--cards", nasty, "--out", tmp_path / "g.json")
    said = ran("show", tmp_path / "g.json")
    assert "\x1b" not in said
    assert "[red]x" in said


def test_path_takes_ids_and_titles_and_says_where_there_is_none(run: Path) -> None:
    said = ran("path", run, "a", "trust in C")
    assert said.splitlines() == [
        "Trust in a (a)",
        "  -> Trust in b (b): likelihood 1.00, care",
        "  -> Trust in c (c): likelihood 1.00, care",
        "2 hops, product of likelihoods 1.000",
    ]
    found = told("path", run, "a", "c")
    assert [hop["wiser"] for hop in found["hops"]] == ["b", "c"]
    assert (found["strength"], found["reason"]) == (1.0, None)
    assert ran("path", run, "a", "d") == "no chain of kept edges leads from 'a' to 'd'\n"
    assert told("path", run, "a", "d")["strength"] is None
    assert refused("path", run, "a", "Trust in e").startswith(
        "no value has the id or title 'Trust in e'; did you mean 'Trust in"
    )


def test_winners_prints_every_ranking_there_is(run: Path) -> None:
    found = told("winners", run)
    assert [each["id"] for each in found["values"]] == ["c", "b", "a"]
    said = ran("winners", run, "--context", "care")
    header = said.splitlines()[0].split("  ")
    names = [name.strip() for name in header if name]
    rankings = [name.removeprefix("PageRank ").removeprefix("robust ") for name in METHODS.values()]
    assert names == ["value", *rankings]
    assert said.splitlines()[-1] == "Bradley-Terry: no pair has the 5 verdicts that robustness needs"
    assert "1. 0.474" in " ".join(said.split())
    assert "did you mean 'care'?" in refused("winners", run, "--context", "caree")


def test_a_table_of_winners_has_one_line_a_value_at_100_columns(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    moves, cards = tmp_path / "moves.csv", tmp_path / "named.json"
    title = "Parents on both sides"
    cards.write_text(json.dumps([card(id_, title=f"{title} {id_}") for id_ in "abcd"]), encoding="utf-8")
    rows = [f"{pair},wiser,j{judge},care\n" for pair in ("a,b", "c,d") for judge in range(5)]
    moves.write_text(HEADER + "".join(rows), encoding="utf-8")
    ran("build", moves, "--cards", cards, "--out", tmp_path / "parts.json")
    said = ran("winners", tmp_path / "parts.json").splitlines()
    assert said[0].endswith("robust Bradley-Terry  component")
    assert len(said) == 5


def test_diff_names_what_was_added_removed_and_changed(tmp_path: Path, run: Path, cards: Path) -> None:
    assert ran("diff", run, run) == "no difference\n"
    path = tmp_path / "later.csv"
    path.write_text(HEADER + "a,b,wiser,j,care\nd,c,wiser,j,care\n", encoding="utf-8")
    cards.write_text(json.dumps([card(id_) for id_ in "abcde"]), encoding="utf-8")
    ran("build", path, "--cards", cards, "--out", tmp_path / "later.json")
    found = told("diff", run, tmp_path / "later.json")
    assert [each["id"] for each in found["cards_added"]] == ["e"]
    assert [each["source"] for each in found["edges_added"]] == ["d"]
    assert [each["source"] for each in found["edges_removed"]] == ["b", "c", "c"]
    (changed,) = found["edges_changed"]
    assert (changed["before"]["kept"], changed["after"]["kept"]) == (True, False)
    assert "now not kept" in " ".join(ran("diff", run, tmp_path / "later.json").split())


def test_a_likelihood_that_nobody_told_is_said_in_words(tmp_path: Path, run: Path) -> None:
    ran("export", run, "--format", "mgg", "--out", tmp_path / "mgg.json")
    data = json.loads((tmp_path / "mgg.json").read_text(encoding="utf-8"))
    data["edges"] = data["edges"][1:]
    (tmp_path / "less.json").write_text(json.dumps(data), encoding="utf-8")
    said = " ".join(ran("diff", tmp_path / "mgg.json", tmp_path / "less.json").split())
    assert "kept, its likelihood not told" in said
    assert " at -" not in said


def test_edges_that_the_judgements_do_not_make_are_told(tmp_path: Path, run: Path) -> None:
    path = run / "moral_graph.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["edges"][0]["counts"]["markedWiser"] = 7
    del data["edges"][1]
    path.write_text(json.dumps(data), encoding="utf-8")
    result = graph("show", run)
    assert result.exit_code == 0
    assert "2 wiser" in result.stdout
    assert result.stderr == (
        f"warning: {path}: its edges are not what its judgements make, and the judgements are taken: "
        "edges[0] ('a' to 'b'): counts.markedWiser is 7, and by the judgements 2; "
        "edges: 1 that the judgements make are not there, the first 'b' to 'c'\n"
    )
    assert len(told("check", run)["disagreements"]) == 2


NASTY = "Care\nof\tthe\r\nold\x00\x85\u2028now"


def test_breaks_and_control_characters_in_titles_break_no_row(
    tmp_path: Path, cards: Path, judgements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    cards.write_text(json.dumps([card(id_, title=f"{NASTY} {id_}") for id_ in "abcd"]), encoding="utf-8")
    out = tmp_path / "g.json"
    ran("build", judgements, "--cards", cards, "--out", out)
    plain = "Care of the old now"
    shown = ran("show", out).splitlines()
    assert len(shown) == 4  # a header, two edges, a summary
    assert shown[1].startswith(f"{plain} a")
    assert len(ran("winners", out).splitlines()) == 7  # a header, four values, and two notes
    assert ran("path", out, "a", "b").splitlines()[0] == f"{plain} a (a)"
    ran("export", out, "--format", "csv", "--out", tmp_path / "t")
    rows = (tmp_path / "t.values.csv").read_text(encoding="utf-8")
    assert next(csv.DictReader(rows.splitlines(keepends=True)))["title"] == f"{plain} a"
    assert "\x00" not in rows
    cards.write_text(json.dumps([card("a\nb")]), encoding="utf-8")
    said = refused("build", judgements, "--cards", cards)
    assert said.endswith("values[0].id: an id holds no line breaks, tabs or control characters")


def test_graphs_of_different_profiles_are_compared_as_far_as_they_can_be(
    tmp_path: Path, run: Path, cards: Path, judgements: Path
) -> None:
    ran("build", judgements, "--cards", cards, "--profile", "dft", "--out", tmp_path / "dft.json")
    said = ran("diff", run, tmp_path / "dft.json").splitlines()
    assert said[0] == "no difference"
    assert [line.split(":")[0] for line in said[1:]] == ["not compared"] * 3
    judgements.write_text(HEADER + "a,b,wiser,j,care\n", encoding="utf-8")
    ran("build", judgements, "--cards", cards, "--profile", "dft", "--out", tmp_path / "less.json")
    less = " ".join(ran("diff", run, tmp_path / "less.json").split())
    assert "edge changed a -> b in care 2 wiser, now 1 wiser" in less
    assert "edge removed b -> c in care 2 wiser" in less
    assert told("diff", run, tmp_path / "less.json")["not_compared"]


@pytest.mark.parametrize("form", ["dft", "mgg"])
def test_an_exported_graph_is_read_again(tmp_path: Path, run: Path, form: str) -> None:
    out = tmp_path / "out.json"
    assert told("export", run, "--format", form, "--out", out) == {"format": form, "out": [str(out)]}
    shown = told("show", out)
    assert shown["shape"] == form
    kept = [(edge["source"], edge["wiser"]) for edge in shown["edges"] if edge["kept"]]
    assert kept == [("a", "b"), ("b", "c")]
    assert "already" in refused("export", run, "--format", form, "--out", out)
    assert [each["id"] for each in told("winners", out)["values"]] == ["c", "b", "a"]
    assert ("profile" in ran("show", out)) == (form == "dft")  # of mgg nothing was judged
    said = ran("check", out)
    assert said.startswith("4 cards, 0 complaints")
    assert ("not checked: Schwartz's basic values" in said) == (form == "mgg")
    assert told("check", out)["not_checked"] == (
        ["Schwartz's basic values, for which the format of mgg has no place"] if form == "mgg" else []
    )


def test_graphml_and_csv_are_what_their_readers_expect(tmp_path: Path, run: Path) -> None:
    ran("export", run, "--format", "graphml", "--out", tmp_path / "g.graphml")
    assert sorted(nx.read_graphml(tmp_path / "g.graphml")) == ["a", "b", "c", "d"]
    said = ran("export", run, "--format", "csv", "--out", tmp_path / "g.csv")
    assert said == f"wrote {tmp_path / 'g.values.csv'} and {tmp_path / 'g.edges.csv'}\n"
    with (tmp_path / "g.edges.csv").open(encoding="utf-8", newline="") as stream:
        assert [row["kept"] for row in csv.DictReader(stream)] == ["true", "true", "false", "false"]
    assert refused("export", run, "--format", "csv", "--out", "/") == "/: is a folder; name a file"
    none = tmp_path / "none"
    assert refused("export", run, "--format", "csv", "--out", none / "g.csv") == (
        f"{none / 'g.values.csv'}: cannot be written: there is no folder {str(none)!r}; make it first"
    )


def test_nan_is_undefined_in_the_published_shape_and_nowhere_else(tmp_path: Path, run: Path) -> None:
    path, out = tmp_path / "dft.json", tmp_path / "out.json"
    ran("export", run, "--format", "dft", "--out", path)
    data = json.loads(path.read_text(encoding="utf-8"))
    data["edges"] = data.pop("allEdges")
    edge = data["edges"][0]
    edge["summary"] = {"wiserLikelihood": float("nan"), "entropy": float("nan")}
    path.write_text(json.dumps(data), encoding="utf-8")
    assert "summary.wiserLikelihood is nan, and its counts give 1" in refused("show", path)
    edge["counts"] = dict.fromkeys(edge["counts"], 0)
    path.write_text(json.dumps(data), encoding="utf-8")
    assert told("show", path)["edges"][0]["likelihood"] is None
    ran("export", path, "--format", "mgg", "--out", out)
    data = json.loads(out.read_text(encoding="utf-8"))
    data["edges"][0]["metadata"]["score"] = float("inf")
    out.write_text(json.dumps(data), encoding="utf-8")
    assert refused("export", out, "--format", "mgg", "--out", tmp_path / "again.json").startswith(
        f"{out}: edges[0].metadata.score is NaN or infinite"
    )
    out.write_text(out.read_text(encoding="utf-8").replace("Infinity", "1e999"), encoding="utf-8")
    assert "metadata.score is NaN or infinite" in refused("show", out)


def test_a_count_that_no_number_holds_is_refused(tmp_path: Path, run: Path) -> None:
    path = tmp_path / "dft.json"
    ran("export", run, "--format", "dft", "--out", path)
    data = json.loads(path.read_text(encoding="utf-8"))
    data["edges"][0]["counts"]["markedWiser"] = 10**400
    path.write_text(json.dumps(data), encoding="utf-8")
    assert refused("show", path) == (
        f"{path}: edges[0].counts.markedWiser: input should be less than or equal to 1000000000"
    )


def test_an_empty_graph_is_answered_by_every_command(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text('{"values": [], "edges": []}', encoding="utf-8")
    assert "0 values, 0 edges, 0 kept" in ran("show", path)
    assert "no transition was judged" in ran("winners", path)
    assert ran("check", path).startswith("0 cards, 0 complaints")
    assert ran("diff", path, path) == "no difference\n"
    assert "there are none" in refused("path", path, "a", "b")
    for form in ("dft", "mgg", "graphml", "csv"):
        ran("export", path, "--format", form, "--out", tmp_path / f"out.{form}")


def test_nothing_is_written_over_what_was_read_or_what_is_no_plain_file(
    tmp_path: Path, cards: Path, judgements: Path
) -> None:
    before = judgements.read_text(encoding="utf-8")
    said = refused("build", judgements, "--cards", cards, "--out", judgements, "--force")
    assert said.endswith("is what was read; name another file")
    assert judgements.read_text(encoding="utf-8") == before
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    for path in (link, Path("/dev/null")):
        said = refused("build", judgements, "--cards", cards, "--out", path, "--force")
        assert said.endswith("is no plain file; name another one")


def test_graphml_and_csv_are_read_as_the_graph_that_was_written(
    tmp_path: Path, run: Path, judgements: Path
) -> None:
    before = told("show", run)
    for form in ("graphml", "csv"):
        ran("export", run, "--format", form, "--out", tmp_path / f"g.{form}")
    for name in ("g.graphml", "g.csv", "g.edges.csv", "g.values.csv"):
        shown = told("show", tmp_path / name)
        assert shown.pop("shape") == name.split(".")[-1]
        assert shown == {name: each for name, each in before.items() if name != "shape"}
        assert ran("diff", run, tmp_path / name) == "no difference\n"
        assert [each["id"] for each in told("winners", tmp_path / name)["values"]] == ["c", "b", "a"]
        assert told("build", judgements, "--cards", tmp_path / name)["kept"] == 2
        assert "holds no judgements" in refused("merge", tmp_path / name)
        out = tmp_path / "g"
        assert "is what was read" in refused("export", tmp_path / "g.csv", "--format", "csv", "--out", out)


def test_a_graphml_or_csv_that_is_none_is_refused_in_one_sentence(tmp_path: Path, run: Path) -> None:
    path = tmp_path / "x.graphml"
    for text, said in [
        ("<graphml/>", "is no GraphML that can be read: file not successfully read as graphml"),
        ("graphml", "line 1: broken JSON: Expecting value"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "has a document type (<!DOCTYPE ...>)"),
    ]:
        path.write_text(text, encoding="utf-8")
        assert refused("show", path).startswith(f"{path}: {said}")
    ran("export", run, "--format", "csv", "--out", tmp_path / "t")
    values = tmp_path / "t.values.csv"
    values.write_text("id\na\n", encoding="utf-8")
    assert refused("show", tmp_path / "t.edges.csv") == (
        f"{tmp_path / 't.edges.csv'}: the table of values, line 1: the column 'title' is missing"
    )
    values.unlink()
    assert refused("show", tmp_path / "t.edges.csv").startswith(f"{values}: no such file")


def test_cards_without_policies_are_told_when_a_graph_is_built(tmp_path: Path, judgements: Path) -> None:
    for bare, said in (("abcd", "4 of 4 cards have"), ("b", "1 of 4 cards has")):
        cards = tmp_path / "bare.json"
        cards.write_text(
            json.dumps([card(id_, **({"policies": []} if id_ in bare else {})) for id_ in "abcd"]),
            encoding="utf-8",
        )
        found = told("build", judgements, "--cards", cards)
        assert found["warnings"] == [
            f"{said} no policies, which are what a value is told by; multiplex graph check tells which"
        ]
        assert said in graph("build", judgements, "--cards", cards).stderr


def test_cards_of_no_good_values_are_told_when_a_graph_is_built(tmp_path: Path, judgements: Path) -> None:
    changes: dict[str, Any] = {
        "b": {"policies": ["GOALS to achieve at last"]},
        "c": {"schwartz": []},
        "d": {"policies": []},
    }
    cards = tmp_path / "cards.json"
    cards.write_text(json.dumps([card(id_, **changes.get(id_, {})) for id_ in "abcd"]), encoding="utf-8")
    bare, faulty = told("build", judgements, "--cards", cards)["warnings"]
    assert bare.startswith("1 of 4 cards has no policies")
    assert faulty == (
        "1 of 4 cards does not meet the criteria of a good one; multiplex graph check tells which"
    )


def test_files_that_are_swapped_are_told_by_their_own_names(cards: Path, judgements: Path) -> None:
    assert refused("build", cards, "--cards", judgements) == (
        f"{judgements}: is no table of a moral graph: those are called NAME.values.csv and NAME.edges.csv, as"
        " multiplex graph export writes them"
    )


def test_a_value_that_ends_no_kept_edge_is_ranked_by_bradley_terry_and_said_to_be(
    tmp_path: Path, cards: Path
) -> None:
    path, out = tmp_path / "moves.csv", tmp_path / "g.json"
    rows = [f"a,b,wiser,j{n},care\n" for n in range(2)] + [f"b,c,wiser,j{n},c{n}\n" for n in range(6)]
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    ran("build", path, "--cards", cards, "--out", out)
    found = told("winners", out)
    assert found["winners"]["bradley_terry"] == ["c"]
    [other] = found["others"]
    assert (other["id"], other["bradley_terry_rank"], other["pagerank"]) == ("c", 1, None)
    result = graph("winners", out)
    assert result.stdout.splitlines()[-1].startswith("-: ends no kept edge")
    assert "'Trust in c' under robust Bradley-Terry" in result.stderr


def test_a_shape_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path, run: Path) -> None:
    out = tmp_path / "out"
    assert refused("export", run, "--format", "grapml", "--out", out) == (
        "--format 'grapml': no such shape; did you mean 'graphml'?"
    )
    assert refused("export", run, "--format", "foo", "--out", out).endswith("known: csv, dft, graphml, mgg")


def test_rules_that_there_are_not_are_told_with_those_that_there_are(cards: Path, judgements: Path) -> None:
    assert refused("build", judgements, "--cards", cards, "--profile", "foo") == (
        "--profile 'foo': no such rules; known: dft, multiplex"
    )


@pytest.mark.parametrize("divider", [";", "\t"])
def test_judgements_may_be_divided_as_spreadsheets_do(
    tmp_path: Path, cards: Path, judgements: Path, divider: str
) -> None:
    (other := tmp_path / "other.csv").write_text(
        judgements.read_text(encoding="utf-8").replace(",", divider), encoding="utf-8"
    )
    assert told("build", other, "--cards", cards) == told("build", judgements, "--cards", cards)
