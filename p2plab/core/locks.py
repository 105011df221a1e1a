"""Mutexes and the reader-writer lock, as the kernel has them, with wait-for and lock-order reports.

Taking a free lock is one step. Leaving ``async with`` releases it at once and then yields one more step, because
between the release and the next operation anything else may happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import Event, emit
from p2plab.core.running import current_world, running
from p2plab.core.tracked import Tracked


@dataclass(frozen=True, slots=True)
class LockAcquired(Event):
    """The actor of the entry holds ``lock`` now; ``mode`` is ``mutex``, ``read`` or ``write``."""

    lock: str
    mode: str


@dataclass(frozen=True, slots=True)
class LockReleased(Event):
    """The actor of the entry let go of ``lock``."""

    lock: str
    mode: str


class Mutex(Tracked):
    """A sleeping lock with one holder (``struct mutex``): ``async with mutex: …``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner: str | None = None

    def __repr__(self) -> str:
        return f"<Mutex {self.name}: {f'held by {self.owner}' if self.owner is not None else 'free'}>"

    async def lock(self) -> None:
        """Take it, waiting until it is free."""
        note_wanted(self.name, "mutex")
        await wait_event(lambda: self.owner is None, f"lock {self.name}", waits_for=self.holders)
        self.owner = running.actor
        note_taken(self.name, "mutex")

    def trylock(self) -> bool:
        """Take it if it is free, without waiting and within the same step (``mutex_trylock``)."""
        if self.owner is not None:
            return False
        self.owner = running.actor
        note_taken(self.name, "mutex")
        return True

    def unlock(self) -> None:
        """Let it go, within the same step. RuntimeError if the running actor does not hold it."""
        if self.owner != running.actor:
            raise RuntimeError(f"{running.actor} unlocks {self.name}, which {self.owner or 'nobody'} holds")
        self.owner = None
        note_released(self.name, "mutex")

    def holders(self) -> tuple[str, ...]:
        """The actors that must release it before another can take it."""
        return () if self.owner is None else (self.owner,)

    async def __aenter__(self) -> Mutex:
        await self.lock()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _e: object, _t: TracebackType | None) -> None:
        if kind is GeneratorExit:  # the world is being thrown away: nobody will ever run again
            return
        self.unlock()
        await step(f"{self.name} released")


class WwAcquireCtx(Tracked):
    """One transaction over several :class:`WwMutex` (``struct ww_acquire_ctx``). ``stamp``: the lower, the older."""

    def __init__(self, stamp: int) -> None:
        self.stamp = stamp
        self.acquired = 0

    def __repr__(self) -> str:
        return f"<WwAcquireCtx {self.stamp}, {self.acquired} locks>"


class WwMutex(Mutex):
    """A lock of which several may be held, in any order, within one transaction (``struct ww_mutex``), by wait-die.

    As ``reservation_ww_class`` of drivers/dma-buf/dma-resv.c: a transaction that meets a lock of an older one while it holds
    others gets -EDEADLK and must release all its locks; an older one waits. Within a transaction lockdep checks no order.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ctx: WwAcquireCtx | None = None

    async def lock_in(self, ctx: WwAcquireCtx) -> None:
        """Take it for a transaction; :class:`KernelError` -EDEADLK if the transaction has to begin again."""
        if not ctx.acquired:
            note_wanted(self.name, "mutex")
        label = f"lock {self.name}"
        await wait_event(lambda: self.owner is None or self._must_die(ctx), label, waits_for=self.holders)
        if self.owner is not None:
            raise KernelError("EDEADLK", f"{self.name} is held by an older transaction")
        self.owner = running.actor
        self.ctx = ctx
        ctx.acquired += 1
        note_taken(self.name, "mutex")

    def unlock(self) -> None:
        """Let it go, within the same step."""
        super().unlock()
        if self.ctx is not None:
            self.ctx.acquired -= 1
            self.ctx = None

    def _must_die(self, ctx: WwAcquireCtx) -> bool:
        return bool(ctx.acquired) and self.ctx is not None and self.ctx.stamp < ctx.stamp


async def lock_all(ctx: WwAcquireCtx, locks: tuple[WwMutex, ...]) -> None:
    """All of them, in any order: after -EDEADLK all are released, and the contended lock is taken first."""
    first: WwMutex | None = None
    while True:
        taken: list[WwMutex] = []
        try:
            for lock in (*([first] if first is not None else []), *(lock for lock in locks if lock is not first)):
                contended = lock
                await lock.lock_in(ctx)
                taken.append(lock)
            return
        except KernelError as error:
            if error.name != "EDEADLK":
                raise
            first = contended
            for lock in reversed(taken):
                lock.unlock()
            await step("backs off")


class RWLock(Tracked):
    """A reader-writer semaphore (``struct rw_semaphore``), first come first served.

    A queued writer holds back later readers, as in the kernel; ``downgrade`` makes a writer a reader without a gap.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.writer: str | None = None
        self.readers: list[str] = []
        self.queue: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        held = f"written by {self.writer}" if self.writer is not None else f"read by {', '.join(self.readers)}"
        state = held if self.holders() else "free"
        queue = ", ".join(f"{who} ({mode})" for who, mode in self.queue)
        return f"<RWLock {self.name}: {state}{f'; queued: {queue}' if queue else ''}>"

    def read(self) -> _Held:
        """``async with lock.read(): …``"""
        return _Held(self, "read")

    def write(self) -> _Held:
        """``async with lock.write(): …``"""
        return _Held(self, "write")

    async def down_read(self) -> None:
        """Take it for reading."""
        await self._down("read")

    async def down_write(self) -> None:
        """Take it for writing."""
        await self._down("write")

    def up_read(self) -> None:
        """Give a read hold back, within the same step."""
        self._up("read")

    def up_write(self) -> None:
        """Give the write hold back, within the same step."""
        self._up("write")

    def downgrade(self) -> None:
        """From writer to reader without letting go (``downgrade_write``), within the same step."""
        if self.writer != running.actor:
            raise RuntimeError(
                f"{running.actor} downgrades {self.name}, which {self.writer or 'nobody'} holds for writing"
            )
        self.writer = None
        note_released(self.name, "write")
        self.readers.append(running.actor)
        note_taken(self.name, "read")
        self._hand_over()

    def mode_held_by_me(self) -> str | None:
        """``write``, ``read`` or None: how the running actor holds it."""
        if self.writer == running.actor:
            return "write"
        return "read" if running.actor in self.readers else None

    def is_free_for_reading(self) -> bool:
        """Whether a reader would get it at once: no writer holds it and the queue is empty."""
        return self.writer is None and not self.queue

    def holders(self) -> tuple[str, ...]:
        """The actors that must release it before the next in the queue can take it."""
        return (self.writer,) if self.writer is not None else tuple(self.readers)

    async def _down(self, mode: str) -> None:
        me = running.actor
        note_wanted(self.name, mode)
        taken = await step(f"down_{mode} {self.name}", lambda: self._try(me, mode))
        if not taken:
            await wait_event(
                lambda: self._holds(me, mode), f"{self.name} granted", waits_for=lambda: self._ahead_of(me)
            )
            note_taken(self.name, mode)

    def _try(self, me: str, mode: str) -> bool:
        free = self.writer is None and (mode == "read" or not self.readers)
        if free and not self.queue:
            self._grant(me, mode)
            note_taken(self.name, mode)
            return True
        self.queue.append((me, mode))
        return False

    def _grant(self, who: str, mode: str) -> None:
        if mode == "write":
            self.writer = who
        else:
            self.readers.append(who)

    def _holds(self, who: str, mode: str) -> bool:
        return self.writer == who if mode == "write" else who in self.readers

    def _up(self, mode: str) -> None:
        me = running.actor
        if not self._holds(me, mode):
            raise RuntimeError(f"{me} gives back {self.name} ({mode}), which it does not hold")
        if mode == "write":
            self.writer = None
        else:
            self.readers.remove(me)
        note_released(self.name, mode)
        self._hand_over()

    def _hand_over(self) -> None:
        while self.queue and self.writer is None:
            who, mode = self.queue[0]
            if mode == "write" and self.readers:
                return
            self.queue.pop(0)
            self._grant(who, mode)

    def _ahead_of(self, me: str) -> tuple[str, ...]:
        waiting = [who for who, _ in self.queue]
        return (*self.holders(), *waiting[: waiting.index(me)])


class _Held:
    """``async with`` for one mode of an :class:`RWLock`; after a downgrade it gives back what is held then."""

    __slots__ = ("lock", "mode")

    def __init__(self, lock: RWLock, mode: str) -> None:
        self.lock = lock
        self.mode = mode

    async def __aenter__(self) -> RWLock:
        await self.lock._down(self.mode)
        return self.lock

    async def __aexit__(self, kind: type[BaseException] | None, _e: object, _t: TracebackType | None) -> None:
        if kind is GeneratorExit:  # the world is being thrown away: nobody will ever run again
            return
        self.lock._up(self.lock.mode_held_by_me() or self.mode)
        await step(f"{self.lock.name} released")


class lock_map:
    """``with lock_map("srcu", "read"): …``: an annotation for lockdep, which treats the section as taking it; nothing waits."""

    __slots__ = ("mode", "name")

    def __init__(self, name: str, mode: str = "map") -> None:
        self.name = name
        self.mode = mode

    def __enter__(self) -> None:
        current_world().lock_order.enters(running.actor, self.name, self.mode)

    def __exit__(self, kind: type[BaseException] | None, _e: object, _t: TracebackType | None) -> None:
        if kind is not GeneratorExit:  # else the world is being thrown away: nobody will ever run again
            current_world().lock_order.leaves(running.actor, self.name)


def note_wanted(lock: str, mode: str) -> None:
    """The running actor is about to take a lock or enter a lock map."""
    for inversion in current_world().lock_order.about_to_take(running.actor, lock, mode):
        emit(inversion)


def note_taken(lock: str, mode: str) -> None:
    """It has it."""
    current_world().lock_order.taken(running.actor, lock, mode)
    emit(LockAcquired(lock, mode))


def note_released(lock: str, mode: str) -> None:
    """It let it go."""
    current_world().lock_order.released(running.actor, lock)
    emit(LockReleased(lock, mode))
