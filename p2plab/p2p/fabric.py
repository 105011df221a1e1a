"""The PCI fabric as a DMA access sees it: an address goes to the BAR that decodes it, through the bridges' windows."""

from __future__ import annotations

from typing import NamedTuple

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.p2p.aperture import PAGE_SIZE, Aperture
from p2plab.p2p.contract import Peer
from p2plab.p2p.events import IommuFault, StaleTranslation
from p2plab.p2p.iommu import Iommu
from p2plab.p2p.memory import BYTES, DeviceMemory, MainMemory
from p2plab.pci import Machine, reach_verdict

#: Where the addresses of private links begin: no bus address and no IOVA of the scenes is as high (illustrative).
LINK_BASE = 1 << 56
#: What a read returns when nothing answers (an Unsupported Request completes with all ones).
ALL_ONES = b"\xff" * BYTES


class Landing(NamedTuple):
    """Where one access landed: the frame, its owner, the frame's bytes before and after, and its generation.

    ``decoder``: the BAR that took the access if that is no memory of the scene, a neighbour's for instance.
    """

    frame: str
    owner: str
    before: bytes
    after: bytes
    generation: int
    decoder: str = ""


NOBODY = Landing("", "", ALL_ONES, ALL_ONES, 0)


class Fabric(Tracked):
    """A machine's buses, with the apertures that are modelled behind its BARs, by (bdf, BAR).

    ``iommu`` is None where it is off; ``ram`` is None where no exporter falls back to main memory.
    """

    def __init__(self, machine: Machine, iommu: Iommu | None = None, ram: MainMemory | None = None) -> None:
        self.machine = machine
        self.iommu = iommu
        self.ram = ram
        self.targets: dict[tuple[str, int], Aperture] = {}
        self.links: dict[tuple[str, int], tuple[DeviceMemory, int]] = {}  #: (importer, link address) -> frame

    def attach(self, bdf: str, bar: int, aperture: Aperture) -> None:
        """Put an aperture behind a BAR; -EINVAL if it does not start in the BAR or does not fit."""
        found = next((r for r in self.machine[bdf].bars if r.index == bar), None)
        first, last = aperture.address(0), aperture.address(len(aperture)) - 1
        if found is None or not found.holds(first) or not found.holds(last):
            raise KernelError("EINVAL", f"{first:#x}..{last:#x} is not inside BAR {bar} of {bdf}: {found}")
        self.targets[bdf, bar] = aperture

    def link(self, importer: str, memory: DeviceMemory, frame: int) -> int:
        """An address for a frame over a private link of ``importer``, meaningless to other devices."""
        address = LINK_BASE + frame * PAGE_SIZE
        self.links[importer, address] = (memory, frame)
        return address

    def access(self, address: int, data: bytes | None, peer: Peer | None = None) -> Landing:
        """Write ``data`` (or read, if None) as ``peer``; what no BAR decodes or no bridge carries is lost."""
        bus = self._arrives(address, peer, data is not None)
        if bus is None and peer is not None:
            emit(IommuFault(peer.name, address, data is not None))
        place = self._place(address, bus, peer)
        if place is None:
            return NOBODY._replace(decoder=self.neighbour(bus, peer) if bus is not None else "")
        memory, frame = place
        before = memory.content[frame]
        if data is not None:
            memory.content[frame] = data
        return Landing(*memory.who(frame), before, memory.content[frame], memory.generation[frame])

    def _arrives(self, address: int, peer: Peer | None, write: bool) -> int | None:
        """As :meth:`bus_address`, for an access: by the translations that the device or the IOMMU still caches."""
        if self.iommu is None or peer is None or (peer.name, address) in self.links:
            return address
        bus, cache = self.iommu.access(peer.name, address, write)
        if cache:
            emit(StaleTranslation(peer.name, address, cache))
        return bus

    def neighbour(self, bus: int, peer: Peer | None) -> str:
        """Which BAR decodes a bus address whose memory is not modelled (``BAR 0 of 0000:03:00.1``); empty if none does."""
        decoded = self.machine.decode(bus)
        if decoded.device is None or decoded.resource is None or not decoded.resource.bar:
            return ""
        if (decoded.device.bdf, decoded.resource.index) in self.targets or decoded.device.bdf == (peer and peer.bdf):
            return ""
        carried = peer is None or self.carries(peer, decoded.device.bdf)
        return f"BAR {decoded.resource.index} of {decoded.device.bdf}" if carried else ""

    def look(self, address: int, peer: Peer | None = None) -> str:
        """The frame (``A[2]``) that an access of ``peer`` would reach now; empty if none. Nothing is accessed."""
        place = self._place(address, self.bus_address(address, peer), peer)
        return place[0].who(place[1])[0] if place is not None else ""

    def behind(self, address: int, peer: Peer) -> str:
        """The frame at ``address``, whether or not the bridges carry what ``peer`` sends; empty if none."""
        place = self._place(address, self.bus_address(address, peer), peer, carried=False)
        return place[0].who(place[1])[0] if place is not None else ""

    def bus_address(self, address: int, peer: Peer | None = None, write: bool = False) -> int | None:
        """The bus address behind what ``peer`` sends: itself without an IOMMU; None where the IOMMU would fault.

        ``write``: as for a write, which also faults where the mapping is for reading only.
        """
        if self.iommu is None or peer is None or (peer.name, address) in self.links:
            return address
        return self.iommu.translate(peer.name, address, write)

    def carries(self, peer: Peer, bdf: str) -> bool:
        """Whether what ``peer`` sends to a function arrives: by a bridge they share, or a host bridge that is trusted."""
        return reach_verdict(self.machine, bdf, peer.bdf).reachable

    def _place(
        self, address: int, bus: int | None, peer: Peer | None, carried: bool = True
    ) -> tuple[DeviceMemory, int] | None:
        """The memory and the frame that an access ends in: over a link, in main memory, or through a BAR."""
        linked = self.links.get((peer.name, address)) if peer is not None else None
        if linked is not None:
            return linked
        if bus is None:
            return None
        frame = self.ram.frame_at(bus) if self.ram is not None else None
        if frame is not None and self.ram is not None:
            return self.ram, frame
        return self._through_a_bar(bus, peer if carried else None)

    def _through_a_bar(self, address: int, peer: Peer | None) -> tuple[DeviceMemory, int] | None:
        decoded = self.machine.decode(address)
        if decoded.device is None or decoded.resource is None:
            return None
        aperture = self.targets.get((decoded.device.bdf, decoded.resource.index))
        slot = aperture.slot_at(address) if aperture is not None else None
        frame = aperture.shows[slot] if aperture is not None and slot is not None else None
        if aperture is None or frame is None or not aperture.powered:
            return None
        if peer is not None and not self.carries(peer, decoded.device.bdf):
            return None
        return aperture.memory, frame
