"""What `multiplex dataset build` does: options made sense of, a build watched, and what came of it printed."""

import asyncio
import contextlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from multiplex.api import Session
from multiplex.cli.dataset_progress import BuildProgress
from multiplex.cli.outcome import print_json
from multiplex.cli.run import endpoints
from multiplex.cli.text import safe
from multiplex.content.panels import Panel, seat
from multiplex.content.scenarios import Scenario
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import BUILD, SOURCES, Plan, Publication, build, sources_of
from multiplex.dataset.curation import balance_of
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.hub_labels import check_language, check_licence
from multiplex.dataset.manifest import Manifest
from multiplex.dataset.masking import Masks
from multiplex.dataset.preferences import Thresholds
from multiplex.dataset.producing import (
    Producer,
    Recipe,
    content_hashes,
    installed_version,
    named_hashes,
    protocol_of,
)
from multiplex.dataset.prompts import Prompt, Skipped, read_prompts
from multiplex.dataset.proposing import divisive, propose_prompts
from multiplex.dataset.prospects import Table, lacking
from multiplex.dataset.schemas import CONFIGS, SPLITS
from multiplex.dataset.spending import RESPONSES, Spending
from multiplex.dataset.store import Store
from multiplex.dataset.summary import told
from multiplex.deliberation.run import check_panel
from multiplex.embedding import SentenceEmbedder
from multiplex.errors import ContentError, near_miss

__all__ = ["Asked", "build_dataset"]

_FILES = 10
"""How many prompt files are told of at the end of a build."""

_CAUTIOUS = 0.45
"""How sure the masker needs to be: what is published is masked rather too often than too seldom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of `multiplex dataset build`, as they were given."""

    prompts: tuple[str, ...]
    out: Path
    prompt_column: str | None
    longest_prompt: int
    extend: bool
    generate: int | None
    topics: tuple[str, ...]
    model: str
    base_url: tuple[str, ...]
    api_key: str | None
    personas: tuple[str, ...] | None
    protocol: str | None
    seed: int
    configs: tuple[str, ...]
    conditions: bool
    contrast: bool
    names: str
    mask: bool
    balance: str
    least_margin: float
    splits: str
    shard_rows: int
    title: str | None
    license: str | None
    model_licence: str | None
    languages: tuple[str, ...]
    """Empty where none is given."""
    engine: str
    ray_address: str | None
    workers: int | None
    price: str | None
    timeout: float
    retries: int
    concurrency: int | None
    engine_options: Mapping[str, Any]

    @property
    def session_options(self) -> dict[str, Any]:
        """Return what a `Session` is made with, here or on a worker, but for its cache and embedder."""
        return {
            "model": self.model,
            "base_url": endpoints(self.base_url),
            "api_key": self.api_key,
            "timeout": self.timeout,
            "retries": self.retries,
            "concurrency": self.concurrency,
            "engine": dict(self.engine_options),
        }

    @property
    def recipe(self) -> Recipe:
        """Return how prompts are deliberated on."""
        return Recipe(personas=self.personas, protocol=self.protocol, seed=self.seed, contrast=self.contrast)

    def read(self, only: Mapping[str, str] | None = None) -> Iterator[Prompt | Skipped]:
        """Return the prompts of the files that are named, or of some of them (see `read_prompts`)."""
        return read_prompts(self.prompts, longest=self.longest_prompt, column=self.prompt_column, only=only)

    @property
    def usual(self) -> tuple[Scenario, Panel]:
        """Return what stands for a prompt that says nothing of its own, and who deliberates on it."""
        scenario = Scenario(name="any", question="any")
        return scenario, seat(self.personas or scenario.personas)


def build_dataset(asked: Asked, *, dry: bool, as_json: bool, quiet: bool) -> None:
    """Build the dataset, and print what there is of it; if `dry`, what it would take.

    Raises:
        MultiplexError: see `multiplex.dataset.building.build`.
    """
    if bool(asked.prompts) == (asked.generate is not None):
        raise ContentError("name files of prompts, or --generate N to have prompts written; one of the two")
    if asked.topics and asked.generate is None:
        raise ContentError("--topic is for prompts that are written: give --generate N with it")
    if asked.prompt_column is not None and not asked.prompts:
        raise ContentError("--prompt-column is for prompts from files: name them, instead of --generate")
    if asked.extend and not asked.prompts:
        raise ContentError("--extend adds prompts from files: name them, instead of --generate")
    if asked.engine not in {"local", "ray"}:
        raise ContentError(
            f"--engine {asked.engine!r}: no such engine; {near_miss(asked.engine, ['local', 'ray'])}"
        )
    if asked.engine != "ray" and (asked.ray_address or asked.workers):
        raise ContentError("--ray-address and --workers are for --engine ray")
    assembly, publication = _assembly(asked), _publication(asked)
    if asked.prompts:  # a path that leads nowhere is told before anything is loaded or made
        asked.read()
    sources, recipe = sources_of(asked.prompts), asked.recipe
    # A set may be extended with the options that it was begun with, whatever is added.
    if asked.prompt_column is not None and not asked.extend and not any(map(_has_columns, sources)):
        raise ContentError(
            f"--prompt-column {asked.prompt_column}: lines of text and scenarios have no columns; leave it out"
        )
    scenario, panel = asked.usual
    protocol = protocol_of(recipe, scenario)
    check_panel(protocol, panel)
    if asked.generate is not None:
        divisive(panel, asked.topics or None)
    if asked.protocol or asked.generate:  # else each prompt may name another
        _promised(asked, [Table(protocol, len(panel.personas), options=True)])
    if dry:
        from multiplex.cli.dataset_dry import print_dry_run

        print_dry_run(
            asked,
            assembly.configs,
            promise=partial(_promised, asked),
            prices=publication.prices,
            as_json=as_json,
        )
        return
    masks = _masks(asked, panel)
    embedder = SentenceEmbedder()
    plan = Plan(
        model=asked.model,
        recipe=recipe,
        embedding=embedder.name,
        multiplex=installed_version(),
        sources=sources,
        generated=None
        if asked.generate is None
        else {"prompts": asked.generate, "topics": list(asked.topics) or "all"},
        content=content_hashes(recipe, asked.model),
        masker=None if masks is None else masks.describe(),
        longest=asked.longest_prompt,
        column=asked.prompt_column,
        engine={name: value for name, value in asked.engine_options.items() if name != "hf_token"},
    )
    shown = not (as_json or quiet)
    spending = Spending(asked.out / BUILD)
    with BuildProgress(shown=shown, prices=publication.prices, spending=spending) as progress:
        manifest = asyncio.run(_built(asked, plan, assembly, publication, panel, masks, embedder, progress))
    _print(asked.out, manifest, as_json=as_json, quiet=quiet)


async def _built(
    asked: Asked,
    plan: Plan,
    assembly: Assembly,
    publication: Publication,
    panel: Panel,
    masks: Masks | None,
    embedder: SentenceEmbedder,
    progress: BuildProgress,
) -> Manifest:
    async with contextlib.AsyncExitStack() as stack:
        session = Session(**asked.session_options, cache=asked.out / BUILD / RESPONSES, embedder=embedder)
        await stack.enter_async_context(session)
        producer = Producer(session, embedder, plan.recipe)

        async def prompts() -> Iterable[Prompt | Skipped]:
            if asked.generate is None:
                return asked.read()
            return await _proposed(asked, asked.generate, session, panel, embedder)

        def extend(further: Sequence[Mapping[str, Any]]) -> Iterable[Prompt | Skipped]:
            only = {source["path"]: source["file"] for source in further}
            return asked.read(only)

        def contents(store: Store) -> Mapping[str, str]:
            return named_hashes(plan.recipe, store.tables())

        def promise(store: Store) -> None:
            if note := _promised(asked, [producer.table(prompt) for prompt in store.tables()]):
                progress.note(note)

        async def deliberate(store: Store) -> None:
            for task in store.todo(most=1):  # what cannot speak at all is told before anything is asked
                producer.check(task.prompt)
            if asked.engine == "ray":
                from multiplex.dataset.distributed import deliberate_on_ray

                await session.aclose()  # an engine that wrote prompts here may stand where a worker's has to
                await deliberate_on_ray(
                    store,
                    plan.recipe,
                    asked.session_options,
                    address=asked.ray_address,
                    workers=asked.workers,
                    on_done=progress.ended,
                    on_notice=lambda notice: print(safe(notice).plain, file=sys.stderr),
                )
                return
            await session.start()
            await deliberate_all(store, producer.produce, at_once=producer.at_once(), on_done=progress.ended)

        try:
            return await build(
                asked.out,
                plan,
                assembly,
                publication,
                prompts=prompts,
                extend=extend if asked.extend else None,
                contents=contents,
                promise=promise,
                deliberate=deliberate,
                embedder=embedder,
                masks=masks,
                on_phase=progress.phase,
            )
        finally:
            if session.cache_problem:
                print(safe(f"note: {session.cache_problem}").plain, file=sys.stderr)


async def _proposed(
    asked: Asked, number: int, session: Session, panel: Panel, embedder: SentenceEmbedder
) -> list[Prompt | Skipped]:
    await session.start()
    responder = session.responders(Scenario(name="proposing", question="What shall we ask?"), panel)[
        "moderator"
    ]
    proposals = propose_prompts(
        number,
        panel=panel,
        responder=responder,
        embed=embedder.embed,
        seed=asked.seed,
        topics=asked.topics or None,
    )
    return [each async for each in proposals]


def _has_columns(source: Mapping[str, Any]) -> bool:
    return Path(source["path"]).suffix.lower() not in {".txt", ".yaml"}


def _promised(asked: Asked, tables: Sequence[Table]) -> str | None:
    """Return a note on the records that cannot come of these tables, None where all can.

    Raises:
        ContentError: some of these were asked for by name.
    """
    needs = lacking(tables)
    protocols = {t.protocol.name: ", ".join(stage.name for stage in t.protocol.stages) for t in tables}
    told = " or ".join(f"{name!r} ({stages})" for name, stages in protocols.items())
    for config in asked.configs:
        if config in needs:
            raise ContentError(
                f"--config {config}: no such record can come of the protocol {told}: it takes the stage "
                f"{needs[config]}; choose another protocol, or other records"
            )
    if asked.configs or not needs:
        return None
    kinds: dict[str, list[str]] = {}
    for config, need in needs.items():
        kinds.setdefault(need, []).append(config)
    can = ", ".join(config for config in CONFIGS if config not in needs)
    lost = "; ".join(f"{', '.join(configs)} would take {need}" for need, configs in kinds.items())
    return f"of the protocol {told} come {can} alone; {lost}"


def _assembly(asked: Asked) -> Assembly:
    for config in asked.configs:
        if config not in CONFIGS:
            raise ContentError(f"--config {config!r}: no such kind of records; {near_miss(config, CONFIGS)}")
    try:
        balance = balance_of(asked.balance)
    except ContentError as error:
        raise ContentError(f"--balance {asked.balance}: {error}") from error
    return Assembly(
        configs=tuple(config for config in CONFIGS if not asked.configs or config in asked.configs),
        conditions=asked.conditions,
        thresholds=replace(Thresholds(), margin=asked.least_margin),
        balance=balance,
        shares=_shares(asked.splits),
        seed=asked.seed,
    )


def _shares(given: str) -> dict[str, float]:
    parts = [_number("--splits", part) for part in given.split(",")]
    if len(parts) != len(SPLITS) or not all(0 <= part <= 1 for part in parts) or abs(sum(parts) - 1) > 1e-9:
        raise ContentError(
            f"--splits {given}: needs three shares of {', '.join(SPLITS)} that come to 1, as in 0.9,0.05,0.05"
        )
    if not parts[0]:
        raise ContentError(f"--splits {given}: leaves nothing to train on; give train a share above 0")
    return dict(zip(SPLITS, parts, strict=True))


def _prices(given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    parts = [_number("--price", part) for part in given.split(",")]
    if len(parts) != 2 or min(parts) < 0:
        raise ContentError(f"--price {given}: needs two prices, for a million prompt and completion tokens")
    return parts[0], parts[1]


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ContentError(f"{option} {text}: {text!r} is no number")
    return value


def _publication(asked: Asked) -> Publication:
    return Publication(
        title=asked.title or "",
        license=None if asked.license is None else check_licence(asked.license),
        languages=tuple(dict.fromkeys(map(check_language, asked.languages))),
        model_licence=asked.model_licence,
        shard_rows=asked.shard_rows,
        prices=_prices(asked.price),
    )


def _masks(asked: Asked, panel: Panel) -> Masks | None:
    if not asked.mask:
        return None
    from multiplex.dataset.privacy import Masker, public_names

    return Masks(Masker(names=asked.names, allow=public_names(panel), threshold=_CAUTIOUS), panel)


def _print(out: Path, manifest: Manifest, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(
            {"path": str(out), **manifest.model_dump(mode="json", exclude={"files"}), "told": told(out)}
        )
    elif quiet:
        print(out)
    else:
        from rich.console import Console
        from rich.table import Table

        console = Console()
        table = Table(box=None, pad_edge=False)
        for column in ("config", *SPLITS):
            table.add_column(column, justify="left" if column == "config" else "right")
        asked = manifest.options["assembly"]["configs"]
        for config in sorted({*asked, *manifest.counts}):
            counts = manifest.counts.get(config, {})  # none of what came out empty, which is told below
            table.add_row(config, *(f"{counts.get(split, 0):,}" for split in SPLITS))
        console.print(table)
        print("", *(safe(line).plain for line in told(out)), sep="\n")
        paths = _paths(out)
        lines = [f"{name}: {path}" for name, path in islice(paths.items(), _FILES)]
        if len(paths) > _FILES:
            lines.append(f"and {len(paths) - _FILES} more in {out / BUILD / SOURCES}")
        print("", *(safe(line).plain for line in lines), sep="\n")
        console.print(
            safe(f"\n{out}: read {out / 'README.md'} first; what was left out stands in report.json")
        )


def _paths(out: Path) -> dict[str, str]:
    """Return the paths of prompt files by what they are called in what is published; the owner alone has them."""
    try:
        paths: dict[str, str] = json.loads((out / BUILD / SOURCES).read_bytes())
    except (OSError, ValueError):
        return {}
    return paths
