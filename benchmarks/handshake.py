"""A notifier's handshake as driver code for p2plab and as Promela for SPIN: the same steps, one for one.

Each of ``importers`` devices maps a buffer ``maps`` times and does DMA to it; the exporter moves the buffer ``moves``
times. Variants: right; the first importer ignores the notifier; nobody looks again before programming its device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from p2plab.core.actors import step, wait_event
from p2plab.core.events import Entry, Event, emit
from p2plab.core.monitor import Finding, Monitor
from p2plab.core.tracked import Tracked
from p2plab.core.world import World

RIGHT, IGNORES, NO_RETRY = "right", "ignores", "no-retry"


@dataclass(frozen=True, slots=True)
class DmaWentAstray(Event):
    """DMA landed at an address that is no longer the buffer's."""


class NoStale(Monitor):
    """What both models watch."""

    name = "no-stale"
    promise = "DMA lands where the buffer is"
    source = "this benchmark"
    stated = False

    def see(self, entry: Entry) -> Iterator[Finding]:
        if isinstance(entry.event, DmaWentAstray):
            yield self.broken(entry, entry.actor, "DMA went astray")


class Exporter(Tracked):
    """Has one buffer at one of two places, and moves it."""

    def __init__(self, moves: int) -> None:
        self.moves = moves
        self.place = 0
        self.sequence = 0
        self.invalidating = False
        self.importers: tuple[Importer, ...] = ()

    async def run(self) -> None:
        for _ in range(self.moves):
            await step("invalidation begins", self._begins)
            for importer in self.importers:
                await importer.invalidate()
            await step("moves", lambda: setattr(self, "place", 1 - self.place))
            await step("invalidation ends", lambda: setattr(self, "invalidating", False))

    def _begins(self) -> None:
        self.invalidating = True
        self.sequence += 1


class Importer(Tracked):
    """A device with a lock, an address and DMA under way or not."""

    def __init__(self, exporter: Exporter, obeys: bool, retries: bool) -> None:
        self.exporter = exporter
        self.obeys, self.retries = obeys, retries
        self.locked = False
        self.busy = False
        self.address: int | None = None

    async def lock(self) -> None:
        await wait_event(lambda: not self.locked, "lock")
        self.locked = True

    async def unlock(self) -> None:
        await step("unlock", lambda: setattr(self, "locked", False))

    async def invalidate(self) -> None:
        if not self.obeys:
            return
        await self.lock()
        await wait_event(lambda: not self.busy, "drained")
        await step("unmaps", lambda: setattr(self, "address", None))
        await self.unlock()

    async def map(self) -> None:
        while True:
            await wait_event(lambda: not self.exporter.invalidating, "valid")
            sequence = self.exporter.sequence
            address = await step("p2p_map", lambda: self.exporter.place)
            await self.lock()
            if await step("looks again", lambda s=sequence, a=address: self._programmed(s, a)):  # type: ignore[misc]
                await self.unlock()
                return
            await self.unlock()

    def _programmed(self, sequence: int, address: int) -> bool:
        if self.retries and self.exporter.sequence != sequence:
            return False
        self.address = address
        return True

    async def dma(self) -> None:
        if await step("DMA begins", self._begins):
            await step("DMA ends", self._ends)

    def _begins(self) -> bool:
        self.busy = self.address is not None
        return self.busy

    def _ends(self) -> None:
        if self.address is not None and self.address != self.exporter.place:
            emit(DmaWentAstray())
        self.busy = False


def build(importers: int, maps: int, moves: int, variant: str = RIGHT) -> Callable[[World], None]:
    """The build function of a world with all of them."""

    def run(importer: Importer) -> Callable[[], object]:
        async def job() -> None:
            for _ in range(maps):
                await importer.map()
                await importer.dma()

        return job

    def made(world: World) -> None:
        exporter = Exporter(moves)
        exporter.importers = tuple(
            Importer(exporter, variant != IGNORES or n > 0, variant != NO_RETRY) for n in range(importers)
        )
        for number, importer in enumerate(exporter.importers):
            world.actor(f"importer{number}", run(importer))  # type: ignore[arg-type]
        world.actor("exporter", exporter.run)

    return made


def promela(importers: int, maps: int, moves: int, variant: str = RIGHT) -> str:
    """The same in Promela: one statement for each step."""
    obeys = "id > 0" if variant == IGNORES else "true"
    retry = "sequence != seen" if variant != NO_RETRY else "false"
    return f"""
byte place, sequence; bool invalidating;
bool locked[{importers}], busy[{importers}]; byte address[{importers}];  /* 0: none, else place + 1 */
active [{importers}] proctype importer() {{
  byte n, seen, got; byte id = _pid;
  do
  :: d_step {{ n < {maps} && !invalidating -> seen = sequence }}
     got = place + 1;
     d_step {{ !locked[id] -> locked[id] = true }}
     if
     :: d_step {{ {retry} -> got = 0; seen = 0 }}
        locked[id] = false
     :: d_step {{ !({retry}) -> address[id] = got; got = 0; seen = 0 }}
        locked[id] = false;
        if
        :: d_step {{ address[id] != 0 -> busy[id] = true }}
           d_step {{ assert(address[id] == 0 || address[id] == place + 1); busy[id] = false; n++ }}
        :: d_step {{ address[id] == 0 -> n++ }}
        fi
     fi
  :: n == {maps} -> break
  od
}}
active proctype exporter() {{
  byte n, id;
  do
  :: d_step {{ n < {moves} -> invalidating = true; sequence++; id = 0 }}
     do
     :: d_step {{ id < {importers} && {obeys} && !locked[id] -> locked[id] = true }}
        !busy[id];
        address[id] = 0;
        d_step {{ locked[id] = false; id++ }}
     :: d_step {{ id < {importers} && !({obeys}) -> id++ }}
     :: d_step {{ id == {importers} -> place = 1 - place; id = 0 }}
        break
     od;
     atomic {{ invalidating = false; n++ }}
  :: n == {moves} -> break
  od
}}
"""
