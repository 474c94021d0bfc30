"""Text that came from files, models or the network, made safe to print."""

from rich.text import Text

__all__ = ["safe"]


def safe(text: object, style: str = "") -> Text:
    """Return text as it is to be seen: no markup is read in it, and nothing in it reaches the terminal as a command."""
    return Text("".join(c for c in str(text) if c == "\n" or c.isprintable()), style=style)
