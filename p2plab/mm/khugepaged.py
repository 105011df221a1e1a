"""Making huge pages out of small ones: khugepaged and MADV_COLLAPSE (mm/khugepaged.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SIZE, PMD_SIZE, PTRS_PER_PTE, VM_HUGEPAGE, VM_NOHUGEPAGE, VM_SPECIAL, VM_WRITE
from p2plab.mm.folio import Folio, HugePmd, Pte, SwapPte
from p2plab.mm.locks import RmapHeld
from p2plab.mm.log import span
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.pagetable import PteTable
from p2plab.mm.vma import Vma
from p2plab.mm.zap import put_entry

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

#: khugepaged's limits (sysfs defaults): pages in swap, pages mapped by several processes, in one 2 MiB
MAX_SWAP, MAX_SHARED = 64, 256


async def khugepaged_scan(mm: AddressSpace) -> None:
    """One pass: every aligned 2 MiB that asked for huge pages and holds at least one page becomes one."""
    for vma in list(mm.vmas):
        if vma.vm_flags & VM_HUGEPAGE:
            for base in aligned_in(vma, vma.vm_start, vma.vm_end):
                if _worth_it(vma, base):
                    await collapse_huge_page(mm, base)


async def madvise_collapse(vma: Vma, start: int, end: int) -> None:
    """MADV_COLLAPSE of a VMA's part: at once, and regardless of khugepaged's limits. EINVAL for what cannot be."""
    mm = vma.vm_mm
    if vma.vm_flags & (VM_NOHUGEPAGE | VM_SPECIAL) or not vma.is_anonymous:
        raise KernelError("EINVAL", f"{vma} cannot have huge pages")
    failed = (start + PMD_SIZE - 1) // PMD_SIZE > end // PMD_SIZE
    for base in aligned_in(vma, start, end):
        content = mm.page_table.pmd(base)
        if content is None:
            failed = True
        elif not isinstance(content, HugePmd):
            await collapse_huge_page(mm, base)
    if failed:
        raise KernelError("EINVAL", f"not all of {span(start, end)} can be huge pages; what could, is now")


def aligned_in(vma: Vma, start: int, end: int) -> range:
    """The 2 MiB stretches that lie inside [start, end)."""
    first = (start + PMD_SIZE - 1) // PMD_SIZE * PMD_SIZE
    return range(first, end // PMD_SIZE * PMD_SIZE, PMD_SIZE)


def _worth_it(vma: Vma, base: int) -> bool:
    content = vma.vm_mm.page_table.pmd(base)
    if not isinstance(content, PteTable) or vma.anon_vma is None:
        return False
    entries = list(content.entries.values())
    swapped = sum(isinstance(entry, SwapPte) for entry in entries)
    present = [entry for entry in entries if isinstance(entry, Pte)]
    shared = sum(entry.folio is not None and entry.folio.mapcount > 1 for entry in present)
    writable = any(entry.write for entry in present)
    return bool(present) and writable and swapped <= MAX_SWAP and shared <= MAX_SHARED


async def collapse_huge_page(mm: AddressSpace, base: int) -> None:
    """512 pages become one: CLEAR of the 2 MiB, mmap_lock held for writing."""
    async with mm.mmap_write():
        await step(f"collapse {base:#x}")
        vma = mm.vma_lookup(base)
        if vma is None or vma.vm_end < base + PMD_SIZE or not isinstance(mm.page_table.pmd(base), PteTable):
            return
        await mm.vma_start_write([vma])
        range = MmuNotifierRange(mm, base, base + PMD_SIZE, "CLEAR", vma=vma)
        async with RmapHeld("write", vma.anon_vma.rwsem if vma.anon_vma is not None else None):
            await mmu_notifier_invalidate_range_start(range)
            for address, entry in list(mm.page_table.entries_in(base, base + PMD_SIZE)):
                mm.page_table.clear(address)
                put_entry(entry)
            folio = Folio(vma.pgoff_of(base), None, vma.anon_vma, order=PTRS_PER_PTE.bit_length() - 1)
            folio.mapcount = 1
            mm.page_table.set_huge(base, HugePmd(folio, bool(vma.vm_flags & VM_WRITE), True, True, pkey=vma.pkey))
            await mmu_notifier_invalidate_range_end(range)


assert PMD_SIZE == PTRS_PER_PTE * PAGE_SIZE
