"""The drivers that exercises start from: in each, the part that the exercise asks for is missing."""

from __future__ import annotations

from p2plab.core.actors import step
from p2plab.core.errors import BadInput
from p2plab.core.world import World
from p2plab.designs.vfio_dma_buf import WaitsTwice
from p2plab.mm import AddressSpace, MmuNotifierRange
from p2plab.p2p.contract import Peer
from p2plab.p2p.engine import DmaEngine, Transfer
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.importer import Importer
from p2plab.p2p.memory import BufferObject
from p2plab.p2p.placing import Placing


async def _map(nic: Importer, start: int, end: int) -> None:
    """Ask, check again under the lock, then program or retry."""
    times = 0
    while True:
        sequence = await nic.wait_until_valid()
        async with nic.mm.mmap_lock.read():
            addresses = await nic.p2p_map(start, end)
            async with nic.lock:
                if nic.valid(sequence):
                    await nic.engine.program(start, addresses)
                    return
                await nic.put_back(start, end)
        times = nic.goes_round(times)


async def _obey(nic: Importer, range: MmuNotifierRange) -> int:
    """Let go of everything the range concerns, under the lock."""
    async with nic.lock:
        nic.invalidation_begins(range)
        await nic.let_go(*nic.concerned(range))
    return 0


class EndWritten(Importer):
    """After a move it asks again for what was lost; you write ``map`` and ``invalidate_range_start``."""

    async def invalidate_range_end(self, range: MmuNotifierRange) -> None:
        """Count down, and ask again for what was lost."""
        self.invalidation_ends(range)


class CallbackToWrite(EndWritten):
    """It maps, checks again and maps again after a move; you write ``invalidate_range_start``."""

    async def map(self, start: int, end: int) -> None:
        """Ask, check again under the lock, then program or retry."""
        await _map(self, start, end)


class MapToWrite(EndWritten):
    """It obeys the notifier for any range; you write ``map``."""

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Let go of everything the range concerns."""
        return await _obey(self, range)


class EndToWrite(Importer):
    """It maps and obeys; you write ``invalidate_range_end``."""

    async def map(self, start: int, end: int) -> None:
        """Ask, check again under the lock, then program or retry."""
        await _map(self, start, end)

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Let go of everything the range concerns."""
        return await _obey(self, range)


class SecondEngine(DmaEngine):
    """A second engine of a device, with its own queue and beats, and the page table of the first."""

    def __init__(self, world: World, first: DmaEngine, fabric: Fabric, beat_ticks: int, peer: Peer) -> None:
        self.first = first
        super().__init__(world, f"{first.importer}_dma2", first.importer, fabric, beat_ticks, peer)

    @property
    def table(self) -> dict[int, int]:
        """The device has one table."""
        return self.first.table

    @table.setter
    def table(self, _own: dict[int, int]) -> None:
        """Nothing: there is no other."""


class TwoEngines(CallbackToWrite):
    """A device with two engines, ``engine`` and ``second``, that look pages up in one table; each drains alone."""

    def __init__(
        self, world: World, name: str, bdf: str, mm: AddressSpace, fabric: Fabric, beat_ticks: int = 1
    ) -> None:
        super().__init__(world, name, bdf, mm, fabric, beat_ticks)
        self.second = SecondEngine(world, self.engine, fabric, beat_ticks, self.peer)

    async def submit(self, transfer: Transfer) -> None:
        """The user rings the doorbell: both engines take the transfer."""
        self.engine.start(transfer)
        self.second.start(transfer)


class ExporterToWrite(Placing):
    """It knows its slots, keeps the records and closes holes; you write the lending, and the notifying before a move.

    ``defrag`` calls ``begin_move(thing)``, then moves; ``finish_move`` is part of the moving.
    """

    async def begin_move(self, thing: BufferObject) -> None:
        """You write this: afterwards no importer has the old place, and none gets it."""
        raise NotImplementedError

    async def defrag(self) -> None:
        """Close the holes of the aperture, one object after the other."""
        for thing in self.in_the_way():
            await self.begin_move(thing)
            async with self.lock:
                await step(f"moves {thing.name}", lambda t=thing: self.pull_down(t), duration=2)  # type: ignore[misc]


class VfioToMend(WaitsTwice):
    """VFIO's dma-buf as merged in January 2026 (1a8a5227f229), with a bug to find."""

    def says_revoked(self) -> None:
        """Within the running step: from now on no importer may use the buffer."""
        self._revoked([slot for slot in self.aperture.slots_of(self.buffer) if slot is not None])


#: By name, the most derived first.
GIVEN: dict[str, type] = {
    one.__name__: one
    for one in (TwoEngines, CallbackToWrite, MapToWrite, EndToWrite, EndWritten, ExporterToWrite, VfioToMend)
}


def look_at_base(driver: type, exercise: str, given: type | None) -> None:
    """:exc:`BadInput` for a class derived from what another exercise gives: that may contain the answer to this one."""
    for name, one in GIVEN.items():
        if issubclass(driver, one) and not (given is not None and issubclass(given, one)):
            wanted = f"{given.__name__}, or from Importer" if given is not None else "Importer"
            raise BadInput(f"{name} has parts that are yours to write in {exercise}: derive the class from {wanted}")
