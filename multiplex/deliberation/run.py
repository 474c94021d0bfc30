"""Run one deliberation: compile, stream, read the answers off, score, and hand back a `Run`."""

import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from multiplex.acts import Responder
from multiplex.background import in_background
from multiplex.content.panels import Panel
from multiplex.content.passages import neutral_sentences
from multiplex.content.personas import Pack
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.accounts import accounts
from multiplex.deliberation.answers import answers_of
from multiplex.deliberation.build import build, recursion_limit
from multiplex.deliberation.checkpoints import kept_in
from multiplex.deliberation.events import Event
from multiplex.deliberation.record import Record
from multiplex.deliberation.scores import classifier_for, judgements_of, moral_graph_of, scores_of
from multiplex.deliberation.state import Context, Plain
from multiplex.embedding import Embedder
from multiplex.errors import ContentError
from multiplex.runs import Run, new_run_name

__all__ = ["check_panel", "conduct"]

_PACKAGES = (
    "multiplex-deliberation",
    "langgraph",
    "pydantic",
    "networkx",
    "sentence-transformers",
    "aiohttp",
)


def check_panel(protocol: Protocol, panel: Panel) -> None:
    """Raise ContentError if the protocol needs more personas than are seated."""
    seated = len(panel.personas)
    if seated < protocol.minimum_panel:
        raise ContentError(
            f"the protocol {protocol.name!r} needs a panel of {protocol.minimum_panel} or more, and {seated} "
            f"{'is' if seated == 1 else 'are'} seated; seat another persona, or choose another protocol"
        )


async def conduct(
    scenario: Scenario,
    panel: Panel,
    protocol: Protocol,
    responders: Mapping[str, Responder],
    *,
    seed: int,
    embedder: Embedder,
    run: str | None = None,
    created: str | None = None,
    checkpoints: Path | None = None,
    scores: bool = True,
    on_event: Callable[[Event], None] | None = None,
    hashes: Mapping[str, str] | None = None,
    model_details: Mapping[str, Any] | None = None,
    notice: str | None = None,
) -> Run:
    """Conduct a deliberation, or what is left of it, and return what it left behind; no run folder is written.

    Args:
        scenario: what is deliberated on.
        panel: who deliberates, and the pack that texts are scored against.
        protocol: the stages.
        responders: who answers, by persona name, `moderator` and `observer`.
        seed: every act's seed is derived from it and from the act's place.
        embedder: the sentence embeddings that texts are scored with.
        run: the run's name; a new one by default.
        created: when the run began, as ISO 8601; now by default.
        checkpoints: an SQLite file to keep LangGraph's checkpoints and all acts in; a run that is found in it
            goes on from where it was cut off. None keeps nothing.
        scores: whether to score the texts, which takes embeddings; else `scores` stays empty.
        on_event: called with every event as it happens.
        hashes: sha256 of further content that took part, by name.
        model_details: what tells one state of each model from another, by its name.
        notice: a sentence that goes with every answer.

    Raises:
        ContentError: the panel is too small for the protocol.
        NoQuorumError: too few of the panel answered a stage.
        RunError: what is kept cannot be written, or is damaged.
    """
    check_panel(protocol, panel)
    context = Context(
        scenario=scenario,
        panel=panel,
        seed=seed,
        responders=responders,
        embed=embedder.embed,
    )
    clock = time.perf_counter()
    run = run or new_run_name(scenario.name)
    created = created or datetime.now(UTC).isoformat(timespec="seconds")
    state = await _deliberated(protocol, context, run, checkpoints, on_event)
    answers = answers_of(state, context, protocol, notice=notice)
    graph, published = moral_graph_of(state)
    scored: Plain = {}
    if scores:
        record = Record.read(
            state.get("results", []),
            speakers=context.speakers,
            options=[option.key for option in scenario.options],
            seed=seed,
            judgements=judgements_of(state),
            perspectives={persona.name: persona.perspective for persona in panel.personas},
        )
        classifier = await in_background(classifier_for, panel.pack, embedder)
        scored = await in_background(
            scores_of, record, answers, graph, embed=embedder.embed, classifier=classifier
        )
    model = " + ".join(dict.fromkeys(responders[name].name for name in sorted(responders)))
    names = tuple(persona.name for persona in panel.personas)
    usage = accounts(state.get("results", []), time.perf_counter() - clock)
    written = {id(persona): persona.model_dump_json() for persona in panel.personas}
    manifest = {
        "format": 1,
        "run": run,
        "created": created,
        "scenario": scenario.name,
        "protocol": protocol.name,
        "model": model,
        "models": {name: responder.name for name, responder in sorted(responders.items())},
        "model_details": dict(model_details or {}),
        "seed": seed,
        "personas": list(names),
        "scored": scores,
        "usage": usage,
        "simulated": "Personas are simulations written from published sources, and no substitute for asking people.",
        "embedding": embedder.name,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "content": {
            "scenario": scenario.model_dump(mode="json", exclude_none=True, exclude={"personas"}),
            "protocol": {
                "name": protocol.name,
                "quorum": protocol.quorum,
                "stages": [{stage.name: stage.model_dump(mode="json")} for stage in protocol.stages],
            },
            "pack": panel.pack.name,
            "perspectives": list(panel.pack.perspectives),
            "labels": {persona.name: persona.label for persona in panel.personas},
            "speak_for": {persona.name: persona.perspective for persona in panel.personas},
        },
        "sha256": {
            "scenario": _sha256(scenario.model_dump_json()),
            "protocol": _sha256(protocol.model_dump_json()),
            **{f"personas/{p.name}": _sha256(written[id(p)]) for p in panel.personas},
            "pack": _pack_sha256(panel.pack, written),
            "neutral": _sha256("\n".join(neutral_sentences())),
            **panel.hashes,
            **(hashes or {}),
        },
    }
    return Run(
        run=run,
        path=None,
        scenario=scenario.name,
        protocol=protocol.name,
        model=model,
        seed=seed,
        personas=names,
        answers=answers,
        moral_graph=published,
        scores=scored,
        usage=usage,
        manifest=manifest,
        transcript=tuple(state.get("results", [])),
    )


async def _deliberated(
    protocol: Protocol,
    context: Context,
    run: str,
    checkpoints: Path | None,
    on_event: Callable[[Event], None] | None,
) -> Plain:
    """Return the state of the graph at its end."""
    with kept_in(checkpoints) if checkpoints else nullcontext((None, None)) as (saver, acts):
        graph: Any = build(protocol, checkpointer=saver)
        config: Any = {"recursion_limit": recursion_limit(protocol), "configurable": {"thread_id": run}}
        begun = saver is not None and saver.get_tuple(config) is not None
        stream = graph.astream(
            None if begun else {},
            config,
            context=replace(context, acts=acts),
            stream_mode=["values"] if on_event is None else ["custom", "values"],  # whoever listens pays
            durability=None if saver is None else "async",
        )
        state: Plain = {}
        async with aclosing(stream):
            async for mode, chunk in stream:
                if mode == "values":
                    state = chunk
                elif on_event is not None:
                    on_event(chunk)
        if begun:  # one that was cut off after its last step streams nothing more
            state = (await graph.aget_state(config)).values
    return state


def _pack_sha256(pack: Pack, written: Mapping[int, str]) -> str:
    """Return a pack's hash; one that has no files, as of seated personas (who are `written`), is hashed as JSON."""
    if pack.hashes:
        return pack.sha256
    return _sha256("\n".join(written.get(id(p)) or p.model_dump_json() for p in pack.personas))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
