"""The models of a command, by name: each opened once, behind one bound on calls and one response cache."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from multiplex.errors import ContentError, near_miss
from multiplex.models.base import Model
from multiplex.models.cached import Cached, ResponseStore
from multiplex.models.endpoint import without_user
from multiplex.models.given import Given
from multiplex.models.limited import Limited

if TYPE_CHECKING:
    from multiplex.models.engine import Engine

__all__ = ["ModelPool"]

_AT_ONCE = {"openai": 32, "vllm": 512}
"""The most calls in flight, by kind: many servers queue badly; vLLM in this process schedules by itself."""


class ModelPool:
    """Open models by name, and close them all.

    Args:
        base_url: the endpoint of served models; or endpoints by model name, with or without `openai:` in
            front, '' standing for all others.
        api_key: the key of served models.
        timeout: seconds that one call to a served model may take.
        retries: how often a failed call to a served model is tried again.
        concurrency: the most calls in flight at once, over all models; None leaves it to the kind of
            model: 32 for a served one, 512 for an engine in this process.
        engine: options of an engine in this process, by vLLM's own names.
        store: where completions are kept; None keeps none.
    """

    def __init__(
        self,
        *,
        base_url: str | Mapping[str, str] | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        retries: int = 2,
        concurrency: int | None = None,
        engine: Mapping[str, Any] | None = None,
        store: ResponseStore | None = None,
    ) -> None:
        if concurrency is not None and concurrency < 1:
            raise ContentError(f"concurrency: needs to be at least 1, not {concurrency}")
        if not timeout > 0:  # 0 would be no bound at all
            raise ContentError(f"timeout: needs to be more than 0 seconds, not {timeout}")
        if retries < 0:
            raise ContentError(f"retries: needs to be 0 or more, not {retries}")
        urls = {"": base_url} if isinstance(base_url, str) else base_url or {}
        self._urls = {name.removeprefix("openai:"): url for name, url in urls.items()}
        self._api_key = api_key
        self._timeout = timeout
        self._retries = retries
        self._concurrency = concurrency
        self._turnstiles = self._bounds()
        self._engine = dict(engine or {})
        self._store = store
        self._opened: dict[str, Model] = {}
        self._engines: dict[str, Engine] = {}
        self._revisions: dict[str, Callable[[], str]] = {}

    def named(self, name: str) -> Model | None:
        """Return the model of that name, None for `extractive`, which needs none.

        Raises:
            ContentError: the name is of no known kind.
        """
        if name == "extractive":
            return None
        if name not in self._opened:
            kind, _, rest = name.partition(":")
            model, revision = self._open(name, kind, rest)
            self._revisions[name] = revision
            limited = Limited(model, concurrency=self._turnstiles[kind])
            self._opened[name] = Cached(limited, self._store, revision=revision) if self._store else limited
        return self._opened[name]

    def given(self, model: Model) -> Model:
        """Return a model of the caller's own behind the pool's bound; it is neither cached nor closed.

        Raises:
            ContentError: it is no model.
        """
        complete, name = getattr(model, "complete", None), getattr(model, "name", None)
        if isinstance(model, type) or not callable(complete) or not isinstance(name, str):
            what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
            raise ContentError(
                f"model: {what} is no model: give a name such as 'openai:NAME', or an object with a `name` and the "
                "method `complete`; a chat model of LangChain is wrapped, as multiplex.models.langchain.LangChain(chat)"
            )
        kind = "vllm" if model.name.startswith("vllm:") else "openai"
        return Limited(Given(model), concurrency=self._turnstiles[kind])

    def details(self, names: Iterable[str]) -> dict[str, str]:
        """Return, for those of these models that are ours, what the name does not tell: where, or which state of it.

        What stands before an @ in an address, which may be a password, is left out.
        """
        known = {name: self._revisions[name]() for name in names if name in self._revisions}
        return {name: without_user(detail) for name, detail in known.items()}

    def at_once(self, name: str) -> int:
        """Return the most calls that may be in flight to a model of that name."""
        return self._concurrency or _AT_ONCE.get(name.partition(":")[0], _AT_ONCE["openai"])

    async def start(self, names: Iterable[str]) -> None:
        """Start the engines among these models, which takes a while; what will not start is told before any act.

        Raises:
            ContentError, ModelError: an engine does not start.
        """
        for name in dict.fromkeys(names):
            self.named(name)
            if name in self._engines:
                await self._engines[name].start()

    async def aclose(self) -> None:
        """Close every model that was opened."""
        opened, self._opened, self._engines = self._opened, {}, {}
        self._turnstiles = self._bounds()  # those of this event loop; the next use may be in another
        for model in opened.values():
            await model.aclose()
        if self._store is not None:
            self._store.close()

    def _bounds(self) -> dict[str, asyncio.Semaphore]:
        shared = None if self._concurrency is None else asyncio.Semaphore(self._concurrency)
        return {kind: shared or asyncio.Semaphore(most) for kind, most in _AT_ONCE.items()}

    def _open(self, name: str, kind: str, rest: str) -> tuple[Model, Callable[[], str]]:
        if kind in _AT_ONCE and not rest:
            raise ContentError(f"the model {name!r} has no name; write {kind}:NAME")
        if kind == "openai":
            from multiplex.models.served import Served

            url = self._urls.get(rest, self._urls.get(""))
            served = Served(
                rest, base_url=url, api_key=self._api_key, timeout=self._timeout, retries=self._retries
            )
            return served, lambda: served.endpoint
        if kind == "vllm":
            from multiplex.models.engine import Engine

            engine = self._engines[name] = Engine(rest, options=self._engine)
            return engine, lambda: engine.revision
        known = ["extractive", *(f"{kind}:{rest}" for kind in _AT_ONCE if rest)]
        raise ContentError(
            f"no model named {name!r}; {near_miss(name, known)}; a served model is written openai:NAME, "
            "one in this process vllm:NAME"
        )
