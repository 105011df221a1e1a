"""Making huge pages out of small ones: khugepaged and MADV_COLLAPSE (mm/khugepaged.c)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.file import huge_fits
from p2plab.mm.flags import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    PTRS_PER_PTE,
    VM_HUGEPAGE,
    VM_NOHUGEPAGE,
    VM_SPECIAL,
    VM_WRITE,
)
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
    """MADV_COLLAPSE of a VMA's part: at once, and regardless of khugepaged's limits.

    EINVAL for memory that cannot be collapsed, EAGAIN where a page is referenced; what could be done is done by then.
    """
    mm = vma.vm_mm
    allowed = vma.is_anonymous and vma.anon_vma is not None and huge_fits(vma, vma.vm_end - PMD_SIZE)
    if not allowed or vma.vm_flags & (VM_NOHUGEPAGE | VM_SPECIAL):
        raise KernelError("EINVAL", f"{vma} cannot have huge pages")
    stretches = aligned_in(vma, start, end)
    missing = (start + PMD_SIZE - 1) // PMD_SIZE > end // PMD_SIZE and not mm.kernel.collapse_of_nothing_succeeds
    failed = Scan.FAIL if missing else None
    for base in stretches:
        found = _scan(vma, base)
        if found is Scan.SUCCEED:
            await collapse_huge_page(mm, base)
        elif found is not Scan.PMD_MAPPED:
            failed = found
            if found is Scan.PMD_NONE and not mm.kernel.collapse_skips_empty:
                break
    if failed is not None:
        name = "EAGAIN" if failed is Scan.PAGE_COUNT else "EINVAL"
        raise KernelError(name, f"not all of {span(start, end)} can be huge pages ({failed.value}); what could, is now")


class Scan(enum.Enum):
    """``enum scan_result``: what became of one stretch of 2 MiB."""

    SUCCEED = "it can be collapsed"
    FAIL = "no whole 2 MiB in it"
    PMD_MAPPED = "a huge page already"
    PMD_NONE = "no table of entries"
    PMD_NULL = "no table of PMDs"
    PAGE_RO = "no entry is writable"
    PAGE_COUNT = "a page is referenced elsewhere"


def _scan(vma: Vma, base: int) -> Scan:
    """``hpage_collapse_scan_pmd``, for MADV_COLLAPSE."""
    table = vma.vm_mm.page_table
    if not table.pud_present(base):
        return Scan.PMD_NULL
    content = table.pmd(base)
    if content is None:
        return Scan.PMD_NONE
    if isinstance(content, HugePmd):
        return Scan.PMD_MAPPED
    entries = [entry for _address, entry in table.entries_in(base, base + PMD_SIZE) if isinstance(entry, Pte)]
    if any(entry.folio is not None and (entry.folio.refs or entry.folio.pins) for entry in entries):
        return Scan.PAGE_COUNT
    if vma.vm_mm.kernel.collapse_needs_writable and not any(entry.write for entry in entries):
        return Scan.PAGE_RO
    return Scan.SUCCEED


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
    writable = any(entry.write for entry in present) or not vma.vm_mm.kernel.collapse_needs_writable
    pinned = any(entry.folio is not None and (entry.folio.refs or entry.folio.pins) for entry in present)
    return bool(present) and writable and not pinned and swapped <= MAX_SWAP and shared <= MAX_SHARED


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
            filled = 0
            for address, entry in list(mm.page_table.entries_in(base, base + PMD_SIZE)):
                filled |= _filled(entry) << ((address - base) >> PAGE_SHIFT)
                mm.page_table.clear(address)
                put_entry(entry)
            folio = Folio(vma.pgoff_of(base), None, vma.anon_vma, order=PTRS_PER_PTE.bit_length() - 1)
            folio.mapcount, folio.filled = 1, filled
            mm.page_table.set_huge(base, HugePmd(folio, bool(vma.vm_flags & VM_WRITE), True, True, pkey=vma.pkey))
            await mmu_notifier_invalidate_range_end(range)


def _filled(entry: Pte | SwapPte) -> int:
    """1 if something was written to the page behind an entry."""
    if isinstance(entry, SwapPte):
        return entry.slot.filled if entry.slot.folio is None else entry.slot.folio.filled & 1
    return entry.folio.filled >> entry.page & 1 if entry.folio is not None else 0


assert PMD_SIZE == PTRS_PER_PTE * PAGE_SIZE
