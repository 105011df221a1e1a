"""``fork`` (kernel/fork.c dup_mmap, mm/memory.c copy_page_range): what is copied, what is shared, which events are raised."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.mm.flags import (
    VM_DONTCOPY,
    VM_HUGETLB,
    VM_LOCKED_MASK,
    VM_MIXEDMAP,
    VM_PFNMAP,
    VM_SHARED,
    VM_UFFD,
    VM_WIPEONFORK,
    is_cow_mapping,
)
from p2plab.mm.folio import Folio, HugePmd, Pte, SwapPte
from p2plab.mm.hugetlb import copy_hugetlb_page_range
from p2plab.mm.locks import rmap_locks_pass
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.rmap import anon_vma_fork
from p2plab.mm.split import dup_vma
from p2plab.mm.thp import split_huge_pmd
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def fork(mm: AddressSpace, name: str) -> AddressSpace:
    """The child's address space. PROTECTION_PAGE in the parent per private VMA that has an ``anon_vma``; else nothing.

    Listeners are not inherited: no listener watches the child's copy of a VMA [invariant 7].
    """
    child = type(mm)(name, mm.kernel, mm.memory)
    async with mm.mmap_write():
        await step(f"fork of {mm.name}")
        for vma in list(mm.vmas):
            if not vma.vm_flags & VM_DONTCOPY:
                await mm.vma_start_write([vma])
                await _dup(vma, child)
    return child


async def _dup(vma: Vma, child: AddressSpace) -> None:
    copy = dup_vma(vma, child)
    copy.anon_vma = None
    wipe = bool(vma.vm_flags & VM_WIPEONFORK)
    await rmap_locks_pass(vma)
    if not wipe:
        anon_vma_fork(copy, vma)
    copy.vm_flags &= ~(VM_LOCKED_MASK | VM_UFFD)  # a child is not registered with its parent's userfaultfd
    if vma.vm_file is not None:
        vma.vm_file.f_mapping.link(copy, after=vma)
    child.insert(copy)
    if not wipe:
        await copy_page_range(copy, vma)
    if copy.vm_ops is not None and copy.vm_ops.has("open"):
        await copy.vm_ops.open(copy)


async def copy_page_range(dst: Vma, src: Vma) -> None:
    """Copy the entries that a fault could not bring back: those of VMAs with an ``anon_vma``, and of device memory."""
    if src.anon_vma is None and not src.vm_flags & (VM_PFNMAP | VM_MIXEDMAP):
        return
    if src.vm_flags & VM_HUGETLB:
        await copy_hugetlb_page_range(dst, src)
        return
    cow = is_cow_mapping(src.vm_flags)
    range = MmuNotifierRange(src.vm_mm, src.vm_start, src.vm_end, "PROTECTION_PAGE")
    if cow:
        await mmu_notifier_invalidate_range_start(range)
    await _copy_huge(dst, src)
    for address, entry in src.vm_mm.page_table.entries_in(src.vm_start, src.vm_end):
        if isinstance(entry, SwapPte):
            _copy_swap(dst, src, address, entry)
        else:
            _copy_present(dst, src, address, entry, cow)
    if cow:
        await mmu_notifier_invalidate_range_end(range)


async def _copy_huge(dst: Vma, src: Vma) -> None:
    for base, huge in list(src.vm_mm.page_table.pmds_in(src.vm_start, src.vm_end)):
        if not isinstance(huge, HugePmd):
            continue
        if huge.folio is not None and huge.folio.pins:
            await split_huge_pmd(src, base)
            continue
        shared = replace(huge, write=False, exclusive=False)
        src.vm_mm.page_table.set_huge(base, shared)
        dst.vm_mm.page_table.set_huge(base, shared)
        if huge.folio is not None:
            huge.folio.mapcount += 1


def _copy_swap(dst: Vma, src: Vma, address: int, entry: SwapPte) -> None:
    shared = replace(entry, exclusive=False)
    entry.slot.count += 1
    src.vm_mm.page_table.set(address, shared)
    dst.vm_mm.page_table.set(address, shared)


def _copy_present(dst: Vma, src: Vma, address: int, entry: Pte, cow: bool) -> None:
    folio = entry.folio
    if entry.uffd_wp:
        entry = replace(entry, uffd_wp=False) if dst.vm_flags & VM_UFFD == 0 else entry
    if folio is not None and folio.anon and entry.exclusive and folio.pins:
        # A pinned page must stay the parent's: the child gets its copy now (copy_present_page).
        copy = Folio(dst.pgoff_of(address), None, dst.anon_vma)
        copy.mapcount, copy.filled = 1, folio.filled >> entry.page & 1
        dst.vm_mm.page_table.set(address, replace(entry, folio=copy, page=0))
        return
    if cow and (entry.write or entry.exclusive):
        entry = replace(entry, write=False, exclusive=False)
        src.vm_mm.page_table.set(address, entry)
    if folio is not None:
        folio.mapcount += 1
    dst.vm_mm.page_table.set(address, replace(entry, dirty=False) if src.vm_flags & VM_SHARED else entry)
