"""What a dataset card says to people: how the data came about, what it is good for, and what it is not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiplex.dataset.card import About

__all__ = ["body", "escaped", "one_line"]

_KINDS = {
    "sft": "Conversations to imitate: the panel's Overton answer, its consensus statement, and each persona's "
    "own answer under a system turn that asks for that persona.",
    "dpo": "A prompt with a preferred and a rejected answer, the rule that prefers it, and who on the panel is "
    "for and against. `margin` is the mean rise in endorsement as a share of the scale, null where nobody was asked "
    "to endorse both; `claims_margin` the rise in the share of claims carried, null where the rule looks at none.",
    "kto": "A prompt with one answer and whether it is wanted: both answers of every pair of `dpo`, and one that "
    "stands in two pairs once.",
    "reward": "The pairs of `dpo` that have a margin from endorsement, as whole conversations.",
    "grpo": "Prompts with what each persona claims, the answers there were, and how each persona judged them "
    "(`answer` is the place in `answers`, from 0), as references for a reward function.",
    "distribution": "Closed questions with the share of the panel behind each option, overall and by persona.",
    "transcripts": "Whole deliberations, turn by turn.",
    "moral_graph": "The values behind the positions, and which of them the panel judged wiser, in which context.",
}
_TRAINERS = {
    "sft": "SFTTrainer(model=model, train_dataset=rows)",
    "dpo": "DPOTrainer(model=model, train_dataset=rows, processing_class=tokenizer)",
    "kto": "KTOTrainer(model=model, train_dataset=rows, processing_class=tokenizer)",
    "reward": "RewardTrainer(model=model, train_dataset=rows, processing_class=tokenizer)",
    "grpo": "GRPOTrainer(model=model, train_dataset=rows, reward_funcs=reward, processing_class=tokenizer)",
}
_WORDS = {
    "balance": "how full a perspective, topic or value may be, in times the mean",
    "behind": "by how much another persona's claims may be carried better",
    "carried": "share of its claims from which a persona counts as heard",
    "conditions": "scores written into the prompts",
    "configs": "kinds of records",
    "duplicate": "cosine from which an answer is a near-duplicate",
    "faithful": "least share of its own claims in a persona's answer",
    "fewest_words_of": "fewest words, by kind of text",
    "limits": "what the quality gate asks of a text",
    "margin": "least margin of a pair",
    "not_detected": "what is not found",
    "objected": "share that can live with the other answer, at the most",
    "public_names_kept": "names in the panel's own content, which stay",
    "ratified": "share that can live with a ratified statement, at the least",
    "repeated": "largest share of words that repeat earlier ones",
    "run": "how often one character may stand in a row",
    "schwartz": "Schwartz values",
    "shares": "shares of the splits",
    "thresholds": "from where a rule prefers",
}
"""How people know what options are called inside; of other names only the underscores are taken out."""

_MARKS = re.compile(r"([\\`*_\[\]<>#|~&$])")


def one_line(text: object) -> str:
    """Return text on one line, without control characters, so that nothing can be ended from within it."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def escaped(text: object) -> str:
    """Return text as it is to be read in Markdown: on one line, and with no markup or HTML of its own."""
    # A bare address would be made a link; broken after the colon it is only read.
    return _MARKS.sub(r"\\\1", one_line(text)).replace("://", ":\u200b//")


def body(about: "About", statistics: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return the body of a card, in Markdown."""
    parts = [
        f"# {escaped(about.title)}",
        "Training data from deliberations. A panel of simulated personas of different worldviews and a moderator "
        "deliberated on every prompt; the records hold what came of it, in the forms that trainers take. "
        f"Built with Multiplex {escaped(about.multiplex)} on {escaped(about.created)}.",
        "**Every persona is simulated.** They are written from published sources and voiced by software. No "
        "person was asked, no person's view was recorded, and the data are no substitute for asking people. "
        "Every row says `is_simulated: true`.",
        *([escaped(about.notice)] if about.notice else []),
        "## What is in it",
        _contents(statistics),
        *_empty(about),
        "Each config is in `data/` as Parquet and in `jsonl/` as the same rows in JSONL. All rows that come from "
        "one prompt (or one group of near prompts) stand in one split, whatever the config. `manifest.json` "
        "holds the hash of every file, `report.json` the counts of what was left out and why, `statistics.json` those "
        "of what is in it.",
        "## How it was made",
        *_made(about),
        "## What is preferred, and why",
        *_rules(about, statistics),
        "## Scores and counts",
        *_scores(statistics),
        *(f"![{escaped(_caption(path))}]({path})" for path in pictures),
        "## Personal data",
        *_privacy(about),
        "## What was left out",
        *_left_out(about),
        "## Known limits",
        _limits(about),
        "## How to load it",
        *_loading(statistics),
        "## FAIR checklist",
        _fair(about),
        "## How to cite",
        _cite(about),
    ]
    return "\n\n".join(parts) + "\n"


def _code(name: str) -> str:
    return f"`{re.sub(r'[`|]', '', one_line(name))}`"


def _contents(statistics: Mapping[str, Any]) -> str:
    rows = []
    for config, found in statistics["configs"].items():
        counts = ", ".join(f"{count:,} {split}" for split, count in found["rows"].items())
        rows.append((f"`{config}`", counts, f"{found['words']['mean']:,.0f}", _KINDS.get(config, "")))
    return _table(("config", "rows", "words a row", "what a row is"), rows)


def _empty(about: "About") -> Iterator[str]:
    if about.empty:
        said = "\n".join(f"- {_code(config)}: {escaped(why)}" for config, why in about.empty.items())
        yield f"Asked for, and empty:\n\n{said}"


def _made(about: "About") -> Iterator[str]:
    if about.protocol:
        stages = f" ({', '.join(escaped(stage) for stage in about.stages)})" if about.stages else ""
        yield (
            f"Protocol: {escaped(about.protocol)}{stages}. A persona states its position before it hears "
            "anyone else's."
        )
    if about.panel:
        yield _table(
            ("persona", "name", "perspective", "region"),
            [
                (escaped(s.label), escaped(s.name), _worded(s.perspective), escaped(s.region or "-"))
                for s in about.panel
            ],
        )
    if not about.generators:
        yield "What wrote the texts was not told."
    for each in about.generators:
        licence = (
            f"its licence, as told by whoever built the set: {escaped(each.licence)}"
            if each.licence
            else "the licence of its output is unknown: whoever built the set did not tell it. "
            "Look it up before you train on these texts"
        )
        yield f"Texts by {escaped(each.name)}; {licence}."
    if about.embedding:
        yield f"Claims, near-duplicates and perspectives were compared with the embedding {escaped(about.embedding)}."
    if about.covered:
        yield f"Prompts: {escaped(about.covered)}."
    if about.options:
        yield f"Options of the build:\n\n{_bullets(about.options)}"


def _rules(about: "About", statistics: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "A text is preferred by a declared rule alone, which stands in the column `rule`. No rule prefers a "
        "majority's view to a persona's own sincere one: a persona's answer is rejected only under another "
        "persona's system turn, as out of character."
    )
    counts = {each["name"]: each["rows"] for each in statistics["rules"].get("dpo", ()) if each["name"]}
    if about.rules:
        yield _table(
            ("rule", "what it says", "pairs"),
            [(_code(name), escaped(said), f"{counts.get(name, 0):,}") for name, said in about.rules.items()],
        )


def _scores(statistics: Mapping[str, Any]) -> Iterator[str]:
    entropy = statistics["perspective_entropy"]
    if entropy["value"] is None:
        yield f"Perspective entropy of the rows: undefined ({escaped(entropy['reason'])})."
    else:
        of = " that occur" if entropy["of"] == "the perspectives that occur" else " of the panel's fixed list"
        yield (
            f"Perspective entropy of the rows that have one perspective: {entropy['value']:.3f} of 1, over the "
            f"{entropy['classes']} perspectives{of}. It says how evenly they are spread, "
            "and nothing of how well."
        )
    persona = _merged(statistics["balance"]["perspective"])
    if persona:
        yield _table(
            ("perspective", "rows in all configs"),
            [(_worded(name), f"{count:,}") for name, count in persona.items()],
        )
    for config, splits in statistics["labels"].items():
        yield f"Answers in {_code(config)} by their label, on which the weights of the two hang:"
        yield _table(
            ("split", "desirable", "undesirable"),
            [(split, f"{of['desirable']:,}", f"{of['undesirable']:,}") for split, of in splits.items()],
        )
    ballots = {side: dict(_pairs(found)) for side, found in statistics["endorsements"].items()}
    if ballots:
        levels = [str(level) for level in range(1, 8)]
        yield "Ballots of the panel on the answers in `dpo`, from 1 (denies what I stand for) to 7:"
        yield _table(
            ("side", *levels, "abstained"),
            [
                (side, *(f"{found.get(level, 0):,}" for level in levels), f"{found.get(None, 0):,}")
                for side, found in ballots.items()
            ],
        )


def _privacy(about: "About") -> Iterator[str]:
    if about.masker is None:
        yield "Personal data were not looked for: the set was built without the privacy agent. Prompts may hold some."
        return
    yield (
        "Prompts and answers were searched for personal data, and what was found was masked. No such search "
        "finds everything: look again before you publish. What was used:"
    )
    yield _bullets(about.masker)
    if about.personal:
        yield f"{escaped(about.personal)}."


def _left_out(about: "About") -> Iterator[str]:
    if about.left_out:
        yield "\n".join(f"- {_code(config)}: {escaped(said)}" for config, said in about.left_out.items())
    if about.report:
        yield f"Counts on the way there; `report.json` says more:\n\n{_bullets(about.report)}"
    if not about.left_out and not about.report:
        yield "No counts were given."


def _limits(about: "About") -> str:
    limits = [
        "The personas are simulations. They are drawn from texts, flatten the quarrels within a tradition, and "
        "cannot tell what any group of people thinks.",
        "Endorsements, objections and rankings are given by the same software that wrote the answers; they are "
        "no human ratings.",
        "Shares in `distribution` are shares of this panel, whose seats were chosen, and estimate no population.",
        "A preferred answer is preferred by the rule in its row. Rules measure coverage, character and "
        "endorsement; they do not measure truth.",
        "Claims carried, near-duplicates and perspectives are measured with sentence embeddings, which err.",
        "Longer answers carry more claims: look at the lengths before you train a reward model on them.",
    ]
    if about.languages == ("en",):
        limits.append("The texts are in English, whatever the tradition that speaks.")
    return "\n".join(f"- {each}" for each in limits)


def _loading(statistics: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "With the library `datasets`, from a hub or from a folder (the folder needs no network). "
        "DIR is where the set lies, or its name on the hub; the model, the tokenizer and the reward function are yours."
    )
    for config, found in statistics["configs"].items():
        split = next(iter(found["rows"]))
        lines = [
            "from datasets import load_dataset",
            "",
            f'rows = load_dataset("DIR", "{config}", split="{split}")',
        ]
        if config in _TRAINERS:
            call = _TRAINERS[config]
            lines = [lines[0], f"from trl import {call.partition('(')[0]}", *lines[1:], f"{call}.train()"]
        yield "\n".join([f"`{config}`:", "", "```python", *lines, "```"])


def _fair(about: "About") -> str:
    licence = (
        f"Yes: {escaped(about.license)}, as given by whoever built the set; see above for the generator's."
        if about.license
        else "No: no licence was given. Without one nobody may rely on being allowed to use the data."
    )
    items = (
        ("F1 persistent identifier", "No: there is none until you register one (a hub or an archive can)."),
        ("F2 rich metadata", "Yes: this card, `manifest.json`, and the columns of every row."),
        (
            "F3 metadata name the data",
            "In part: `manifest.json` holds the hashes of all files; there is no identifier to name yet.",
        ),
        ("F4 indexed", "Not until it is published; this card's header is what the hub indexes."),
        ("A1 retrievable by its identifier", "Not until it is published."),
        ("A1.1 open protocol", "HTTPS and Git, once published on a hub."),
        ("A1.2 authentication where needed", "The hub's own, for a private set."),
        (
            "A2 metadata outlive the data",
            "Not by themselves: deposit this card and the manifest where they are kept.",
        ),
        ("I1 shared formal language", "In part: Parquet, JSON and YAML with declared columns; no ontology."),
        ("I2 FAIR vocabularies", "In part: Schwartz's basic values by name; no registered vocabulary."),
        (
            "I3 qualified references",
            "In part: each row names its prompt, the file and line it came from, run, protocol, rule and the hash of "
            "what its scenario asks.",
        ),
        ("R1 well described", "Yes: what is in it, how it was made, what it is not good for."),
        ("R1.1 clear licence", licence),
        (
            "R1.2 provenance",
            "Yes: versions, models, seeds, options and sources in `manifest.json`; model, seed and run in every row.",
        ),
        (
            "R1.3 community standards",
            "Yes: the Hugging Face layout, and the columns that TRL's trainers take.",
        ),
    )
    source = (
        "After M. D. Wilkinson et al., The FAIR Guiding Principles for scientific data management and "
        "stewardship, Scientific Data 3, 160018 (2016), doi 10.1038/sdata.2016.18:"
    )
    return f"{source}\n\n{_table(('principle', 'how it stands here'), items)}"


def _cite(about: "About") -> str:
    year = about.created[:4]
    lines = [
        "@misc{multiplex_dataset,",
        f"  title = {{{_bibtex(about.title)}}},",
        *([f"  year = {{{year}}},"] if year.isdecimal() else []),
        f"  note = {{Deliberations of simulated personas, built with Multiplex {_bibtex(about.multiplex)}}}",
        "}",
    ]
    return (
        "Put your names, and the address where it is published, into:\n\n```bibtex\n"
        + "\n".join(lines)
        + "\n```"
    )


def _bibtex(text: str) -> str:
    """Return text on one line, without what would end a field, a code block or an entry."""
    return re.sub(r"[\\{}`]", "", one_line(text))


def _caption(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("_", " ").capitalize()


def _merged(by_config: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """Return rows by name over all configs, the most frequent first; rows without a name are left out."""
    total: dict[str, int] = {}
    for found in by_config.values():
        for name, count in _pairs(found):
            if name is not None:
                total[name] = total.get(name, 0) + count
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _pairs(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, int]]:
    return ((each["name"], each["rows"]) for each in found)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(data: Mapping[str, Any], indent: str = "") -> str:
    lines = []
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}- {_worded(name)}:", _bullets(value, f"{indent}  ")]
        else:
            lines.append(f"{indent}- {_worded(name)}: {_said(value)}")
    return "\n".join(lines)


def _worded(name: object) -> str:
    return escaped(_WORDS.get(str(name), str(name).replace("_", " ")))


def _said(value: Any) -> str:
    if isinstance(value, bool | None) or value in ({}, [], ()):
        return {True: "yes", False: "no"}.get(value, "none") if isinstance(value, bool) else "none"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(escaped(each) for each in value)
    return escaped(value)
