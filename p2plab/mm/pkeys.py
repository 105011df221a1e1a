"""Protection keys (arch/x86/mm/pkeys.c): four bits of each entry, and one register that says what each key allows.

Simplified: in hardware each thread has its own register (PKRU); here all threads of an address space share one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2plab.core.errors import KernelError
from p2plab.mm.flags import PROT_EXEC, VM_ACCESS_FLAGS, VM_EXEC, VM_PKEY_SHIFT
from p2plab.mm.folio import NO_ACCESS

if TYPE_CHECKING:
    from p2plab.mm.space import AddressSpace
    from p2plab.mm.vma import Vma

PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE = 1, 2
#: keys 1 to 15 can be allocated; 0 is the default and allows everything
KEYS = range(1, 16)


def pkey_alloc(mm: AddressSpace, rights: int = 0) -> int:
    """``pkey_alloc(2)``: the lowest free key, with ``rights`` (``PKEY_DISABLE_*``) set for it. ENOSPC, EINVAL."""
    if rights & ~(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE):
        raise KernelError("EINVAL", f"{rights:#x} are no rights of a protection key")
    for key in KEYS:
        if key not in mm.pkeys:
            mm.pkeys[key] = rights
            return key
    raise KernelError("ENOSPC", "all 15 protection keys are in use")


def pkey_set(mm: AddressSpace, key: int, rights: int) -> None:
    """Write the register (WRPKRU, no system call): no event, entries stay as they are."""
    mm.pkeys[key] = rights


def key_denies(mm: AddressSpace, key: int, write: bool) -> bool:
    """Whether an entry's key forbids an access to data. Keys that were not allocated deny all."""
    if key <= 0:
        return key == NO_ACCESS
    rights = mm.pkeys.get(key, PKEY_DISABLE_ACCESS)
    return bool(rights & (PKEY_DISABLE_ACCESS | (PKEY_DISABLE_WRITE if write else 0)))


def execute_only_pkey(mm: AddressSpace) -> int:
    """The key of memory that may only be executed: allocated when it is first needed; 0 if there is none left."""
    if mm.execute_only_pkey is None:
        try:
            mm.execute_only_pkey = pkey_alloc(mm, PKEY_DISABLE_ACCESS)
        except KernelError:
            return 0
    return mm.execute_only_pkey


def override_mprotect_pkey(vma: Vma, prot: int, pkey: int) -> int:
    """``arch_override_mprotect_pkey``: the key that mprotect gives; ``pkey`` -1 is plain mprotect."""
    if pkey != -1:
        return pkey
    mm, key = vma.vm_mm, vma_pkey(vma.vm_flags)
    if prot == PROT_EXEC:
        return execute_only_pkey(mm) or key
    exec_only = vma.vm_flags & VM_ACCESS_FLAGS == VM_EXEC and key == mm.execute_only_pkey
    return 0 if exec_only else key


def vma_pkey(vm_flags: int) -> int:
    """The key in a VMA's flags."""
    return vm_flags >> VM_PKEY_SHIFT & 0xF


def entry_key(vm_flags: int) -> int:
    """What ``vm_page_prot`` gives an entry: the VMA's key, or ``NO_ACCESS`` for PROT_NONE."""
    return vma_pkey(vm_flags) if vm_flags & VM_ACCESS_FLAGS else NO_ACCESS
