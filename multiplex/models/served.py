"""A model behind any OpenAI-compatible endpoint: vLLM, llama.cpp's server, Ollama, or a hosted one."""

import math
import os
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from multiplex.errors import ModelError, near_miss
from multiplex.models.base import Completion, EmptyError, Message, Sampling
from multiplex.models.endpoint import Endpoint, RefusedError, at
from multiplex.models.reasoning import split_reasoning

__all__ = ["Served"]

_HOSTED = "https://api.openai.com/v1"
_TOP_LOGPROBS = 20  # the most that OpenAI and, unless told otherwise, vLLM report
_NEVER = -9999.0  # how OpenAI and vLLM write a probability of nothing in JSON
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum model length|prompt is too long", re.IGNORECASE
)
"""As vLLM and OpenAI say it ("maximum context length"), vLLM's engine, llama.cpp ("exceeds the available
context size", "Context size has been exceeded") and hosted models."""


class Served:
    """Complete through `POST {base_url}/chat/completions`.

    The base URL is the one that is given, else `OPENAI_BASE_URL`, else OpenAI's own. `timeout` is in seconds,
    for one try; what may pass (no connection, a time-out, 429, 5xx) is tried `retries` more times.

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
        self.name = f"openai:{model}"
        self._model = model
        address = base_url if base_url is not None else os.environ.get("OPENAI_BASE_URL") or _HOSTED
        self._endpoint = Endpoint(address, api_key=api_key, timeout=timeout, retries=retries)
        self._tells_logprobs = True

    @property
    def endpoint(self) -> str:
        """Return the address that is asked."""
        return self._endpoint.base_url

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
        telling = choosing and self._tells_logprobs
        asked = {**request, "logprobs": True, "top_logprobs": _TOP_LOGPROBS} if telling else request
        try:
            return await self._endpoint.post("/chat/completions", asked)
        except RefusedError as error:
            if not (telling and error.status in {400, 422} and "logprobs" in error.said):
                raise await self._refusal(error) from error
        self._tells_logprobs = False
        return await self._ask(request, choosing=False)

    async def _refusal(self, error: RefusedError) -> ModelError:
        """Return what a status means, and what to do where that is known."""
        if error.status in {400, 413, 422, 500} and _TOO_LONG.search(error.said):
            return ModelError(
                f"the prompt is too long for the model as it is served ({error.said.rstrip('.')}): use fewer "
                "rounds, a smaller panel or a scenario with a shorter context, or serve it with a longer context",
                kind="too_long",
            )
        said = str(error)
        if error.status == 404:
            known = await self._models()
            if known and self._model not in known:
                said = f"serves no model {self._model!r}; {near_miss(self._model, known)}"
            elif not known and not self.endpoint.endswith("/v1"):
                said += "; its base URL often ends in /v1"
        return ModelError(said, kind="status")

    async def _models(self) -> list[str]:
        """Return the names of the models that are served; none where the endpoint does not tell."""
        try:
            listed = at(await self._endpoint.get(f"{self.endpoint}/models"), "data")
        except ModelError:
            return []
        names = [at(model, "id") for model in listed] if isinstance(listed, list) else []
        return [name for name in names if isinstance(name, str)]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._endpoint.aclose()


def _completion(response: Any, sampling: Sampling) -> Completion:
    """Read a completion out of a response that may come from any server."""
    try:
        choice = response["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        reasoning = message.get("reasoning") or message.get("reasoning_content") or None
        if not isinstance(text, str) or not isinstance(reasoning, str | None):
            raise TypeError("the content is no text")
        # A server without a reasoning parser leaves both in one text; JSON may hold anything in its strings.
        if reasoning is None and not text.lstrip().startswith(("{", "[")):
            reasoning, text = split_reasoning(text)
        completion = Completion(
            text=text,
            reasoning=reasoning,
            finish_reason=str(choice.get("finish_reason") or "stop"),
            prompt_tokens=_count(response, "prompt_tokens"),
            cached_tokens=_count(response, "prompt_tokens_details", "cached_tokens"),
            completion_tokens=_count(response, "completion_tokens"),
            logprobs=_logprobs(choice, text, bool(reasoning), sampling.choices),
        )
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelError("answered with JSON that is no chat completion", kind="invalid_response") from error
    if sampling.choices and (chosen := _chosen(completion, sampling)) is not None:
        return replace(completion, text=chosen, finish_reason="stop")
    if not text.strip():
        used_up = completion.finish_reason == "length"
        thought = (
            f"reasoning used up the limit of {sampling.max_tokens} tokens" if used_up else "reasoning alone"
        )
        why = f": {thought}" if reasoning else ""
        raise EmptyError(completion, why)
    return completion


def _count(response: Any, *path: str) -> int:
    """Return a number of tokens, 0 where a server tells none that makes sense."""
    told = at(response, "usage", *path)
    return told if isinstance(told, int) and told > 0 else 0


def _logprobs(choice: Any, text: str, reasoned: bool, choices: Sequence[str]) -> dict[str, float] | None:
    """Return the logarithm of each reported choice's probability where the answer begins."""
    positions = at(choice, "logprobs", "content")
    if not choices or not positions:
        return None
    tokens = [position["token"] for position in positions]
    # What comes before the answer (reasoning, a line break) is among the tokens: find the answer from behind.
    answer = text.strip()
    starts = (i for i in reversed(range(len(tokens))) if "".join(tokens[i:]).lstrip().startswith(answer))
    start = next(starts, None) if answer else None
    if start is None:
        if reasoned or (not answer and "".join(tokens).strip()):  # it was still thinking when it was cut off
            return None
        start = 0
    found: dict[str, list[float]] = {}
    for top in positions[start]["top_logprobs"]:
        begun = [one for one in choices if (token := top["token"].strip(" \n▁Ġ")) and one.startswith(token)]
        if len(begun) == 1 and top["logprob"] > _NEVER:
            found.setdefault(begun[0], []).append(top["logprob"])
    return {one: min(0.0, _log_of_sum(found[one])) for one in choices if one in found} or None


def _log_of_sum(logs: Sequence[float]) -> float:
    most = max(logs)  # taken out first: the exponential of a small one is 0
    return most + math.log(math.fsum(math.exp(each - most) for each in logs))


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
