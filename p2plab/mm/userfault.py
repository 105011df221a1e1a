"""A fault that userfaultfd takes: the thread sleeps until it has been served (fs/userfaultfd.c, handle_userfault)."""

from __future__ import annotations

from p2plab.core.actors import wait_event
from p2plab.mm.flags import VM_UFFD, VM_UFFD_MISSING, VM_UFFD_WP
from p2plab.mm.folio import HugePmd, Pte
from p2plab.mm.vma import Vma


def userfault_pending(vma: Vma, address: int, write: bool) -> bool:
    """Whether a fault is userfaultfd's: nothing is there (nor in the file), or write protection is on."""
    if not vma.vm_flags & VM_UFFD:
        return False
    table = vma.vm_mm.page_table
    if isinstance(table.pmd(address), HugePmd):
        return False
    entry = table.get(address)
    if entry is None:
        cached = vma.vm_file is not None and vma.pgoff_of(address) in vma.vm_file.f_mapping.pages
        return bool(vma.vm_flags & VM_UFFD_MISSING) and not cached
    return write and bool(vma.vm_flags & VM_UFFD_WP) and isinstance(entry, Pte) and entry.uffd_wp


async def handle_userfault(vma: Vma, address: int, write: bool) -> bool:
    """Sleep, with no lock held, while the fault is userfaultfd's; False if it is an ordinary one."""
    if not userfault_pending(vma, address, write):
        return False
    mm = vma.vm_mm

    def served() -> bool:
        here = mm.vma_lookup(address)
        return here is None or not userfault_pending(here, address, write)

    await wait_event(served, f"userfault at {address:#x}")
    return True
