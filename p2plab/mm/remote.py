"""Writing to memory by way of the kernel: process_vm_writev(2) and /proc/PID/mem (mm/process_vm_access.c, mm/memory.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.flags import PAGE_SHIFT, PAGE_SIZE
from p2plab.mm.folio import HugePmd
from p2plab.mm.gup import faultin, get_user_pages, present, put_user_pages, vma_refuses
from p2plab.mm.log import span
from p2plab.mm.touch import fill

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


async def process_vm_writev(mm: AddressSpace, start: int, length: int) -> int:
    """Write to [start, start + length): the bytes written. EFAULT if the first page cannot be pinned for writing."""
    folios = await get_user_pages(mm, start, length >> PAGE_SHIFT, True, pin=True)
    for number in range(len(folios)):
        _fill(mm, start + number * PAGE_SIZE)
    put_user_pages(folios, pin=True)
    return len(folios) << PAGE_SHIFT


async def proc_mem_write(mm: AddressSpace, start: int, length: int) -> int:
    """Write to /proc/PID/mem: the bytes written. A debugger's access (FOLL_FORCE): private memory is copied even where it
    may not be written. EIO if the first page cannot be accessed: a hole, device memory, shared memory that is read-only."""
    done, force = 0, mm.kernel.proc_mem_forces
    for address in range(start, start + length, PAGE_SIZE):
        async with mm.mmap_lock.read():
            await step(f"access_remote_vm {span(address, address + PAGE_SIZE)}")
            vma = mm.vma_lookup(address)
            try:
                if vma is None or vma_refuses(vma, True, force=force):
                    break
                await faultin(vma, address, True, force=force)
            except KernelError:
                break
            _fill(mm, address)
            done += PAGE_SIZE
    if not done and length:
        raise KernelError("EIO", f"{start:#x} cannot be written, not even by a debugger")
    return done


def _fill(mm: AddressSpace, address: int) -> None:
    vma = mm.vma_lookup(address)
    entry = present(vma, address) if vma is not None else None
    if entry is not None and entry.folio is not None:
        huge = isinstance(mm.page_table.pmd(address), HugePmd)
        fill(entry.folio, entry.folio.nr_pages - 1 & address >> PAGE_SHIFT if huge else entry.page)
