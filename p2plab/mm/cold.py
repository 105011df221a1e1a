"""MADV_COLD and MADV_PAGEOUT (mm/madvise.c, madvise_cold_or_pageout_pte_range): table by table."""

from __future__ import annotations

from p2plab.mm.flags import PAGE_SIZE, PMD_SIZE
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.pagetable import PteTable
from p2plab.mm.reclaim import reclaim_pages
from p2plab.mm.sharing import batch, mapped_shared
from p2plab.mm.thp import split_folio
from p2plab.mm.vma import Vma


async def madvise_cold(vma: Vma, start: int, end: int, *, pageout: bool) -> None:
    """Huge pages of which only a part is advised are split; PAGEOUT then reclaims what only this process maps."""
    for base, _content in list(vma.vm_mm.page_table.pmds_in(start, end)):
        low, high = max(start, base), min(end, base + PMD_SIZE)
        content = vma.vm_mm.page_table.pmd(base)
        if isinstance(content, HugePmd):
            whole = high - low == PMD_SIZE
            folio = content.folio
            if folio is None or mapped_shared(vma, folio, 0):
                continue
            if whole:
                if pageout:
                    await reclaim_pages(vma, [folio])
                continue
            if not await split_folio(folio):
                continue
        folios = await split_partly_advised(vma, low, high)
        if pageout:
            await reclaim_pages(vma, folios)


async def split_partly_advised(vma: Vma, start: int, end: int) -> list[Folio]:
    """Split huge pages that entries of [start, end), within one table, map in part; the folios wholly mapped there.

    6.1 splits each that it meets, and leaves the table at one that others map too or that cannot be split.
    """
    table, old = vma.vm_mm.page_table, vma.vm_mm.kernel.mapped_shared == "page"
    found: list[Folio] = []
    at = start
    while at < end and isinstance(table.pmd(at), PteTable):
        entry = table.get(at)
        folio = entry.folio if isinstance(entry, Pte) else None
        if not isinstance(entry, Pte) or folio is None:
            at += PAGE_SIZE
            continue
        number = 1
        if folio.order:
            number = batch(vma, at, end, entry)
            if old or number < folio.nr_pages:
                if not mapped_shared(vma, folio, entry.page) and await split_folio(folio):
                    continue
                if old:
                    break
                at += number * PAGE_SIZE
                continue
        if folio.mapcount == folio.nr_pages and folio not in found[-1:]:
            found.append(folio)
        at += number * PAGE_SIZE
    return found
