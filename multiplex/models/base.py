"""The model protocol: one async method, messages in, a completion out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

__all__ = ["Completion", "Message", "Model", "Sampling"]


class Message(TypedDict):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: temperature, the most tokens to generate, and the call's own seed."""

    seed: int
    temperature: float = 0.7
    max_tokens: int = 1024
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and what it took."""

    text: str
    reasoning: str | None = None
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


class Model(Protocol):
    """Text in, text out."""

    @property
    def name(self) -> str:
        """What the record calls this model."""
        ...

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete a chat, constrained to a JSON schema where one is given.

        Raises:
            ModelError: there is no usable completion.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and memory."""
        ...
