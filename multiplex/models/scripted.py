"""A model that says what it is told to say: for tests, demonstrations and dry runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from multiplex.errors import ModelError
from multiplex.models.base import Completion, Message, Sampling

__all__ = ["Scripted"]

Script = Callable[[Sequence[Message], Mapping[str, Any] | None, Sampling], str | Completion]


class Scripted:
    """Answer from a list of texts in order, or from a function of messages, schema and sampling.

    The calls it was given are kept in `calls`. A list that has run out is a `ModelError`.
    """

    def __init__(self, script: Iterable[str | Completion] | Script, *, name: str = "scripted") -> None:
        self.name = name
        self.calls: list[tuple[Message, ...]] = []
        self._script: Script = script if callable(script) else _in_order(script)

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Return what the script says next."""
        self.calls.append(tuple(messages))
        said = self._script(messages, schema, sampling)
        return said if isinstance(said, Completion) else Completion(text=said)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to let go of."""


def _in_order(texts: Iterable[str | Completion]) -> Script:
    left = iter(list(texts))

    def say(
        messages: Sequence[Message], schema: Mapping[str, Any] | None, sampling: Sampling
    ) -> str | Completion:
        for text in left:
            return text
        raise ModelError("the script has run out", kind="script")

    return say
