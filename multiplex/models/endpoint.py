"""Asking an HTTP endpoint for JSON: bounded in time and in size, tried again where that helps, read with care."""

import asyncio
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from multiplex.errors import ContentError, ModelError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["Endpoint", "RefusedError", "at", "short", "without_user"]

_LARGEST = 32 * 1024**2
"""How many bytes of one answer are read."""
_AGAIN = frozenset({408, 409, 425, 429})
"""The statuses below 500 that may go away by themselves."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
"""Seconds before the second try, and before any; they double in between, with jitter."""
_LONGEST_ASKED = 60.0
"""Seconds that an endpoint may ask to be left alone, with `Retry-After`."""


class RefusedError(ModelError):
    """An endpoint that answered with a status of 400 or above."""

    def __init__(self, status: int, said: str, *, pause: float | None) -> None:
        super().__init__(f"answered with status {status}" + (f": {said}" if said else ""), kind="status")
        self.status = status
        self.said = said
        self.pause = pause
        """Seconds after which it wants to be asked again, where it says so."""

    @property
    def passes(self) -> bool:
        """Whether asking again may help."""
        return self.status in _AGAIN or self.status >= 500


@dataclass(frozen=True, slots=True)
class _Opened:
    session: "ClientSession"
    loop: asyncio.AbstractEventLoop


class Endpoint:
    """An address that answers with JSON, asked over one session for each event loop.

    Any number of requests may be under way. What fails to connect, takes longer than `timeout` seconds, or
    answers with 408, 409, 425, 429 or 5xx is tried `retries` more times, after pauses that double (0.5 to
    8 s, with jitter) or as long as `Retry-After` asks, up to a minute. The HTTP proxies of the environment
    (`HTTPS_PROXY`, `NO_PROXY` and their like) are used.

    Raises:
        ContentError: the base URL or the key is none, or the environment names a proxy of another kind.
    """

    def __init__(self, base_url: str, *, api_key: str | None, timeout: float, retries: int) -> None:
        _check_url(base_url)
        _check_key(api_key, base_url)
        self._proxy = _proxy(base_url)  # found once: aiohttp's own `trust_env` looks for every request
        self.base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._timeout = timeout
        self._retries = retries
        self._opened: _Opened | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON that a JSON body, posted to a path below the base URL, is answered with.

        Raises:
            RefusedError: a status of 400 or above.
            ModelError: of kind refused, timeout or invalid_response.
        """
        # A lone surrogate, which a reply may hold, cannot be sent; nor may it end a run.
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return await self._ask("POST", f"{self.base_url}{path}", text.encode("utf-8", "replace"))

    async def get(self, url: str) -> Any:
        """Return the JSON of a whole address, asked once.

        Raises:
            RefusedError: a status of 400 or above.
            ModelError: of kind refused, timeout or invalid_response.
        """
        return await self._try("GET", url, None)

    async def aclose(self) -> None:
        """Close the connections; asking again opens others."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.loop is asyncio.get_running_loop():
            await opened.session.close()

    async def _ask(self, method: str, url: str, body: bytes | None) -> Any:
        pause = _FIRST_PAUSE
        for _ in range(self._retries):
            try:
                return await self._try(method, url, body)
            except ModelError as error:
                asked = error.pause if isinstance(error, RefusedError) else None
                if error.kind == "invalid_response" or (isinstance(error, RefusedError) and not error.passes):
                    raise
            await asyncio.sleep(asked or pause * random.uniform(0.75, 1.0))  # noqa: S311 (no secret)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return await self._try(method, url, body)

    async def _try(self, method: str, url: str, body: bytes | None) -> Any:
        import aiohttp

        try:
            async with self._session().request(method, url, data=body) as response:
                raw = await _read(response)
                if response.status >= 400:
                    raise RefusedError(response.status, _complaint(raw), pause=_pause(response))
        except TimeoutError as error:
            raise ModelError(f"no answer within {self._timeout:g} s", kind="timeout") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            # aiohttp names its setting for TLS also where there is none, which misleads whoever reads it.
            reason = short(str(error).replace(" ssl:default", "")) or type(error).__name__
            raise ModelError(f"cannot be reached: {reason}", kind="refused") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise ModelError(
                f"answered with no valid HTTP: {short(error)}", kind="invalid_response"
            ) from error
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            said = raw[:2000].decode("utf-8", "replace").lstrip()
            how = f"valid JSON: {short(error)}" if said.startswith(("{", "[")) else f"JSON: {short(said)!r}"
            raise ModelError(f"answered with no {how}", kind="invalid_response") from error

    def _session(self) -> "ClientSession":
        loop = asyncio.get_running_loop()
        # A session's connections belong to the loop that they were opened in.
        if self._opened is None or self._opened.loop is not loop:
            import aiohttp

            key = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Content-Type": "application/json", **key},
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                proxy=self._proxy,
            )
            self._opened = _Opened(session, loop)
        return self._opened.session


def at(data: Any, *path: str | int) -> Any:
    """Return what lies at a path in data of any shape, or None."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def short(said: object, most: int = 200) -> str:
    """Return a text that others wrote as one printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(said)).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def without_user(address: str) -> str:
    """Return an address without what stands before an @ in it, which may be a password."""
    return re.sub(r"(?<=://)[^/?#\s]*@", "", address)


async def _read(response: "ClientResponse") -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > _LARGEST:
            message = f"answered with more than {_LARGEST // 1024**2} MiB"
            raise ModelError(message, kind="invalid_response")
    return bytes(raw)


def _complaint(raw: bytes) -> str:
    """Return what an error's body says, in one line."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return short(raw[:2000].decode("utf-8", "replace"))
    said = at(body, "error", "message") or at(body, "message") or at(body, "error") or at(body, "detail")
    return short(said or "")


def _pause(response: "ClientResponse") -> float | None:
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return min(seconds, _LONGEST_ASKED) if seconds > 0 else None


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.hostname or ""):
        return None
    found = found if "://" in found else f"http://{found}"
    if urlsplit(found).scheme not in {"http", "https"}:
        raise ContentError(
            f"the proxy {without_user(found)!r} of the environment: needs to be an HTTP proxy; name one in "
            "HTTPS_PROXY, or the endpoint's host in NO_PROXY"
        )
    return found


def _check_key(key: str | None, base_url: str) -> None:
    if key and urlsplit(base_url).username is not None:  # both would be sent as one header
        raise ContentError(
            "the base URL names a user, and there is an API key as well: give one of the two (the command line "
            "reads the key from OPENAI_API_KEY)"
        )
    if key and not key.isprintable():  # the key itself is not for a message
        raise ContentError(
            "the API key: holds a line break or another character that cannot be sent; set OPENAI_API_KEY to the "
            "key alone"
        )


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise ContentError(
            f"base URL {without_user(base_url)!r}: needs to be an address such as 'http://localhost:8000/v1'"
        )
