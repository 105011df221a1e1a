"""What is done to an address space from outside of it: clear_refs (fs/proc/task_mmu.c), NUMA balancing (kernel/sched)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import (
    ULONG_MAX,
    VM_ACCESS_FLAGS,
    VM_HUGETLB,
    VM_IO,
    VM_MIXEDMAP,
    VM_PFNMAP,
    VM_READ,
    VM_SOFTDIRTY,
    VM_WRITE,
)
from p2plab.mm.folio import HugePmd, Pte
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.sys_mprotect import change_protection
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

SOFT_DIRTY_VALUE = 4
VALUES = range(1, 6)


async def clear_refs(mm: AddressSpace, value: int) -> None:
    """Write ``value`` to /proc/PID/clear_refs. Only 4 raises an event: SOFT_DIRTY of everything. EINVAL beyond 1..5."""
    if value not in VALUES:
        raise KernelError("EINVAL", f"clear_refs takes {VALUES[0]} to {VALUES[-1]}, not {value}")
    async with mm.mmap_write():
        await step(f"clear_refs {value}")
        if value != SOFT_DIRTY_VALUE:
            return
        for vma in mm.vmas:
            vma.vm_flags &= ~VM_SOFTDIRTY
        range = MmuNotifierRange(mm, 0, ULONG_MAX, "SOFT_DIRTY")
        await mmu_notifier_invalidate_range_start(range)
        for vma in mm.vmas:
            if not vma.vm_flags & VM_PFNMAP:
                _clear_soft_dirty(vma)
        await mmu_notifier_invalidate_range_end(range)


def _clear_soft_dirty(vma: Vma) -> None:
    table = vma.vm_mm.page_table
    for base, huge in list(table.pmds_in(vma.vm_start, vma.vm_end)):
        if isinstance(huge, HugePmd):
            table.set_huge(base, replace(huge, write=False, soft_dirty=False))
    for address, entry in table.entries_in(vma.vm_start, vma.vm_end):
        if isinstance(entry, Pte) and not (entry.folio is not None and entry.folio.pins):
            table.set(address, replace(entry, write=False, soft_dirty=False))


async def task_numa_work(mm: AddressSpace) -> None:
    """One pass of NUMA balancing: PROTECTION_VMA of each VMA whose pages may move; device memory is left out."""
    async with mm.mmap_lock.read():
        await step("task_numa_work")
        for vma in list(mm.vmas):
            readonly_file = vma.vm_file is not None and vma.vm_flags & (VM_READ | VM_WRITE) == VM_READ
            if vma.vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP | VM_HUGETLB) or readonly_file:
                continue
            skipped = vma.vm_file is not None and mm.kernel.numa_skips_tmpfs
            if vma.vm_flags & VM_ACCESS_FLAGS and vma.vm_policy is None and not skipped:
                await change_protection(vma, vma.vm_start, vma.vm_end)
