"""A run as a Markdown page: the question, four answers, what is valued, the scores, who said what."""

from typing import Any

from multiplex.runs import Run

__all__ = ["report", "score_rows"]


def report(run: Run) -> str:
    """Return the report of a run, as Markdown."""
    scenario = run.manifest["content"]["scenario"]
    parts = [
        f"# {scenario.get('title') or scenario['question']}",
        *_head(run, scenario),
        "## The spectrum of views (Overton)",
        run.answers.overton or _missing(run, "overton"),
        "## What the panel can say together (consensus)",
        *_consensus(run),
        "## One answer for each persona (steered)",
        *_steered(run),
        "## How the panel leans (distribution)",
        *_distribution(run, scenario),
        "## Winning values (moral graph)",
        *_values(run),
        "## Scores",
        *_scores(run),
        "## How they answered one another",
        *_exchange(run),
        "## What failed",
        *_failures(run),
        "## How to read this",
        _caution(run),
    ]
    return "\n\n".join(parts) + "\n"


def _head(run: Run, scenario: dict[str, Any]) -> list[str]:
    parts = [f"**{scenario['question']}**"]
    if scenario.get("context"):
        parts.append("\n".join(f"> {line}" for line in scenario["context"].strip().splitlines()))
    labels = run.manifest["content"]["labels"]
    parts.append(
        "\n".join(
            [
                f"- Panel: {', '.join(labels[name] for name in run.personas) or 'none'}",
                f"- Protocol: {run.protocol}. Model: {run.model}. Seed: {run.seed}.",
                f"- Run: `{run.run}`, {run.manifest['created']}",
            ]
        )
    )
    if run.answers.notice:
        parts.append(f"*{run.answers.notice}*")
    return parts


def _consensus(run: Run) -> list[str]:
    consensus = run.answers.consensus
    if consensus is None:
        return [_missing(run, "consensus")]
    labels = run.manifest["content"]["labels"]
    parts = ["\n".join(f"> {line}" if line else ">" for line in consensus.statement.splitlines())]
    if consensus.endorsements:
        given = ", ".join(
            f"{labels[name]} {'abstained' if value is None else value}"
            for name, value in consensus.endorsements.items()
        )
        parts.append(f"Endorsements (1 to 7): {given}.")
    if consensus.agreements:
        parts += ["Where some come near to one another:", _bullets(consensus.agreements)]
    if consensus.disagreements:
        parts += ["Where they do not:", _bullets(consensus.disagreements)]
    if consensus.dissent:
        parts += [
            "Dissent that remains:",
            _bullets(
                f"{d.label}{f' ({d.endorsement} of 7)' if d.endorsement else ''}: {d.text}"
                for d in consensus.dissent
            ),
        ]
    return parts


def _steered(run: Run) -> list[str]:
    if not run.answers.steered:
        return [_missing(run, "steered")]
    return [
        part for steered in run.answers.steered.values() for part in (f"### {steered.label}", steered.answer)
    ]


def _distribution(run: Run, scenario: dict[str, Any]) -> list[str]:
    found = run.answers.distribution
    if found is None or found["overall"] is None:
        return [_missing(run, "distribution") if found is None else str(found["reason"])]
    labels = run.manifest["content"]["labels"]
    options = {option["key"]: option["text"] for option in scenario["options"]}
    header = ["| | " + " | ".join(options) + " |", "|---|" + "---|" * len(options)]
    rows = [
        f"| {labels[name]} | " + " | ".join(_share(shares[key]) if shares else "-" for key in options) + " |"
        for name, shares in found["by_persona"].items()
    ]
    overall = "| **all** | " + " | ".join(f"**{_share(found['overall'][key])}**" for key in options) + " |"
    return [_bullets(f"{key}: {text}" for key, text in options.items()), "\n".join([*header, *rows, overall])]


def _values(run: Run) -> list[str]:
    graph = run.moral_graph
    if graph is None:
        return ["The protocol compares no values."]
    winners = graph["winners"]["values"]
    if not winners:
        return [f"No value won: {graph['winners']['reason']}."]
    card = {value["id"]: value for value in graph["values"]}
    verdicts = ("markedWiser", "markedNotWiser", "markedUnsure")
    judged = sum(any(edge["counts"][name] for name in verdicts) for edge in graph["edges"])
    kept = sum(edge["kept"] for edge in graph["edges"])
    lines = []
    for winner in winners[:8]:
        value = card[winner["id"]]
        lines.append(
            f"{winner['rank']}. **{winner['title']}** "
            f"({', '.join(value['authors'])}; {'; '.join(value['sources'])}): "
            f"PageRank {winner['pagerank']:.3f}, summed likelihood {winner['likelihood_sum']:.2f}\n"
            + "\n".join(f"    - {policy}" for policy in value["policies"])
        )
    return [
        f"{len(graph['values'])} values, {judged} moves judged, {kept} kept.",
        "\n".join(lines),
        *([f"*{graph['winners']['warning']}*"] if graph["winners"].get("warning") else []),
    ]


def _scores(run: Run) -> list[str]:
    if not run.scores:
        return ["*They were not asked for.*"]
    rows = [f"| {name} | {value} | {_cell(note)} |" for name, value, note in score_rows(run)]
    return ["\n".join(["| score | value | |", "|---|---|---|", *rows])]


def score_rows(run: Run) -> list[tuple[str, str, str]]:
    """Return the scores that are shown first: name, value, and how to read it or why it is undefined.

    A run that was not scored has none.
    """
    scores = run.scores
    if not scores:
        return []
    entropy = scores["perspective_entropy"]["overton"]
    steered = [
        s["value"] for s in scores["perspective_entropy"]["steered"].values() if s["value"] is not None
    ]
    endorsement = scores["consensus"]["endorsement"]
    grouped = scores["consensus"]["group_aware"]
    alpha = scores["agreement"]["krippendorff_alpha"]
    dynamics = scores["dynamics"]["rounds"]
    last = dynamics[-1] if dynamics else None
    perspectives = len(run.manifest["content"]["perspectives"])
    rows = [
        _row("Perspective entropy", entropy, f"evenness over {perspectives} perspectives"),
        _row("  corrected", entropy.get("corrected") or {}, "for the classifier's errors"),
        (
            "  of steered answers",
            f"{sum(steered) / len(steered):.2f}" if steered else "undefined",
            "mean; low is in character",
        ),
        _row("Representation", scores["representation"]["overton"], "share of personas carried"),
        _row("Endorsement", endorsement, f"mean of 1 to 7; lowest {endorsement.get('minimum')}"),
        _row("Group-aware consensus", grouped, f"at unanimity {grouped.get('ceiling') or 0:.2f}"),
        _row("Agreement on values", alpha, "Krippendorff's alpha"),
    ]
    if "steerability" in scores:  # runs that an earlier version kept have none
        accuracy = scores["steerability"].get("accuracy") or scores["steerability"]
        quoted = scores["steerability"].get("caution")
        reading = "share of steered answers" + (
            "; they quote what the classifier learned from" if quoted else ""
        )
        rows.append(_row("In character", accuracy, reading))
        rows.append(
            _row("Against unanimity", scores["discretion"]["arbitrariness"], "of the moderator; 0 is sound")
        )
    if last is not None:
        rows.append(_row("Disagreement", last["disagreement"], "over the options, at the end"))
        rows.append(_row("Change in diversity", scores["dynamics"]["erosion"], "last round minus first"))
    return rows


def _row(name: str, score: dict[str, Any], reading: str) -> tuple[str, str, str]:
    if score.get("value") is None:
        return name, "undefined", str(score.get("reason") or "")
    return name, f"{score['value']:.2f}", reading


def _exchange(run: Run) -> list[str]:
    labels = run.manifest["content"]["labels"]
    parts = [
        f"### Round {act['round']}: {labels[act['speaker']]}\n\n{act['reply']['statement']}"
        for act in run.transcript
        if act["act"] == "reply" and act["reply"]
    ]
    return parts or ["There was no exchange."]


def _failures(run: Run) -> list[str]:
    failed = [act for act in run.transcript if act["failure"]]
    if not failed:
        return ["Nothing: every act was answered."]
    return [
        _bullets(f"{a['step']}, {a['speaker']}, round {a['round']}: {a['failure']['reason']}" for a in failed)
    ]


def _caution(run: Run) -> str:
    if not run.scores:
        return str(run.manifest["simulated"])
    entropy = run.scores["perspective_entropy"]["control"]
    return (
        f"{run.manifest['simulated']} Perspective entropy says which perspectives a text references, not who is "
        "right, and depends on a classifier that errs: its figures on sentences that it was not trained on stand "
        f"in `scores.json` under `control` ({', '.join(sorted(entropy))}). Disagreement says how far the panel's "
        "stances lie apart. They are different things."
    )


def _missing(run: Run, answer: str) -> str:
    return f"There is none: {run.answers.reasons.get(answer, 'it was not asked for')}."


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _share(value: float) -> str:
    return f"{100 * value:.0f}%"
