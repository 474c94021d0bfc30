"""`multiplex dataset audit`: what any preference set prefers, whose side it takes, and what it is full of."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from multiplex.cli.graph_shown import counted, number, print_rows, say
from multiplex.cli.outcome import Json, plain_errors, print_json

__all__ = ["audit_command"]

Scores = Mapping[str, Any]

_BY_PERSONA = ("win_rate", "supremacy", "endorsement_of_chosen", "endorsement_of_rejected")


def audit_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_DIR",
            help="A dataset's folder, or preferences: .jsonl, .json, .csv, .tsv or .parquet.",
            show_default=False,
        ),
    ],
    pack: Annotated[
        str, typer.Option(help="The pack whose perspectives are counted, and whose personas judge.")
    ] = "civilizations",
    chosen_column: Annotated[str, typer.Option(help="Where the preferred text is.")] = "chosen",
    rejected_column: Annotated[str, typer.Option(help="Where the other text is.")] = "rejected",
    prompt_column: Annotated[
        str | None,
        typer.Option(
            help="Where the prompt is; else in prompt, question, instruction or query, if at all.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=0, help="How many pairs are embedded; everything else is counted over all.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Which pairs are sampled.")] = 0,
    band: Annotated[
        float,
        typer.Option(min=0, max=2, help="Estimated sides: the least difference of cosines that is a side."),
    ] = 0.02,
    as_json: Json = False,
) -> None:
    """Audit a preference set: whose side it takes, which perspectives it speaks from, and how long it is.

    A dataset of ours holds what each persona endorsed. For any other the personas of a pack judge by
    embeddings: that is an estimate of what a text carries of their concerns, and nobody's own judgement.
    """
    with plain_errors():
        from multiplex.content.personas import load_pack
        from multiplex.dataset.audit import audit
        from multiplex.dataset.pair_files import Columns
        from multiplex.embedding import SentenceEmbedder

        columns = Columns(chosen=chosen_column, rejected=rejected_column, prompt=prompt_column)
        judges = load_pack(pack)
        if not as_json:
            print(f"reading {source}, and embedding up to {counted(sample, 'pair')} of it", file=sys.stderr)
        found = audit(
            source,
            pack=judges,
            embedder=SentenceEmbedder(),
            columns=columns,
            sample=sample,
            seed=seed,
            band=band,
        )
        if as_json:
            print_json(found)
        else:
            _print(found)


def _print(found: Scores) -> None:
    say(
        f"{counted(found['rows'], 'row')}: {counted(found['pairs'], 'pair')}, "
        f"{found['identical']:,} with the same text twice, {sum(found['skipped'].values()):,} skipped"
    )
    for kind, count in found["skipped"].items():
        say(f"  skipped as {kind}: {count:,}")
    for reason in found["reasons"][:3]:
        say(f"  {reason}")
    for note in found["notes"]:
        say(f"note: {note}")
    say("")
    say(f"whose side it takes: {found['basis']['said']}")
    _print_sides(found["discretion"])
    _print_scores(
        {
            "inequity of endorsement": found["inequity"]["endorsement_of_chosen"],
            "inequity of win rates": found["inequity"]["win_rate"],
            "sides that are the longer text's": found["discretion"]["longer_preferred"],
        },
        "over personas",
    )
    _print_rules(found)
    _print_scores(_lengths(found["length"]), "length")
    shown = found["sample"]
    short = f"; {shown['shortened']:,} were read in part" if shown["shortened"] else ""
    say("")
    say(f"perspectives, in {shown['pairs']:,} of {shown['of']:,} pairs (seed {shown['seed']}){short}")
    _print_scores(_entropies(found["perspective_entropy"]), "perspective entropy")
    if shown["pairs"]:
        say("floor: what texts of one perspective alone get, by the classifier's errors")


def _print_sides(found: Scores) -> None:
    cases, decided = found["cases"], found["decided"]
    rows = [
        ("consensus", cases["consensus"], _told(decided["consensus"])),
        ("conflict", cases["conflict"], _told(decided["conflict"])),
        ("indifference", cases["indifference"], ""),
    ]
    print_rows(("cases", "pairs", "decided for"), rows)
    _print_scores({"decided against a consensus": found["arbitrariness"]}, "discretion")
    for where in found["against"][:5]:
        say(f"  against a consensus: {where}")
    people = [
        (
            name,
            each["with"],
            each["against"],
            each["indifferent"],
            *(number(each[name]["value"]) for name in _BY_PERSONA),
        )
        for name, each in found["personas"].items()
    ]
    if people:
        say("")
    header = ("persona", "with", "against", "neither", "wins", "conflicts", "chosen", "rejected")
    print_rows(header, people)
    if people:
        say(
            "with, against: pairs decided for and against its side; wins: the share of the first, and in conflicts "
            "alone; chosen, rejected: its mean endorsement, 1 to 7"
        )


def _print_rules(found: Scores) -> None:
    rows = [
        (
            rule,
            each["pairs"],
            *each["discretion"]["cases"].values(),
            each["discretion"]["decided"]["consensus"]["against"],
            number(each["length"]["longer_wins"]["value"]),
        )
        for rule, each in found["rules"].items()
    ]
    if rows:
        say("")
    header = ("rule", "pairs", "consensus", "conflict", "indifferent", "against", "longer")
    print_rows(header, rows)
    if rows:
        say("against: decided against a consensus; longer: the share of pairs in which the longer text wins")
    for rule, why in (found["not_made"] or {}).items():
        if why:
            say(f"  {rule} made no pair of: {_told(why)}")


def _lengths(found: Scores) -> Scores:
    return {
        "characters of the chosen": found["characters"]["chosen"],
        "characters of the rejected": found["characters"]["rejected"],
        "difference": found["difference"],
        "the longer wins": found["longer_wins"],
    }


def _entropies(found: Scores) -> Scores:
    return {
        f"{side}, {name}{', corrected' if corrected else ''}": (score.get("corrected") or {})
        if corrected
        else score
        for side in ("chosen", "rejected", "all")
        for how, name in (("micro", "pooled"), ("macro", "texts' mean"))
        for score in (found[side][how],)
        for corrected in ((False, True) if score["value"] is not None else (False,))
    }


def _print_scores(scores: Scores, title: str) -> None:
    say("")
    print_rows(
        (title, "value", "interval", ""),
        [(name, _value(score), _interval(score), _why(score)) for name, score in scores.items()],
    )


def _value(score: Scores) -> str:
    return "undefined" if score.get("value") is None else number(float(score["value"]))


def _interval(score: Scores) -> str:
    around = score.get("interval") or {}
    low, high = around.get("low"), around.get("high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _why(score: Scores) -> str:
    if score.get("value") is None:
        return str(score.get("reason") or "")
    floor = score.get("noise_floor") or {}
    return "" if floor.get("raw") is None else f"floor {floor['raw']:.2f}"


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
