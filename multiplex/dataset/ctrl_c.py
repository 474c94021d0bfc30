"""Ctrl-C where nothing is waited for: asyncio tells a task of it only when the task waits for something."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["heard_at_once"]


@contextmanager
def heard_at_once() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt within, where asyncio would keep it for later."""
    before = signal.getsignal(signal.SIGINT)
    # What `asyncio.run` sets, a method of its runner with the task to cancel; a program's own handler is left alone.
    runner = getattr(getattr(before, "func", None), "__self__", None)
    if not isinstance(runner, asyncio.Runner) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
