"""The end of a process: ``exit_mmap`` (mm/mmap.c) and the OOM reaper that may come before it (mm/oom_kill.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.mm.flags import ULONG_MAX, VM_HUGETLB, VM_PFNMAP, VM_SHARED
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
    mmu_notifier_release,
)
from p2plab.mm.sys_mmap import _close, _unlink_all
from p2plab.mm.zap import free_pgtables, unmap_page_range, unmap_vmas

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

#: How often the reaper tries before it reports "unable to reap".
MAX_OOM_REAP_RETRIES = 10


async def exit_mmap(mm: AddressSpace) -> None:
    """RELEASE and ``release`` with no lock held, which unhooks the listeners; then UNMAP of everything, lock read.

    Only interval notifiers still hear the UNMAP.
    """
    await step(f"exit of {mm.name}")
    await mmu_notifier_release(mm)
    if not mm.vmas:
        return
    async with mm.mmap_lock.read():
        await unmap_vmas(mm, list(mm.vmas), 0, ULONG_MAX)
    async with mm.mmap_write():
        vmas = list(mm.vmas)
        await _unlink_all(vmas)
        free_pgtables(mm, vmas, 0, 0)
        for vma in vmas:
            await _close(vma)
        mm.vmas.clear()
        for vma in vmas:
            vma.freed = True


async def oom_reap(mm: AddressSpace) -> bool:
    """The OOM reaper's work on a dying process: UNMAP, non-blocking, per private VMA; False if it was refused every time.

    Device memory (VM_PFNMAP) is left alone [invariant 28]: its listeners are never called in this way.
    """
    for _ in range(MAX_OOM_REAP_RETRIES):
        async with mm.mmap_lock.read():
            if await _reap_once(mm):
                return True
    return False


async def _reap_once(mm: AddressSpace) -> bool:
    reaped = True
    for vma in list(mm.vmas):
        if vma.vm_flags & (VM_PFNMAP | VM_HUGETLB) or (vma.vm_flags & VM_SHARED and not vma.is_anonymous):
            continue
        range = MmuNotifierRange(mm, vma.vm_start, vma.vm_end, "UNMAP", blockable=False)
        if await mmu_notifier_invalidate_range_start(range):
            reaped = False
            continue
        await unmap_page_range(vma, vma.vm_start, vma.vm_end)
        await mmu_notifier_invalidate_range_end(range)
    return reaped
