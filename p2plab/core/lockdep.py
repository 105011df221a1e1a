"""Who waits for whom, and in which order locks are taken: the two graphs behind a deadlock and behind a near miss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from p2plab.core.events import Event

#: Lock maps: no actor holds such a lock; they mark where lockdep assumes one. Allocating with direct reclaim takes
#: FS_RECLAIM (mm/page_alloc.c, ``fs_reclaim_acquire``), reclaim and zapping call notifiers under NOTIFIER
#: (include/linux/mmu_notifier.h), and waiting for a fence, or having to signal one, takes DMA_FENCE
#: (drivers/dma-buf/dma-fence.c).
FS_RECLAIM, NOTIFIER, DMA_FENCE = "fs_reclaim", "mmu_notifier_invalidate_range_start", "dma_fence_map"
#: What the kernel itself does under each: reclaim calls notifiers, and a notifier may wait for a fence
#: (drivers/dma-buf/dma-resv.c, ``dma_resv_lockdep``).
KNOWN = {FS_RECLAIM: NOTIFIER, NOTIFIER: DMA_FENCE}
#: The name given for that.
KERNEL = "the kernel"


@dataclass(frozen=True, slots=True)
class LockInversion(Event):
    """Two locks were taken in both orders: a deadlock is possible, whether or not it happened this time.

    ``chain`` is the order seen before, from the lock wanted now to the one held; ``before`` names who took it that way.
    """

    held: str
    wanted: str
    chain: tuple[str, ...]
    before: str

    def __str__(self) -> str:
        if self.held == self.wanted:
            return f"lock order: takes {self.wanted} under itself"
        return f"lock order: takes {self.wanted} under {self.held}; {self.before} took {' then '.join(self.chain)}"


@dataclass(frozen=True, slots=True)
class Deadlock(Event):
    """``cycle``: actors, each waiting for the next and the last for the first. ``waits``: what each waits in.

    With an empty cycle every actor waits for something that no actor is left to do.
    """

    cycle: tuple[str, ...]
    waits: tuple[str, ...]

    def __str__(self) -> str:
        if not self.cycle:
            return f"deadlock: all wait ({'; '.join(self.waits)})"
        ring = " -> ".join((*self.cycle, self.cycle[0]))
        return f"deadlock: {ring} ({'; '.join(self.waits)})"


class LockOrder:
    """The order in which locks were ever taken while others were held, as lockdep keeps it.

    It is read from the run and is no part of the state: it never decides what a step does. The lock maps are in it
    from the first allocation (or fence) on: until then no order through them can close a circle.
    """

    def __init__(self) -> None:
        self.held: dict[str, list[str]] = {}
        self.inside: dict[str, int] = {}  #: actor -> how many calls of notifiers it is in
        self._after: dict[str, dict[str, str]] = {}  #: lock -> lock taken under it -> the actor that did so first
        self._told: set[tuple[str, str]] = set()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def copied(self) -> LockOrder:
        """The same, to go on with."""
        new = type(self)()
        new.held = {actor: list(locks) for actor, locks in self.held.items()}
        new.inside = dict(self.inside)
        new._after = {lock: dict(others) for lock, others in self._after.items()}
        new._told = set(self._told)
        return new

    def enters(self, actor: str, lock_map: str, mode: str = "") -> None:
        """An actor begins a section under a lock map: the notifiers', or one in which it must signal a fence."""
        if lock_map == NOTIFIER:
            self.inside[actor] = self.inside.get(actor, 0) + 1
        elif lock_map == DMA_FENCE:
            LockOrder.taken(self, actor, lock_map)

    def leaves(self, actor: str, lock_map: str) -> None:
        """Its end."""
        if lock_map == NOTIFIER:
            self.inside[actor] -= 1
            if not self.inside[actor]:
                del self.inside[actor]
        elif lock_map == DMA_FENCE:
            LockOrder.released(self, actor, lock_map)

    def about_to_take(self, actor: str, lock: str, mode: str = "") -> Iterator[LockInversion]:
        """An actor wants ``lock``: note the order; yields an inversion if the opposite order was seen before."""
        self._learn(lock)
        under = (NOTIFIER,) if actor in self.inside and FS_RECLAIM in self._after else ()
        for held in (*self.held.get(actor, ()), *under):
            if held == lock == NOTIFIER and (held, lock) not in self._told:
                self._told.add((held, lock))
                yield LockInversion(held, lock, (lock,), actor)
            if held == lock:
                continue  # taking it twice is a deadlock with oneself, and reported as one
            chain = self._path(lock, held)
            if chain and (held, lock) not in self._told:
                self._told |= {(held, lock), (lock, held)}
                yield LockInversion(held, lock, chain, self._after[chain[0]][chain[1]])
            self._after.setdefault(held, {}).setdefault(lock, actor)

    def _learn(self, lock: str) -> None:
        """At the first lock map: add what the kernel does under each."""
        if lock in (FS_RECLAIM, NOTIFIER, DMA_FENCE) and FS_RECLAIM not in self._after:
            self._after |= {first: {second: KERNEL} for first, second in KNOWN.items()}

    def taken(self, actor: str, lock: str, mode: str = "") -> None:
        """An actor holds ``lock`` now."""
        self._learn(lock)
        self.held.setdefault(actor, []).append(lock)

    def released(self, actor: str, lock: str) -> None:
        """An actor let go of ``lock``."""
        self.held[actor].remove(lock)

    def _path(self, start: str, goal: str) -> tuple[str, ...]:
        """Locks from ``start`` to ``goal``, each taken under the one before; empty if there is no such chain."""
        came: dict[str, str | None] = {start: None}
        todo = [start]
        while todo:
            lock = todo.pop(0)
            if lock == goal:
                chain = []
                here: str | None = lock
                while here is not None:
                    chain.append(here)
                    here = came[here]
                return tuple(reversed(chain))
            for nxt in self._after.get(lock, ()):
                if nxt not in came:
                    came[nxt] = lock
                    todo.append(nxt)
        return ()


class LockHistory(LockOrder):
    """The same, which keeps what was done in ``history``: (what, actor, lock, mode), for :mod:`p2plab.core.lock_classes`."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[tuple[str, str, str, str]] = []

    def enters(self, actor: str, lock_map: str, mode: str = "") -> None:
        self.history.append(("enters", actor, lock_map, mode))
        super().enters(actor, lock_map, mode)

    def leaves(self, actor: str, lock_map: str) -> None:
        self.history.append(("leaves", actor, lock_map, ""))
        super().leaves(actor, lock_map)

    def about_to_take(self, actor: str, lock: str, mode: str = "") -> Iterator[LockInversion]:
        self.history.append(("wants", actor, lock, mode))
        return super().about_to_take(actor, lock, mode)

    def taken(self, actor: str, lock: str, mode: str = "") -> None:
        self.history.append(("takes", actor, lock, mode))
        super().taken(actor, lock, mode)

    def released(self, actor: str, lock: str) -> None:
        self.history.append(("releases", actor, lock, ""))
        super().released(actor, lock)


def any_waiting_cycle(starts: Iterable[str], waits_for: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """The cycle of the wait-for graph through the first of ``starts`` that has one, or empty."""
    return next((cycle for start in starts if (cycle := waiting_cycle(start, waits_for))), ())


def waiting_cycle(start: str, waits_for: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """The cycle of the wait-for graph through ``start``, or empty. ``waits_for`` gives a blocked actor's edges."""
    path: list[str] = []
    seen: set[str] = set()

    def visit(actor: str) -> bool:
        path.append(actor)
        for other in waits_for(actor):
            if other == start:
                return True
            if other not in seen:
                seen.add(other)
                if visit(other):
                    return True
        path.pop()
        return False

    return tuple(path) if visit(start) else ()
