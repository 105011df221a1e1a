"""``userfaultfd`` (fs/userfaultfd.c, mm/userfaultfd.c): faults that a process serves itself, and their events.

Registering, copying and zero pages raise no event; write protection raises PROTECTION_VMA; moving a page raises CLEAR.
Left out: minor faults, events of the descriptor, hugetlb.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.cow import prepare_anon_vma
from p2plab.mm.flags import (
    PAGE_SIZE,
    PMD_SIZE,
    VM_HUGETLB,
    VM_MAYWRITE,
    VM_SHARED,
    VM_SPECIAL,
    VM_UFFD,
    VM_UFFD_MISSING,
    VM_UFFD_WP,
    VM_WRITE,
)
from p2plab.mm.folio import ZERO_PFN, Folio, HugePmd, Pte
from p2plab.mm.locks import VmaRead
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify
from p2plab.mm.notifier import (
    MmuNotifierRange,
    mmu_notifier_invalidate_range_end,
    mmu_notifier_invalidate_range_start,
)
from p2plab.mm.pagetable import Entry
from p2plab.mm.sys_mprotect import change_protection
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

#: UFFDIO_REGISTER_MODE_*
MODE_MISSING, MODE_WP = 1, 2


async def register(mm: AddressSpace, start: int, length: int, mode: int) -> None:
    """UFFDIO_REGISTER: no event. EINVAL for device memory, and where nothing is mapped."""
    if not mode or mode & ~(MODE_MISSING | MODE_WP) or start % PAGE_SIZE or length <= 0 or length % PAGE_SIZE:
        raise KernelError("EINVAL", f"UFFDIO_REGISTER of {span(start, start + length)} in mode {mode}")
    flags = (VM_UFFD_MISSING if mode & MODE_MISSING else 0) | (VM_UFFD_WP if mode & MODE_WP else 0)
    await _set_flags(mm, start, start + length, flags)


async def unregister(mm: AddressSpace, start: int, length: int) -> None:
    """UFFDIO_UNREGISTER: PROTECTION_VMA of what was registered for write protection, mmap_lock held for writing."""
    await _set_flags(mm, start, start + length, 0)


async def _set_flags(mm: AddressSpace, start: int, end: int, flags: int) -> None:
    async with mm.mmap_write():
        await step(f"userfaultfd {'register' if flags else 'unregister'} {span(start, end)}")
        vmas = list(mm.vmas_in(start, end))
        if not vmas:
            raise KernelError("EINVAL", f"nothing is mapped in {span(start, end)}")
        for vma in vmas:
            if vma.vm_flags & VM_SPECIAL:
                why = (
                    "hugetlb, whose userfaults the model does not have"
                    if vma.vm_flags & VM_HUGETLB
                    else "device memory"
                )
                raise KernelError("EINVAL", f"{vma} is {why}")
            if flags and not vma.vm_flags & VM_MAYWRITE:
                raise KernelError("EPERM", f"{vma} may never be written")
        at = start
        while at < end and (vma_at := mm.find_vma_intersection(at, end)) is not None:
            low, at = max(at, vma_at.vm_start), min(vma_at.vm_end, end)
            newflags = vma_at.vm_flags & ~VM_UFFD | flags
            if newflags == vma_at.vm_flags:
                continue
            if not flags and vma_at.vm_flags & VM_UFFD_WP:
                await change_protection(vma_at, low, at, uffd_wp=False)
            vma_at = await vma_modify(vma_at, low, at, vm_flags=newflags)
            await mm.vma_start_write([vma_at])
            vma_at.vm_flags = newflags


async def writeprotect(mm: AddressSpace, start: int, length: int, enable: bool) -> None:
    """UFFDIO_WRITEPROTECT: PROTECTION_VMA where page tables exist, mmap_lock held for reading. ENOENT if not registered."""
    end = start + length
    if start % PAGE_SIZE or length <= 0 or length % PAGE_SIZE:
        raise KernelError("EINVAL", f"UFFDIO_WRITEPROTECT of {span(start, end)}")
    async with mm.mmap_lock.read():
        await step(f"userfaultfd writeprotect {span(start, end)}")
        vmas = list(mm.vmas_in(start, end))
        if not vmas or any(not vma.vm_flags & VM_UFFD_WP for vma in vmas):
            raise KernelError("ENOENT", f"{span(start, end)} is not registered for write protection")
        for vma in vmas:
            low, high = max(start, vma.vm_start), min(end, vma.vm_end)
            if enable and vma.vm_file is not None:
                mm.page_table.alloc_pud(low)  # markers are put where no page is
            await change_protection(vma, low, high, uffd_wp=enable)


async def copy(mm: AddressSpace, start: int, length: int, *, zeropage: bool = False) -> None:
    """UFFDIO_COPY and UFFDIO_ZEROPAGE: pages come in; no event. EEXIST where one is, ENOENT if not registered."""
    for address in range(start, start + length, PAGE_SIZE):
        vma = _destination(mm, address)
        if not vma.is_anonymous and (zeropage or not vma.vm_flags & VM_SHARED):
            raise KernelError("EINVAL", f"{vma} cannot be filled in this way")
        with VmaRead(vma):
            await step(f"userfaultfd copy {address:#x}")
            if vma.vm_mm.page_table.get(address) is not None:
                raise KernelError("EEXIST", f"a page is at {address:#x} already")
            if zeropage:
                vma.vm_mm.page_table.set(address, Pte(pfn=ZERO_PFN, pkey=vma.pkey))
                continue
            write = bool(vma.vm_flags & VM_WRITE)
            if vma.is_anonymous:
                prepare_anon_vma(vma)
                folio: Folio | None = Folio(vma.pgoff_of(address), None, vma.anon_vma)
            else:
                assert vma.vm_file is not None
                folio = vma.vm_file.f_mapping.page(vma.pgoff_of(address))
            if folio is None:
                raise KernelError("EFAULT", f"{address:#x} lies beyond the end of the file")
            folio.mapcount += 1
            folio.filled = 1
            entry = Pte(folio, write=write, dirty=True, exclusive=folio.anon, pkey=vma.pkey)
            vma.vm_mm.page_table.set(address, entry)


def _destination(mm: AddressSpace, address: int) -> Vma:
    vma = mm.vma_lookup(address)
    if vma is None or not vma.vm_flags & VM_UFFD:
        raise KernelError("ENOENT", f"{address:#x} is not registered with userfaultfd")
    return vma


async def move(mm: AddressSpace, dst: int, src: int, length: int) -> None:
    """UFFDIO_MOVE (since 6.8): CLEAR of each page at its old place, under the locks of both VMAs.

    ENOENT where no page is, EBUSY for one that is not this process's alone or is in use, EEXIST at the destination.
    """
    if not mm.kernel.uffd_moves:
        raise KernelError("EINVAL", f"{mm.kernel} has no UFFDIO_MOVE; it came with Linux 6.8")
    at = src
    while at < src + length:
        to = at - src + dst
        target, source = _destination(mm, to), mm.vma_lookup(at)
        if source is None or not source.is_anonymous or not target.is_anonymous or source.vm_flags & VM_SHARED:
            raise KernelError("EINVAL", f"{at:#x} and {to:#x} are not both private anonymous memory")
        extent = (
            min(src + length - at, source.vm_end - at, target.vm_end - to)
            if mm.kernel.uffd_moves_batched
            else PAGE_SIZE
        )
        extent = min(extent, PMD_SIZE - at % PMD_SIZE, PMD_SIZE - to % PMD_SIZE)
        with VmaRead(source), VmaRead(target):
            prepare_anon_vma(target)
            at += await _move_pages(source, at, target, to, extent)


async def _move_pages(source: Vma, src: int, target: Vma, dst: int, extent: int) -> int:
    """Under one CLEAR of the old place, as many pages as can move: their bytes. The errno of the first if it cannot."""
    table = source.vm_mm.page_table
    range = MmuNotifierRange(source.vm_mm, src, src + extent, "CLEAR", vma=source)
    await mmu_notifier_invalidate_range_start(range)
    done, why = 0, ""
    while done < extent and not why:
        old, new = src + done, dst + done
        entry = table.get(old)
        why = _why_not(table.pmd(old), table.pmd(new), entry, table.get(new))
        folio = entry.folio if isinstance(entry, Pte) else None
        if folio is not None and not why:
            table.clear(old)
            folio.index, folio.anon_vma = target.pgoff_of(new), target.anon_vma
            write = bool(target.vm_flags & VM_WRITE)
            table.set(new, Pte(folio, write=write, dirty=True, exclusive=True, pkey=target.pkey))
            done += PAGE_SIZE
    await mmu_notifier_invalidate_range_end(range)
    if why and not done:
        raise KernelError(why, f"the page at {src:#x} cannot move to {dst:#x}")
    return done


def _why_not(src_pmd: object, dst_pmd: object, src: Entry | None, dst: Entry | None) -> str:
    """The errno for a page that cannot move, or nothing. Huge pages are not moved in the model."""
    if isinstance(src_pmd, HugePmd) or isinstance(dst_pmd, HugePmd):
        return "EBUSY"
    if src is None:
        return "ENOENT"
    if dst is not None:
        return "EEXIST"
    movable = isinstance(src, Pte) and src.folio is not None and src.exclusive and not src.folio.pins
    return "" if movable and isinstance(src, Pte) and src.folio is not None and not src.folio.order else "EBUSY"
