"""The proposal of January 2019: ``p2p_map`` and ``p2p_unmap`` in ``vm_operations_struct``, and the mmu_notifier.

[RFC PATCH 3/5], <20190129174728.6430-4-jglisse@redhat.com>. The drivers are those of the course; here they follow the
step list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from p2plab.catalog.ignorant import IgnorantNic
from p2plab.core.actors import step
from p2plab.core.locks import Mutex
from p2plab.core.scenario import Role
from p2plab.designs.design import Play
from p2plab.designs.stage import END, PAGES, START, give_away, move_down
from p2plab.drivers.disasters import go_away
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.kernel_user import KernelUser
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.drivers.quiescing import QuiescingNic
from p2plab.mm import MAP_SHARED, RFC2019, unmap_mapping_range
from p2plab.p2p.exporter import EXPORTERS
from p2plab.p2p.importer import IMPORTERS
from p2plab.p2p.memory import BufferObject


class MovesFirst(Gpu):
    """Moves, and tells afterwards."""

    async def move(self, thing: BufferObject, how: Callable[[], None], verb: str = "moves") -> None:
        """The two in the wrong order."""
        async with self.lock:
            await step(f"{verb} {thing.name}", how, duration=2)
        await self.invalidate(thing)


class NoDrain(ObedientNic):
    """Takes its translations out and gives the pages back, but a beat may be under way."""

    async def let_go(self, start: int, end: int) -> None:
        """Two of the three things."""
        await self.engine.clear(start, end)
        await self.p2p_unmap(start, end)


class RfcVma(Play):
    """The step list under the proposal."""

    kernel = RFC2019
    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({**IMPORTERS, "kernel user": KernelUser}, knob="importer"),
        "exporter": Role(EXPORTERS, ("move", "pull_down", "take_out", "finish_move"), knob="exporter"),
    }
    importers: ClassVar[dict[str, type[Any]]] = {
        "good": ObedientNic,
        "stops": QuiescingNic,
        "cannot-stop": PinsUntilUnmap,
        "keeps": IgnorantNic,
        "broken": NoDrain,
        "no-vma": KernelUser,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": Gpu, "broken": MovesFirst}

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """One map at a time."""
        super().prepare(settings)
        self.maps = Mutex("nic.maps")
        if self.trouble == "no-room":
            give_away(self.gpu)

    async def set_up(self) -> None:
        """The process maps the exporter's file, whose ``mmap`` sets the callbacks; the importer hears the notifier."""
        await self.importer.listen(START, END)
        await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.gpu.open_file("A"))

    async def map(self) -> None:
        """``p2p_map`` through the vma, under mmap_lock. One at a time: a grant that waits to be looked at is nobody else's."""
        async with self.maps:
            if not self.importer.closed:
                await self.importer.map(START, END)

    async def take_back(self, first: int, last: int) -> None:
        """Zap what shows A, in every process; then move."""
        thing = self.gpu.memory.objects["A"]
        if (first, last) != (0, PAGES - 1):
            await unmap_mapping_range(self.gpu.open_file("A").f_mapping, first, last)
        elif self.later:
            await self.gpu.move(thing, lambda: self._lose(thing))
        else:
            await self.gpu.move(thing, lambda: move_down(self.gpu))

    def _lose(self, thing: BufferObject) -> None:
        give_away(self.gpu)
        self.gpu.finish_move(thing)

    async def unmap(self) -> None:
        """``p2p_unmap``."""
        self.importer.closed = True
        await self.importer.unmap(START, END)

    async def unplug(self) -> None:
        """Refuse, take everything back, wait until nothing is lent, go."""
        await go_away(self.gpu, "unplug")

    async def exit(self) -> None:
        """The importer's ``release``, then UNMAP."""
        await self.mm.exit()
