"""The bench of the scenes about HMM's two loops: a range of ordinary, device-private and device pages, letter by letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench
from p2plab.catalog.rig import BASE, job
from p2plab.core.errors import KernelError
from p2plab.mm import MAP_SHARED
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.devmem import HmmDevmem
from p2plab.p2p.hmm import Hmm, HmmRange
from p2plab.p2p.memory import MainMemory
from p2plab.p2p.posted_loops import NO_FAULTS, PostedFault

#: Faults that no order of pages shows: they are about which vma the loops ask (C2, ``wirings``) and with what.
_NOT_OF_THE_LOOPS = {
    PostedFault.ALWAYS_FALSE,
    PostedFault.NO_WRITE_CHECK,
    PostedFault.VMA_ABOVE_HOLE,
    PostedFault.PAGE_SHIFTS_MIXED,
}
_BY_NUMBER = {str(fault.value): fault for fault in PostedFault}
#: The faults of the two loops, by their numbers in the knob.
LOOPS = {number: fault for number, fault in _BY_NUMBER.items() if fault not in _NOT_OF_THE_LOOPS}


class Hmms(Bench):
    """The process lays out a range of ordinary, device-private and device pages; HMM maps and unmaps it."""

    word = "RRDDRR"

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The range's letters, and the faults that are on."""
        fault = str(settings.get("fault", "all"))
        self.word = str(settings.get("range", "")).replace("shortest", "") or (
            LOOPS[fault].shortest if fault in LOOPS else "RRDDRR"
        )
        on = frozenset(LOOPS.values()) if fault == "all" else frozenset({_BY_NUMBER[fault]})
        ram = MainMemory(12)
        self.fabric.ram = ram
        self.hmm = Hmm(HmmDevmem(self.gpu, ram), on if settings["driver"] == "broken" else NO_FAULTS)
        self.daddrs: list[int] = []
        self.range: HmmRange | None = None

    def shown(self) -> int:
        """The views are as wide as the range."""
        return len(self.word)

    @job("app")
    async def lay_out(self) -> None:
        """The process maps ordinary memory and device memory side by side."""
        at = 0
        while at < len(self.word):
            kind = "P" if self.word[at] == "P" else self.word[at] if self.word[at] == "_" else "RD"
            end = next((n for n in range(at, len(self.word)) if self.word[n] not in kind), len(self.word))
            await self._map_run(kind, at, end)
            at = end
        self.stations[0].worker.post("hmm_map")

    async def _map_run(self, kind: str, at: int, end: int) -> None:
        start, length = BASE + at * PAGE_SIZE, (end - at) * PAGE_SIZE
        if kind == "P":
            await self.mm.mmap(start, length, flags=MAP_SHARED, file=self.gpu.open_file("A"))
        elif kind == "RD":
            await self.mm.mmap(start, length)
            for number in range(at, end):
                if self.word[number] == "D":
                    self.hmm.devmem.put(BASE + number * PAGE_SIZE, self.memory.objects["A"], number - at)

    @job("nic")
    async def hmm_map(self) -> None:
        """One call for the whole range, under mmap_lock."""
        self.range = HmmRange(self.mm, BASE, BASE + len(self.word) * PAGE_SIZE)
        self.daddrs = [0] * len(self.word)
        try:
            async with self.mm.mmap_lock.read():
                await self.hmm.hmm_range_dma_map(self.range, self.stations[0].importer.peer, self.daddrs)
        except KernelError:
            self.app.post("munmap")  # the user gets the error, and gives up
            raise
        self.stations[0].worker.post("hmm_unmap")
        self.stations[0].worker.post("hmm_unmap")

    @job("nic")
    async def hmm_unmap(self) -> None:
        """Everything back; a second call must find nothing."""
        if self.range is not None:
            await self.hmm.hmm_range_dma_unmap(self.range, self.stations[0].importer.peer, self.daddrs)
