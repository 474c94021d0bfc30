"""The workers of a build on many machines: hired, given prompts, and replaced when they die.

Who is hired is known by its remote methods alone (`actor.produce.remote(...)`, which is awaited), so that this
module needs no Ray either; `distributed` says how one is hired and dismissed, and what its death looks like.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from multiplex.dataset.producing import Made, installed_version
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.worker import Errand, Failed
from multiplex.errors import MultiplexError, RunError

__all__ = ["Crew", "Deserted"]

_TRIES = 3
"""How often a worker dies before it has made anything until its place stays empty; how many workers may die over
a prompt before it is the prompt's fault; and how many fail it before its failure is believed."""

_BLAMED = 5
"""How many prompts in a row, with nothing made in between, may be found the death of their workers; after them
it is the workers that are at fault, as where memory does not do for any prompt."""

_FAREWELL = 10.0
"""Seconds that workers have to close their engines and files before they are killed."""


class Deserted(Exception):  # noqa: N818 (the build ends with it; it is no prompt's own failure)
    """No worker is left, and none can be hired; `reason` is what to tell the user."""

    def __init__(self, reason: MultiplexError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(eq=False, slots=True)
class _Hand:
    """A worker that is ready, in its place, on some machine."""

    actor: Any
    place: int
    host: str
    room: int
    made: int = 0
    given: set[str] = field(default_factory=set)


class Crew:
    """So many places for workers, and `produce`, which has whoever is free deliberate on a prompt.

    Args:
        places: how many workers there should be.
        hire: starts one; it may wait for a machine that has room.
        dismiss: ends one, whatever state it is in.
        lost: what is raised when a worker or its machine has died, or cannot be reached.
        broken: what of it is raised when a worker met an error that is ours.
        errand, options: what each is told (see `Worker.start`).
        patience: seconds without any worker and without any that is starting, after which there are none.
        needs: what a worker needs, in words.
        on_notice: told, in a sentence, of workers that begin, are lost or do not start.
        on_spent: told, after each prompt, the name of a cache that is not the driver's, and what all in it took.
    """

    def __init__(
        self,
        places: int,
        *,
        hire: Callable[[], Any],
        dismiss: Callable[[Any], None],
        lost: type[Exception],
        broken: type[Exception],
        errand: Errand,
        options: Mapping[str, Any],
        patience: float,
        needs: str,
        on_notice: Callable[[str], None],
        on_spent: Callable[[str, Mapping[str, int]], None] = lambda cache, spent: None,
    ) -> None:
        self._places = places
        self._hire = hire
        self._dismiss = dismiss
        self._gone = lost
        self._broken = broken
        self._errand = errand
        self._options = options
        self._patience = patience
        self._needs = needs
        self._on_notice = on_notice
        self._on_spent = on_spent
        self._hands: list[_Hand] = []
        self._actors: dict[int, Any] = {}
        self._seeking: dict[int, asyncio.Task[None]] = {}
        self._starting: set[int] = set()
        self._deaths = dict.fromkeys(range(places), 0)
        self._untold: set[str] = set()
        self._suspects = 0
        self._blamed = 0
        self._reason: MultiplexError | None = None
        self._changed = asyncio.Event()

    async def open(self) -> int:
        """Hire, wait for the first to be ready, and return how many prompts at once keep all places full.

        Raises:
            Deserted: none could start, or there is no room for any.
        """
        for place in range(self._places):
            self._seek(place)
        hand = await self._free(())
        return hand.room * self._places

    async def produce(self, prompt: Prompt) -> Made:
        """Have a prompt deliberated on, by another worker if the first is lost.

        A failure on a worker that has not made anything yet may be the machine's: others are asked first. A
        worker takes all that it has with it, so that before a prompt is blamed it has a worker to itself.

        Raises:
            MultiplexError: as the worker's `Producer.produce`; or its workers died again and again.
            Deserted: no worker is left.
        """
        fatal: list[int] = []
        failed: list[_Hand] = []
        while True:
            alone = len(fatal) == _TRIES - 1
            hand = await (self._idle(failed) if alone else self._free(failed))
            taken = hand.room if alone else 1
            hand.room -= taken
            hand.given.add(prompt.id)
            try:
                outcome = await hand.actor.produce.remote(prompt)
            except self._gone as error:
                if isinstance(error, self._broken):
                    raise
                self._lose(hand, error)
                fatal.append(hand.place)
                if len(fatal) == _TRIES:
                    self._blame(fatal)
                    raise RunError(
                        f"{_TRIES} workers died while they deliberated on it: {_brief(error)}"
                    ) from error
                continue
            finally:
                hand.given.discard(prompt.id)
                hand.room += taken
                self._tell()
            await self._count(hand)
            if isinstance(outcome, Made):
                hand.made += 1
                self._blamed = 0
                self._deaths[hand.place] = 0
                return outcome
            failed.append(hand)
            elsewhere = any(other not in failed for other in self._hands)
            if hand.made or len(failed) == _TRIES or not elsewhere:
                raise outcome.error

    async def _count(self, hand: _Hand) -> None:
        """Pass on what a worker's cache took, where it has its own; who has died since told it before."""
        with suppress(self._gone):
            spent = await hand.actor.spent.remote()
            if isinstance(spent, Failed):
                if hand.host not in self._untold:
                    self._untold.add(hand.host)
                    self._on_notice(f"what is spent on {hand.host} is not counted: {spent.message}")
            elif spent is not None:
                self._on_spent(*spent)

    async def close(self, *, forget: bool) -> None:
        """Let workers close what they opened, then end them; `forget` as `Worker.close`."""
        for seeking in self._seeking.values():
            seeking.cancel()
        await asyncio.gather(*self._seeking.values(), return_exceptions=True)
        farewells = [asyncio.ensure_future(_closed(hand.actor, forget)) for hand in self._hands]
        if farewells:
            await asyncio.wait(farewells, timeout=_FAREWELL)
        for farewell in farewells:
            farewell.cancel()
        self.dismiss()

    def dismiss(self) -> None:
        """End all workers at once."""
        self._hands.clear()
        while self._actors:
            self._dismiss(self._actors.popitem()[1])

    async def _free(self, but: Iterable[_Hand]) -> _Hand:
        """Return the worker with the most room, rather none of those; wait where all are busy."""
        while True:
            others = [hand for hand in self._hands if hand not in but]
            reserved = self._reserved()
            if free := [hand for hand in others or self._hands if hand.room and hand is not reserved]:
                return max(free, key=lambda hand: hand.room)
            await self._change()

    async def _idle(self, but: Iterable[_Hand]) -> _Hand:
        """Return a worker that has nothing to do, rather none of those; wait where there is none."""
        self._suspects += 1
        try:
            while True:
                if idle := [hand for hand in self._hands if not hand.given]:
                    return min(idle, key=lambda hand: hand in but)
                await self._change()
        finally:
            self._suspects -= 1
            self._tell()

    def _reserved(self) -> _Hand | None:
        """Return who gets nothing new, so that a prompt which waits for an idle worker has one: the least busy."""
        return min(self._hands, key=lambda hand: len(hand.given), default=None) if self._suspects else None

    async def _change(self) -> None:
        """Wait until something has changed; raise Deserted where nothing can."""
        if not self._hands and not self._seeking:
            raise Deserted(self._reason or RunError("no worker is left"))
        waits = None if self._hands or self._starting else self._patience
        try:
            await asyncio.wait_for(self._changed.wait(), waits)
        except TimeoutError:
            if not self._hands and not self._starting:
                said = f" ({self._reason})" if self._reason else ""
                raise Deserted(
                    RunError(
                        f"for {self._patience:.0f} s there was no room on the cluster for any worker: each needs "
                        f"{self._needs}{said}; what is done is kept: run the same again when there is room"
                    )
                ) from None

    def _seek(self, place: int) -> None:
        seeking = asyncio.ensure_future(self._fill(place))
        self._seeking[place] = seeking
        seeking.add_done_callback(lambda _: self._tell())

    async def _fill(self, place: int) -> None:
        """Hire until somebody is ready in this place, or until it is of no use."""
        try:
            while self._deaths[place] < _TRIES:
                try:
                    actor = self._actors[place] = self._hire()
                    if (hand := await self._welcomed(actor, place)) is not None:
                        self._hands.append(hand)
                        self._on_notice(f"worker {place + 1} of {self._places} begins on {hand.host}")
                        return
                    break  # it said why, and would say it again
                except self._gone as error:
                    self._deaths[place] += 1
                    self._reason = RunError(f"workers die as they start: {_brief(error)}")
                finally:
                    self._starting.discard(place)
                self._send_away(place)
            self._send_away(place)
            self._on_notice(f"worker {place + 1} of {self._places} does not start: {self._reason}")
        finally:
            del self._seeking[place]

    async def _welcomed(self, actor: Any, place: int) -> _Hand | None:
        version, host = await actor.hello.remote()
        self._starting.add(place)
        self._tell()
        if version != installed_version():
            self._reason = RunError(
                f"{host} has Multiplex {version}, and this is {installed_version()}; install the same there"
            )
            return None
        started = await actor.start.remote(self._errand, dict(self._options))
        if isinstance(started, Failed):
            self._reason = Failed(started.kind, f"{host}: {started.message}", started.detail).error
            return None
        return _Hand(actor, place, host, room=started)

    def _lose(self, hand: _Hand, error: Exception) -> None:
        """Replace a worker that has died; whoever had given it something comes by here, the first does it."""
        if hand not in self._hands:
            return
        self._hands.remove(hand)
        self._deaths[hand.place] += 1
        self._reason = RunError(f"no worker is left, the last on {hand.host}: {_brief(error)}")
        self._on_notice(
            f"the worker on {hand.host} is lost ({type(error).__name__}); the {len(hand.given)} prompts that it had "
            "are given to others"
        )
        self._send_away(hand.place)
        if self._deaths[hand.place] < _TRIES:
            self._seek(hand.place)

    def _blame(self, fatal: Iterable[int]) -> None:
        """Hold the deaths in these places against a prompt, and fill again those that they left empty."""
        self._blamed += 1
        if self._blamed > _BLAMED:
            return
        for place in set(fatal):
            emptied = self._deaths[place] >= _TRIES and place not in self._seeking
            self._deaths[place] = 0
            if emptied:
                self._seek(place)

    def _send_away(self, place: int) -> None:
        if (actor := self._actors.pop(place, None)) is not None:
            self._dismiss(actor)

    def _tell(self) -> None:
        """Wake up who waits."""
        self._changed.set()
        self._changed = asyncio.Event()


async def _closed(actor: Any, forget: bool) -> None:
    with suppress(Exception):  # it may be gone already, and is ended in any case
        await actor.close.remote(forget=forget)


def _brief(error: Exception) -> str:
    """Return the line of an error that says most: Ray tells the whole story, and the reason last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
