"""A model behind an OpenAI-compatible endpoint: what is sent, what is read, and how it fails."""

import asyncio
import gc
import json
import math
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiohttp import web

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, EmptyError, Message, Sampling
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


def against(answer: Callable[[dict[str, Any]], web.Response], *asked: Sampling) -> list[Completion]:
    """Ask one model behind a server that answers so, once for each sampling."""

    async def handle(request: web.Request) -> web.Response:
        return answer(await request.json())

    async def ask_all() -> list[Completion]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model = Served("test-model", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1", retries=0)
        try:
            return [await model.complete(CHAT, sampling=sampling) for sampling in asked]
        finally:
            await model.aclose()
            await runner.cleanup()

    return asyncio.run(ask_all())


def failure_on(response: object, *, content_type: str = "application/json", status: int = 200) -> ModelError:
    """Ask a server that answers everything with one body, and return how that failed."""
    body = response if isinstance(response, str) else json.dumps(response)
    with pytest.raises(ModelError) as caught:
        against(lambda _: web.Response(text=body, content_type=content_type, status=status), Sampling(seed=7))
    assert "\n" not in str(caught.value)
    return caught.value


def chat_completion(
    content: str, *, finish: str = "stop", tokens: Sequence[Mapping[str, float]] = (), **extra: str
) -> dict[str, Any]:
    """Return what a server answers; each position's tokens are given with their logprobs, the one taken first."""
    positions = [
        {"token": next(iter(tops)), "top_logprobs": [{"token": t, "logprob": p} for t, p in tops.items()]}
        for tops in tokens
    ]
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": content, **extra}}
    choice |= {"finish_reason": finish, "logprobs": {"content": positions} if positions else None}
    return {"choices": [choice]}


def answer_on(response: object, *, sampling: Sampling = Sampling(seed=7)) -> Completion:  # noqa: B008 (frozen)
    [answer] = against(lambda _: web.json_response(response), sampling)
    return answer


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
    assert str(error).startswith(f"cannot be reached: Cannot connect to host 127.0.0.1:{port} [")


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
def test_a_status_500_is_tried_again_as_often_as_asked(retries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.models.endpoint._FIRST_PAUSE", 0.01)
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


# Choices.

LETTERS = ("A", "B", "C")
CHOOSING = Sampling(seed=7, choices=LETTERS)


def test_a_choice_is_asked_for_with_its_probabilities_and_without_a_constraint() -> None:
    with endpoint(logprobs={"A": -0.2, " A": -3.0, "B": -2.0, "The": -4.0}) as server:
        answer = ask(server.base_url, sampling=CHOOSING)
        plain = ask(server.base_url)
        first, second = server.requests
    assert (first["logprobs"], first["top_logprobs"]) == (True, 20)
    assert "response_format" not in first
    assert "logprobs" not in second
    assert plain.logprobs is None
    assert answer.text == "A"
    assert answer.logprobs == pytest.approx({"A": math.log(math.exp(-0.2) + math.exp(-3.0)), "B": -2.0})


@pytest.mark.parametrize("content", ["B", " B", "B.", "**B**", "(B)", "B) Because it is kind.", "B: yes"])
def test_an_answer_that_names_a_choice_is_that_choice(content: str) -> None:
    answer = answer_on(chat_completion(content, finish="length"), sampling=CHOOSING)
    assert (answer.text, answer.finish_reason, answer.logprobs) == ("B", "stop", None)


@pytest.mark.parametrize("content", ["A person may ask.", "I would say B", "b"])
def test_an_answer_that_names_none_is_left_as_it_is_where_nothing_is_reported(content: str) -> None:
    assert answer_on(chat_completion(content), sampling=CHOOSING).text == content


def test_an_answer_that_names_none_is_drawn_as_a_constraint_would_have_drawn_it() -> None:
    tops = {"The": -0.1, "B": math.log(0.03), "A": math.log(0.01), "D": -9.0}
    said = chat_completion("The first", tokens=[tops, {" first": 0.0}])
    samplings = [Sampling(seed=seed, temperature=1.0, choices=LETTERS) for seed in range(100)]
    drawn = [answer.text for answer in against(lambda _: web.json_response(said), *samplings)]
    assert drawn[:3] == [answer_on(said, sampling=sampling).text for sampling in samplings[:3]]
    counts = Counter(drawn)
    assert set(counts) == {"A", "B"}
    assert counts["B"] / 100 == pytest.approx(0.75, abs=0.1)
    assert answer_on(said, sampling=Sampling(seed=1, temperature=0.0, choices=LETTERS)).text == "B"


def test_words_are_found_by_their_first_token_and_by_no_token_that_two_share() -> None:
    tops = {" wis": -0.5, "un": -1.0, "uns": -3.0, "\u2581not": -2.0, "wiserly": -0.1, " ": -0.3}
    sampling = Sampling(seed=1, choices=("wiser", "not wiser", "unsure", "unlike"))
    answer = answer_on(chat_completion("wiser", tokens=[tops, {"er": 0.0}]), sampling=sampling)
    assert answer.logprobs == pytest.approx({"wiser": -0.5, "not wiser": -2.0, "unsure": -3.0})


def test_what_was_thought_before_the_answer_is_not_taken_for_it() -> None:
    thought = [
        {"B": -0.1, "A": -2.0},
        {" or": -0.1},
        {" A": -0.1, "B": -5.0},
        {"</think>": 0.0},
        {"\n\n": 0.0},
    ]
    tokens = [*thought, {"A": -0.3, "B": -1.4}, {"<|im_end|>": 0.0}]
    answer = answer_on(chat_completion("A", tokens=tokens, reasoning="B or A"), sampling=CHOOSING)
    assert answer.logprobs == {"A": -0.3, "B": -1.4}
    assert (answer.text, answer.reasoning) == ("A", "B or A")


def test_an_answer_that_was_cut_off_while_thinking_is_no_choice() -> None:
    for content in ("", "<think>"):
        said = chat_completion(content, finish="length", tokens=[{"<think>": -0.01, "A": -9.0}])
        with pytest.raises(ModelError, match=r"^answered with no text"):
            answer_on(said, sampling=CHOOSING)


def test_a_probability_of_nothing_is_left_out_and_none_is_above_one() -> None:
    said = chat_completion("A", tokens=[{"A": 1e-7, "B": -9999.0, "D": -2.0}])
    assert answer_on(said, sampling=CHOOSING).logprobs == {"A": 0.0}
    assert answer_on(chat_completion("A", tokens=[{"D": -0.1}]), sampling=CHOOSING).logprobs is None
    nearly = chat_completion("A", tokens=[{"A": -0.1, "B": -800.0}])
    assert answer_on(nearly, sampling=CHOOSING).logprobs == {"A": -0.1, "B": -800.0}


def test_a_server_that_refuses_to_tell_probabilities_is_asked_once_more_and_never_again() -> None:
    requests: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> web.Response:
        requests.append(request)
        if "logprobs" in request:
            said = "logprobs are not supported with this model"
            return web.json_response({"error": {"message": said}}, status=400)
        return web.json_response(chat_completion("C"))

    assert [a.text for a in against(answer, CHOOSING, CHOOSING)] == ["C", "C"]
    assert ["logprobs" in request for request in requests] == [True, False, False]


# Reasoning.


def test_what_is_thought_in_the_text_itself_is_told_apart() -> None:
    answer = answer_on(chat_completion("<think>\nWho is hurt?\n</think>\n\nNobody."))
    assert (answer.reasoning, answer.text) == ("Who is hurt?", "Nobody.")
    answer = answer_on(chat_completion('<think>Who?</think>{"a": 1}'))
    assert (answer.reasoning, answer.text) == ("Who?", '{"a": 1}')


@pytest.mark.parametrize("content", ['{"a": "</think>"}', ' ["</think>"]', "Plain."])
def test_an_answer_that_thinks_nothing_is_left_whole(content: str) -> None:
    answer = answer_on(chat_completion(content))
    assert (answer.reasoning, answer.text) == (None, content)


def test_reasoning_that_uses_up_the_limit_is_told_so() -> None:
    said = "answered with no text: reasoning used up the limit of 1024 tokens"
    in_the_text = failure_on(chat_completion("<think>Who is", finish="length"))
    apart = failure_on(chat_completion("", finish="length", reasoning_content="Who is"))
    for error in (in_the_text, apart):
        assert (error.kind, str(error)) == ("empty", said)
        assert isinstance(error, EmptyError)
        assert error.completion.reasoning == "Who is"
    alone = failure_on(chat_completion("", reasoning="Who?"))
    assert str(alone) == "answered with no text: reasoning alone"
    assert str(failure_on(chat_completion(""))) == "answered with no text"


# What servers refuse.

TOO_LONG = (
    (
        400,
        "This model's maximum context length is 8192 tokens. However, your prompt contains 9000 input tokens.",
    ),
    (400, "The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
    (400, "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it"),
    (500, "Context size has been exceeded."),
    (400, "prompt is too long: 210000 tokens > 200000 maximum"),
)


@pytest.mark.parametrize(("status", "said"), TOO_LONG)
def test_a_prompt_that_is_too_long_says_what_to_shorten(status: int, said: str) -> None:
    error = failure_on({"error": {"message": said, "code": status}}, status=status)
    assert error.kind == "too_long"
    assert str(error) == (
        f"the prompt is too long for the model as it is served ({said.rstrip('.')}): use fewer rounds, "
        "a smaller panel or a scenario with a shorter context, or serve it with a longer context"
    )


def test_any_other_bad_request_is_not_too_long() -> None:
    error = failure_on({"error": {"message": "max_tokens must be at least 1"}}, status=400)
    assert (error.kind, str(error)) == ("status", "answered with status 400: max_tokens must be at least 1")


def test_a_model_that_is_not_served_names_those_that_are() -> None:
    async def once(base_url: str) -> None:
        model = Served("tset-model", base_url=base_url)
        try:
            await model.complete(CHAT, sampling=Sampling(seed=7))
        finally:
            await model.aclose()

    with endpoint("unknown_model") as server, pytest.raises(ModelError) as caught:
        asyncio.run(once(server.base_url))
    assert caught.value.kind == "status"
    assert str(caught.value) == "serves no model 'tset-model'; did you mean 'test-model'?"


def test_an_address_that_is_not_there_is_a_status() -> None:
    with endpoint() as server:
        error = failure(server.base_url.removesuffix("/v1"))
        elsewhere = failure(f"{server.base_url}/v1")
    said = "answered with status 404: 404: Not Found"
    assert (error.kind, str(error)) == ("status", f"{said}; its base URL often ends in /v1")
    assert str(elsewhere) == said


# Connections.


def test_hundreds_of_calls_are_in_flight_at_once() -> None:
    async def ask_many(base_url: str) -> None:
        model = Served("test-model", base_url=base_url, timeout=30)
        try:
            await asyncio.gather(*(model.complete(CHAT, sampling=Sampling(seed=n)) for n in range(250)))
        finally:
            await model.aclose()

    with endpoint(latency=0.5) as server:
        asyncio.run(ask_many(server.base_url))
        assert server.most_at_once == 250


def test_a_closed_model_leaves_nothing_open() -> None:
    program = (
        "import asyncio, gc, sys; from multiplex.models.base import Sampling; from multiplex import Served\n"
        "async def ask():\n"
        "    model = Served('test-model', base_url=sys.argv[1])\n"
        "    chat = [{'role': 'user', 'content': 'Hello.'}]\n"
        "    asked = (model.complete(chat, sampling=Sampling(n)) for n in range(9))\n"
        "    print(len(await asyncio.gather(*asked))); await model.aclose()\n"
        "asyncio.run(ask()); gc.collect()"
    )
    with endpoint() as server:
        command = [sys.executable, "-W", "error", "-c", program, server.base_url]
        done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("9\n", "")
