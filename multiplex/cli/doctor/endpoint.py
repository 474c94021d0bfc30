"""One completion at a time of an endpoint that may answer anything, read with care."""

import time
from dataclasses import dataclass, field
from typing import Any

from multiplex.errors import ModelError
from multiplex.models.endpoint import Endpoint, at
from multiplex.models.reasoning import split_reasoning

__all__ = ["Said", "Server", "count"]


@dataclass(frozen=True, slots=True)
class Said:
    """One completion, as far as it could be read: what it thought stands apart from what it said."""

    text: str
    thought: str
    aloud: bool
    """Whether the thought was written into the answer, as a run reads it too."""
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
    """An endpoint that may answer anything, and the model that is asked there."""

    endpoint: Endpoint
    name: str
    system: str
    thinks: bool = field(default=False)

    async def ask(self, path: str) -> Any:
        """Return the JSON below the address without its /v1: where servers have what is their own."""
        return await self.endpoint.get(f"{self.endpoint.base_url.removesuffix('/v1')}{path}")

    async def models(self) -> Any:
        """Return what the endpoint says when it is asked for its models."""
        return await self.endpoint.get(f"{self.endpoint.base_url}/models")

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
        whole = await self.endpoint.post("/chat/completions", body)
        seconds = time.perf_counter() - started
        message = at(whole, "choices", 0, "message")
        if not isinstance(message, dict):
            raise ModelError("answered with JSON that is no chat completion", kind="invalid_response")
        content = str(message.get("content") or "")
        thought = str(message.get("reasoning") or message.get("reasoning_content") or "")
        inside, text = (None, content) if thought else split_reasoning(content)
        return Said(
            text=text,
            thought=thought or inside or "",
            aloud=inside is not None,
            finish=str(at(whole, "choices", 0, "finish_reason")),
            whole=whole,
            seconds=seconds,
        )


def count(value: Any) -> int | None:
    """Return a number above nothing, written as one or as text, or None."""
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else 0
    except ValueError:
        return None
    return number if number > 0 else None
