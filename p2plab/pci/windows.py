"""Bridge windows as registers: memory in 1 MiB steps, I/O in 4 KiB steps (drivers/pci/setup-bus.c and probe.c)."""

from __future__ import annotations

from p2plab.core.errors import BadInput
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PREFETCH,
    MEM_WINDOW,
    PREF_WINDOW,
    Resource,
)

MEM_STEP, IO_STEP = 1 << 20, 1 << 12
#: What the kernel writes to close a memory window: base above limit (``pci_setup_bridge_mmio``).
CLOSED = 0x0000_FFF0
#: The low four bits of a base register: 1 means 64 address bits (pref) or 32 (I/O).
WIDE = 0x1


def encode_memory(start: int, end: int) -> int:
    """The base/limit register (low 32 bits) of a memory window. Raises BadInput off a 1 MiB step.

    >>> hex(encode_memory(0xE0000000, 0xEFFFFFFF))
    '0xeff0e000'
    """
    if start % MEM_STEP or (end + 1) % MEM_STEP or start > end:
        raise BadInput(f"{start:#x}-{end:#x}: a memory window starts and ends on a 1 MiB step")
    return (start >> 16) & 0xFFF0 | (end & 0xFFF0_0000)


def decode_memory(register: int) -> Resource | None:
    """The non-prefetchable window of a base/limit register; ``None`` if closed.

    >>> decode_memory(0xE000E000)
    Resource(index=14, start=0xe0000000, end=0xe00fffff, flags=0x200)
    """
    start, end = (register & 0xFFF0) << 16, register & 0xFFF0_0000 | MEM_STEP - 1
    return Resource(MEM_WINDOW, start, end, IORESOURCE_MEM) if start <= end else None


def decode_prefetchable(register: int, base_upper: int = 0, limit_upper: int = 0) -> Resource | None:
    """The prefetchable window of its three registers; ``None`` if closed (``pci_read_bridge_mmio_pref``)."""
    start, end = (register & 0xFFF0) << 16, register & 0xFFF0_0000 | MEM_STEP - 1
    flags = IORESOURCE_MEM | IORESOURCE_PREFETCH | register & 0xF
    if register & 0xF == WIDE:
        start, end, flags = start | base_upper << 32, end | limit_upper << 32, flags | IORESOURCE_MEM_64
    return Resource(PREF_WINDOW, start, end, flags) if start <= end else None


def decode_io(base: int, limit: int, base_upper: int = 0, limit_upper: int = 0) -> Resource | None:
    """The I/O window of its 8-bit registers and their upper halves; ``None`` if closed (``pci_read_bridge_io``)."""
    start, end = (base & 0xF0) << 8, (limit & 0xF0) << 8 | IO_STEP - 1
    if base & 0xF == WIDE:
        start, end = start | base_upper << 16, end | limit_upper << 16
    return Resource(IO_WINDOW, start, end, IORESOURCE_IO | base & 0xF) if start <= end else None
