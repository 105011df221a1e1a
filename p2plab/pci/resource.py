"""One address range of a device, spelled as the kernel spells it: a BAR, a ROM, a bridge window, a root window."""

from __future__ import annotations

from dataclasses import dataclass

# include/linux/ioport.h; the low byte repeats the flag bits of the config register (include/uapi/linux/pci_regs.h).
IORESOURCE_IO = 0x0000_0100
IORESOURCE_MEM = 0x0000_0200
IORESOURCE_PREFETCH = 0x0000_2000
IORESOURCE_SIZEALIGN = 0x0004_0000
IORESOURCE_STARTALIGN = 0x0008_0000
IORESOURCE_MEM_64 = 0x0010_0000
IORESOURCE_WINDOW = 0x0020_0000
IORESOURCE_UNSET = 0x2000_0000
IORESOURCE_PCI_FIXED = 0x10
IORESOURCE_ROM_ENABLE = 0x01
IORESOURCE_ROM_SHADOW = 0x02

#: Index of the expansion ROM and of a bridge's windows in ``pci_dev->resource`` (kernel with CONFIG_PCI_IOV).
ROM = 6
IOV_FIRST, IOV_LAST = 7, 12
IO_WINDOW, MEM_WINDOW, PREF_WINDOW = 13, 14, 15
_WINDOW_NAMES = {IO_WINDOW: "io window", MEM_WINDOW: "mem window", PREF_WINDOW: "pref window"}


@dataclass(frozen=True, order=True)
class Resource:
    """Bytes ``start``…``end`` (both included) claimed by one register; addresses are CPU physical addresses.

    ``index`` is the kernel's: 0–5 BARs, 6 ROM, 7–12 SR-IOV, 13/14/15 a bridge's io/mem/pref window. ``sized`` is false
    where the source shows the address but not the size (``lspci -x`` without ``-v``).

    >>> Resource(2, 0xD0000000, 0xDFFFFFFF, 0x14220C)
    Resource(index=2, start=0xd0000000, end=0xdfffffff, flags=0x14220c)
    >>> str(Resource(2, 0xD0000000, 0xDFFFFFFF, 0x14220C))
    '[mem 0xd0000000-0xdfffffff 64bit pref]'
    """

    index: int
    start: int
    end: int
    flags: int
    sized: bool = True

    def __repr__(self) -> str:
        unsized = "" if self.sized else ", sized=False"
        return f"Resource(index={self.index}, start={self.start:#x}, end={self.end:#x}, flags={self.flags:#x}{unsized})"

    @property
    def size(self) -> int:
        """Bytes; 0 where the source does not show it."""
        return self.end - self.start + 1 if self.sized else 0

    @property
    def io(self) -> bool:
        """An I/O port range."""
        return bool(self.flags & IORESOURCE_IO)

    @property
    def mem(self) -> bool:
        """A memory range."""
        return bool(self.flags & IORESOURCE_MEM)

    @property
    def mem64(self) -> bool:
        """The register holds 64 address bits."""
        return bool(self.flags & IORESOURCE_MEM_64)

    @property
    def prefetchable(self) -> bool:
        """Reads have no side effects."""
        return bool(self.flags & IORESOURCE_PREFETCH)

    @property
    def rom(self) -> bool:
        """The expansion ROM."""
        return self.index == ROM

    @property
    def bar(self) -> bool:
        """One of the six BARs."""
        return 0 <= self.index < ROM

    @property
    def window(self) -> bool:
        """A window of a bridge or of a host bridge: addresses passed on, not decoded."""
        return self.index in _WINDOW_NAMES or bool(self.flags & IORESOURCE_WINDOW)

    @property
    def unset(self) -> bool:
        """The kernel knows the size but found no address (``IORESOURCE_UNSET``)."""
        return bool(self.flags & IORESOURCE_UNSET)

    @property
    def fixed(self) -> bool:
        """Cannot be moved (``IORESOURCE_PCI_FIXED``: the legacy ports of an IDE controller, for one)."""
        return bool(self.flags & IORESOURCE_PCI_FIXED)

    @property
    def enabled_rom(self) -> bool:
        """A ROM whose enable bit is set; otherwise it decodes nothing."""
        return self.rom and bool(self.flags & IORESOURCE_ROM_ENABLE)

    @property
    def shadow(self) -> bool:
        """A ROM of which the firmware keeps a copy in RAM: the device itself does not answer there."""
        return self.rom and bool(self.flags & IORESOURCE_ROM_SHADOW)

    @property
    def iov(self) -> bool:
        """A VF BAR: room for the BARs of all the virtual functions that there can be (SR-IOV)."""
        return IOV_FIRST <= self.index <= IOV_LAST

    @property
    def name(self) -> str:
        """``BAR 2``, ``ROM``, ``pref window``, as a person says it."""
        if self.bar:
            return f"BAR {self.index}"
        if self.rom:
            return "ROM shadow" if self.shadow else "ROM"
        if self.iov:
            return f"VF BAR {self.index - IOV_FIRST}"
        return _WINDOW_NAMES.get(self.index, "root window")

    def contains(self, other: Resource) -> bool:
        """All of ``other`` lies inside, in the same space (kernel: ``resource_contains``)."""
        same_space = (self.flags ^ other.flags) & (IORESOURCE_IO | IORESOURCE_MEM) == 0
        return same_space and not self.unset and not other.unset and self.start <= other.start and other.end <= self.end

    def holds(self, address: int, io: bool = False) -> bool:
        """``address`` (a port number when ``io``) lies inside; never true for a range without address or size."""
        return self.sized and not self.unset and self.io is io and self.start <= address <= self.end

    def __str__(self) -> str:
        """As the kernel's ``%pR`` prints it (lib/vsprintf.c, resource_string)."""
        kind = "io " if self.io else "mem"
        digits = 4 if self.io else 8
        if self.unset:
            where = f"size {self.size:#0{digits + 2}x}"
        elif not self.sized:
            where = f"{self.start:#0{digits + 2}x} size not shown"
        else:
            where = f"{self.start:#0{digits + 2}x}-{self.end:#0{digits + 2}x}"
        marks = ((self.mem64, "64bit"), (self.prefetchable, "pref"), (bool(self.flags & IORESOURCE_WINDOW), "window"))
        return " ".join([f"[{kind}", where, *(text for on, text in marks if on)]) + "]"
