"""A wrapper that bounds how many calls are in flight at once."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from multiplex.models.base import Completion, Message, Model, Sampling

__all__ = ["Limited"]


class Limited:
    """Let at most `concurrency` calls through to a model at a time; several models may share a semaphore."""

    def __init__(self, model: Model, *, concurrency: int | asyncio.Semaphore) -> None:
        if isinstance(concurrency, int):
            if concurrency < 1:
                raise ValueError(f"concurrency needs to be at least 1, not {concurrency}")
            concurrency = asyncio.Semaphore(concurrency)
        self._model = model
        self._turnstile = concurrency

    @property
    def name(self) -> str:
        """Return the wrapped model's name."""
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Wait for a place, then complete."""
        async with self._turnstile:
            return await self._model.complete(messages, sampling=sampling, schema=schema)

    async def aclose(self) -> None:
        """Close the wrapped model."""
        await self._model.aclose()
