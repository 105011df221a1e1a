"""``drm_pagemap_ops.device_map`` and ``device_unmap``, called by drm_gpusvm: patch 4/5's ``p2p_map``, landed.

Source: include/drm/drm_pagemap.h, drivers/gpu/drm/drm_gpusvm.c (``drm_gpusvm_get_pages``), drivers/gpu/drm/xe/xe_svm.c of Linux
7.3. Device-private pages of one GPU in a process, mapped by another: the exporter sets the ops with its pagemap, drm_gpusvm
calls them for the importer, nothing is pinned, the interval notifier revokes. An eviction migrates to main memory; a CPU
access does too. After the exporter's device is unbound ``device_map`` fails, and what is in main memory stays.

Simplified: a file stands in for the anonymous memory that was migrated to the device, its faults for device-private
entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from p2plab.core.actors import step
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Role
from p2plab.designs import sources
from p2plab.designs.design import COMMON, GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Design, Fate
from p2plab.designs.hmm_dma_map import HmmDmaMap, PgmapGpu
from p2plab.designs.hmm_interval import KeepsMirror, Mirror, NoRetry, NoZapMirror
from p2plab.designs.memory import END, START
from p2plab.designs.pages import PgmapFile
from p2plab.p2p.contract import Peer
from p2plab.p2p.events import Disaster, TopologyChecked
from p2plab.pci import MapType


class PagemapGpu(PgmapGpu):
    """A GPU with a ``drm_pagemap``: its ops give addresses of its pages to other devices, and it evicts to main memory."""

    def device_map(self, peer: Peer, first: int, last: int) -> tuple[int, ...]:
        """``drm_pagemap_ops.device_map`` of pages ``first`` to ``last``; -EFAULT out of reach, -ENODEV after unbind."""
        if self.gone:
            raise KernelError("ENODEV", f"{self.name} is unbound ({self.gone})")
        kind = self.map_type(peer)
        emit(TopologyChecked("device_map", peer.name, str(kind)))
        if kind is MapType.NOT_SUPPORTED:
            raise KernelError("EFAULT", "device_map: DMA_MAPPING_ERROR")
        return self.addresses(first, last)

    def device_unmap(self, peer: Peer) -> None:
        """``drm_pagemap_ops.device_unmap``: nothing to do where the address is a bus address."""

    moving = "migrates A to RAM"

    def move_down(self) -> None:
        """``drm_pagemap_evict_to_ram``, after the notifier has revoked the mappings: copy to main memory."""
        self.move_to_ram(self.buffer)
        self.finish_move(self.buffer)

    async def remove(self, file: PgmapFile) -> None:
        """Unbind: no more ``device_map``, evict, go. What is in main memory outlives the device."""
        emit(Disaster(self.name, "unplug"))
        self.gone = "unplug"
        if not self.full:
            await self.move(file)
        await step("gpu goes", lambda: self.power_off("unplug"))


class SilentPagemap(PagemapGpu):
    """Evicts without the notifier."""

    tells = False


class SvmMirror(Mirror):
    """drm_gpusvm: hmm_range_fault, then ``device_map`` of the exporter for its pages, ``dma_map_page`` for main memory."""

    mapped_by = ("device_map", "drm_gpusvm")

    def dma_map(self, first: int, last: int) -> tuple[int, ...]:
        """Under the notifier lock, after ``read_retry``."""
        if self.exporter.buffer.ram_frames:
            return super().dma_map(first, last)
        function, caller = self.mapped_by
        pages = (first - START) // 4096, (last - START) // 4096
        with called(self.exporter.name, function, f"{self.name}, pages {pages[0]} to {pages[1]}", caller=caller):
            addresses: tuple[int, ...] = self.exporter.device_map(self.peer, *pages)
            return addresses

    def gives_back(self, start: int = START, end: int = END) -> None:
        """``device_unmap`` for the exporter's pages."""
        if self.held and not self.exporter.buffer.ram_frames and self.mapped_by[0] == "device_map":
            with called(self.exporter.name, "device_unmap", self.name, caller=self.mapped_by[1]):
                self.exporter.device_unmap(self.peer)
        super().gives_back(start, end)


class NoZapSvm(NoZapMirror, SvmMirror):  # type: ignore[misc]
    """Does not wait for the beat that is under way."""


class NoRetrySvm(NoRetry, SvmMirror):  # type: ignore[misc]
    """Does not ask ``read_retry``."""


class KeepsSvm(KeepsMirror, SvmMirror):  # type: ignore[misc]
    """Cannot stop its device."""


class DrmPagemap(HmmDmaMap):
    """The step list with a drm_pagemap."""

    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({"gpusvm mirror": SvmMirror}, knob="importer"),
        "exporter": Role({"pagemap exporter": PagemapGpu}, knob="exporter"),
    }
    importers: ClassVar[dict[str, type[Any]]] = {
        "good": SvmMirror,
        "cannot-stop": KeepsSvm,
        "keeps": KeepsSvm,
        "broken": NoZapSvm,
        "no-retry": NoRetrySvm,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": PagemapGpu, "broken": SilentPagemap}


DESIGN = Design(
    name="drm-pagemap",
    title="drm_pagemap device_map with drm_gpusvm",
    since="v6.15, between devices 2026",
    kernels=("7.3",),
    play=DrmPagemap,
    source="include/drm/drm_pagemap.h; drivers/gpu/drm/drm_gpusvm.c; drivers/gpu/drm/xe/xe_svm.c",
    simplified="a file stands in for anonymous memory on the device; one order of pages, no private interconnect.",
    rules=(*COMMON, "nothing-set-between"),
    faulty={
        "importer=broken": "no-stale-dma",
        "importer=no-retry": "nothing-set-between",
        "exporter=broken": "told-first",
    },
    answers={
        "exporter object": Answer("device-private page, drm_pagemap", sources.PAGEMAP),
        "importer handle": Answer("drm_gpusvm_pages", sources.GPUSVM),
        "learns of a move by": Answer("interval notifier", sources.GPUSVM),
        "exporter may refuse": Answer("mapping error of device_map", sources.GPUSVM),
        "importer may keep it": Answer("no", sources.NOTIFIER),
        "callback may sleep": Answer("as mmu_interval", sources.NOTIFIER),
        "lock around callback": Answer(
            "as mmu_interval", sources.NOTIFIER, "and the exporter's own, where it is held across the migration"
        ),
        "lock around map": Answer("mmap_lock read, then notifier_lock", sources.GPUSVM),
        "move while mapped": Answer("yes, to main memory", sources.EVICT),
        "cannot fault or stop": Answer("excluded", sources.GPUSVM),
        "where failure shows": Answer("-EFAULT from get_pages", sources.GPUSVM),
        "struct page needed": Answer("yes, device-private", sources.PAGEMAP),
        "topology check": Answer("the exporter's device_map", sources.XE_SVM),
        "lifetime": Answer("pagemap reference; unbind migrates to main memory", sources.EVICT),
        "predictability promise": Answer("none; the fault brings it to main memory", sources.GPUSVM),
        "granularity of a take-back": Answer("any sub-range", sources.NOTIFIER),
    },
    fates={
        ODP: Fate("", "umem_odp calls no drm_pagemap; see device-private-rdma", sources.GPUSVM),
        STOPS: Fate("move", "a GPU that stops instead of faulting", sources.GPUSVM),
        NVME: Fate("", "no mirror of its own: get_user_pages migrates the page back", sources.GUP_DEVICE),
        GUEST: Fate("cannot-stop", "a guest's device does not fault", sources.HMM),
        GPU: Fate("move", "xe of another card", sources.XE_SVM),
        KERNEL: Fate("", "there is no process to mirror", sources.HMM),
    },
)
