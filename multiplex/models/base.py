"""The model protocol: one async method, messages in, a completion out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

from multiplex.errors import ModelError

__all__ = ["Completion", "EmptyError", "Message", "Model", "Sampling"]


class Message(TypedDict):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: temperature, the most tokens to generate, and the call's own seed.

    With `choices` (two or more short texts, each of which begins with a token of its own, such as
    letters) the completion is one of them, and `Completion.logprobs` says how likely each was.
    """

    seed: int
    temperature: float = 0.7
    max_tokens: int = 1024
    top_p: float = 1.0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and what it took."""

    text: str
    reasoning: str | None = None
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    logprobs: Mapping[str, float] | None = None
    """For each of the sampling's choices the natural logarithm of its first token's probability, before
    any constraint; a choice that the model did not report is left out. None where none was reported."""
    recalled: bool = False
    """Whether the completion was read from the response cache: no call was made."""


class EmptyError(ModelError):
    """A model that was asked, and paid for, and answered with no text; it may have reasoned."""

    def __init__(self, completion: Completion, why: str = "") -> None:
        super().__init__(f"answered with no text{why}", kind="empty")
        self.completion = completion


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
