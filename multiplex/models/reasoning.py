"""Telling what a model thought apart from what it said, where it wrote both into one text."""

__all__ = ["split_reasoning"]

_OPENING = "<think>"
_CLOSING = "</think>"


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Return the reasoning that a text begins with, or None, and the answer that follows it.

    Reasoning is what stands between `<think>` at the very beginning and the first `</think>`. Some chat
    templates end the prompt with `<think>`, so that a text that only closes it begins with reasoning too,
    unless it begins as JSON does; a text that never closes it was cut off while thinking, and has no answer.

    >>> split_reasoning("<think>Who is hurt?</think>Nobody.")
    ('Who is hurt?', 'Nobody.')
    """
    stripped = text.lstrip()
    opened = stripped.startswith(_OPENING)
    thought, closed, answer = stripped.removeprefix(_OPENING).partition(_CLOSING)
    if closed and (opened or (_OPENING not in thought and not stripped.startswith(("{", "[")))):
        return thought.strip() or None, answer.lstrip()
    if opened:
        return thought.strip() or None, ""
    return None, text
