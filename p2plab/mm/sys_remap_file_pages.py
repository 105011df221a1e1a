"""``remap_file_pages`` (mm/mmap.c): since 4.0 an mmap of another part of the same file over the range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import VM_SHARED, VM_SOFTDIRTY, page_down
from p2plab.mm.gup import mm_populate
from p2plab.mm.log import span
from p2plab.mm.sys_mmap import mmap_region

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def remap_file_pages(mm: AddressSpace, start: int, length: int, pgoff: int) -> None:
    """UNMAP of the range (mmap_lock held for writing), and its new pages populated. EINVAL for memory that is not shared."""
    start, length = page_down(start), page_down(length)
    if length <= 0 or pgoff < 0:
        raise KernelError("EINVAL", f"remap_file_pages of {length:#x} bytes to page {pgoff}")
    async with mm.mmap_write():
        await step(f"remap_file_pages {span(start, start + length)}")
        vma = mm.vma_lookup(start)
        if vma is None or not vma.vm_flags & VM_SHARED or vma.vm_file is None:
            raise KernelError("EINVAL", f"{vma or hex(start)} is not a shared mapping of a file")
        end, last = start + length, vma
        while last.vm_end < end:  # it may go on into neighbours of the same kind
            following = mm.next_of(last)
            alike = following is not None and following.vm_start == last.vm_end and following.vm_file is vma.vm_file
            if following is None or not alike or (following.vm_flags ^ vma.vm_flags) & ~VM_SOFTDIRTY:
                raise KernelError("EINVAL", f"{span(start, end)} is not one mapping")
            last = following
        await mmap_region(mm, start, length, vma.vm_flags | VM_SOFTDIRTY, vma.vm_file, pgoff)
    await mm_populate(mm, start, start + length, ignore_errors=True)
