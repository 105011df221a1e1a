"""The PCI fabric as a DMA access sees it: an address goes to whoever's BAR decodes it, through the bridges' windows."""

from __future__ import annotations

from typing import NamedTuple

from p2plab.core.errors import KernelError
from p2plab.core.tracked import Tracked
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.memory import BYTES
from p2plab.pci import Machine

#: What a read returns when nobody answers (an Unsupported Request completes with all ones).
NOBODY = b"\xff" * BYTES


class Landing(NamedTuple):
    """Where one access landed: the frame, its owner, and the frame's bytes before and after."""

    frame: str
    owner: str
    before: bytes
    after: bytes


class Fabric(Tracked):
    """A machine's buses, with the apertures that are modelled behind its BARs, by (bdf, BAR)."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.targets: dict[tuple[str, int], Aperture] = {}

    def attach(self, bdf: str, bar: int, aperture: Aperture) -> None:
        """Put an aperture behind a BAR; -EINVAL if it does not start in the BAR or does not fit."""
        found = next((r for r in self.machine[bdf].bars if r.index == bar), None)
        first, last = aperture.address(0), aperture.address(len(aperture)) - 1
        if found is None or not found.holds(first) or not found.holds(last):
            raise KernelError("EINVAL", f"{first:#x}..{last:#x} is not inside BAR {bar} of {bdf}: {found}")
        self.targets[bdf, bar] = aperture

    def access(self, address: int, data: bytes | None) -> Landing:
        """Write ``data`` (or read, if None) at a bus address; what nobody decodes is lost."""
        decoded = self.machine.decode(address)
        if decoded.device is None or decoded.resource is None:
            return Landing("", "", NOBODY, NOBODY)
        aperture = self.targets.get((decoded.device.bdf, decoded.resource.index))
        slot = aperture.slot_at(address) if aperture is not None else None
        frame = aperture.shows[slot] if aperture is not None and slot is not None else None
        if aperture is None or frame is None:
            return Landing("", "", NOBODY, NOBODY)
        memory = aperture.memory
        before = memory.content[frame]
        if data is not None:
            memory.content[frame] = data
        return Landing(*memory.who(frame), before, memory.content[frame])
