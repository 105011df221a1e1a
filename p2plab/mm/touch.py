"""The CPU touches memory: an access that the page table permits, a fault, or a signal (arch/x86/mm/fault.c)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import P2PError
from p2plab.mm.fault import handle_mm_fault
from p2plab.mm.flags import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PMD_SIZE,
    VM_ACCESS_FLAGS,
    VM_HUGEPAGE,
    VM_SHARED,
    VM_UFFD,
    VM_WRITE,
    page_down,
)
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.locks import VmaRead
from p2plab.mm.pkeys import key_denies, vma_pkey
from p2plab.mm.userfault import handle_userfault, userfault_pending
from p2plab.mm.vma import Vma, VmaFault

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace

#: After this many faults without progress the driver's handler is to blame.
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
    """One access to the page at ``address``. Hardware looks at the entry alone: a VMA counts only when it faults."""
    await step(f"{'write' if write else 'read'} {address:#x}")
    for _ in range(PATIENCE):
        if permitted(mm, address, write):
            return
        answer = await _fault(mm, address, write)
        if answer is VmaFault.SIGBUS:
            raise Signal("SIGBUS", address)
        if answer is not VmaFault.NOPAGE:
            raise Signal("SIGSEGV", address)
    raise Signal("SIGBUS", address)


def access_error(vma: Vma, write: bool) -> bool:
    """Whether the VMA forbids the access (arch/x86/mm/fault.c), also by its protection key."""
    if key_denies(vma.vm_mm, vma_pkey(vma.vm_flags), write):
        return True
    return not vma.vm_flags & (VM_WRITE if write else VM_ACCESS_FLAGS)


def permitted(mm: AddressSpace, address: int, write: bool) -> bool:
    """Whether the entry permits the access; a write marks it dirty, as the processor does."""
    table = mm.page_table
    huge = table.pmd(address)
    if isinstance(huge, HugePmd):
        allowed = (huge.write or not write) and not key_denies(mm, huge.pkey, write)
        if allowed and write and huge.folio is not None:
            fill(huge.folio, address % PMD_SIZE >> PAGE_SHIFT)
        return allowed
    entry = table.get(address)
    if not isinstance(entry, Pte) or (write and not entry.write) or key_denies(mm, entry.pkey, write):
        return False
    if write:
        if entry.folio is not None:
            fill(entry.folio, entry.page)
        if not entry.dirty:
            table.set(address, replace(entry, dirty=True, soft_dirty=True))
    return True


def fill(folio: Folio, number: int) -> None:
    """Something is written to a page of the folio: it is not all zeroes any more."""
    filled = folio.filled | 1 << number
    if filled != folio.filled:
        folio.filled = filled


async def _fault(mm: AddressSpace, address: int, write: bool) -> VmaFault:
    """``do_user_addr_fault``: under the per-VMA lock where the kernel can (6.4 on), else under mmap_lock."""
    vma = mm.vma_lookup(address)
    if mm.kernel.per_vma_lock and vma is not None and not vma.write_locked:
        if access_error(vma, write):
            return VmaFault.SIGSEGV
        if vma.vm_flags & VM_UFFD and await handle_userfault(vma, address, write):
            return VmaFault.NOPAGE
        if not _needs_mmap_lock(vma, address, write):
            with VmaRead(vma):
                answer = await handle_mm_fault(vma, address, write)
            await step("vma_lock released")
            return answer
    if mm.mmap_lock.is_free_for_reading() and (vma is None or access_error(vma, write)):
        return VmaFault.SIGSEGV  # mmap_lock was taken and given back: no other step could see it
    async with mm.mmap_lock.read():
        vma = mm.vma_lookup(address)
        if vma is None or access_error(vma, write):
            return VmaFault.SIGSEGV
        if not userfault_pending(vma, address, write):
            return await handle_mm_fault(vma, address, write)
    await handle_userfault(vma, address, write)
    return VmaFault.NOPAGE


def _needs_mmap_lock(vma: Vma, address: int, write: bool) -> bool:
    """Why a fault goes back and takes mmap_lock: a driver's handler (``vmf_can_call_fault``), or the first anonymous
    page of a VMA while mmap_lock is not free (``vmf_anon_prepare`` tries it)."""
    if vma.vm_file is not None and not vma.vm_file.has_pages and vma.has_op("fault"):
        return vma.vm_mm.page_table.get(address) is None
    first = vma.anon_vma is None and not vma.vm_flags & VM_SHARED and (write or bool(vma.vm_flags & VM_HUGEPAGE))
    return first and not vma.vm_mm.mmap_lock.is_free_for_reading()
