"""Moving page-table entries for mremap (mm/mremap.c, move_page_tables)."""

from __future__ import annotations

from p2plab.core.actors import step
from p2plab.mm.flags import PMD_SIZE, VM_HUGETLB
from p2plab.mm.folio import HugePmd
from p2plab.mm.log import span
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.pagetable import PteTable
from p2plab.mm.thp import split_huge_pmd
from p2plab.mm.vma import Vma


async def move_page_tables(vma: Vma, old: int, new_vma: Vma, new: int, length: int) -> None:
    """Move the entries of [old, old + length) to ``new``, under UNMAP of the old range.

    Where both ends are alike within their 2 MiB and nothing else is there, the kernel begins at the 2 MiB edge below,
    and the event with it (since 6.7).
    """
    if not length:
        return
    mm = vma.vm_mm
    end = old + length
    if mm.kernel.mremap_realigns and length >= PMD_SIZE - old % PMD_SIZE:
        old, new = _realigned(vma, old, new_vma, new)
    range = MmuNotifierRange(mm, old, end, "CLEAR" if vma.vm_flags & VM_HUGETLB else "UNMAP")
    await mmu_notifier_invalidate_range_start(range)
    await step(f"move the entries of {span(old, end)}")
    while old < end:
        extent = min(PMD_SIZE - old % PMD_SIZE, end - old, PMD_SIZE - new % PMD_SIZE)
        await _move_extent(vma, old, new, extent)
        old, new = old + extent, new + extent
    await mmu_notifier_invalidate_range_end(range)


def _realigned(vma: Vma, old: int, new_vma: Vma, new: int) -> tuple[int, int]:
    """``try_realign_addr``."""
    below = old % PMD_SIZE
    if below and below == new % PMD_SIZE and _can_align_down(vma, old, below) and _can_align_down(new_vma, new, below):
        return old - below, new - below
    return old, new


def _can_align_down(vma: Vma, address: int, below: int) -> bool:
    if vma.vm_start != address:
        return False
    return vma.vm_mm.find_vma_intersection(address - below, vma.vm_start) is None


async def _move_extent(vma: Vma, old: int, new: int, extent: int) -> None:
    """One stretch within a single table at both ends: the whole table if it is 2 MiB, else entry by entry."""
    table = vma.vm_mm.page_table
    content = table.pmd(old)
    if not table.pud_present(old):
        return
    table.alloc_pud(new)
    if content is None:
        return
    if isinstance(content, HugePmd):
        if extent == PMD_SIZE:
            del table.pmds[old // PMD_SIZE]
            table.set_huge(new, content)
            return
        await split_huge_pmd(vma, old)
    elif extent == PMD_SIZE and table.pmd(new) is None:
        _move_table(content, vma, old, new)
        return
    table.alloc(new)
    for address, entry in table.entries_in(old, old + extent):
        table.clear(address)
        table.set(address - old + new, entry)


def _move_table(content: PteTable, vma: Vma, old: int, new: int) -> None:
    table = vma.vm_mm.page_table
    entries = {address - old + new: entry for address, entry in content.entries.items()}
    del table.pmds[old // PMD_SIZE]
    table.alloc(new).entries.update(entries)
