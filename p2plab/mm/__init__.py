"""Address spaces: VMAs, page tables, system calls, reverse map, and who is told when entries go away.

Checked against recordings of Linux 6.12 and 6.1 (``p2plab conform mm``). Addresses and lengths are bytes, page offsets
and file sizes are pages. System calls are coroutines of :class:`AddressSpace`.
"""

from p2plab.mm.file import File, Mapping, PfnFile, PfnOperations, remap_pfn_range, vmf_insert_pfn
from p2plab.mm.flags import (
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SHIFT,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    VM_DEVICE,
    VM_DONTCOPY,
    VM_DONTEXPAND,
    VM_IO,
    VM_LOCKED,
    VM_MAYWRITE,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    flag_names,
    perms,
)
from p2plab.mm.gup import get_user_pages, put_user_pages
from p2plab.mm.interval import (
    MmuIntervalNotifier,
    mmu_interval_notifier_insert,
    mmu_interval_notifier_remove,
    mmu_interval_read_begin,
)
from p2plab.mm.kernel import KERNELS, LINUX_6_1, LINUX_6_12, RFC2019, Kernel, kernel_named
from p2plab.mm.log import (
    NotifierEnd,
    NotifierRelease,
    NotifierStart,
    NotifierWarned,
    PageFault,
    PtesZapped,
    VmaMapped,
    VmaMoved,
    VmaSplit,
    VmaUnmapped,
)
from p2plab.mm.notifier import (
    MmuNotifier,
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.procfs import clear_refs, task_numa_work
from p2plab.mm.space import AddressSpace, Memory
from p2plab.mm.sys_exit import oom_reap
from p2plab.mm.touch import Signal
from p2plab.mm.truncate import fallocate_punch_hole, ftruncate
from p2plab.mm.vma import Vma, VmaFault, VmFaultInfo, VmOperations
from p2plab.mm.zap import unmap_mapping_range, zap_vma_ptes

__all__ = [
    "KERNELS",
    "LINUX_6_1",
    "LINUX_6_12",
    "MAP_FIXED",
    "MAP_PRIVATE",
    "MAP_SHARED",
    "MREMAP_DONTUNMAP",
    "MREMAP_FIXED",
    "MREMAP_MAYMOVE",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "PROT_NONE",
    "PROT_READ",
    "PROT_WRITE",
    "RFC2019",
    "VM_DEVICE",
    "VM_DONTCOPY",
    "VM_DONTEXPAND",
    "VM_IO",
    "VM_LOCKED",
    "VM_MAYWRITE",
    "VM_PFNMAP",
    "VM_READ",
    "VM_SHARED",
    "VM_WRITE",
    "AddressSpace",
    "File",
    "Kernel",
    "Mapping",
    "Memory",
    "MmuIntervalNotifier",
    "MmuNotifier",
    "MmuNotifierRange",
    "NotifierEnd",
    "NotifierRelease",
    "NotifierStart",
    "NotifierWarned",
    "PageFault",
    "PfnFile",
    "PfnOperations",
    "PtesZapped",
    "Signal",
    "VmFaultInfo",
    "VmOperations",
    "Vma",
    "VmaFault",
    "VmaMapped",
    "VmaMoved",
    "VmaSplit",
    "VmaUnmapped",
    "clear_refs",
    "fallocate_punch_hole",
    "flag_names",
    "ftruncate",
    "get_user_pages",
    "kernel_named",
    "mmu_interval_notifier_insert",
    "mmu_interval_notifier_remove",
    "mmu_interval_read_begin",
    "mmu_notifier_invalidate_range_end",
    "mmu_notifier_invalidate_range_start",
    "oom_reap",
    "perms",
    "put_user_pages",
    "remap_pfn_range",
    "task_numa_work",
    "unmap_mapping_range",
    "vmf_insert_pfn",
    "zap_vma_ptes",
]
