"""F17: the process makes its memory read-only, and with no CPU page-table entry there is no event."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import IOMMU, PAGES, case
from p2plab.catalog.rig import BASE
from p2plab.core.events import emit
from p2plab.drivers.gpu import Gpu
from p2plab.mm import PROT_READ, Vma, remap_pfn_range
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import ProtectionChanged
from p2plab.p2p.exporter import BufferFile


class EagerFile(BufferFile):
    """Maps everything for the CPU too, as io_remap_pfn_range does: now mprotect has entries to change."""

    async def mmap(self, vma: Vma) -> None:
        """As any exporter, and page-table entries for the CPU."""
        await super().mmap(vma)
        remap_pfn_range(vma, 1 << 24)


class EagerGpu(Gpu):
    """A GPU whose mmap populates the CPU's page table."""

    def open_file(self, name: str) -> BufferFile:
        """The same file, eager."""
        if name not in self.files:
            self.files[name] = EagerFile(self, self.memory.objects[name])
        return self.files[name]


class MakesReadOnly(Bench):
    """The process calls mprotect, and says when that has returned."""

    @job("app")
    async def mprotect(self) -> None:
        """The process makes A read-only."""
        length = self.plan.pages * PAGE_SIZE
        await self.mm.mprotect(BASE, length, PROT_READ)
        emit(ProtectionChanged(self.mm.name, BASE, BASE + length, False))


CASE = case(
    "F17",
    "mprotect-is-silent",
    "mprotect of a device mapping that the CPU never touched tells nobody",
    rule="read-only-vma",
    about="""The process makes its mapping read-only. The exporter has mapped nothing for the CPU, so mprotect finds no
    entry to change and raises no event. The NIC goes on writing.""",
    sees="A silent hole of the design: everybody keeps to the rules. The twin is an exporter that populates the CPU's "
    "page table in mmap: there the event comes, and the exporter refuses to lend for writing.",
    broken=Plan(app=("mmap", "mprotect"), gpu=()),
    good=Plan(exporter=EagerGpu, app=("mmap", "mprotect"), gpu=()),
    story="app*7 nic nic_dma*1 app ...",
    bench=MakesReadOnly,
    takes=("importer",),  # an exporter that does not populate keeps to the rules, too
    knobs=(PAGES, IOMMU),
)
