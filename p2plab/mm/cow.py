"""Copy on write (mm/memory.c): reuse a page that is not shared, else copy it under an event of one page."""

from __future__ import annotations

from dataclasses import replace

from p2plab.core.events import emit
from p2plab.mm.flags import (
    PAGE_SIZE,
    VM_MAYSHARE,
    VM_SHARED,
    VM_SOFTDIRTY,
    VM_WRITE,
)
from p2plab.mm.folio import Folio, Pte, folio_free_swap
from p2plab.mm.log import PageFault
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.rmap import anon_vma_prepare
from p2plab.mm.vma import Vma
from p2plab.mm.zap import forget_if_unused


def prepare_anon_vma(vma: Vma) -> None:
    """``anon_vma_prepare``: this VMA is about to hold its first anonymous page."""
    if vma.anon_vma is None:
        anon_vma_prepare(vma, vma.vm_mm.prev_of(vma), vma.vm_mm.next_of(vma))


def note_fault(vma: Vma, address: int, write: bool, how: str) -> None:
    emit(PageFault(vma.vm_mm.name, address, write, how))


async def do_wp_page(vma: Vma, address: int, pte: Pte, unshare: bool) -> None:
    """``do_wp_page``: reuse a page that is not shared, else copy it under CLEAR of that one page."""
    table = vma.vm_mm.page_table
    folio = pte.folio
    shared = bool(vma.vm_flags & (VM_SHARED | VM_MAYSHARE))
    if shared and (folio is None or not folio.anon):
        table.set(address, replace(pte, write=True, dirty=True, soft_dirty=True))
        return
    if folio is not None and folio.anon and (pte.exclusive or _can_reuse(folio)):
        note_fault(vma, address, True, "the page is this process's alone, and is reused")
        if unshare:
            table.set(address, replace(pte, exclusive=True))
        else:
            may = bool(vma.vm_flags & VM_WRITE)
            table.set(address, replace(pte, write=may, dirty=True, exclusive=True, soft_dirty=True))
        return
    await _wp_page_copy(vma, address, pte, unshare)


def _can_reuse(folio: Folio) -> bool:
    """``wp_can_reuse_anon_folio``: a small page without any other reference."""
    if folio.ksm or folio.order or folio.refcount > 1 + (folio.swap is not None):
        return False
    if folio.swap is not None:
        folio_free_swap(folio)
    return folio.refcount == 1


async def _wp_page_copy(vma: Vma, address: int, pte: Pte, unshare: bool) -> None:
    table = vma.vm_mm.page_table
    prepare_anon_vma(vma)
    copy = Folio(vma.pgoff_of(address), None, vma.anon_vma)
    range = MmuNotifierRange(vma.vm_mm, address, address + PAGE_SIZE, "CLEAR")
    await mmu_notifier_invalidate_range_start(range)
    if table.get(address) is pte:
        note_fault(vma, address, not unshare, "a copy of its own")
        copy.mapcount = 1
        write = bool(vma.vm_flags & VM_WRITE) and not unshare
        table.set(address, Pte(copy, write=write, dirty=True, exclusive=True, pkey=vma.pkey))
        if pte.folio is not None:
            copy.filled = pte.folio.filled >> pte.page & 1
            pte.folio.mapcount -= 1
            forget_if_unused(pte)
    await mmu_notifier_invalidate_range_end(range)


def can_change_pte_writable(vma: Vma, pte: Pte) -> bool:
    """Whether mprotect may make an entry writable at once, without a fault (mm/mprotect.c)."""
    if not vma.vm_flags & VM_WRITE or not (vma.vm_flags & VM_SOFTDIRTY or pte.soft_dirty):
        return False
    if vma.vm_flags & VM_SHARED:
        return pte.dirty
    return pte.folio is not None and pte.folio.anon and pte.exclusive
