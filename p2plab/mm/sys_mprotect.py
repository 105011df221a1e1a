"""``mprotect`` (mm/mprotect.c): PROTECTION_VMA per VMA, and only where page tables exist."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.cow import can_change_pte_writable
from p2plab.mm.flags import (
    PAGE_SIZE,
    PMD_SHIFT,
    PMD_SIZE,
    PUD_SHIFT,
    PUD_SIZE,
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_HUGETLB,
    VM_LOCKED,
    VM_PKEY,
    VM_PKEY_SHIFT,
    VM_SHARED,
    VM_WRITE,
    page_up,
)
from p2plab.mm.folio import HugePmd, Pte
from p2plab.mm.gup import populate_vma_page_range
from p2plab.mm.hugetlb import hugetlb_change_protection
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.pkeys import override_mprotect_pkey
from p2plab.mm.sys_mmap import prot_flags
from p2plab.mm.sys_mseal import refuse_sealed
from p2plab.mm.thp import split_huge_pmd
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def mprotect(mm: AddressSpace, start: int, length: int, prot: int, pkey: int = -1) -> None:
    """Change the protection of [start, start + length). ENOMEM at a hole, EACCES for what the VMA may never be.

    What lies before the hole has changed by then: the kernel does not undo it. With ``pkey`` it is pkey_mprotect(2):
    EINVAL for a key that is not allocated.
    """
    if start % PAGE_SIZE:
        raise KernelError("EINVAL", f"{start:#x} is not page aligned")
    if not length:
        return
    end = start + page_up(length)
    async with mm.mmap_write():
        await step(f"mprotect {span(start, end)}")
        if pkey > 0 and pkey not in mm.pkeys:
            raise KernelError("EINVAL", f"protection key {pkey} is not allocated")
        vma = mm.find_vma_intersection(start, end)
        if vma is None or vma.vm_start > start:
            raise KernelError("ENOMEM", f"nothing is mapped at {start:#x}")
        at = start
        while at < end:
            vma = mm.vma_lookup(at)
            if vma is None:
                raise KernelError("ENOMEM", f"nothing is mapped at {at:#x}; what lies below has changed")
            key = override_mprotect_pkey(vma, prot, pkey)
            newflags = vma.vm_flags & ~(VM_ACCESS_FLAGS | VM_PKEY) | prot_flags(prot) | key << VM_PKEY_SHIFT
            if newflags & ~(newflags >> 4) & VM_ACCESS_FLAGS:
                raise KernelError("EACCES", f"{vma} may never get that protection")
            upto = min(vma.vm_end, end)
            await _fixup(vma, at, upto, newflags)
            at = upto


async def _fixup(vma: Vma, start: int, end: int, newflags: int) -> None:
    """``mprotect_fixup``: one VMA's part."""
    oldflags = vma.vm_flags
    refuse_sealed(vma, "mprotect")
    if newflags == oldflags:
        return
    if newflags & VM_WRITE:
        if not oldflags & (VM_ACCOUNT | VM_WRITE | VM_SHARED):
            newflags |= VM_ACCOUNT
    elif oldflags & VM_ACCOUNT and vma.is_anonymous and vma.anon_vma is None:
        newflags &= ~VM_ACCOUNT
    vma = await vma_modify(vma, start, end, vm_flags=newflags)
    await vma.vm_mm.vma_start_write([vma])
    vma.vm_flags = newflags
    await change_protection(vma, start, end)
    if oldflags & (VM_WRITE | VM_SHARED | VM_LOCKED) == VM_LOCKED and newflags & VM_WRITE:
        with contextlib.suppress(KernelError):  # mprotect has done its work; no error is reported
            await populate_vma_page_range(vma, start, end)


async def change_protection(vma: Vma, start: int, end: int, *, uffd_wp: bool | None = None) -> None:
    """Change the entries of [start, end) under PROTECTION_VMA, raised where page tables exist.

    6.12 announces once per 512 GiB, from the first existing table of PMDs on; 6.1 once per 1 GiB, from the first
    existing table of PTEs (or huge page) on. Hugetlb: always, all of it. ``uffd_wp`` write-protects for userfaultfd, or
    lifts that.
    """
    if vma.vm_flags & VM_HUGETLB:
        await hugetlb_change_protection(vma, start, end)
        return
    granule = vma.vm_mm.kernel.mprotect_granule
    whole = PUD_SIZE * 512 if granule == PUD_SIZE else PUD_SIZE
    at = start
    while at < end:
        upto = min(end, (at // whole + 1) * whole)
        first = _first_populated(vma.vm_mm, at, upto, granule)
        if first is not None:
            range = MmuNotifierRange(vma.vm_mm, first, upto, "PROTECTION_VMA")
            await mmu_notifier_invalidate_range_start(range)
            await _change_entries(vma, first, upto, uffd_wp)
            await mmu_notifier_invalidate_range_end(range)
        at = upto


def _first_populated(mm: AddressSpace, start: int, end: int, granule: int) -> int | None:
    shift, tables = (PUD_SHIFT, mm.page_table.puds) if granule == PUD_SIZE else (PMD_SHIFT, mm.page_table.pmds)
    numbers = range(start >> shift, ((end - 1) >> shift) + 1)
    wanted = min(
        (n for n in tables if n in numbers) if len(tables) < len(numbers) else _present(tables, numbers), default=None
    )
    return None if wanted is None else max(start, wanted << shift)


def _present(tables: Mapping[int, object], numbers: range) -> Iterator[int]:
    return (number for number in numbers if number in tables)


async def _change_entries(vma: Vma, start: int, end: int, uffd_wp: bool | None) -> None:
    table, key = vma.vm_mm.page_table, vma.pkey
    for base, content in list(table.pmds_in(start, end)):
        if not isinstance(content, HugePmd):
            continue
        if start <= base and base + PMD_SIZE <= end:
            may = bool(vma.vm_flags & VM_WRITE) and content.exclusive
            table.set_huge(base, replace(content, write=may, pkey=key))
        else:
            await split_huge_pmd(vma, max(start, base))
    for address, entry in table.entries_in(start, end):
        if isinstance(entry, Pte):
            protects = entry.uffd_wp if uffd_wp is None else uffd_wp
            write = not protects and (vma.prot_writable() or can_change_pte_writable(vma, entry))
            if write != entry.write or key != entry.pkey or protects != entry.uffd_wp:
                table.set(address, replace(entry, write=write, pkey=key, uffd_wp=protects))
