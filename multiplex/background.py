"""Work off the event loop: while it runs, calls to models go on, and Ctrl-C is heard.

What computes has one thread, so that embeddings and matrices have one user at a time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Thread
from typing import ParamSpec, TypeVar

__all__ = ["in_background", "in_thread_of_its_own"]

P = ParamSpec("P")
T = TypeVar("T")

_DESK = ThreadPoolExecutor(max_workers=1, thread_name_prefix="multiplex")


async def in_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns; whoever comes first is served first."""
    return await asyncio.get_running_loop().run_in_executor(_DESK, partial(work, *args, **kwargs))


async def in_thread_of_its_own(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns; whoever is cancelled leaves it behind.

    Threads of an event loop's own (`asyncio.to_thread`) are waited for when the loop closes; this one is not, but
    threads that `work` starts itself, as the hub's client does, are waited for when the process exits.
    """
    future: Future[T] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # whoever waits is told, whatever it is
                future.set_exception(error)

    Thread(target=run, daemon=True, name="multiplex-apart").start()
    return await asyncio.wrap_future(future)
