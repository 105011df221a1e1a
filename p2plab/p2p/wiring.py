"""Which code sets the two callbacks, and which calls them: the question that opened the review, as different wirings.

Logan Gunthorpe, 29 January 2019 (<ae928aa5-a659-74d5-9734-15dfefafd3ea@deltatee.com>): nothing sets them, and only HMM calls
them; he would have expected core VMA code to call and HMM to set. Jérôme Glisse's answer
(<20190129191120.GE3176@redhat.com>): the exporter's driver sets them in its ``mmap``. Jason Gunthorpe
(<20190129193250.GK10108@mellanox.com>): a helper like io_remap_pfn_range could set them for BARs that never move. The
last API of the thread (<20190131153737.GD4619@redhat.com>): ``vma_dma_map_range`` with flags, also to pin, which the
exporter may refuse.

A wiring is what a kernel would have: a function that sets ``vm_ops``, and the functions between an importer and the
exporter's callback. Every call is in the log where it is made; the call graph is read from there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from p2plab.core import errno
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.mm import VM_WRITE, Vma, VmaFault, VmFaultInfo, VmOperations
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import OpsSet

if TYPE_CHECKING:
    from p2plab.p2p.contract import Peer
    from p2plab.p2p.exporter import Exporter

CALLBACKS = ("p2p_map", "p2p_unmap")


def set_ops(vma: Vma, ops: VmOperations, by: str) -> None:
    """``vma->vm_ops = ops``, with ``by`` in the log."""
    vma.vm_ops = ops
    emit(OpsSet(by, vma.vm_file.name if vma.vm_file is not None else "", tuple(n for n in CALLBACKS if ops.has(n))))


# -- HMM, as posted: patch 5/5 -------------------------------------------------------------------------------------------


async def hmm_vma_p2p_map(
    vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool, checks_write: bool
) -> int:
    """mm/hmm.c of patch 5/5: the part of the range in one device vma. As posted it compares no ``write`` with VM_WRITE."""
    if checks_write and write and not vma.vm_flags & VM_WRITE:
        return -errno.EPERM
    return await call_ops(vma, "p2p_map", peer, start, end, pa, write, caller="hmm")


async def call_ops(
    vma: Vma, function: str, peer: Peer, start: int, end: int, pa: list[int], *more: bool, caller: str
) -> int:
    """``vma->vm_ops->function(...)``, wherever that leads."""
    ops: Any = vma.vm_ops
    detail = f"{peer.name}, {(end - start) // PAGE_SIZE} pages"
    with called(getattr(ops, "called", ops.name), function, detail, caller=caller) as call:
        status: int = await getattr(ops, function)(vma, peer, start, end, pa, *more)
        call.result = str(status) if status or function == "p2p_map" else ""
        return status


# -- core VMA code, as the reviewer expected -----------------------------------------------------------------------------


async def vma_p2p_map(vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
    """Core VMA code that any subsystem could call; HMM does."""
    with called("mm", "vma_p2p_map", caller="hmm"):
        return await call_ops(vma, "p2p_map", peer, start, end, pa, write, caller="mm")


async def vma_p2p_unmap(vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
    """The way back."""
    with called("mm", "vma_p2p_unmap", caller="hmm"):
        return await call_ops(vma, "p2p_unmap", peer, start, end, pa, caller="mm")


class StandIn(VmOperations):
    """``vm_ops`` set by other code than the exporter's driver, which keeps its other callbacks."""

    called = ""  #: the owner of the called function, in the log

    def __init__(self, exporter: Exporter) -> None:
        self.exporter = exporter
        self.name = exporter.name
        self.aperture = exporter.aperture

    def has(self, callback: str) -> bool:
        """This class's attribute, or the exporter's."""
        return callback in CALLBACKS or self.exporter.has(callback)

    def frame_behind(self, vma: Vma, address: int) -> str:
        """``A[2]``: what a virtual address shows."""
        return self.exporter.frame_behind(vma, address)

    def object_behind(self, vma: Vma) -> Any:
        """The object that a vma shows."""
        return self.exporter.object_behind(vma)

    async def open(self, vma: Vma) -> None:
        await self.exporter.open(vma)

    async def close(self, vma: Vma) -> None:
        await self.exporter.close(vma)

    async def fault(self, vmf: VmFaultInfo) -> VmaFault:
        return await self.exporter.fault(vmf)


class HmmOps(StandIn):
    """HMM's ``vm_ops`` for the vmas of drivers that registered with it: they call the registered functions."""

    called = "hmm"

    async def p2p_map(self, vma: Vma, device: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """The registered driver's function."""
        with called(self.name, "p2p_map", f"{device.name}, {len(pa)} pages", caller="hmm"):
            return await self.exporter.p2p_map(vma, device, start, end, pa, write)

    async def p2p_unmap(self, vma: Vma, device: Peer, start: int, end: int, pa: list[int]) -> int:
        """The same."""
        with called(self.name, "p2p_unmap", f"{device.name}, {len(pa)} pages", caller="hmm"):
            return await self.exporter.p2p_unmap(vma, device, start, end, pa)


# -- a helper that sets --------------------------------------------------------------------------------------------------


class IoremapOps(StandIn):
    """What the helper sets: the place in the BAR was fixed at ``mmap``, so no driver code is called."""

    called = "p2p_ioremap"

    def __init__(self, exporter: Exporter, base: int) -> None:
        super().__init__(exporter)
        self.base = base  #: the bus address of page 0 of the mapping, for as long as the vma lives

    async def p2p_map(self, vma: Vma, device: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
        """Plain arithmetic; the topology and the permission are still the exporter's to check."""
        if not self.exporter.reaches(device):
            return -errno.EREMOTEIO
        async with self.exporter.lock:
            try:
                self.exporter.check(vma, write)
            except KernelError as error:
                return -error.errno
            first = vma.pgoff_of(start)
            places = [(self.base + (first + number) * PAGE_SIZE, "bar") for number in range(len(pa))]
            self.exporter.lend(vma, device, start, places, pa, write)
        return 0

    async def p2p_unmap(self, vma: Vma, device: Peer, start: int, end: int, pa: list[int]) -> int:
        """Remove the pages from the records."""
        return await self.exporter.take_back(device, start, end)


def p2p_ioremap_device_memory(vma: Vma, exporter: Exporter) -> None:
    """Called by the driver's ``mmap`` instead of io_remap_pfn_range: maps the object's slots, and sets the callbacks.

    -EINVAL unless the object is in adjacent slots: a helper can only fix what is there.
    """
    slots = exporter.aperture.slots_of(exporter.object_behind(vma))
    first = slots[0]
    if first is None or list(slots) != list(range(first, first + len(slots))):
        raise KernelError("EINVAL", "the helper maps a run of adjacent slots")
    with called("mm", "p2p_ioremap_device_memory", f"{len(slots)} pages", caller=exporter.name):
        set_ops(vma, IoremapOps(exporter, exporter.aperture.address(first)), "mm")


# -- the wirings ---------------------------------------------------------------------------------------------------------


def exporter_sets(vma: Vma, exporter: Exporter) -> None:
    """The exporter's ``mmap`` sets its own ``vm_ops``."""
    set_ops(vma, exporter, exporter.name)


def nobody_sets(vma: Vma, exporter: Exporter) -> None:
    """A driver without the callbacks."""
    vma.vm_ops = VmOperations()
    emit(OpsSet("nobody", vma.vm_file.name if vma.vm_file is not None else "", CALLBACKS))


def hmm_sets(vma: Vma, exporter: Exporter) -> None:
    """The driver registered with HMM, which sets its own ``vm_ops``."""
    set_ops(vma, HmmOps(exporter), "hmm")


async def hmm_range_dma_map(vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
    """From the importer by HMM to ``p2p_map``, as meant; 0 or ``-errno``."""
    with called("hmm", "hmm_range_dma_map", f"{len(pa)} pages", caller=peer.name):
        return await hmm_vma_p2p_map(vma, peer, start, end, pa, write, checks_write=True)


async def hmm_range_dma_map_as_posted(vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
    """The same as posted: nothing compares ``write`` with the vma."""
    with called("hmm", "hmm_range_dma_map", f"{len(pa)} pages", caller=peer.name):
        return await hmm_vma_p2p_map(vma, peer, start, end, pa, write, checks_write=False)


async def hmm_range_dma_unmap(vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
    """The way back."""
    with called("hmm", "hmm_range_dma_unmap", f"{len(pa)} pages", caller=peer.name):
        return await call_ops(vma, "p2p_unmap", peer, start, end, pa, caller="hmm")


async def hmm_asks_core(vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
    """Importer, HMM, core VMA code, HMM's ``vm_ops``, driver."""
    with called("hmm", "hmm_range_dma_map", f"{len(pa)} pages", caller=peer.name):
        return await vma_p2p_map(vma, peer, start, end, pa, write)


async def hmm_tells_core(vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
    """The way back."""
    with called("hmm", "hmm_range_dma_unmap", f"{len(pa)} pages", caller=peer.name):
        return await vma_p2p_unmap(vma, peer, start, end, pa)


async def vma_dma_map_range(vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
    """The last API of the thread: an importer calls core VMA code, with flags. An ordinary vma (GUP) is left out."""
    with called("mm", "vma_dma_map_range", f"{len(pa)} pages, {'WRITE' if write else '0'}", caller=peer.name):
        return await call_ops(vma, "p2p_map", peer, start, end, pa, write, caller="mm")


async def vma_dma_map_range_pin(vma: Vma, peer: Peer, start: int, end: int, pa: list[int], write: bool) -> int:
    """The same with the pin flag: the exporter is asked first, and may refuse."""
    ops: Any = vma.vm_ops
    with called("mm", "vma_dma_map_range", f"{len(pa)} pages, {'WRITE|' if write else ''}PIN", caller=peer.name):
        with called(ops.name, "pin", peer.name, caller="mm") as call:
            refused: int = await ops.grant_pin(vma, peer)
            call.result = str(refused)
        if refused:
            return refused
        return await call_ops(vma, "p2p_map", peer, start, end, pa, write, caller="mm")


async def vma_dma_unmap_range(vma: Vma, peer: Peer, start: int, end: int, pa: list[int]) -> int:
    """The way back."""
    with called("mm", "vma_dma_unmap_range", f"{len(pa)} pages", caller=peer.name):
        return await call_ops(vma, "p2p_unmap", peer, start, end, pa, caller="mm")


@dataclass(frozen=True)
class Wiring:
    """``sets``: what the exporter's ``mmap`` does about ``vm_ops``; ``map``, ``unmap``: from the importer to the callback."""

    says: str
    sets: Callable[[Vma, Exporter], None]
    map: Callable[[Vma, Peer, int, int, list[int], bool], Coroutine[Any, Any, int]] = hmm_range_dma_map
    unmap: Callable[[Vma, Peer, int, int, list[int]], Coroutine[Any, Any, int]] = hmm_range_dma_unmap


#: What each choice of the knob is.
WIRINGS: Mapping[str, Wiring] = {
    "series-alone": Wiring(
        "the five patches and nothing else: no driver of the kernel sets the callbacks", nobody_sets
    ),
    "as-posted": Wiring(
        "the exporter sets them in its mmap, only HMM calls them; nobody compares write with VM_WRITE",
        exporter_sets,
        hmm_range_dma_map_as_posted,
    ),
    "as-intended": Wiring(
        "the exporter sets them in its mmap, only HMM calls them, and it checks first what the importer asks for",
        exporter_sets,
    ),
    "ioremap-helper": Wiring(
        "a helper that the exporter's mmap calls sets its own; only HMM calls them. For a BAR that never moves",
        p2p_ioremap_device_memory,
    ),
    "as-reviewer-expected": Wiring(
        "HMM sets its own for its drivers' vmas, core VMA code calls them, and HMM calls the driver",
        hmm_sets,
        hmm_asks_core,
        hmm_tells_core,
    ),
    "vma-dma-map-range": Wiring(
        "the exporter sets them in its mmap, and core VMA code calls them, which any importer may call",
        exporter_sets,
        vma_dma_map_range,
        vma_dma_unmap_range,
    ),
    "vma-dma-map-range-pin": Wiring(
        "the same with a pin flag: the exporter brings the object to main memory, or refuses",
        exporter_sets,
        vma_dma_map_range_pin,
        vma_dma_unmap_range,
    ),
}
