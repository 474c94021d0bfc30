"""What the column that the question is in may be called, in a file of prompts."""

__all__ = ["CHATS", "COLUMNS", "QUESTIONS", "any_of_them"]

QUESTIONS = ("question", "prompt", "text", "instruction", "query")
"""Columns of texts."""

CHATS = ("messages", "conversation", "conversations", "chat")
"""Columns of chats."""

COLUMNS = (*QUESTIONS, *CHATS)
"""Where the question is looked for, in this order."""


def any_of_them() -> str:
    """Return the names as they stand in a sentence."""
    return f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
