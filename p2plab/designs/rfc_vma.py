"""The proposal of January 2019: ``p2p_map`` and ``p2p_unmap`` in ``vm_operations_struct``, and the mmu_notifier.

[RFC PATCH 3/5], <20190129174728.6430-4-jglisse@redhat.com>. The drivers are those of the course; here they follow the
step list.
"""

from __future__ import annotations

from typing import Any, ClassVar

from p2plab.catalog.ignorant import IgnorantNic
from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.locks import Mutex
from p2plab.core.world import World
from p2plab.designs.design import Cast, Play
from p2plab.designs.stage import END, PAGES, START, Holder, Stage
from p2plab.drivers.disasters import go_away
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.drivers.quiescing import QuiescingNic
from p2plab.mm import MAP_SHARED, RFC2019, AddressSpace, unmap_mapping_range
from p2plab.p2p.engine import Transfer
from p2plab.p2p.importer import Importer


class RfcGpu(Gpu, Holder):
    """The exporter of the course. ``full``: its aperture has no room for A any more."""

    tells_first = True

    async def wants(self, first: int, last: int, to_others: bool) -> None:
        """All of A is moved (or its room is given to others), after everybody gave it back; a part is only taken back."""
        if (first, last) != (0, PAGES - 1):
            await unmap_mapping_range(self.files["A"].f_mapping, first, last)
            return
        if self.tells_first:
            await self.begin_move(self.buffer)
        async with self.lock:
            await step("moves A", self.give_away if to_others else self.move_down, duration=2)
            if to_others:
                self.finish_move(self.buffer)
        if not self.tells_first:
            await self.invalidate(self.buffer)


class MovesFirst(RfcGpu):
    """Moves, and tells afterwards."""

    tells_first = False


def _nic(base: type[ObedientNic]) -> type[Importer]:
    """An importer of the course that also lets go when its process dies, and then is asked for nothing more."""

    class Nic(base):  # type: ignore[valid-type, misc]
        closed = False
        dead = False

        async def release(self, mm: AddressSpace) -> None:
            """Its process dies: no callback follows, so everything goes now (``hmm_mirror_ops.release``)."""
            self.closed = True
            async with self.lock:
                self.engine.abort()
                await self.let_go(START, END)

        async def dma(self) -> None:
            """The user rings the doorbell, and waits for the completion."""
            await self.submit()
            await wait_event(lambda: not self.engine.queue, "the transfer's completion")

        async def submit(self) -> None:
            """The user rings the doorbell."""
            self.engine.start(Transfer(START, END, True))

    Nic.__name__ = Nic.__qualname__ = f"Rfc{base.__name__}"
    return Nic


class NoDrain(ObedientNic):
    """Takes its translations out and gives the pages back, but a beat may be under way."""

    async def let_go(self, start: int, end: int) -> None:
        """Two of the three things."""
        await self.engine.clear(start, end)
        await self.p2p_unmap(start, end)


class NoVma(ObedientNic):
    """A user inside the kernel: it has a device and no vma, through which alone an exporter can be asked."""

    async def map(self, start: int, end: int) -> None:
        """Always -EFAULT (<2b704e96-9c7c-3024-b87f-364b9ba22208>)."""
        raise KernelError("EFAULT", f"{self.name} has no vma through which to ask")


class RfcVma(Play):
    """The step list under the proposal."""

    kernel = RFC2019
    importers: ClassVar[dict[str, Any]] = {
        "good": _nic(ObedientNic),
        "stops": _nic(QuiescingNic),
        "cannot-stop": _nic(PinsUntilUnmap),
        "keeps": _nic(IgnorantNic),
        "broken": _nic(NoDrain),
        "no-vma": _nic(NoVma),
    }
    exporters: ClassVar[dict[str, Any]] = {"good": RfcGpu, "broken": MovesFirst}

    def __init__(self, world: World, stage: Stage, cast: Cast) -> None:
        self.mm = stage.mm
        self.exporter = self.exporters[cast.exporter](stage)
        self.importer = self.importers[cast.importer](world, "nic", stage.nic_bdf, stage.mm, stage.fabric)
        self.maps = Mutex("nic.maps")
        self.later = cast.trouble == "later"
        if cast.trouble == "no-room":
            self.exporter.give_away()

    async def set_up(self) -> None:
        """The process maps the exporter's file, whose ``mmap`` sets the callbacks; the importer hears the notifier."""
        await self.importer.listen(START, END)
        await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.exporter.open_file("A"))

    async def map(self) -> None:
        """``p2p_map`` through the vma, under mmap_lock. One at a time: a grant that waits to be looked at is nobody else's."""
        async with self.maps:
            if not self.importer.closed:
                await self.importer.map(START, END)

    async def take_back(self, first: int, last: int) -> None:
        """Zap what shows A, in every process; then move."""
        await self.exporter.wants(first, last, self.later)

    async def unmap(self) -> None:
        """``p2p_unmap``."""
        self.importer.closed = True
        await self.importer.unmap(START, END)

    async def unplug(self) -> None:
        """Refuse, take everything back, wait until nothing is lent, go."""
        await go_away(self.exporter, "unplug")

    async def exit(self) -> None:
        """The importer's ``release``, then UNMAP."""
        await self.mm.exit()
