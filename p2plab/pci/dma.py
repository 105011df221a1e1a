"""What ``dma_map_sgtable`` hands to a client for memory of a provider's BAR, and which BARs can be offered at all.

Sources: drivers/pci/p2pdma.c, kernel/dma/direct.c, drivers/iommu/dma-iommu.c, mm/memremap.c (v6.12, v7.3),
and recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.errors import BadInput, KernelError, NotKnown
from p2plab.pci.cpu import x86
from p2plab.pci.device import Device
from p2plab.pci.kernel import TODAY, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.reach import MapType, ReachVerdict, reach_verdict
from p2plab.pci.resource import Resource

PAGE = 4096
#: struct pages come in subsections of this many bytes (PAGES_PER_SUBSECTION, include/linux/mmzone.h).
SUBSECTION = 2 << 20
#: Where x86 delivers MSIs; no IOVA is handed out there (recorded as a reserved region of Intel's IOMMU).
MSI_WINDOW = (0xFEE0_0000, 0xFEEF_FFFF)


IOMMU_MISSING = 'whether an IOMMU translates: --iommu on or off (the boot messages say "Default domain type")'


@dataclass(frozen=True)
class DmaAddress:
    """An address for the client's DMA engine: a ``bus`` address, a ``phys`` one, or an ``iova``."""

    address: int
    kind: str

    def __str__(self) -> str:
        return f"{self.address:#x} ({self.kind})"


def largest_memory_bar(device: Device) -> Resource | None:
    """The biggest memory BAR that has an address; the first of them if several are as big."""
    bars = [bar for bar in device.bars if bar.mem and not bar.unset and bar.sized]
    return max(bars, key=lambda bar: bar.size, default=None)


def pci_p2pdma_add_resource(device: Device, index: int, size: int = 0, offset: int = 0) -> Resource:
    """Offer ``size`` bytes (0: the rest) of a BAR from ``offset`` on; returns the range offered.

    Raises KernelError EINVAL: not a memory BAR, outside the BAR, or start or size not a multiple of 2 MiB.
    """
    bar = device.resource(index)
    if bar is None or not bar.mem or bar.unset or not bar.bar:
        raise KernelError("EINVAL", f"{device.bdf} has no memory BAR {index} with an address")
    if not 0 <= offset < bar.size or size < 0 or offset + size > bar.size:
        raise KernelError("EINVAL", f"{size:#x} bytes at {offset:#x} are not inside BAR {index} of {bar.size:#x} bytes")
    start, size = bar.start + offset, size or bar.size - offset
    if start % SUBSECTION or size % SUBSECTION:
        raise KernelError("EINVAL", f"{start:#x} + {size:#x}: struct pages need start and size in steps of 2 MiB")
    return Resource(bar.index, start, start + size - 1, bar.flags)


def dma_map(
    machine: Machine,
    provider: str,
    client: str,
    *,
    bar: int | None = None,
    offset: int = 0,
    length: int = PAGE,
    mask_bits: int = 64,
    bus_offset: int | None = None,
    iommu: bool | None = None,
    kernel: PciKernel = TODAY,
    verdict: ReachVerdict | None = None,
) -> DmaAddress:
    """The address that ``client`` gets for ``length`` bytes at ``offset`` in a BAR of ``provider`` (default: largest).

    ``bus_offset`` is bus address minus CPU address, ``iommu`` whether one translates; both default to what the machine
    shows. The IOVA is that of the first mapping in an empty domain. By the rules of ``kernel``; v5.0 gives the bus address
    without asking (``pci_p2pdma_map_sg``). ``verdict``: that kernel's, if it is known already.

    Raises KernelError EREMOTEIO (no way), EIO (address above the mask, unchecked for BUS_ADDR), EINVAL (BAR
    cannot be offered); BadInput for a mask outside 1–64; NotKnown where what is not shown decides.
    """
    if not 1 <= mask_bits <= 64:
        raise BadInput(f"a DMA mask of {mask_bits} bits; allowed: 1 to 64")
    device = machine[provider]
    if bar is None:
        largest = largest_memory_bar(device)
        bar = largest.index if largest else 0
    offered = pci_p2pdma_add_resource(device, bar)
    if length <= 0 or offset < 0 or offset + length > offered.size:
        raise KernelError("EINVAL", f"{length:#x} bytes at {offset:#x} are not inside the {offered.size:#x} offered")
    verdict = verdict or reach_verdict(machine, provider, client, kernel)
    phys = offered.start + offset
    if kernel.host_bridges is None:
        return DmaAddress(
            phys + (bus_offset_of(machine, provider, offered) if bus_offset is None else bus_offset), "bus"
        )
    if verdict.map_type is MapType.NOT_KNOWN:
        raise NotKnown(f"the address of {verdict.provider} for {verdict.client}", verdict.missing)
    if verdict.map_type is MapType.NOT_SUPPORTED:
        raise KernelError("EREMOTEIO", f"{verdict.client} cannot reach memory of {verdict.provider}")
    if verdict.map_type is MapType.BUS_ADDR:
        return DmaAddress(
            phys + (bus_offset_of(machine, provider, offered) if bus_offset is None else bus_offset), "bus"
        )
    translates = machine.iommu if iommu is None else iommu
    if translates is None:
        raise NotKnown(f"the address of {verdict.provider} for {verdict.client}", (IOMMU_MISSING,))
    if translates:
        return DmaAddress(first_iova(machine, client, length, mask_bits), "iova")
    if phys + length - 1 >= 1 << mask_bits:
        raise KernelError("EIO", f"{phys:#x} does not fit a DMA mask of {mask_bits} bits and no IOMMU translates")
    return DmaAddress(phys, "phys")


def first_iova(machine: Machine, client: str, length: int, mask_bits: int = 64) -> int:
    """The first IOVA of an empty domain: the highest place that fits, below 4 GiB first, aligned to its own size.

    Windows of the client's host bridge and the MSI window are kept free (``iova_reserve_pci_windows``; alignment to
    the size rounded up to a power of two from ``iommu_dma_alloc_iova``). Raises KernelError ENOMEM.
    """
    size = 1 << max(length - 1, PAGE - 1).bit_length()
    kept = sorted([MSI_WINDOW, *((w.start, w.end) for w in machine.host_bridge_of(client).windows if w.mem)])
    for limit in (1 << min(mask_bits, 32), 1 << mask_bits):
        start = (limit - size) // size * size
        for low, high in reversed(kept):
            if start <= high and low < start + size:
                start = (low - size) // size * size
        if start > 0:
            return start
    raise KernelError("ENOMEM", f"no {size:#x} bytes of IOVA below {mask_bits} bits")


def bus_offset_of(machine: Machine, bdf: str, resource: Resource) -> int:
    """Bus address minus CPU address of one range of a function. Raises NotKnown where the source does not show it.

    They differ where a host bridge translates (ARM, POWER): each of its windows has an offset (``pci_bus_address`` and
    ``pcibios_resource_to_bus``, drivers/pci/host-bridge.c). The offset is read from the function's registers, from the
    windows of its host bridge, or from another function below the same host bridge; on x86 it is 0.
    """
    device = machine[bdf]
    if device.bus_offset is not None:
        return device.bus_offset
    bridge = machine.host_bridge_of(bdf)
    for window, offset in zip(bridge.windows, bridge.offsets, strict=False):
        if window.contains(resource):
            return offset
    if machine.cpu in ("intel", "zen") or x86(machine.devices):
        return 0
    same = {d.bus_offset for d in machine if d.host_bridge == device.host_bridge and d.bus_offset is not None}
    if len(same) == 1:
        return same.pop()
    raise NotKnown(
        f"the bus address of {device.bdf} {resource.name}",
        (f"how {device.host_bridge} translates: lspci -x beside -v, sysfs, or the boot messages (bus address [...])",),
    )
