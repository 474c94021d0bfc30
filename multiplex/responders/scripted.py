"""A responder that answers from a function: for tests and demonstrations."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from multiplex.acts import Act, Failure, Performed

__all__ = ["ScriptedResponder"]

R = TypeVar("R", bound=BaseModel)


class ScriptedResponder:
    """Answer every act with what a function of the act and its seed returns.

    The function returns a reply, or a `Failure` to be recorded. The acts that were asked are kept
    in `acts`, in the order in which they came.
    """

    name = "scripted"

    def __init__(self, script: Callable[[Act[Any], int], BaseModel | Failure]) -> None:
        self.acts: list[Act[Any]] = []
        self._script = script

    async def perform(self, act: Act[R], *, seed: int) -> Performed[R]:
        """Return what the script says, checked as any other reply is."""
        self.acts.append(act)
        said = self._script(act, seed)
        if isinstance(said, Failure):
            return Performed(failure=said)
        act.check(said)
        return Performed(reply=cast("R", said))
