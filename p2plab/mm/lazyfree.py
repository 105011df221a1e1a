"""MADV_FREE (mm/madvise.c): the pages stay until memory is short; a write before that keeps them."""

from __future__ import annotations

from dataclasses import replace

from p2plab.core.errors import KernelError
from p2plab.mm.flags import PMD_SIZE
from p2plab.mm.folio import HugePmd, Pte, SwapPte, folio_free_swap, free_swap_entry
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.thp import split_folio
from p2plab.mm.vma import Vma


async def madvise_free(vma: Vma, start: int, end: int) -> None:
    """MADV_FREE: the pages stay until memory is short; a write before that keeps them."""
    if not vma.is_anonymous:
        raise KernelError("EINVAL", f"{vma} is not private anonymous memory, which FREE wants")
    range = MmuNotifierRange(vma.vm_mm, start, end, "CLEAR")
    await mmu_notifier_invalidate_range_start(range)
    table = vma.vm_mm.page_table
    for base, huge in list(table.pmds_in(start, end)):
        if isinstance(huge, HugePmd) and huge.folio is not None:
            await _free_huge(vma, base, huge, start, end)
    for address, entry in table.entries_in(start, end):
        if isinstance(entry, SwapPte):
            table.clear(address)
            free_swap_entry(entry)
        elif entry.folio is not None:
            _lazyfree(vma, address, entry)
    await mmu_notifier_invalidate_range_end(range)


async def _free_huge(vma: Vma, base: int, huge: HugePmd, start: int, end: int) -> None:
    folio = huge.folio
    if folio is None or folio.mapcount != 1:
        return
    if start <= base and base + PMD_SIZE <= end:
        vma.vm_mm.page_table.set_huge(base, replace(huge, dirty=False))
        folio.dirty = folio.swapbacked = False
    else:
        await split_folio(folio)


def _lazyfree(vma: Vma, address: int, entry: Pte) -> None:
    folio = entry.folio
    assert folio is not None
    if folio.swap is not None or folio.dirty:
        if folio.mapcount != 1 or (folio.swap is not None and not folio_free_swap(folio)):
            return
        folio.dirty = False
    vma.vm_mm.page_table.set(address, replace(entry, dirty=False))
    folio.swapbacked = False
