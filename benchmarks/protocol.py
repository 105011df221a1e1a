"""One protocol, three ways: as drivers of p2plab, in Promela (SPIN) and in Murphi (rumur).

``importers`` devices map one of two buffers each and do DMA to it; the exporter moves buffers between ``slots`` of its
BAR; the CPU unmaps and maps them. Every choice that a process of SPIN's could make is here an actor of its own, since an
actor of p2plab is code and never chooses: so all three have the very same states. Nothing is mapped at first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2plab.core.actors import idle, wait_event
from p2plab.core.events import Entry, Event, emit
from p2plab.core.monitor import Finding, Monitor
from p2plab.core.tracked import Tracked
from p2plab.core.world import World

BUFFERS = 2
RIGHT, IGNORES, NO_RETRY = 0, 1, 2


@dataclass(frozen=True, slots=True)
class StaleDma(Event):
    """A device may use an address that is no longer its own."""


class NoStale(Monitor):
    """What all three models watch."""

    name = "no-stale"
    promise = "a device that may do DMA has the buffer's present slot"
    source = "this benchmark"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        if isinstance(entry.event, StaleDma):
            yield self.broken(entry, entry.actor, "stale DMA")


class Slot(Tracked):
    """A place in the BAR."""


class Buffer(Tracked):
    """Something to lend: the slot that it lies in, or None while nobody has it mapped."""

    def __init__(self) -> None:
        self.slot: Slot | None = None


NOTHING, ASKED_BACK, COPIES, UNMAPS = range(4)


class Bar(Tracked):
    """The exporter: what it is doing, to which buffer, and where to."""

    def __init__(self, slots: int) -> None:
        self.slots = tuple(Slot() for _ in range(slots))
        self.buffers = tuple(Buffer() for _ in range(BUFFERS))
        self.importers: tuple[Importer, ...] = ()
        self.doing = NOTHING
        self.buffer: Buffer | None = None
        self.target: Slot | None = None

    def is_free(self, slot: Slot) -> bool:
        """Whether no buffer is in the slot, or on its way there."""
        return self.target is not slot and all(buffer.slot is not slot for buffer in self.buffers)

    def nobody_left(self) -> bool:
        """Whether every importer has answered."""
        return not any(importer.asked_back for importer in self.importers)

    def ask_back(self, doing: int, buffer: Buffer) -> None:
        """The notifier: those who have it mapped must let go, those who are about to map it must look again."""
        self.doing, self.buffer = doing, buffer
        for importer in self.importers:
            if importer.buffer is buffer:
                if importer.state >= PROGRAMMED:
                    importer.asked_back = True
                elif importer.state == HAS_ADDRESS:
                    importer.stale = True

    def moving(self, buffer: Buffer):  # type: ignore[no-untyped-def]
        async def move() -> None:
            while True:
                await wait_event(
                    lambda: self.doing == NOTHING and buffer.slot is not None and any(map(self.is_free, self.slots)),
                    "asks back",
                )
                self.ask_back(ASKED_BACK, buffer)

        return move

    def copying(self, slot: Slot):  # type: ignore[no-untyped-def]
        async def copy() -> None:
            while True:
                await wait_event(
                    lambda: self.doing == ASKED_BACK and self.nobody_left() and self.is_free(slot), "copies"
                )
                self.doing, self.target = COPIES, slot

        return copy

    async def finishing(self) -> None:
        while True:
            await wait_event(lambda: self.doing == COPIES, "has copied")
            self.buffer.slot = self.target
            self.doing, self.buffer, self.target = NOTHING, None, None

    def unmapping(self, buffer: Buffer):  # type: ignore[no-untyped-def]
        async def unmap() -> None:
            while True:
                await wait_event(lambda: self.doing == NOTHING and buffer.slot is not None, "munmap")
                self.ask_back(UNMAPS, buffer)

        return unmap

    async def unmapped(self) -> None:
        while True:
            await wait_event(lambda: self.doing == UNMAPS and self.nobody_left(), "is unmapped")
            self.buffer.slot = None
            self.doing, self.buffer = NOTHING, None

    def mapping(self, buffer: Buffer, slot: Slot):  # type: ignore[no-untyped-def]
        async def map() -> None:
            while True:
                await wait_event(lambda: self.doing == NOTHING and buffer.slot is None and self.is_free(slot), "mmap")
                buffer.slot = slot

        return map


IDLE, HAS_ADDRESS, PROGRAMMED, DOES_DMA, DRAINS = range(5)


class Importer(Tracked):
    """A device, what it is doing and with which buffer, and the slot in which it believes that to be."""

    def __init__(self, bar: Bar, obeys: bool, retries: bool) -> None:
        self.bar = bar
        self.obeys = obeys
        self.retries = retries
        self.state = IDLE
        self.buffer: Buffer | None = None
        self.slot: Slot | None = None
        self.stale = self.asked_back = False

    def let_go(self) -> None:
        self.state, self.buffer, self.slot = IDLE, None, None
        self.stale = self.asked_back = False

    def may_go_astray(self) -> bool:
        """What the rule is about."""
        if self.state < DOES_DMA:
            return False
        if self.buffer.slot is not self.slot:
            return True
        return self.bar.doing == COPIES and self.bar.buffer is self.buffer

    async def watching(self) -> None:
        await idle(self.may_go_astray, "goes astray")
        emit(StaleDma())

    def beginning(self, buffer: Buffer):  # type: ignore[no-untyped-def]
        async def begin() -> None:
            while True:
                await wait_event(
                    lambda: (
                        self.state == IDLE
                        and buffer.slot is not None
                        and (self.bar.doing == NOTHING or self.bar.buffer is not buffer)
                    ),
                    "p2p_map",
                )
                self.state, self.buffer, self.slot, self.stale = HAS_ADDRESS, buffer, buffer.slot, False

        return begin

    async def committing(self) -> None:
        while True:
            await wait_event(lambda: self.state == HAS_ADDRESS, "looks again")
            if self.stale and self.retries:
                self.let_go()
            else:
                self.state, self.stale = PROGRAMMED, False

    async def doing_dma(self) -> None:
        while True:
            await wait_event(
                lambda: self.state == DOES_DMA or (self.state == PROGRAMMED and not self.asked_back), "DMA"
            )
            self.state = DOES_DMA if self.state == PROGRAMMED else PROGRAMMED

    async def answering(self) -> None:
        while True:
            await wait_event(lambda: self.asked_back and PROGRAMMED <= self.state <= DOES_DMA, "invalidate")
            if not self.obeys:
                self.asked_back = False
            elif self.state == PROGRAMMED:
                self.let_go()
            else:
                self.state = DRAINS

    async def draining(self) -> None:
        while True:
            await wait_event(lambda: self.state == DRAINS, "is drained")
            self.let_go()

    async def giving_back(self) -> None:
        while True:
            await wait_event(lambda: self.state == PROGRAMMED and not self.asked_back, "p2p_unmap")
            self.let_go()


def build(importers: int, slots: int, variant: int = RIGHT):  # type: ignore[no-untyped-def]
    """The build function of a world with all of them."""

    def made(world: World) -> None:
        bar = Bar(slots)
        bar.importers = tuple(Importer(bar, variant != IGNORES or n > 0, variant != NO_RETRY) for n in range(importers))
        for number, importer in enumerate(bar.importers):
            for which, buffer in enumerate(bar.buffers):
                world.actor(f"i{number}_map{which}", importer.beginning(buffer))
            jobs = (importer.committing, importer.doing_dma, importer.answering, importer.draining)
            for job in (*jobs, importer.giving_back, importer.watching):
                world.actor(f"i{number}_{job.__name__}", job)
        for which, buffer in enumerate(bar.buffers):
            world.actor(f"move{which}", bar.moving(buffer))
            world.actor(f"munmap{which}", bar.unmapping(buffer))
            for number, slot in enumerate(bar.slots):
                world.actor(f"mmap{which}_{number}", bar.mapping(buffer, slot))
        for number, slot in enumerate(bar.slots):
            world.actor(f"copy{number}", bar.copying(slot))
        world.actor("finish", bar.finishing)
        world.actor("unmapped", bar.unmapped)

    return made
