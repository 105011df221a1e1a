"""MADV_FREE (mm/madvise.c): the pages stay until memory is short; a write before that keeps them."""

from __future__ import annotations

from dataclasses import replace

from p2plab.core.errors import KernelError
from p2plab.mm.cold import split_partly_advised
from p2plab.mm.flags import PMD_SIZE
from p2plab.mm.folio import HugePmd, Pte, SwapPte, folio_free_swap, free_swap_entry
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.sharing import mapped_shared
from p2plab.mm.thp import split_folio
from p2plab.mm.vma import Vma


async def madvise_free(vma: Vma, start: int, end: int) -> None:
    """MADV_FREE: the pages stay until memory is short; a write before that keeps them."""
    if not vma.is_anonymous:
        raise KernelError("EINVAL", f"{vma} is not private anonymous memory, which FREE wants")
    range = MmuNotifierRange(vma.vm_mm, start, end, "CLEAR")
    await mmu_notifier_invalidate_range_start(range)
    table = vma.vm_mm.page_table
    for base, _content in list(table.pmds_in(start, end)):
        low, high = max(start, base), min(end, base + PMD_SIZE)
        content = table.pmd(base)
        if isinstance(content, HugePmd) and not await _free_huge(vma, base, content, high - low == PMD_SIZE):
            continue
        await _free_entries(vma, low, high)
    await mmu_notifier_invalidate_range_end(range)


async def _free_huge(vma: Vma, base: int, huge: HugePmd, whole: bool) -> bool:
    """``madvise_free_huge_pmd``: whether the pages of a huge page that was split are still to be looked at."""
    folio = huge.folio
    if folio is None or mapped_shared(vma, folio, 0):
        return False
    if not whole:
        return await split_folio(folio)
    vma.vm_mm.page_table.set_huge(base, replace(huge, dirty=False))
    folio.dirty = folio.swapbacked = False
    return False


async def _free_entries(vma: Vma, start: int, end: int) -> None:
    """``madvise_free_pte_range``, within one table; huge pages mapped in part are split as for MADV_COLD."""
    table = vma.vm_mm.page_table
    freed = await split_partly_advised(vma, start, end)
    stop = end
    if vma.vm_mm.kernel.mapped_shared == "page":  # 6.1 leaves the table at a huge page that it could not split
        large = (a for a, e in table.entries_in(start, end) if isinstance(e, Pte) and e.folio and e.folio.order)
        stop = next(large, end)
    for address, entry in table.entries_in(start, stop):
        if isinstance(entry, SwapPte):
            if entry.guard:
                continue
            table.clear(address)
            free_swap_entry(entry)
        elif entry.folio is not None and (not entry.folio.order or entry.folio in freed):
            _lazyfree(vma, address, entry)


def _lazyfree(vma: Vma, address: int, entry: Pte) -> None:
    folio = entry.folio
    assert folio is not None
    if folio.swap is not None or folio.dirty:
        if folio.mapcount != folio.nr_pages or (folio.swap is not None and not folio_free_swap(folio)):
            return
        folio.dirty = False
    vma.vm_mm.page_table.set(address, replace(entry, dirty=False))
    folio.swapbacked = False
