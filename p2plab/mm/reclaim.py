"""Paging out: MADV_PAGEOUT, through the reverse map (mm/vmscan.c, mm/rmap.c try_to_unmap)."""

from __future__ import annotations

from p2plab.core.actors import step
from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE, PMD_SIZE, VM_LOCKED
from p2plab.mm.folio import Folio, Pte, SwapPte, SwapSlot
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.rmap import mappings_of, rmap_read
from p2plab.mm.thp import split_folio, split_huge_pmd_locked
from p2plab.mm.vma import Vma


async def reclaim_pages(vma: Vma, folios: list[Folio]) -> None:
    """``reclaim_pages``: page them out, CLEAR per page. Without swap, anonymous pages stay."""
    for folio in folios:
        await _reclaim(vma, folio)


async def _reclaim(vma: Vma, folio: Folio) -> None:
    """``shrink_folio_list`` for one page."""
    await step("reclaim a page")
    if folio.anon and folio.swapbacked and folio.swap is None:
        if folio.pins:
            return
        if not vma.vm_mm.memory.swap:
            if folio.order:
                await split_folio(folio)
            return
    slots = {}
    if folio.anon and folio.swapbacked:
        slots = {number: folio.swap or SwapSlot() for number in range(folio.nr_pages)}
    await try_to_unmap(folio, slots)
    if folio.mapping is not None and not folio.mapcount and vma.vm_mm.memory.swap:
        folio.mapping.pages.pop(folio.index, None)  # tmpfs pages leave the page cache for the swap area


async def try_to_unmap(folio: Folio, slots: dict[int, SwapSlot], *, poison: bool = False) -> None:
    """Take the page out of every VMA that may map it, in the order of the reverse map, until none maps it.

    ``slots``: where each of its pages goes in the swap area; empty to drop it. A VMA that turns out not to map the page
    has been notified nevertheless.
    """
    async with rmap_read(folio):
        for vma, first in mappings_of(folio):
            if not folio.mapcount:
                return
            start, end = max(first, vma.vm_start), min(first + (folio.nr_pages << PAGE_SHIFT), vma.vm_end)
            range = MmuNotifierRange(vma.vm_mm, start, end, "CLEAR", vma=vma)
            await mmu_notifier_invalidate_range_start(range)
            if poison or not vma.vm_flags & VM_LOCKED:
                if first % PMD_SIZE == 0:
                    split_huge_pmd_locked(vma, first)
                _unmap_entries(folio, vma, start, end, slots, poison)
            await mmu_notifier_invalidate_range_end(range)


def _unmap_entries(folio: Folio, vma: Vma, start: int, end: int, slots: dict[int, SwapSlot], poison: bool) -> None:
    table = vma.vm_mm.page_table
    for address in range(start, end, PAGE_SIZE):
        entry = table.get(address)
        if not isinstance(entry, Pte) or entry.folio is not folio:
            continue
        if entry.dirty:
            folio.dirty = True
        if folio.anon and not folio.swapbacked and not poison and (folio.dirty or folio.refs or folio.pins):
            folio.swapbacked = True  # written since MADV_FREE: it stays
            continue
        table.clear(address)
        folio.mapcount -= 1
        slot = SwapSlot() if poison else slots.get(entry.page)
        if slot is not None:
            slot.count += 1
            slot.filled = folio.filled >> entry.page & 1
            table.set(address, SwapPte(slot, exclusive=entry.exclusive and not poison, poisoned=poison))
