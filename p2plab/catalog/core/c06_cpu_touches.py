"""C6: the CPU reads the object; the next GPU submit takes the CPU's entries out, and with them the NIC's mapping."""

from p2plab.catalog.bench import Bench, Plan, job
from p2plab.catalog.case import DMA, PAGES, case
from p2plab.catalog.rig import BASE
from p2plab.drivers.gpu import Gpu
from p2plab.mm import VmaFault, VmFaultInfo, vmf_insert_pfn
from p2plab.p2p.aperture import PAGE_SIZE


class FaultsIn(Gpu):
    """A GPU that lets the CPU in, page by page, until the next submit."""

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """Insert the page that the CPU wants."""
        vmf_insert_pfn(vmf.vma, vmf.address, (1 << 24) + vmf.pgoff)
        return VmaFault.NOPAGE


class Submits(Bench):
    """The usual life of an object: the CPU looks, the GPU works."""

    @job("app")
    async def touch(self) -> None:
        """The CPU reads A, then asks the GPU to go on."""
        await self.mm.touch(BASE, BASE + PAGE_SIZE, False)
        self.driver.post("submit")

    @job("gpu")
    async def submit(self) -> None:
        """Before the GPU runs again, the CPU's entries are taken out: a CLEAR, for all listeners."""
        if self.mm.page_table.get(BASE) is not None:
            await self.gpu.invalidate(self.memory.objects["A"])


CASE = case(
    "C6",
    "cpu-touches",
    "a CPU access costs the NIC its mapping",
    rule="needless-invalidation",
    about="""The CPU reads one page of the object, and the exporter faults it in. Before the GPU's next job the driver takes
    the CPU's entries out, which raises a CLEAR. The NIC hears it too and maps again what has not moved.""",
    sees="No promise broken: the price of a CPU access for those who use the memory peer to peer. In the twin the CPU "
    "does not touch.",
    broken=Plan(exporter=FaultsIn, app=("mmap", "touch"), gpu=()),
    good=Plan(exporter=FaultsIn, gpu=("submit",)),
    story="app*7 nic nic_dma*2 app gpu ...",
    bench=Submits,
    knobs=(PAGES, DMA),
)
