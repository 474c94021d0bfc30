"""Work off the event loop: who waits for it, and who does not."""

import asyncio
import threading
from contextlib import suppress

import pytest

from multiplex.background import in_thread_of_its_own


def test_no_loop_waits_for_a_thread_that_was_left_behind() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)
        ended.set()

    async def leave() -> None:
        task = asyncio.create_task(in_thread_of_its_own(work))
        assert await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(30)


def test_what_it_returns_or_raises_comes_back() -> None:
    assert asyncio.run(in_thread_of_its_own(sum, [1, 2])) == 3
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread_of_its_own(divmod, 1, 0))
