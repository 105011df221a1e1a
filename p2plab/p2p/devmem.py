"""HMM device memory (patch 4/5): pages of an ordinary vma that live in a device's memory, and the driver's callbacks.

Its ``p2p_map`` returns how many pages it mapped; zero or less sends the caller to main memory (invariants 49, 50).
"""

from __future__ import annotations

from p2plab.core.calls import called
from p2plab.core.tracked import Tracked
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.contract import Peer
from p2plab.p2p.memory import BufferObject, MainMemory
from p2plab.p2p.placing import Placing


class HmmDevmem(Tracked):
    """The device-private pages of a process, each with its page of an object. ``refuses``: returns 0."""

    def __init__(self, exporter: Placing, ram: MainMemory, refuses: bool = False) -> None:
        self.exporter = exporter
        self.ram = ram
        self.refuses = refuses
        self.private: dict[int, tuple[BufferObject, int]] = {}
        self.ordinary: dict[int, int] = {}  #: page -> frame in main memory, once it was brought in
        self.lent: set[tuple[str, int]] = set()

    def put(self, page: int, thing: BufferObject, number: int) -> None:
        """Let a page of the process live in device memory (``migrate_vma`` towards the device)."""
        self.private[page] = (thing, number)

    def kind(self, page: int) -> str:
        """``device`` or ``ram``."""
        return "device" if page in self.private else "ram"

    def p2p_map(self, peer: Peer, address: int, length: int) -> tuple[int, list[int]]:
        """The driver's callback: the pages it mapped from ``address`` on, and their addresses; 0 if it refuses.

        It checks that each page belongs to its memory, and stops at the first that does not.
        """
        with called(self.exporter.name, "devmem.p2p_map", f"{peer.name}, {length} pages", caller="hmm") as call:
            addresses: list[int] = []
            while not self.refuses and len(addresses) < length:
                page = address + len(addresses) * PAGE_SIZE
                if page not in self.private:
                    break
                addresses.append(self.exporter.place_of_page(*self.private[page])[0])
                self.lent.add((peer.name, page))
            call.result = str(len(addresses))
        return len(addresses), addresses

    def p2p_unmap(self, peer: Peer, page: int) -> None:
        """The driver's other callback, for one page; nothing if it was not lent."""
        if (peer.name, page) in self.lent:
            with called(self.exporter.name, "devmem.p2p_unmap", f"{peer.name}, 1 pages", caller="hmm"):
                self.lent.discard((peer.name, page))

    def migrate_to_ram(self, page: int) -> None:
        """What a CPU fault on a device-private page does: from now on the page is in main memory."""
        self.private.pop(page, None)

    def dma_map_page(self, page: int) -> int:
        """The bus address of an ordinary page; it is brought in first."""
        if page not in self.ordinary:
            thing = self.ram.create(f"page{len(self.ordinary)}", "app", 1)
            self.ordinary[page] = thing.frames[0]
        return self.ram.address(self.ordinary[page])
