"""A dataset from prompts: taken in, deliberated on, assembled, written; and gone on with where it was cut off.

The folder is a dataset once `manifest.json` is in it, which is written last. What is in the making lies in
`.build` below it and stays there: with other options of assembly the same deliberations give another dataset
without asking any model again. Remove it when you do not need it any more.
"""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from multiplex.dataset.assembling import Assembly, assemble
from multiplex.dataset.card import CARD, About, Generator, keep_edited_card, write_card
from multiplex.dataset.ctrl_c import heard_at_once
from multiplex.dataset.intake import take_in
from multiplex.dataset.manifest import (
    MANIFEST,
    FileEntry,
    Manifest,
    described,
    read_manifest,
    sync_folder,
    write_manifest,
    write_whole,
)
from multiplex.dataset.masking import Masks
from multiplex.dataset.pictures import draw
from multiplex.dataset.plan import Plan, differing, numbered_sources, sources_of
from multiplex.dataset.preferences import RULES
from multiplex.dataset.prompts import Prompt, Skipped
from multiplex.dataset.provenance import Provenance
from multiplex.dataset.spending import RESPONSES, Spending, cost_of
from multiplex.dataset.splitting import Splitter
from multiplex.dataset.statistics import STATISTICS, statistics
from multiplex.dataset.store import Store
from multiplex.dataset.summary import covered, empty, left_out, personal, untrained
from multiplex.dataset.writing import SHARD_ROWS, write_split
from multiplex.embedding import Embedder
from multiplex.errors import ContentError, RunError

__all__ = ["BUILD", "SOURCES", "TITLE", "Plan", "Publication", "build", "sources_of"]

BUILD = ".build"

SOURCES = "sources.json"
"""Where the paths of prompt files stand by what they are called in what is published: in `.build`, for the owner."""

TITLE = "Pluralistic training data"
"""What a dataset is called whose title nobody told."""

_EXTRACTIVE = "Apache-2.0, as the personas that its texts are put together from"

_OURS = {BUILD, MANIFEST, "README.md", "report.json", STATISTICS, "data", "jsonl", "pictures"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What only the one who publishes a dataset can tell, and how large a shard is.

    What is not told (no title, no languages, None) is as an earlier call told it, else it is `TITLE` and English.
    `prices` are those of a million prompt and a million completion tokens, where the report is to say the cost.
    """

    title: str = ""
    license: str | None = None
    languages: tuple[str, ...] = ()
    model_licence: str | None = None
    shard_rows: int = SHARD_ROWS
    prices: tuple[float, float] | None = None


async def build(
    folder: Path,
    plan: Plan,
    assembly: Assembly,
    publication: Publication,
    *,
    prompts: Callable[[], Awaitable[Iterable[Prompt | Skipped]]],
    extend: Callable[[Sequence[Mapping[str, Any]]], Iterable[Prompt | Skipped]] | None = None,
    contents: Callable[[Store], Mapping[str, str]] = lambda store: {},
    promise: Callable[[Store], None] = lambda store: None,
    deliberate: Callable[[Store], Awaitable[None]],
    embedder: Embedder,
    masks: Masks | None,
    on_phase: Callable[[str, Mapping[str, int]], None] = lambda phase, states: None,
) -> Manifest:
    """Build a dataset in a folder, or go on with the one that was begun there, and return its manifest.

    Args:
        folder: where it is written; it has to be new, empty, or one in which the same plan was begun.
        plan: what the deliberations depend on.
        assembly: how rows are made of them.
        publication: what the card says beside.
        prompts: reads the prompts, or has them written; not called where they have been taken in.
        extend: where the folder was begun with other sources, reads the prompts of those sources of the plan that
            are new, which are added to what is there; None refuses them.
        contents: returns the hashes of what the prompts name for themselves, panels and protocols.
        promise: told once of all prompts before anybody deliberates; it may refuse them.
        deliberate: makes all that is still to be made (see `deliberate_all`).
        embedder: the sentence embeddings that duplicates are told by.
        masks: masks personal data; None leaves it.
        on_phase: told of each phase as it begins (`prompts`, `deliberations`, `rows`, `files`), with how many
            prompts are `todo`, `done` and `failed`.

    Raises:
        ContentError: the folder holds something else, or another build; there is no prompt.
        RunError: the folder cannot be written, another process builds in it, or no row is left.
        ModelError: the model cannot be used.
    """
    _check_folder(folder)
    work = folder / BUILD
    with _held(work) as new, _leaving_nothing(work, new), Store(work) as store:
        plan, further = _begun(store, folder, plan, extends=extend is not None)
        publication = _as_before(store, publication)
        take = partial(
            _take_in,
            store,
            folder=folder,
            plan=plan,
            contents=contents,
            promise=promise,
            embedder=embedder,
            masks=masks,
        )
        if store.fact("taken_in") is None:
            on_phase("prompts", store.states())
            take(await prompts())
        elif store.fact("content") != contents(store):
            raise ContentError(
                f"{folder}: personas or protocols that its prompts name have changed since it was begun; "
                "put them back as they were, or name another folder with --out"
            )
        elif further and extend is not None:
            on_phase("prompts", store.states())
            take(extend(further), extends=True)
        else:
            promise(store)
        _tell_sources(work, plan)
        store.retry_failed()
        on_phase("deliberations", store.states())
        if store.states()["todo"]:
            await deliberate(store)
        spent = _spent(store)
        made = {
            "assembly": assembly.as_dict(),
            "publication": asdict(publication),
            "prompts": store.states(),
            "sources": [each["sha256"] for each in plan.sources],
            "spent": spent,
        }
        is_written = store.fact("written") == json.loads(json.dumps(made))
        if is_written and (standing := _standing(folder)) is not None:
            return standing
        await asyncio.sleep(0)  # what follows does not wait for anything: an earlier Ctrl-C is heard here
        with heard_at_once():
            on_phase("rows", store.states())
            splitter, report = assemble(store, work, assembly, embedder=embedder, masks=masks)
            on_phase("files", store.states())
            store.keep_fact(
                "written", None
            )  # a kill right after the manifest leaves nothing that says otherwise
            report = {"spent": _told(spent, publication.prices), **report}
            store.keep_first_groups(assembly.configs)
            manifest = _written(store, folder, plan, assembly, publication, splitter, report)
            store.keep_fact("written", made)
        return manifest


@contextmanager
def _held(work: Path) -> Iterator[list[Path]]:
    """Hold the folder while it is built in, and yield which folders were made for it.

    Two builds at once would undo each other's work.
    """
    new = [path for path in (work, *work.parents) if not path.exists()]
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{work.parent}: another process is building there; wait for it, or stop it"
        ) from error
    except OSError as error:
        raise RunError(f"{work}: cannot be written: {error.strerror or error}") from error
    try:
        yield new
    finally:
        lock.release()


@contextmanager
def _leaving_nothing(work: Path, new: Sequence[Path]) -> Iterator[None]:
    """Remove the folders that were made where nothing is in them that anything hangs on: a build was refused."""
    try:
        yield
    except ContentError:
        if new and not (work / RESPONSES).exists():  # what was paid for stays
            with Store(work) as store:
                is_begun = store.fact("taken_in") is not None
            if not is_begun:
                shutil.rmtree(work, ignore_errors=True)
                with suppress(OSError):  # somebody put something there
                    for path in new[1:]:
                        path.rmdir()
        raise


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ContentError(f"{folder}: is a file; name a folder with --out")
    there = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    work = folder / BUILD
    # Others have folders of that name too.
    ours = work.is_dir() and (
        (work / "work.sqlite").is_file() or {e.name for e in work.iterdir()} <= {"lock"}
    )
    if not ours and MANIFEST in there:
        raise ContentError(
            f"{folder}: holds a finished dataset, and not what it was made from; name another folder with --out"
        )
    if not ours and there:
        other = sorted(there)[0]
        raise ContentError(f"{folder}: is not empty (it holds {other!r}); name another folder with --out")


def _begun(
    store: Store, folder: Path, plan: Plan, *, extends: bool
) -> tuple[Plan, tuple[Mapping[str, Any], ...]]:
    """Keep the plan, or hold it against the one that is kept; return it with all sources, and those that are new."""
    if store.fact("taken_in") is None:  # nothing hangs on an earlier plan: its prompts were wrong, perhaps
        if extends:
            raise ContentError(
                f"{folder}: there is no dataset to extend; name its folder with --out, or begin one without --extend"
            )
        store.keep_fact("plan", plan.as_dict())
        store.keep_fact("created", datetime.now(UTC).isoformat(timespec="seconds"))
        return plan, ()
    before = store.fact("plan")
    sources = tuple(before["sources"])
    if extends and before["generated"]:
        raise ContentError(
            f"{folder}: its prompts were written (--generate), and to these none can be added; "
            "build the files into another folder with --out"
        )
    known = {source["sha256"] for source in sources}
    further = tuple(
        source for source in numbered_sources(plan.sources, sources) if source["sha256"] not in known
    )
    given = plan.sources
    if extends and (further or plan.column in {before["column"], *(each.get("column") for each in sources)}):
        # The column is of the files: those that are added may have another.
        if plan.column != before["column"]:
            further = tuple({**source, "column": plan.column} for source in further)
        plan = replace(plan, column=before["column"])
    plan = replace(plan, sources=sources)
    if (what := differing(before, plan.as_dict())) is not None:
        raise ContentError(
            f"{folder}: was begun with another {what}; "
            "give the same to go on with it, or name another folder with --out"
        )
    if not extends and (what := _other_files(sources, given)) is not None:
        raise ContentError(f"{folder}: {what}, or name another folder with --out")
    return (replace(plan, sources=(*sources, *further)), further) if extends else (plan, ())


def _standing(folder: Path) -> Manifest | None:
    """Return the manifest of what was written, None where it or one of its files is lost.

    Raises:
        ContentError: a file has another size than it was written with, and is not written over; a card may have.
    """
    try:
        manifest = read_manifest(folder)
    except (ContentError, OSError):
        return None
    is_whole = True
    for entry in manifest.files:
        path = folder / entry.path
        if not path.is_file():
            is_whole = False
        elif entry.path != CARD and path.stat().st_size != entry.bytes:
            raise ContentError(
                f"{path}: is not as it was written; remove it to have it written again, or name another folder "
                "with --out"
            )
    return manifest if is_whole else None


def _other_files(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what sets prompt files apart from those that a build was begun with, None if they are the same."""
    known, given = [{each["sha256"]: each["path"] for each in sources} for sources in (before, now)]
    # Of a file that has grown its earlier states are past.
    last = {each["path"]: each["sha256"] for each in before}
    if new := next((path for digest, path in given.items() if digest not in known), None):
        changed = new in known.values()
        told = f"{new} has changed since" if changed else f"was begun without {new}"
        return f"{told}; give the same files to go on with it, add the prompts of this one with --extend"
    if lost := next((path for path, digest in last.items() if digest not in given), None):
        if lost in given.values():
            return f"{lost} has grown since (--extend), and is now as it was before; put it back, or give --extend"
        return f"was begun with {lost} too; name it as well to go on with it, or give --extend"
    return None


def _tell_sources(work: Path, plan: Plan) -> None:
    """Write down which file is which, for the owner alone."""
    paths = {each["file"]: each["path"] for each in plan.sources}
    if paths:
        write_whole(work / SOURCES, json.dumps(paths, ensure_ascii=False, indent=2) + "\n")


def _take_in(
    store: Store,
    prompts: Iterable[Prompt | Skipped],
    *,
    folder: Path,
    plan: Plan,
    contents: Callable[[Store], Mapping[str, str]],
    promise: Callable[[Store], None],
    embedder: Embedder,
    masks: Masks | None,
    extends: bool = False,
) -> None:
    """Take in all prompts at once or none of them, with the plan that they go by."""
    with heard_at_once(), store.together():
        take_in(
            store,
            prompts,
            embedder=embedder,
            folder=folder / BUILD,
            masks=masks,
            likeness=plan.likeness,
            extends=extends,
        )
        if not sum(store.states().values()):
            raise ContentError(f"{folder}: there is no prompt to deliberate on: {_skipped(store, plan)}")
        promise(store)
        store.keep_fact("plan", plan.as_dict())
        store.keep_fact("content", contents(store))
        store.keep_fact("taken_in", True)


def _skipped(store: Store, plan: Plan) -> str:
    counts = store.counts().get("prompts", {})
    told = ", ".join(f"{each['number']} {kind}" for kind, each in counts.items())
    first = next((each["examples"][0] for each in counts.values() if each["examples"]), "")
    called = sorted(
        plan.sources, key=lambda each: len(each["file"]), reverse=True
    )  # "file 10" before "file 1"
    for each in called:
        if first.startswith(each["file"]):  # who builds is told the file itself
            first = Path(each["path"]).name + first.removeprefix(each["file"])
            break
    return f"every row was left out ({told}), as {first}" if told else "no row was found"


def _spent(store: Store) -> dict[str, int]:
    """Return the calls that were answered for this dataset, and their tokens: here, and on other machines."""
    return Spending(store.path.parent).total()


def _told(spent: Mapping[str, int], prices: tuple[float, float] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "calls": spent["calls"],
        "tokens": {name: spent[name] for name in ("prompt", "completion")},
    }
    if prices is not None:
        told |= {"prices": list(prices), "cost": round(cost_of(spent, prices), 6)}
    return told


def _written(
    store: Store,
    folder: Path,
    plan: Plan,
    assembly: Assembly,
    publication: Publication,
    splitter: Splitter,
    report: Mapping[str, Any],
) -> Manifest:
    """Write everything beside its place, and put it there; the manifest comes last."""
    work = folder / BUILD
    new = work / "out"
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{new}: cannot be made: {error.strerror or error}") from error
    files: list[FileEntry] = []
    for config in assembly.configs:
        counts: dict[str, int] = {}
        for group in store.groups(config):
            split = splitter.split_of(group)
            counts[split] = counts.get(split, 0) + 1
        for split, count in counts.items():
            rows = (c for group, c in store.columns(config) if splitter.split_of(group) == split)
            files += write_split(new, config, split, rows, count, shard_rows=publication.shard_rows)
    told = _report(store, report)
    write_whole(new / "report.json", json.dumps(told, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    told_of = Provenance.of(store.materials())
    found = statistics(new, perspectives=tuple(told_of.perspectives), of="the manifest's list")
    write_whole(new / STATISTICS, json.dumps(found, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    pictures = draw(new, found)
    public = plan.public()
    about = _about(store, plan, assembly, publication, told, told_of)
    write_card(new, about, found, pictures=pictures)
    files += [described(new, path) for path in ("README.md", "report.json", STATISTICS, *pictures)]
    manifest = Manifest(
        multiplex=plan.multiplex,
        created=store.fact("created"),
        options={"plan": public, "assembly": assembly.as_dict(), "publication": asdict(publication)},
        sources=plan.public_sources(),
        files=tuple(files),
        rules=dict(RULES),
        models={
            "names": {speaker: sorted(names) for speaker, names in told_of.models.items()},
            "details": told_of.details,
        },
        perspectives=tuple(told_of.perspectives),
        seeds={"deliberations": plan.recipe.seed, "assembly": assembly.seed},
        masker=public["masker"],
    )
    sealed = write_manifest(new, manifest)
    _put_in_place(new, folder)
    return sealed


def _put_in_place(new: Path, folder: Path) -> None:
    """Move what was written into the folder, in place of what an earlier build wrote: nothing that takes room."""
    try:
        keep_edited_card(folder)
        (folder / MANIFEST).unlink(missing_ok=True)  # until the new one is there this is no dataset
        for name in sorted(_OURS - {BUILD, MANIFEST}):
            there = folder / name
            shutil.rmtree(there) if there.is_dir() else there.unlink(missing_ok=True)
            if (new / name).exists():
                (new / name).rename(there)
        sync_folder(folder)
        (new / MANIFEST).rename(folder / MANIFEST)
        sync_folder(folder)
        shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _report(store: Store, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what became of everything, and nothing that a kill changes."""
    states = store.states()
    told = {
        "prompts": {"deliberated": states["done"], "failed": states["failed"]},
        "failures": [
            {"prompt": prompt, "kind": kind}  # the reason may quote an endpoint
            for prompt, kind, _ in store.failures()
        ],
        "left_out": store.counts(),
        "personal_groups": store.fact("personal_groups") or [],
        **report,
    }
    without = empty(told)
    return {
        **told,
        "configs": [config for config in told["configs"] if config not in without],
        "empty": without,
        "untrained": untrained(told),
    }


def _as_before(store: Store, publication: Publication) -> Publication:
    """Return the publication with what this call does not tell as an earlier one told it, else as it is by default."""
    before = store.fact("publication") or {}
    told: dict[str, Any] = {
        name: before.get(name) if (given := getattr(publication, name)) == unsaid else given
        for name, unsaid in asdict(Publication()).items()
        if name in {"title", "license", "languages", "model_licence"}
    }
    told |= {"title": told["title"] or TITLE, "languages": tuple(told["languages"] or ("en",))}
    store.keep_fact("publication", told)
    return replace(publication, **told)


def _about(
    store: Store,
    plan: Plan,
    assembly: Assembly,
    publication: Publication,
    report: Mapping[str, Any],
    told_of: Provenance,
) -> About:
    public = plan.public()
    return About(
        title=publication.title,
        multiplex=plan.multiplex,
        created=store.fact("created"),
        license=publication.license,
        languages=publication.languages,
        protocol=", ".join(told_of.protocols),
        stages=next(iter(told_of.protocols.values()), ()),
        panel=tuple(told_of.seats.values()),
        generators=tuple(
            Generator(name=name, licence=_EXTRACTIVE if name == "extractive" else publication.model_licence)
            for name in told_of.generators
        ),
        embedding=public["embedding"],
        notice=" ".join(told_of.notices) or None,
        rules=dict(RULES),
        masker=public["masker"],
        report={"left out": _numbers(store.counts()), "near duplicates": report["near_duplicates"]},
        left_out=left_out(report),
        empty=report["empty"],
        covered=covered(report),
        personal=personal(report),
        options={"seed": plan.recipe.seed, **assembly.as_dict(), "configs": report["configs"]},
    )


def _numbers(counts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, int]]:
    return {stage: {kind: each["number"] for kind, each in kinds.items()} for stage, kinds in counts.items()}
