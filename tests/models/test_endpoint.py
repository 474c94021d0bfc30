"""Asking over HTTP: what is tried again and when, what is bounded, and what goes over the wire."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from multiplex.errors import ContentError, ModelError
from multiplex.models.endpoint import Endpoint, RefusedError

Answer = Callable[[int, web.Request], web.Response]


def serve(answer: Answer, ask: Callable[[str], Awaitable[Any]]) -> Any:
    """Ask a server that answers so; the answer is told how often it was asked before."""
    count = 0

    async def handle(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        await request.read()
        return answer(count - 1, request)

    async def run() -> Any:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            return await ask(f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def posted(
    answer: Answer, body: dict[str, Any] | None = None, *, retries: int = 2, key: str | None = None
) -> Any:
    async def ask(root: str) -> Any:
        endpoint = Endpoint(f"{root}/v1/", api_key=key, timeout=5, retries=retries)
        try:
            return await endpoint.post("/ask", body or {})
        finally:
            await endpoint.aclose()

    return serve(answer, ask)


def statuses(*given: int, headers: dict[str, str] | None = None) -> tuple[Answer, list[int]]:
    """Return what answers with one status after another, and the statuses that it answered with."""
    answered: list[int] = []

    def answer(number: int, _: web.Request) -> web.Response:
        answered.append(given[number])
        return web.json_response({"number": number}, status=given[number], headers=headers)

    return answer, answered


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let nothing be waited for, and return how long the pauses would have been."""
    asked: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        if seconds:
            asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", at_once)
    return asked


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
def test_what_may_pass_is_tried_again(status: int, pauses: list[float]) -> None:
    answer, _ = statuses(status, status, 200)
    assert posted(answer) == {"number": 2}
    assert len(pauses) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    answer, answered = statuses(status, 200)
    with pytest.raises(RefusedError) as caught:
        posted(answer)
    assert (caught.value.status, answered) == (status, [status])


def test_pauses_double_up_to_a_bound(pauses: list[float]) -> None:
    answer, _ = statuses(*[500] * 6, 200)
    assert posted(answer, retries=6) == {"number": 6}
    for pause, most in zip(pauses, (0.5, 1, 2, 4, 8, 8), strict=True):
        assert 0.75 * most <= pause <= most


def test_an_endpoint_may_ask_for_a_pause_of_its_own(pauses: list[float]) -> None:
    posted(statuses(429, 200, headers={"Retry-After": "37"})[0])
    posted(statuses(429, 200, headers={"Retry-After": "3600"})[0])
    assert pauses == [37, 60]


@pytest.mark.parametrize("told", ["Fri, 31 Dec 1999 23:59:59 GMT", "-1", "nan"])
def test_a_pause_that_makes_no_sense_here_is_not_kept(told: str, pauses: list[float]) -> None:
    posted(statuses(429, 200, headers={"Retry-After": told})[0])
    assert len(pauses) == 1
    assert pauses[0] <= 0.5


def test_an_answer_that_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.models.endpoint._LARGEST", 2**20)
    with pytest.raises(ModelError, match=r"^answered with more than 1 MiB$") as caught:
        posted(lambda *_: web.json_response("a" * 2**21))
    assert caught.value.kind == "invalid_response"


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000])
def test_json_that_is_cut_off_or_too_deep_is_an_invalid_response(text: str) -> None:
    with pytest.raises(ModelError, match=r"^answered with no valid JSON: ") as caught:
        posted(lambda *_: web.Response(text=text))
    assert caught.value.kind == "invalid_response"


def test_the_key_and_every_character_that_can_be_sent_reach_the_endpoint() -> None:
    seen: list[tuple[str | None, str]] = []

    def answer(_: int, request: web.Request) -> web.Response:
        raw = request._read_bytes or b""
        seen.append((request.headers.get("Authorization"), raw.decode()))
        return web.json_response({})

    posted(answer, {"text": "näive \ud800 文"}, key="secret")
    posted(answer, {"text": "x"})
    assert seen == [("Bearer secret", '{"text":"näive ? 文"}'), (None, '{"text":"x"}')]


def test_the_proxy_of_the_environment_is_used_unless_the_host_is_excepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(root: str) -> list[Any]:
        monkeypatch.setenv("http_proxy", root)
        answers = []
        for excepted in ("", "127.0.0.1"):
            monkeypatch.setenv("no_proxy", excepted)
            for base_url in ("http://model.invalid/v1", f"{root}/v1"):
                endpoint = Endpoint(base_url, api_key=None, timeout=5, retries=0)
                answers.append(await endpoint.post("/ask", {}))
                await endpoint.aclose()
        return answers

    answers = serve(lambda _, request: web.json_response(request.raw_path), ask)
    through = [answer.startswith("http://") for answer in answers]
    assert through == [True, True, True, False]


def test_an_answer_that_breaks_off_is_tried_again(pauses: list[float]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        length = 2 if len(asked) == 3 else 200
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{}" % length)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run() -> Any:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        endpoint = Endpoint(root, api_key=None, timeout=5, retries=2)
        async with server:
            try:
                return await endpoint.post("/ask", {})
            finally:
                await endpoint.aclose()

    asked: list[bytes] = []
    assert asyncio.run(run()) == {}
    assert len(asked) == 3


def test_a_proxy_without_a_scheme_is_an_http_proxy_and_one_of_another_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(root: str) -> Any:
        monkeypatch.setenv("http_proxy", root.removeprefix("http://"))
        monkeypatch.setenv("no_proxy", "")
        endpoint = Endpoint("http://model.invalid/v1", api_key=None, timeout=5, retries=0)
        try:
            return await endpoint.post("/ask", {})
        finally:
            await endpoint.aclose()

    assert serve(lambda _, request: web.json_response(request.raw_path), ask).startswith(
        "http://model.invalid"
    )
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ContentError, match="needs to be an HTTP proxy"):
        Endpoint("http://model.invalid/v1", api_key=None, timeout=5, retries=0)


def test_a_user_in_the_address_beside_a_key_is_refused_and_without_one_it_is_taken() -> None:
    with pytest.raises(
        ContentError, match="the base URL names a user, and there is an API key as well"
    ) as caught:
        Endpoint("http://me:sesame@model.invalid/v1", api_key="sk-secret", timeout=5, retries=0)
    assert "sesame" not in str(caught.value)
    Endpoint("http://me:sesame@model.invalid/v1", api_key=None, timeout=5, retries=0)


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-\r\nX-Admin: 1", "\x00"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ContentError, match=r"^the API key: holds a line break or another") as caught:
        Endpoint("http://model.invalid/v1", api_key=key, timeout=5, retries=0)
    assert "sk-" not in str(caught.value)
