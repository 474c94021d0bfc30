"""A model behind an OpenAI-compatible endpoint: what is sent, what is read, and how it fails."""

import asyncio
import gc
import json
import socket
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.served import Served
from tests.endpoint import Fault, endpoint

CHAT: list[Message] = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What should be done?"},
]
SCHEMA = {
    "title": "Verdict",
    "type": "object",
    "properties": {"verdict": {"enum": ["wiser", "not_wiser"], "type": "string"}},
    "required": ["verdict"],
}


def ask(
    base_url: str,
    *,
    schema: Mapping[str, Any] | None = None,
    sampling: Sampling = Sampling(seed=7),  # noqa: B008 (frozen)
    timeout: float = 5.0,
    retries: int = 0,
) -> Completion:
    async def once() -> Completion:
        model = Served("test-model", base_url=base_url, timeout=timeout, retries=retries)
        try:
            return await model.complete(CHAT, sampling=sampling, schema=schema)
        finally:
            await model.aclose()

    return asyncio.run(once())


def failure(base_url: str, *, timeout: float = 5.0, retries: int = 0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(base_url, timeout=timeout, retries=retries)
    assert "\n" not in str(caught.value)
    return caught.value


def failure_on(response: object, *, content_type: str = "application/json") -> ModelError:
    """Ask a server that answers everything with one body, and return how that failed."""
    body = response if isinstance(response, str) else json.dumps(response)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type=content_type)

    async def once() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model = Served("test-model", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", retries=0)
        try:
            await model.complete(CHAT, sampling=Sampling(seed=7))
        finally:
            await model.aclose()
            await runner.cleanup()

    with pytest.raises(ModelError) as caught:
        asyncio.run(once())
    assert "\n" not in str(caught.value)
    return caught.value


def test_messages_sampling_and_seed_reach_the_server() -> None:
    with endpoint() as server:
        ask(server.base_url, sampling=Sampling(seed=41, temperature=0.2, max_tokens=99, top_p=0.9))
        [request] = server.requests
    assert request == {
        "model": "test-model",
        "messages": CHAT,
        "seed": 41,
        "temperature": 0.2,
        "max_tokens": 99,
        "top_p": 0.9,
    }


def test_the_schema_reaches_the_server_and_shapes_the_answer() -> None:
    with endpoint() as server:
        answer = ask(server.base_url, schema=SCHEMA)
        [request] = server.requests
    assert request["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Verdict", "schema": SCHEMA, "strict": True},
    }
    assert json.loads(answer.text)["verdict"] in {"wiser", "not_wiser"}


def test_the_same_seed_gets_the_same_answer_and_another_seed_another() -> None:
    with endpoint() as server:
        one, again, other = (ask(server.base_url, sampling=Sampling(seed=seed)).text for seed in (1, 1, 2))
    assert one == again != other


def test_token_counts_cached_tokens_and_reasoning_are_read() -> None:
    with endpoint(reasoning="Let me think.") as server:
        answer = ask(server.base_url)
    assert answer.prompt_tokens == 6
    assert answer.cached_tokens == 3
    assert answer.completion_tokens == len(answer.text.split())
    assert answer.reasoning == "Let me think."
    assert answer.finish_reason == "stop"


def test_an_answer_without_reasoning_has_none() -> None:
    with endpoint() as server:
        assert ask(server.base_url).reasoning is None


def test_an_answer_cut_off_at_the_limit_says_so() -> None:
    with endpoint("truncated") as server:
        assert ask(server.base_url).finish_reason == "length"


def test_an_answer_that_breaks_the_schema_is_still_an_answer() -> None:
    with endpoint("schema_breaking") as server:
        assert ask(server.base_url, schema=SCHEMA).text == '{"unexpected": true}'


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("status_500", "status", "answered with status 500: made to fail"),
        ("invalid_json", "invalid_response", "answered with no valid JSON: "),
        ("no_choices", "invalid_response", "answered with JSON that is no chat completion"),
        ("empty", "empty", "answered with no text"),
    ],
)
def test_each_failure_is_a_model_error_of_its_kind_in_one_sentence(
    fault: Fault, kind: str, sentence: str
) -> None:
    with endpoint(fault) as server:
        error = failure(server.base_url)
    assert error.kind == kind
    assert sentence in str(error)


def test_no_answer_in_time_is_a_timeout() -> None:
    with endpoint("timeout") as server:
        error = failure(server.base_url, timeout=0.3)
        assert server.count == 1
    assert (error.kind, str(error)) == ("timeout", "no answer within 0.3 s")


def test_a_port_where_nobody_listens_is_refused() -> None:
    with socket.socket() as taken:  # bound, but not listening, so that nobody else can take it
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = failure(f"http://127.0.0.1:{port}/v1")
    assert error.kind == "refused"
    assert str(error).startswith(f"cannot be reached: Cannot connect to host 127.0.0.1:{port}")


def test_a_server_that_hangs_up_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def hang_up() -> None:
            connection, _ = listening.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        error = failure(f"http://127.0.0.1:{port}/v1")
        thread.join()
    assert error.kind == "refused"
    assert str(error).startswith("cannot be reached: ")


@pytest.mark.parametrize(
    "base_url",
    ["", "http://", "localhost:8000/v1", "http://[::1/v1", "http://127.0.0.1:99999/v1", "ftp://a/v1"],
)
def test_a_base_url_that_is_none_is_refused_before_any_call(base_url: str) -> None:
    with pytest.raises(ContentError) as caught:
        Served("test-model", base_url=base_url)
    wanted = "needs to be an address such as 'http://localhost:8000/v1'"
    assert str(caught.value) == f"base URL {base_url!r}: {wanted}"


@pytest.mark.parametrize("retries", [0, 2])
def test_a_status_500_is_tried_again_as_often_as_asked(retries: int) -> None:
    with endpoint("status_500") as server:
        assert failure(server.base_url, retries=retries).kind == "status"
        assert server.count == 1 + retries
        assert all(request == server.requests[0] for request in server.requests)


@pytest.mark.parametrize(
    "response",
    [
        None,
        [],
        "{}",
        {"choices": {}},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]}}]},
        {"choices": [{"message": {"role": "assistant", "content": 5}}]},
    ],
)
def test_json_that_is_no_chat_completion_is_an_invalid_response(response: object) -> None:
    assert failure_on(response).kind == "invalid_response"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_an_answer_without_text_is_empty(content: str | None) -> None:
    error = failure_on({"choices": [{"message": {"role": "assistant", "content": content}}]})
    assert (error.kind, str(error)) == ("empty", "answered with no text")


def test_a_web_page_is_no_answer_and_is_quoted_briefly() -> None:
    error = failure_on(f"<html>\n<p>{'Sign in. ' * 200}</p></html>", content_type="text/html")
    assert error.kind == "invalid_response"
    assert str(error).startswith("answered with no JSON: '<html> <p>Sign in. ")
    assert len(str(error)) < 250


def test_closing_twice_or_before_the_first_call_is_fine() -> None:
    async def close_and_go_on(base_url: str) -> Completion:
        model = Served("test-model", base_url=base_url)
        await model.aclose()
        await model.complete(CHAT, sampling=Sampling(seed=1))
        await model.aclose()
        await model.aclose()
        try:
            return await model.complete(CHAT, sampling=Sampling(seed=1))
        finally:
            await model.aclose()

    with endpoint() as server:
        assert asyncio.run(close_and_go_on(server.base_url)).text
        assert server.count == 2


def test_the_name_says_that_it_is_served() -> None:
    assert Served("qwen3").name == "openai:qwen3"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the first loop took its connections with it
def test_one_model_serves_one_event_loop_after_another() -> None:
    with endpoint() as server:
        model = Served("test-model", base_url=server.base_url)
        for _ in range(2):
            assert asyncio.run(model.complete(CHAT, sampling=Sampling(seed=1))).text
        asyncio.run(model.aclose())
        assert server.count == 2
        gc.collect()
