"""``struct vm_area_struct`` and ``struct vm_operations_struct``.

A VMA is one mutable object, as in the kernel: a split shortens it in place, so a pointer that was kept sees the new
edges, and after munmap the pointer is dead (``freed``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2plab.core.tracked import Tracked
from p2plab.mm.flags import PAGE_SHIFT, VM_SHARED, VM_SOFTDIRTY, VM_WRITE, perms
from p2plab.mm.log import span
from p2plab.mm.pkeys import entry_key

if TYPE_CHECKING:
    from p2plab.mm.file import File
    from p2plab.mm.rmap import AnonVma
    from p2plab.mm.space import AddressSpace


class VmaFault(enum.Enum):
    """``vm_fault_t``: what a fault handler answers."""

    NOPAGE = "the entry is in place"
    SIGBUS = "nothing can be mapped there"
    SIGSEGV = "access not allowed"
    OOM = "no memory"


@dataclass(frozen=True, slots=True)
class VmFaultInfo:
    """``struct vm_fault``: the VMA, the page's address in bytes, its offset in the file in pages, and the access."""

    vma: Vma
    address: int
    pgoff: int
    write: bool


class VmOperations(Tracked):
    """What a driver does for its VMAs. Override what you need; what is not overridden is a NULL pointer.

    ``p2p_map`` and ``p2p_unmap`` are the two callbacks of the proposal [20190129174728.6430-4-jglisse@redhat.com].
    """

    async def open(self, vma: Vma) -> None:
        """A VMA was copied: split, moved by mremap, or forked."""

    async def close(self, vma: Vma) -> None:
        """A VMA is about to be freed."""

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """Put an entry in place for a page that has none."""
        raise NotImplementedError

    async def p2p_map(self, vma: Vma, device: Any, start: int, end: int, pa: list[int], write: bool) -> int:
        """Let ``device`` reach bytes [start, end) of the VMA: fill ``pa``, one address per page. 0 or ``-errno``."""
        raise NotImplementedError

    async def p2p_unmap(self, vma: Vma, device: Any, start: int, end: int, pa: list[int]) -> int:
        """Take back what ``p2p_map`` gave. 0 or ``-errno``."""
        raise NotImplementedError

    def has(self, callback: str) -> bool:
        """Whether the driver set this callback."""
        return getattr(type(self), callback) is not getattr(VmOperations, callback)


class Vma(Tracked):
    """A stretch of an address space: bytes [vm_start, vm_end), ``vm_pgoff`` pages into ``vm_file``."""

    def __init__(
        self, mm: AddressSpace, start: int, end: int, pgoff: int, vm_flags: int, file: File | None = None
    ) -> None:
        self.vm_mm = mm
        self.vm_start = start
        self.vm_end = end
        self.vm_pgoff = pgoff
        self.vm_flags = vm_flags
        self.vm_file = file
        self.vm_ops: VmOperations | None = None
        self.vm_private_data: Any = None
        self.anon_vma: AnonVma | None = None
        self.anon_vma_chain: list[AnonVma] = []
        self.vm_policy: int | None = None  #: the NUMA node it is bound to
        self.anon_name = ""  #: the name given by PR_SET_VMA_ANON_NAME
        self.lock_readers: list[str] = []  #: actors that fault under the per-VMA lock
        self.write_locked = False
        self.freed = False

    def __str__(self) -> str:
        name = self.vm_file.name if self.vm_file else "anonymous"
        return f"{span(self.vm_start, self.vm_end)} {perms(self.vm_flags)} {name}"

    @property
    def pages(self) -> int:
        """``vma_pages``: its length in pages."""
        return (self.vm_end - self.vm_start) >> PAGE_SHIFT

    @property
    def is_anonymous(self) -> bool:
        """``vma_is_anonymous``: private memory without a file."""
        return self.vm_file is None

    def pgoff_of(self, address: int) -> int:
        """``linear_page_index``: the page offset at an address in bytes."""
        return self.vm_pgoff + ((address - self.vm_start) >> PAGE_SHIFT)

    def prot_writable(self) -> bool:
        """Whether ``vm_page_prot`` lets a new entry be writable at once (mm/mmap.c, vma_set_page_prot).

        Shared and writable memory, unless writes have to be noticed because soft-dirty tracking was switched on.
        """
        return self.vm_flags & (VM_WRITE | VM_SHARED | VM_SOFTDIRTY) == VM_WRITE | VM_SHARED | VM_SOFTDIRTY

    @property
    def pkey(self) -> int:
        """The protection key that its entries get; ``NO_ACCESS`` (PROT_NONE)."""
        return entry_key(self.vm_flags)

    def has_op(self, callback: str) -> bool:
        """Whether its driver set this callback of ``vm_ops``."""
        return self.vm_ops is not None and self.vm_ops.has(callback)
