"""``mmap`` and ``munmap`` (mm/mmap.c, mm/vma.c): what is taken out when, and which events are raised under which lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.mm.flags import (
    MAP_FIXED,
    MAP_SHARED,
    PAGE_SHIFT,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    TASK_SIZE,
    VM_ACCOUNT,
    VM_EXEC,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_PKEY_SHIFT,
    VM_READ,
    VM_SHARED,
    VM_SOFTDIRTY,
    VM_SPECIAL,
    VM_WRITE,
    page_up,
    perms,
)
from p2plab.mm.locks import rmap_locks_pass
from p2plab.mm.log import VmaMapped, VmaUnmapped, span
from p2plab.mm.merge import VmaMergeStruct, vma_merge_new_range
from p2plab.mm.pkeys import execute_only_pkey
from p2plab.mm.rmap import unlink_anon_vmas
from p2plab.mm.split import split_vma
from p2plab.mm.sys_mseal import refuse_sealed
from p2plab.mm.vma import Vma
from p2plab.mm.zap import free_pgtables, unmap_vmas

if TYPE_CHECKING:
    from p2plab.mm.file import File
    from p2plab.mm.space import AddressSpace

#: Where the kernel starts to look, downwards, for a free place.
MMAP_BASE = 0x7FFF_F7FF_F000


def prot_flags(prot: int) -> int:
    """``calc_vm_prot_bits``: PROT_* as VM_* bits."""
    return (
        (VM_READ if prot & PROT_READ else 0)
        | (VM_WRITE if prot & PROT_WRITE else 0)
        | (VM_EXEC if prot & PROT_EXEC else 0)
    )


async def mmap(
    mm: AddressSpace, start: int | None, length: int, prot: int, flags: int, file: File | None, pgoff: int
) -> int:
    """Map ``length`` bytes of ``file``, or of anonymous memory; the address. EINVAL, ENOMEM, or what the driver says."""
    length = page_up(length)
    if length <= 0:
        raise KernelError("EINVAL", "mmap of no bytes at all")
    if start is not None and flags & MAP_FIXED:
        if start % PAGE_SIZE:
            raise KernelError("EINVAL", f"{start:#x} is not page aligned")
        if start < 0 or start + length > TASK_SIZE:
            raise KernelError("ENOMEM", f"{span(start, start + length)} is not in user space")
    if flags & MAP_SHARED and file is None:
        from p2plab.mm.file import File as ShmemFile  # shared anonymous memory is a nameless file of tmpfs

        file = ShmemFile("shmem", (length >> PAGE_SHIFT) + pgoff)
    vm_flags = prot_flags(prot) | (execute_only_pkey(mm) << VM_PKEY_SHIFT if prot == PROT_EXEC else 0)
    vm_flags |= VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_SOFTDIRTY
    if flags & MAP_SHARED:
        vm_flags |= VM_SHARED | VM_MAYSHARE
    elif vm_flags & VM_WRITE:
        vm_flags |= VM_ACCOUNT
    vm_flags |= mm.def_flags
    async with mm.mmap_write():
        if start is None or not flags & MAP_FIXED:
            start = unmapped_area(mm, start, length)
        if len(mm.vmas) >= mm.memory.max_map_count:
            raise KernelError("ENOMEM", f"{mm.name} has {len(mm.vmas)} mappings, the most that vm.max_map_count allows")
        await mmap_region(mm, start, length, vm_flags, file, start >> PAGE_SHIFT if file is None else pgoff)
    if vm_flags & VM_LOCKED:
        from p2plab.mm.gup import mm_populate

        await mm_populate(mm, start, start + length, ignore_errors=True)
    return start


def unmapped_area(mm: AddressSpace, hint: int | None, length: int) -> int:
    """The hint if it is free, else the highest free place below :data:`MMAP_BASE`. ENOMEM if there is none."""
    usable = hint is not None and hint % PAGE_SIZE == 0 and 0 < hint <= TASK_SIZE - length
    if hint is not None and usable and mm.find_vma_intersection(hint, hint + length) is None:
        return hint
    top = MMAP_BASE
    for vma in reversed(mm.vmas):
        if vma.vm_end <= top - length:
            break
        top = min(top, vma.vm_start)
    if top - length < PAGE_SIZE:
        raise KernelError("ENOMEM", f"no free place for {length} bytes")
    return top - length


async def mmap_region(mm: AddressSpace, start: int, length: int, vm_flags: int, file: File | None, pgoff: int) -> None:
    end = start + length
    if mm.kernel.mmap_unmaps_first:
        await do_munmap(mm, start, length, downgrade=False)
    elif mm.find_vma_intersection(start, end) is not None:
        await step(f"split at the edges of {span(start, end)}")
        old = await _gather(mm, start, end)
        # The old VMAs are emptied and closed while they are still in the tree (vms_clean_up_area).
        await _clear_ptes(mm, old, start, end)
        for vma in old:
            await _close(vma)
        await step(f"replace {span(start, end)}")
        _detach(mm, old, start, end)
        _free(old)
    following = mm.find_vma(start)
    prev = mm.prev_of(following) if following is not None else (mm.vmas[-1] if mm.vmas else None)
    wish = VmaMergeStruct(mm, start, end, vm_flags, pgoff, file, None, None, prev, following)
    vma_or_none = await vma_merge_new_range(wish)
    if vma_or_none is None:
        vma_or_none = await _new_vma(mm, start, end, vm_flags, file, pgoff)
    vma_or_none.vm_flags |= VM_SOFTDIRTY
    emit(VmaMapped(mm.name, start, end, perms(vma_or_none.vm_flags), file.name if file else "", pgoff))


async def _new_vma(mm: AddressSpace, start: int, end: int, vm_flags: int, file: File | None, pgoff: int) -> Vma:
    vma = Vma(mm, start, end, pgoff, vm_flags, file)
    if file is not None:
        await file.mmap(vma)
        await mm.vma_start_write([vma])
        await file.f_mapping.i_mmap_rwsem.passes()
        file.f_mapping.link(vma)
        if vma.vm_flags & VM_SPECIAL:
            vma.vm_flags &= ~VM_LOCKED_MASK
    else:
        await mm.vma_start_write([vma])
    mm.insert(vma)
    return vma


async def munmap(mm: AddressSpace, start: int, length: int) -> None:
    """Unmap [start, start + length). EINVAL if unaligned, empty or outside of user space; holes are no error."""
    async with mm.mmap_write():
        await do_munmap(mm, start, length, downgrade=True)


async def do_munmap(mm: AddressSpace, start: int, length: int, *, downgrade: bool) -> None:
    """munmap with mmap_lock held for writing: split, out of the tree, lock downgraded if asked, UNMAP, zapped, freed.

    During the callback ``find_vma`` finds nothing, or the next VMA above; afterwards the VMAs are dead.
    """
    if start % PAGE_SIZE or start < 0 or length < 0 or start + length > TASK_SIZE:
        raise KernelError("EINVAL", f"{start:#x} + {length:#x} is not a page-aligned range of user space")
    end = start + page_up(length)
    if end == start:
        raise KernelError("EINVAL", "munmap of no bytes at all")
    if mm.find_vma_intersection(start, end) is None:
        return
    await step(f"split at the edges of {span(start, end)}")
    old = await _gather(mm, start, end)
    await step(f"take {span(start, end)} out of the tree")
    floor, ceiling = _detach(mm, old, start, end)
    if downgrade:
        await step("downgrade mmap_lock")
        mm.mmap_write_downgrade()
    await unmap_vmas(mm, old, start, end)
    await _unlink_all(old)
    free_pgtables(mm, old, floor, ceiling)
    for vma in old:
        await _close(vma)
    await step(f"free {len(old)} VMAs")
    for vma in old:
        vma.freed = True


async def _gather(mm: AddressSpace, start: int, end: int) -> list[Vma]:
    """``vms_gather_munmap_vmas``: the VMAs of exactly [start, end), split at its edges."""
    old_way = mm.kernel.munmap_splits_off_what_goes
    first = mm.find_vma(start)
    assert first is not None
    if first.vm_start < start:
        limit = mm.memory.max_map_count
        if end < first.vm_end and len(mm.vmas) >= limit:
            raise KernelError("ENOMEM", f"cutting a hole would make more than {limit} mappings (vm.max_map_count)")
        refuse_sealed(first, "munmap")
        await split_vma(first, start, new_below=not old_way)
    for vma in mm.vmas_in(start, end):
        refuse_sealed(vma, "munmap")
    last = mm.find_vma(end - 1)
    if last is not None and last.vm_start < end < last.vm_end:
        await split_vma(last, end, new_below=old_way)
    vmas = list(mm.vmas_in(start, end))
    await mm.vma_start_write(vmas)
    return vmas


def _detach(mm: AddressSpace, vmas: list[Vma], start: int, end: int) -> tuple[int, int]:
    """Take VMAs out of the tree; the end of the VMA below and the start of the one above (0: none)."""
    floor, ceiling = neighbours(mm, vmas)
    low = mm.position(vmas[0])
    del mm.vmas[low : low + len(vmas)]
    emit(VmaUnmapped(mm.name, start, end))
    return floor, ceiling


def neighbours(mm: AddressSpace, vmas: list[Vma]) -> tuple[int, int]:
    """The end of the VMA below these and the start of the one above them (0: none), while they are in the tree."""
    below, above = mm.prev_of(vmas[0]), mm.next_of(vmas[-1])
    return below.vm_end if below is not None else 0, above.vm_start if above is not None else 0


async def _clear_ptes(mm: AddressSpace, vmas: list[Vma], start: int, end: int) -> None:
    await unmap_vmas(mm, vmas, start, end)
    floor, ceiling = neighbours(mm, vmas)
    await _unlink_all(vmas)
    free_pgtables(mm, vmas, floor, ceiling)


async def _unlink_all(vmas: list[Vma]) -> None:
    """Out of the reverse map: no page points at these VMAs any more (``free_pgtables`` does it)."""
    for vma in vmas:
        await rmap_locks_pass(vma)
        unlink_anon_vmas(vma)
        if vma.vm_file is not None:
            vma.vm_file.f_mapping.unlink(vma)


async def _close(vma: Vma) -> None:
    if vma.vm_ops is not None and vma.vm_ops.has("close"):
        await vma.vm_ops.close(vma)


def _free(vmas: list[Vma]) -> None:
    for vma in vmas:
        vma.freed = True
