"""A model of a caller's own: what it raises fails one call, and what it returns is looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

from multiplex.errors import ModelError, MultiplexError
from multiplex.models.base import Completion, Message, Model, Sampling

__all__ = ["Given", "as_model_error"]

_LONGEST = 200


class Given:
    """Turn whatever a model raises into a ModelError, so that one call fails and not the deliberation."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._model.name

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete a chat.

        Raises:
            ModelError: of kind timeout, refused, failed with what the model raised, or invalid_response.
        """
        try:
            completion = await self._model.complete(messages, sampling=sampling, schema=schema)
        except MultiplexError:
            raise
        except Exception as error:  # whatever the caller's client raises
            raise as_model_error(error) from error
        if not isinstance(completion, Completion):
            raise ModelError(
                f"returned a {type(completion).__name__} and no Completion", kind="invalid_response"
            )
        counts = (completion.prompt_tokens, completion.cached_tokens, completion.completion_tokens)
        if not isinstance(completion.text, str) or not all(isinstance(each, int) for each in counts):
            raise ModelError(
                "returned a Completion whose text is no text, or whose tokens are no whole numbers",
                kind="invalid_response",
            )
        return completion

    async def aclose(self) -> None:
        """Close the model."""
        await self._model.aclose()


def as_model_error(error: Exception) -> ModelError:
    """Return the ModelError for what another library raised: of kind timeout, refused or failed, in one short line."""
    kinds = {TimeoutError: "timeout", ConnectionError: "refused"}
    kind = next((kind for type_, kind in kinds.items() if isinstance(error, type_)), "failed")
    said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return ModelError(said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}...", kind=kind)
