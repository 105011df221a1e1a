"""``mseal`` (mm/mseal.c, since 6.10): what may no longer be unmapped, moved, reprotected or discarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SIZE, VM_SEALED, VM_SHARED, VM_WRITE, page_up
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify
from p2plab.mm.pkeys import key_denies, vma_pkey
from p2plab.mm.vma import Vma

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

#: advice that throws data away (``is_discard``)
DISCARDS = ("FREE", "DONTNEED", "DONTNEED_LOCKED", "REMOVE", "DONTFORK", "WIPEONFORK", "GUARD_INSTALL")


async def mseal(mm: AddressSpace, start: int, length: int) -> None:
    """Seal [start, start + length): no event. ENOMEM if a page of it is not mapped, ENOSYS before 6.10."""
    if not mm.kernel.has_mseal:
        raise KernelError("ENOSYS", f"{mm.kernel} has no mseal; it came with Linux 6.10")
    if start % PAGE_SIZE:
        raise KernelError("EINVAL", f"{start:#x} is not page aligned")
    end = start + page_up(length)
    if end == start:
        return
    async with mm.mmap_write():
        await step(f"mseal {span(start, end)}")
        at = start
        for vma in mm.vmas_in(start, end):
            if vma.vm_start > at:
                break
            at = vma.vm_end
        if at < end:
            raise KernelError("ENOMEM", f"nothing is mapped at {at:#x}")
        at = start
        while at < end:
            vma_at = mm.vma_lookup(at)
            assert vma_at is not None
            upto = min(vma_at.vm_end, end)
            if not vma_at.vm_flags & VM_SEALED:
                vma_at = await vma_modify(vma_at, at, upto, vm_flags=vma_at.vm_flags | VM_SEALED)
                await mm.vma_start_write([vma_at])
                vma_at.vm_flags |= VM_SEALED
            at = upto


def refuse_sealed(vma: Vma, what: str) -> None:
    """``can_modify_vma``: EPERM."""
    if vma.vm_flags & VM_SEALED:
        raise KernelError("EPERM", f"{vma} is sealed: no {what}")


def refuse_discard(vma: Vma, advice: str) -> None:
    """``can_madvise_modify``: EPERM for discarding data of sealed private anonymous memory that cannot be written."""
    if not vma.vm_flags & VM_SEALED or advice not in DISCARDS or vma.vm_file is not None or vma.vm_flags & VM_SHARED:
        return
    if not vma.vm_flags & VM_WRITE or key_denies(vma.vm_mm, vma_pkey(vma.vm_flags), write=True):
        raise KernelError("EPERM", f"{vma} is sealed and cannot be written: no {advice}")
