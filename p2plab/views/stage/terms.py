"""The field's term for each kind of thing on the stage, with its source: the words shown on hover.

A source is a kernel file, a mail by its Message-ID, or a module of this model for its own concepts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

RFC3 = "20190129174728.6430-4-jglisse@redhat.com"
RFC4 = "20190129174728.6430-5-jglisse@redhat.com"
NOTIFIER = "include/linux/mmu_notifier.h"
DMA_BUF = "include/linux/dma-buf.h"
DRM_PAGEMAP = "include/drm/drm_pagemap.h (drm_pagemap_ops)"
DMA_PFN = "20250718115112.3881129-2-ymaman@nvidia.com"
MM_TYPES = "include/linux/mm_types.h"

#: Where the mails of the linux-mm list can be read.
ARCHIVE = "https://lore.kernel.org/linux-mm/"
MESSAGE_ID = re.compile(r"[\w.+-]+@[\w.-]+\w")

#: The kind of a thing -> (term, source). ``call:`` and ``lock:`` go on with the function's or lock's name.
TERMS: Mapping[str, tuple[str, str]] = {
    # processes
    "page": (
        "virtual page of a process: part of a vma that shows the exporter's object",
        f"{MM_TYPES} (vm_area_struct)",
    ),
    "no vma": ("virtual page that no vma covers", f"{MM_TYPES} (vm_area_struct)"),
    "pte": ("page-table entry: the CPU translates this page", "mm/memory.c (vmf_insert_pfn)"),
    "nopte": (
        "no page-table entry: a touch by the CPU calls vm_ops->fault",
        "include/linux/mm.h (vm_operations_struct)",
    ),
    # importers
    "no entry": ("the device does not translate this page", "p2plab/p2p/engine.py"),
    "right": ("translation of the importer's device, with an address that p2p_map gave", RFC3),
    "back": ("translation whose grant was taken back by a callback: obedience forbids its use", RFC3),
    "stale": ("stale translation: what it leads to is no longer what was lent", RFC3),
    "mmu": ("the IOMMU's translation of an IOVA, in the importer's own domain", "drivers/iommu/iova.c"),
    # the exporter
    "slot": ("page of the BAR aperture; the exporter may show any frame in it", "20190130192234.GD5061@redhat.com"),
    "free": ("page of an aperture or a memory that shows or holds nothing", "p2plab/p2p/aperture.py"),
    "lent": ("lent: what p2p_map gave and p2p_unmap has not yet returned, by the exporter's books", RFC3),
    "moving": ("about to move: until the move is over, p2p_map has to wait", "20190129204359.GM3176@redhat.com"),
    "maps": ("what the aperture is programmed to show here", "20190130192234.GD5061@redhat.com"),
    "frame": (
        "frame: one page of device memory, without a struct page, with its owner's bytes",
        "p2plab/p2p/memory.py",
    ),
    "dma": ("bytes that the DMA engine wrote where they belong", "p2plab/p2p/memory.py"),
    "hurt": ("bytes of an owner whom this DMA was not for, destroyed or read", "p2plab/rules/damage.py"),
    "ram": ("page of main memory, to which an exporter may fall back", "20190129204359.GM3176@redhat.com"),
    "fold": ("a run of cells of one kind, folded", "p2plab/views/stage/fold.py"),
    # on their way
    "beat": ("beat: one page of a DMA transfer, looked up in one step, landing in a later one", "p2plab/p2p/engine.py"),
    "link": ("address of a private link between two devices: no slot is used", "20190129205749.GN3176@redhat.com"),
    "range": ("invalidation under way, from invalidate_range_start to _end", f"{NOTIFIER} (mmu_notifier_range)"),
    # time
    "step": ("step: what an actor does between two awaits; nothing else happens meanwhile", "p2plab/core/actors.py"),
    "press": ("an action that a person asked for", "p2plab/core/world.py"),
    "new": ("changed in this step", "p2plab/views/stage/chain.py"),
    "differs": ("the other run has something else here", "p2plab/lab/compare.py"),
    # actors
    "process": ("process: an address space and its threads", f"{MM_TYPES} (mm_struct)"),
    "exporter's driver": ("exporter: sets the vm_ops of its vma, and lends its device's memory", RFC3),
    "importer's driver": ("importer: asks with p2p_map, and obeys the mmu notifier", RFC3),
    "its timer": (
        "the importer's timeout: once its driver waits for a valid range, the time may run out at any step",
        "p2plab/p2p/importer.py",
    ),
    "DMA engine": (
        "the importer's device at work: it uses its own translations and asks nobody",
        "p2plab/p2p/engine.py",
    ),
    # calls
    "call": ("a call from one driver into another", "p2plab/core/calls.py"),
    "call:p2p_map": ("asks the exporter for addresses: one for each page", RFC3),
    "call:p2p_unmap": ("gives addresses back to the exporter", RFC3),
    "call:devmem.p2p_map": ("asks the driver of HMM device memory for addresses", RFC4),
    "call:devmem.p2p_unmap": ("gives addresses of HMM device memory back", RFC4),
    "call:invalidate_range_start": (
        "mmu notifier: entries of this range are about to go",
        f"{NOTIFIER} (mmu_notifier_ops)",
    ),
    "call:release": ("mmu notifier: the address space dies", f"{NOTIFIER} (mmu_notifier_ops)"),
    "call:invalidate": ("interval notifier: its range changes", f"{NOTIFIER} (mmu_interval_notifier_ops)"),
    "call:invalidate_start": (
        "two-pass interval notifier: stop what is quick to stop, without waiting",
        f"{NOTIFIER} (mmu_interval_notifier_ops)",
    ),
    "call:invalidate_finish": (
        "two-pass interval notifier: wait for what invalidate_start stopped; obedience is due here",
        f"{NOTIFIER} (mmu_interval_notifier_ops)",
    ),
    "call:device_map": ("asks for an address at which another device reaches this page", DRM_PAGEMAP),
    "call:device_unmap": ("gives that address back", DRM_PAGEMAP),
    "call:get_dma_pfn_for_device": ("asks the owner of a device-private page for a PFN that DMA can reach", DMA_PFN),
    "call:hmm_dma_map_pfn": ("maps one page of a snapshot for DMA, peer to peer where it can", "mm/hmm.c"),
    "call:find_vma": ("looks for the vma of an address", "include/linux/mm.h"),
    "call:attach": ("an importer attaches to the buffer", f"{DMA_BUF} (dma_buf_ops)"),
    "call:pin": ("the buffer may not move until it is unpinned", f"{DMA_BUF} (dma_buf_ops)"),
    "call:unpin": ("the buffer may move again", f"{DMA_BUF} (dma_buf_ops)"),
    "call:map_dma_buf": ("asks for the addresses of the buffer", f"{DMA_BUF} (dma_buf_ops)"),
    "call:unmap_dma_buf": ("gives the addresses back", f"{DMA_BUF} (dma_buf_ops)"),
    "call:move_notify": ("tells the importer that the buffer will move", f"{DMA_BUF} (dma_buf_attach_ops)"),
    "call:invalidate_mappings": (
        "tells the importer that the buffer's mappings end",
        f"{DMA_BUF} (dma_buf_attach_ops)",
    ),
    # locks
    "lock": ("a lock of the driver's own", "p2plab/core/locks.py"),
    "lock:mmap_lock": ("lock of an address space; mmap_sem in 2019", f"{MM_TYPES} (mm_struct)"),
    "lock:i_mmap_rwsem": ("lock of a file's mappings", "include/linux/fs.h (address_space)"),
    "lock:dma_fence_map": ("lock map: whoever holds it must signal a fence", "drivers/dma-buf/dma-fence.c"),
    "lock:resv": ("reservation lock of the buffer", "include/linux/dma-resv.h (dma_resv)"),
    "lock:memory_lock": ("lock of what a VFIO device shows", "drivers/vfio/pci/vfio_pci_core.c (memory_lock)"),
}


def linked(source: str) -> list[list[str]]:
    """A source in pieces ``[text, address]``; the address is empty but for mails.

    >>> linked("mm/gup.c; a.b@redhat.com")
    [['mm/gup.c; ', ''], ['a.b@redhat.com', 'https://lore.kernel.org/linux-mm/a.b@redhat.com/']]
    """
    pieces: list[list[str]] = []
    end = 0
    for mail in MESSAGE_ID.finditer(source):
        pieces += [[source[end : mail.start()], ""], [mail[0], f"{ARCHIVE}{mail[0]}/"]]
        end = mail.end()
    return [piece for piece in [*pieces, [source[end:], ""]] if piece[0]]
