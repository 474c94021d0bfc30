"""Asking an endpoint that may answer anything: bounded in time and in size, and read with care."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multiplex.errors import ModelError

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Said", "Server", "at", "count", "short"]

_LONGEST = 10.0
"""How many seconds one request may take."""
_LARGEST = 4 * 1024**2
"""How many bytes of one answer are read."""


@dataclass(frozen=True, slots=True)
class Said:
    """One completion, as far as it could be read."""

    text: str
    thought: str
    finish: str
    whole: Any
    seconds: float

    @property
    def cut(self) -> bool:
        """Whether it ended at the token limit."""
        return self.finish == "length"

    def usage(self, *path: str) -> int | None:
        """Return one of the counts that came with it, if it did."""
        count = at(self.whole, "usage", *path)
        return count if isinstance(count, int) else None


@dataclass(slots=True)
class Server:
    """An endpoint that may answer anything."""

    session: "ClientSession"
    name: str
    base_url: str
    system: str
    thinks: bool = field(default=False)

    @property
    def root(self) -> str:
        """Return the address without its /v1: where servers have what is their own."""
        return self.base_url.removesuffix("/v1")

    async def ask(self, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON that a request is answered with.

        Raises:
            ModelError: of kind refused, timeout, status or invalid_response.
        """
        import aiohttp

        try:
            async with asyncio.timeout(_LONGEST):
                return await self._read(url, body)
        except TimeoutError as error:
            raise ModelError(f"no answer within {_LONGEST:g} s", kind="timeout") from error
        except aiohttp.ClientConnectionError as error:
            reason = short(getattr(error, "os_error", error))
            raise ModelError(f"cannot be reached: {reason}", kind="refused") from error
        except (aiohttp.ClientError, ValueError, RecursionError) as error:
            raise ModelError(
                f"answered with no valid JSON: {short(error)}", kind="invalid_response"
            ) from error

    async def _read(self, url: str, body: Mapping[str, Any] | None) -> Any:
        method = "GET" if body is None else "POST"
        async with self.session.request(method, url, json=body) as response:
            raw = bytearray()
            async for chunk in response.content.iter_chunked(2**16):
                raw += chunk
                if len(raw) > _LARGEST:
                    message = f"answered with more than {_LARGEST // 1024**2} MiB"
                    raise ModelError(message, kind="invalid_response")
            if response.status >= 400:
                said = _complaint(bytes(raw))
                raise ModelError(
                    f"answered with status {response.status}" + (f": {said}" if said else ""), kind="status"
                )
        return json.loads(raw)

    async def say(self, prompt: str, **options: Any) -> Said:
        """Return one completion, asked for as a run asks."""
        body = {
            "model": self.name,
            "messages": [{"role": "system", "content": self.system}, {"role": "user", "content": prompt}],
            "temperature": 1.0,
            "top_p": 1.0,
            "seed": 1,
            **options,
        }
        started = time.perf_counter()
        whole = await self.ask(f"{self.base_url}/chat/completions", body)
        seconds = time.perf_counter() - started
        message = at(whole, "choices", 0, "message")
        if not isinstance(message, dict):
            raise ModelError("answered with JSON that is no chat completion", kind="invalid_response")
        thought = message.get("reasoning") or message.get("reasoning_content") or ""
        return Said(
            text=str(message.get("content") or ""),
            thought=str(thought),
            finish=str(at(whole, "choices", 0, "finish_reason")),
            whole=whole,
            seconds=seconds,
        )


def at(data: Any, *path: str | int) -> Any:
    """Return what lies at a path in data of any shape, or None."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def count(value: Any) -> int | None:
    """Return a number above nothing, written as one or as text, or None."""
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else 0
    except ValueError:
        return None
    return number if number > 0 else None


def _complaint(raw: bytes) -> str:
    """Return what an error's body says, in one line."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return short(raw[:2000].decode("utf-8", "replace"))
    said = at(body, "error", "message") or at(body, "message") or at(body, "error") or at(body, "detail")
    return short(said or "")


def short(said: object, most: int = 200) -> str:
    """Return a text that others wrote as one printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(said)).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
