"""What single lines of ``lspci -v`` say: a region, a window, the buses, a capability. Each reader looks at one line."""

from __future__ import annotations

import re

from p2plab.pci.acs import BITS
from p2plab.pci.bars import flag_bits
from p2plab.pci.device import FunctionKind
from p2plab.pci.dump import ROM_FLAGS
from p2plab.pci.rebar import ResizableBar, size_code
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PCI_FIXED,
    IORESOURCE_PREFETCH,
    IORESOURCE_ROM_SHADOW,
    IORESOURCE_UNSET,
    MEM_WINDOW,
    PREF_WINDOW,
    ROM,
    Resource,
)

#: Where the kernel shows the firmware's copy of a graphics card's ROM (``pci_fixup_video``, arch/x86/pci/fixup.c).
SHADOW, SHADOW_FLAGS = 0xC_0000, IORESOURCE_MEM | IORESOURCE_ROM_SHADOW | IORESOURCE_PCI_FIXED

_REGION = re.compile(r"(?:Region (\d): )?(?:\[[a-z]+\] )*(Memory|I/O ports) at (\S+)( \([^)]*\))?(.*)")
_ROM = re.compile(r"Expansion ROM at (\S+)(.*)")
_WINDOW = re.compile(r"(I/O|Memory|Prefetchable memory) behind bridge: (.*)")
_RANGE = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,16})(.*)")
_BUSES = re.compile(r"Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2})(?=[, ]|$)")
_SIZE = re.compile(r"\[size=(\d{1,20})([KMGTPE]?)\]")
_REBAR = re.compile(r"BAR (\d): current size: (\d{1,6})([MGTPE])B(?:, supported: ?(.*))?")
_REBAR_SIZE = re.compile(r"(\d{1,6})([MGTPE])B")
_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}

#: ``cap_express`` of lspci (pciutils, ls-caps.c); "Root Port (Slot+)" and the like are cut at the bracket.
EXPRESS = {
    "Endpoint": FunctionKind.ENDPOINT,
    "Legacy Endpoint": FunctionKind.LEGACY_ENDPOINT,
    "Root Port": FunctionKind.ROOT_PORT,
    "Upstream Port": FunctionKind.UPSTREAM,
    "Downstream Port": FunctionKind.DOWNSTREAM,
    "PCI-Express to PCI/PCI-X Bridge": FunctionKind.PCIE_TO_PCI,
    "PCI/PCI-X to PCI-Express Bridge": FunctionKind.PCI_TO_PCIE,
    "Root Complex Integrated Endpoint": FunctionKind.RC_ENDPOINT,
    "Root Complex Event Collector": FunctionKind.RC_EVENT_COLLECTOR,
}
_EXPRESS = re.compile(r"Capabilities: \[[0-9a-f]+\] Express(?: \(v\d+\))? ([A-Za-z/ -]+?)(?: \(Slot[+-]\))?(?:,|$)")

#: Class names of pci.ids for what the tree needs; other functions keep their name only.
CLASSES = {
    "host bridge": 0x0600,
    "isa bridge": 0x0601,
    "pci bridge": 0x0604,
    "cardbus bridge": 0x0607,
    "semi-transparent pci-to-pci bridge": 0x0609,
    "ide interface": 0x0101,
    "non-volatile memory controller": 0x0108,
    "ethernet controller": 0x0200,
    "vga compatible controller": 0x0300,
    "3d controller": 0x0302,
}


def number(text: str) -> int:
    """Hex digits to a number. Raises ValueError for anything else, signs and blanks included."""
    if not re.fullmatch(r"[0-9a-f]{1,16}", text):
        raise ValueError(f"{text[:40]!r} is not a hexadecimal address")
    return int(text, 16)


def size(text: str) -> int | None:
    """Bytes of a ``[size=256M]``; ``None`` if there is none. Raises ValueError above 64 bits."""
    found = _SIZE.search(text)
    if not found:
        return None
    value = int(found[1]) << _UNITS[found[2]]
    if value >= 1 << 64:
        raise ValueError(f"{found[0]} is more than 64 bits can hold")
    return value


def region(text: str, next_index: int) -> Resource | None:
    """A BAR's line. Without a number (``lspci -v``) it gets ``next_index``; raises ValueError for a bad one."""
    found = _REGION.fullmatch(text)
    if not found:
        return None
    index = int(found[1]) if found[1] else next_index
    if index > 5:
        raise ValueError(f"region {index}; allowed: 0 to 5")
    flags = flag_bits(1 if found[2] == "I/O ports" else _low_bits(found[4] or ""))
    if found[3].startswith("<"):  # <unassigned>, <ignored>, <broken-64-bit-slot>: no address is known
        length = size(found[5]) or 0
        return Resource(index, 0, max(length - 1, 0), flags | IORESOURCE_UNSET, sized=length > 0)
    return _placed(index, number(found[3]), size(found[5]), flags)


def rom(text: str) -> Resource | None:
    """The line of an expansion ROM, if this is one. Raises ValueError for a bad address."""
    found = _ROM.fullmatch(text)
    if not found or found[1].startswith("<"):
        return None
    start = number(found[1])
    flags = SHADOW_FLAGS if start == SHADOW else ROM_FLAGS | ("[disabled]" not in found[2])
    return _placed(ROM, start, size(found[2]), flags)


def window(text: str) -> tuple[int, Resource | None] | None:
    """A bridge window's index and range (``None``: closed), if this is its line. Raises ValueError for a bad range."""
    found = _WINDOW.fullmatch(text)
    if not found:
        return None
    index, flags = {
        "I/O": (IO_WINDOW, IORESOURCE_IO),
        "Memory": (MEM_WINDOW, IORESOURCE_MEM),
        "Prefetchable memory": (PREF_WINDOW, IORESOURCE_MEM | IORESOURCE_PREFETCH),
    }[found[1]]
    span = _RANGE.fullmatch(found[2])
    if not span:
        if found[2].strip() == "None" or found[2].startswith("<") or "[disabled]" in found[2]:
            return index, None
        raise ValueError(f"{found[2][:40]!r} is not a range")
    start, end = number(span[1]), number(span[2])
    if start > end or "[disabled]" in span[3]:
        return index, None
    wide = "[64-bit]" in span[3] or end >> 32
    if wide and index == PREF_WINDOW:
        flags |= IORESOURCE_MEM_64 | 1
    if index == IO_WINDOW and "[32-bit]" in span[3]:
        flags |= 1
    return index, Resource(index, start, end, flags)


def buses(text: str) -> tuple[int, int] | None:
    """Secondary and subordinate bus of a bridge, if this is the line."""
    found = _BUSES.match(text)
    return (int(found[2], 16), int(found[3], 16)) if found else None


def express_kind(text: str) -> FunctionKind | None:
    """What a PCI Express capability says the function is, if this is one."""
    found = _EXPRESS.match(text)
    return EXPRESS.get(found[1].strip(), FunctionKind.FUNCTION) if found else None


def acs_bits(text: str, register: str) -> int | None:
    """The bits of an ``ACSCap:`` or ``ACSCtl:`` line, if this is the one asked for and all of them are there."""
    words = set(text.removeprefix(register).split())
    if not text.startswith(register) or any(f"{word}+" not in words and f"{word}-" not in words for _, _, word in BITS):
        return None
    return sum(bit for bit, _, word in BITS if f"{word}+" in words)


def rebar(text: str) -> ResizableBar | None:
    """A line of the Resizable BAR capability, if this is one."""
    found = _REBAR.fullmatch(text)
    if not found or int(found[1]) > 5:
        return None
    sizes = 0
    for amount, unit in _REBAR_SIZE.findall(found[4] or ""):
        sizes |= 1 << size_code(int(amount) << _UNITS[unit])
    return ResizableBar(int(found[1]), sizes, size_code(int(found[2]) << _UNITS[found[3]]))


def _low_bits(kind: str) -> int:
    return (0x4 if "64-bit" in kind else 0x2 if "low-1M" in kind else 0) | (
        0x8 if " prefetchable" in kind.replace("(", " ") else 0
    )


def _placed(index: int, start: int, length: int | None, flags: int) -> Resource:
    if not length:
        return Resource(index, start, start, flags, sized=False)
    end = start + length - 1
    if end >= 1 << 64:
        raise ValueError("the range ends above 64 bits")
    return Resource(index, start, end, flags)
