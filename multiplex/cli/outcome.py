"""How a command ends: a result on stdout, or one sentence on stderr and an exit code."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from multiplex.errors import MultiplexError

__all__ = ["Json", "fail", "plain_errors", "print_json"]

Json = Annotated[
    bool, typer.Option("--json", help="Print exactly one JSON object on stdout, and nothing else.")
]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the library raises on purpose into one sentence on stderr and exit code 1."""
    try:
        yield
    except MultiplexError as error:
        fail(str(error))
    except BrokenPipeError:
        # Whoever read our output has gone; what is left in the buffer must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None


def fail(message: str) -> NoReturn:
    """Print an error's sentence on stderr, and leave with exit code 1."""
    from multiplex.cli.text import safe

    print(f"error: {safe(message).plain}", file=sys.stderr)
    raise typer.Exit(1)


def print_json(data: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False))
