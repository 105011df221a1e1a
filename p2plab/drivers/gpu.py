"""A GPU with more memory than its BAR shows: it lends pages of the aperture, and moves them about when it must."""

from __future__ import annotations

import errno

from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.locks import Mutex
from p2plab.mm import Vma, zap_vma_ptes
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.contract import Peer
from p2plab.p2p.events import MoveBegun, MoveEnded
from p2plab.p2p.exporter import BufferFile, Exporter
from p2plab.p2p.memory import BufferObject, DeviceMemory
from p2plab.pci import Machine


class Gpu(Exporter):
    """Serialises its moves against ``p2p_map``, as said on 29 January 2019 (<20190129204359.GM3176@redhat.com>)."""

    def __init__(self, name: str, bdf: str, machine: Machine, memory: DeviceMemory, aperture: Aperture) -> None:
        self.name = name
        self.bdf = bdf
        self.machine = machine
        self.memory = memory
        self.aperture = aperture
        self.lock = Mutex(f"{name}.bar")
        self.files: dict[str, BufferFile] = {}  #: object -> the file through which processes map it
        self.lent: dict[tuple[str, int], int] = {}  #: (importer, page's virtual address) -> address lent

    # -- vm_operations ----------------------------------------------------------------------------------------------

    async def p2p_map(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Lend the addresses of an object that is not being moved; put it into the aperture first where it is not."""
        if not self.reaches(peer):
            return -errno.EREMOTEIO
        thing = self.object_behind(vma)
        while True:
            await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
            async with self.lock:
                if thing.moving:
                    continue
                try:
                    self._lend(vma, peer, start, thing, pa)
                except KernelError as error:
                    return -error.errno
                return 0

    async def p2p_unmap(self, vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
        """Note that the addresses are back."""
        async with self.lock:
            for page in range(start, end, PAGE_SIZE):
                self.lent.pop((peer.name, page), None)
        return 0

    # -- what the exporter does of its own accord -------------------------------------------------------------------

    async def invalidate(self, thing: BufferObject) -> None:
        """Take an object back from all who mapped it, in every process, without moving it."""
        for vma in list(self.files[thing.name].f_mapping.i_mmap):
            async with vma.vm_mm.mmap_lock.read():
                await zap_vma_ptes(vma, vma.vm_start, vma.vm_end)

    def open_file(self, name: str) -> BufferFile:
        """The file of an object, to be mapped by a process."""
        if name not in self.files:
            self.files[name] = BufferFile(self, self.memory.objects[name])
        return self.files[name]

    async def defrag(self) -> None:
        """Close the holes of the aperture: each object in the way is taken back first, then moved."""
        for thing in self._in_the_way():
            async with self.lock:
                thing.moving = True
                emit(MoveBegun(self.name, thing.name))
            if thing.name in self.files:
                await self.invalidate(thing)
            async with self.lock:
                await step(f"moves {thing.name}", lambda t=thing: self._pull_down(t), duration=2)  # type: ignore[misc]

    async def place(self, thing: BufferObject) -> None:
        """Show an object in the aperture; -ENOSPC if there is no run of slots that is long enough."""
        async with self.lock:
            await step(f"places {thing.name}", lambda: self.aperture.place(thing))

    # -- inside -----------------------------------------------------------------------------------------------------

    def _lend(self, vma: Vma, peer: Peer, start: int, thing: BufferObject, pa: list[int]) -> None:
        if None in self.aperture.slots_of(thing):
            self.aperture.place(thing)
        slots = self.aperture.slots_of(thing)
        for number in range(len(pa)):
            slot = slots[vma.pgoff_of(start) + number]
            assert slot is not None
            pa[number] = self.lent[peer.name, start + number * PAGE_SIZE] = self.aperture.address(slot)

    def _in_the_way(self) -> list[BufferObject]:
        """The objects that a compaction moves, those nearest to the start of the BAR first."""
        moving = [slot for slot, place in self.aperture.compacted().items() if slot != place]
        names = [self.memory.owners[self.aperture.shows[slot]] for slot in moving]
        return [self.memory.objects[name] for name in dict.fromkeys(owner[0] for owner in names if owner)]

    def _pull_down(self, thing: BufferObject) -> None:
        plan = self.aperture.compacted()
        mine = [slot for slot in self.aperture.slots_of(thing) if slot is not None]
        frames = [self.aperture.shows[slot] for slot in mine]
        for slot in mine:
            self.aperture.free(slot)
        for slot, frame in zip(mine, frames, strict=True):
            if frame is not None:
                self.aperture.take(plan[slot], frame)
        thing.moving = False
        emit(MoveEnded(self.name, thing.name))
