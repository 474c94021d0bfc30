"""Work that computes, off the event loop: in one thread, so that embeddings and matrices have one user at a time.

While it runs, calls to models go on, and Ctrl-C is heard.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

__all__ = ["in_background"]

P = ParamSpec("P")
T = TypeVar("T")

_DESK = ThreadPoolExecutor(max_workers=1, thread_name_prefix="multiplex")


async def in_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns; whoever comes first is served first."""
    return await asyncio.get_running_loop().run_in_executor(_DESK, partial(work, *args, **kwargs))
