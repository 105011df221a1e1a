"""What the bytes of a config space say (``lspci -x``, sysfs ``config``): the header and the capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2plab.pci.acs import Acs
from p2plab.pci.bars import IO_MASK, MEM_MASK, flag_bits
from p2plab.pci.rebar import ResizableBar
from p2plab.pci.resource import IORESOURCE_IO, IORESOURCE_PCI_FIXED, IORESOURCE_UNSET, ROM, Resource
from p2plab.pci.windows import decode_io, decode_memory, decode_prefetchable

# include/uapi/linux/pci_regs.h
CAP_SUBSYSTEM, CAP_EXPRESS, EXT_CAP_ACS, EXT_CAP_REBAR = 0x0D, 0x10, 0x000D, 0x0015
HEADER_BRIDGE, HEADER_CARDBUS = 1, 2
ONES = b"\xff\xff\xff\xff"
#: How many BARs a header of type 0 (function) and 1 (bridge) has; of other types nothing is decoded.
BARS_OF = {0: 6, HEADER_BRIDGE: 2}
#: The kernel's flags of an expansion ROM (``pci_read_bases``).
ROM_FLAGS = 0x46200
#: The fixed ports of an IDE controller in compatibility mode (``pci_setup_device``): index to (start, end).
LEGACY_IDE = {0: (0x1F0, 0x1F7), 1: (0x3F6, 0x3F6), 2: (0x170, 0x177), 3: (0x376, 0x376)}


@dataclass(frozen=True)
class Header:
    """The decoded part of one config space; resources from registers have no size (``sized`` is false)."""

    vendor: int | None
    device: int | None
    class_code: int
    revision: int
    memory_decode: bool
    bridge: bool
    subsystem: tuple[int, int] | None
    secondary: int | None
    subordinate: int | None
    resources: tuple[Resource, ...]
    pcie_type: int | None
    hotplug: bool | None
    acs: Acs | None
    rebar: tuple[ResizableBar, ...]
    whole: bool  #: the 256 bytes that hold the capability list are there
    extended: bool  #: the 4096 bytes that hold ACS and resizable BARs are there


def legacy_ide(class_code: int | None) -> tuple[Resource, ...]:
    """The ports an IDE controller decodes whatever its BARs say; none for any other class."""
    if class_code is None or class_code >> 8 != 0x0101:
        return ()
    wanted = ((0, 1) if not class_code & 1 else ()) + ((2, 3) if not class_code & 4 else ())
    return tuple(Resource(i, *LEGACY_IDE[i], IORESOURCE_IO | IORESOURCE_PCI_FIXED) for i in wanted)


def decode_header(data: bytes) -> Header | None:
    """Decode 64 to 4096 bytes; ``None`` for a function that does not answer (all ones) or for too few bytes.

    The ids of a virtual function read as all ones, its BARs as zero; the rest is there (SR-IOV; ``pci_setup_device`` takes the
    ids from the physical function).
    """
    virtual = data[:4] == ONES
    if len(data) < 64 or (virtual and data[8:12] == ONES):
        return None
    kind = data[0x0E] & 0x7F
    bridge = kind == HEADER_BRIDGE
    class_code = _le(data, 9, 3)
    express = next((at for cap, at in capabilities(data) if cap == CAP_EXPRESS), None)
    flags = _le(data, express + 2, 2) if express is not None else 0
    named = 0x2C if kind == 0 else next((at + 4 for cap, at in capabilities(data) if cap == CAP_SUBSYSTEM), None)
    ssid = None if named is None else (_le(data, named, 2), _le(data, named + 2, 2))
    bars = {r.index: r for r in (*_bars(data, BARS_OF.get(kind, 0)), *legacy_ide(class_code))}
    rom = _rom(data, 0x38 if bridge else 0x30) if kind in BARS_OF else ()
    return Header(
        vendor=None if virtual else _le(data, 0, 2),
        device=None if virtual else _le(data, 2, 2),
        class_code=class_code,
        revision=data[8],
        memory_decode=bool(data[4] & 2),
        bridge=bridge,
        subsystem=ssid if ssid and any(ssid) else None,
        secondary=data[0x19] if kind in (HEADER_BRIDGE, HEADER_CARDBUS) else None,
        subordinate=data[0x1A] if kind in (HEADER_BRIDGE, HEADER_CARDBUS) else None,
        resources=(*sorted(bars.values()), *rom, *(_windows(data) if bridge else ())),
        pcie_type=None if express is None else flags >> 4 & 0xF,
        hotplug=_hotplug(data, express, flags),
        acs=_acs(data),
        rebar=tuple(_rebar(data)),
        whole=len(data) >= 256,
        extended=len(data) >= 4096,
    )


def capabilities(data: bytes) -> Iterator[tuple[int, int]]:
    """(id, offset) of each capability; stops at the end, outside the dump, or when the list bites its tail."""
    seen: set[int] = set()
    at = data[0x34] & ~3 if data[6] & 0x10 else 0
    while at >= 0x40 and at not in seen and at + 4 <= min(len(data), 256):
        seen.add(at)
        yield data[at], at
        at = data[at + 1] & ~3


def extended_capabilities(data: bytes) -> Iterator[tuple[int, int]]:
    """(id, offset) of each extended capability, from byte 256 on; stops as :func:`capabilities` does."""
    seen: set[int] = set()
    at = 0x100
    while at >= 0x100 and at not in seen and at + 8 <= len(data):
        seen.add(at)
        head = _le(data, at, 4)
        if head in (0, 0xFFFF_FFFF):
            return
        yield head & 0xFFFF, at
        at = head >> 20 & ~3


def _bars(data: bytes, count: int) -> Iterator[Resource]:
    index = 0
    while index < count:
        low = _le(data, 0x10 + 4 * index, 4)
        flags = flag_bits(low & (0x3 if low & 1 else 0xF))
        wide = not low & 1 and low & 0x6 == 0x4 and index + 1 < count
        start = low & (IO_MASK if low & 1 else MEM_MASK) | (_le(data, 0x14 + 4 * index, 4) << 32 if wide else 0)
        if start:
            yield Resource(index, start, start, flags, sized=False)
        elif low:
            yield Resource(index, 0, 0, flags | IORESOURCE_UNSET, sized=False)
        index += 2 if wide else 1


def _rom(data: bytes, offset: int) -> Iterator[Resource]:
    register = _le(data, offset, 4)
    if register & ~0x7FF:
        yield Resource(ROM, register & ~0x7FF, register & ~0x7FF, ROM_FLAGS | register & 1, sized=False)


def _windows(data: bytes) -> Iterator[Resource]:
    found = (
        decode_io(data[0x1C], data[0x1D], _le(data, 0x30, 2), _le(data, 0x32, 2)),
        decode_memory(_le(data, 0x20, 4)),
        decode_prefetchable(_le(data, 0x24, 4), _le(data, 0x28, 4), _le(data, 0x2C, 4)),
    )
    return (window for window in found if window is not None)


def _hotplug(data: bytes, express: int | None, flags: int) -> bool | None:
    """Whether the slot below can be hot-plugged (PCI_EXP_SLTCAP_HPC); ``None`` where no slot register is seen."""
    if express is None or not flags & 0x100 or express + 0x18 > len(data):
        return None
    return bool(_le(data, express + 0x14, 4) & 0x40)


def _acs(data: bytes) -> Acs | None:
    at = next((at for cap, at in extended_capabilities(data) if cap == EXT_CAP_ACS), None)
    return None if at is None else Acs(_le(data, at + 4, 2), _le(data, at + 6, 2))


def _rebar(data: bytes) -> Iterator[ResizableBar]:
    at = next((at for cap, at in extended_capabilities(data) if cap == EXT_CAP_REBAR), None)
    if at is None or at + 16 > len(data):
        return
    for number in range(min(_le(data, at + 8, 4) >> 5 & 7, 6)):
        entry = at + 4 + 8 * number
        if entry + 8 > len(data):
            return
        cap, ctrl = _le(data, entry, 4), _le(data, entry + 4, 4)
        yield ResizableBar(ctrl & 7, cap >> 4 | (ctrl >> 16) << 28, ctrl >> 8 & 0x3F)


def _le(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
