"""``get_user_pages`` and what populates memory with it: mlock, MADV_POPULATE, pinning (mm/gup.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.mm.fault import handle_mm_fault
from p2plab.mm.flags import (
    PAGE_SHIFT,
    PAGE_SIZE,
    VM_ACCESS_FLAGS,
    VM_IO,
    VM_LOCKONFAULT,
    VM_MAYREAD,
    VM_MAYWRITE,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    is_cow_mapping,
)
from p2plab.mm.folio import Folio, HugePmd, Pte
from p2plab.mm.touch import PATIENCE
from p2plab.mm.vma import Vma, VmaFault

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace


def vma_refuses(vma: Vma, write: bool, force: bool = False) -> bool:
    """``check_vma_flags``: device memory always refuses [invariant 4]; ``force`` is a debugger's FOLL_FORCE."""
    if vma.vm_flags & (VM_IO | VM_PFNMAP):
        return True
    if write:
        return not vma.vm_flags & VM_WRITE and not (force and is_cow_mapping(vma.vm_flags))
    return not vma.vm_flags & VM_READ and not (force and vma.vm_flags & VM_MAYREAD)


async def faultin(vma: Vma, address: int, write: bool, *, force: bool = False, unshare: bool = False) -> Folio | None:
    """Make the page at ``address`` present as wanted; its folio, or None for the page of zeroes. EFAULT on SIGBUS."""
    for _ in range(PATIENCE):
        entry = present(vma, address)
        if entry is not None and _follows(vma, entry, write, force):
            if not (unshare and _must_unshare(vma, entry, write)):
                return entry.folio
            answer = await handle_mm_fault(vma, address, False, unshare=True)
        else:
            answer = await handle_mm_fault(vma, address, write)
        if answer is not VmaFault.NOPAGE:
            break
    raise KernelError("EFAULT", f"no page is available at {address:#x} of {vma}")


def present(vma: Vma, address: int) -> Pte | None:
    """The present entry at an address, also inside a huge page."""
    huge = vma.vm_mm.page_table.pmd(address)
    if isinstance(huge, HugePmd):
        return Pte(huge.folio, 0, -1, huge.write, huge.dirty, huge.exclusive)
    entry = vma.vm_mm.page_table.get(address)
    return entry if isinstance(entry, Pte) else None


def _follows(vma: Vma, entry: Pte, write: bool, force: bool) -> bool:
    """``can_follow_write_pte``."""
    if not write or entry.write:
        return True
    forced = force and vma.vm_flags & (VM_SHARED | VM_MAYWRITE | VM_WRITE) == VM_MAYWRITE
    return bool(forced) and entry.folio is not None and entry.folio.anon and entry.exclusive


def _must_unshare(vma: Vma, entry: Pte, write: bool) -> bool:
    """``gup_must_unshare``, for long-term pins that only read."""
    if write:
        return False
    if entry.folio is None or not entry.folio.anon:
        return is_cow_mapping(vma.vm_flags)
    return not entry.exclusive


async def populate_vma_page_range(vma: Vma, start: int, end: int) -> None:
    """Fault [start, end) of one VMA in: writing where it is private and writable, to break COW. EFAULT if it cannot."""
    if not vma.vm_flags & VM_ACCESS_FLAGS:
        raise KernelError("EFAULT", f"{vma} is not accessible")
    if vma.vm_flags & VM_LOCKONFAULT:
        return
    write = vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE
    if vma_refuses(vma, write, force=not write):
        raise KernelError("EFAULT", f"{vma} has no struct pages to pin")
    for address in range(start, end, PAGE_SIZE):
        await faultin(vma, address, write, force=not write)


async def mm_populate(mm: AddressSpace, start: int, end: int, *, ignore_errors: bool = False) -> None:
    """``__mm_populate``: fault in what is possible; device memory is left out. EFAULT at the first that cannot.

    With ``ignore_errors`` it goes on with the next VMA.
    """
    async with mm.mmap_lock.read():
        at = start
        while at < end:
            vma = mm.find_vma_intersection(at, end)
            if vma is None:
                return
            low, at = max(at, vma.vm_start), min(end, vma.vm_end)
            if vma.vm_flags & (VM_IO | VM_PFNMAP):
                continue
            await step(f"populate {low:#x}")
            try:
                await populate_vma_page_range(vma, low, at)
            except KernelError:
                if not ignore_errors:
                    raise


async def get_user_pages(
    mm: AddressSpace, start: int, nr: int, write: bool, *, pin: bool = False, longterm: bool = False
) -> list[Folio]:
    """The folios behind ``nr`` pages from ``start``, each with a reference taken (a pin if ``pin``).

    Fewer if a later page cannot be pinned; EFAULT if the first cannot: a hole, device memory, access not allowed.
    """
    got: list[Folio] = []
    async with mm.mmap_lock.read():
        for number in range(nr):
            address = start + (number << PAGE_SHIFT)
            await step(f"get_user_pages {address:#x}")
            try:
                got.append(await _one_page(mm, address, write, pin, longterm))
            except KernelError:
                if got:
                    return got
                raise
    return got


async def _one_page(mm: AddressSpace, address: int, write: bool, pin: bool, longterm: bool) -> Folio:
    vma = mm.vma_lookup(address)
    if vma is None or vma_refuses(vma, write):
        raise KernelError("EFAULT", f"get_user_pages cannot have {address:#x}: {vma or 'nothing is mapped there'}")
    folio = await faultin(vma, address, write, unshare=pin and longterm)
    if folio is None:
        folio = Folio(0)  # the page of zeroes: its references are not counted
    if pin:
        folio.pins += 1
    else:
        folio.refs += 1
    return folio


def put_user_pages(folios: list[Folio], *, pin: bool = False) -> None:
    """Give references back (``unpin_user_pages``, ``put_page``)."""
    for folio in folios:
        if pin:
            folio.pins -= 1
        else:
            folio.refs -= 1
