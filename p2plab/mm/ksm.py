"""Kernel same-page merging (mm/ksm.c): pages of equal content become one read-only page, and come apart again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.mm.fault import handle_mm_fault
from p2plab.mm.flags import PAGE_SIZE, VM_HUGETLB, VM_MAYSHARE, VM_MERGEABLE, VM_SHARED, VM_SPECIAL
from p2plab.mm.folio import Folio, Pte
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


def mergeable(vma: Vma) -> bool:
    """Whether MADV_MERGEABLE does anything: private memory that is not a device's."""
    return not vma.vm_flags & (VM_MERGEABLE | VM_SHARED | VM_MAYSHARE | VM_SPECIAL | VM_HUGETLB)


async def ksm_scan(mm: AddressSpace) -> None:
    """ksmd has seen all pages twice: those of VM_MERGEABLE VMAs, all of equal content here, become one.

    The second page that it meets becomes the shared one (one CLEAR: write-protected); every other page, the first
    included, is write-protected and replaced (two CLEARs).
    """
    async with mm.mmap_lock.read():
        await step("ksmd scans")
        pages = [
            (vma, address)
            for vma in mm.vmas
            if vma.vm_flags & VM_MERGEABLE
            for address, entry in mm.page_table.entries_in(vma.vm_start, vma.vm_end)
            if isinstance(entry, Pte) and entry.folio is not None and entry.folio.anon and not entry.folio.ksm
        ]
        if len(pages) < 2:
            return
        kept = await _write_protect(*pages[1])
        kept.ksm = True
        for vma, address in [pages[0], *pages[2:]]:
            await _write_protect(vma, address)
            await _replace_page(vma, address, kept)


async def _write_protect(vma: Vma, address: int) -> Folio:
    range = MmuNotifierRange(vma.vm_mm, address, address + PAGE_SIZE, "CLEAR")
    await mmu_notifier_invalidate_range_start(range)
    entry = vma.vm_mm.page_table.get(address)
    assert isinstance(entry, Pte)
    assert entry.folio is not None
    vma.vm_mm.page_table.set(address, replace(entry, write=False, exclusive=False))
    await mmu_notifier_invalidate_range_end(range)
    return entry.folio


async def _replace_page(vma: Vma, address: int, kept: Folio) -> None:
    range = MmuNotifierRange(vma.vm_mm, address, address + PAGE_SIZE, "CLEAR")
    await mmu_notifier_invalidate_range_start(range)
    entry = vma.vm_mm.page_table.get(address)
    assert isinstance(entry, Pte)
    assert entry.folio is not None
    entry.folio.mapcount -= 1
    kept.mapcount += 1
    vma.vm_mm.page_table.set(address, Pte(kept, pkey=vma.pkey))
    await mmu_notifier_invalidate_range_end(range)


async def unmerge_ksm_pages(vma: Vma, start: int, end: int) -> None:
    """``unmerge_ksm_pages``: each merged page of [start, end) gets a private copy, with one CLEAR each."""
    for address, entry in list(vma.vm_mm.page_table.entries_in(start, end)):
        if isinstance(entry, Pte) and entry.folio is not None and entry.folio.ksm:
            await handle_mm_fault(vma, address, write=False, unshare=True)
