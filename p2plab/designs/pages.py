"""``struct page`` for device memory: a pgmap pool of one BAR, and the file through which a process maps it.

Source: drivers/pci/p2pdma.c of Linux 6.12 (p2pmem sysfs file, v6.2). Simplified: the pool hands out all of A at once; the
pages are inserted when they are touched and not in ``mmap``, so that a vma has to be counted like a reference; a driver
that can move them waits in its fault handler.
"""

from __future__ import annotations

from p2plab.core.actors import wait_event
from p2plab.core.errors import KernelError
from p2plab.designs.memory import PAGES, Holder
from p2plab.mm import VM_DEVICE, VM_SHARED, VM_WRITE, File, Vma, VmaFault, VmFaultInfo, VmOperations, vmf_insert_pfn
from p2plab.mm.folio import Folio, Pte
from p2plab.p2p.memory import BufferObject

#: The first number of page frames without a struct page in this file (illustrative).
FIRST_PFN = 1 << 24


class PageOps(VmOperations):
    """``vm_ops`` of the file. The views look for the aperture and the object here, as in an exporter."""

    def __init__(self, holder: Holder, struct_pages: bool) -> None:
        self.name = holder.name
        self.holder = holder
        self.aperture = holder.aperture
        self.struct_pages = struct_pages
        self.folios: list[Folio] = [Folio(index) for index in range(PAGES)] if struct_pages else []

    def object_behind(self, _vma: object) -> BufferObject:
        """A, in any vma of this file."""
        return self.holder.buffer

    def frame_behind(self, vma: Vma, address: int) -> str:
        """``A[1]``: what a virtual address shows."""
        return self.holder.buffer.frame_name(vma.pgoff_of(address))

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """Insert the page, or the bare frame; wait while the object is being moved. SIGBUS where there is none."""
        thing = self.holder.buffer
        await wait_event(lambda: not thing.moving, f"{thing.name} has settled")
        if self.holder.gone or self.holder.full or vmf.pgoff >= PAGES:
            return VmaFault.SIGBUS
        if not self.struct_pages:
            vmf_insert_pfn(vmf.vma, vmf.address, FIRST_PFN + vmf.pgoff)
            return VmaFault.NOPAGE
        folio = self.folios[vmf.pgoff]
        if vmf.vma.vm_mm.page_table.get(vmf.address) is None:
            folio.mapcount += 1
            vmf.vma.vm_mm.page_table.set(vmf.address, Pte(folio, write=bool(vmf.vma.vm_flags & VM_WRITE)))
        return VmaFault.NOPAGE

    def users(self) -> int:
        """References on all pages: mappings and pins."""
        return sum(folio.mapcount + folio.refs + folio.pins for folio in self.folios)


class PgmapFile(File):
    """``p2pmem/allocate``: only shared mappings from offset 0 (-EINVAL), -ENODEV once removed, -ENOMEM if empty."""

    has_pages = False
    can_punch = False

    def __init__(self, holder: Holder, struct_pages: bool = True) -> None:
        super().__init__("gpu:A", PAGES)
        self.ops = PageOps(holder, struct_pages)

    async def mmap(self, vma: Vma) -> None:
        """``p2pmem_alloc_mmap``; memory without struct page is marked as a device's (VM_IO, VM_PFNMAP)."""
        if not vma.vm_flags & VM_SHARED or vma.vm_pgoff:
            raise KernelError("EINVAL", "only a shared mapping from offset 0 is possible")
        if self.ops.holder.gone:
            raise KernelError("ENODEV", "the device was removed")
        if self.ops.holder.full:
            raise KernelError("ENOMEM", "the pool is empty")
        vma.vm_ops = self.ops
        vma.vm_private_data = self.ops.holder.buffer
        if not self.ops.struct_pages:
            vma.vm_flags |= VM_DEVICE
