"""p2pdma: struct pages for a BAR, taken by get_user_pages with FOLL_PCI_P2PDMA. No notifier; references are counted.

Source: drivers/pci/p2pdma.c, mm/gup.c (``is_valid_gup_args``, ``try_grab_folio``), kernel/dma/direct.c of Linux 6.12;
v6.2 for user space (https://lwn.net/Articles/931668/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from p2plab.core.actors import step, wait_event
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, DesignRig, Fate
from p2plab.designs.importers import ImportingDevice
from p2plab.designs.memory import END, PAGES, START, Holder
from p2plab.designs.pages import PgmapFile
from p2plab.mm import MAP_SHARED, AddressSpace, get_user_pages, put_user_pages, unmap_mapping_range
from p2plab.mm.folio import Folio
from p2plab.p2p.engine import Transfer
from p2plab.p2p.events import Disaster, ReferencePut, ReferenceTaken, TopologyChecked
from p2plab.pci import MapType

#: Flags of get_user_pages.
FOLL_PCI_P2PDMA, FOLL_LONGTERM = "FOLL_PCI_P2PDMA", "FOLL_LONGTERM"


async def pin_user_pages(mm: AddressSpace, who: str, flags: tuple[str, ...]) -> list[Folio]:
    """``pin_user_pages`` on pages of a BAR: -EINVAL with both flags (a WARN), -EREMOTEIO without FOLL_PCI_P2PDMA."""
    if FOLL_LONGTERM in flags and FOLL_PCI_P2PDMA in flags:
        raise KernelError("EINVAL", "WARN: a long-term pin would keep the device from being unplugged")
    folios = await get_user_pages(mm, START, PAGES, write=True, pin=True)
    if FOLL_PCI_P2PDMA not in flags:
        put_user_pages(folios, pin=True)
        raise KernelError("EREMOTEIO", "these are pages of a BAR, and the caller does not set FOLL_PCI_P2PDMA")
    for folio in folios:
        emit(ReferenceTaken(who, f"A[{folio.index}]"))
    return folios


class DirectIo(ImportingDevice):
    """An NVMe driver doing O_DIRECT: it pins for the time of one transfer, and knows nothing of moves."""

    flags: tuple[str, ...] = (FOLL_PCI_P2PDMA,)
    pages: tuple[Folio, ...] = ()
    waits = True  #: whether the pages are put only when the transfer has ended

    needs_vma = True
    finds_address = True  #: struct page carries a physical address
    marks_dirty = True  #: struct page can be marked dirty

    async def get_pages(self) -> tuple[Folio, ...]:
        """``pin_user_pages_fast`` with the driver's flags."""
        return tuple(await pin_user_pages(self.mm, self.name, self.flags))

    async def map(self, start: int, end: int) -> None:
        """Pin, then ``dma_map_sgtable``: -EREMOTEIO where the DMA layer finds that the device does not reach the BAR."""
        self.pages = await self.get_pages()
        kind = self.exporter.map_type(self.peer)
        await step("dma_map_sgtable", lambda: emit(TopologyChecked("dma_map_sgtable", self.name, str(kind))))
        if kind is MapType.NOT_SUPPORTED or not self.finds_address:
            self.put_pages()
            raise KernelError("EREMOTEIO", f"dma_map_sgtable: {self.name} does not reach the BAR")
        self.has(self.exporter.addresses())
        await self.program(self.exporter.addresses())

    async def dma(self, transfer: Transfer) -> None:
        """One request, to its completion."""
        self.engine.start(transfer)
        if self.waits:
            await self.completion()

    async def unmap(self, start: int, end: int) -> None:
        """``dma_unmap_sgtable``, ``unpin_user_pages``."""
        if self.waits:
            await self.completion()
            await self.forget()
        self.gives_back()
        for folio in self.pages:
            folio.dirty |= self.marks_dirty
        self.put_pages()

    def put_pages(self) -> None:
        """Within the running step: drop one reference on each page."""
        put_user_pages(list(self.pages), pin=True)
        for folio in self.pages:
            emit(ReferencePut(self.name, f"A[{folio.index}]"))
        self.pages = ()


class NvmeTarget(DirectIo):
    """The NVMe target: it takes pages from the pool itself (``pci_alloc_p2pmem``), without a process."""

    needs_vma = False

    async def get_pages(self) -> tuple[Folio, ...]:
        """One reference on each page of the pool."""
        pool = self.exporter.file.ops.folios
        for folio in pool:
            folio.pins += 1
            emit(ReferenceTaken(self.name, f"A[{folio.index}]"))
        return tuple(pool)


class NoAddress(DirectIo):
    """Its page carries no physical address: the DMA layer cannot tell where the page is."""

    finds_address = False


class NoReference(DirectIo):
    """Its page cannot be referenced: it reads the page tables (``follow_pfn``), and takes no reference."""

    async def get_pages(self) -> tuple[Folio, ...]:
        """As with a page, but without taking a reference."""
        put_user_pages(await get_user_pages(self.mm, START, PAGES, write=True, pin=True), pin=True)
        return ()


class NoDirty(DirectIo):
    """Its page cannot be marked dirty after the device has written to it; a BAR's page is never written back."""

    marks_dirty = False


class LongTerm(DirectIo):
    """A driver that pins for as long as the user likes, and claims that it can handle pages of a BAR."""

    flags = (FOLL_PCI_P2PDMA, FOLL_LONGTERM)


class MemoryRegion(DirectIo):
    """An RDMA memory region as ``ib_umem_get`` pins it: for long, and without FOLL_PCI_P2PDMA."""

    flags = (FOLL_LONGTERM,)


class Unaware(DirectIo):
    """A driver that cannot handle pages of a BAR."""

    flags = ()


class PutsEarly(DirectIo):
    """Puts its pages while the transfer runs."""

    waits = False


class PciP2pdma(Holder):
    """The exporter: it cannot ask for anything back; it waits until its pages are unused. ``file``: its pool's."""

    waits = True
    file: PgmapFile

    async def wants(self) -> None:
        """The pages come back to the pool when the last reference goes; no user can be asked to hurry."""
        if self.waits:
            await wait_event(lambda: not self.file.ops.users() and not self.file.f_mapping.i_mmap, "all pages put")
        await step("reuses A", self.give_away)

    async def remove(self) -> None:
        """``pci_p2pdma_release``: no new mmap, zap the process's mappings, wait for the references, go."""
        emit(Disaster(self.name, "unplug"))
        self.gone = "unplug"
        await unmap_mapping_range(self.file.f_mapping, 0, PAGES - 1)
        if self.waits:
            await wait_event(lambda: not self.file.ops.users(), "percpu_ref of the pgmap is 0")
        await step("gpu goes", lambda: self.power_off("unplug"))


class DoesNotWait(PciP2pdma):
    """Takes its pages away although they are referenced."""

    waits = False


class P2pdmaPages(DesignRig):
    """The step list with pages of a BAR."""

    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({"p2pdma user": DirectIo, "kernel user": NvmeTarget}, knob="importer"),
        "exporter": Role({"p2pdma exporter": PciP2pdma}, knob="exporter"),
    }

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": DirectIo,
        "cannot-stop": DirectIo,
        "keeps": DirectIo,
        "long-term": LongTerm,
        "memory-region": MemoryRegion,
        "unaware": Unaware,
        "broken": PutsEarly,
        "kernel-user": NvmeTarget,
        "no-address": NoAddress,
        "no-reference": NoReference,
        "no-dirty": NoDirty,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": PciP2pdma, "broken": DoesNotWait}

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The pool."""
        super().prepare(settings)
        self.importer.exporter = self.gpu
        self.gpu.file = PgmapFile(self.gpu, struct_pages=self.trouble != "no-pages")
        self.gpu.full = self.trouble == "no-room"

    async def set_up(self) -> None:
        """The process maps ``p2pmem/allocate``."""
        if self.importer.needs_vma:
            await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.gpu.file)

    async def map(self) -> None:
        """Pin, and map for DMA."""
        await self.importer.map(START, END)

    async def take_back(self, first: int, last: int) -> None:
        """Wait."""
        await self.gpu.wants()

    async def unmap(self) -> None:
        """The request ends, and the process unmaps."""
        await self.importer.unmap(START, END)
        await self.mm.munmap(START, END - START)

    async def unplug(self) -> None:
        """The PCI device is removed."""
        await self.gpu.remove()

    async def exit(self) -> None:
        """The process dies: its mappings go, the request that is under way keeps its pages until it ends."""
        await self.mm.exit()
        await self.importer.unmap(START, END)


DESIGN = Design(
    name="p2pdma-pages",
    title="p2pdma pages with FOLL_PCI_P2PDMA",
    since="v6.2",
    kernels=("6.12", "7.3"),
    play=P2pdmaPages,
    source="drivers/pci/p2pdma.c; mm/gup.c",
    simplified="the pool is one object, its pages are inserted at the first touch.",
    rules=(*COMMON, "references"),
    faulty={"importer=broken": "no-stale-dma", "exporter=broken": "references"},
    runs={
        "unaware": {"importer": "unaware"},
        "memory-region": {"importer": "memory-region"},
        "kernel-user": {"importer": "kernel-user"},
        "no-address": {"importer": "no-address"},
        "no-reference": {"importer": "no-reference", "steps": "unplug"},
        "no-dirty": {"importer": "no-dirty"},
    },
    answers={
        "exporter object": Answer("struct page / pgmap pool", sources.P2PDMA),
        "importer handle": Answer("page / sg entry", sources.GUP),
        "learns of a move by": Answer("never; it holds a reference", sources.P2PDMA_GONE),
        "exporter may refuse": Answer(
            "at alloc/mmap; topology at dma map",
            f"{sources.P2PDMA}; {sources.P2PDMA_MAP}",
            "the refusal for topology is in the line on topology",
        ),
        "importer may keep it": Answer("in effect yes (reference)", sources.P2PDMA_GONE),
        "callback may sleep": Answer("-", sources.P2PDMA_GONE),
        "lock around callback": Answer("-", sources.P2PDMA_GONE),
        "lock around map": Answer("- (GUP)", sources.GUP),
        "move while mapped": Answer("no", sources.P2PDMA_GONE),
        "cannot fault or stop": Answer("served (but no long-term pin)", sources.GUP),
        "where failure shows": Answer(
            "-EREMOTEIO at dma map, -ENOMEM mmap",
            f"{sources.P2PDMA_MAP}; {sources.P2PDMA}",
            "and -EFAULT from get_user_pages where there is no struct page",
        ),
        "struct page needed": Answer("yes", sources.GUP_DEVICE),
        "topology check": Answer("DMA mapping layer (cached map type)", sources.P2PDMA_MAP),
        "lifetime": Answer("page reference; removal waits", sources.P2PDMA_GONE),
        "predictability promise": Answer("strong (reference)", sources.P2PDMA_GONE),
        "granularity of a take-back": Answer("-", sources.P2PDMA_GONE),
    },
    fates={
        ODP: Fate(
            "hmm-dma-map/move",
            "its region is no pin: hmm_dma_map_pfn maps these pages",
            f"{sources.ODP_PAGES}; {sources.HMM_DMA}",
            then={"6.12": Fate("", "umem_odp maps main memory only", sources.UMEM_ODP)},
        ),
        STOPS: Fate("memory-region", "a memory region is a long-term pin without FOLL_PCI_P2PDMA", sources.UMEM),
        NVME: Fate("move", "O_DIRECT, pinned for one request", sources.IOV_ITER),
        GUEST: Fate("unaware", "vfio type1 pins without FOLL_PCI_P2PDMA", sources.TYPE1),
        GPU: Fate(
            "unaware",
            "i915's user pointers pin without FOLL_PCI_P2PDMA; amdgpu's mirror: see hmm-interval",
            f"{sources.I915}; {sources.AMD_HMM}",
        ),
        KERNEL: Fate("kernel-user", "pci_alloc_p2pmem", sources.P2PDMA_ALLOC),
    },
)
