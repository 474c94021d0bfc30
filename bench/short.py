"""A model that is asked for short replies, so that an engine with random weights ends them in time."""

from collections.abc import Mapping, Sequence
from typing import Any

from multiplex.models.base import Completion, Message, Model, Sampling

__all__ = ["Short"]

_A_POSITION = 3000
"""How many characters a schema gives a persona's position; other texts are narrowed in proportion."""


class Short:
    """A model that is asked for short replies: schemas are narrowed before they reach it.

    A text may have `characters` where a position may have 3000, in proportion where the schema gives it
    less or more, and needs to have half of that; a list has one or two items, or
    as many as it must.
    """

    def __init__(self, model: Model, characters: int) -> None:
        self._model = model
        self._characters = characters
        self._narrowed: dict[int, tuple[Mapping[str, Any], Any]] = {}

    @property
    def name(self) -> str:
        """Return the wrapped model's name."""
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete with the narrowed schema."""
        if schema is not None:
            if id(schema) not in self._narrowed:  # the schema is kept, so that no other can have its id
                self._narrowed[id(schema)] = (schema, self._narrow(schema))
            schema = self._narrowed[id(schema)][1]
        return await self._model.complete(messages, sampling=sampling, schema=schema)

    async def aclose(self) -> None:
        """Close the wrapped model."""
        await self._model.aclose()

    def _narrow(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self._narrow(part) for part in schema]
        if not isinstance(schema, Mapping):
            return schema
        narrowed = {key: self._narrow(part) for key, part in schema.items()}
        if narrowed.get("type") == "string" and "enum" not in narrowed and "maxLength" in narrowed:
            share = narrowed["maxLength"] / _A_POSITION
            most = max(24, round(self._characters * min(share, 1.5)))
            narrowed |= {"maxLength": min(narrowed["maxLength"], most), "minLength": most // 2}
        if narrowed.get("type") == "integer":
            narrowed["minimum"] = max(1, narrowed.get("minimum", 1))  # a stance of nothing but zeros is none
        if narrowed.get("type") == "array":
            of_lists = narrowed["items"].get("type") == "array"  # which cards are one: none are
            fewest = max(2, narrowed.get("minItems", 0))
            narrowed["maxItems"] = 0 if of_lists else min(narrowed["maxItems"], fewest)
            narrowed["minItems"] = narrowed["maxItems"]
        return narrowed
