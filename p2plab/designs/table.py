"""The comparison table as the sources have it: one line a question, one cell a design, in the order of ``DESIGNS``.

``CORRECTED`` are the cells where a run, with a source, says more or other than the table did.
"""

from __future__ import annotations

RFC = "20190129174728.6430-4-jglisse@redhat.com"
GM = "20190129204359.GM3176@redhat.com"
P2PDMA = "drivers/pci/p2pdma.c"
GUP = "mm/gup.c (is_valid_gup_args, try_grab_folio)"
DMABUF = "include/linux/dma-buf.h"
CORE = "drivers/dma-buf/dma-buf.c"
AMD = "drivers/gpu/drm/amd/amdgpu/amdgpu_dma_buf.c"
NOTIFIER = "mm/mmu_notifier.c"
HMM = "mm/hmm.c"
HMM25 = "mm/hmm.c upstream of 2025"
VFIO = "drivers/vfio/pci/vfio_pci_dmabuf.c (20251120-dmabuf-vfio-v9)"
REVOKE = "20260131-dmabuf-revoke-v7; 6ffe939bf94f"
TTM = "drivers/gpu/drm/ttm/ttm_bo.c (ttm_bo_validate)"
USUAL = (RFC, P2PDMA, DMABUF, CORE, NOTIFIER, HMM25, VFIO)

#: Question -> (what the sources say, where), a pair for each design.
TABLE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "exporter object": (
        (
            "VMA (vm_ops)",
            "struct page / pgmap pool",
            "dma_buf",
            "dma_buf",
            "none (mm's pages)",
            "none (page; pgmap provider)",
            "dma_buf over BAR ranges + p2pdma_provider",
        ),
        USUAL,
    ),
    "importer handle": (
        (
            "(vma, start, end, device)",
            "page / sg entry",
            "attachment + sg_table",
            "attachment + sg_table",
            "hmm_range + interval",
            "hmm_dma_map + pfn list",
            "attachment",
        ),
        USUAL,
    ),
    "learns of a move by": (
        (
            "MMU notifier start",
            "never; it holds a reference",
            "move_notify",
            "never",
            "invalidate + seq",
            "as mmu_interval",
            "move_notify / invalidate_mappings",
        ),
        (RFC, P2PDMA, DMABUF, CORE, NOTIFIER, HMM25, REVOKE),
    ),
    "exporter may refuse": (
        (
            "yes, each map",
            "at alloc/mmap; topology at dma map",
            "at attach, at map, at pin",
            "at pin",
            "n/a (fault error)",
            "mapping error",
            "attach, map",
        ),
        (RFC, P2PDMA, TTM, TTM, HMM, HMM25, VFIO),
    ),
    "importer may keep it": (
        (
            "no",
            "in effect yes (reference)",
            "no",
            "yes (until unpin)",
            "no (false only if non-blocking)",
            "no",
            "no; pinned revocable must still drop",
        ),
        (RFC, P2PDMA, DMABUF, TTM, NOTIFIER, NOTIFIER, REVOKE),
    ),
    "callback may sleep": (
        (
            "yes unless non-blockable",
            "-",
            "yes (ww-mutex context)",
            "-",
            "yes unless non-blockable",
            "as mmu_interval",
            "yes",
        ),
        (NOTIFIER, P2PDMA, DMABUF, CORE, NOTIFIER, NOTIFIER, VFIO),
    ),
    "lock around callback": (
        (
            "mmap_sem and/or i_mmap; take none",
            "-",
            "dma_resv of the buffer",
            "-",
            "same as notifier + importer's own lock",
            "as mmu_interval",
            "memory_lock + dma_resv",
        ),
        ("include/linux/mmu_notifier.h; " + RFC, P2PDMA, DMABUF, CORE, NOTIFIER, NOTIFIER, VFIO),
    ),
    "lock around map": (
        (
            "mmap_sem read",
            "- (GUP)",
            "dma_resv",
            "dma_resv",
            "mmap_lock read, then own lock for retry",
            "own lock",
            "dma_resv",
        ),
        (RFC, GUP, CORE, CORE, "Documentation/mm/hmm.rst", HMM25, VFIO),
    ),
    "move while mapped": (
        ("yes", "no", "yes", "no", "yes (kernel migrates)", "yes", "no move; revoke (whole)"),
        (GM, P2PDMA, DMABUF, TTM, "mm/migrate.c", HMM25, VFIO),
    ),
    "cannot fault or stop": (
        (
            "excluded (pin flag floated)",
            "served (but no long-term pin)",
            "use pin path: system memory",
            "served",
            "excluded",
            "excluded",
            "first excluded, 2026 pinned revocable",
        ),
        (GM, GUP, AMD, AMD, HMM, HMM25, REVOKE),
    ),
    "where failure shows": (
        (
            "p2p_map return / HMM_PFN_ERROR / -EFAULT",
            "-EREMOTEIO at dma map, -ENOMEM mmap",
            "attach/map errno; later fence time-out",
            "pin errno",
            "-EFAULT/-EBUSY",
            "DMA_MAPPING_ERROR",
            "-EOPNOTSUPP, -ENODEV",
        ),
        (RFC, P2PDMA, TTM, TTM, HMM, HMM25, VFIO),
    ),
    "struct page needed": (
        ("no", "yes", "not if allow_peer2peer", "depends", "yes", "yes", "no"),
        (RFC, GUP, DMABUF, AMD, HMM, HMM25, VFIO),
    ),
    "topology check": (
        (
            "exporter's driver (with pci_test_p2p)",
            "DMA mapping layer (cached map type)",
            "exporter at attach (pci_p2pdma_distance)",
            "exporter at attach",
            "n/a",
            "DMA mapping layer",
            "pci_p2pdma_map_type at attach/map",
        ),
        ("20190129174728.6430-2-jglisse@redhat.com", P2PDMA, AMD, AMD, HMM, HMM25, VFIO),
    ),
    "lifetime": (
        (
            "VMA; object may outlive or die first",
            "page reference; removal waits",
            "file reference; resv",
            "pin count",
            "mm + interval",
            "as mmu_interval",
            "file ref + revoke flag",
        ),
        (RFC, P2PDMA, CORE, CORE, NOTIFIER, NOTIFIER, VFIO),
    ),
    "predictability promise": (
        (
            "written rule",
            "strong (reference)",
            "none written; must re-map on use",
            "strong",
            "none",
            "none",
            "revoke once, or restore after reset",
        ),
        (RFC, P2PDMA, DMABUF, CORE, NOTIFIER, NOTIFIER, REVOKE),
    ),
    "granularity of a take-back": (
        ("any sub-range", "-", "whole buffer", "-", "any sub-range", "page", "whole buffer"),
        (RFC, P2PDMA, DMABUF, CORE, NOTIFIER, HMM25, VFIO),
    ),
}

#: (question, design) -> why the answer of the run differs from the table's.
CORRECTED: dict[tuple[str, str], str] = {
    (
        "importer may keep it",
        "vfio-dma-buf",
    ): "it may not; but since 6ffe939bf94f VFIO waits for it: 1 s, a WARN, then on",
    (
        "topology check",
        "vfio-dma-buf",
    ): "attach asks only for peer2peer; the map type is asked at map (as posted in v9)",
    ("where failure shows", "vfio-dma-buf"): "and -EINVAL at map where the importer is out of reach",
    ("where failure shows", "p2pdma-pages"): "and -EFAULT from get_user_pages where there is no struct page",
    (
        "where failure shows",
        "dma-buf-dynamic",
    ): "ttm turns -ENOSPC into -ENOMEM; out of reach means main memory; no fence times out here",
    (
        "exporter may refuse",
        "dma-buf-dynamic",
    ): "the run shows map: amdgpu refuses no attach; for pin see dma-buf-pinned",
    (
        "exporter may refuse",
        "dma-buf-pinned",
    ): "an importer without callbacks is pinned at attach: there it fails",
    ("exporter may refuse", "p2pdma-pages"): "the refusal for topology is in the line on topology",
    (
        "lock around callback",
        "hmm-dma-map",
    ): "and the exporter's own, where held across its zap (as nouveau_bo.c does)",
    (
        "struct page needed",
        "dma-buf-pinned",
    ): "a pinned buffer is in main memory (amdgpu of 6.12), wherever it began",
}
