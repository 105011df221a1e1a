"""Files, their page cache, and which VMAs map them (``struct file``, ``struct address_space``).

The kernel calls the second ``address_space``; here it is :class:`Mapping`, because :class:`~p2plab.mm.space.AddressSpace`
is a process's. Offsets and sizes are in pages.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from p2plab.core.errors import KernelError
from p2plab.core.tracked import Tracked
from p2plab.mm.flags import PAGE_SHIFT, PMD_SIZE, PTRS_PER_PTE, VM_DEVICE, VM_DONTEXPAND, VM_HUGETLB
from p2plab.mm.folio import Folio, Pte
from p2plab.mm.locks import RmapLock
from p2plab.mm.vma import VmaFault, VmFaultInfo, VmOperations

if TYPE_CHECKING:
    from p2plab.mm.vma import Vma


class Mapping(Tracked):
    """The pages of one file, and every VMA that maps it, in the order of the interval tree ``i_mmap``."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.i_size = size
        self.pages: dict[int, Folio] = {}
        self.hugetlb = False  #: whether its pages are huge pages of hugetlbfs
        self.i_mmap: list[Vma] = []
        self.i_mmap_rwsem = RmapLock(f"{name}.i_mmap_rwsem")

    def link(self, vma: Vma, after: Vma | None = None) -> None:
        """Insert by ``vm_pgoff``; behind equal ones, or right behind ``after`` (fork)."""
        if after is not None:
            self.i_mmap.insert(self._position(after) + 1, vma)
        else:
            bisect.insort_right(self.i_mmap, vma, key=_pgoff)

    def unlink(self, vma: Vma) -> None:
        """Take out. Call it before ``vm_pgoff`` changes."""
        del self.i_mmap[self._position(vma)]

    def _position(self, vma: Vma) -> int:
        at = bisect.bisect_left(self.i_mmap, vma.vm_pgoff, key=_pgoff)
        while self.i_mmap[at] is not vma:
            at += 1
        return at

    def vmas_of(self, first: int, last: int) -> list[Vma]:
        """The VMAs that map any page of [first, last], in order."""
        end = bisect.bisect_right(self.i_mmap, last, key=_pgoff)
        return [vma for vma in self.i_mmap[:end] if vma.vm_pgoff + vma.pages > first]

    def page(self, index: int) -> Folio | None:
        """The page at an offset, brought into the cache if need be; None beyond the end of the file."""
        if index >= self.i_size:
            return None
        folio = self.pages.get(index)
        if folio is None:
            folio = self.pages[index] = Folio(index, mapping=self)
        return folio


def _pgoff(vma: Vma) -> int:
    return vma.vm_pgoff


class File(Tracked):
    """An open file of memory (tmpfs, or shared anonymous memory). Drivers override :meth:`mmap`."""

    #: Whether pages come from the page cache; False where a driver maps bare page frames.
    has_pages = True
    #: Whether fallocate can punch holes
    can_punch = True

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.f_mapping = Mapping(name, size)

    async def mmap(self, vma: Vma) -> None:
        """``f_op->mmap``: set ``vm_flags`` and ``vm_ops``, or raise KernelError. The VMA is not in the tree yet."""


class HugetlbFile(File):
    """A file of hugetlbfs with pages of 2 MiB; also what MAP_HUGETLB maps. Reservations are not modelled."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self.f_mapping.hugetlb = True

    async def mmap(self, vma: Vma) -> None:
        """Mark the VMA. EINVAL unless place and offset are aligned to 2 MiB."""
        if vma.vm_start % PMD_SIZE or vma.vm_end % PMD_SIZE or vma.vm_pgoff % PTRS_PER_PTE:
            raise KernelError("EINVAL", f"{vma} is not aligned to huge pages")
        vma.vm_flags |= VM_HUGETLB | VM_DONTEXPAND


class PfnOperations(VmOperations):
    """``vm_ops`` of a driver that inserts one page frame per fault (``vmf_insert_pfn``)."""

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """Insert the frame at ``vm_pgoff``; writable if the VMA says so."""
        assert isinstance(vmf.vma.vm_file, PfnFile)
        vmf_insert_pfn(vmf.vma, vmf.address, vmf.vma.vm_file.first_pfn + vmf.pgoff)
        return VmaFault.NOPAGE


class PfnFile(File):
    """A device's memory: page frames from ``first_pfn``, mapped one by one on fault, or all in ``mmap`` (``eager``)."""

    has_pages = False
    can_punch = False

    def __init__(
        self, name: str, size: int, *, eager: bool = False, vm_flags: int = 0, first_pfn: int = 1 << 24
    ) -> None:
        super().__init__(name, size)
        self.eager = eager
        self.vm_flags = VM_DEVICE | vm_flags
        self.first_pfn = first_pfn
        self.vm_ops = VmOperations() if eager else PfnOperations()

    async def mmap(self, vma: Vma) -> None:
        """Mark the VMA as device memory, and map it all if eager (``io_remap_pfn_range``)."""
        vma.vm_flags |= self.vm_flags
        vma.vm_ops = self.vm_ops
        if self.eager:
            remap_pfn_range(vma, self.first_pfn + vma.vm_pgoff)


def vmf_insert_pfn(vma: Vma, address: int, pfn: int) -> None:
    """Map one page frame at ``address`` (bytes, page aligned), if nothing is mapped there (mm/memory.c)."""
    table = vma.vm_mm.page_table
    if table.get(address) is None:
        table.set(address, Pte(pfn=pfn, write=vma.prot_writable(), pkey=vma.pkey))


def remap_pfn_range(vma: Vma, pfn: int) -> None:
    """Map a whole VMA to consecutive page frames at once (mm/memory.c)."""
    for number in range(vma.pages):
        vmf_insert_pfn(vma, vma.vm_start + (number << PAGE_SHIFT), pfn + number)


def huge_fits(vma: Vma, address: int) -> bool:
    """Whether the aligned 2 MiB around ``address`` lie inside the VMA (``thp_vma_suitable_order``)."""
    start = address & ~(PMD_SIZE - 1)
    return vma.vm_start <= start and start + PMD_SIZE <= vma.vm_end
