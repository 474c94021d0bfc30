"""`multiplex graph`: moral graphs checked, read and compared; see graph_made for the rest."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiplex.cli.graph_made import GraphFile, build_command, export_command, merge_command
from multiplex.cli.graph_shown import (
    MOST_ROWS,
    arrow,
    counted,
    edge_json,
    item_json,
    number,
    print_rows,
    say,
    state,
    summary,
    titles_of,
    warn,
)
from multiplex.cli.outcome import Json, plain_errors, print_json
from multiplex.errors import ContentError, near_miss

if TYPE_CHECKING:
    from multiplex.moral_graph.edges import Edge
    from multiplex.moral_graph.ranking import Compared, Winner

__all__ = ["graph_app"]

graph_app = typer.Typer(help="Build, read, compare and export moral graphs.", no_args_is_help=True)
graph_app.command("build")(build_command)
graph_app.command("merge")(merge_command)
graph_app.command("export")(export_command)

_RANKS = {
    "pagerank": "rank",
    "dft_pagerank": "dft_rank",
    "likelihood_sum": "likelihood_rank",
    "bradley_terry": "bradley_terry_rank",
}
"""The fields of a winner that hold its score and its rank, in the order of the methods."""

_Context = Annotated[
    str | None, typer.Option(help="Only what was judged in this context.", show_default=False)
]


_NO_SCHWARTZ = "Schwartz's basic values, for which the format of mgg has no place"
_NOT_ENGLISH = (
    "plurals that are not English, and in scripts without capitals the noun and qualifier of a policy"
)


@graph_app.command("check")
def check_command(file: GraphFile, as_json: Json = False) -> None:
    """Hold every card against the criteria of a good one; exit with 1 if there are complaints.

    Cycles among kept edges, and judges who said both ways, are told as well; they are no faults of the file. So
    are edges in it that its judgements do not make. A file of mgg holds no basic values; that is told once, and
    so is that only English plurals are known, where a policy begins with a word that is not in ASCII letters.
    """
    with plain_errors():
        from multiplex.cli.graph_files import load_graph
        from multiplex.content.schwartz import SCHWARTZ_VALUES
        from multiplex.moral_graph.contradictions import cycles, self_contradictions
        from multiplex.moral_graph.criteria import beyond_english, complaints

        data = load_graph(file)
        bare = data.shape == "mgg" and not any(card.schwartz for card in data.graph.values)
        held = [_NO_SCHWARTZ] if bare and data.graph.values else []
        held += [_NOT_ENGLISH] if any(map(beyond_english, data.graph.values)) else []
        found = [
            (card, each)
            for card in data.graph.values
            for each in complaints(card, basic_values=SCHWARTZ_VALUES)
            # Of what a format has no place for, no card of it is at fault.
            if not (bare and each.criterion == "schwartz")
        ]
        around, both = cycles(data.graph), self_contradictions(data.judgements or ())
        if as_json:
            print_json(
                {
                    "cards": len(data.graph.values),
                    "complaints": [
                        {
                            "card": card.id,
                            "title": card.title,
                            "criterion": each.criterion,
                            "where": each.where,
                            "said": each.said,
                        }
                        for card, each in found
                    ],
                    "not_checked": held,
                    "disagreements": list(data.disagreements),
                    "cycles": [each._asdict() for each in around],
                    "self_contradictions": [each._asdict() for each in both],
                }
            )
        else:
            print_rows(
                ("card", "where", "complaint"), [(card.id, each.where, each.said) for card, each in found]
            )
            say(
                f"{counted(len(data.graph.values), 'card')}, {counted(len(found), 'complaint')}; "
                f"{counted(len(around), 'cycle')} of kept edges, {counted(len(both), 'self-contradiction')}"
            )
            for what in held:
                say(f"not checked: {what}")
            for cycle in around[:MOST_ROWS]:
                say(f"  cycle: {' -> '.join((*cycle.example, cycle.example[0]))}")
            for each in both[:MOST_ROWS]:
                where = f" in {each.context!r}" if each.context else ""
                say(f"  {each.judge} found {each.one} and {each.other} each wiser than the other{where}")
        if found:
            raise typer.Exit(1)


@graph_app.command("show")
def show_command(file: GraphFile, context: _Context = None, as_json: Json = False) -> None:
    """Show the values and the kept edges, the likeliest first."""
    with plain_errors():
        from multiplex.cli.graph_files import load_graph

        data = load_graph(file)
        graph = data.graph
        edges = _in_context(graph.edges, context)
        kept = sorted((edge for edge in edges if edge.kept), key=lambda edge: -(edge.likelihood or 0.0))
        if as_json:
            contexts = sorted({each for edge in edges for each in edge.contexts})
            print_json(
                {
                    "shape": data.shape,
                    "thresholds": graph.thresholds.model_dump(),
                    "contexts": contexts,
                    "values": [card.model_dump(mode="json") for card in graph.values],
                    "edges": [edge_json(edge) for edge in edges],
                }
            )
            return
        titles = titles_of(graph)
        print_rows(
            ("from", "to what is wiser", "likelihood", "verdicts", "contexts"),
            [
                (
                    titles[edge.source],
                    titles[edge.wiser],
                    _judged(edge),
                    _verdicts(edge),
                    ", ".join(edge.contexts),
                )
                for edge in kept
            ],
        )
        rules = graph.thresholds
        asserted = sum(edge.likelihood is None for edge in kept)
        # Edges that were only asserted are kept by no threshold.
        said = (
            f"; profile {rules.profile}: wiser at least {rules.min_wiser}, likelihood at least"
            f" {rules.min_likelihood}, entropy at most {rules.max_entropy}"
        )
        say(f"{summary(graph, edges)}{said if len(edges) > asserted else ''}")
        if asserted:
            say(f"{counted(asserted, 'edge')} asserted, and judged by nobody")


@graph_app.command("path")
def path_command(
    file: GraphFile,
    start: Annotated[str, typer.Argument(help="The id or title of a value.")],
    end: Annotated[str, typer.Argument(help="The id or title of a wiser one.")],
    as_json: Json = False,
) -> None:
    """Show the strongest chain of kept edges from one value to a wiser one."""
    with plain_errors():
        from multiplex.cli.graph_files import load_graph, value_named
        from multiplex.moral_graph.combining import paths

        graph = load_graph(file).graph
        one, other = value_named(graph, start), value_named(graph, end)
        found = paths(graph, one, other)
        if as_json:
            hops = [each._asdict() for each in found.hops]
            print_json({"from": one, "to": other, "hops": hops} | _without_hops(found))
            return
        if found.reason:
            say(found.reason)
            return
        titles = titles_of(graph)
        say(f"{titles[one]} ({one})")
        for hop in found.hops:
            judged = "asserted" if hop.likelihood is None else f"likelihood {hop.likelihood:.2f}"
            where = f", {', '.join(hop.contexts)}" if any(hop.contexts) else ""
            say(f"  -> {titles[hop.wiser]} ({hop.wiser}): {judged}{where}")
        say(f"{counted(len(found.hops), 'hop')}, product of likelihoods {number(found.strength)}")


def _without_hops(found: Any) -> dict[str, Any]:
    return {"strength": found.strength, "reason": found.reason}


@graph_app.command("winners")
def winners_command(file: GraphFile, context: _Context = None, as_json: Json = False) -> None:
    """Rank the values by every method there is, and warn where they disagree on the first place."""
    with plain_errors():
        from multiplex.cli.graph_files import explained, load_graph
        from multiplex.moral_graph.ranking import winning_values
        from multiplex.scoring.score import plain

        graph = load_graph(file).graph
        with explained(file):
            found = winning_values(graph, context=context)
        if as_json:
            print_json({"context": context, **plain(found)})
            return
        if found.reason:
            say(found.reason)
            return
        ranked: list[Winner | Compared] = [*found.values, *found.others]
        parts = len({each.component for each in ranked}) > 1
        print_rows(
            # "PageRank as in dft" stands beside PageRank, and is "as in dft": a table has 100 columns.
            (
                "value",
                *(name.removeprefix("PageRank ") for name in found.methods.values()),
                *(["component"] if parts else []),
            ),
            [
                (
                    each.title,
                    *(_ranked(each, score, rank) for score, rank in _RANKS.items()),
                    *([number(each.component)] if parts else []),
                )
                for each in ranked
            ],
        )
        if found.others:
            say(f"-: {found.others[0].reason}")
        for method, why in found.caveats.items():
            say(f"{found.methods[method]}: {why}")
        if found.warning:
            warn([found.warning])


def _ranked(value: object, score: str, rank: str) -> str:
    place = getattr(value, rank)
    return "-" if place is None else f"{place}.  {number(getattr(value, score))}"


@graph_app.command("diff")
def diff_command(
    one: Annotated[Path, typer.Argument(metavar="A", help="A moral graph, as for the other commands.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: Json = False,
) -> None:
    """Show which cards and edges B has more than A, which less, and which otherwise.

    Of graphs of different profiles, values, contexts and pooled counts are compared, and what cannot be is told.
    """
    with plain_errors():
        from multiplex.cli.graph_files import load_graph
        from multiplex.moral_graph.comparing import difference

        found = difference(load_graph(one).graph, load_graph(other).graph)
        if as_json:
            told = {}
            for each in fields(found):
                told[each.name] = [item_json(item) for item in getattr(found, each.name)]
            print_json(told)
            return
        how = _counted if found.not_compared else state
        rows: list[tuple[object, ...]] = []
        for said, cards in (("added", found.cards_added), ("removed", found.cards_removed)):
            rows += [(f"card {said}", f"{card.title} ({card.id})", "") for card in cards]
        rows += [("card changed", f"{c.after.title} ({c.after.id})", "") for c in found.cards_changed]
        for said, edges in (("added", found.edges_added), ("removed", found.edges_removed)):
            rows += [(f"edge {said}", arrow(edge), how(edge)) for edge in edges]
        for was, now in found.edges_changed:
            moved = f" in {', '.join(was.contexts)}" if was.contexts != now.contexts else ""
            rows.append(("edge changed", arrow(now), f"{how(was)}{moved}, now {how(now)}"))
        print_rows(("what", "which", "how"), rows)
        if not found:
            say("no difference")
        for sentence in found.not_compared:
            say(f"not compared: {sentence}")


def _counted(edge: "Edge") -> str:
    return _verdicts(edge) or "no verdict"


def _judged(edge: "Edge") -> str:
    if edge.interval is None:
        return "-"
    return f"{number(edge.likelihood)} ({edge.interval.low:.2f} to {edge.interval.high:.2f})"


def _verdicts(edge: "Edge") -> str:
    counts = {
        "wiser": edge.counts.wiser,
        "not": edge.counts.not_wiser,
        "less wise": edge.counts.less_wise,
        "unsure": edge.counts.unsure,
        "abstained": edge.counts.abstained,
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _in_context(edges: "Sequence[Edge]", context: str | None) -> "list[Edge]":
    if context is None:
        return list(edges)
    contexts = {each for edge in edges for each in edge.contexts}
    if context not in contexts:
        raise ContentError(f"nothing was judged in the context {context!r}; {near_miss(context, contexts)}")
    return [edge for edge in edges if context in edge.contexts]
