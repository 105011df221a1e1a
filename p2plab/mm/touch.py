"""The CPU touches memory: an access that the page table permits, a fault, or a signal (arch/x86/mm/fault.c)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import P2PError
from p2plab.core.running import running
from p2plab.mm.fault import handle_mm_fault
from p2plab.mm.flags import PAGE_SIZE, VM_ACCESS_FLAGS, VM_SHARED, VM_WRITE, page_down
from p2plab.mm.folio import HugePmd, Pte
from p2plab.mm.vma import Vma, VmaFault

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

#: After this many faults without progress a driver's handler is at fault itself.
PATIENCE = 8


class Signal(P2PError):
    """The process gets ``name`` (SIGSEGV or SIGBUS) for its access to ``address`` (bytes)."""

    def __init__(self, name: str, address: int) -> None:
        super().__init__(f"{name} at {address:#x}")
        self.name = name
        self.address = address


async def touch(mm: AddressSpace, start: int, end: int, write: bool) -> None:
    """Read or write one byte of each page of [start, end), from the lowest on; :exc:`Signal` where it may not."""
    for address in range(page_down(start), end, PAGE_SIZE):
        await touch_page(mm, address, write)


async def touch_page(mm: AddressSpace, address: int, write: bool) -> None:
    """One access to the page at ``address``."""
    await step(f"{'write' if write else 'read'} {address:#x}")
    for _ in range(PATIENCE):
        vma = mm.vma_lookup(address)
        if vma is None or access_error(vma, write):
            raise Signal("SIGSEGV", address)
        if permitted(vma, address, write):
            return
        answer = await _fault(mm, vma, address, write)
        if answer is VmaFault.SIGBUS:
            raise Signal("SIGBUS", address)
        if answer is not VmaFault.NOPAGE:
            raise Signal("SIGSEGV", address)
    raise Signal("SIGBUS", address)


def access_error(vma: Vma, write: bool) -> bool:
    """Whether the VMA forbids the access."""
    return not vma.vm_flags & (VM_WRITE if write else VM_ACCESS_FLAGS)


def permitted(vma: Vma, address: int, write: bool) -> bool:
    """Whether the entry permits the access; a write marks it dirty, as the processor does."""
    table = vma.vm_mm.page_table
    entry: Pte | HugePmd | None
    huge = table.pmd(address)
    if isinstance(huge, HugePmd):
        return huge.write or not write
    found = table.get(address)
    entry = found if isinstance(found, Pte) else None
    if entry is None or (write and not entry.write):
        return False
    if write and not entry.dirty:
        table.set(address, replace(entry, dirty=True, soft_dirty=True))
    return True


async def _fault(mm: AddressSpace, vma: Vma, address: int, write: bool) -> VmaFault:
    """Under the VMA's own lock where the kernel can (6.4 on, not for drivers' handlers), else under mmap_lock."""
    drivers = vma.has_op("fault") and vma.vm_file is not None and not vma.vm_file.has_pages
    copies = write and not vma.vm_flags & VM_SHARED and mm.page_table.get(address) is not None
    if mm.kernel.per_vma_lock and not vma.write_locked and not (drivers and not copies):
        me = running.actor
        vma.lock_readers.append(me)
        try:
            return await handle_mm_fault(vma, address, write)
        finally:
            vma.lock_readers.remove(me)
    async with mm.mmap_lock.read():
        again = mm.vma_lookup(address)
        if again is None or access_error(again, write):
            return VmaFault.SIGSEGV
        return await handle_mm_fault(again, address, write)
