"""A model behind any OpenAI-compatible endpoint: vLLM, llama.cpp's server, Ollama, or a hosted one."""

import asyncio
import math
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from multiplex.errors import ContentError, ModelError, near_miss
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.reasoning import split_reasoning

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

__all__ = ["Served"]

_TOP_LOGPROBS = 20  # the most that OpenAI and, unless told otherwise, vLLM report
_NEVER = -9999.0  # how OpenAI and vLLM write a probability of nothing in JSON
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum model length|prompt is too long", re.IGNORECASE
)
"""As vLLM and OpenAI say it ("maximum context length"), vLLM's engine, llama.cpp ("exceeds the available
context size", "Context size has been exceeded") and hosted models."""


class Served:
    """Complete through `POST {base_url}/chat/completions`, with one client for each event loop.

    The client's own retries (with back-off) are the only ones: connection failures, time-outs,
    429 and 5xx are tried `retries` more times.

    There is no constraint for choices that every server knows, and vLLM's own (`structured_outputs`) is
    applied before the probabilities are taken. So a choice is asked for without any: the probabilities are
    those of the first position, and an answer that is none of the choices is drawn from them, as a
    constraint would have drawn it.

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
        self._tells_logprobs = True
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def endpoint(self) -> str:
        """Return the address that is asked: the one that was given, else the `openai` client's own choice."""
        return self._base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete a chat; the schema becomes `response_format`.

        Raises:
            ModelError: of kind refused, timeout, status, too_long, invalid_response or empty.
        """
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
        return _completion(await self._ask(request, choosing=bool(sampling.choices)), sampling)

    async def _ask(self, request: dict[str, Any], *, choosing: bool) -> Any:
        import openai
        from openai.types.chat import ChatCompletion

        telling = choosing and self._tells_logprobs
        asked = {**request, "logprobs": True, "top_logprobs": _TOP_LOGPROBS} if telling else request
        try:
            # The client's `post` spares what `chat.completions.create` does to every request: half of its time.
            return await self._connected().post("/chat/completions", cast_to=ChatCompletion, body=asked)
        except openai.APIConnectionError as error:
            # The client takes a refused connection for a time-out too; what lies beneath tells them apart.
            if any(isinstance(cause, TimeoutError) for cause in _causes(error)):
                raise ModelError(f"no answer within {self._timeout:g} s", kind="timeout") from error
            reason = _short(str(error.__cause__ or "")) or _short(str(error))
            raise ModelError(f"cannot be reached: {reason}", kind="refused") from error
        except openai.APIStatusError as error:
            if not (telling and error.status_code in {400, 422} and "logprobs" in str(error.body)):
                raise await self._refusal(error) from error
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            message = f"answered with no valid JSON: {_short(str(error))}"
            raise ModelError(message, kind="invalid_response") from error
        self._tells_logprobs = False
        return await self._ask(request, choosing=False)

    async def _refusal(self, error: "APIStatusError") -> ModelError:
        """Return what a status means, and what to do where that is known."""
        said = (error.body.get("message") if isinstance(error.body, dict) else None) or error.body
        told = _short(str(said)) if said else ""
        if error.status_code in {400, 413, 422, 500} and _TOO_LONG.search(str(error.body)):
            return ModelError(
                f"the prompt is too long for the model as it is served ({told.rstrip('.')}): use fewer rounds, "
                "a smaller panel or a scenario with a shorter context, or serve it with a longer context",
                kind="too_long",
            )
        if error.status_code == 404 and (known := await self._models()) and self._model not in known:
            return ModelError(
                f"serves no model {self._model!r}; {near_miss(self._model, known)}", kind="status"
            )
        hint = "; its base URL often ends in /v1" if error.status_code == 404 and not told else ""
        return ModelError(
            f"answered with status {error.status_code}" + (f": {told}" if told else hint), kind="status"
        )

    async def _models(self) -> list[str]:
        """Return the names of the models that are served; none where the endpoint does not tell."""
        import openai

        try:
            page = await self._connected().with_options(timeout=5.0, max_retries=0).models.list()
            return [model.id for model in page.data]
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return []

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
                http_client=DefaultAioHttpClient(),  # a thousand connections, however many to one host
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


def _completion(response: Any, sampling: Sampling) -> Completion:
    """Read a completion out of a response that may come from any server."""
    if isinstance(response, str):
        raise ModelError(f"answered with no JSON: {_short(response)!r}", kind="invalid_response")
    try:
        choice = response.choices[0]
        message = choice.message
        usage = response.usage
        text = message.content or ""
        reasoning = getattr(message, "reasoning", None) or getattr(message, "reasoning_content", None) or None
        if not isinstance(text, str) or not isinstance(reasoning, str | None):
            raise TypeError("the content is no text")
        # A server without a reasoning parser leaves both in one text; JSON may hold anything in its strings.
        if reasoning is None and not text.lstrip().startswith(("{", "[")):
            reasoning, text = split_reasoning(text)
        details = getattr(usage, "prompt_tokens_details", None)
        completion = Completion(
            text=text,
            reasoning=reasoning,
            finish_reason=choice.finish_reason or "stop",
            prompt_tokens=_count(usage, "prompt_tokens"),
            cached_tokens=_count(details, "cached_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
            logprobs=_logprobs(choice, text, bool(reasoning), sampling.choices),
        )
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError("answered with JSON that is no chat completion", kind="invalid_response") from error
    if sampling.choices and (chosen := _chosen(completion, sampling)) is not None:
        return replace(completion, text=chosen, finish_reason="stop")
    if not text.strip():
        used_up = completion.finish_reason == "length" and bool(reasoning)
        why = f": reasoning used up the limit of {sampling.max_tokens} tokens" if used_up else ""
        raise ModelError(f"answered with no text{why}", kind="empty")
    return completion


def _count(usage: Any, name: str) -> int:
    """Return a number of tokens, 0 where a server tells none that makes sense."""
    told = getattr(usage, name, None)
    return told if isinstance(told, int) and told > 0 else 0


def _logprobs(choice: Any, text: str, reasoned: bool, choices: Sequence[str]) -> dict[str, float] | None:
    """Return the logarithm of each reported choice's probability where the answer begins."""
    positions = getattr(getattr(choice, "logprobs", None), "content", None)
    if not choices or not positions:
        return None
    tokens = [position.token for position in positions]
    # What comes before the answer (reasoning, a line break) is among the tokens: find the answer from behind.
    answer = text.strip()
    starts = (i for i in reversed(range(len(tokens))) if "".join(tokens[i:]).lstrip().startswith(answer))
    start = next(starts, None) if answer else None
    if start is None:
        if reasoned or (not answer and "".join(tokens).strip()):  # it was still thinking when it was cut off
            return None
        start = 0
    found: dict[str, list[float]] = {}
    for top in positions[start].top_logprobs:
        begun = [one for one in choices if (token := top.token.strip(" \n▁Ġ")) and one.startswith(token)]
        if len(begun) == 1 and top.logprob > _NEVER:
            found.setdefault(begun[0], []).append(top.logprob)
    summed = {one: math.log(math.fsum(map(math.exp, found[one]))) for one in choices if one in found}
    return {one: min(0.0, value) for one, value in summed.items()} or None


def _chosen(completion: Completion, sampling: Sampling) -> str | None:
    """Return the choice that an answer is, else one that is drawn by the reported probabilities."""
    names = "|".join(re.escape(one) for one in sorted(sampling.choices, key=len, reverse=True))
    if said := re.match(rf"\W*({names})(?:\W*$|[.):*])", completion.text):
        return said[1]
    if not completion.logprobs:
        return None
    likeliest = max(completion.logprobs.values())
    if sampling.temperature <= 0:
        return next(one for one, value in completion.logprobs.items() if value == likeliest)
    weights = [math.exp((v - likeliest) / sampling.temperature) for v in completion.logprobs.values()]
    return random.Random(sampling.seed).choices(list(completion.logprobs), weights)[0]  # noqa: S311 (no secret)


def _short(text: str, most: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
