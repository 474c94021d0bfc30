"""`multiplex dataset`: training data built from prompts; what is done with a finished one is in dataset_folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from multiplex.cli.dataset_audit import audit_command
from multiplex.cli.dataset_folder import check_command, push_command, stats_command
from multiplex.cli.options import (
    BaseUrl,
    Concurrency,
    EngineArg,
    Model,
    Personas,
    Retries,
    Timeout,
    engine_options,
)
from multiplex.cli.outcome import Json, plain_errors
from multiplex.dataset.asked_columns import any_of_them

__all__ = ["dataset_app"]

dataset_app = typer.Typer(help="Build, check, audit and publish training data.", no_args_is_help=True)
dataset_app.command("check")(check_command)
dataset_app.command("stats")(stats_command)
dataset_app.command("push")(push_command)
dataset_app.command("audit")(audit_command)


@dataset_app.command("build")
def build_command(
    prompts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files of prompts (.jsonl, .csv, .tsv, .parquet, .txt), scenarios (.yaml), or folders of these.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the dataset.", show_default=False)] = Path(
        "dataset"
    ),
    extend: Annotated[
        bool,
        typer.Option(
            "--extend", help="Add the prompts of further files to the dataset that is in the folder."
        ),
    ] = False,
    prompt_column: Annotated[
        str | None,
        typer.Option(
            help=f"The column that the prompt is in; else {any_of_them()}.",
            show_default=False,
        ),
    ] = None,
    longest_prompt: Annotated[
        int,
        typer.Option(min=1, max=20_000, help="The most characters of a prompt; longer ones are passed over."),
    ] = 4000,
    generate: Annotated[
        int | None,
        typer.Option(
            min=1, help="Have so many prompts written, over topics and choice contexts.", show_default=False
        ),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option(help="A topic to write prompts on; repeat for more; else all.", show_default=False),
    ] = None,
    model: Model = "extractive",
    base_url: BaseUrl = None,
    personas: Personas = None,
    protocol: Annotated[
        str | None, typer.Option(help="A protocol by name or file; else the prompt's.", show_default=False)
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Everything that is drawn depends on it.")
    ] = 0,
    config: Annotated[
        list[str] | None,
        typer.Option(help="A kind of records to write; repeat for more; else all eight.", show_default=False),
    ] = None,
    conditions: Annotated[
        bool,
        typer.Option("--conditions", help="Write scores into the prompts, as tokens to ask for them by."),
    ] = False,
    no_contrast: Annotated[
        bool,
        typer.Option(
            "--no-contrast", help="Do not ask the model without the panel; fewer pairs, fewer calls."
        ),
    ] = False,
    names: Annotated[
        str,
        typer.Option(help="How names of people are found: contexts, or spacy:PIPELINE that is installed."),
    ] = "contexts",
    no_mask: Annotated[
        bool, typer.Option("--no-mask", help="Leave personal data as it is: only where there can be none.")
    ] = False,
    balance: Annotated[
        str,
        typer.Option(
            help="How full a perspective, topic or Schwartz value may be, in times the mean; one number for all, or "
            "AXIS=NUMBER for one of them, repeated after commas; none keeps all."
        ),
    ] = "perspective=3,topics=3,schwartz=6",
    least_margin: Annotated[
        float, typer.Option(min=0, max=1, help="The margin below which a pair is a tie, and left out.")
    ] = 0.02,
    splits: Annotated[str, typer.Option(help="The shares of train, validation and test.")] = "0.9,0.05,0.05",
    shard_rows: Annotated[int, typer.Option(min=1, help="The most rows of a shard.")] = 10_000,
    title: Annotated[
        str | None,
        typer.Option(
            help="The dataset's title; else as before, at first 'Pluralistic training data'.",
            show_default=False,
        ),
    ] = None,
    license: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option(help="The licence that you give the data, as in cc-by-4.0.", show_default=False),
    ] = None,
    model_licence: Annotated[
        str | None,
        typer.Option(help="The licence of the model's output, for the card.", show_default=False),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            help="A language of the data (ISO 639); repeat for more; else as before, at first en.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Where deliberations run: local, or ray, on a Ray cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="The Ray cluster: auto, or HOST:PORT; else one is started here.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Workers on Ray; else one a machine, or as many as there are GPUs for.",
            show_default=False,
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(
            help="What a million prompt and a million completion tokens cost, as in 0.15,0.60.",
            show_default=False,
        ),
    ] = None,
    timeout: Timeout = 120.0,
    retries: Retries = 2,
    concurrency: Concurrency = None,
    engine_arg: EngineArg = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Ask and write nothing: say how many acts and tokens it would take."),
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the folder and nothing else.")] = False,
) -> None:
    """Deliberate on every prompt, and write training data; run the same again to go on where it was cut off."""
    with plain_errors(), _going_on(dry=dry_run):
        from multiplex.cli.dataset_build import Asked, build_dataset

        build_dataset(
            Asked(
                prompts=tuple(prompts or ()),
                out=out,
                prompt_column=None if prompt_column is None else prompt_column.strip().lower(),
                longest_prompt=longest_prompt,
                extend=extend,
                generate=generate,
                topics=tuple(topic or ()),
                model=model,
                base_url=tuple(base_url or ()),
                api_key=os.environ.get("OPENAI_API_KEY"),
                personas=tuple(personas) if personas else None,
                protocol=protocol,
                seed=seed,
                configs=tuple(config or ()),
                conditions=conditions,
                contrast=not no_contrast,
                names=names,
                mask=not no_mask,
                balance=balance,
                least_margin=least_margin,
                splits=splits,
                shard_rows=shard_rows,
                title=title,
                license=license,
                model_licence=model_licence,
                languages=tuple(language or ()),
                engine=engine,
                ray_address=ray_address,
                workers=workers,
                price=price,
                timeout=timeout,
                retries=retries,
                concurrency=concurrency,
                engine_options=engine_options(engine_arg),
            ),
            dry=dry_run,
            as_json=as_json,
            quiet=quiet,
        )


@contextmanager
def _going_on(*, dry: bool) -> Iterator[None]:
    """Say how to go on after Ctrl-C, whenever it comes: also while models are loaded."""
    try:
        yield
    except KeyboardInterrupt:
        if not dry:
            print("go on with: the same command again", file=sys.stderr)
        raise
