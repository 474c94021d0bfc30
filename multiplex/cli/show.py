"""How results and content are printed for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.tree import Tree

from multiplex.cli.text import safe
from multiplex.content.panels import pack_names, seat
from multiplex.content.personas import PackFile, Persona, load_pack
from multiplex.content.protocols import STAGES, Protocol, load_protocol, protocol_names
from multiplex.content.roles import load_role, load_roles
from multiplex.content.scenarios import Scenario, load_scenario, scenario_names
from multiplex.errors import ContentError, RunError, near_miss
from multiplex.report.markdown import score_rows
from multiplex.runs import Run, list_runs, load_run

if TYPE_CHECKING:
    from multiplex.unfinished import Request

__all__ = [
    "content",
    "listing",
    "past_runs",
    "print_content",
    "print_listing",
    "print_run",
    "print_runs",
    "print_table",
    "schema",
]

_BAR = 16
_LABEL = 20
"""Columns of a label beside its bar."""


def print_run(run: Run) -> None:
    """Print the four answers, the winning values as a tree and the scores as a table with bars."""
    console = Console(highlight=False)
    scenario = run.manifest["content"]["scenario"]
    labels = run.manifest["content"]["labels"]
    console.rule(safe(scenario.get("title") or scenario["question"], style="bold"))
    if run.answers.notice:
        console.print(safe(run.answers.notice, style="italic dim"))
    _section(console, "The spectrum of views", run.answers.overton, run.answers.reasons.get("overton"))
    consensus = run.answers.consensus
    _section(
        console,
        "What the panel can say together",
        consensus.statement if consensus else None,
        run.answers.reasons.get("consensus"),
    )
    if consensus and consensus.endorsements:
        for name, value in consensus.endorsements.items():
            given = "abstained" if value is None else f"{'■' * value}{'·' * (7 - value)} {value}"
            # In columns, not characters: a Chinese one takes two.
            label = safe(labels[name]).plain
            room = " " * (_LABEL - cell_len(label))
            console.print(safe(f"  {label}{room} {given}", style="dim" if value is None else ""))
        for dissent in consensus.dissent:
            console.print(safe(f"  {dissent.label} objects: {dissent.text}", style="dim"))
    shares = run.answers.distribution
    if shares and shares["overall"]:
        texts = {option["key"]: option["text"] for option in scenario["options"]}
        console.print("\n[bold]How the panel leans")
        if run.answers.notice:
            console.print(safe("  estimated from nearness of words, not from argument", style="dim"))
        for key, share in shares["overall"].items():
            console.print(safe(f"  {_bar(share)} {100 * share:3.0f}%  {texts[key]}"))
    if run.answers.steered:
        console.print(
            f"\n[bold]One answer for each persona[/] ({len(run.answers.steered)}): in answers.json and report.md"
        )
    _print_values(console, run)
    _print_scores(console, run)
    console.print()
    console.print(
        safe(f"{_account(run.usage, resumed=bool(run.manifest.get('resumed')))} {run.path or ''}"),
        soft_wrap=True,
    )
    console.print(safe(run.manifest["simulated"], style="dim"))


def _account(usage: dict[str, Any], *, resumed: bool = False) -> str:
    """Return in one line what a run took; of one that was resumed, the seconds are those of its last part."""
    acts = usage["acts"]
    parts = [f"{acts} {'act' if acts == 1 else 'acts'}"]
    if usage["failures"]:
        parts[0] += f", {usage['failures']} failed (see report.md)"
    tokens = usage["tokens"]
    if usage["calls"]:
        rate = "" if resumed else f" ({tokens['completion'] / max(usage['seconds'], 0.001):,.0f} a second)"
        parts.append(
            f"{usage['calls']} calls, {tokens['prompt']:,} tokens in ({tokens['cached']:,} from the prefix cache), "
            f"{tokens['completion']:,} out{rate}"
        )
    if usage.get("recalled"):
        parts.append(f"{usage['recalled']} answers from the response cache")
    since = " since it was resumed" if resumed else ""
    return f"{'; '.join(parts)}; {usage['seconds']:.1f} s{since}."


def _console() -> Console:
    """Return a console for tables: as wide as they like where no terminal would fold them."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=180)


def print_table(rows: Sequence[tuple[str, Run | None, str | None]]) -> None:
    """Print how each of several scenarios ended: its scores and folder, or its error."""
    table = Table(box=None, pad_edge=False)
    table.add_column("scenario", overflow="fold")
    for column in ("entropy", "endorsement", "acts", "failed", "s"):
        table.add_column(column, no_wrap=True, justify="right")
    table.add_column("run, or what went wrong", overflow="fold")
    for name, run, error in rows:
        if run is None:
            table.add_row(safe(name), *["-"] * 5, safe(error or "failed", style="red"))
            continue
        scores = run.scores
        values = (
            [scores["perspective_entropy"]["overton"]["value"], scores["consensus"]["endorsement"]["value"]]
            if scores
            else [None, None]
        )
        cells = ["-" if value is None else f"{value:.2f}" for value in values]
        usage = run.usage
        counts = [str(usage["acts"]), str(usage["failures"]), f"{usage['seconds']:.1f}"]
        table.add_row(safe(name), *cells, *counts, safe(run.path or run.run))
    console = _console()
    console.print(table)
    done = [run for _, run, _ in rows if run]
    keys = ("calls", "recalled", "acts", "failures")
    total: dict[str, Any] = {key: sum(run.usage[key] for run in done) for key in keys}
    tokens = ("prompt", "cached", "completion")
    total["tokens"] = {key: sum(run.usage["tokens"][key] for run in done) for key in tokens}
    total["seconds"] = max((run.usage["seconds"] for run in done), default=0.0)
    failed = len(rows) - len(done)
    console.print(f"{len(done)} done, {failed} failed. {_account(total)}")


def _section(console: Console, title: str, text: str | None, reason: str | None) -> None:
    console.print(f"\n[bold]{title}\n")
    if text is None:
        console.print(safe(f"None: {reason or 'it was not asked for'}.", style="dim"))
        return
    console.print(safe(text))


def _print_values(console: Console, run: Run) -> None:
    graph = run.moral_graph
    if graph is None:
        return
    winners = graph["winners"]["values"]
    console.print()
    if not winners:
        console.print(safe(f"Winning values: none, {graph['winners']['reason']}.", style="dim"))
        return
    card = {value["id"]: value for value in graph["values"]}
    into: dict[str, list[dict[str, Any]]] = {}
    for edge in graph["edges"]:
        if edge["kept"]:
            into.setdefault(edge["wiserValueId"], []).append(edge)
    tree = Tree("[bold]Winning values[/] (each held wiser than those below it)")
    for winner in winners[:5]:
        value = card[winner["id"]]
        branch = tree.add(
            safe(
                f"{winner['rank']}. {winner['title']}  ({', '.join(value['authors'])}) "
                f"PageRank {winner['pagerank']:.3f}"
            )
        )
        for edge in sorted(into.get(winner["id"], []), key=lambda e: -e["summary"]["wiserLikelihood"]):
            counts = edge["counts"]
            said = f"{counts['markedWiser']} wiser, {counts['markedNotWiser']} not, {counts['markedUnsure']} unsure"
            branch.add(safe(f"{card[edge['sourceValueId']]['title']}  ({said})", style="dim"))
    console.print(tree)
    if graph["winners"].get("warning"):
        console.print(safe(graph["winners"]["warning"], style="dim"))


def _print_scores(console: Console, run: Run) -> None:
    if not run.scores:
        return
    table = Table(box=None, pad_edge=False, title="Scores", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", style="dim", overflow="fold")
    for name, value, note in score_rows(run):
        table.add_row(name, value, _score_bar(name, value), safe(note))
    console.print()
    console.print(table)


def _score_bar(name: str, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return ""
    return _bar((number - 1) / 6 if name == "Endorsement" else number)


def _bar(share: float) -> str:
    filled = round(max(0.0, min(1.0, share)) * _BAR)
    return "█" * filled + "░" * (_BAR - filled)


def listing(kind: str) -> list[dict[str, Any]]:
    """Return what ships of a kind: name, and what it is."""
    if kind == "scenario":
        found = [load_scenario(name) for name in scenario_names()]
        return [
            {"name": s.name, "domain": s.domain, "options": len(s.options), "about": s.question}
            for s in found
        ]
    if kind == "protocol":
        protocols = [load_protocol(name) for name in protocol_names()]
        return [{"name": p.name, "stages": [s.name for s in p.stages], "about": p.summary} for p in protocols]
    if kind == "agent":
        return [{"name": f"{a}/{n}", "about": role.summary} for (a, n), role in load_roles().items()]
    packs = [load_pack(name) for name in pack_names()]
    if kind == "pack":
        return [{"name": p.name, "personas": len(p.personas), "about": p.summary} for p in packs]
    return [
        {
            "name": p.name,
            "pack": pack.name,
            "region": p.region,
            "commitments": len(p.commitments),
            "about": p.label,
        }
        for pack in packs
        for p in pack.personas
    ]


def print_listing(kind: str, rows: list[dict[str, Any]]) -> None:
    """Print a listing as a table."""
    console = Console(highlight=False)
    if not rows:
        console.print(f"no {kind}s")
        return
    table = Table(box=None, pad_edge=False)
    for key in rows[0]:
        table.add_column(key, style="bold" if key == "name" else "", overflow="fold", no_wrap=key == "name")
    for row in rows:
        table.add_row(
            *(
                safe(", ".join(v) if isinstance(v, list) else v if v is not None else "-")
                for v in row.values()
            )
        )
    console.print(table)


def content(kind: str, name: str) -> dict[str, Any]:
    """Return one piece of content as plain data."""
    if kind == "schema":
        return schema(name)
    if kind == "scenario":
        return load_scenario(name).model_dump(mode="json", exclude_none=True)
    if kind == "protocol":
        protocol = load_protocol(name)
        stages = [{stage.name: stage.model_dump(mode="json")} for stage in protocol.stages]
        return {
            "name": protocol.name,
            "summary": protocol.summary,
            "quorum": protocol.quorum,
            "stages": stages,
        }
    if kind == "agent":
        role = load_role(name)
        head = {"name": f"{role.agent}/{role.name}", "summary": role.summary, "inputs": list(role.inputs)}
        return {**head, "temperature": role.temperature, "max_tokens": role.max_tokens, "body": role.body}
    if kind == "pack":
        pack = load_pack(name)
        head = {"name": pack.name, "title": pack.title, "summary": pack.summary}
        return {**head, "perspectives": list(pack.perspectives), "personas": [p.name for p in pack.personas]}
    from multiplex.content.files import is_path

    if name in pack_names() or (is_path(name) and Path(name).is_dir()):
        raise ContentError(f"{name!r} is a pack; use 'show pack {name}'")
    return seat([name]).personas[0].model_dump(mode="json")


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of file; a protocol's lists its stages and their parameters."""
    models: dict[str, type[BaseModel]] = {
        "scenario": Scenario,
        "persona": Persona,
        "pack": PackFile,
        "protocol": Protocol,
    }
    if kind not in models:
        raise ContentError(f"no schema for {kind!r}; {near_miss(kind, models)}")
    found: dict[str, Any] = models[kind].model_json_schema()
    if kind == "protocol":
        stages = [
            {"type": "object", "properties": {name: stage.model_json_schema()}, "additionalProperties": False}
            for name, stage in STAGES.items()
        ]
        found["properties"]["stages"]["items"] = {"anyOf": [{"enum": list(STAGES)}, *stages]}
    return found


def print_content(found: dict[str, Any]) -> None:
    """Print one piece of content to be read."""
    Console(highlight=False).print(Markdown(safe(_as_markdown(found)).plain))


def _as_markdown(data: dict[str, Any]) -> str:
    lines = [f"# {data.get('label') or data.get('title') or data['name']}"]
    for key, value in data.items():
        if key == "commitments":
            lines.append("## Commitments")
            for c in value:
                lines.append(
                    f"### {c['title']}\n{c['statement']} *({c['source']['work']} {c['source']['locus']})*"
                )
                lines.append("\n".join(f"- {policy}" for policy in c["attends_to"]))
                lines.append(f"`{c['key']}`; {', '.join(c['topics'])}; {', '.join(c['schwartz'])}")
        elif key == "plain_speech":
            lines.append(f"**{key}**: {len(value)} sentences (--json shows them)")
        elif key == "body":
            lines.append(f"```\n{value}\n```")
        elif isinstance(value, list):
            lines.append(f"**{key}**\n" + "\n".join(f"- {_flat(entry)}" for entry in value))
        elif isinstance(value, dict):
            lines.append(f"**{key}**\n" + "\n".join(f"- {k}: {_flat(v)}" for k, v in value.items()))
        else:
            lines.append(f"**{key}**: {value}")
    return "\n\n".join(lines)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(entry) for entry in value)
    return str(value)


def past_runs(folder: Path) -> list[dict[str, Any]]:
    """Return the runs below a folder, the newest first; of a damaged or failed one, its folder and what is wrong.

    Those that are in progress, failed or were cut off come first.
    """
    from multiplex.unfinished import unfinished_runs

    keys = ("run", "status", "scenario", "protocol", "model", "seed", "perspective_entropy", "failures")
    rows = []
    for unfinished in unfinished_runs(folder):
        row = {**dict.fromkeys(keys), "run": unfinished.run}
        running = unfinished.running
        try:
            row |= _asked_for(unfinished.request())
        except RunError as error:
            if not running:
                rows.append({**row, "status": "cannot be resumed", "damaged": str(error)})
                continue
        if running:
            rows.append({**row, "status": "running"})
        elif failure := unfinished.failure:
            rows.append({**row, "status": "failed: multiplex resume", "failed": failure})
        else:
            rows.append({**row, "status": "cut off: multiplex resume"})
    for path in list_runs(folder):
        try:
            run = load_run(path)
        except RunError as error:
            damaged = {"run": path.name, "status": "damaged", "damaged": str(error)}
            rows.append({**dict.fromkeys(keys), **damaged})
            continue
        entropy = run.scores["perspective_entropy"]["overton"]["value"] if run.scores else None
        rows.append(
            {
                "run": run.run,
                "status": "done",
                "scenario": run.scenario,
                "protocol": run.protocol,
                "model": run.model,
                "seed": run.seed,
                "perspective_entropy": entropy,
                "failures": run.usage["failures"],
            }
        )
    return rows


def _asked_for(request: "Request") -> dict[str, Any]:
    """Return what a run that has not ended began with."""
    return {
        "scenario": request.scenario.name,
        "protocol": request.stages.name,
        "model": request.model,
        "seed": request.seed,
    }


def print_runs(rows: list[dict[str, Any]], folder: Path) -> None:
    """Print past runs as a table."""
    if not rows:
        Console(highlight=False).print(safe(f"no runs in {folder}"))
        return
    table = Table(box=None, pad_edge=False)
    keys = [key for key in rows[0] if key not in {"damaged", "failed"}]
    for key in keys:
        table.add_column(key.replace("_", " "), no_wrap=key == "run")
    for row in rows:
        table.add_row(
            *(
                safe("-" if value is None else f"{value:.2f}" if isinstance(value, float) else value)
                for value in map(row.get, keys)
            )
        )
    _console().print(table)
