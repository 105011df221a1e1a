"""Transparent huge pages: splitting the 2 MiB entry, splitting the page, and what raises an event doing so.

``__split_huge_pmd`` announces CLEAR of the whole 2 MiB whether or not a huge page is there (mm/huge_memory.c): only the
table of PMDs has to exist.
"""

from __future__ import annotations

from dataclasses import replace

from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE, PTRS_PER_PTE, VM_LOCKED
from p2plab.mm.folio import ZERO_PFN, Folio, HugePmd, Pte
from p2plab.mm.locks import RmapHeld
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.rmap import entries_of, mappings_of
from p2plab.mm.vma import Vma


async def split_huge_pmd(vma: Vma, address: int) -> None:
    """``__split_huge_pmd``: CLEAR of the 2 MiB around ``address``, and 512 entries in place of one."""
    base = address & ~(PMD_SIZE - 1)
    range = MmuNotifierRange(vma.vm_mm, base, base + PMD_SIZE, "CLEAR")
    await mmu_notifier_invalidate_range_start(range)
    split_huge_pmd_locked(vma, base)
    await mmu_notifier_invalidate_range_end(range)


async def split_huge_pmd_address(vma: Vma, address: int) -> None:
    """``split_huge_pmd_address``: the same wherever a table of PMDs exists, huge page or not."""
    if vma.vm_mm.page_table.pud_present(address):
        await split_huge_pmd(vma, address)


def split_huge_pmd_locked(vma: Vma, base: int) -> None:
    """Replace the huge entry at ``base``, if there is one, by entries of single pages."""
    table = vma.vm_mm.page_table
    huge = table.pmd(base)
    if not isinstance(huge, HugePmd):
        return
    del table.pmds[base // PMD_SIZE]
    for number in range(PTRS_PER_PTE):
        table.set(base + (number << PAGE_SHIFT), _entry_of(huge, number))
    if huge.folio is not None:
        huge.folio.mapcount += PTRS_PER_PTE - 1


def _entry_of(huge: HugePmd, number: int) -> Pte:
    if huge.folio is None:
        return Pte(pfn=ZERO_PFN, soft_dirty=huge.soft_dirty, pkey=huge.pkey)
    return Pte(huge.folio, number, -1, huge.write, huge.dirty, huge.exclusive, huge.soft_dirty, huge.pkey)


async def split_folio(folio: Folio) -> bool:
    """Whether the page itself could be split (``split_huge_page``): not while it is referenced elsewhere."""
    return await split_folio_to_list(folio) is not None


async def split_folio_to_list(folio: Folio) -> list[Folio] | None:
    """The small pages that a huge page becomes; None if it is in use. Unmapped everywhere for a moment, under CLEAR.

    Until 6.12 the entry of the whole is split first, under a separate CLEAR; 7.3 does that within the other.
    """
    if folio.refs or folio.pins:
        return None
    left = folio.mapcount
    async with RmapHeld("write", folio.anon_vma.rwsem if folio.anon_vma is not None else None):
        for vma, first in mappings_of(folio):
            if left <= 0:
                break
            left -= entries_of(folio, vma, first)
            start, end = max(first, vma.vm_start), min(first + (folio.nr_pages << PAGE_SHIFT), vma.vm_end)
            once = vma.vm_mm.kernel.folio_split_clears_once
            if not once:
                await split_huge_pmd_address(vma, start)
            event = MmuNotifierRange(vma.vm_mm, start, end, "CLEAR", vma=vma)
            await mmu_notifier_invalidate_range_start(event)
            if once:
                split_huge_pmd_locked(vma, start & ~(PMD_SIZE - 1))
            await mmu_notifier_invalidate_range_end(event)
        return _map_small_pages(folio)


def _map_small_pages(folio: Folio) -> list[Folio]:
    """``remap_page``. Since 6.12 pages of zeroes are not mapped again: the page of zeroes takes their place."""
    small = [Folio(folio.index + number, None, folio.anon_vma) for number in range(folio.nr_pages)]
    for vma, first in mappings_of(folio):
        table = vma.vm_mm.page_table
        drops = vma.vm_mm.kernel.split_maps_zeropage and not vma.vm_flags & VM_LOCKED
        for number, page in enumerate(small):
            entry = table.get(first + number * PAGE_SIZE)
            if not isinstance(entry, Pte) or entry.folio is not folio:
                continue
            if drops and not folio.filled >> number & 1:
                table.set(first + number * PAGE_SIZE, Pte(pfn=ZERO_PFN, soft_dirty=entry.soft_dirty, pkey=entry.pkey))
                continue
            table.set(first + number * PAGE_SIZE, replace(entry, folio=page, page=0))
            page.mapcount += 1
            page.dirty, page.swapbacked, page.node = folio.dirty, folio.swapbacked, folio.node
            page.filled = folio.filled >> number & 1
    folio.mapcount = 0
    return small
