"""What `multiplex run` and `multiplex resume` do: deliberations watched, written and printed."""

import asyncio
import gc
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiplex.api import Session
from multiplex.cli.live import Live
from multiplex.cli.progress import Progress
from multiplex.cli.references import called, in_words, where
from multiplex.cli.show import print_run, print_table
from multiplex.cli.text import safe
from multiplex.content.panels import Panel, seat
from multiplex.content.protocols import Protocol, load_protocol
from multiplex.content.scenarios import Scenario, load_scenario, scenario_of
from multiplex.deliberation.run import check_panel
from multiplex.errors import ContentError, MultiplexError, near_miss
from multiplex.responders.choose import model_names
from multiplex.runs import Run, check_writable
from multiplex.unfinished import Request, Unfinished

__all__ = ["Options", "Outcome", "Table", "endpoints", "prepared", "resume_run", "run_all"]

Table = tuple[Scenario, Panel, Protocol]
"""What is deliberated on, by whom, and how."""

_MOST_AT_ONCE = 64
"""The most scenarios in progress at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `multiplex run`."""

    model: str
    base_url: Mapping[str, str]
    api_key: str | None
    personas: tuple[str, ...] | None = None
    protocol: str | None = None
    seed: int | None = None
    out: Path
    timeout: float
    retries: int
    concurrency: int | None
    cache: bool | Path
    engine: Mapping[str, Any]
    scores: bool = True

    def session(self) -> Session:
        """Return a session with these options."""
        return Session(
            model=self.model,
            base_url=self.base_url,
            api_key=self.api_key,
            timeout=self.timeout,
            retries=self.retries,
            concurrency=self.concurrency,
            cache=self.cache,
            engine=self.engine,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one scenario of several ended: its run, or the error that it failed with."""

    name: str
    """What it is called beside the others."""
    run: Run | None = None
    error: str | None = None


def endpoints(given: Sequence[str]) -> dict[str, str]:
    """Return endpoints by model name, '' standing for all others, from URLs and NAME=URL.

    Raises:
        ContentError: two for the same models, or one for a model that is no address.
    """
    found: dict[str, str] = {}
    for entry in given:
        named = re.fullmatch(r"(?:openai:)?((?:(?!://).)+?)=(https?://.*)", entry)
        if not named and (no_url := re.fullmatch(r"((?:(?!://).)+?)=(.*)", entry)):
            raise ContentError(
                f"--base-url {entry!r}: the address of {no_url[1]!r} needs to begin with http:// or https://"
            )
        name, url = named.groups() if named else ("", entry)
        if name in found:
            raise ContentError(
                f"--base-url {entry!r}: there is one already for {name or 'all models'}; write NAME=URL for one model"
            )
        found[name] = url
    return found


def prepared(references: Sequence[str], options: Options, *, dry: bool = False) -> list[Table]:
    """Read every file and seat every panel. A dry run asks no model: vLLM need not be there.

    Raises:
        ContentError: a file, a name or an option is wrong.
    """
    tables = []
    for each in _prepared(references, options, dry=dry):
        if isinstance(each, ContentError):
            raise each
        tables.append(each)
    return tables


def _prepared(
    references: Sequence[str], options: Options, *, dry: bool = False
) -> list[Table | ContentError]:
    """Read every file and seat every panel before anything runs; a scenario's own mistake stands in its place.

    Raises:
        ContentError: an option is wrong.
    """
    protocol = load_protocol(options.protocol) if options.protocol else None
    panel = seat(options.personas) if options.personas else None
    if protocol and panel:
        check_panel(protocol, panel)
    found: list[Table | ContentError] = []
    for reference in references:
        try:
            found.append(_read(reference, panel, protocol, options))
        except ContentError as error:
            found.append(error)
    models = _models(_sound(found), options)
    unasked = dry and any(name.startswith("vllm:") for name in {options.model, *models})
    session = None if unasked else options.session()
    try:
        if models:
            _check_meant(options.base_url, options.engine, models)
    except ContentError as error:  # whom it is meant for may be in a file that is wrong
        wrong = [each for each in found if isinstance(each, ContentError)]
        raise ContentError("; ".join(map(str, [error, *wrong]))) from error
    for place, table in enumerate(found):
        try:
            if session and not isinstance(table, ContentError):
                session.check(table[0], table[1])
        except ContentError as error:  # the options are right: it is what the scenario or a persona names
            found[place] = ContentError(f"{where(references[place])}: {error}")
    return found


def _read(reference: str, panel: Panel | None, protocol: Protocol | None, options: Options) -> Table:
    """Read one scenario and what it names, unless a panel and a protocol are given; mistakes name its file."""
    scenario = scenario_of(reference) if in_words(reference) else load_scenario(reference)
    try:
        panel = panel or seat(scenario.personas)
        protocol = protocol or load_protocol(scenario.protocol)
        check_panel(protocol, panel)
        model_names(scenario, panel, options.model)
    except ContentError as error:
        raise ContentError(f"{where(reference)}: {error}") from error
    return scenario, panel, protocol


def _sound(found: Iterable[Table | ContentError]) -> list[Table]:
    return [table for table in found if not isinstance(table, ContentError)]


def _check_meant(base_url: Mapping[str, str], engine: Mapping[str, Any], models: set[str]) -> None:
    """Raise ContentError for what was given to a model that nobody speaks through, and for what is no address."""
    used = {name.removeprefix("openai:") for name in models}
    for name, url in base_url.items():
        if name and name not in used:
            given = f"{name}={url}"
            raise ContentError(
                f"--base-url {given!r}: nobody speaks through that model; {near_miss(name, used)}"
            )
    served = any(name.startswith("openai:") for name in models)
    if "" in base_url and not served and base_url[""] not in os.environ.get("OPENAI_BASE_URL", "").split():
        raise ContentError(
            f"--base-url {base_url['']!r}: nobody speaks through a served model; name it as --model openai:NAME"
        )
    if served:
        from multiplex.models.served import Served

        for url in base_url.values():
            Served("any", base_url=url)  # raises for what is no address
    if engine and not any(name.startswith("vllm:") for name in used):
        raise ContentError(
            "--engine-arg: nobody speaks through vLLM in this process; name a model as vllm:NAME"
        )


def _models(tables: Sequence[Table], options: Options) -> set[str]:
    """Return the names of all models that speak."""
    return {name for s, panel, _ in tables for name in model_names(s, panel, options.model).values()}


def run_all(references: Sequence[str], options: Options, *, as_json: bool, quiet: bool) -> int:
    """Run every scenario, at the same time where that helps; print what was asked for; return how many failed."""
    found = _prepared(references, options)
    if len(found) == 1 and isinstance(found[0], ContentError):
        raise found[0]
    tables = _sound(found)
    if tables:
        check_writable(options.out)
    for error in found:
        if isinstance(error, ContentError):
            print(safe(f"error: {error}").plain, file=sys.stderr)
    names = called(
        {
            reference: None if isinstance(each, ContentError) else each[0].name
            for reference, each in zip(references, found, strict=True)
        }
    )
    watched = not (as_json or quiet)
    begun: set[str] = set()  # the runs that have begun and have not ended
    gc.freeze()  # what is loaded by now stays to the end: the collector need not look through it again and again
    try:
        if len(found) == 1:
            run = asyncio.run(_run_one(*tables[0], options, begun, watched=watched))
            _print(run, as_json=as_json, quiet=quiet)
            return 0
        named = [
            (names[reference], each)
            for reference, each in zip(references, found, strict=True)
            if not isinstance(each, ContentError)
        ]
        ended = iter(
            asyncio.run(_run_many(named, options, begun, watched=watched, quiet=quiet)) if named else ()
        )
    except BaseException:
        _say_how_to_go_on(options.out / name for name in sorted(begun))
        raise
    outcomes = [
        Outcome(names[reference], error=str(each)) if isinstance(each, ContentError) else next(ended)
        for reference, each in zip(references, found, strict=True)
    ]
    failures = sum(outcome.run is None for outcome in outcomes)
    if as_json:
        ends = list(zip(references, found, outcomes, strict=True))
        runs = [{**end.run.summary(), "reference": reference} for reference, _, end in ends if end.run]
        failed = [
            {
                "scenario": reference if isinstance(each, ContentError) else each[0].name,
                "error": end.error,
                "reference": reference,
            }
            for reference, each, end in ends
            if end.run is None
        ]
        print(json.dumps({"runs": runs, "failures": failed}, ensure_ascii=False, indent=2, allow_nan=False))
    elif not quiet:
        print_table([(outcome.name, outcome.run, outcome.error) for outcome in outcomes])
    return failures


def resume_run(folder: Path, request: Request, options: Options, *, as_json: bool, quiet: bool) -> None:
    """Go on with a run that was cut off, and print it as `run` does."""
    panel, protocol = request.panel, request.stages
    # What was kept with the run was looked at as it began; what was given now was not.
    new_urls = {name: url for name, url in options.base_url.items() if name not in request.base_url}
    new_engine = {key: value for key, value in options.engine.items() if key not in request.engine}
    _check_meant(new_urls, new_engine, set(model_names(request.scenario, panel, request.model).values()))

    async def go_on() -> Run:
        with Live(request.scenario, panel, protocol, shown=not (as_json or quiet)) as live:
            async with _told(options.session()) as session:
                return await session.resume(folder, on_event=live.saw)

    try:
        run = asyncio.run(go_on())
    except BaseException:
        _say_how_to_go_on([folder])
        raise
    _print(run, as_json=as_json, quiet=quiet)


async def _run_one(
    scenario: Scenario, panel: Panel, protocol: Protocol, options: Options, begun: set[str], *, watched: bool
) -> Run:
    with Live(scenario, panel, protocol, shown=watched) as live:
        async with _told(options.session()) as session:
            return await session.deliberate(
                scenario,
                personas=panel,
                protocol=protocol,
                seed=options.seed,
                scores=options.scores,
                out=options.out,
                on_begin=begun.add,
                on_event=live.saw,
            )


async def _run_many(
    named: Sequence[tuple[str, Table]],
    options: Options,
    begun: set[str],
    *,
    watched: bool,
    quiet: bool,
) -> list[Outcome]:
    """Run scenarios at the same time, each under what it is called; one that fails leaves the others alone.

    Raises:
        ContentError, ModelError: the engine that all of them need does not start.
    """
    tables = [table for _, table in named]
    shown: AbstractContextManager[Progress | None] = Progress(len(tables)) if watched else nullcontext()
    with shown as progress:
        async with _told(options.session()) as session:

            async def one(name: str, table: Table) -> Outcome:
                scenario, panel, protocol = table
                async with places:
                    mine: list[str] = []

                    def begin(run: str) -> None:
                        mine.append(run)
                        begun.add(run)

                    try:
                        run = await session.deliberate(
                            scenario,
                            personas=panel,
                            protocol=protocol,
                            seed=options.seed,
                            scores=options.scores,
                            out=options.out,
                            on_begin=begin,
                            on_event=progress.saw if progress else None,
                        )
                    except Exception as error:  # whatever it is, it is this scenario's: the others go on
                        begun.difference_update(mine)
                        what = "" if isinstance(error, MultiplexError) else f"{type(error).__name__}: "
                        print(safe(f"error: {name}: {what}{error}").plain, file=sys.stderr)
                        _say_how_to_go_on(options.out / run for run in mine)
                        outcome = Outcome(name, error=f"{what}{error}")
                    else:
                        begun.difference_update(mine)
                        # The table needs no transcript, and there may be very many runs.
                        brief: dict[str, Any] = {"transcript": (), "manifest": {}}
                        outcome = Outcome(name, run.model_copy(update=brief))
                    if progress:
                        progress.ended(name, failed=outcome.run is None)
                    elif quiet and outcome.run:
                        print(outcome.run.path, flush=True)
                    return outcome

            # Of an engine that all of them need it is told once if it does not start; of another, by whoever needs it.
            if all(options.model in _models([table], options) for table in tables):
                await session.start()
            # Each holds files open while it runs, so that there are fewer of them than of calls.
            places = asyncio.Semaphore(min(_MOST_AT_ONCE, session.at_once(_models(tables, options))))
            tasks = [asyncio.create_task(one(*each)) for each in named]
            try:
                return list(await asyncio.gather(*tasks))
            finally:  # what is not an outcome ends them all
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _told(session: Session) -> AsyncIterator[Session]:
    """Use a session, and say at its end if answers could not be kept."""
    try:
        async with session:
            yield session
    finally:
        if session.cache_problem:
            print(safe(f"note: {session.cache_problem}").plain, file=sys.stderr)


def _say_how_to_go_on(folders: Iterable[Path]) -> None:
    """Print, for every one of these runs that can be resumed, how."""
    for folder in folders:
        if Unfinished(folder.parent, folder.name).folder.is_dir():
            print(safe(f"go on with: multiplex resume {folder}").plain, file=sys.stderr)


def _print(run: Run, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print(json.dumps(run.summary(), ensure_ascii=False, indent=2, allow_nan=False))
    elif quiet:
        print(run.path)
    else:
        print_run(run)
