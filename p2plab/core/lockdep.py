"""Who waits for whom, and in which order locks are taken: the two graphs behind a deadlock and behind a near miss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from p2plab.core.events import Event


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
        return f"lock order: takes {self.wanted} under {self.held}; {self.before} took {' then '.join(self.chain)}"


@dataclass(frozen=True, slots=True)
class Deadlock(Event):
    """``cycle``: actors of whom each waits for the next and the last for the first. ``waits``: what each waits in.

    An empty cycle: everybody waits for something that nobody is left to do.
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

    It is a reading of the run and not a part of the state: it never decides what a step does.
    """

    def __init__(self) -> None:
        self.held: dict[str, list[str]] = {}
        self._after: dict[str, dict[str, str]] = {}  #: lock -> lock taken under it -> who did so first
        self._told: set[tuple[str, str]] = set()

    def about_to_take(self, actor: str, lock: str) -> Iterator[LockInversion]:
        """An actor wants ``lock``: note the order; yields an inversion if the opposite order was seen before."""
        for held in self.held.get(actor, ()):
            if held == lock:
                continue  # taking it twice is a deadlock with oneself, and reported as one
            chain = self._path(lock, held)
            if chain and (held, lock) not in self._told:
                self._told |= {(held, lock), (lock, held)}
                yield LockInversion(held, lock, chain, self._after[chain[0]][chain[1]])
            self._after.setdefault(held, {}).setdefault(lock, actor)

    def taken(self, actor: str, lock: str) -> None:
        """An actor holds ``lock`` now."""
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
