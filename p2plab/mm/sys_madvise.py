"""``madvise`` (mm/madvise.c): advice that clears, advice that only marks, and the events of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm import ksm
from p2plab.mm.cold import madvise_cold
from p2plab.mm.flags import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_IO,
    VM_LOCKED,
    VM_MAYWRITE,
    VM_MERGEABLE,
    VM_NOHUGEPAGE,
    VM_PFNMAP,
    VM_RAND_READ,
    VM_SEALED,
    VM_SEQ_READ,
    VM_SHARED,
    VM_SPECIAL,
    VM_UFFD,
    VM_WIPEONFORK,
    page_up,
)
from p2plab.mm.guard import guard_install, guard_remove
from p2plab.mm.gup import faultin, vma_refuses
from p2plab.mm.khugepaged import madvise_collapse
from p2plab.mm.lazyfree import madvise_free
from p2plab.mm.locks import VmaRead
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify
from p2plab.mm.migrate import madvise_inject_error
from p2plab.mm.sys_mseal import refuse_discard
from p2plab.mm.truncate import fallocate_punch_hole
from p2plab.mm.vma import Vma
from p2plab.mm.zap import zap_hugetlb, zap_page_range_single

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

Visit = Callable[[Vma, int, int], Awaitable[None]]

#: advice that only changes ``vm_flags``: (set, cleared)
FLAG_ADVICE = {
    "NORMAL": (0, VM_RAND_READ | VM_SEQ_READ),
    "SEQUENTIAL": (VM_SEQ_READ, VM_RAND_READ),
    "RANDOM": (VM_RAND_READ, VM_SEQ_READ),
    "DONTFORK": (VM_DONTCOPY, 0),
    "DOFORK": (0, VM_DONTCOPY),
    "WIPEONFORK": (VM_WIPEONFORK, 0),
    "KEEPONFORK": (0, VM_WIPEONFORK),
    "DONTDUMP": (VM_DONTDUMP, 0),
    "DODUMP": (0, VM_DONTDUMP),
    "MERGEABLE": (VM_MERGEABLE, 0),
    "UNMERGEABLE": (0, VM_MERGEABLE),
    "HUGEPAGE": (VM_HUGEPAGE, VM_NOHUGEPAGE),
    "NOHUGEPAGE": (VM_NOHUGEPAGE, VM_HUGEPAGE),
}


async def madvise(mm: AddressSpace, start: int, length: int, advice: str) -> None:
    """Advice by its name without ``MADV_``. ENOMEM at the end if there were holes; EINVAL where a VMA refuses it.

    VMAs below the one that refuses have been advised by then: the kernel does not undo it.
    """
    known = advice in ADVICE or advice in FLAG_ADVICE or advice in OTHER_ADVICE
    if not known or advice in mm.kernel.unknown_advice or start % PAGE_SIZE:
        raise KernelError("EINVAL", f"madvise({start:#x}, {advice}) is no advice that this kernel takes")
    end = start + page_up(length)
    if end == start:
        return
    if advice in OTHER_ADVICE:
        await OTHER_ADVICE[advice](mm, start, end, advice)
    elif advice in FLAG_ADVICE:
        async with mm.mmap_write():
            await step(f"madvise {advice} {span(start, end)}")
            await _walk(mm, start, end, lambda vma, low, high: _set_flags(vma, low, high, advice))
    else:
        await _advise(mm, start, end, advice)


async def _advise(mm: AddressSpace, start: int, end: int, advice: str) -> None:
    """Advice about mapped pages: under the per-VMA lock where that is enough, else under mmap_lock for reading."""
    if mm.kernel.madvise_vma_lock and advice in VMA_LOCK_ADVICE:
        await step(f"madvise {advice} {span(start, end)}")
        if (vma := _lone_vma(mm, start, end, advice)) is not None:
            with VmaRead(vma):
                await _visit(advice)(vma, start, end)
            return
    async with mm.mmap_lock.read():
        await step(f"madvise {advice} {span(start, end)}")
        await _walk(mm, start, end, _visit(advice))


def _visit(advice: str) -> Visit:
    async def visit(vma: Vma, start: int, end: int) -> None:
        if vma.vm_flags & VM_SEALED:
            refuse_discard(vma, advice)
        await ADVICE[advice](vma, start, end)

    return visit


def _lone_vma(mm: AddressSpace, start: int, end: int, advice: str) -> Vma | None:
    """``try_vma_read_lock``: the one VMA that holds the whole range, if its lock is free."""
    vma = mm.vma_lookup(start)
    if vma is None or end > vma.vm_end or vma.write_locked or vma.vm_flags & VM_UFFD:
        return None
    if advice == "GUARD_INSTALL" and vma.is_anonymous and vma.anon_vma is None:
        return None  # an anon_vma is made under mmap_lock
    return vma


async def process_madvise(mm: AddressSpace, start: int, length: int, advice: str) -> None:
    """``process_madvise`` on the caller's own memory. EINVAL for advice it rejects: until 6.12 all that discards."""
    takes = ("COLD", "PAGEOUT", "WILLNEED", "COLLAPSE")
    if advice not in takes and not mm.kernel.process_madvise_takes_all:
        raise KernelError("EINVAL", f"process_madvise of {mm.kernel} takes {', '.join(takes)}, not {advice[:40]}")
    await madvise(mm, start, length, advice)


async def _walk(mm: AddressSpace, start: int, end: int, visit: Visit) -> None:
    """``madvise_walk_vmas``: holes are skipped and reported in the end; the first refusal ends it."""
    holes = False
    at = start
    while at < end:
        vma = mm.find_vma(at)
        if vma is None:
            holes = True
            break
        if at < vma.vm_start:
            holes = True
            at = vma.vm_start
            if at >= end:
                break
        upto = min(vma.vm_end, end)
        await visit(vma, at, upto)
        at = upto
    if holes:
        raise KernelError("ENOMEM", f"not all of {span(start, end)} is mapped; what is, has been advised")


async def _set_flags(vma: Vma, start: int, end: int, advice: str) -> None:
    refuse_discard(vma, advice)
    add, remove = FLAG_ADVICE[advice]
    refused = (
        (advice == "DOFORK" and vma.vm_flags & VM_IO)
        or (advice == "WIPEONFORK" and not vma.is_anonymous)
        or (advice == "DODUMP" and vma.vm_flags & VM_SPECIAL)
    )
    if refused:
        raise KernelError("EINVAL", f"{vma} does not take {advice}")
    if advice == "MERGEABLE" and not ksm.mergeable(vma):
        return
    if advice == "UNMERGEABLE" and vma.vm_flags & VM_MERGEABLE:
        await ksm.unmerge_ksm_pages(vma, start, end)
    newflags = vma.vm_flags & ~remove | add
    if newflags == vma.vm_flags:
        return
    vma = await vma_modify(vma, start, end, vm_flags=newflags)
    await vma.vm_mm.vma_start_write([vma])
    vma.vm_flags = newflags


def _refuse(vma: Vma, forbidden: int, advice: str) -> None:
    if vma.vm_flags & forbidden:
        why = "device memory" if vma.vm_flags & VM_PFNMAP else "locked" if vma.vm_flags & VM_LOCKED else "hugetlb"
        raise KernelError("EINVAL", f"{vma} is {why} and does not take {advice}")


async def _dontneed(vma: Vma, start: int, end: int) -> None:
    if vma.vm_flags & VM_HUGETLB:
        await _dontneed_hugetlb(vma, start, end)
        return
    _refuse(vma, VM_PFNMAP | VM_LOCKED, "DONTNEED")
    await zap_page_range_single(vma, start, end)


async def _dontneed_hugetlb(vma: Vma, start: int, end: int) -> None:
    """The start must fit its huge pages; the end is rounded down to them."""
    if start % PMD_SIZE:
        raise KernelError("EINVAL", f"{start:#x} lies inside a huge page of hugetlbfs")
    end -= end % PMD_SIZE
    if start < end:
        await zap_hugetlb(vma, start, end)


async def _dontneed_locked(vma: Vma, start: int, end: int) -> None:
    if vma.vm_flags & VM_HUGETLB:
        await _dontneed_hugetlb(vma, start, end)
        return
    _refuse(vma, VM_PFNMAP, "DONTNEED_LOCKED")
    await zap_page_range_single(vma, start, end)


async def _free(vma: Vma, start: int, end: int) -> None:
    _refuse(vma, VM_PFNMAP | VM_LOCKED | VM_HUGETLB, "FREE")
    await madvise_free(vma, start, end)


async def _cold(vma: Vma, start: int, end: int) -> None:
    _refuse(vma, VM_PFNMAP | VM_LOCKED | VM_HUGETLB, "COLD")
    await madvise_cold(vma, start, end, pageout=False)


async def _pageout(vma: Vma, start: int, end: int) -> None:
    _refuse(vma, VM_PFNMAP | VM_LOCKED | VM_HUGETLB, "PAGEOUT")
    await madvise_cold(vma, start, end, pageout=True)


async def _willneed(vma: Vma, start: int, end: int) -> None:
    """Reads ahead into the caches, without mapping anything: no event, also for device memory."""


async def _remove(vma: Vma, start: int, end: int) -> None:
    """MADV_REMOVE: punch a hole into the file; mmap_lock is dropped meanwhile."""
    if vma.vm_flags & VM_LOCKED or vma.vm_file is None:
        raise KernelError("EINVAL", f"{vma} is locked or maps no file, so REMOVE cannot punch a hole")
    if vma.vm_flags & (VM_SHARED | VM_MAYWRITE) != VM_SHARED | VM_MAYWRITE:
        raise KernelError("EACCES", f"{vma} is private: REMOVE would change the file behind it")
    mm, file, first = vma.vm_mm, vma.vm_file, vma.pgoff_of(start)
    mm.mmap_lock.up_read()
    try:
        await fallocate_punch_hole(file, first, (end - start) >> PAGE_SHIFT)
    finally:
        await mm.mmap_lock.down_read()


async def _populate(mm: AddressSpace, start: int, end: int, advice: str) -> None:
    """MADV_POPULATE_READ and _WRITE: ENOMEM at a hole, EINVAL for device memory, EFAULT beyond a file's end."""
    write = advice == "POPULATE_WRITE"
    async with mm.mmap_lock.read():
        await step(f"madvise {advice} {span(start, end)}")
        if mm.kernel.populate_skips_holes:
            await _walk(mm, start, end, lambda vma, low, high: _populate_vma(vma, low, high, write))
            return
        at = start
        while at < end:
            vma = mm.vma_lookup(at)
            if vma is None:
                raise KernelError("ENOMEM", f"nothing is mapped at {at:#x}")
            upto = min(vma.vm_end, end)
            await _populate_vma(vma, at, upto, write)
            at = upto


async def _populate_vma(vma: Vma, start: int, end: int, write: bool) -> None:
    if vma_refuses(vma, write):
        raise KernelError("EINVAL", f"{vma} cannot be populated for {'writing' if write else 'reading'}")
    for address in range(start, end, PAGE_SIZE):
        await faultin(vma, address, write)


async def _collapse(mm: AddressSpace, start: int, end: int, advice: str) -> None:
    await _walk(mm, start, end, madvise_collapse)


async def _inject(mm: AddressSpace, start: int, end: int, advice: str) -> None:
    await madvise_inject_error(mm, start, end, soft=advice == "SOFT_OFFLINE")


#: advice that walks VMAs with mmap_lock held for reading
ADVICE: dict[str, Visit] = {
    "DONTNEED": _dontneed,
    "DONTNEED_LOCKED": _dontneed_locked,
    "FREE": _free,
    "COLD": _cold,
    "PAGEOUT": _pageout,
    "WILLNEED": _willneed,
    "REMOVE": _remove,
    "GUARD_INSTALL": guard_install,
    "GUARD_REMOVE": guard_remove,
}
#: advice that needs only the per-VMA lock (``get_lock_mode``, since 6.17)
VMA_LOCK_ADVICE = ("DONTNEED", "DONTNEED_LOCKED", "FREE", "GUARD_INSTALL", "GUARD_REMOVE")
#: advice with special locking
OTHER_ADVICE = {
    "POPULATE_READ": _populate,
    "POPULATE_WRITE": _populate,
    "COLLAPSE": _collapse,
    "SOFT_OFFLINE": _inject,
    "HWPOISON": _inject,
}
