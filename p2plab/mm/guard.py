"""Guard pages: MADV_GUARD_INSTALL and _REMOVE (mm/madvise.c, since 6.13). An access to one is a SIGSEGV."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.mm.cow import prepare_anon_vma
from p2plab.mm.flags import PAGE_SIZE, VM_HUGETLB, VM_LOCKED, VM_SPECIAL
from p2plab.mm.folio import SwapPte, SwapSlot
from p2plab.mm.pagetable import Entry, PteTable
from p2plab.mm.vma import Vma
from p2plab.mm.zap import zap_page_range_single


def is_guard(entry: Entry | None) -> bool:
    """Whether an entry is a guard marker."""
    return isinstance(entry, SwapPte) and entry.guard


async def guard_install(vma: Vma, start: int, end: int) -> None:
    """Mark every page of [start, end). What is mapped there is zapped first: CLEAR of the whole range; else no event."""
    if vma.vm_flags & (VM_SPECIAL | VM_HUGETLB | VM_LOCKED):
        raise KernelError("EINVAL", f"{vma} takes no guard pages: it is locked, device memory or hugetlb")
    if vma.is_anonymous:
        prepare_anon_vma(vma)
    table = vma.vm_mm.page_table
    while True:
        huge = any(not isinstance(content, PteTable) for _base, content in table.pmds_in(start, end))
        if not huge and all(is_guard(entry) for _address, entry in table.entries_in(start, end)):
            break
        await zap_page_range_single(vma, start, end)
    for address in range(start, end, PAGE_SIZE):
        if table.get(address) is None:
            slot = SwapSlot()
            slot.count = 1
            table.set(address, SwapPte(slot, guard=True))


async def guard_remove(vma: Vma, start: int, end: int) -> None:
    """Take the markers out; no event."""
    if vma.vm_flags & (VM_SPECIAL | VM_HUGETLB):
        raise KernelError("EINVAL", f"{vma} takes no guard pages")
    table = vma.vm_mm.page_table
    for address, entry in table.entries_in(start, end):
        if is_guard(entry):
            table.clear(address)
