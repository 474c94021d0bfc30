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
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="A dataset's folder, or files of preferences: .parquet, .jsonl, .json, .csv or .tsv.",
            show_default=False,
        ),
    ],
    pack: Annotated[
        str, typer.Option(help="The pack whose perspectives are counted, and whose personas judge.")
    ] = "civilizations",
    config: Annotated[
        str | None,
        typer.Option(
            help="Of a folder with several configs, which; else dpo, reward or kto, or its default.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of a folder, which split; else all.", show_default=False)
    ] = None,
    chosen_column: Annotated[
        str | None, typer.Option(help="Where the preferred text is; else in chosen.", show_default=False)
    ] = None,
    rejected_column: Annotated[
        str | None, typer.Option(help="Where the other text is; else in rejected.", show_default=False)
    ] = None,
    prompt_column: Annotated[
        str | None,
        typer.Option(
            help="Where the prompt is; else in prompt, question, instruction or query, if at all.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many pairs or texts are embedded; the rest is counted over all.",
        ),
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

    Pairs may also be response_j and response_k, response_0 and response_1 with better_response_id, or
    human_ref_A and human_ref_B with labels. Texts without a pair (completion and label) are audited by kind.
    """
    with plain_errors():
        from multiplex.content.personas import load_pack
        from multiplex.dataset.audit import audit
        from multiplex.dataset.pair_files import Columns
        from multiplex.embedding import SentenceEmbedder

        columns = Columns(chosen=chosen_column, rejected=rejected_column, prompt=prompt_column)
        judges = load_pack(pack)
        if not as_json:
            named = ", ".join(map(str, sources[:3])) + (", ..." if len(sources) > 3 else "")
            print(f"reading {named}, and embedding up to {sample:,} of its pairs or texts", file=sys.stderr)
        found = audit(
            *sources,
            pack=judges,
            embedder=SentenceEmbedder(),
            columns=columns,
            config=config,
            split=split,
            sample=sample,
            seed=seed,
            band=band,
        )
        if as_json:
            print_json(found)
        else:
            _print(found)


def _print(found: Scores) -> None:
    paired = found["form"] == "pairs"
    marks = ("chosen", "rejected") if paired else ("desirable", "undesirable")
    held = (
        f"{counted(found['pairs'], 'pair')}, {found['identical']:,} with the same text twice"
        if paired
        else ", ".join(f"{found['texts'][mark]:,} {mark}" for mark in marks)
    )
    say(f"{counted(found['rows'], 'row')}: {held}, {sum(found['skipped'].values()):,} skipped")
    if found["files"] > 1:
        of = f" of config {found['config']}" if found["config"] else ""
        said = f", splits {', '.join(found['splits'])}" if found["splits"] else ""
        say(f"  read from {found['files']:,} files{of}{said}")
    for kind, count in found["skipped"].items():
        say(f"  skipped as {kind}: {count:,}")
    for reason in found["reasons"][:3]:
        say(f"  {reason}")
    for note in found["notes"]:
        say(f"note: {note}")
    say("")
    if paired:
        say(f"whose side it takes: {found['basis']['said']}")
        _print_sides(found["discretion"])
        inequity = {
            "inequity of endorsement": found["inequity"]["endorsement_of_chosen"],
            "inequity of win rates": found["inequity"]["win_rate"],
            "sides that are the longer text's": found["discretion"]["longer_preferred"],
        }
    else:
        say(f"whose endorsement it has: {found['basis']['said']}")
        _print_people(found["personas"], marks)
        inequity = {
            "discretion": found["discretion"],
            **{f"inequity of {name.replace('_', ' ')}": score for name, score in found["inequity"].items()},
        }
    _print_scores(inequity, "over personas")
    if paired:
        _print_rules(found)
    _print_scores(_lengths(found["length"], marks), "length")
    shown = found["sample"]
    short = f"; {shown['shortened']:,} were read in part" if shown["shortened"] else ""
    what = "pairs" if paired else "texts"
    say("")
    say(f"perspectives, in {shown[what]:,} of {shown['of']:,} {what} (seed {shown['seed']}){short}")
    _print_scores(_entropies(found["perspective_entropy"], marks), "perspective entropy")
    if shown[what]:
        say("floor: what texts of one perspective alone get, by the classifier's errors")


def _print_people(people: Scores, marks: tuple[str, str]) -> None:
    names = (*(f"endorsement_of_{mark}" for mark in marks), "difference")
    rows = [
        (who, *(number(each[name]["value"]) for name in names), _interval(each["difference"]))
        for who, each in people.items()
    ]
    say("")
    print_rows(("persona", *marks, "difference", "interval"), rows)
    say("its mean endorsement, 1 to 7, of the texts of either kind, and the first less the second")


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


def _lengths(found: Scores, marks: tuple[str, str]) -> Scores:
    return {
        **{f"characters of the {mark}": found["characters"][mark] for mark in marks},
        "difference": found["difference"],
        "the longer wins": found["longer_wins"],
    }


def _entropies(found: Scores, marks: tuple[str, str]) -> Scores:
    return {
        f"{side}, {name}{', corrected' if corrected else ''}": (score.get("corrected") or {})
        if corrected
        else score
        for side in (*marks, "all")
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
    floor, around = score.get("noise_floor") or {}, score.get("interval") or {}
    told = [] if floor.get("raw") is None else [f"floor {floor['raw']:.2f}"]
    return "; ".join([*told, *([around["reason"]] if around.get("reason") else [])])


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
