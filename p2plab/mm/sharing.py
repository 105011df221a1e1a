"""Whether a huge page is mapped elsewhere too, as each kernel guesses it, and how many entries in a row map it."""

from __future__ import annotations

from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.rmap import entries_of, mappings_of
from p2plab.mm.vma import Vma


def page_mapcount(folio: Folio, number: int) -> int:
    """How many entries map one page of a huge page, entries of the whole counted."""
    count = 0
    for vma, first in mappings_of(folio):
        address = first + (number << PAGE_SHIFT)
        if not vma.vm_start <= address < vma.vm_end:
            continue
        huge = vma.vm_mm.page_table.pmd(address)
        if isinstance(huge, HugePmd):
            count += huge.folio is folio
            continue
        entry = vma.vm_mm.page_table.get(address)
        count += isinstance(entry, Pte) and entry.folio is folio and entry.page == number
    return count


def mapped_shared(vma: Vma, folio: Folio, number: int) -> bool:
    """Whether madvise leaves a page alone because others map it.

    6.1 asks for the one page (``page_mapcount``), 6.12 guesses from the counts of the whole and of the first page
    (``folio_likely_mapped_shared``), 7.3 knows how many address spaces map it (``folio_maybe_mapped_shared``).
    """
    if folio.mapcount <= 1:
        return False
    if not folio.order:
        return True
    how = vma.vm_mm.kernel.mapped_shared
    if how == "page":
        return page_mapcount(folio, number) != 1
    mappings = [(other, entries_of(folio, other, first)) for other, first in mappings_of(folio)]
    if how == "mms":
        return len({id(other.vm_mm) for other, entries in mappings if entries}) > 1
    by_whole = any(isinstance(other.vm_mm.page_table.pmd(first), HugePmd) for other, first in _mapping(folio))
    return by_whole or folio.mapcount > folio.nr_pages or page_mapcount(folio, 0) > 1


def _mapping(folio: Folio) -> list[tuple[Vma, int]]:
    return [(vma, max(first, vma.vm_start)) for vma, first in mappings_of(folio) if entries_of(folio, vma, first)]


def batch(vma: Vma, address: int, end: int, entry: Pte) -> int:
    """``folio_pte_batch``: how many entries from ``address`` on map the pages of one folio, one after the other."""
    table, folio, number = vma.vm_mm.page_table, entry.folio, 1
    assert folio is not None
    while (at := address + number * PAGE_SIZE) < end:
        following = table.get(at)
        if not isinstance(following, Pte) or following.folio is not folio or following.page != entry.page + number:
            break
        number += 1
    return number
