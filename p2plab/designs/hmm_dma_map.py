"""``hmm_dma_map_pfn``: an interval notifier on pages of a BAR; the DMA layer decides how they are reached.

Source: mm/hmm.c of Linux 7.3 (v6.16: ``hmm_dma_map_alloc``, ``hmm_dma_map_pfn``, ``hmm_dma_unmap_pfn``). BUS_ADDR: the bus
address, nothing to unmap; THRU_HOST_BRIDGE: an IOVA with DMA_ATTR_MMIO; else DMA_MAPPING_ERROR, which its caller
drivers/infiniband/hw/mlx5/odp.c turns into -EFAULT. ``hmm_range_fault`` takes no reference, so only the notifier can hold a
move back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from p2plab.catalog.rig import Rig
from p2plab.core.actors import step, wait_event
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, Fate
from p2plab.designs.hmm_interval import HmmInterval, KeepsMirror, Mirror, NoRetry, NoZapMirror
from p2plab.designs.memory import END, PAGES, START, Holder
from p2plab.designs.pages import PgmapFile
from p2plab.mm import MAP_SHARED, unmap_mapping_range
from p2plab.p2p.events import Disaster, MoveBegun, TopologyChecked
from p2plab.pci import MapType


class DmaMirror(Mirror):
    """umem_odp since v6.16: as any mirror, with ``hmm_dma_map_pfn``."""

    def dma_map(self, first: int, last: int) -> tuple[int, ...]:
        """``hmm_dma_map_pfn`` for each page; mlx5 returns -EFAULT for DMA_MAPPING_ERROR."""
        with called("dma", "hmm_dma_map_pfn", f"{first:#x}..{last:#x}", caller=self.name):
            kind = self.exporter.map_type(self.peer)
            emit(TopologyChecked("hmm_dma_map_pfn", self.name, str(kind)))
            if kind is MapType.NOT_SUPPORTED:
                raise KernelError("EFAULT", "hmm_dma_map_pfn: DMA_MAPPING_ERROR")
            return self.addresses_of(first, last)


class NoZapDmaMirror(NoZapMirror, DmaMirror):  # type: ignore[misc]
    """Does not wait for the beat that is under way."""


class NoRetryDmaMirror(NoRetry, DmaMirror):  # type: ignore[misc]
    """Does not ask ``read_retry``."""


class KeepsDmaMirror(KeepsMirror, DmaMirror):  # type: ignore[misc]
    """Cannot stop its device."""


class PgmapGpu(Holder):
    """A driver with pages of its BAR in processes: it zaps them from there, moves, and they fault in again."""

    tells = True
    moving = "moves A"

    async def wants(self, file: PgmapFile, first: int, last: int, to_others: bool) -> None:
        """A move of all of A; a part of it is only zapped."""
        if (first, last) == (0, PAGES - 1):
            await self.move(file, to_others)
        else:
            await unmap_mapping_range(file.f_mapping, first, last)

    async def move(self, file: PgmapFile, to_others: bool = False) -> None:
        """Zap it from the processes, then move it; nothing if it is in main memory already."""
        async with self.lock:
            if self.buffer.ram_frames:
                return
            self.buffer.moving = True
            emit(MoveBegun(self.name, "A"))
            if self.tells:
                await unmap_mapping_range(file.f_mapping, 0, PAGES - 1)
            await step(self.moving, self._give_away if to_others else self.move_down, duration=2)

    def _give_away(self) -> None:
        self.give_away()
        self.finish_move(self.buffer)

    async def remove(self, file: PgmapFile) -> None:
        """Zap, wait for the references (there are none but the mappings'), go."""
        emit(Disaster(self.name, "unplug"))
        self.gone = "unplug"
        await unmap_mapping_range(file.f_mapping, 0, PAGES - 1)
        await wait_event(lambda: not file.ops.users(), "percpu_ref of the pgmap is 0")
        await step("gpu goes", lambda: self.power_off("unplug"))


class SilentPgmap(PgmapGpu):
    """Moves without taking the pages out of the processes."""

    tells = False


class HmmDmaMap(HmmInterval):
    """The step list with pages of a BAR and ``hmm_dma_map_pfn``."""

    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({"HMM mirror": DmaMirror}, knob="importer"),
        "exporter": Role({"pgmap exporter": PgmapGpu}, knob="exporter"),
    }

    importers: ClassVar[dict[str, type[Any]]] = {
        "good": DmaMirror,
        "cannot-stop": KeepsDmaMirror,
        "keeps": KeepsDmaMirror,
        "broken": NoZapDmaMirror,
        "no-retry": NoRetryDmaMirror,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": PgmapGpu, "broken": SilentPgmap}

    make_exporter = Rig.make_exporter

    def offer(self) -> None:
        """The device's file."""
        self.pages = PgmapFile(self.gpu, struct_pages=self.trouble != "no-pages")
        self.gpu.full = self.trouble == "no-room"

    async def set_up(self) -> None:
        """The process maps the device's file; the importer listens to that range."""
        await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.pages)
        await self.importer.listen(START, END)

    async def take_back(self, first: int, last: int) -> None:
        """Zap, move."""
        await self.gpu.wants(self.pages, first, last, self.later)

    async def unplug(self) -> None:
        """The PCI device is removed."""
        await self.gpu.remove(self.pages)


DESIGN = Design(
    name="hmm-dma-map",
    title="hmm_dma_map_pfn on pages of a BAR",
    since="v6.16",
    kernels=("7.3",),
    play=HmmDmaMap,
    source="mm/hmm.c; drivers/infiniband/hw/mlx5/odp.c",
    simplified="one pgmap; the driver moves by zapping its file, as DRM drivers do.",
    rules=(*COMMON, "nothing-set-between"),
    faulty={
        "importer=broken": "no-stale-dma",
        "importer=no-retry": "nothing-set-between",
        "exporter=broken": "told-first",
    },
    answers={
        "exporter object": Answer("none (page; pgmap provider)", sources.HMM_DMA),
        "importer handle": Answer("hmm_dma_map + pfn list", sources.HMM_DMA),
        "learns of a move by": Answer("as mmu_interval", sources.HMM_DMA),
        "exporter may refuse": Answer("mapping error", sources.HMM_DMA),
        "importer may keep it": Answer("no", sources.NOTIFIER),
        "callback may sleep": Answer("as mmu_interval", sources.NOTIFIER),
        "lock around callback": Answer(
            "as mmu_interval",
            f"{sources.NOTIFIER}; {sources.NOUVEAU}",
            "and the exporter's own, where held across its zap (as nouveau does)",
        ),
        "lock around map": Answer("own lock", sources.HMM_DMA),
        "move while mapped": Answer("yes", sources.HMM_DMA),
        "cannot fault or stop": Answer("excluded", sources.HMM_DMA),
        "where failure shows": Answer(
            "DMA_MAPPING_ERROR", f"{sources.HMM_DMA}; {sources.ODP_PAGES}", "its caller in mlx5 makes -EFAULT of it"
        ),
        "struct page needed": Answer("yes", sources.HMM_DMA),
        "topology check": Answer("DMA mapping layer", f"{sources.HMM_DMA}; {sources.P2PDMA_MAP}"),
        "lifetime": Answer("as mmu_interval", sources.NOTIFIER),
        "predictability promise": Answer("none", sources.NOTIFIER),
        "granularity of a take-back": Answer("page", sources.HMM_DMA),
    },
    fates={
        ODP: Fate("move", "umem_odp, which maps with it", sources.HMM_DMA),
        STOPS: Fate("move", "stops instead of faulting, else the same", sources.HMM_DMA),
        NVME: Fate("", "no mirror of its own: it uses get_user_pages", sources.GUP_DEVICE),
        GUEST: Fate("cannot-stop", "a guest's device does not fault", sources.HMM_DMA),
        GPU: Fate("move", "shared virtual memory", sources.HMM_DMA),
        KERNEL: Fate("", "there is no process to mirror", sources.HMM_DMA),
    },
)
