"""HMM's side of the series: one call that maps a range over ordinary and device vmas, and one that unmaps it.

``hmm_range_dma_map`` and ``hmm_range_dma_unmap`` of patches 4/5 and 5/5 (<20190129174728.6430-5-jglisse@redhat.com> and
-6-), with the faults of :class:`~p2plab.p2p.posted_loops.PostedFault` switchable one by one.
"""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.mm import VM_DEVICE, VM_WRITE, AddressSpace, Vma
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Grant, Peer, ask, check_range, p2p_unmap
from p2plab.p2p.devmem import HmmDevmem
from p2plab.p2p.events import HmmRangeMapped, HmmRangeUnmapped
from p2plab.p2p.posted_loops import NO_FAULTS, UNSET, PostedFault, map_loop, unmap_loop

#: What a pfn entry of a range says.
NONE, RAM, DEVICE_PRIVATE, P2P, ERROR = "none", "ram", "device-private", "p2p", "error"
_LETTER = {RAM: "R", DEVICE_PRIVATE: "D", P2P: "P"}


class HmmRange(Tracked):
    """``struct hmm_range``: bytes [start, end) of an address space, and one pfn entry a page.

    ``page_shift`` other than 12 counts in larger entries: 13 is 8 KiB.
    """

    def __init__(self, mm: AddressSpace, start: int, end: int, write: bool = True, page_shift: int = 12) -> None:
        check_range(start, end)
        self.mm = mm
        self.start = start
        self.end = end
        self.write = write
        self.page_shift = page_shift
        self.pfns = [NONE] * self.entries
        self.grants: dict[int, Grant] = {}

    @property
    def entries(self) -> int:
        """How many entries, and so addresses, the range has."""
        return int(self.end - self.start) >> self.page_shift

    @property
    def word(self) -> str:
        """The range as letters, one an entry, for the loops."""
        return "".join(_LETTER.get(pfn, ".") for pfn in self.pfns)


class Hmm(Tracked):
    """The functions of mm/hmm.c that an importer calls, all under mmap_lock. ``faults`` are those of the posted series."""

    def __init__(self, devmem: HmmDevmem, faults: frozenset[PostedFault] = NO_FAULTS) -> None:
        self.devmem = devmem
        self.faults = faults

    def hmm_range_snapshot(self, range: HmmRange) -> list[str]:
        """The pfn entries as the CPU's page table has them; -EFAULT on every device vma, with or without p2p_map."""
        return self._walk(range)

    async def hmm_range_fault(self, range: HmmRange) -> list[str]:
        """The same, after everything was brought in: device-private pages migrate to main memory, for the CPU to see them."""
        pfns = self._walk(range)
        for number, pfn in enumerate(pfns):
            if pfn == DEVICE_PRIVATE:
                self.devmem.migrate_to_ram(range.start + number * PAGE_SIZE)
        return self._walk(range)

    async def hmm_range_dma_map(self, range: HmmRange, peer: Peer, daddrs: list[int]) -> int:
        """Fill ``daddrs``, one address an entry; returns how many pages it counted. -EFAULT, -EPERM or the exporter's.

        After an error nothing is mapped; with :attr:`PostedFault.NO_UNWIND` what was mapped stays.
        """
        try:
            await self._device_vmas(range, peer, daddrs)
        except KernelError:
            if PostedFault.NO_UNWIND not in self.faults:
                await self._give_back(range, peer, list(range.grants))
            raise
        word = range.word
        done = map_loop(word, self.faults)
        for page in done.ram:
            daddrs[page] = self.devmem.dma_map_page(range.start + page * PAGE_SIZE)
        for page, slot, length in done.runs:
            await self._device_private(range, peer, daddrs, page, slot, length)
        missing = tuple(n for n in _count(range.entries) if daddrs[n] == 0)
        emit(HmmRangeMapped(peer.name, range.entries, done.returned, missing))
        return done.returned

    async def hmm_range_dma_unmap(self, range: HmmRange, peer: Peer, daddrs: list[int]) -> None:
        """Take back what ``hmm_range_dma_map`` gave."""
        done = unmap_loop(range.word.replace("D", "P"), self.faults)
        await self._give_back(
            range, peer, [range.start + n * PAGE_SIZE for n in done.device], again=PostedFault.NOT_RESET in self.faults
        )
        for page in (*done.ram, *(() if PostedFault.NOT_RESET in self.faults else done.device)):
            range.pfns[page] = NONE
            daddrs[page] = 0
        left = tuple(n for n in _count(range.entries) if daddrs[n] and n not in done.device)
        emit(HmmRangeUnmapped(peer.name, len(done.ram) + len(done.device), left))

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _device_vmas(self, range: HmmRange, peer: Peer, daddrs: list[int]) -> None:
        at = range.start
        while at < range.end:
            vma = self._vma_at(range, at)
            stop = min(range.end, vma.vm_end)
            first, last = (at - range.start) // PAGE_SIZE, (stop - range.start) // PAGE_SIZE
            if vma.vm_flags & VM_DEVICE:
                await self._ask(range, vma, peer, at, stop, daddrs)
                range.pfns[first:last] = [P2P] * (last - first)
            else:
                kinds = [self.devmem.kind(page) for page in _pages(at, stop)]
                range.pfns[first:last] = [DEVICE_PRIVATE if kind == "device" else RAM for kind in kinds]
            at = stop

    def _vma_at(self, range: HmmRange, at: int) -> Vma:
        vma = range.mm.find_vma(at)
        if vma is None or (vma.vm_start > at and PostedFault.VMA_ABOVE_HOLE not in self.faults):
            raise KernelError("EFAULT", f"there is no vma at {at:#x}")
        return vma

    async def _ask(self, range: HmmRange, vma: Vma, peer: Peer, at: int, stop: int, daddrs: list[int]) -> None:
        if PostedFault.NO_WRITE_CHECK not in self.faults and range.write and not vma.vm_flags & VM_WRITE:
            raise KernelError("EPERM", f"the vma at {vma.vm_start:#x} is read-only")
        grants = await ask(vma, peer, at, stop, range.write)
        range.grants.update({grant.page: grant for grant in grants})
        base = (at - range.start) >> (12 if PostedFault.PAGE_SHIFTS_MIXED in self.faults else range.page_shift)
        step = 1 if PostedFault.PAGE_SHIFTS_MIXED in self.faults else 1 << (range.page_shift - 12)
        for number, grant in enumerate(grants[::step]):
            if base + number >= len(daddrs):
                raise OverflowError(f"daddrs[{base + number}] is beyond an array of {len(daddrs)}")
            daddrs[base + number] = grant.address

    async def _device_private(
        self, range: HmmRange, peer: Peer, daddrs: list[int], page: int, slot: int, length: int
    ) -> None:
        address = range.start + page * PAGE_SIZE
        count, addresses = self.devmem.p2p_map(peer, address, length)
        if count <= 0:  # never an error: the pages migrate, and are mapped as main memory
            for number in _count(length):
                self.devmem.migrate_to_ram(address + number * PAGE_SIZE)
                range.pfns[page + number] = RAM
            addresses = [self.devmem.dma_map_page(address + number * PAGE_SIZE) for number in _count(length)]
        daddrs[slot : slot + len(addresses)] = addresses

    async def _give_back(self, range: HmmRange, peer: Peer, pages: list[int], again: bool = False) -> None:
        for page in pages:
            grant = range.grants.get(page)
            if grant is not None:
                await p2p_unmap(peer, (grant,))
                if not again:
                    del range.grants[page]
            self.devmem.p2p_unmap(peer, page)

    def _walk(self, range: HmmRange) -> list[str]:
        pfns: list[str] = []
        at = range.start
        while at < range.end:
            vma = self._vma_at(range, at)
            if vma.vm_flags & VM_DEVICE:
                raise KernelError("EFAULT", f"the vma at {vma.vm_start:#x} is a device's: no snapshot, no fault")
            stop = min(range.end, vma.vm_end)
            pfns += [DEVICE_PRIVATE if self.devmem.kind(page) == "device" else RAM for page in _pages(at, stop)]
            at = stop
        return pfns


def _pages(start: int, end: int) -> range:
    return range(start, end, PAGE_SIZE)


def _count(length: int) -> range:
    return range(length)


__all__ = ["DEVICE_PRIVATE", "ERROR", "NONE", "P2P", "RAM", "UNSET", "Hmm", "HmmRange"]
