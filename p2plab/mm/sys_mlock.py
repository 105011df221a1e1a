"""``mlock`` and ``munlock`` (mm/mlock.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SIZE, TASK_SIZE, VM_HUGETLB, VM_LOCKED, VM_LOCKED_MASK, VM_SPECIAL, page_down, page_up
from p2plab.mm.gup import mm_populate
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4


async def mlock(mm: AddressSpace, start: int, length: int, *, onfault: bool = False) -> None:
    """Lock [start, start + length) and populate it. ENOMEM at a hole: what lies below is locked, nothing populated.

    Device memory is neither locked nor populated, and that is no error. ``onfault`` is mlock2's MLOCK_ONFAULT: nothing
    is populated.
    """
    length = page_up(length + start % PAGE_SIZE)
    start = page_down(start)
    await _apply_lock_flags(mm, start, start + length, VM_LOCKED_MASK if onfault else VM_LOCKED)
    try:
        await mm_populate(mm, start, start + length)
    except KernelError as error:
        name = {"EFAULT": "ENOMEM", "ENOMEM": "EAGAIN"}.get(error.name, error.name)
        raise KernelError(name, f"locked, but {error.sentence}") from error


async def munlock(mm: AddressSpace, start: int, length: int) -> None:
    """Unlock [start, start + length). ENOMEM at a hole."""
    length = page_up(length + start % PAGE_SIZE)
    start = page_down(start)
    await _apply_lock_flags(mm, start, start + length, 0)


async def _apply_lock_flags(mm: AddressSpace, start: int, end: int, lock: int) -> None:
    async with mm.mmap_write():
        await step(f"{'mlock' if lock else 'munlock'} {span(start, end)}")
        at = start
        while at < end:
            vma = mm.vma_lookup(at)
            if vma is None:
                raise KernelError("ENOMEM", f"nothing is mapped at {at:#x}; what lies below has changed")
            upto = min(vma.vm_end, end)
            await _fixup(vma, at, upto, lock)
            at = upto


async def _fixup(vma: Vma, start: int, end: int, lock: int) -> None:
    """``mlock_fixup``: one VMA's part."""
    newflags = vma.vm_flags & ~VM_LOCKED_MASK | lock
    if newflags != vma.vm_flags and not vma.vm_flags & (VM_SPECIAL | VM_HUGETLB):
        vma = await vma_modify(vma, start, end, vm_flags=newflags)
        await vma.vm_mm.vma_start_write([vma])
        vma.vm_flags = newflags


async def mlockall(mm: AddressSpace, flags: int) -> None:
    """Lock everything there is (MCL_CURRENT) and will be (MCL_FUTURE); populated, unless MCL_ONFAULT. No event."""
    if not flags or flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        raise KernelError("EINVAL", f"mlockall with flags {flags:#x}")
    lock = VM_LOCKED_MASK if flags & MCL_ONFAULT else VM_LOCKED
    await _lock_all(mm, lock if flags & MCL_CURRENT else None, lock if flags & MCL_FUTURE else 0)
    if flags & MCL_CURRENT:
        await mm_populate(mm, 0, TASK_SIZE, ignore_errors=True)


async def munlockall(mm: AddressSpace) -> None:
    """Unlock everything."""
    await _lock_all(mm, 0, 0)


async def _lock_all(mm: AddressSpace, current: int | None, future: int) -> None:
    async with mm.mmap_write():
        await step("mlockall" if current else "munlockall")
        mm.def_flags = future
        at = 0
        while current is not None and (vma := mm.find_vma(at)) is not None:
            at = vma.vm_end
            await _fixup(vma, vma.vm_start, vma.vm_end, current)
