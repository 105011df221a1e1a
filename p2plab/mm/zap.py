"""Taking entries out: munmap's, madvise's, truncate's and a driver's zap (mm/memory.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.events import emit
from p2plab.mm.flags import PAGE_SHIFT, PMD_SIZE, VM_PFNMAP
from p2plab.mm.folio import HugePmd, Pte, SwapPte, free_swap_entry
from p2plab.mm.locks import RmapHeld
from p2plab.mm.log import PtesZapped, span
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.thp import split_huge_pmd
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.file import Mapping
    from p2plab.mm.space import AddressSpace


async def unmap_page_range(
    vma: Vma, start: int, end: int, even_cows: bool = True, *, drop_markers: bool = False
) -> None:
    """Take out the entries of [start, end). Without ``even_cows``, private copies of file pages stay.

    Guard pages stay unless ``drop_markers`` (munmap).

    A huge page that is hit in part is split first: CLEAR of its whole 2 MiB, inside the caller's event.
    """
    mm = vma.vm_mm
    for base, content in list(mm.page_table.pmds_in(start, end)):
        if isinstance(content, HugePmd):
            if start <= base and base + PMD_SIZE <= end:
                _zap_huge(mm, base, content)
            else:
                await split_huge_pmd(vma, max(start, base))
    count = 0
    for address, entry in mm.page_table.entries_in(start, end):
        if isinstance(entry, Pte):
            if not even_cows and entry.folio is not None and entry.folio.anon:
                continue
            count += 1
        elif not even_cows or (entry.guard and not drop_markers):
            continue
        mm.page_table.clear(address)
        put_entry(entry)
    if count:
        emit(PtesZapped(mm.name, start, end, count))


def put_entry(entry: Pte | SwapPte) -> None:
    """Drop one mapping of the page, or of the swap slot, behind an entry that was taken out."""
    if isinstance(entry, SwapPte):
        free_swap_entry(entry)
    elif entry.folio is not None:
        entry.folio.mapcount -= 1
        if entry.dirty:
            entry.folio.dirty = True
        forget_if_unused(entry)


def forget_if_unused(entry: Pte) -> None:
    """The last user of a page in the swap cache is gone: the slot is free."""
    folio = entry.folio
    if folio is not None and folio.swap is not None and folio.mapcount == 0 and folio.swap.count == 0:
        folio.swap.folio = None
        folio.swap = None


def _zap_huge(mm: AddressSpace, base: int, huge: HugePmd) -> None:
    del mm.page_table.pmds[base // PMD_SIZE]
    if huge.folio is not None:
        huge.folio.mapcount -= 1


async def zap_page_range_single(vma: Vma, start: int, end: int, even_cows: bool = True) -> None:
    """CLEAR of [start, end), raised whether or not anything is mapped there."""
    range = MmuNotifierRange(vma.vm_mm, start, end, "CLEAR", vma=vma)
    await mmu_notifier_invalidate_range_start(range)
    await step(f"zap {span(start, end)}")
    await unmap_page_range(vma, start, end, even_cows)
    await mmu_notifier_invalidate_range_end(range)


async def zap_hugetlb(vma: Vma, start: int, end: int) -> None:
    """The same for hugetlb: the file's i_mmap_rwsem is held for writing meanwhile (``hugetlb_zap_begin``)."""
    assert vma.vm_file is not None
    async with RmapHeld("write", vma.vm_file.f_mapping.i_mmap_rwsem):
        await zap_page_range_single(vma, start, end)


async def zap_vma_ptes(vma: Vma, start: int, end: int) -> None:
    """For drivers: zap part of a VM_PFNMAP VMA. Anything else: no event, no error [mm/memory.c; invariant 33]."""
    if not (vma.vm_start <= start < end <= vma.vm_end and vma.vm_flags & VM_PFNMAP):
        return
    await zap_page_range_single(vma, start, end)


async def unmap_vmas(mm: AddressSpace, vmas: Sequence[Vma], start: int, end: int) -> None:
    """UNMAP of the whole [start, end), and the entries of all ``vmas`` taken out."""
    range = MmuNotifierRange(mm, start, end, "UNMAP")
    await mmu_notifier_invalidate_range_start(range)
    await step(f"zap {span(start, end)}")
    for vma in vmas:
        low, high = max(start, vma.vm_start), min(end, vma.vm_end)
        if low < high:
            await unmap_page_range(vma, low, high, drop_markers=True)
    await mmu_notifier_invalidate_range_end(range)


def free_pgtables(mm: AddressSpace, vmas: Sequence[Vma], floor: int, ceiling: int) -> None:
    """Free the page tables of ``vmas`` that no neighbour shares; VMAs less than 2 MiB apart are taken together.

    ``floor`` is the end of the VMA below, ``ceiling`` the start of the one above, or 0 if there is none.
    """
    at = 0
    while at < len(vmas):
        first = last = vmas[at]
        while at + 1 < len(vmas) and vmas[at + 1].vm_start <= last.vm_end + PMD_SIZE:
            at += 1
            last = vmas[at]
        top = vmas[at + 1].vm_start if at + 1 < len(vmas) else ceiling
        mm.page_table.free_range(first.vm_start, last.vm_end, floor, top)
        at += 1


async def unmap_mapping_range(mapping: Mapping, first: int, last: int, even_cows: bool = True) -> None:
    """Zap file pages [first, last] out of every VMA of every process that maps them, in order of file offset.

    CLEAR of the part of each VMA, raised whether or not anything is mapped. For drivers too: memory that moves away.
    """
    if last < first:
        return
    await step(f"i_mmap_lock_read {mapping.name}")
    async with RmapHeld("write" if mapping.hugetlb else "read", mapping.i_mmap_rwsem):
        for vma in mapping.vmas_of(first, last):
            low = max(first, vma.vm_pgoff) - vma.vm_pgoff
            high = min(last + 1 - vma.vm_pgoff, vma.pages)
            start = vma.vm_start + (low << PAGE_SHIFT)
            await zap_page_range_single(vma, start, vma.vm_start + (high << PAGE_SHIFT), even_cows)
