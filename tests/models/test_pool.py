"""The models of a command: each opened once, behind one bound and one cache."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, Message, Model, Sampling
from multiplex.models.cached import ResponseStore
from multiplex.models.pool import ModelPool
from tests.endpoint import Endpoint, endpoint


def opened(pool: ModelPool, name: str) -> Model:
    model = pool.named(name)
    assert model is not None
    return model


async def ask(model: Model, *seeds: int) -> list[Completion]:
    said: list[Message] = [{"role": "user", "content": "Who may use the well?"}]
    calls = (model.complete(said, sampling=Sampling(seed=seed, max_tokens=50)) for seed in seeds)
    return list(await asyncio.gather(*calls))


def asked(server: Endpoint, *names: str, seeds: int = 3, **options: Any) -> list[list[Completion]]:
    async def run() -> list[list[Completion]]:
        pool = ModelPool(base_url=server.base_url, **options)
        try:
            return list(
                await asyncio.gather(*(ask(opened(pool, f"openai:{name}"), *range(seeds)) for name in names))
            )
        finally:
            await pool.aclose()

    return asyncio.run(run())


class Own:
    """A model of the caller's own."""

    name = "own"

    def __init__(self) -> None:
        self.now = self.most = self.calls = 0
        self.closed = False

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Wait a moment, then agree."""
        self.now += 1
        self.calls += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        return Completion(text="Yes.")

    async def aclose(self) -> None:
        """Note that it was closed."""
        self.closed = True


def test_a_model_is_opened_once_and_extractive_needs_none() -> None:
    pool = ModelPool()
    assert pool.named("extractive") is None
    assert pool.named("openai:a") is pool.named("openai:a")
    assert pool.named("openai:a") is not pool.named("openai:b")
    assert opened(pool, "openai:a").name == "openai:a"


def test_one_bound_holds_over_all_models() -> None:
    with endpoint(latency=0.02) as server:
        asked(server, "a", "b", "c", seeds=5, concurrency=4)
        assert server.count == 15
        assert server.most_at_once == 4


def test_without_a_bound_every_model_has_its_kinds() -> None:
    with endpoint(latency=0.3) as server:
        asked(server, "a", seeds=40)
        assert server.most_at_once == 32
    assert ModelPool().at_once("openai:a") == 32
    assert ModelPool().at_once("vllm:a") == 512
    assert ModelPool(concurrency=3).at_once("vllm:a") == 3


def test_every_model_has_the_endpoint_that_is_named_for_it() -> None:
    async def run() -> None:
        pool = ModelPool(base_url={"org/a": one.base_url, "": other.base_url})
        for name in ("org/a", "b", "c"):
            await ask(opened(pool, f"openai:{name}"), 1)
        await pool.aclose()

    with endpoint() as one, endpoint() as other:
        asyncio.run(run())
        assert [body["model"] for body in one.requests] == ["org/a"]
        assert [body["model"] for body in other.requests] == ["b", "c"]


def test_answers_are_kept_by_model_and_endpoint(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    with endpoint() as one, endpoint() as other:
        [first] = asked(one, "a", store=ResponseStore(path))
        [again] = asked(one, "a", store=ResponseStore(path))
        assert one.count == 3
        assert [(c.text, c.recalled) for c in again] == [(c.text, True) for c in first]
        asked(one, "b", store=ResponseStore(path))
        assert one.count == 6
        asked(other, "a", store=ResponseStore(path))
        assert other.count == 3


def test_what_is_recalled_takes_no_place(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    with endpoint() as server:
        asked(server, "a", seeds=2, store=ResponseStore(path))

        async def run() -> list[Completion]:
            pool = ModelPool(base_url=server.base_url, concurrency=1, store=ResponseStore(path))
            try:
                model = opened(pool, "openai:a")
                slow = asyncio.ensure_future(ask(model, 99))
                quick = await asyncio.wait_for(ask(model, 0, 1), timeout=10)
                await slow
                return quick
            finally:
                await pool.aclose()

        assert all(completion.recalled for completion in asyncio.run(run()))


def test_a_model_of_the_callers_own_is_bounded_and_neither_cached_nor_closed(tmp_path: Path) -> None:
    own = Own()

    async def run() -> None:
        pool = ModelPool(concurrency=2, store=ResponseStore(tmp_path / "kept.sqlite"))
        for _ in range(2):
            await ask(pool.given(own), *range(6))
        await pool.aclose()

    asyncio.run(run())
    assert (own.calls, own.most, own.closed) == (12, 2, False)


WRONG: list[dict[str, Any]] = [{"text": None}, {"prompt_tokens": None}, {"completion_tokens": "7"}]


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (ConnectionResetError("peer"), "refused", "ConnectionResetError: peer"),
        (TimeoutError(), "timeout", "TimeoutError"),
        (KeyError("choices"), "failed", "KeyError: 'choices'"),
        ("Yes.", "invalid_response", "returned a str and no Completion"),
        *(
            (
                Completion(**{"text": "Yes.", **wrong}),
                "invalid_response",
                "returned a Completion whose text is no text, or whose tokens are no whole numbers",
            )
            for wrong in WRONG
        ),
    ],
)
def test_what_a_model_of_the_callers_own_raises_or_returns_fails_that_call(
    said: Any, kind: str, message: str
) -> None:
    class Careless(Own):
        async def complete(self, *_: Any, **__: Any) -> Any:
            if isinstance(said, Exception):
                raise said
            return said

    with pytest.raises(ModelError) as caught:
        asyncio.run(ask(ModelPool().given(Careless()), 1))
    assert (caught.value.kind, str(caught.value)) == (kind, message)


def test_a_pool_that_was_closed_opens_anew() -> None:
    async def run() -> None:
        pool = ModelPool(base_url=server.base_url)
        for seed in (1, 2):
            await ask(opened(pool, "openai:a"), seed)
            await pool.aclose()
        await pool.aclose()

    with endpoint() as server:
        asyncio.run(run())
        assert server.count == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "no model named ''; "),
        ("extractve", "no model named 'extractve'; did you mean 'extractive'?"),
        ("opnai:x", "no model named 'opnai:x'; "),
        ("openai", "the model 'openai' has no name; write openai:NAME"),
        ("openai:", "the model 'openai:' has no name; write openai:NAME"),
        ("vllm:", "the model 'vllm:' has no name; write vllm:NAME"),
    ],
)
def test_a_name_of_no_known_kind_is_refused(name: str, said: str) -> None:
    with pytest.raises(ContentError) as caught:
        ModelPool().named(name)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", ["opnai:x", "OpenAI:x", "vlm:x"])
def test_a_misspelt_kind_names_the_near_miss(name: str) -> None:
    with pytest.raises(ContentError, match=r"did you mean '(openai|vllm):x'") as caught:
        ModelPool().named(name)
    assert "extractive'" not in str(caught.value).split(";")[1]


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_an_engine_without_vllm_says_what_to_do() -> None:
    with pytest.raises(ContentError, match=r"pip install 'multiplex-deliberation\[vllm\]'"):
        ModelPool().named("vllm:some/model")
    assert ModelPool(engine={"dtype": "half"}).named("extractive") is None


@pytest.mark.parametrize("concurrency", [0, -1])
def test_a_bound_below_one_is_refused(concurrency: int) -> None:
    with pytest.raises(ContentError, match=f"^concurrency: needs to be at least 1, not {concurrency}$"):
        ModelPool(concurrency=concurrency)


@pytest.mark.parametrize("user", ["me:sesame", "me:ses@me", "me@here"])
def test_what_is_recorded_of_a_model_is_where_it_is_without_a_password(user: str) -> None:
    pool = ModelPool(base_url={"": f"http://{user}@127.0.0.1:9/v1", "b": "http://127.0.0.1:8/v1"})
    for name in ("openai:a", "openai:b"):
        pool.named(name)
    assert pool.details(["openai:a", "extractive"]) == {"openai:a": "http://127.0.0.1:9/v1"}


def test_an_endpoint_may_be_named_by_the_models_whole_name() -> None:
    pool = ModelPool(base_url={"": "http://a.invalid/v1", "openai:small": "http://b.invalid/v1"})
    opened(pool, "openai:small")
    assert pool.details(["openai:small"]) == {"openai:small": "http://b.invalid/v1"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "timeout: needs to be more than 0 seconds, not 0"),
        ({"timeout": float("nan")}, "timeout: needs to be more than 0 seconds, not nan"),
        ({"retries": -1}, "retries: needs to be 0 or more, not -1"),
    ],
)
def test_bounds_that_are_none_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ContentError) as caught:
        ModelPool(**options)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (FakeListChatModel(responses=[]), "FakeListChatModel"),
        (Own, "the class Own"),
        (5, "int"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_do(given: Any, what: str) -> None:
    with pytest.raises(ContentError, match=rf"^model: {what} is no model: .*\.LangChain\(chat\)$"):
        ModelPool().given(given)
