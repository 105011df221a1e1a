"""``prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME)`` (mm/madvise.c): names for anonymous memory; no event, but separate VMAs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SIZE, page_up
from p2plab.mm.log import span
from p2plab.mm.merge import vma_modify

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def set_anon_name(mm: AddressSpace, start: int, length: int, name: str) -> None:
    """Name the anonymous VMAs of a range (empty: no name). EBADF for a file's, ENOMEM at the end if there were holes.

    EINVAL where the kernel was configured without names.
    """
    if not mm.kernel.anon_vma_names or start % PAGE_SIZE:
        raise KernelError("EINVAL", f"{mm.kernel} does not name VMAs, or {start:#x} is not page aligned")
    end = start + page_up(length)
    async with mm.mmap_write():
        await step(f"PR_SET_VMA_ANON_NAME {span(start, end)}")
        at, holes = start, False
        while at < end:
            vma = mm.find_vma_intersection(at, end)
            if vma is None:
                holes = True
                break
            holes = holes or vma.vm_start > at
            low, at = max(at, vma.vm_start), min(vma.vm_end, end)
            if vma.vm_file is not None and vma.vm_file.name != "shmem":
                raise KernelError("EBADF", f"{vma} maps a file")
            if vma.anon_name != name:
                vma = await vma_modify(vma, low, at, anon_name=name)
                await mm.vma_start_write([vma])
                vma.anon_name = name
        if holes:
            raise KernelError("ENOMEM", f"not all of {span(start, end)} is mapped")
