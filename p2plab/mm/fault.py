"""Page faults: bringing a page in (mm/memory.c).

Every function here runs with the VMA stable: under the per-VMA lock (6.12) or under mmap_lock.
"""

from __future__ import annotations

from dataclasses import replace

from p2plab.mm.cow import do_wp_page, note_fault, prepare_anon_vma
from p2plab.mm.file import huge_fits
from p2plab.mm.flags import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    PTRS_PER_PTE,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_LOCKED,
    VM_SHARED,
    VM_WRITE,
)
from p2plab.mm.folio import ZERO_PFN, Folio, HugePmd, Pte, SwapPte, folio_free_swap
from p2plab.mm.hugetlb import hugetlb_fault
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.thp import split_huge_pmd
from p2plab.mm.vma import Vma, VmaFault, VmFaultInfo

#: How many pages a read fault of a file maps around itself, if they are cached (fault_around_bytes, 64 KiB).
FAULT_AROUND = 16


async def handle_mm_fault(vma: Vma, address: int, write: bool, unshare: bool = False) -> VmaFault:
    """One fault at ``address`` (page aligned, access already allowed): one step towards an entry that permits it."""
    table = vma.vm_mm.page_table
    table.alloc_pud(address)
    if vma.vm_flags & VM_HUGETLB:
        return await hugetlb_fault(vma, address, write)
    huge = table.pmd(address)
    if huge is None and _huge_wanted(vma, address):
        _huge_anonymous_page(vma, address, write)
        return VmaFault.NOPAGE
    if isinstance(huge, HugePmd) and await _huge_wp_page(vma, address, huge):
        return VmaFault.NOPAGE
    entry = table.get(address)
    if entry is None:
        return await _do_pte_missing(vma, address, write)
    if isinstance(entry, SwapPte):
        if entry.poisoned or entry.guard:
            return VmaFault.SIGBUS if entry.poisoned else VmaFault.SIGSEGV
        await _do_swap_page(vma, address, entry, write)
    elif unshare or (write and not entry.write):
        await do_wp_page(vma, address, entry, unshare)
    return VmaFault.NOPAGE


# -- no entry yet -------------------------------------------------------------------------------------------------------


async def _do_pte_missing(vma: Vma, address: int, write: bool) -> VmaFault:
    if vma.is_anonymous:
        _anonymous_page(vma, address, write)
        return VmaFault.NOPAGE
    file = vma.vm_file
    assert file is not None
    if not file.has_pages:
        if vma.vm_ops is None or not vma.vm_ops.has("fault"):
            return VmaFault.SIGBUS
        note_fault(vma, address, write, "the driver's fault handler")
        return await vma.vm_ops.fault(VmFaultInfo(vma, address, vma.pgoff_of(address), write))
    return _file_page(vma, address, write)


def _anonymous_page(vma: Vma, address: int, write: bool) -> None:
    if not write:
        note_fault(vma, address, write, "the page of zeroes")
        vma.vm_mm.page_table.set(address, Pte(pfn=ZERO_PFN, pkey=vma.pkey))
        return
    note_fault(vma, address, write, "a new page")
    prepare_anon_vma(vma)
    _map_new_page(vma, address)


def _map_new_page(vma: Vma, address: int, filled: int = 0) -> None:
    folio = Folio(vma.pgoff_of(address), None, vma.anon_vma)
    folio.mapcount, folio.filled = 1, filled
    write = bool(vma.vm_flags & VM_WRITE)
    vma.vm_mm.page_table.set(address, Pte(folio, write=write, dirty=True, exclusive=True, pkey=vma.pkey))


def _file_page(vma: Vma, address: int, write: bool) -> VmaFault:
    """Before the file is asked for the page, a private write gets its anon_vma, and a read maps the pages around."""
    assert vma.vm_file is not None
    mapping = vma.vm_file.f_mapping
    index = vma.pgoff_of(address)
    if write and not vma.vm_flags & VM_SHARED:
        prepare_anon_vma(vma)
        page = mapping.page(index)
        if page is None:
            return VmaFault.SIGBUS
        note_fault(vma, address, write, "a private copy of a file page")
        _map_new_page(vma, address, page.filled)
        return VmaFault.NOPAGE
    if not write:
        _fault_around(vma, address)
    folio = mapping.page(index)
    if folio is None:
        return VmaFault.SIGBUS
    if vma.vm_mm.page_table.get(address) is None:
        note_fault(vma, address, write, "a file page")
        _map_file_page(vma, address, folio, write)
    return VmaFault.NOPAGE


def _map_file_page(vma: Vma, address: int, folio: Folio, write: bool) -> None:
    folio.mapcount += 1
    vma.vm_mm.page_table.set(address, Pte(folio, write=vma.prot_writable() or write, dirty=write, pkey=vma.pkey))


def _fault_around(vma: Vma, address: int) -> None:
    """``do_fault_around``: map what is cached in the aligned 64 KiB around, inside the VMA and the table."""
    assert vma.vm_file is not None
    mapping = vma.vm_file.f_mapping
    block = FAULT_AROUND << PAGE_SHIFT
    start = max(address & ~(block - 1), vma.vm_start, address & ~(PMD_SIZE - 1))
    end = min(start + block, vma.vm_end, (address & ~(PMD_SIZE - 1)) + PMD_SIZE)
    for at in range(start, end, PAGE_SIZE):
        index = vma.pgoff_of(at)
        folio = mapping.pages.get(index)
        if folio is not None and index < mapping.i_size and vma.vm_mm.page_table.get(at) is None:
            note_fault(vma, at, False, "a cached file page near a fault")
            _map_file_page(vma, at, folio, False)


# -- a page in the swap area --------------------------------------------------------------------------------------------


async def _do_swap_page(vma: Vma, address: int, entry: SwapPte, write: bool) -> None:
    """``do_swap_page``: an exclusive page comes back writable; a shared one read-only, and is copied if written."""
    note_fault(vma, address, write, "from the swap area")
    slot = entry.slot
    folio = slot.folio
    if folio is None:
        folio = slot.folio = Folio(vma.pgoff_of(address), None, vma.anon_vma)
        folio.swap, folio.filled = slot, slot.filled
    slot.count -= 1
    may_free = bool(vma.vm_flags & VM_LOCKED) or (write and folio.refcount == 1)
    if may_free:
        folio_free_swap(folio)
    exclusive = entry.exclusive or folio.refcount == 0
    writable = exclusive and bool(vma.vm_flags & VM_WRITE)
    folio.mapcount += 1
    pte = Pte(folio, write=writable, dirty=write and writable, exclusive=exclusive, pkey=vma.pkey)
    vma.vm_mm.page_table.set(address, pte)
    if write and not writable:
        await do_wp_page(vma, address, pte, unshare=False)


# -- huge pages ---------------------------------------------------------------------------------------------------------


def _huge_wanted(vma: Vma, address: int) -> bool:
    wanted = vma.is_anonymous and vma.vm_flags & VM_HUGEPAGE and vma.vm_mm.memory.thp != "never"
    return bool(wanted) and huge_fits(vma, address)


def _huge_anonymous_page(vma: Vma, address: int, write: bool) -> None:
    base = address & ~(PMD_SIZE - 1)
    prepare_anon_vma(vma)
    if not write:
        note_fault(vma, base, write, "the huge page of zeroes")
        vma.vm_mm.page_table.set_huge(base, HugePmd(None, pkey=vma.pkey))
        return
    note_fault(vma, base, write, "a new huge page")
    _map_huge_page(vma, base)


def _map_huge_page(vma: Vma, base: int) -> None:
    folio = Folio(vma.pgoff_of(base), None, vma.anon_vma, order=PTRS_PER_PTE.bit_length() - 1)
    folio.mapcount = 1
    vma.vm_mm.page_table.set_huge(base, HugePmd(folio, bool(vma.vm_flags & VM_WRITE), True, True, pkey=vma.pkey))


async def _huge_zero_wp_pmd(vma: Vma, base: int) -> None:
    """``do_huge_zero_wp_pmd`` (since 6.13): a write to the huge page of zeroes gets a huge page, under one CLEAR."""
    range = MmuNotifierRange(vma.vm_mm, base, base + PMD_SIZE, "CLEAR", vma=vma)
    await mmu_notifier_invalidate_range_start(range)
    note_fault(vma, base, True, "a new huge page in place of the huge page of zeroes")
    _map_huge_page(vma, base)
    await mmu_notifier_invalidate_range_end(range)


async def _huge_wp_page(vma: Vma, address: int, huge: HugePmd) -> bool:
    """``do_huge_pmd_wp_page``: True if the huge page could be made writable; else it is split, and a page copied."""
    base = address & ~(PMD_SIZE - 1)
    folio = huge.folio
    if folio is not None and (huge.exclusive or folio.refcount == 1):
        note_fault(vma, base, True, "the huge page is this process's alone, and is reused")
        may = bool(vma.vm_flags & VM_WRITE)
        vma.vm_mm.page_table.set_huge(base, replace(huge, write=may, dirty=True, exclusive=True, soft_dirty=True))
        return True
    if folio is None and vma.vm_mm.kernel.huge_zero_page_copies_whole:
        await _huge_zero_wp_pmd(vma, base)
        return True
    await split_huge_pmd(vma, address)
    return False
