"""The commands and their options; each imports what it needs when it is called."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from multiplex.cli.cache import cache_app
from multiplex.cli.dataset import dataset_app
from multiplex.cli.graph import graph_app
from multiplex.cli.options import (
    BaseUrl,
    Concurrency,
    EngineArg,
    Model,
    NoCache,
    Personas,
    Retries,
    Timeout,
    engine_options,
)
from multiplex.cli.outcome import Json, plain_errors, print_json
from multiplex.errors import ContentError, near_miss

__all__ = ["app"]

app = typer.Typer(
    name="multiplex",
    help="A panel of culturally situated personas deliberates on your question.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Quiet = Annotated[bool, typer.Option("--quiet", help="Print the run's folder and nothing else.")]
_RUNS = Path("runs")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"multiplex {version('multiplex-deliberation')}")
        except PackageNotFoundError:
            print("multiplex (not installed)")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    scenarios: Annotated[
        list[str],
        typer.Argument(
            help="Shipped scenarios by name, files by path, or questions in quotes.", show_default=False
        ),
    ],
    model: Model = "extractive",
    base_url: BaseUrl = None,
    personas: Personas = None,
    protocol: Annotated[
        str | None, typer.Option(help="A protocol by name or file; else the scenario's.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Else the scenario's own.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder that runs are written to.")] = _RUNS,
    timeout: Timeout = 120.0,
    retries: Retries = 2,
    concurrency: Concurrency = None,
    no_cache: NoCache = False,
    engine_arg: EngineArg = None,
    no_scores: Annotated[bool, typer.Option("--no-scores", help="Leave the scores out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nothing: say how many acts and tokens it would take.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a panel deliberate on one or more scenarios."""
    with plain_errors():
        from multiplex.cli.run import Options, endpoints, prepared, run_all

        options = Options(
            model=model,
            base_url=endpoints(base_url or ()),
            api_key=os.environ.get("OPENAI_API_KEY"),
            personas=tuple(personas) if personas else None,
            protocol=protocol,
            seed=seed,
            out=out,
            timeout=timeout,
            retries=retries,
            concurrency=concurrency,
            cache=not no_cache,
            engine=engine_options(engine_arg),
            scores=not no_scores,
        )
        if dry_run:
            from multiplex.cli.estimate import print_estimates

            print_estimates(scenarios, prepared(scenarios, options, dry=True), model=model, as_json=as_json)
            return
        failures = run_all(scenarios, options, as_json=as_json, quiet=quiet)
    if failures:
        raise typer.Exit(1)


@app.command()
def resume(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.", show_default=False)],
    base_url: Annotated[
        list[str] | None,
        typer.Option(help="Where its endpoint, or NAME=URL where one of them, is now.", show_default=False),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=86_400, help="Seconds that one call to a served model may take.", show_default=False
        ),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(min=0, max=10, help="How often a failed call is tried again.", show_default=False),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="The most calls in flight at once.", show_default=False)
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option("--cache/--no-cache", help="Recall answers of models and keep them, or neither."),
    ] = None,
    engine_arg: EngineArg = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run that was cut off, with the options that it began with unless others are given.

    'multiplex runs' lists them.
    """
    with plain_errors():
        from multiplex.cli.run import Options, endpoints, resume_run
        from multiplex.content.files import is_path
        from multiplex.unfinished import Unfinished

        folder = Path(name) if is_path(name) else _RUNS / name
        request = Unfinished(folder.parent, folder.name).request()
        options = Options(
            model=request.model,
            base_url={**request.base_url, **endpoints(base_url or ())},
            api_key=os.environ.get("OPENAI_API_KEY"),
            out=folder.parent,
            timeout=request.timeout if timeout is None else timeout,
            retries=request.retries if retries is None else retries,
            concurrency=request.concurrency if concurrency is None else concurrency,
            cache=request.cache if cache is None or (cache and request.cache) else cache,
            engine={**request.engine, **engine_options(engine_arg)},
        )
        resume_run(folder, request, options, as_json=as_json, quiet=quiet)


@app.command("list")
def list_content(
    kind: Annotated[
        str, typer.Argument(help="scenarios, personas, packs, protocols or agents.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """List the content that ships with Multiplex."""
    with plain_errors():
        from multiplex.cli.show import listing, print_listing

        if _kind(kind) == "schema":
            raise ContentError("there is one schema a kind; show it with 'multiplex show schema scenario'")
        rows = listing(_kind(kind))
        if as_json:
            print_json({f"{_kind(kind)}s": rows})
        else:
            print_listing(_kind(kind), rows)


@app.command()
def show(
    kind: Annotated[
        str, typer.Argument(help="scenario, persona, pack, protocol, agent or schema.", show_default=False)
    ],
    name: Annotated[
        str, typer.Argument(help="A shipped name, or a path; for an agent, agent/act.", show_default=False)
    ],
    as_json: Json = False,
) -> None:
    """Show one scenario, persona, pack, protocol or role as it will be read, or a kind's JSON Schema."""
    with plain_errors():
        from multiplex.cli.show import content, print_content

        found = content(_kind(kind), name)
        if as_json or _kind(kind) == "schema":
            print_json(found)
        else:
            print_content(found)


@app.command()
def validate(
    paths: Annotated[list[Path], typer.Argument(help="Content files or folders.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Check content files, and say what was checked."""
    with plain_errors():
        from multiplex.cli.checks import validate_paths
        from multiplex.cli.text import safe

        checked = validate_paths(paths)
        if as_json:
            print_json({"checked": checked.counts, "problems": checked.problems})
        else:
            for problem in checked.problems:
                print(f"error: {safe(problem).plain}", file=sys.stderr)
            print(f"checked {checked.sentence()}")
    if checked.problems:
        raise typer.Exit(1)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
) -> None:
    """Write a scenario, a pack of two personas and a protocol of your own to start from."""
    with plain_errors():
        from multiplex.cli.starter import write_starter

        for path in write_starter(folder):
            print(path)


@app.command()
def runs(
    out: Annotated[Path, typer.Option(help="The folder that runs were written to.")] = _RUNS,
    as_json: Json = False,
) -> None:
    """List past runs, the newest first."""
    with plain_errors():
        from multiplex.cli.show import past_runs, print_runs

        rows = past_runs(out)
        if as_json:
            print_json({"runs": rows})
        else:
            print_runs(rows, out)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Write to this file instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Print a run's report as Markdown."""
    with plain_errors():
        from multiplex.cli.text import safe
        from multiplex.content.files import is_path
        from multiplex.report.markdown import report as markdown
        from multiplex.runs import load_run

        text = markdown(load_run(name if is_path(name) else _RUNS / name))
        if out is None:
            print(safe(text).plain, end="")
        else:
            _write(out, text)


@app.command()
def doctor(
    model: Model = "extractive",
    base_url: Annotated[
        str | None, typer.Option(envvar="OPENAI_BASE_URL", help="Its endpoint.", show_default=False)
    ] = None,
    engine_arg: EngineArg = None,
    as_json: Json = False,
) -> None:
    """Check the installation, the content and the model, and say what to do."""
    with plain_errors():
        from multiplex.cli.doctor import examine

        findings = examine(
            model, base_url, os.environ.get("OPENAI_API_KEY"), engine_args=tuple(engine_arg or ())
        )
        if as_json:
            print_json({"findings": [finding.as_dict() for finding in findings]})
        else:
            for finding in findings:
                print(finding.line())
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@app.command()
def score(
    files: Annotated[
        list[Path], typer.Argument(help="Texts, .jsonl files of texts, or runs' folders.", show_default=False)
    ],
    pack: Annotated[
        str | None,
        typer.Option(
            help="The pack to score against; else a run's own, or civilizations.", show_default=False
        ),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these scores, as in perspective_entropy; repeat for more.", show_default=False
        ),
    ] = None,
    classifier: Annotated[
        list[str] | None,
        typer.Option(
            help="Who labels sentences: default, nli:MODEL, openai:NAME or vllm:NAME; repeat to compare.",
            show_default=False,
        ),
    ] = None,
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Score texts, or runs again; several runs of a scenario come with intervals."""
    with plain_errors():
        from multiplex.cli.run import endpoints
        from multiplex.cli.score import Judges, score_files
        from multiplex.cli.score_shown import print_scores
        from multiplex.embedding import SentenceEmbedder

        judges = Judges(
            names=tuple(classifier or ("default",)),
            base_url=endpoints(base_url or ()),
            api_key=os.environ.get("OPENAI_API_KEY"),
        )
        found = score_files(files, pack=pack, wanted=scores, judges=judges, embedder=SentenceEmbedder())
        if as_json:
            print_json(found)
        else:
            print_scores(found)


@graph_app.command("values")
def values(
    files: Annotated[
        list[Path], typer.Argument(help="Texts, .jsonl files of texts, or runs' folders.", show_default=False)
    ],
    pack: Annotated[str, typer.Option(help="The pack whose values are looked for.")] = "civilizations",
    model: Model = "extractive",
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Tell which values texts show: a pack's commitments, and Schwartz's values through them."""
    with plain_errors():
        from multiplex.cli.run import endpoints
        from multiplex.cli.values import values_command

        values_command(
            files,
            pack=pack,
            model=model,
            base_url=endpoints(base_url or ()),
            api_key=os.environ.get("OPENAI_API_KEY"),
            as_json=as_json,
        )


app.add_typer(cache_app, name="cache")
app.add_typer(dataset_app, name="dataset")
app.add_typer(graph_app, name="graph")

_KINDS = ("scenario", "persona", "pack", "protocol", "agent", "schema")


def _kind(word: str) -> str:
    singular = word.removesuffix("s")
    if singular not in _KINDS:
        raise ContentError(
            f"no kind of content named {word!r}; {near_miss(word, [*_KINDS, *(f'{k}s' for k in _KINDS)])}"
        )
    return singular


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ContentError(f"{path}: cannot be written: {error.strerror or error}") from error
