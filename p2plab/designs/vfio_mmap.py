"""A VFIO BAR mapped into a process through its dma-buf, and revoked for a time or for good (posted April to June 2026).

Source: the series of Matt Evans, v1 20260416131815.2729131-1-mattev@meta.com, v2 20260527102319.100128-1-mattev@meta.com; the
patch with three states is 20260527102319.100128-9-mattev@meta.com (8/9 of v2). Not merged; it is on top of 7.3. A device
vma, an importer, and an exporter that takes both back: the question of 2019.

The fault handler takes the reservation lock, reads whether the buffer is revoked, lets go, takes ``memory_lock`` for
reading and reads again before it inserts the page. A revoke holds ``memory_lock`` for writing, waits for importers as in
7.3, and then takes the CPU's entries away with ``unmap_mapping_range``. Open in the thread, and knobs here: whether
importers are called on un-revoke (v2: yes, as in 7.3; v3, after remarks of June: no), and how long a revoke lasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Knob, Role
from p2plab.designs import sources, vfio_dma_buf
from p2plab.designs.cases import design_case
from p2plab.designs.design import KERNEL, Answer, Fate
from p2plab.designs.dma_buf import Attachment, DmaBuf
from p2plab.designs.dma_buf_dynamic import DMA_BUF_ROLES
from p2plab.designs.importers import DmaBufImporter, Keeps, NeverUnmaps, NoZap, Pinning, Revocable, UnmapsLater
from p2plab.designs.memory import END, PAGES, START
from p2plab.designs.pages import FIRST_PFN
from p2plab.designs.vfio_dma_buf import VfioDmaBuf, VfioPci
from p2plab.mm import (
    MAP_SHARED,
    VM_DEVICE,
    VM_SHARED,
    File,
    Vma,
    VmaFault,
    VmFaultInfo,
    VmOperations,
    unmap_mapping_range,
    vmf_insert_pfn,
)
from p2plab.mm.touch import Signal, touch_page
from p2plab.p2p.events import CpuMapped, CpuZapped


class BarOps(VmOperations):
    """``vfio_pci_mmap_ops`` of a vma of the dma-buf."""

    def __init__(self, vdev: VfioMmapPci) -> None:
        self.name = vdev.name
        self.vdev = vdev
        self.aperture = vdev.aperture

    def object_behind(self, _vma: object) -> Any:
        """A, in any vma of this file."""
        return self.vdev.buffer

    def frame_behind(self, vma: Vma, address: int) -> str:
        """``A[1]``: what a virtual address shows."""
        return str(self.vdev.buffer.frame_name(vma.pgoff_of(address)))

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """``vfio_pci_mmap_huge_fault``, as its exporter does it."""
        return await self.vdev.fault(vmf)


class BarFile(File):
    """The dma-buf's file, mapped by a process: ``vfio_pci_dma_buf_mmap``. -ENODEV while revoked, -EINVAL unless shared."""

    has_pages = False
    can_punch = False

    def __init__(self, vdev: VfioMmapPci) -> None:
        super().__init__("gpu:A", PAGES)
        self.ops = BarOps(vdev)

    async def mmap(self, vma: Vma) -> None:
        """Nothing is mapped yet."""
        if self.ops.vdev.revoked:
            raise KernelError("ENODEV", "the buffer is revoked")
        if not vma.vm_flags & VM_SHARED:
            raise KernelError("EINVAL", "only a shared mapping is possible")
        vma.vm_flags |= VM_DEVICE
        vma.vm_ops = self.ops


class VfioMmapPci(VfioPci):
    """With the series: three states (OK, revoked for a time, for good), and the CPU's entries."""

    permanent = False
    tells_on_unrevoke = True
    file: BarFile
    buf: DmaBuf

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """Under the reservation lock: not revoked, so the device is there. Under ``memory_lock``: still not revoked."""
        async with self.buf.resv.lock:
            if self.revoked:
                return VmaFault.SIGBUS
        async with self.memory_lock.read():
            if self.revoked:
                return VmaFault.SIGBUS
            return self.insert(vmf)

    def insert(self, vmf: VmFaultInfo) -> VmaFault:
        """Within the running step: the page of the BAR is in the process's table."""
        vmf_insert_pfn(vmf.vma, vmf.address, FIRST_PFN + vmf.pgoff)
        emit(CpuMapped(self.name, "A", vmf.address))
        return VmaFault.NOPAGE

    async def zap_cpu(self) -> None:
        """``unmap_mapping_range`` on the dma-buf's file."""
        await unmap_mapping_range(self.file.f_mapping, 0, PAGES - 1)
        emit(CpuZapped(self.name, "A"))

    async def unrevoke(self, buf: DmaBuf) -> None:
        """Does nothing if revoked for good; the knob decides whether importers are called."""
        if self.permanent:
            return
        if self.tells_on_unrevoke:
            await super().unrevoke(buf)
            return
        async with buf.resv.lock:
            self._restored()

    async def dma_buf_revoke(self, buf: DmaBuf) -> None:
        """``vfio_pci_dma_buf_revoke``: for good. If already revoked for a time, only mark it, without waiting again."""
        async with self.memory_lock.write():
            self.permanent = True
            await self.dma_buf_move(buf, True)


class FaultsOnce(VfioMmapPci):
    """Its fault handler does not read again under ``memory_lock``."""

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """A revoke may come between the two locks."""
        async with self.buf.resv.lock:
            if self.revoked:
                return VmaFault.SIGBUS
        async with self.memory_lock.read():
            return self.insert(vmf)


class FaultsInside(VfioMmapPci):
    """Its fault handler takes ``memory_lock`` inside of the reservation lock; a revoke takes them in the opposite order."""

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        """Nothing can come between, but they deadlock."""
        async with self.buf.resv.lock, self.memory_lock.read():
            return VmaFault.SIGBUS if self.revoked else self.insert(vmf)


class NoZapCpu(VfioMmapPci):
    """Revokes importers, and leaves the CPU's entries."""

    async def zap_cpu(self) -> None:
        """Does nothing."""


class TellsNobody(VfioMmapPci):
    """Revokes without notifying the importers."""

    tells = False


class RemapsWhenTold(DmaBufImporter):
    """Takes a call with nothing mapped for "usable again": what the thread of June 2026 warns of."""

    async def invalidate_mappings(self, attachment: Attachment) -> None:
        """The first call unmaps; the next one is read as the un-revoke."""
        if self.held:
            await self.forget()
            attachment.buf.unmap_attachment(attachment)
        else:
            self.map_again()


class VfioMmap(VfioDmaBuf):
    """The step list: the process maps the buffer, touches it before each transfer, and the exporter takes both back."""

    roles = DMA_BUF_ROLES | {"exporter": Role({"VFIO mmap exporter": VfioMmapPci}, knob="exporter")}
    knobs = (
        Knob("revoke", "temporary", "how long what is wanted back is revoked", choices=("temporary", "permanent")),
        Knob(
            "unrevoke",
            "tells",
            "whether importers are called on un-revoke (v2), or not (v3)",
            choices=("tells", "silent"),
        ),
    )
    importers: ClassVar[dict[str, type[Any]]] = {
        "good": DmaBufImporter,
        "revocable": Revocable,
        "unmaps-later": UnmapsLater,
        "remaps-when-told": RemapsWhenTold,
        "cannot-stop": Pinning,
        "keeps": Keeps,
        "broken": NoZap,
        "never-unmaps": NeverUnmaps,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {
        "good": VfioMmapPci,
        "broken": TellsNobody,
        "faults-once": FaultsOnce,
        "faults-inside": FaultsInside,
        "no-zap": NoZapCpu,
    }

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """The file, and the knobs of the open points."""
        super().prepare(settings)
        self.for_good = str(settings["revoke"]) == "permanent"
        self.gpu.tells_on_unrevoke = str(settings["unrevoke"]) == "tells"
        self.gpu.buf = self.buf
        self.gpu.file = BarFile(self.gpu)

    async def set_up(self) -> None:
        """The process maps the dma-buf; the importer attaches."""
        await self.mm.mmap(START, END - START, flags=MAP_SHARED, file=self.gpu.file)
        await super().set_up()

    async def dma(self) -> None:
        """The CPU rings the doorbell in the BAR, then the transfer. -EFAULT stands for SIGBUS."""
        try:
            await touch_page(self.mm, START, True)
        except Signal as signal:
            raise KernelError("EFAULT", f"{signal.name}: the buffer is revoked") from None
        await super().dma()

    async def take_back(self, first: int, last: int) -> None:
        """A reset, or the ioctl that revokes for good."""
        if self.for_good:
            await self.gpu.dma_buf_revoke(self.buf)
        else:
            await super().take_back(first, last)

    async def unmap(self) -> None:
        """The importer detaches, the process unmaps."""
        await super().unmap()
        await self.mm.munmap(START, END - START)


_BELOW = vfio_dma_buf.DESIGN
DESIGN = replace(
    _BELOW,
    name="vfio-mmap",
    title="VFIO BAR mapped through its dma-buf",
    since="April to June 2026",
    kernels=("7.3",),
    posted=sources.EVANS,
    play=VfioMmap,
    source=f"{sources.EVANS}; {sources.EVANS_PERMANENT}",
    simplified="as vfio-dma-buf; the scene holds the device's registration; -EFAULT of the transfer stands for SIGBUS.",
    rules=(*_BELOW.rules, "cpu-silent-after-revoke"),
    good=("good", "revocable", "unmaps-later"),
    faulty={
        "importer=broken": "no-stale-dma",
        "importer=never-unmaps": "bounded-unmap",
        "importer=remaps-when-told unrevoke=silent": "no-deadlock",
        "exporter=broken": "silent-after-revoke",
        "exporter=no-zap trouble=later": "cpu-silent-after-revoke",
        "exporter=faults-once revoke=permanent": "cpu-silent-after-revoke",
        "exporter=faults-inside": "lock-order",
    },
    runs={"for-good": {"revoke": "permanent"}},
    answers={
        **_BELOW.answers,
        "exporter object": Answer("dma_buf over BAR ranges, and its file in a vma", sources.EVANS_MMAP),
        "importer handle": Answer("attachment; a vma for the CPU", sources.EVANS_MMAP),
        "exporter may refuse": Answer("attach, map, mmap", sources.EVANS_PERMANENT),
        "move while mapped": Answer("no move; revoke, for a time or for good", sources.EVANS_PERMANENT),
        "lock around callback": Answer("memory_lock + dma_resv", sources.EVANS_PERMANENT),
        "where failure shows": Answer(
            "-EOPNOTSUPP, -ENODEV; SIGBUS for the CPU",
            f"{sources.VFIO_ATTACH}; {sources.EVANS_MMAP}",
            "and -EINVAL at map where the importer is out of reach",
        ),
        "predictability promise": Answer(
            "revoked for good: none; for a time: restored after reset", sources.EVANS_PERMANENT
        ),
        "lifetime": Answer("file ref + three states + kref of the mappings", sources.EVANS_PERMANENT),
    },
    fates={
        **_BELOW.fates,
        KERNEL: Fate("move", "an attachment needs no process", sources.VFIO_MAP),
    },
)

CASES = (
    design_case(
        "D3",
        "faults-inside",
        DESIGN,
        "a fault handler takes memory_lock inside of the reservation lock",
        rule="lock-order",
        about="The fault of a mapped VFIO BAR has to know whether the buffer is revoked. Taking memory_lock while the "
        "reservation lock is held turns the order of the revoke round. The twin lets the first lock go, and reads again "
        "under the second.",
        sees="The fault has the reservation lock and wants memory_lock; the revoke has that and wants the reservation lock.",
        broken={"exporter": "faults-inside"},
        story="app ... gpu nic_dma gpu nic ...",
    ),
)
