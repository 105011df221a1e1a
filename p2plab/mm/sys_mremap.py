"""``mremap`` (mm/mremap.c, Linux 6.12 and 7.3): in place, moving, fixed, and keeping the old mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.mm.flags import (
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    TASK_SIZE,
    VM_ACCOUNT,
    VM_DONTEXPAND,
    VM_HUGETLB,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_MERGEABLE,
    VM_PFNMAP,
    VM_SHARED,
    VM_UFFD,
    page_up,
)
from p2plab.mm.gup import mm_populate
from p2plab.mm.hugetlb import aligned
from p2plab.mm.locks import rmap_locks_pass
from p2plab.mm.log import VmaMoved, span
from p2plab.mm.merge import vma_merge_new_range, wish_like
from p2plab.mm.move import move_page_tables
from p2plab.mm.rmap import anon_vma_clone, unlink_anon_vmas
from p2plab.mm.split import dup_vma, split_vma
from p2plab.mm.sys_mmap import do_munmap, unmapped_area
from p2plab.mm.sys_mseal import refuse_sealed
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def mremap(mm: AddressSpace, start: int, old: int, new: int, flags: int, new_start: int) -> int:
    """Resize or move [start, start + old); the new address.

    EFAULT: nothing there, across two VMAs, or growth of device memory. EINVAL: bad flags, overlap, DONTUNMAP of device
    memory. ENOMEM: no room to grow in place. Since 6.17 a fixed move of equal length may take several VMAs at once.
    """
    invalid = (
        flags & ~mm.kernel.mremap_flags
        or (flags & MREMAP_FIXED and not flags & MREMAP_MAYMOVE)
        or (flags & MREMAP_DONTUNMAP and (not flags & MREMAP_MAYMOVE or old != new))
        or start % PAGE_SIZE
        or not new
    )
    if invalid:
        raise KernelError("EINVAL", f"mremap of {old:#x} bytes at {start:#x} to {new:#x} with flags {flags:#x}")
    old, new = page_up(old), page_up(new)
    elsewhere = bool(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
    if elsewhere and mm.kernel.mremap_checks_first:
        _check_new_place(start, old, new_start, new)
    async with mm.mmap_write():
        await step(f"mremap {span(start, start + old)}")
        if mm.kernel.mremap_moves_vmas and flags & MREMAP_FIXED and old == new:
            await _remap_move(mm, start, old, new_start, flags)
            return new_start
        vma = mm.vma_lookup(start)
        if vma is None:
            raise KernelError("EFAULT", f"nothing is mapped at {start:#x}")
        refuse_sealed(vma, "mremap")
        if vma.vm_flags & VM_HUGETLB:
            old, new = _align_hugetlb(vma, start, old, new_start if elsewhere else 0, new)
        if elsewhere:
            where, populate = await _mremap_to(mm, start, old, new_start, new, flags)
        else:
            where, populate = await _resize(mm, start, old, new, flags)
    if populate and new > old:
        await mm_populate(mm, where + old, where + new, ignore_errors=True)
    return where


async def _resize(mm: AddressSpace, start: int, old: int, new: int, flags: int) -> tuple[int, bool]:
    if old >= new:
        if old > new:
            await do_munmap(mm, start + new, old - new, downgrade=True)
        return start, False
    vma = _vma_to_resize(mm, start, old, new, flags)
    if start + old == vma.vm_end and _expandable(vma, new - old):
        locked = bool(vma.vm_flags & VM_LOCKED)
        wish = wish_like(vma, vma.vm_end, vma.vm_end + new - old, vma, mm.next_of(vma))
        if await vma_merge_new_range(wish) is None:
            raise KernelError("ENOMEM", f"{vma} cannot grow")
        return start, locked
    if not flags & MREMAP_MAYMOVE:
        raise KernelError("ENOMEM", f"{vma} cannot grow where it is, and may not move")
    return await _move_vma(vma, start, old, new, unmapped_area(mm, None, new), flags)


def _expandable(vma: Vma, delta: int) -> bool:
    end = vma.vm_end + delta
    return end <= TASK_SIZE and vma.vm_mm.find_vma_intersection(vma.vm_end, end) is None


def _vma_to_resize(mm: AddressSpace, start: int, old: int, new: int, flags: int) -> Vma:
    vma = mm.vma_lookup(start)
    if vma is None:
        raise KernelError("EFAULT", f"nothing is mapped at {start:#x}")
    if not old and not vma.vm_flags & VM_SHARED:
        raise KernelError("EINVAL", "a private mapping cannot be duplicated")
    if flags & MREMAP_DONTUNMAP and vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP):
        raise KernelError("EINVAL", f"{vma} is device memory, which MREMAP_DONTUNMAP refuses")
    if old > vma.vm_end - start:
        raise KernelError("EFAULT", f"{span(start, start + old)} does not lie within one VMA")
    if new != old and vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP):
        raise KernelError("EFAULT", f"{vma} is device memory, which cannot grow")
    return vma


def _align_hugetlb(vma: Vma, start: int, old: int, new_start: int, new: int) -> tuple[int, int]:
    """Both lengths in whole huge pages. EINVAL for a place between them, and for growth."""
    old, new = aligned(old), aligned(new)
    if start % PMD_SIZE or new_start % PMD_SIZE or new > old:
        raise KernelError("EINVAL", f"{vma} has huge pages of hugetlbfs: {start:#x} and {new_start:#x} do not fit them")
    return old, new


def _check_new_place(start: int, old: int, new_start: int, new: int) -> None:
    """The part of ``check_mremap_params`` that needs no VMA."""
    if new_start % PAGE_SIZE or new_start < 0 or new_start > TASK_SIZE - new:
        raise KernelError("EINVAL", f"{new_start:#x} is no place for {new:#x} bytes")
    if start + old > new_start and new_start + new > start:
        raise KernelError("EINVAL", f"{span(start, start + old)} and {span(new_start, new_start + new)} overlap")


async def _remap_move(mm: AddressSpace, start: int, length: int, new_start: int, flags: int) -> None:
    """``remap_move`` (since 6.17): every VMA of the range moves, one after the other; gaps stay as wide as they were.

    The first that is refused ends it; what was moved before stays moved.
    """
    end = start + length
    if mm.vma_lookup(start) is None:
        raise KernelError("EFAULT", f"nothing is mapped at {start:#x}")
    at = start
    while (vma := mm.find_vma_intersection(at, end)) is not None:
        low, high = max(at, vma.vm_start), min(end, vma.vm_end)
        refuse_sealed(vma, "mremap")
        if vma.vm_flags & VM_HUGETLB:
            high = low + _align_hugetlb(vma, low, high - low, new_start + low - start, high - low)[0]
        await _mremap_to(mm, low, high - low, new_start + low - start, high - low, flags)
        at = high
        if at >= end:
            return


async def _mremap_to(mm: AddressSpace, start: int, old: int, new_start: int, new: int, flags: int) -> tuple[int, bool]:
    checks_first = mm.kernel.mremap_checks_first
    if checks_first:
        _vma_to_resize(mm, start, min(old, new), new, flags)
    else:
        _check_new_place(start, old, new_start, new)
    if len(mm.vmas) + 2 >= mm.memory.max_map_count - 3:
        raise KernelError("ENOMEM", "too many mappings (vm.max_map_count)")
    if flags & MREMAP_FIXED:
        await do_munmap(mm, new_start, new, downgrade=False)
    if old > new:
        await do_munmap(mm, start + new, old - new, downgrade=False)
        old = new
    vma = mm.vma_lookup(start) if checks_first else _vma_to_resize(mm, start, old, new, flags)
    if vma is None:
        raise KernelError("EFAULT", f"nothing is mapped at {start:#x}")
    if not flags & MREMAP_FIXED:
        new_start = unmapped_area(mm, new_start or None, new)
    return await _move_vma(vma, start, old, new, new_start, flags)


async def _move_vma(vma: Vma, start: int, old: int, new: int, new_start: int, flags: int) -> tuple[int, bool]:
    """``move_vma``: copy the VMA, move the entries (UNMAP of the old range), then unmap the old (UNMAP again)."""
    mm = vma.vm_mm
    vm_flags = vma.vm_flags
    keep = bool(flags & MREMAP_DONTUNMAP)
    if vm_flags & VM_MERGEABLE:
        from p2plab.mm.ksm import unmerge_ksm_pages

        await unmerge_ksm_pages(vma, start, start + old)
    if keep and vm_flags & VM_LOCKED:
        if vma.vm_start != start:
            await split_vma(vma, start, new_below=True)
        if vma.vm_end != start + old:
            await split_vma(vma, start + old, new_below=False)
    await mm.vma_start_write([vma])
    vma, new_vma = await _copy_vma(vma, start, new_start, new, keep)
    new_vma.vm_flags &= ~VM_UFFD  # registration does not move along (userfaultfd_reset_ctx)
    emit(VmaMoved(mm.name, start, start + old, new_start))
    await move_page_tables(vma, start, new_vma, new_start, old)
    if keep:
        vma.vm_flags &= ~VM_LOCKED_MASK
        if vma.vm_start == start and vma.vm_end == start + old:
            unlink_anon_vmas(vma)
            if vma.is_anonymous:
                vma.vm_pgoff = vma.vm_start >> PAGE_SHIFT
        return new_start, False
    # The old part must not give its accounting back: the new mapping has it (VM_ACCOUNT is concealed meanwhile).
    rests = []
    if vm_flags & VM_ACCOUNT:
        vma.vm_flags &= ~VM_ACCOUNT
        rests = [vma.vm_start < start, vma.vm_end > start + old]
    if old:
        await do_munmap(mm, start, old, downgrade=False)
    if rests:
        _restore_account(mm, start, start + old, *rests)
    return new_start, bool(vm_flags & VM_LOCKED)


def _restore_account(mm: AddressSpace, start: int, end: int, below: bool, above: bool) -> None:
    for wanted, address in ((below, start - 1), (above, end)):
        vma = mm.vma_lookup(address) if wanted else None
        if vma is not None:
            vma.vm_flags |= VM_ACCOUNT


async def _copy_vma(vma: Vma, start: int, new_start: int, length: int, keep: bool) -> tuple[Vma, Vma]:
    """``copy_vma``: (the source, the VMA at the new place); the source may have merged into it."""
    mm = vma.vm_mm
    pgoff = vma.pgoff_of(start)
    unfaulted = vma.is_anonymous and vma.anon_vma is None
    if unfaulted:
        pgoff = new_start >> PAGE_SHIFT
    following = mm.find_vma(new_start)
    prev = mm.prev_of(following) if following is not None else mm.vmas[-1]
    if unfaulted and keep:  # the source stays: it must not merge with its own copy
        prev = None if prev is vma else prev
        following = None if following is vma else following
    wish = wish_like(vma, new_start, new_start + length, prev, following)
    wish.pgoff = pgoff
    old_start = vma.vm_start
    merged = await vma_merge_new_range(wish)
    if merged is not None:
        return (merged if merged.vm_start <= old_start < merged.vm_end else vma), merged
    new = dup_vma(vma, mm)
    new.vm_start, new.vm_end, new.vm_pgoff = new_start, new_start + length, pgoff
    await rmap_locks_pass(vma)
    anon_vma_clone(new, vma)
    if new.vm_ops is not None and new.vm_ops.has("open"):
        await new.vm_ops.open(new)
    await mm.vma_start_write([new])
    if new.vm_file is not None:
        await new.vm_file.f_mapping.i_mmap_rwsem.passes()
        new.vm_file.f_mapping.link(new)
    mm.insert(new)
    return vma, new
