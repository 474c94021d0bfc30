"""A model behind any OpenAI-compatible endpoint: vLLM, llama.cpp's server, Ollama, or a hosted one."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, Message, Sampling

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["Served"]


class Served:
    """Complete through `POST {base_url}/chat/completions`, with one client for each event loop.

    The client's own retries (with back-off) are the only ones: connection failures, time-outs,
    429 and 5xx are tried `retries` more times.

    Raises:
        ContentError: the base URL is none.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        retries: int = 2,
    ) -> None:
        if base_url is not None:
            _check_url(base_url)
        self.name = f"openai:{model}"
        self._model = model
        self._base_url = base_url
        self._api_key = api_key
        self._timeout = timeout
        self._retries = retries
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete a chat; the schema becomes `response_format`.

        Raises:
            ModelError: of kind refused, timeout, status, invalid_response or empty.
        """
        import openai

        request: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        if schema is not None:
            named = {"name": str(schema.get("title", "reply")), "schema": dict(schema), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        try:
            response = await self._connected().chat.completions.create(**request)
        except openai.APIConnectionError as error:
            # The client takes a refused connection for a time-out too; what lies beneath tells them apart.
            if any(isinstance(cause, TimeoutError) for cause in _causes(error)):
                raise ModelError(f"no answer within {self._timeout:g} s", kind="timeout") from error
            reason = _short(str(error.__cause__ or "")) or _short(str(error))
            raise ModelError(f"cannot be reached: {reason}", kind="refused") from error
        except openai.APIStatusError as error:
            said = (error.body.get("message") if isinstance(error.body, dict) else None) or error.body
            message = f"answered with status {error.status_code}" + (f": {_short(str(said))}" if said else "")
            raise ModelError(message, kind="status") from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            message = f"answered with no valid JSON: {_short(str(error))}"
            raise ModelError(message, kind="invalid_response") from error
        return _completion(response)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None

    def _connected(self) -> "AsyncOpenAI":
        loop = asyncio.get_running_loop()
        # A client's connections belong to the loop that they were opened in.
        if self._client is None or self._loop is not loop:
            from openai import AsyncOpenAI, DefaultAioHttpClient

            self._loop = loop
            self._client = AsyncOpenAI(
                base_url=self._base_url,
                api_key=self._api_key or "none",
                timeout=self._timeout,
                max_retries=self._retries,
                http_client=DefaultAioHttpClient(),
            )
        return self._client


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise ContentError(
            f"base URL {base_url!r}: needs to be an address such as 'http://localhost:8000/v1'"
        )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _completion(response: Any) -> Completion:
    """Read a completion out of a response that may come from any server."""
    if isinstance(response, str):
        raise ModelError(f"answered with no JSON: {_short(response)!r}", kind="invalid_response")
    try:
        choice = response.choices[0]
        message = choice.message
        usage = response.usage
        text = message.content or ""
        if not isinstance(text, str):
            raise TypeError("the content is no text")
        details = getattr(usage, "prompt_tokens_details", None)
        completion = Completion(
            text=text,
            reasoning=getattr(message, "reasoning", None) or getattr(message, "reasoning_content", None),
            finish_reason=choice.finish_reason or "stop",
            prompt_tokens=getattr(usage, "prompt_tokens", 0) or 0,
            cached_tokens=getattr(details, "cached_tokens", 0) or 0,
            completion_tokens=getattr(usage, "completion_tokens", 0) or 0,
        )
    except (AttributeError, LookupError, TypeError) as error:
        raise ModelError("answered with JSON that is no chat completion", kind="invalid_response") from error
    if not text.strip():
        raise ModelError("answered with no text", kind="empty")
    return completion


def _short(text: str, most: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
