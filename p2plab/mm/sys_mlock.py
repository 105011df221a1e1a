"""``mlock`` and ``munlock`` (mm/mlock.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SIZE, VM_LOCKED, VM_SPECIAL, page_down, page_up
from p2plab.mm.gup import mm_populate
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def mlock(mm: AddressSpace, start: int, length: int) -> None:
    """Lock [start, start + length) and populate it. ENOMEM at a hole: what lies below is locked, nothing populated.

    Device memory is neither locked nor populated, and that is no error.
    """
    length = page_up(length + start % PAGE_SIZE)
    start = page_down(start)
    await _apply_lock_flags(mm, start, start + length, VM_LOCKED)
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
            newflags = vma.vm_flags & ~VM_LOCKED | lock
            if newflags != vma.vm_flags and not vma.vm_flags & VM_SPECIAL:
                vma = await vma_modify(vma, at, upto, vm_flags=newflags)
                await mm.vma_start_write([vma])
                vma.vm_flags = newflags
            at = upto
