"""All deliberations of a dataset that are still due, as many at once as keep the model full."""

import asyncio
from collections.abc import Awaitable, Callable

from multiplex.dataset.producing import Made
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.store import Store, Task
from multiplex.errors import ContentError, ModelError, MultiplexError, NoQuorumError, RunError

__all__ = ["deliberate_all"]

_HOPELESS = 20
"""After how many failures without any success the rest is not tried."""

_KINDS = {ContentError: "content", NoQuorumError: "no_quorum", RunError: "run"}
"""What a failure is called in what is published; that of a model has a kind of its own."""

Produce = Callable[[Prompt], Awaitable[Made]]


async def deliberate_all(
    store: Store,
    produce: Produce,
    *,
    at_once: int,
    on_done: Callable[[Prompt, Made | None, str | None], None] = lambda prompt, made, failure: None,
) -> None:
    """Let `produce` make what is still to be made, and keep each as it comes.

    Memory holds what is in progress. A deliberation that fails is kept as failed, with its reason, and
    the others go on.

    Args:
        store: what is due, and where it is kept.
        produce: makes one.
        at_once: the most in progress at once.
        on_done: told of each prompt as it ends, with what was made, or with the reason of its failure.

    Raises:
        RunError: the first of them all failed, so that the rest would too; or nothing can be kept.
        ModelError: the model cannot be used at all.
    """
    succeeded = store.states()["done"] > 0
    hopeless = False
    failed = 0
    waiting = asyncio.Semaphore(at_once)
    tasks: set[asyncio.Task[None]] = set()
    broken: list[BaseException] = []

    async def make(task: Task) -> None:
        nonlocal succeeded, failed, hopeless
        try:
            made = await produce(task.prompt)
        except MultiplexError as error:
            failed += 1
            store.failed(task.place, str(error), kind=_kind(error))
            on_done(task.prompt, None, str(error))
            hopeless = hopeless or (failed >= _HOPELESS and not succeeded)
            if isinstance(error, ModelError) or hopeless:
                raise
        else:
            succeeded = True
            store.done(task.place, made.material)
            on_done(task.prompt, made, None)

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        waiting.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            broken.append(error)

    try:
        after = 0
        while not broken and (due := store.todo(after=after)):
            for task in due:
                await waiting.acquire()
                if broken:
                    break
                after = task.place
                running = asyncio.create_task(make(task))
                tasks.add(running)
                running.add_done_callback(ended)
        while tasks and not broken:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
    finally:
        for running in tasks:
            running.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if broken:
        error = broken[0]
        if hopeless and not isinstance(error, ModelError):
            raise RunError(
                f"the first {failed} deliberations all failed, so the rest was not tried: {error}"
            ) from error
        raise error


def _kind(error: MultiplexError) -> str:
    return error.kind if isinstance(error, ModelError) else _KINDS.get(type(error), "failed")
