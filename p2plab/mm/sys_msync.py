"""``msync`` (mm/msync.c): no notifier call, whatever it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SIZE, VM_LOCKED, VM_SHARED, page_up
from p2plab.mm.log import span

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

MS_ASYNC, MS_INVALIDATE, MS_SYNC = 1, 2, 4


async def msync(mm: AddressSpace, start: int, length: int, flags: int) -> None:
    """EINVAL for bad flags and for files that cannot be synced (a device's), EBUSY for locked memory, ENOMEM for holes."""
    if flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) or start % PAGE_SIZE or (flags & MS_ASYNC and flags & MS_SYNC):
        raise KernelError("EINVAL", f"msync of {start:#x} with flags {flags:#x}")
    end = start + page_up(length)
    if end == start:
        return
    async with mm.mmap_lock.read():
        await step(f"msync {span(start, end)}")
        at, holes = start, False
        for vma in mm.vmas_in(start, end):
            holes = holes or vma.vm_start > at
            if flags & MS_INVALIDATE and vma.vm_flags & VM_LOCKED:
                raise KernelError("EBUSY", f"{vma} is locked")
            if flags & MS_SYNC and vma.vm_file is not None and vma.vm_flags & VM_SHARED and not vma.vm_file.has_pages:
                raise KernelError("EINVAL", f"{vma.vm_file.name} has no fsync")
            at = vma.vm_end
        if holes or at < end:
            raise KernelError("ENOMEM", f"not all of {span(start, end)} is mapped")
