"""Messages to tokens, through the model's own chat template."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Message

__all__ = ["Chat", "merge_system", "read_template"]

_MARK = "multiplex-system-mark"
_ADVICE = "give one with --engine-arg chat_template=FILE, or use an instruction-tuned model"
_MARKUP = re.compile(r"(?=[\W_]).*[^\W_].*(?<=[\W_])", re.DOTALL)
"""A token between symbols, as `[INST]` is. Of those that are words some are everybody's: `eop` is in people."""


class Chat:
    """A tokenizer's chat template, with the system message where the template has a place for it.

    What messages say is text: a control token in it is broken up (`[INST]` to `[ INST]`), so that nobody's
    words end a turn or begin another.

    Raises:
        ContentError: the model has no chat template, or one that cannot be used.
    """

    def __init__(
        self, tokenizer: Any, *, template: str | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._options = {**(kwargs or {}), "add_generation_prompt": True, "return_dict": False}
        if template is not None:
            self._options["chat_template"] = template
        self._control = _control(tokenizer)
        self.merges_system = not self._takes_system()

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt's token ids, with the beginning of the assistant's turn.

        Raises:
            ModelError: of kind invalid_request, where the template refuses the messages.
        """
        chat = merge_system(messages) if self.merges_system else list(messages)
        if self._control is not None:
            chat = [
                {"role": message["role"], "content": self._control.sub(r"\g<0> ", message["content"])}
                for message in chat
            ]
        try:
            ids: list[int] = self._apply(chat, tokenize=True)
        except Exception as error:  # a template may raise whatever it likes
            roles = ", ".join(message["role"] for message in chat)
            raise ModelError(
                f"its chat template does not take messages of {roles}: {_reason(error)}; {_ADVICE}",
                kind="invalid_request",
            ) from error
        return ids

    def first_token(self, text: str) -> int:
        """Return the token that a text begins with, at the beginning of the assistant's turn."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids[0]

    def _apply(self, messages: list[Message], *, tokenize: bool) -> Any:
        return self._tokenizer.apply_chat_template(messages, tokenize=tokenize, **self._options)

    def _takes_system(self) -> bool:
        """Find out, by rendering, whether a system message is shown to the model."""
        chat: list[Message] = [{"role": "system", "content": _MARK}, {"role": "user", "content": "Question"}]
        with suppress(Exception):  # a template may raise whatever it likes
            if self._shows(chat):
                return True
        try:
            if self._shows(merge_system(chat)):
                return False
        except Exception as error:
            raise ContentError(
                f"the model's chat template cannot be used: {_reason(error)}; {_ADVICE}"
            ) from error
        raise ContentError(f"the model's chat template does not show what the user says; {_ADVICE}")

    def _shows(self, chat: list[Message]) -> bool:
        rendered = self._apply(chat, tokenize=False)
        if isinstance(rendered, str):
            return _MARK in rendered
        return _MARK in self._tokenizer.decode(self._apply(chat, tokenize=True))


def _control(tokenizer: Any) -> re.Pattern[str] | None:
    """Return what matches the first character of each control token in a text, or None if there are no such tokens."""
    listed = {str(token).strip() for token in (*tokenizer.all_special_tokens, *tokenizer.get_added_vocab())}
    rests = defaultdict(
        list
    )  # some tokenizers have thousands: few characters of a text are to be compared to them
    for token in sorted(listed):
        if _MARKUP.fullmatch(token):
            rests[token[0]].append(re.escape(token[1:]))
    if not rests:
        return None
    return re.compile("|".join(f"{re.escape(first)}(?={'|'.join(more)})" for first, more in rests.items()))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def merge_system(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the system message put before what the user says first."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    merged: list[Message] = []
    for message in messages:
        if message["role"] == "system":
            continue
        if system and message["role"] == "user":
            message = {"role": "user", "content": f"{system}\n\n{message['content']}"}
            system = ""
        merged.append(message)
    return [{"role": "user", "content": system}, *merged] if system else merged


def read_template(given: str | None) -> str | None:
    """Return the chat template that an option gives, as text or as a file.

    Raises:
        ContentError: there is no such file.
    """
    if given is None or "{{" in given or "{%" in given:
        return given
    try:
        return Path(given).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(f"chat_template: cannot read {given!r} ({error})") from error
