"""Run one deliberation: compile, stream, read the answers off, score, and hand back a `Run`."""

import asyncio
import hashlib
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from multiplex.acts import Responder
from multiplex.content.panels import Panel
from multiplex.content.passages import neutral_sentences
from multiplex.content.personas import Pack
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.answers import answers_of
from multiplex.deliberation.build import build, recursion_limit
from multiplex.deliberation.events import Event
from multiplex.deliberation.scores import classifier_for, moral_graph_of, scores_of
from multiplex.deliberation.state import Context, Plain
from multiplex.embedding import Embedder
from multiplex.errors import ContentError
from multiplex.runs import Run, new_run_name

__all__ = ["check_panel", "conduct"]

_PACKAGES = ("multiplex-deliberation", "langgraph", "pydantic", "networkx", "sentence-transformers", "openai")


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
    on_event: Callable[[Event], None] | None = None,
    hashes: Mapping[str, str] | None = None,
    notice: str | None = None,
) -> Run:
    """Conduct a deliberation and return what it left behind; nothing is written.

    Args:
        scenario: what is deliberated on.
        panel: who deliberates, and the pack that texts are scored against.
        protocol: the stages.
        responders: who answers, by persona name, `moderator` and `observer`.
        seed: every act's seed is derived from it and from the act's place.
        embedder: the sentence embeddings that texts are scored with.
        on_event: called with every event as it happens.
        hashes: sha256 of further content that took part, by name.
        notice: a sentence that goes with every answer.

    Raises:
        ContentError: the panel is too small for the protocol.
        NoQuorumError: too few of the panel answered a stage.
    """
    check_panel(protocol, panel)
    context = Context(scenario=scenario, panel=panel, seed=seed, responders=responders)
    started, clock = datetime.now(UTC), time.perf_counter()
    state: Plain = {}
    chunk: Any
    stream: Any = build(protocol).astream(
        {},
        {"recursion_limit": recursion_limit(protocol)},
        context=context,
        stream_mode=["custom", "values"],
    )
    async with aclosing(stream):
        async for mode, chunk in stream:
            if mode == "values":
                state = chunk
            elif on_event is not None:
                on_event(chunk)
    # Ctrl-C cancels this task, which is noticed where it waits; what follows computes and would not wait.
    await asyncio.sleep(0)
    answers = answers_of(state, context, protocol, notice=notice)
    graph, published = moral_graph_of(state)
    classifier = classifier_for(panel, embedder)
    scores = scores_of(state, context, answers, graph, embed=embedder.embed, classifier=classifier)
    await asyncio.sleep(0)
    model = " + ".join(dict.fromkeys(responders[name].name for name in sorted(responders)))
    names = tuple(persona.name for persona in panel.personas)
    run = new_run_name(scenario.name)
    usage = _usage(state.get("results", []), time.perf_counter() - clock)
    manifest = {
        "format": 1,
        "run": run,
        "created": started.isoformat(timespec="seconds"),
        "scenario": scenario.name,
        "protocol": protocol.name,
        "model": model,
        "seed": seed,
        "personas": list(names),
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
        },
        "sha256": {
            "scenario": _sha256(scenario.model_dump_json()),
            "protocol": _sha256(protocol.model_dump_json()),
            **{f"personas/{p.name}": _sha256(p.model_dump_json()) for p in panel.personas},
            "pack": _pack_sha256(panel.pack),
            "neutral": _sha256("\n".join(neutral_sentences())),
            **panel.hashes,
            **(hashes or {}),
        },
    }
    await asyncio.sleep(0)
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
        scores=scores,
        usage=usage,
        manifest=manifest,
        transcript=tuple(state.get("results", [])),
    )


def _usage(results: list[Plain], seconds: float) -> Plain:
    """Return the accounts of a run, whole and by stage; a stage's seconds are summed over its acts."""

    def account(of: list[Plain]) -> Plain:
        keys = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens")
        return {
            "acts": len(of),
            "failures": sum(result["failure"] is not None for result in of),
            **{key: sum(result["usage"][key] for result in of) for key in keys},
        }

    stages = dict.fromkeys(result["step"].split(".")[0] for result in results)
    by_stage: Plain = {}
    for stage in stages:
        of = [result for result in results if result["step"].split(".")[0] == stage]
        by_stage[stage] = {**account(of), "seconds": round(sum(r["usage"]["seconds"] for r in of), 3)}
    whole: Plain = account(results)
    tokens = {key.removesuffix("_tokens"): whole.pop(key) for key in list(whole) if key.endswith("_tokens")}
    peak = {"peak_mb": _peak_mb()}
    return {**whole, "tokens": tokens, "seconds": round(seconds, 3), **peak, "by_stage": by_stage}


def _peak_mb() -> float | None:
    """Return this process's peak memory so far in MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _pack_sha256(pack: Pack) -> str:
    """Return a pack's hash; one that was made of the seated personas has no files."""
    return pack.sha256 if pack.hashes else _sha256("\n".join(p.model_dump_json() for p in pack.personas))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
