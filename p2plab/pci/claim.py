"""Keeping what the firmware has placed: windows from the root down, then BARs, then ROMs (arch/x86/pci/i386.c, v6.12)."""

from __future__ import annotations

from p2plab.pci.bustree import Bus
from p2plab.pci.resource import IORESOURCE_IO, IORESOURCE_MEM, IORESOURCE_PCI_FIXED, IORESOURCE_PREFETCH, ROM
from p2plab.pci.space import Range

#: Where the firmware had put a BAR that could not be claimed: (bdf, index) to address.
Firmware = dict[tuple[str, int], int]


def claim_all(roots: list[Bus], messages: list[str]) -> Firmware:
    """Claim everything that has an address; what cannot be claimed loses it. Returns the addresses lost by BARs."""
    firmware: Firmware = {}
    for root in roots:
        _windows(root, messages)
    for disabled in (False, True):  # those that decode now go first
        for root in roots:
            _bars(root, disabled, firmware, messages)
    for root in roots:
        _roms(root, messages)
    return firmware


def holder_of(found: Range, bus: Bus) -> Range | None:
    """``pci_find_parent_resource``: the offer that contains it, unless that is prefetchable and it is not."""
    holder = next((offer for offer in bus.offers if offer.flags and offer.contains(found)), None)
    if holder is not None and holder.flags & IORESOURCE_PREFETCH and not found.flags & IORESOURCE_PREFETCH:
        return None
    return holder


def _windows(bus: Bus, messages: list[str]) -> None:
    for below in bus.buses_below():
        for found in below.offers[:3]:
            if found.flags and not (found.start and _window(found, bus, messages)):
                found.start = found.end = found.flags = 0
        _windows(below, messages)


def _window(found: Range, bus: Bus, messages: list[str]) -> bool:
    """``pci_claim_bridge_resource``: as it is, or cut down to what the bus above offers."""
    if _claim(found, bus, messages):
        return True
    for offer in bus.offers:
        start, end = max(offer.start, found.start), min(offer.end, found.end)
        if not offer.flags or (offer.flags ^ found.flags) & (IORESOURCE_IO | IORESOURCE_MEM) or start > end:
            continue
        if (start, end) == (found.start, found.end):
            return False
        before = found.frozen()
        found.start, found.end = start, end
        messages.append(f"{found.owner}: {found.name} {before} clipped to {found.frozen()}")
        return _claim(found, bus, messages)
    return False


def _claim(found: Range, bus: Bus, messages: list[str]) -> bool:
    holder = holder_of(found, bus)
    if holder is None:
        messages.append(f"{found}: can't claim; no compatible bridge window")
        return False
    conflict = holder.request(found)
    if conflict is not None:
        messages.append(f"{found}: can't claim; address conflict with {conflict.owner} {conflict.frozen()}")
    return conflict is None


def _bars(bus: Bus, disabled: bool, firmware: Firmware, messages: list[str]) -> None:
    for node in bus.nodes:
        if (node.device.memory_decode is False) == disabled:
            for found in node.ranges:
                if (found.index >= ROM and not found.iov) or not found.start or _claim(found, bus, messages):
                    continue
                if not found.flags & IORESOURCE_PCI_FIXED:
                    firmware[found.owner, found.index] = found.start
                    found.start, found.end = 0, found.end - found.start
        if node.below is not None:
            _bars(node.below, disabled, firmware, messages)


def _roms(bus: Bus, messages: list[str]) -> None:
    for node in bus.nodes:
        for found in node.ranges:
            if found.index == ROM and found.flags and found.start and not _claim(found, bus, messages):
                found.start, found.end = 0, found.end - found.start
        if node.below is not None:
            _roms(node.below, messages)
