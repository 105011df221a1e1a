"""Resizable BARs: which sizes a BAR offers, and a resize with the kernel's errors (drivers/pci/rebar.c, v6.12)."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class ResizableBar:
    """The control register of one BAR: ``sizes`` has bit n set for 2^n MiB, ``current`` is the n in force."""

    index: int
    sizes: int
    current: int

    @property
    def bytes_offered(self) -> tuple[int, ...]:
        """Every size offered, in bytes."""
        return tuple(MIB << code for code in range(44) if self.sizes >> code & 1)


def size_code(size: int) -> int:
    """``pci_rebar_bytes_to_size``: the n of 2^n MiB that holds ``size`` bytes.

    >>> [size_code(MIB << n) for n in (0, 6, 8, 13, 19)]
    [0, 6, 8, 13, 19]
    """
    return max((size - 1).bit_length(), 20) - 20
