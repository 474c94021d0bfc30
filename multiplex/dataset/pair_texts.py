"""What a preference set holds for a text: a string, a chat in one of two spellings, or a dialogue in one string."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from multiplex.dataset.rows import BadRow

__all__ = ["ASSISTANT", "answer", "question", "turns"]

ASSISTANT = "\n\nAssistant:"
"""What an answer stands behind, in a dialogue that is one string."""

_HUMAN = "\n\nHuman:"
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
}


def turns(value: Any, column: str) -> str | list[tuple[str, str]]:
    """Return a string, or the turns of a chat by role; BadRow where it is neither."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":  # as a table holds a chat
        with suppress(ValueError, RecursionError):
            parsed = json.loads(value)
            chat = parsed and all(
                isinstance(turn, dict) and {"role", "from"} & turn.keys() for turn in parsed
            )
            value = parsed if chat else value
    if value is None or isinstance(value, str):
        return value or ""
    turns = [value] if isinstance(value, Mapping) else value
    if not isinstance(turns, list):
        raise BadRow("malformed", f"{column}: needs text or a chat, and is {type(value).__name__}")
    found = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise BadRow("malformed", f"{column}: a turn of a chat needs role and content")
        role, said = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if isinstance(said, list):  # in parts, of which some may be pictures
            said = "\n".join(
                str(part["text"]) for part in said if isinstance(part, Mapping) and part.get("text")
            )
        if not isinstance(role, str) or not isinstance(said, str | None):
            raise BadRow("malformed", f"{column}: a turn of a chat needs role and content")
        found.append((_ROLES.get(role, role), said or ""))
    return found


def question(asked: str | list[tuple[str, str]]) -> str:
    """Return what was asked last."""
    if isinstance(asked, list):
        return next((said.strip() for role, said in reversed(asked) if role == "user"), "")
    last = asked.removesuffix(ASSISTANT).rpartition(_HUMAN)[2]
    return last.partition(ASSISTANT)[0].strip()


def answer(turns: list[tuple[str, str]]) -> str:
    """Return what the assistant says in turns of a chat, or all of them where it says nothing."""
    said = [text for role, text in turns if role == "assistant"] or [text for _, text in turns]
    return "\n\n".join(said).strip()
