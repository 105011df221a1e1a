"""BAR registers, and how software learns a BAR's size: write all ones, read back, restore (drivers/pci/probe.c)."""

from __future__ import annotations

from dataclasses import dataclass, field

from p2plab.core.errors import BadInput
from p2plab.pci.resource import (
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PREFETCH,
    IORESOURCE_SIZEALIGN,
    Resource,
)

# include/uapi/linux/pci_regs.h
PCI_COMMAND, PCI_COMMAND_IO, PCI_COMMAND_MEMORY = 0x04, 0x1, 0x2
PCI_BASE_ADDRESS_0 = 0x10
PCI_BASE_ADDRESS_SPACE_IO = 0x1
PCI_BASE_ADDRESS_MEM_TYPE_64 = 0x4
PCI_BASE_ADDRESS_MEM_PREFETCH = 0x8
IO_MASK, MEM_MASK = ~0x3 & 0xFFFF_FFFF, ~0xF & 0xFFFF_FFFF
ONES = 0xFFFF_FFFF
BARS = 6


def flag_bits(low: int) -> int:
    """The kernel's resource flags for the low bits of a BAR register (``decode_bar``).

    >>> hex(flag_bits(0xC)), hex(flag_bits(0x1))
    ('0x14220c', '0x40101')
    """
    if low & PCI_BASE_ADDRESS_SPACE_IO:
        return IORESOURCE_SIZEALIGN | IORESOURCE_IO | (low & 0x3)
    flags = IORESOURCE_SIZEALIGN | IORESOURCE_MEM | (low & 0xF)
    flags |= IORESOURCE_PREFETCH if low & PCI_BASE_ADDRESS_MEM_PREFETCH else 0
    return flags | (IORESOURCE_MEM_64 if low & 0x6 == PCI_BASE_ADDRESS_MEM_TYPE_64 else 0)


@dataclass
class Bar:
    """One BAR as the device implements it: ``size`` bytes, a power of two; a 64-bit one takes two registers.

    Raises BadInput for a size that no register can express.
    """

    size: int
    io: bool = False
    mem64: bool = False
    prefetchable: bool = False
    address: int = 0

    def __post_init__(self) -> None:
        least, most = (4, 1 << 16) if self.io else (16, 1 << 63 if self.mem64 else 1 << 31)
        if self.size & (self.size - 1) or not least <= self.size <= most:
            raise BadInput(f"a BAR of {self.size} bytes; allowed: a power of two from {least} to {most}")
        if self.io and (self.mem64 or self.prefetchable):
            raise BadInput("an I/O BAR is neither 64-bit nor prefetchable")

    @property
    def low_bits(self) -> int:
        """The read-only low bits: space, width, prefetchable."""
        if self.io:
            return PCI_BASE_ADDRESS_SPACE_IO
        return (PCI_BASE_ADDRESS_MEM_TYPE_64 if self.mem64 else 0) | (
            PCI_BASE_ADDRESS_MEM_PREFETCH if self.prefetchable else 0
        )

    @property
    def slots(self) -> int:
        """Registers taken."""
        return 2 if self.mem64 else 1

    def read(self, half: int = 0) -> int:
        """The low or high (``half=1``) register."""
        return self.address >> 32 if half else self.address & ONES | self.low_bits

    def write(self, value: int, half: int = 0) -> None:
        """Write a register: only address bits above the size stick."""
        kept, new = (ONES, (value & ONES) << 32) if half else (~ONES, value & ONES)
        address = self.address & kept | new
        self.address = address & ~(self.size - 1) & ((1 << 64) - 1 if self.mem64 else ONES)


@dataclass
class ConfigSpace:
    """The part of a function's config space that has to do with addresses: the command register and six BARs."""

    bars: dict[int, Bar] = field(default_factory=dict)
    command: int = 0

    def __post_init__(self) -> None:
        taken = [index + half for index, bar in self.bars.items() for half in range(bar.slots)]
        if len(set(taken)) < len(taken) or any(not 0 <= slot < BARS for slot in taken):
            raise BadInput(f"BARs at {sorted(self.bars)}; allowed: 0 to 5, a 64-bit BAR takes the next one too")

    def read32(self, offset: int) -> int:
        """A config register; one that is not implemented reads zero."""
        if offset == PCI_COMMAND:
            return self.command
        bar, half = self._bar_at(offset)
        return bar.read(half) if bar else 0

    def write32(self, offset: int, value: int) -> None:
        """Write a config register."""
        if offset == PCI_COMMAND:
            self.command = value & 0xFFFF
        bar, half = self._bar_at(offset)
        if bar:
            bar.write(value, half)

    def _bar_at(self, offset: int) -> tuple[Bar | None, int]:
        index = (offset - PCI_BASE_ADDRESS_0) // 4
        if index in self.bars:
            return self.bars[index], 0
        below = self.bars.get(index - 1)
        return (below, 1) if below and below.mem64 else (None, 0)


def probe_bars(config: ConfigSpace) -> tuple[Resource, ...]:
    """What the kernel learns by sizing every BAR (``__pci_read_base``): decode off, ones, read back, restore."""
    command = config.read32(PCI_COMMAND)
    config.write32(PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
    found = []
    index = 0
    while index < BARS:
        resource = _probe(config, index)
        if resource:
            found.append(resource)
        index += 2 if resource and resource.mem64 else 1
    config.write32(PCI_COMMAND, command)
    return tuple(found)


def size_readback(config: ConfigSpace, index: int) -> tuple[int, ...]:
    """The register(s) of a BAR after all ones were written; the old value is restored."""
    offset = PCI_BASE_ADDRESS_0 + 4 * index
    wide = bool(index in config.bars and config.bars[index].mem64)
    offsets = (offset, offset + 4) if wide else (offset,)
    kept = [config.read32(o) for o in offsets]
    for o in offsets:
        config.write32(o, ONES)
    seen = tuple(config.read32(o) for o in offsets)
    for o, value in zip(offsets, kept, strict=True):
        config.write32(o, value)
    return seen


def size_from_readback(low: int, high: int = 0) -> int:
    """Bytes: mask the flag bits, the lowest bit left is the size (``pci_size``); 0 for a BAR that is not there.

    >>> size_from_readback(0xF000000C, 0xFFFFFFFF) >> 20
    256
    """
    wide = not low & PCI_BASE_ADDRESS_SPACE_IO and low & 0x6 == PCI_BASE_ADDRESS_MEM_TYPE_64
    mask = low & (IO_MASK if low & PCI_BASE_ADDRESS_SPACE_IO else MEM_MASK) | (high << 32 if wide else 0)
    return mask & -mask


def _probe(config: ConfigSpace, index: int) -> Resource | None:
    offset = PCI_BASE_ADDRESS_0 + 4 * index
    low = config.read32(offset)
    seen = size_readback(config, index)
    size = size_from_readback(*seen)
    if not size:
        return None
    flags = flag_bits(seen[0] & (0x3 if seen[0] & 1 else 0xF))
    high = config.read32(offset + 4) if len(seen) == 2 else 0
    start = low & (IO_MASK if flags & IORESOURCE_IO else MEM_MASK) | high << 32
    return Resource(index, start, start + size - 1, flags)
