"""The Python API: a question or a scenario in, a `Run` out; a `Session` for many with the same model."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from multiplex.acts import Responder
from multiplex.content.panels import Panel, seat
from multiplex.content.personas import Persona
from multiplex.content.protocols import Protocol, load_protocol
from multiplex.content.roles import load_roles
from multiplex.content.scenarios import Scenario, scenario_of
from multiplex.deliberation.checkpoints import kept_in
from multiplex.deliberation.events import Event
from multiplex.deliberation.run import check_panel, conduct
from multiplex.deliberation.scores import read_moral_graph
from multiplex.embedding import Embedder, SentenceEmbedder
from multiplex.errors import ContentError, NoQuorumError, RunError, near_miss
from multiplex.models.base import Model
from multiplex.models.cached import ResponseStore
from multiplex.models.pool import ModelPool
from multiplex.moral_graph.formats import to_graphml
from multiplex.responders.choose import Cast
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.runs import Run, check_writable, load_run, new_run_name, save_run
from multiplex.unfinished import Request, Unfinished

__all__ = ["Options", "Session", "adeliberate", "deliberate", "resume"]

Personas = Panel | str | Path | Sequence[str | Path | Persona]
Watch = Callable[[Event], None]

_USELESS = frozenset({"invalid_reply", "empty", "nothing_left", "nothing_new"})
"""The kinds of failure that are replies: under the same seed they come again."""


class Options(TypedDict, total=False):
    """What a `Session` takes."""

    model: str | Model | Responder
    base_url: str | Mapping[str, str] | None
    api_key: str | None
    timeout: float
    retries: int
    concurrency: int | None
    cache: bool | str | Path
    engine: Mapping[str, Any] | None
    embedder: Embedder | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that one deliberation starts from."""

    scenario: Scenario
    panel: Panel
    protocol: Protocol
    responders: Mapping[str, Responder]
    seed: int
    scores: bool
    run: str
    created: str


class Session:
    """One model, one bound on calls in flight and one cache, for as many deliberations as you like.

    Use it as `async with Session(model="vllm:NAME") as session`; deliberations may run at the same
    time, and an engine is started once for all of them.

    Args:
        model: `extractive`, `openai:NAME`, `vllm:NAME`, a `Model`, or a `Responder` of your own. It
            speaks for everyone for whom neither the scenario nor the persona's file names another.
        base_url: the endpoint of served models, else `OPENAI_BASE_URL`, else OpenAI's own; or endpoints
            by model name, '' standing for all others.
        api_key: the key of served models, if they need one.
        timeout: seconds that one call to a served model may take.
        retries: how often the client tries a failed call again.
        concurrency: the most model calls in flight at once, over all deliberations; by default 32
            for a served model and 512 for an engine in this process.
        cache: whether completions are kept and recalled, or the SQLite file to keep them in. A
            `Model` object is never cached: wrap it in `Cached` if you want it to be.
        engine: options of `vllm:NAME`, by vLLM's own names, as in `{"tensor_parallel_size": 2}`.
        embedder: the sentence embeddings; else all-MiniLM-L6-v2.

    Raises:
        ContentError: something that was given is wrong.
    """

    def __init__(
        self,
        *,
        model: str | Model | Responder = "extractive",
        base_url: str | Mapping[str, str] | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        retries: int = 2,
        concurrency: int | None = None,
        cache: bool | str | Path = True,
        engine: Mapping[str, Any] | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        if isinstance(cache, str):
            cache = Path(cache)
        self._model = model
        self._base_url = {"": base_url} if isinstance(base_url, str) else dict(base_url or {})
        self._engine = dict(engine or {})
        self._kept = {
            "base_url": self._base_url,
            "engine": {name: value for name, value in self._engine.items() if name != "hf_token"},
            "timeout": timeout,
            "retries": retries,
            "concurrency": concurrency,
            "cache": cache.absolute() if isinstance(cache, Path) else cache,
        }
        self._embedder = embedder or SentenceEmbedder()
        # A file that was named may be shared with other processes, which are then waited for.
        kept = ResponseStore(cache, patience=30.0) if isinstance(cache, Path) else ResponseStore()
        self._store = None if cache is False else kept
        self._pool = ModelPool(
            base_url=self._base_url,
            api_key=api_key,
            timeout=timeout,
            retries=retries,
            concurrency=concurrency,
            engine=engine,
            store=self._store,
        )
        self._cast = Cast(model, self._pool, self._embedder)
        if isinstance(model, str):
            self._pool.named(model)

    @property
    def cache_problem(self) -> str | None:
        """Return why answers are not kept, None where they are or were not to be."""
        return self._store.problem if self._store is not None else None

    @property
    def model(self) -> str:
        """Return the name of the model that speaks for all who have none of their own."""
        return self._model if isinstance(self._model, str) else self._model.name

    def at_once(self, models: Iterable[str]) -> int:
        """Return how many deliberations at once are of use, where these models speak: as many as calls in flight.

        Without a language model everything computes in one thread, and it is one.
        """
        return max((self._pool.at_once(name) for name in models if name != "extractive"), default=1)

    def check(self, scenario: Scenario, panel: Panel) -> None:
        """Raise ContentError where a model that speaks for somebody cannot: before anything is asked."""
        self._cast.responders(scenario, panel)

    def responders(self, scenario: Scenario, panel: Panel) -> dict[str, Responder]:
        """Return who answers for whom: by persona's name, `moderator` and `observer`; ContentError as `check`."""
        return self._cast.responders(scenario, panel)

    async def __aenter__(self) -> Self:
        """Return the session; models are opened when they are first asked."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        await self.aclose()

    async def start(self) -> None:
        """Start the session's model now rather than with the first deliberation; an engine takes a while.

        Raises:
            ContentError, ModelError: it does not start.
        """
        if isinstance(self._model, str):
            await self._pool.start([self._model])

    async def aclose(self) -> None:
        """Close models, an engine among them, and the cache; what is asked next opens them anew."""
        self._cast.forget()
        await self._pool.aclose()

    async def deliberate(
        self,
        question: str | Scenario,
        *,
        personas: Personas | None = None,
        protocol: str | Path | Protocol | None = None,
        seed: int | None = None,
        scores: bool = True,
        out: str | Path | None = None,
        on_begin: Callable[[str], None] | None = None,
        on_event: Watch | None = None,
    ) -> Run:
        """Deliberate on a question or a scenario.

        Args:
            question: a question in words, or a `Scenario`.
            personas: a pack, a list of persona names, files and personas, or a panel; else the scenario's.
            protocol: a protocol, its name or its file; else the scenario's.
            seed: an integer from 0; else the scenario's, else 0.
            scores: whether to score the texts; without, no embedding model is needed for them, and
                the run's `scores` are empty.
            out: a folder to write the run's own folder into, and meanwhile what it takes to resume
                it; no run is written without it.
            on_begin: called with the run's name as it begins.
            on_event: called with every event as it happens.

        Raises:
            ContentError: something that was given is wrong.
            NoQuorumError: too few of the panel answered. With `out` and any answer at all, the run can be
                resumed where calls did not get through, and asks again for what failed; where it was the
                replies that did not fit, nothing is left to resume.
            RunError: `out` cannot be written.
            ModelError: the embedding model cannot be loaded, or an engine does not start.
        """
        plan = self._plan(question, personas, protocol, seed, scores)
        if out is not None:
            check_writable(Path(out))  # before an engine is loaded for it
        await self._start(plan)
        if out is None:
            if on_begin is not None:
                on_begin(plan.run)
            return await self._conduct(plan, on_event)
        unfinished = Unfinished(Path(out), plan.run)
        unfinished.begin(self._request(plan))
        if on_begin is not None:
            on_begin(plan.run)
        with unfinished.held():
            return await self._finish(unfinished, plan, on_event)

    async def resume(self, folder: str | Path, *, on_event: Watch | None = None) -> Run:
        """Go on with a run that was cut off, from where it was; `folder` is where it would have been written.

        Raises:
            RunError: there is no such run, it is being run by another process, or the roles or the
                version that it began with have changed.
            ContentError, NoQuorumError, ModelError: as `deliberate`.
        """
        folder = Path(folder)
        unfinished = Unfinished(folder.parent, folder.name)
        request = unfinished.request()
        if request.version != _version():
            raise RunError(
                f"{folder}: began with Multiplex {request.version}, and this is {_version()}; resume it with that, "
                "or start it again"
            )
        if request.roles != _role_hashes():
            raise RunError(f"{folder}: began with other roles than those that are here; start it again")
        if self.model != request.model:
            raise RunError(
                f"{folder}: began with the model {request.model!r}, not {self.model!r}; give that one"
            )
        compares = any("compare" in stage for stage in request.protocol["stages"])
        if (request.scores or compares) and self._embedder.name != request.embedding:
            raise RunError(
                f"{folder}: began with the embeddings {request.embedding!r}, not {self._embedder.name!r}; give those"
            )
        with unfinished.held():
            if self._kept != {name: getattr(request, name) for name in self._kept}:
                unfinished.write(request.model_copy(update=self._kept))
            if (folder / "run.json").is_file():  # cut off between its end and the clearing away
                unfinished.discard()
                return load_run(folder)
            panel = request.panel
            plan = _Plan(
                scenario=request.scenario,
                panel=panel,
                protocol=request.stages,
                responders=self._cast.responders(request.scenario, panel),
                seed=request.seed,
                scores=request.scores,
                run=request.run,
                created=request.created,
            )
            await self._start(plan)
            return await self._finish(unfinished, plan, on_event)

    def _plan(
        self,
        question: str | Scenario,
        personas: Personas | None,
        protocol: str | Path | Protocol | None,
        seed: int | None,
        scores: bool,
    ) -> _Plan:
        scenario = question if isinstance(question, Scenario) else scenario_of(question)
        chosen = scenario.protocol if protocol is None else protocol
        compiled = chosen if isinstance(chosen, Protocol) else load_protocol(chosen)
        chosen_panel = scenario.personas if personas is None else personas
        panel = chosen_panel if isinstance(chosen_panel, Panel) else seat(chosen_panel)
        check_panel(compiled, panel)
        return _Plan(
            scenario=scenario,
            panel=panel,
            protocol=compiled,
            responders=self._cast.responders(scenario, panel),
            seed=_seed(seed, scenario),
            scores=scores,
            run=new_run_name(scenario.name),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    async def _start(self, plan: _Plan) -> None:
        names = self._cast.model_names(plan.scenario, plan.panel).values()
        await self._pool.start(name for name in names if name)

    def _request(self, plan: _Plan) -> Request:
        return Request.of(
            scenario=plan.scenario,
            panel=plan.panel,
            protocol=plan.protocol,
            roles=_role_hashes(),
            run=plan.run,
            created=plan.created,
            model=self.model,
            embedding=self._embedder.name,
            seed=plan.seed,
            scores=plan.scores,
            version=_version(),
            **self._kept,
        )

    async def _finish(self, unfinished: Unfinished, plan: _Plan, on_event: Watch | None) -> Run:
        try:
            run = await self._conduct(plan, on_event, checkpoints=unfinished.checkpoints)
        except NoQuorumError as error:
            with kept_in(unfinished.checkpoints) as (_, acts):
                results = list(acts)
            kinds = _failures(results, len(plan.panel.personas))
            if kinds and kinds <= _USELESS:
                unfinished.discard()
                kept = (
                    "its answers stay in the response cache"
                    if self._caches
                    else "nothing of this run is kept"
                )
                raise NoQuorumError(
                    f"{error}; the model does not manage this act under this seed: start again with another seed "
                    f"or another model ({kept})"
                ) from error
            if unfinished.starts == 1 and all(result["reply"] is None for result in results):
                unfinished.discard()
                raise
            # Failures on record would fail again: what is resumed begins anew, and the cache has what was answered.
            unfinished.rewind()
            if self._caches:
                raise
            raise NoQuorumError(
                f"{error}; without the response cache nothing that was answered is kept: resuming asks for it all again"
            ) from error
        run = run.model_copy(update={"manifest": {**run.manifest, "resumed": unfinished.starts - 1}})
        saved = _save(run, unfinished.target.parent)
        unfinished.discard()
        return saved

    @property
    def _caches(self) -> bool:
        return self._store is not None and self.cache_problem is None and isinstance(self._model, str)

    async def _conduct(self, plan: _Plan, on_event: Watch | None, checkpoints: Path | None = None) -> Run:
        silent = all(isinstance(responder, ExtractiveResponder) for responder in plan.responders.values())
        return await conduct(
            plan.scenario,
            plan.panel,
            plan.protocol,
            plan.responders,
            seed=plan.seed,
            embedder=self._embedder,
            run=plan.run,
            created=plan.created,
            checkpoints=checkpoints,
            scores=plan.scores,
            on_event=on_event,
            hashes={} if silent else _role_hashes(),
            model_details=self._pool.details(responder.name for responder in plan.responders.values()),
            notice=ExtractiveResponder.notice if silent else None,
        )


async def adeliberate(
    question: str | Scenario,
    *,
    personas: Personas | None = None,
    protocol: str | Path | Protocol | None = None,
    seed: int | None = None,
    scores: bool = True,
    out: str | Path | None = None,
    on_event: Watch | None = None,
    **options: Unpack[Options],
) -> Run:
    """Do what `deliberate` does, where an event loop runs: the same arguments, the same errors."""
    _check_options("adeliberate", adeliberate, options)
    async with Session(**options) as session:
        return await session.deliberate(
            question,
            personas=personas,
            protocol=protocol,
            seed=seed,
            scores=scores,
            out=out,
            on_event=on_event,
        )


def deliberate(
    question: str | Scenario,
    *,
    personas: Personas | None = None,
    protocol: str | Path | Protocol | None = None,
    seed: int | None = None,
    scores: bool = True,
    out: str | Path | None = None,
    on_event: Watch | None = None,
    **options: Unpack[Options],
) -> Run:
    """Deliberate once, in a `Session` of its own; where an event loop runs, `await adeliberate(...)`.

    Args:
        question: a question in words, or a `Scenario` as `load_scenario` returns it.
        personas: a pack, a list of persona names, files and personas, or a panel; else the scenario's.
        protocol: a protocol, its name or its file; else the scenario's.
        seed: an integer from 0; else the scenario's, else 0.
        scores: whether to score the texts.
        out: a folder to write the run's own folder into; no run is written without it.
        on_event: called with every event as it happens.
        options: those of `Session`: `model`, `base_url`, `api_key`, `timeout`, `retries`, `concurrency`,
            `cache`, `engine` and `embedder`.

    Raises:
        ContentError, NoQuorumError, RunError, ModelError: as `Session.deliberate`.
    """
    _check_no_loop("deliberate", "adeliberate")
    _check_options("deliberate", deliberate, options)
    return asyncio.run(
        adeliberate(
            question,
            personas=personas,
            protocol=protocol,
            seed=seed,
            scores=scores,
            out=out,
            on_event=on_event,
            **options,
        )
    )


def resume(folder: str | Path, *, on_event: Watch | None = None, **options: Unpack[Options]) -> Run:
    """Go on with a run that was cut off, with the options that it began with unless `options` name others.

    Raises:
        RunError, ContentError, NoQuorumError, ModelError: as `Session.resume`.
    """
    _check_no_loop("resume", "Session.resume")
    _check_options("resume", resume, options)
    folder = Path(folder)
    request = Unfinished(folder.parent, folder.name).request()
    kept: Options = {
        "model": request.model,
        "base_url": request.base_url,
        "engine": request.engine,
        "timeout": request.timeout,
        "retries": request.retries,
        "concurrency": request.concurrency,
        "cache": request.cache,
    }
    given: Options = {**kept, **options}

    async def go_on() -> Run:
        async with Session(**given) as session:
            return await session.resume(folder, on_event=on_event)

    return asyncio.run(go_on())


def _check_no_loop(name: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ContentError(f"{name}() cannot be called while an event loop runs; use 'await {instead}(...)'")


def _check_options(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise TypeError for an option that there is not, in the name of the function that was called."""
    known = [*(function.__kwdefaults__ or {}), *Options.__annotations__]
    for option in options:
        if option not in known:
            hint = near_miss(option, known)
            raise TypeError(f"{name}() got an unexpected keyword argument {option!r}; {hint}")


def _failures(results: Sequence[Mapping[str, Any]], panel: int) -> set[str]:
    """Return the kinds of failure that left too few: the last step's if all could be asked in it, else any before."""
    last = [r for r in results if (r["step"], r["round"]) == (results[-1]["step"], results[-1]["round"])]
    everyone = len({result["speaker"] for result in last}) >= panel
    return {result["failure"]["kind"] for result in (last if everyone else results) if result["failure"]}


def _save(run: Run, out: Path) -> Run:
    from multiplex.report.markdown import report

    extra = {"report.md": report(run)}
    if run.moral_graph is not None:
        extra["moral_graph.graphml"] = to_graphml(read_moral_graph(run.moral_graph))
    return save_run(run, out, extra=extra)


def _role_hashes() -> dict[str, str]:
    return {f"agents/{agent}/{name}.md": role.sha256 for (agent, name), role in load_roles().items()}


@cache
def _version() -> str:
    try:
        return version("multiplex-deliberation")
    except PackageNotFoundError:
        return "not installed"


def _seed(seed: int | None, scenario: Scenario) -> int:
    if seed is None:
        return scenario.seed or 0
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ContentError(f"seed: needs to be an integer from 0 to 2**63 - 1, not {seed!r}")
    return seed
