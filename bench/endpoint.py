"""An OpenAI-compatible endpoint with a fixed latency: what is measured against it is all but the model.

Run `python bench/endpoint.py --port 0 --latency-ms 50`; the first line that it prints is its port. It
listens on loopback, and serves POST /v1/chat/completions, GET /v1/models, GET /stats and POST /reset.

A reply is a small instance of the request's JSON schema, such that Multiplex' acts take it. Its words
depend on the messages and the seed alone. The endpoint shares a machine with the client that is
measured, so that it does little: a schema is compiled once, and a reply is written while its latency
passes, which is counted from the arrival of the request and kept to a tenth of a millisecond or so.
"""

import argparse
import asyncio
import gc
import json
import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

MODEL = "bench"

_SUBJECTS = ("A neighbour", "The family", "A teacher", "Whoever decides", "A good doctor", "The village")
_VERBS = ("has reason to expect", "should be given", "may ask for", "can learn to offer", "must not lose")
_OBJECTS = ("an honest hearing", "time to think it over", "help that nobody counts", "room to change course")
_CLAUSES = ("when much is at stake", "even where the rules are silent", "as long as trust is thin")
_SENTENCES = tuple(f"{s} {v} {o} {c}." for s in _SUBJECTS for v in _VERBS for o in _OBJECTS for c in _CLAUSES)
_QUALITIES = ("Patient", "Open", "Faithful", "Shared", "Quiet", "Honest", "Steady", "Tender", "Frank")
_VALUES = ("care", "trust", "courage", "kinship", "welcome", "repair", "attention", "duty", "measure")
_PLACES = ("at home", "among strangers", "before the law", "in hard times", "across generations", "at work")

_LONG = 400
"""How long a text is that may be long: a statement, an answer."""
_PROSE = 800
"""How long a reply without a schema is: about as long as one that fits the schema of a position."""
_EARLY = 0.0015
"""Seconds: how long before something is due the loop looks again and again, instead of sleeping."""


class _Draw:
    """Numbers and words that depend on the messages and the seed alone."""

    __slots__ = ("_state", "prompt")

    def __init__(self, prompt: str, seed: int) -> None:
        self.prompt = prompt
        self._state = zlib.crc32(prompt.encode(), seed & 0xFFFFFFFF)

    def below(self, bound: int) -> int:
        """Return a number from 0, below a bound: a step of Knuth's linear congruential generator."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self._state >> 33) % bound

    def prose(self, length: int) -> str:
        """Return whole sentences, at least one and at most as long as asked where one fits."""
        text = _SENTENCES[self.below(len(_SENTENCES))]
        while len(longer := f"{text} {_SENTENCES[self.below(len(_SENTENCES))]}") <= length:
            text = longer
        return text

    def title(self) -> str:
        """Return a few words; there are some four thousand, so that hardly anyone writes one twice."""
        quality, value, other, place = (
            words[self.below(len(words))] for words in (_QUALITIES, _VALUES, _VALUES, _PLACES)
        )
        return f"{quality} {value} and {other} {place}"


_Writer = Callable[[_Draw], Any]


class _Compiler:
    """Turns a JSON schema into a function that writes instances of it."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._definitions = schema.get("$defs", {})

    def writer(self, schema: Mapping[str, Any], name: str = "") -> _Writer:
        """Return what writes one instance; the name is that of the field it stands in."""
        schema = self._resolved(schema)
        if "const" in schema:
            return _always(schema["const"])
        if "enum" in schema:
            return _one_of(list(schema["enum"]))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                branches = [b for b in schema[key] if b.get("type") != "null"]
                return self.writer(branches[0], name) if branches else _always(None)
        kind = schema.get("type", "object")
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema, name)
        if kind == "string":
            return _string(schema)
        if kind == "boolean":
            return lambda draw: draw.below(4) == 0
        if kind in {"integer", "number"}:
            least, most = max(1, int(schema.get("minimum", 1))), int(schema.get("maximum", 100))
            return lambda draw: least + draw.below(most - least + 1)
        return _always(None)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix("#/$defs/")]
        return schema

    def _object(self, schema: Mapping[str, Any]) -> _Writer:
        writers = {name: self.writer(part, name) for name, part in schema.get("properties", {}).items()}
        return lambda draw: {name: write(draw) for name, write in writers.items()}

    def _array(self, schema: Mapping[str, Any], name: str) -> _Writer:
        if name == "order":  # of statements, which the prompt numbers
            return _order
        fewest, most = schema.get("minItems", 0), schema.get("maxItems", 100)
        items = self._resolved(schema["items"])
        fields = items.get("properties", {})
        if "enum" in items:
            usual = 1
        elif items.get("type") == "string" or (fields and (fewest or "to" in fields)):
            usual = 2
        else:
            usual = 0  # whatever it would hold, such as groups of cards, a list of none is true
        write, count = self.writer(items), min(max(fewest, usual), most)
        return lambda draw: [write(draw) for _ in range(count)]


def _always(value: Any) -> _Writer:
    return lambda draw: value


def _one_of(values: list[Any]) -> _Writer:
    return lambda draw: values[draw.below(len(values))]


def _string(schema: Mapping[str, Any]) -> _Writer:
    longest = schema.get("maxLength", _LONG)
    if longest < 100:  # shorter than a sentence may be
        return lambda draw: draw.title()[:longest].rstrip()
    length = _LONG if longest > 1000 else min(longest, 160)
    return lambda draw: draw.prose(length)


def _order(draw: _Draw) -> list[int]:
    numbers = sorted({int(number) for number in re.findall(r"<statement (\d+)>", draw.prompt)}) or [1]
    turn = draw.below(len(numbers))
    return numbers[turn:] + numbers[:turn]


def write_reply(prompt: str, seed: int, schema: Mapping[str, Any] | None) -> str:
    """Return what the endpoint would say: JSON that fits the schema, or prose without one."""
    draw = _Draw(prompt, seed)
    return draw.prose(_PROSE) if schema is None else json.dumps(_Compiler(schema).writer(schema)(draw))


@dataclass(slots=True)
class _Stats:
    """What has been asked since the last reset."""

    requests: int = 0
    at_once: int = 0
    most_at_once: int = 0
    request_bytes: int = 0
    reply_bytes: int = 0
    first: float = 0.0
    last: float = 0.0
    cpu: float = 0.0
    """What `time.process_time` said at the reset."""


class Endpoint:
    """What the server says, and what it has been asked."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self._stats = _Stats()
        self._writers: dict[str, _Writer] = {}

    def answer(self, method: str, path: str, body: bytes, arrived: float) -> tuple[int, bytes, float]:
        """Return a status, a body, and when to send them, in seconds of `time.perf_counter`."""
        if (method, path) == ("POST", "/v1/chat/completions"):
            return 200, self._completed(body, arrived), arrived + self.latency
        said: Any = {}
        if (method, path) == ("GET", "/v1/models"):
            said = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "bench"}]}
        elif (method, path) == ("GET", "/stats"):
            said = self._shown()
        elif (method, path) == ("POST", "/reset"):
            gc.collect()
            self._stats = _Stats(at_once=self._stats.at_once, cpu=time.process_time())
        else:
            return 404, b"", arrived
        return 200, json.dumps(said).encode(), arrived

    def left(self) -> None:
        """Count a completion as sent."""
        self._stats.at_once -= 1
        self._stats.last = time.perf_counter()

    def _shown(self) -> dict[str, Any]:
        stats = self._stats
        return {
            "requests": stats.requests,
            "most_at_once": stats.most_at_once,
            "seconds": stats.last - stats.first,
            "cpu_seconds": time.process_time() - stats.cpu,
            "request_bytes": stats.request_bytes,
            "reply_bytes": stats.reply_bytes,
        }

    def _completed(self, asked: bytes, arrived: float) -> bytes:
        stats = self._stats
        stats.first = stats.first or arrived
        stats.requests += 1
        stats.at_once += 1
        stats.most_at_once = max(stats.most_at_once, stats.at_once)
        answer = self._answer(json.loads(asked))
        stats.request_bytes += len(asked)
        stats.reply_bytes += len(answer)
        return answer

    def _answer(self, body: Mapping[str, Any]) -> bytes:
        prompt = "\n".join(message["content"] for message in body["messages"])
        draw = _Draw(prompt, body.get("seed") or 0)
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            text = json.dumps(self._writer(wanted["json_schema"]["schema"])(draw))
        else:
            text = draw.prose(_PROSE)
        likely = None
        if body.get("logprobs") and (letters := re.findall(r"^([A-Z]): ", prompt, re.MULTILINE)):
            text = letters[draw.below(len(letters))]
            told = [{"token": each, "logprob": -1.0 - letters.index(each)} for each in letters]
            likely = {"content": [{"token": text, "logprob": -1.0, "top_logprobs": told}]}
        asked, said = len(prompt) // 4, len(text) // 4
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        choice |= {"logprobs": likely} if likely else {}
        completion = {
            "id": f"chatcmpl-{self._stats.requests}",
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model", MODEL),
            "choices": [choice],
            "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
        }
        return json.dumps(completion).encode()

    def _writer(self, schema: Mapping[str, Any]) -> _Writer:
        text = json.dumps(schema)
        if text not in self._writers:
            self._writers[text] = _Compiler(schema).writer(schema)
        return self._writers[text]


class _Outbox:
    """Sends what is due when it is due.

    The loop's own timers will not do: they sleep for whole milliseconds, rounded up, which is a hundredth of
    what is measured.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()

    def put(self, due: float, send: Callable[[], None]) -> None:
        """Send something later; what is put in later is never due earlier."""
        self._waiting.append((due, send))
        if len(self._waiting) == 1:
            self._look()

    def _look(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.perf_counter():
            self._waiting.popleft()[1]()
        if self._waiting:
            left = self._waiting[0][0] - time.perf_counter() - _EARLY
            if left > 0:
                self._loop.call_later(left, self._look)
            else:
                self._loop.call_soon(self._look)


class _Connection(asyncio.Protocol):
    """One connection, kept open: requests one after another, each with the length of its body.

    It does so little because a server of general use takes as long over a burst of requests as some of
    those who are measured, and its latency is then no longer the one that was asked for.
    """

    def __init__(self, endpoint: Endpoint, outbox: _Outbox) -> None:
        self._endpoint = endpoint
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._heard = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._way_back = transport

    def data_received(self, data: bytes) -> None:
        """Take in what came; what has come whole is answered once all that has arrived is taken in."""
        arrived = time.perf_counter()
        self._heard += data
        while (end := self._heard.find(b"\r\n\r\n")) >= 0:
            first, *headers = self._heard[:end].decode("latin-1").split("\r\n")
            told = {name.lower(): value for name, _, value in (line.partition(":") for line in headers)}
            whole = end + 4 + int(told.get("content-length", 0))
            if len(self._heard) < whole:
                return
            body = bytes(self._heard[end + 4 : whole])
            del self._heard[:whole]
            method, path, _ = first.split(" ")
            self._loop.call_soon(self._answer, method, path, body, arrived)

    def _answer(self, method: str, path: str, body: bytes, arrived: float) -> None:
        status, answer, due = self._endpoint.answer(method, path, body, arrived)
        head = (
            f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        if due > arrived:
            self._outbox.put(due, partial(self._send, head.encode() + answer))
        else:
            self._way_back.write(head.encode() + answer)

    def _send(self, completion: bytes) -> None:
        self._endpoint.left()
        self._way_back.write(completion)


async def serve(port: int, latency: float) -> None:
    """Serve until the process is ended; print the port first."""
    endpoint = Endpoint(latency)
    loop, outbox = asyncio.get_running_loop(), _Outbox()
    server = await loop.create_server(lambda: _Connection(endpoint, outbox), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8123, help="0 for any that is free")
    parser.add_argument("--latency-ms", type=float, default=50, help="what every completion takes")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
