"""Importer class × design: who is served, from where, at what price, and who is refused.

A cell with a run is read from its log. One without says why there is none: no such importer exists in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.designs import DESIGNS
from p2plab.designs.readings import served
from p2plab.designs.runs import run, token

ODP, STOPS, NVME, GUEST, GPU, KERNEL = (
    "NIC that faults",
    "NIC that can be stopped",
    "NVMe",
    "VFIO guest",
    "other GPU",
    "kernel user, no vma",
)


@dataclass(frozen=True)
class Fate:
    """One class under one design. ``token`` is None where only the source answers; ``note`` says how it imports."""

    importer: str
    design: str
    answer: str
    token: str | None
    note: str
    source: str


_RFC, _P2P, _DYN, _PIN, _HMM, _DMA, _VFIO = DESIGNS
_NO_HMM = "no mirror of its own: it uses get_user_pages"

#: (class, design) -> (whose run, of which design's; how it imports; the source). An empty run: the source alone.
_FATES: dict[tuple[str, str], tuple[str, str, str]] = {
    (ODP, _RFC): ("move", "maps, drops, maps again", "20190130190651.GC17080@mellanox.com"),
    (ODP, _P2P): ("long-term", "a memory region is a long-term pin", "mm/gup.c"),
    (ODP, _DYN): ("move", "drivers/infiniband/hw/mlx5 with ODP", "drivers/infiniband/core/umem_dmabuf.c"),
    (ODP, _PIN): ("move", "if it pins all the same", "drivers/infiniband/core/umem_dmabuf.c"),
    (ODP, _HMM): ("move", "drivers/infiniband/hw/mlx5/odp.c", "drivers/infiniband/hw/mlx5/odp.c"),
    (ODP, _DMA): ("move", "umem_odp of 2025", "mm/hmm.c upstream of 2025"),
    (ODP, _VFIO): ("move", "as any dynamic importer", "20251120-dmabuf-vfio-v9"),
    (STOPS, _RFC): ("stops", "quiesces for the time of the callback", "20190129204359.GM3176@redhat.com"),
    (STOPS, _P2P): ("long-term", "a memory region is a long-term pin", "mm/gup.c"),
    (STOPS, _DYN): ("fences", "works in jobs, each with a fence", "Documentation/driver-api/dma-buf.rst"),
    (STOPS, _PIN): ("move", "if it has no callback", "drivers/dma-buf/dma-buf.c"),
    (STOPS, _HMM): ("move", "stops instead of faulting, else the same", "Documentation/mm/hmm.rst"),
    (STOPS, _DMA): ("move", "stops instead of faulting, else the same", "mm/hmm.c upstream of 2025"),
    (STOPS, _VFIO): ("revocable", "pins, and is revoked once", "ff85a2ebacbd"),
    (NVME, _RFC): (
        "p2pdma-pages/no-pages",
        "O_DIRECT is get_user_pages on a device vma",
        "20190130080006.GB29665@lst.de",
    ),
    (NVME, _P2P): ("move", "O_DIRECT, pinned for one request", "https://lwn.net/Articles/931668/"),
    (NVME, _DYN): ("", "the block layer imports no dma-buf", "20190130080006.GB29665@lst.de"),
    (NVME, _PIN): ("", "the block layer imports no dma-buf", "20190130080006.GB29665@lst.de"),
    (NVME, _HMM): ("", _NO_HMM, "mm/gup.c"),
    (NVME, _DMA): ("", _NO_HMM, "mm/gup.c"),
    (NVME, _VFIO): ("", "the block layer imports no dma-buf", "20251120-dmabuf-vfio-v9"),
    (GUEST, _RFC): ("cannot-stop", "its pages are pinned for the guest's life", "20190130043020.GC30598@mellanox.com"),
    (GUEST, _P2P): ("unaware", "vfio type1 pins without FOLL_PCI_P2PDMA", "mm/gup.c"),
    (GUEST, _DYN): ("cannot-stop", "as an importer without a callback", "drivers/dma-buf/dma-buf.c"),
    (GUEST, _PIN): ("move", "as an importer without a callback", "drivers/dma-buf/dma-buf.c"),
    (GUEST, _HMM): ("cannot-stop", "a guest's device does not fault", "mm/hmm.c"),
    (GUEST, _DMA): ("cannot-stop", "a guest's device does not fault", "mm/hmm.c upstream of 2025"),
    (GUEST, _VFIO): ("revocable", "iommufd drops its mapping when it is revoked", "20260131-dmabuf-revoke-v7"),
    (GPU, _RFC): ("move", "the duties of a NIC", "20190129205749.GN3176@redhat.com"),
    (GPU, _P2P): ("unaware", "its user pointers know no FOLL_PCI_P2PDMA", "mm/gup.c"),
    (GPU, _DYN): ("fences", "amdgpu: jobs with fences", "drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c"),
    (GPU, _PIN): ("move", "without CONFIG_DMABUF_MOVE_NOTIFY", "drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c"),
    (GPU, _HMM): ("move", "shared virtual memory", "lib/test_hmm.c"),
    (GPU, _DMA): ("move", "shared virtual memory", "mm/hmm.c upstream of 2025"),
    (GPU, _VFIO): ("move", "as any dynamic importer", "20251120-dmabuf-vfio-v9"),
    (KERNEL, _RFC): ("no-vma", "both callbacks begin with a vma", "2b704e96-9c7c-3024-b87f-364b9ba22208"),
    (KERNEL, _P2P): ("kernel-user", "pci_alloc_p2pmem", "https://lwn.net/Articles/767281/"),
    (KERNEL, _DYN): ("move", "an attachment needs no process", "include/linux/dma-buf.h"),
    (KERNEL, _PIN): ("move", "an attachment needs no process", "include/linux/dma-buf.h"),
    (KERNEL, _HMM): ("", "there is no process to mirror", "mm/hmm.c"),
    (KERNEL, _DMA): ("", "there is no process to mirror", "mm/hmm.c upstream of 2025"),
    (KERNEL, _VFIO): ("move", "an attachment needs no process", "20251120-dmabuf-vfio-v9"),
}
CLASSES = (ODP, STOPS, NVME, GUEST, GPU, KERNEL)


def fate(importer: str, design: str) -> Fate:
    """One cell."""
    name, note, source = _FATES[importer, design]
    if not name:
        return Fate(importer, design, "not served", None, note, source)
    other, _, own = name.rpartition("/")
    where = other or design
    return Fate(importer, design, served(run(where, own).log), token(where, own), note, source)


def classes() -> dict[str, tuple[Fate, ...]]:
    """All cells, by class."""
    return {importer: tuple(fate(importer, design) for design in DESIGNS) for importer in CLASSES}
