"""Who answers acts, and what comes back: a reply, or a recorded failure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

from multiplex.acts.act import Act

__all__ = [
    "Failure",
    "Performed",
    "Responder",
    "Usage",
]

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an act has no reply; recorded, and never read by another agent."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an act took: model calls, completions read from the response cache instead, tokens, and seconds.

    Tokens are those of calls that were made; what was recalled costs nothing and is counted apart.
    """

    calls: int = 0
    recalled: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Performed(Generic[R]):
    """An act answered, or its recorded failure.

    Raises:
        ValueError: not exactly one of `reply` and `failure` is set.
    """

    reply: R | None = None
    failure: Failure | None = None
    raw: tuple[str, ...] = ()
    """What the model said, attempt by attempt."""
    reasoning: tuple[str, ...] = ()
    prompt_sha256: str | None = None
    logprobs: Mapping[str, float] | None = None
    """Where one option was asked for: the natural logarithm of each one's probability, as far as it is known."""
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if (self.reply is None) == (self.failure is None):
            raise ValueError("Performed: needs either a reply or a failure")


class Responder(Protocol):
    """Whoever answers acts: a language model, the extractive responder, a script, a human.

    One that can tell how likely its choices were also has an attribute `weighs` that is true.
    """

    @property
    def name(self) -> str:
        """What the record calls this responder, as in `extractive` or `openai:qwen3`."""
        ...

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        """Answer one act. A failure is returned, not raised; a reply that `act.check` refuses counts as one."""
        ...
