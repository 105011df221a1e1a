"""hugetlbfs (mm/hugetlb.c): pages of 2 MiB that are never split, and where its events differ from those of other memory.

Not modelled: reservations, shared tables (from 1 GiB on), memory failure, userfaultfd of hugetlb.
"""

from __future__ import annotations

from dataclasses import replace

from p2plab.mm.cow import note_fault, prepare_anon_vma
from p2plab.mm.flags import PAGE_SHIFT, PMD_SIZE, PTRS_PER_PTE, VM_SHARED, VM_WRITE, is_cow_mapping
from p2plab.mm.folio import Folio, HugePmd
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.vma import Vma, VmaFault

ORDER = PTRS_PER_PTE.bit_length() - 1


async def hugetlb_fault(vma: Vma, address: int, write: bool) -> VmaFault:
    """A page comes in, or is made writable, or is copied (CLEAR of its 2 MiB). SIGBUS beyond the end of the file."""
    table = vma.vm_mm.page_table
    base = address & ~(PMD_SIZE - 1)
    entry = table.pmd(base)
    if not isinstance(entry, HugePmd):
        return _no_page(vma, base, write)
    if write and not entry.write:
        await _wp(vma, base, entry)
    return VmaFault.NOPAGE


def _no_page(vma: Vma, base: int, write: bool) -> VmaFault:
    assert vma.vm_file is not None
    mapping, index = vma.vm_file.f_mapping, vma.pgoff_of(base)
    if index >= mapping.i_size:
        return VmaFault.SIGBUS
    shared = bool(vma.vm_flags & VM_SHARED)
    note_fault(vma, base, write, "a huge page of hugetlbfs")
    if shared:
        folio = mapping.pages.get(index)
        if folio is None:
            folio = mapping.pages[index] = Folio(index, mapping, order=ORDER)
    else:
        prepare_anon_vma(vma)
        folio = Folio(index, None, vma.anon_vma, order=ORDER)
    folio.mapcount += 1
    writable = bool(vma.vm_flags & VM_WRITE) and (shared or write)
    vma.vm_mm.page_table.set_huge(base, HugePmd(folio, writable, True, not shared, pkey=vma.pkey))
    return VmaFault.NOPAGE


async def _wp(vma: Vma, base: int, entry: HugePmd) -> None:
    """``hugetlb_wp``: a page mapped only here is reused, else it is copied."""
    table, old = vma.vm_mm.page_table, entry.folio
    assert old is not None
    if vma.vm_flags & VM_SHARED or (old.anon and old.mapcount == 1):
        table.set_huge(base, replace(entry, write=True, dirty=True, exclusive=old.anon))
        return
    prepare_anon_vma(vma)
    range = MmuNotifierRange(vma.vm_mm, base, base + PMD_SIZE, "CLEAR", vma=vma)
    await mmu_notifier_invalidate_range_start(range)
    if table.pmd(base) is entry:
        note_fault(vma, base, True, "a copy of its own, 2 MiB")
        copy = Folio(old.index, None, vma.anon_vma, order=ORDER)
        copy.mapcount, copy.filled = 1, old.filled
        old.mapcount -= 1
        table.set_huge(base, HugePmd(copy, True, True, True, pkey=vma.pkey))
    await mmu_notifier_invalidate_range_end(range)


async def hugetlb_change_protection(vma: Vma, start: int, end: int) -> None:
    """PROTECTION_VMA of all of [start, end), whether or not anything is mapped."""
    range = MmuNotifierRange(vma.vm_mm, start, end, "PROTECTION_VMA", vma=vma)
    await mmu_notifier_invalidate_range_start(range)
    table = vma.vm_mm.page_table
    for base, content in list(table.pmds_in(start, end)):
        if isinstance(content, HugePmd):
            table.set_huge(base, replace(content, write=vma.prot_writable(), pkey=vma.pkey))
    await mmu_notifier_invalidate_range_end(range)


async def copy_hugetlb_page_range(dst: Vma, src: Vma) -> None:
    """fork: CLEAR of the whole VMA if it is private (not PROTECTION_PAGE, as for other memory)."""
    cow = is_cow_mapping(src.vm_flags)
    range = MmuNotifierRange(src.vm_mm, src.vm_start, src.vm_end, "CLEAR", vma=src)
    if cow:
        await mmu_notifier_invalidate_range_start(range)
    for base, content in list(src.vm_mm.page_table.pmds_in(src.vm_start, src.vm_end)):
        if not isinstance(content, HugePmd) or content.folio is None:
            continue
        if cow and content.folio.pins:
            copy = Folio(content.folio.index, None, dst.anon_vma, order=ORDER)
            copy.mapcount, copy.filled = 1, content.folio.filled
            dst.vm_mm.page_table.set_huge(base, replace(content, folio=copy))
            continue
        shared = replace(content, write=False, exclusive=False) if cow else content
        src.vm_mm.page_table.set_huge(base, shared)
        dst.vm_mm.page_table.set_huge(base, shared)
        content.folio.mapcount += 1
    if cow:
        await mmu_notifier_invalidate_range_end(range)


def aligned(length: int) -> int:
    """Bytes rounded up to whole huge pages."""
    return (length + PMD_SIZE - 1) // PMD_SIZE * PMD_SIZE


assert PTRS_PER_PTE << PAGE_SHIFT == PMD_SIZE
