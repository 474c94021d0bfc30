"""An OpenAI-compatible server for tests: on loopback, in a thread of its own, with faults on demand.

Good answers are made from the request's JSON schema and its seed, with enough care for what the
fields mean that most of them pass an act's own checks. Nothing here imports Multiplex, so that
command-line runs in a subprocess can talk to it too.
"""

import asyncio
import hashlib
import json
import math
import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from aiohttp import web

__all__ = ["Endpoint", "Fault", "endpoint"]

Fault = Literal[
    "none",
    "status_500",
    "timeout",
    "invalid_json",
    "no_choices",
    "schema_breaking",
    "empty",
    "truncated",
    "too_long",
    "unknown_model",
]


@dataclass
class Endpoint:
    """A running server: where it is, and what it has been asked."""

    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def count(self) -> int:
        """Return how many completions were asked for, retries included."""
        return len(self.requests)


@contextmanager
def endpoint(
    fault: Fault = "none",
    *,
    every: int = 1,
    latency: float = 0.0,
    reasoning: str | None = None,
    logprobs: Mapping[str, float] | None = None,
) -> Iterator[Endpoint]:
    """Serve completions for the length of a `with` block.

    A request for log-probabilities is answered with the likeliest token of `logprobs`, and with all of them;
    where none are given, with those of the letters that begin a line of the prompt, drawn by the seed.

    The fault strikes each request whose messages and seed hash to a multiple of `every`: about one
    in `every` distinct requests, and the same ones however often a client tries again.
    """
    if fault not in get_args(Fault):
        raise ValueError(f"no fault named {fault!r}")
    server = Endpoint()
    service = _Service(
        server, fault=fault, every=every, latency=latency, reasoning=reasoning, logprobs=logprobs
    )
    thread = threading.Thread(target=service.run, name="endpoint", daemon=True)
    thread.start()
    if not service.ready.wait(timeout=10):
        raise RuntimeError("the test server did not start")
    try:
        yield server
    finally:
        service.stop()
        thread.join(timeout=10)


class _Service:
    def __init__(
        self,
        server: Endpoint,
        *,
        fault: Fault,
        every: int,
        latency: float,
        reasoning: str | None,
        logprobs: Mapping[str, float] | None,
    ) -> None:
        self.ready = threading.Event()
        self._server = server
        self._fault = fault
        self._every = every
        self._latency = latency
        self._reasoning = reasoning
        self._logprobs = logprobs

    def run(self) -> None:
        asyncio.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self._server.base_url = f"http://{host}:{port}/v1"
        self.ready.set()
        await self._stopped.wait()
        await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "test-model", "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._server.requests.append(body)
        self._server.at_once += 1
        self._server.most_at_once = max(self._server.most_at_once, self._server.at_once)
        try:
            if self._latency:
                await asyncio.sleep(self._latency)
            return await self._answer(body)
        finally:
            self._server.at_once -= 1

    async def _answer(self, body: dict[str, Any]) -> web.Response:
        fault = self._fault if _hash(body) % self._every == 0 else "none"
        if fault == "timeout":
            await self._stopped.wait()
        if fault in {"status_500", "timeout"}:
            error = {"error": {"message": "made to fail", "type": "server_error"}}
            return web.json_response(error, status=500, headers={"retry-after-ms": "1"})
        if fault == "too_long":
            said = (
                "This model's maximum context length is 4096 tokens. However, your prompt contains 5000 input "
                "tokens, which exceeds this limit even without any output tokens. Please reduce the length of "
                "the input prompt."
            )
            return web.json_response({"error": {"message": said, "code": 400}}, status=400)
        if fault == "unknown_model":
            said = f"The model `{body['model']}` does not exist."
            return web.json_response({"error": {"message": said, "code": 404}}, status=404)
        if fault == "invalid_json":
            return web.Response(text='{"choices": [', content_type="application/json")
        text, finish = _Author(body).write(), "stop"
        if fault == "schema_breaking":
            text = '{"unexpected": true}'
        elif fault == "empty":
            text = ""
        elif fault == "truncated":
            text, finish = text[: len(text) // 2], "length"
        if told := (self._logprobs or _Author(body).letters()) if body.get("logprobs") else None:
            text = max(told, key=lambda token: told[token])
        response = _completion(body, text, finish, self._reasoning)
        if told:
            tops = [{"token": token, "logprob": value} for token, value in told.items()]
            first = {"token": text, "logprob": told[text], "top_logprobs": tops[: body["top_logprobs"]]}
            response["choices"][0]["logprobs"] = {"content": [first]}
        if fault == "no_choices":
            response["choices"] = []
        return web.json_response(response)


def _hash(body: Mapping[str, Any]) -> int:
    text = json.dumps([body["messages"], body.get("seed")], sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _completion(body: Mapping[str, Any], text: str, finish: str, reasoning: str | None) -> dict[str, Any]:
    asked = sum(len(message["content"].split()) for message in body["messages"])
    message = {"role": "assistant", "content": text}
    if reasoning is not None:
        message["reasoning"] = reasoning
    return {
        "id": f"chatcmpl-{_hash(body):x}",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": len(text.split()),
            "total_tokens": asked + len(text.split()),
            "prompt_tokens_details": {"cached_tokens": asked // 2},
        },
    }


_POINTS_ELSEWHERE = ("option", "to", "perspective", "persona")
"""Fields that name something; where the schema does not say what there is, there is nothing to name."""

_WHO = (
    "A neighbour",
    "The family",
    "A teacher",
    "The village",
    "A good doctor",
    "Whoever decides",
    "A child",
)
_DOES = (
    "may ask for",
    "should be given",
    "has reason to expect",
    "can learn to offer",
    "needs before anything",
)
_WHAT = ("an honest hearing", "time to think", "help that is not counted", "a plain answer", "room to change")
_WHEN = ("when much is at stake", "even where rules are silent", "while trust is thin", "if nobody else will")
_KINDS = ("MOMENTS", "PEOPLE", "PROMISES", "SILENCES", "HABITS", "PLACES", "WORDS", "DEBTS", "CHANCES")
_QUALIFIERS = (
    "that are easily overlooked in a hurry",
    "where someone is waiting to be asked",
    "that bind those who come later",
    "in which care is shown without show",
    "that nobody would miss until too late",
)
_HOW = ("Patient", "Open", "Faithful", "Shared", "Quiet", "Honest", "Steady", "Tender", "Frank", "Lasting")
_VALUE = (
    "care",
    "trust",
    "courage",
    "kinship",
    "welcome",
    "repair",
    "attention",
    "duty",
    "freedom",
    "measure",
)
_CONTEXT = ("at home", "among strangers", "before the law", "in hard times", "across generations", "at work")


class _Author:
    """Writes one reply: the schema says what, the seed says which, the prompt says about what."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._random = random.Random(f"reply {body.get('seed')}")  # noqa: S311 (no secret)
        wanted = body.get("response_format") or {}
        self._schema: dict[str, Any] | None = (wanted.get("json_schema") or {}).get("schema")
        self._definitions: dict[str, Any] = (self._schema or {}).get("$defs", {})
        self._prompt = "\n".join(message["content"] for message in body["messages"])

    def write(self) -> str:
        if self._schema is None:
            return self._prose(20, 600)
        return json.dumps(self._value(self._schema, ""), ensure_ascii=False)

    def letters(self) -> dict[str, float]:
        """Return the logarithm of a probability for each letter that the prompt offers."""
        offered = dict.fromkeys(re.findall(r"^([A-Z]): ", self._prompt, re.MULTILINE))
        weights = {letter: self._random.random() for letter in offered}
        return {letter: math.log(weight / sum(weights.values())) for letter, weight in weights.items()}

    def _value(self, schema: Mapping[str, Any], name: str) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        if "anyOf" in schema:
            return self._one_of(schema["anyOf"], name)
        kind = schema.get("type", "object")
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema, name)
        if kind == "string":
            return self._string(schema, name)
        if kind == "boolean":
            return self._random.random() < 0.3
        if kind == "integer":
            return self._random.randint(max(1, schema.get("minimum", 1)), schema.get("maximum", 100))
        if kind == "number":
            return self._random.uniform(schema.get("minimum", 0.0), schema.get("maximum", 1.0))
        return None

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix("#/$defs/")]
        return schema

    def _one_of(self, branches: Sequence[Mapping[str, Any]], name: str) -> Any:
        some = [branch for branch in branches if branch.get("type") != "null"]
        if not some or (len(some) < len(branches) and self._random.random() < 0.25):
            return None
        return self._value(self._random.choice(some), name)

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._value(part, name) for name, part in schema.get("properties", {}).items()}

    def _array(self, schema: Mapping[str, Any], name: str) -> list[Any]:
        items = self._resolved(schema["items"])
        if name == "order":
            return self._order()
        if name in {"groups", "dissent"}:
            return []
        if name == "references":
            return self._references(items)
        fields = items.get("properties", {})
        if any("enum" not in fields[key] for key in _POINTS_ELSEWHERE if key in fields):
            return []
        fewest, most = schema.get("minItems", 0), schema.get("maxItems", 4)
        count = self._random.randint(fewest, min(most, max(fewest, 3)))
        if "enum" in items:
            return self._random.sample(items["enum"], min(count, len(items["enum"])))
        if name == "policies":
            nouns = self._random.sample(_KINDS, min(count, len(_KINDS)))
            return [f"{noun} {self._random.choice(_QUALIFIERS)}" for noun in nouns]
        return [self._value(items, name) for _ in range(count)]

    def _order(self) -> list[int]:
        numbers = sorted({int(number) for number in re.findall(r"<statement (\d+)>", self._prompt)}) or [1]
        self._random.shuffle(numbers)
        return numbers

    def _references(self, items: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Copy sentences of the text that is asked about, each ascribed to a perspective."""
        quoted = re.findall(r"<text>\s*(.*?)\s*</text>", self._prompt, re.DOTALL)
        sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", quoted[-1])] if quoted else []
        spans = [sentence[:380].strip() for sentence in sentences if sentence.strip()]
        if "enum" not in items["properties"]["perspective"]:
            return []
        chosen = self._random.sample(spans, min(len(spans), 5))
        return [{**self._object(items), "span": span} for span in chosen]

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 400)
        if name == "title":
            words = (self._random.choice(_HOW), self._random.choice(_VALUE), self._random.choice(_CONTEXT))
            return " ".join(words)[:longest].rstrip()
        return self._prose(shortest, longest)

    def _prose(self, shortest: int, longest: int) -> str:
        """Return sentences, as many as are usual at this length, never longer than allowed."""
        usual = 1 if longest <= 900 else 4 if longest <= 4000 else 9
        text = self._sentence()
        for _ in range(1, usual):
            text = f"{text} {self._sentence()}"
        while len(text) < shortest:
            text = f"{text} {self._sentence()}"
        return text if len(text) <= longest else text[:longest].rstrip()

    def _sentence(self) -> str:
        parts = (self._random.choice(words) for words in (_WHO, _DOES, _WHAT, _WHEN))
        return f"{' '.join(parts)}."
