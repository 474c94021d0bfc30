"""Any LangChain chat model, seen as one of ours."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, EmptyError, Message, Sampling
from multiplex.models.given import as_model_error
from multiplex.models.reasoning import split_reasoning

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

__all__ = ["LangChain"]

_FIELDS = {
    "seed": ("seed",),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "top_p": ("top_p",),
}
"""What a chat model's class may call each part of a sampling; what it has no field for is not passed on."""


class LangChain:
    """Complete through a LangChain chat model.

    Sampling is set on a copy of the chat model, in the fields that its class declares. A JSON schema goes
    through `with_structured_output` where the chat model has it, else nowhere; choices go nowhere: the prompt
    says what is wanted, and whoever asked checks what came back. The chat model belongs to the caller.

    Raises:
        ContentError: it is no chat model, or one that something is wrapped around, which hides its fields.
    """

    def __init__(self, chat: "BaseChatModel", *, name: str | None = None) -> None:
        from langchain_core.language_models import BaseChatModel

        if not isinstance(chat, BaseChatModel):
            what = chat.__name__ if isinstance(chat, type) else type(chat).__name__
            raise ContentError(
                f"LangChain({what}): takes a chat model of LangChain, an object of BaseChatModel, and not what is "
                "made from one by bind, with_retry or with_fallbacks; set options on the chat model itself"
            )
        said = getattr(chat, "model_name", None) or getattr(chat, "model", None) or type(chat).__name__
        self.name = name or f"langchain:{said}"
        self._chat = chat

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete a chat.

        Raises:
            ModelError: of kind timeout, refused, empty, or failed with what the chat model raised.
        """
        try:
            answer, parsed = await self._ask(messages, sampling, schema)
            return _completion(answer, parsed)
        except ModelError:
            raise
        except Exception as error:  # each chat model raises what its own client raises
            raise as_model_error(error) from error

    async def aclose(self) -> None:
        """Do nothing: LangChain's chat models cannot be closed."""

    async def _ask(
        self, messages: Sequence[Message], sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> tuple["AIMessage", Any]:
        chat = self._chat.model_copy(update=_settings(type(self._chat).model_fields, sampling))
        prompt = [(message["role"], message["content"]) for message in messages]
        if schema is not None:
            titled = {"title": "reply", **schema}
            try:
                constrained = chat.with_structured_output(titled, method="json_schema", include_raw=True)
            except (NotImplementedError, ValueError):  # it has no such thing, or not with a JSON schema
                pass
            else:
                got: Any = await constrained.ainvoke(prompt)
                return got["raw"], got["parsed"]
        return await chat.ainvoke(prompt), None


def _settings(declared: Mapping[str, Any], sampling: Sampling) -> dict[str, Any]:
    """Return a value for each declared field; a `top_p` of 1 is left alone, for some refuse it beside a temperature."""
    named = {
        name: next((field for field in fields if field in declared), None) for name, fields in _FIELDS.items()
    }
    if sampling.top_p == 1.0:
        del named["top_p"]
    return {field: getattr(sampling, name) for name, field in named.items() if field is not None}


def _completion(answer: "AIMessage", parsed: Any) -> Completion:
    """Read a completion out of a message; what was said through a tool call is the call's arguments."""
    blocks: list[Any] = list(answer.content_blocks)
    reasoning = "\n\n".join(block.get("reasoning") or "" for block in blocks if block["type"] == "reasoning")
    text = str(answer.text)
    if not reasoning and not text.lstrip().startswith(("{", "[")):
        thought, text = split_reasoning(text)
        reasoning = thought or ""
    if parsed is not None and (answer.tool_calls or not text.strip()):
        text = json.dumps(parsed, ensure_ascii=False)
    told = answer.response_metadata
    finish = str(told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason") or "stop")
    usage: Any = answer.usage_metadata or {}
    completion = Completion(
        text=text,
        reasoning=reasoning.strip() or None,
        finish_reason="length" if finish.lower() in {"length", "max_tokens"} else "stop",
        prompt_tokens=usage.get("input_tokens", 0),
        cached_tokens=usage.get("input_token_details", {}).get("cache_read", 0),
        completion_tokens=usage.get("output_tokens", 0),
    )
    if not text.strip():
        raise EmptyError(completion)
    return completion
