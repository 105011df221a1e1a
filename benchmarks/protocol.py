"""One protocol, three ways: as drivers of p2plab, in Promela (SPIN) and in Murphi (rumur).

``importers`` devices map one of two buffers each and do DMA to it; the exporter moves buffers between ``slots`` of its
BAR; the CPU unmaps and maps them. Every choice that a process of SPIN's could make is here an actor of its own, since an
actor of p2plab is code and never chooses: so all three have the very same states.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.core.actors import wait_event
from p2plab.core.events import Entry, Event, emit
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.rules.base import Finding, Rule

BUFFERS = 2
RIGHT, IGNORES, NO_RETRY = 0, 1, 2


class StaleDma(Event):
    """A device may use an address that is no longer its own."""


class NoStale(Rule):
    """What all three models watch."""

    name = "no-stale"
    promise = "a device that may do DMA has the buffer's present slot"
    source = "this benchmark"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        if isinstance(entry.event, StaleDma):
            yield self.broken(entry, entry.actor, "stale DMA")


class Bar(Tracked):
    """The exporter: where each buffer is, and what is under way (0 nothing, 1 asked back, 2 copying, 3 unmapping)."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        for buffer in range(BUFFERS):
            setattr(self, f"place{buffer}", buffer)
            setattr(self, f"alive{buffer}", True)
        self.doing = 0
        self.buffer = 0
        self.target = 0
        self.importers: tuple[Importer, ...] = ()

    def is_free(self, slot: int) -> bool:
        """Whether no living buffer is in the slot, or on its way there."""
        if self.doing == 2 and self.target == slot:
            return False
        return not any(getattr(self, f"alive{b}") and getattr(self, f"place{b}") == slot for b in range(BUFFERS))

    def some_free(self) -> bool:
        """Whether a buffer could move at all."""
        return any(self.is_free(slot) for slot in range(self.slots))

    def nobody_left(self) -> bool:
        """Whether every importer has answered."""
        return not any(importer.asked_back for importer in self.importers)

    def ask_back(self, buffer: int) -> None:
        """The notifier: those who have it mapped must let go, those who are about to map it must look again."""
        for importer in self.importers:
            if importer.buffer == buffer:
                if importer.state >= 2:
                    importer.asked_back = True
                elif importer.state == 1:
                    importer.stale = True

    def moving(self, buffer: int):  # type: ignore[no-untyped-def]
        async def move() -> None:
            while True:
                await wait_event(
                    lambda: self.doing == 0 and getattr(self, f"alive{buffer}") and self.some_free(), "asks back"
                )
                self.doing, self.buffer = 1, buffer
                self.ask_back(buffer)

        return move

    def copying(self, slot: int):  # type: ignore[no-untyped-def]
        async def copy() -> None:
            while True:
                await wait_event(lambda: self.doing == 1 and self.nobody_left() and self.is_free(slot), "copies")
                self.doing, self.target = 2, slot
                self._look()

        return copy

    async def finishing(self) -> None:
        while True:
            await wait_event(lambda: self.doing == 2, "has copied")
            setattr(self, f"place{self.buffer}", self.target)
            self.doing = self.buffer = self.target = 0
            self._look()

    def unmapping(self, buffer: int):  # type: ignore[no-untyped-def]
        async def unmap() -> None:
            while True:
                await wait_event(lambda: self.doing == 0 and getattr(self, f"alive{buffer}"), "munmap")
                self.doing, self.buffer = 3, buffer
                self.ask_back(buffer)

        return unmap

    async def unmapped(self) -> None:
        while True:
            await wait_event(lambda: self.doing == 3 and self.nobody_left(), "is unmapped")
            setattr(self, f"alive{self.buffer}", False)
            setattr(self, f"place{self.buffer}", 0)
            self.doing = self.buffer = 0
            self._look()

    def mapping(self, buffer: int, slot: int):  # type: ignore[no-untyped-def]
        async def map() -> None:
            while True:
                await wait_event(
                    lambda: self.doing == 0 and not getattr(self, f"alive{buffer}") and self.is_free(slot), "mmap"
                )
                setattr(self, f"alive{buffer}", True)
                setattr(self, f"place{buffer}", slot)
                self._look()

        return map

    def _look(self) -> None:
        for importer in self.importers:
            importer.look()


class Importer(Tracked):
    """A device: 0 nothing, 1 has an address, 2 has programmed it, 3 does DMA, 4 drains."""

    def __init__(self, bar: Bar, obeys: bool, retries: bool) -> None:
        self.bar = bar
        self.obeys = obeys
        self.retries = retries
        self.state = self.buffer = self.slot = 0
        self.stale = self.asked_back = False

    def look(self) -> None:
        """What the rule is about."""
        if self.state < 3:
            return
        bar, mine = self.bar, self.buffer
        if (
            not getattr(bar, f"alive{mine}")
            or self.slot != getattr(bar, f"place{mine}")
            or (bar.doing == 2 and bar.buffer == mine)
        ):
            emit(StaleDma())

    def let_go(self) -> None:
        self.state = self.buffer = self.slot = 0
        self.stale = self.asked_back = False

    def beginning(self, buffer: int):  # type: ignore[no-untyped-def]
        async def begin() -> None:
            bar = self.bar
            while True:
                await wait_event(
                    lambda: (
                        self.state == 0 and getattr(bar, f"alive{buffer}") and not (bar.doing and bar.buffer == buffer)
                    ),
                    "p2p_map",
                )
                self.state, self.buffer, self.slot = 1, buffer, getattr(bar, f"place{buffer}")
                self.stale = False

        return begin

    async def committing(self) -> None:
        while True:
            await wait_event(lambda: self.state == 1, "looks again")
            if self.stale and self.retries:
                self.let_go()
            else:
                self.state, self.stale = 2, False

    async def doing_dma(self) -> None:
        while True:
            await wait_event(lambda: self.state == 3 or (self.state == 2 and not self.asked_back), "DMA")
            self.state = 3 if self.state == 2 else 2
            self.look()

    async def answering(self) -> None:
        while True:
            await wait_event(lambda: self.asked_back and 2 <= self.state <= 3, "invalidate")
            if not self.obeys:
                self.asked_back = False
            elif self.state == 2:
                self.let_go()
            else:
                self.state = 4
                self.look()

    async def draining(self) -> None:
        while True:
            await wait_event(lambda: self.state == 4, "is drained")
            self.let_go()

    async def giving_back(self) -> None:
        while True:
            await wait_event(lambda: self.state == 2 and not self.asked_back, "p2p_unmap")
            self.let_go()


def build(importers: int, slots: int, variant: int = RIGHT):  # type: ignore[no-untyped-def]
    """The build function of a world with all of them."""

    def made(world: World) -> None:
        bar = Bar(slots)
        bar.importers = tuple(Importer(bar, variant != IGNORES or n > 0, variant != NO_RETRY) for n in range(importers))
        for number, importer in enumerate(bar.importers):
            for buffer in range(BUFFERS):
                world.actor(f"i{number}_map{buffer}", importer.beginning(buffer))
            for job in (importer.committing, importer.doing_dma, importer.answering, importer.draining):
                world.actor(f"i{number}_{job.__name__}", job)
            world.actor(f"i{number}_giving_back", importer.giving_back)
        for buffer in range(BUFFERS):
            world.actor(f"move{buffer}", bar.moving(buffer))
            world.actor(f"munmap{buffer}", bar.unmapping(buffer))
            for slot in range(slots):
                world.actor(f"mmap{buffer}_{slot}", bar.mapping(buffer, slot))
        for slot in range(slots):
            world.actor(f"copy{slot}", bar.copying(slot))
        world.actor("finish", bar.finishing)
        world.actor("unmapped", bar.unmapped)

    return made
