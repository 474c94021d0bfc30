"""Moral graphs made: built from judgements, merged from runs, exported for others."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiplex.cli.graph_shown import counted, say, summary, warn
from multiplex.cli.outcome import Json, plain_errors, print_json
from multiplex.errors import ContentError, ModelError, near_miss

if TYPE_CHECKING:
    from multiplex.embedding import Embedder
    from multiplex.moral_graph.cards import ValuesCard
    from multiplex.moral_graph.combining import Part
    from multiplex.moral_graph.formats.reading import GraphData
    from multiplex.moral_graph.graph import MoralGraph

__all__ = ["GraphFile", "build_command", "export_command", "merge_command", "near_groups"]

_NEAR = 0.15
"""The distance within which cards of different runs are one value, nobody being asked: no two of the 406 lists
of policies that personas ship with lie nearer than 0.169, and a policy left out moves a list by 0.06 (the
median; 0.13 at most of 40; all-MiniLM-L6-v2). At the published 0.3 of another embedding, cards become one
that are not one value."""

GraphFile = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A run's folder, a moral_graph.json, a published DFT JSON, one of mgg, a GraphML or a table of a CSV.",
    ),
]
_Out = Annotated[
    Path | None, typer.Option(help="Write the graph there, as a run's moral_graph.json.", show_default=False)
]
_SHAPES = ("dft", "mgg", "graphml", "csv")
_Force = Annotated[bool, typer.Option("--force", help="Write over files that are there already.")]


def build_command(
    judgements: Annotated[
        Path,
        typer.Argument(
            help="CSV or JSON Lines of from, to, verdict, judge, and if wished context and time."
            " Verdicts: wiser, not_wiser, unsure, abstained; or upgrade, no_upgrade, not_sure."
        ),
    ],
    cards: Annotated[
        Path, typer.Option(help="A run's folder, a moral graph, or a JSON or JSON Lines list of cards.")
    ],
    profile: Annotated[str, typer.Option(help="The rules of aggregation: multiplex or dft.")] = "multiplex",
    min_wiser: Annotated[int | None, typer.Option(help="Instead of the profile's.")] = None,
    min_likelihood: Annotated[float | None, typer.Option(help="Instead of the profile's.")] = None,
    max_entropy: Annotated[float | None, typer.Option(help="Instead of the profile's.")] = None,
    level: Annotated[float, typer.Option(help="The confidence of the intervals.")] = 0.95,
    out: _Out = None,
    force: _Force = False,
    as_json: Json = False,
) -> None:
    """Build a moral graph from files of judgements and cards."""
    with plain_errors():
        from multiplex.cli.graph_files import explained, load_cards, load_judgements
        from multiplex.moral_graph.edges import PROFILES
        from multiplex.moral_graph.formats.reading import to_json
        from multiplex.moral_graph.graph import aggregate

        if profile not in PROFILES:
            raise ContentError(f"--profile {profile!r}: no such rules; {near_miss(profile, PROFILES)}")
        known = load_cards(cards)
        rows = load_judgements(judgements, [card.id for card in known])
        with explained("the graph cannot be built"):
            graph = aggregate(
                known,
                rows.judgements,
                profile=profile,
                min_wiser=min_wiser,
                min_likelihood=min_likelihood,
                max_entropy=max_entropy,
                level=level,
            )
        warnings = []
        if rows.repeats:
            times = "1 judgement repeats" if rows.repeats == 1 else f"{rows.repeats:,} judgements repeat"
            said = f"{times} an earlier judge, move and context, and counted like any other"
            alone = "; but for an edge to be kept, different judges have to say wiser"
            warnings.append(said + (alone if profile == "multiplex" else ""))
        warnings += _of_cards(known)
        told = {"judgements": len(rows.judgements), "repeats": rows.repeats}
        _finish(
            graph,
            to_json(graph, rows.judgements, level=level),
            told,
            warnings,
            out,
            force,
            as_json,
            read=[judgements, cards],
        )


def _of_cards(cards: "Sequence[ValuesCard]") -> list[str]:
    """Return warnings of cards that are none of good values; basic values have no place in many a format."""
    from multiplex.moral_graph.criteria import complaints

    bare = sum(not card.policies for card in cards)
    faulty = sum(
        bool(card.policies) and any(each.criterion != "schwartz" for each in complaints(card))
        for card in cards
    )
    said = (
        (bare, "has", "have", "no policies, which are what a value is told by"),
        (faulty, "does", "do", "not meet the criteria of a good one"),
    )
    of_all = f"of {counted(len(cards), 'card')}"
    return [
        f"{number:,} {of_all} {one if number == 1 else many} {what}; multiplex graph check tells which"
        for number, one, many, what in said
        if number
    ]


def merge_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs' folders or moral_graph.json.")],
    distance: Annotated[
        float,
        typer.Option(
            min=0,
            max=2,
            help="Cards of different runs whose policies lie this near (1 - cosine of their embeddings) are one"
            " value, unless a run kept them apart; 0 merges only those with the same title and policies.",
        ),
    ] = _NEAR,
    out: _Out = None,
    force: _Force = False,
    as_json: Json = False,
) -> None:
    """Make one graph of many runs: the same value in several becomes one node, and contexts are kept.

    A run that is given twice, or is part of a graph that was merged before, counts once; and so do two runs in which
    the same judges gave the same verdicts on the same values for the same reasons.
    """
    with plain_errors():
        from multiplex.cli.graph_files import explained, load_graph_if_any, run_names
        from multiplex.cli.graph_given import GivenGraph
        from multiplex.embedding import SentenceEmbedder
        from multiplex.moral_graph.combining import merge_graphs
        from multiplex.moral_graph.edges import PROFILES
        from multiplex.moral_graph.formats.reading import to_json

        given: list[GivenGraph] = []
        without: list[set[str]] = []
        rules, levels, warnings = [], [], []
        for path in runs:
            data = load_graph_if_any(path)
            if data is None:
                warnings.append(f"{path}: compared no values, and adds nothing")
                continue
            if data.judgements is None:
                raise ContentError(
                    f"{path}: holds no judgements, only what was made of them; graphs of runs can be merged"
                )
            found = GivenGraph.read(path, data)
            if same := next((each.path for each in given if each.is_of_one_run_with(found)), None):
                warnings.append(f"{path}: is the same run as {same}, and counts once")
                continue
            left_out: set[str] = set()
            for each in given:
                if again := found.repeats(each):
                    left_out |= again
                    whose = "" if again == found.runs else f" in {', '.join(sorted(again))}"
                    warnings.append(
                        f"{path}: the same judges say{whose} the same of the same values, for the same reasons, as in"
                        f" {each.path}: that is one evidence, and counts once"
                    )
            if left_out and left_out == found.runs:
                continue
            given.append(found)
            without.append(left_out)
            rules.append(data.graph.thresholds)
            levels.append(data.level)
        if not given:
            raise ContentError("none of the runs compared values; there is nothing to merge")
        names = run_names([each.path for each in given])
        parts = [each.part(name, but) for each, name, but in zip(given, names, without, strict=True)]
        thresholds, level = rules[0], min(levels)
        if any(each != rules[0] for each in rules):
            thresholds = PROFILES["multiplex"]
            warnings.append("the runs have different thresholds; those of the profile multiplex are taken")
        with explained("the runs cannot be merged"):
            groups = near_groups(parts, SentenceEmbedder(), distance=distance) if distance else []
            merged = merge_graphs(parts, groups, thresholds=thresholds, level=level)
        gone = {id_: into for id_, into in merged.aliases.items() if id_ != into}
        if merged.inner:
            warnings.append(
                f"{counted(merged.inner, 'judgement')} left out: the cards on both ends became one"
            )
        if merged.repeated:
            warnings.append(
                f"{counted(merged.repeated, 'judgement')} left out: an earlier graph holds those of the same run"
            )
        told = {
            "runs": [part.name for part in parts],
            "judgements": len(merged.judgements),
            "merged": gone,
            "inner": merged.inner,
            "repeated": merged.repeated,
        }
        data_out = to_json(
            merged.graph, merged.judgements, transitions=merged.transitions, level=level, merged=gone
        )
        _finish(merged.graph, data_out, told, warnings, out, force, as_json, read=runs)


def near_groups(parts: "Sequence[Part]", embedder: "Embedder", *, distance: float) -> list[list[str]]:
    """Return groups of cards whose policies are near, no two of them of one run, by their qualified ids.

    Cards with the same title and policies, which `merge_graphs` makes one, are named by the first id of them, and
    are of all runs that they are of. A card without policies is near to none. The groups do not depend on the
    order of the parts.

    Raises:
        ModelError: the embedding model cannot be loaded.
    """
    from multiplex.moral_graph.across import near_across, same_words
    from multiplex.moral_graph.combining import qualified
    from multiplex.moral_graph.merging import card_text

    words = same_words(
        (part.name, card.model_copy(update={"id": qualified(part.name, card.id)}))
        for part in parts
        for card in part.cards
        if card.policies
    )
    if not words:
        return []
    texts = [card_text(each.card) for each in words]
    # Each text once: the rows of equal policies are then equal, whatever batch they were embedded in.
    row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    try:
        vectors = embedder.embed(list(row_of))
    except ModelError as error:
        raise ModelError(
            f"{error}; --distance 0 merges cards with the same words and needs no model"
        ) from error
    rows = vectors[[row_of[text] for text in texts]]
    groups = near_across([each.owners for each in words], rows, distance=distance)
    return [[words[row].ids[0] for row in group] for group in groups]


def export_command(
    file: GraphFile,
    form: Annotated[str, typer.Option("--format", metavar="|".join(_SHAPES), help="The shape.")],
    out: Annotated[
        Path, typer.Option(help="Where to; csv makes two files of it, NAME.values.csv and NAME.edges.csv.")
    ],
    force: _Force = False,
    as_json: Json = False,
) -> None:
    """Write the graph in a shape that others read."""
    with plain_errors():
        from multiplex.cli.graph_files import load_graph, tables_of, write_files

        if form not in _SHAPES:  # Typer would say so with "Value error, " before it
            raise ContentError(f"--format {form!r}: no such shape; {near_miss(form, _SHAPES)}")
        data = load_graph(file)
        texts = _exported(data, form, out)
        write_files(texts, force=force, read=[file, *(tables_of(file) if data.shape == "csv" else ())])
        if as_json:
            print_json({"format": form, "out": [str(path) for path in texts]})
        else:
            say(f"wrote {' and '.join(str(path) for path in texts)}")


def _exported(data: "GraphData", form: str, out: Path) -> dict[Path, str]:
    from multiplex.cli.graph_files import json_text
    from multiplex.moral_graph.formats.dft import to_dft_json
    from multiplex.moral_graph.formats.graphml import to_graphml
    from multiplex.moral_graph.formats.mgg import to_mgg_json
    from multiplex.moral_graph.formats.spreadsheets import to_csv

    if form == "dft":
        return {out: json_text(to_dft_json(data.graph))}
    if form == "mgg":
        shape = to_mgg_json(
            data.graph,
            metadata=data.metadata,
            transitions=data.transitions,
            seed_questions=data.seed_questions,
        )
        return {out: json_text(shape)}
    if form == "graphml":
        return {out: to_graphml(data.graph, level=data.level) + "\n"}
    if not out.name:
        raise ContentError(f"{out}: is a folder; name a file")
    tables = to_csv(data.graph)
    name = out.name.removesuffix(".csv")
    return {out.with_name(f"{name}.{each}.csv"): getattr(tables, each) for each in ("values", "edges")}


def _finish(
    graph: "MoralGraph",
    data: dict[str, Any],
    told: dict[str, Any],
    warnings: list[str],
    out: Path | None,
    force: bool,
    as_json: bool,
    read: Sequence[Path],
) -> None:
    """Write a graph that was made, and say what it is."""
    from multiplex.cli.graph_files import json_text, write_files
    from multiplex.moral_graph.ranking import winning_values
    from multiplex.scoring.score import plain

    data = {**data, "winners": plain(winning_values(graph))}
    if out:
        write_files({out: json_text(data)}, force=force, read=read)
    warn(warnings)
    if as_json:
        kept = sum(edge.kept for edge in graph.edges)
        shape = {} if out else {"moral_graph": data}
        counts = {"values": len(graph.values), "edges": len(graph.edges), "kept": kept}
        print_json({**told, **counts, "warnings": warnings, "out": str(out) if out else None, **shape})
        return
    merged = f", {counted(len(told['merged']), 'card')} merged into others" if told.get("merged") else ""
    say(f"{counted(told['judgements'], 'judgement')}{merged}; {summary(graph, graph.edges)}")
    say(f"wrote {out}" if out else "nothing was written; name a file with --out, or print it with --json")
