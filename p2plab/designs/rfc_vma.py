"""The proposal of January 2019: ``p2p_map`` and ``p2p_unmap`` in ``vm_operations_struct``, and the mmu_notifier.

[RFC PATCH 3/5], <20190129174728.6430-4-jglisse@redhat.com>. The drivers are those of the course; here they follow the
step list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from p2plab.catalog.ignorant import IgnorantNic
from p2plab.catalog.importers.f02_no_drain import NoDrain
from p2plab.core.actors import step
from p2plab.core.locks import Mutex
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, DesignRig, Fate
from p2plab.designs.memory import END, PAGES, START, give_away, move_down
from p2plab.drivers.disasters import go_away
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.kernel_user import KernelUser
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.drivers.quiescing import QuiescingNic
from p2plab.mm import MAP_SHARED, unmap_mapping_range
from p2plab.p2p.exporter import EXPORTERS
from p2plab.p2p.importer import IMPORTERS
from p2plab.p2p.memory import BufferObject


class MovesThenTells(Gpu):
    """Moves, and invalidates afterwards."""

    async def move(self, thing: BufferObject, how: Callable[[], None], verb: str = "moves") -> None:
        """The two in the wrong order."""
        async with self.lock:
            await step(f"{verb} {thing.name}", how, duration=2)
        await self.invalidate(thing)


class RfcVma(DesignRig):
    """The step list under the proposal."""

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
    exporters: ClassVar[dict[str, type[Any]]] = {"good": Gpu, "broken": MovesThenTells}

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """One map at a time."""
        super().prepare(settings)
        self.maps = Mutex("nic.maps")
        if self.trouble == "no-room":
            give_away(self.gpu)

    async def set_up(self) -> None:
        """The process maps the exporter's file, whose ``mmap`` sets the callbacks; the importer listens to the notifier."""
        await self.importer.listen(START, END)
        await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.gpu.open_file("A"))

    async def map(self) -> None:
        """``p2p_map`` through the vma, under mmap_lock. One at a time, so that a pending grant belongs to one map."""
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


DESIGN = Design(
    name="rfc-vma",
    title="vma callbacks (RFC)",
    since="January 2019",
    kernels=("rfc2019",),
    posted=sources.SERIES_2019,
    play=RfcVma,
    source="20190129174728.6430-4-jglisse@redhat.com",
    simplified="see the course: the drivers and the machine are those of the other scenes.",
    rules=(*COMMON, "obedience", "balanced-unmap", "programs-only-valid"),
    good=("good", "stops"),
    faulty={"importer=broken": "obedience", "exporter=broken": "told-first"},
    runs={"no-vma": {"importer": "no-vma"}},
    answers={
        "exporter object": Answer("VMA (vm_ops)", sources.RFC),
        "importer handle": Answer("(vma, start, end, device)", sources.RFC),
        "learns of a move by": Answer("MMU notifier start", sources.RFC),
        "exporter may refuse": Answer("yes, each map", sources.RFC),
        "importer may keep it": Answer("no", sources.RFC),
        "callback may sleep": Answer("yes unless non-blockable", sources.RANGE_START),
        "lock around callback": Answer("mmap_sem and/or i_mmap; take none", f"{sources.RANGE_START}; {sources.RFC}"),
        "lock around map": Answer("mmap_sem read", sources.RFC),
        "move while mapped": Answer("yes", sources.GM),
        "cannot fault or stop": Answer("excluded (pin flag floated)", sources.GM),
        "where failure shows": Answer("p2p_map return / HMM_PFN_ERROR / -EFAULT", sources.RFC),
        "struct page needed": Answer("no", sources.RFC),
        "topology check": Answer("exporter's driver (with pci_test_p2p)", sources.PATCH_1),
        "lifetime": Answer("VMA; object may outlive or die first", sources.RFC),
        "predictability promise": Answer("written rule", sources.RFC),
        "granularity of a take-back": Answer("any sub-range", sources.RFC),
    },
    fates={
        ODP: Fate("move", "maps, drops, maps again", "20190130190651.GC17080@mellanox.com"),
        STOPS: Fate("stops", "quiesces for the time of the callback", sources.GM),
        NVME: Fate("p2pdma-pages/no-pages", "O_DIRECT is get_user_pages on a device vma", sources.NO_PAGES),
        GUEST: Fate("cannot-stop", "its pages are pinned for the guest's life", "20190130043020.GC30598@mellanox.com"),
        GPU: Fate("move", "the duties of a NIC", "20190129205749.GN3176@redhat.com"),
        KERNEL: Fate("no-vma", "both callbacks begin with a vma", "2b704e96-9c7c-3024-b87f-364b9ba22208@deltatee.com"),
    },
)
