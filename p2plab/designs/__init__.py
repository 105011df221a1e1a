"""What the kernel did instead: seven designs on one machine, under one step list.

``DESIGNS`` are the designs by name, ``SCENES`` their scenarios: ``p2plab run design-rfc-vma`` and the lab find them too.
"""

from __future__ import annotations

from p2plab.core.scenario import Scenario
from p2plab.designs.design import COMMON, Design, Play
from p2plab.designs.dma_buf_dynamic import DmaBufDynamic
from p2plab.designs.dma_buf_pinned import DmaBufPinned
from p2plab.designs.hmm_dma_map import HmmDmaMap
from p2plab.designs.hmm_interval import HmmInterval
from p2plab.designs.p2pdma_pages import P2pdmaPages
from p2plab.designs.rfc_vma import RfcVma
from p2plab.designs.steps import scene_of
from p2plab.designs.vfio_dma_buf import VfioDmaBuf

#: Every design by its name, in the order of the table.
DESIGNS: dict[str, Design] = {
    design.name: design
    for design in (
        Design(
            "rfc-vma",
            "vma callbacks (RFC)",
            "January 2019, never merged",
            RfcVma,
            "20190129174728.6430-4-jglisse@redhat.com",
            "see the course: the drivers and the machine are those of the other scenes.",
            (*COMMON, "obedience", "balanced-unmap", "programs-only-valid"),
            good=("good", "stops"),
            faulty={"importer=broken": "obedience", "exporter=broken": "told-first"},
        ),
        Design(
            "p2pdma-pages",
            "p2pdma pages with FOLL_PCI_P2PDMA",
            "v6.2",
            P2pdmaPages,
            "drivers/pci/p2pdma.c; mm/gup.c",
            "the pool is one object, its pages are inserted at the first touch.",
            (*COMMON, "references"),
            faulty={"importer=broken": "no-stale-dma", "exporter=broken": "references"},
        ),
        Design(
            "dma-buf-dynamic",
            "dma-buf, dynamic importer",
            "v5.7 and v5.8",
            DmaBufDynamic,
            "include/linux/dma-buf.h; drivers/dma-buf/dma-buf.c",
            "one buffer, no ww_mutex back-off; the exporter's thread waits for fences, where a GPU's scheduler would.",
            (*COMMON, "fences-waited", "resv-held"),
            good=("good", "fences"),
            faulty={
                "importer=broken": "no-stale-dma",
                "importer=no-fence": "no-stale-dma",
                "exporter=broken": "told-first",
                "importer=fences exporter=no-wait": "fences-waited",
            },
        ),
        Design(
            "dma-buf-pinned",
            "dma-buf, pinned importer",
            "v5.7",
            DmaBufPinned,
            "drivers/dma-buf/dma-buf.c; amdgpu_dma_buf.c of 6.12",
            "as dma-buf dynamic; a pin is always into main memory (amdgpu of 6.12).",
            (*COMMON, "resv-held"),
            faulty={"importer=broken": "no-stale-dma", "exporter=broken": "told-first"},
        ),
        Design(
            "hmm-interval",
            "mmu_interval_notifier + hmm_range_fault",
            "v5.5",
            HmmInterval,
            "mm/mmu_notifier.c; mm/hmm.c; lib/test_hmm.c",
            "ordinary memory only, no device-private pages; migration is one page after the other.",
            (*COMMON, "nothing-set-between"),
            faulty={
                "importer=broken": "no-stale-dma",
                "importer=no-retry": "nothing-set-between",
                "exporter=broken": "told-first",
            },
        ),
        Design(
            "hmm-dma-map",
            "hmm_dma_map_pfn on pages of a BAR",
            "2025",
            HmmDmaMap,
            "mm/hmm.c upstream of 2025",
            "one pgmap; the driver moves by zapping its file, as DRM drivers do.",
            (*COMMON, "nothing-set-between"),
            faulty={
                "importer=broken": "no-stale-dma",
                "importer=no-retry": "nothing-set-between",
                "exporter=broken": "told-first",
            },
        ),
        Design(
            "vfio-dma-buf",
            "VFIO dma-buf with revoke",
            "6.19, pinned revocable 2026",
            VfioDmaBuf,
            "20251120-dmabuf-vfio-v9; 20260131-dmabuf-revoke-v7; 6ffe939bf94f",
            "the wait for pinned importers has no time-out (the kernel warns after 1 s and waits on).",
            (*COMMON, "fences-waited", "resv-held", "silent-after-revoke"),
            good=("good", "revocable"),
            faulty={"importer=broken": "no-stale-dma", "exporter=broken": "silent-after-revoke"},
        ),
    )
}

#: The step list under each design, by the scenario's name.
SCENES: dict[str, Scenario] = {design.scene: scene_of(design) for design in DESIGNS.values()}

__all__ = ["DESIGNS", "SCENES", "Design", "Play", "scene_of"]
