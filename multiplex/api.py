"""The Python API: a question or a scenario in, a `Run` out."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from multiplex.acts import Responder
from multiplex.content.files import explain
from multiplex.content.panels import seat
from multiplex.content.personas import Persona
from multiplex.content.protocols import Protocol, load_protocol
from multiplex.content.roles import load_roles
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.events import Event
from multiplex.deliberation.run import check_panel, conduct
from multiplex.deliberation.scores import read_moral_graph
from multiplex.embedding import Embedder, SentenceEmbedder
from multiplex.errors import ContentError
from multiplex.models.base import Model
from multiplex.moral_graph.formats import to_graphml
from multiplex.responders.choose import model_named, responder_for
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.runs import Run, check_writable, save_run

__all__ = ["adeliberate", "deliberate"]


async def adeliberate(
    question: str | Scenario,
    *,
    personas: str | Path | Sequence[str | Path | Persona] | None = None,
    protocol: str | Path | Protocol | None = None,
    model: str | Model | Responder = "extractive",
    seed: int | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 120.0,
    retries: int = 2,
    concurrency: int = 32,
    embedder: Embedder | None = None,
    out: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Run:
    """Deliberate on a question or a scenario.

    Args:
        question: a question in words, or a `Scenario`.
        personas: a pack, or a list of persona names, files and personas; else the scenario's.
        protocol: a protocol, its name or its file; else the scenario's.
        model: `extractive`, `openai:NAME`, a `Model`, or a `Responder` of your own.
        seed: an integer from 0; else the scenario's, else 0.
        base_url: the endpoint of a served model; else the `openai` client's own default.
        api_key: the key of a served model, if it needs one.
        timeout: seconds that one call may take.
        retries: how often the client tries a failed call again.
        concurrency: the most model calls in flight at once.
        embedder: the sentence embeddings; else all-MiniLM-L6-v2.
        out: a folder to write the run's own folder into; nothing is written without it.
        on_event: called with every event as it happens.

    Raises:
        ContentError: something that was given is wrong.
        NoQuorumError: too few of the panel answered.
        RunError: `out` cannot be written.
        ModelError: the embedding model cannot be loaded.
    """
    scenario = _asked(question) if isinstance(question, str) else question
    chosen = scenario.protocol if protocol is None else protocol
    compiled = chosen if isinstance(chosen, Protocol) else load_protocol(chosen)
    panel = seat(scenario.personas if personas is None else personas)
    check_panel(compiled, panel)
    if out is not None:
        check_writable(Path(out))
    embedder = embedder or SentenceEmbedder()
    opened = None
    if isinstance(model, str):
        opened = model_named(model, base_url=base_url, api_key=api_key, timeout=timeout, retries=retries)
        responder: Responder = responder_for(opened, panel, embedder, concurrency=concurrency)
    elif hasattr(model, "perform"):
        responder = cast("Responder", model)
    else:
        responder = responder_for(model, panel, embedder, concurrency=concurrency)
    names = [*(persona.name for persona in panel.personas), "moderator", "observer"]
    extractive = isinstance(responder, ExtractiveResponder)
    roles = {} if extractive else {f"agents/{a}/{n}.md": r.sha256 for (a, n), r in load_roles().items()}
    try:
        run = await conduct(
            scenario,
            panel,
            compiled,
            dict.fromkeys(names, responder),
            seed=_seed(seed, scenario),
            embedder=embedder,
            on_event=on_event,
            hashes=roles,
            notice=ExtractiveResponder.notice if extractive else None,
        )
    finally:
        if opened is not None:
            await opened.aclose()
    if out is None:
        return run
    from multiplex.report.markdown import report

    extra = {"report.md": report(run)}
    if run.moral_graph is not None:
        extra["moral_graph.graphml"] = to_graphml(read_moral_graph(run.moral_graph))
    return save_run(run, Path(out), extra=extra)


def deliberate(
    question: str | Scenario,
    *,
    personas: str | Path | Sequence[str | Path | Persona] | None = None,
    protocol: str | Path | Protocol | None = None,
    model: str | Model | Responder = "extractive",
    seed: int | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 120.0,
    retries: int = 2,
    concurrency: int = 32,
    embedder: Embedder | None = None,
    out: str | Path | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Run:
    """Do what `adeliberate` does, from code that is not asynchronous; same arguments, same errors."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise ContentError(
            "deliberate() cannot be called while an event loop runs; use 'await adeliberate(...)'"
        )
    return asyncio.run(
        adeliberate(
            question,
            personas=personas,
            protocol=protocol,
            model=model,
            seed=seed,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            retries=retries,
            concurrency=concurrency,
            embedder=embedder,
            out=out,
            on_event=on_event,
        )
    )


def _asked(question: str) -> Scenario:
    try:
        return Scenario.model_validate({"name": "question", "question": question})
    except ValidationError as error:
        raise ContentError(explain(error, Scenario)) from error


def _seed(seed: int | None, scenario: Scenario) -> int:
    if seed is None:
        return scenario.seed or 0
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ContentError(f"seed: needs to be an integer from 0 to 2**63 - 1, not {seed!r}")
    return seed
