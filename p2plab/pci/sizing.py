"""How big a bridge window must be, and how aligned: the sums of drivers/pci/setup-bus.c (v6.12, v7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

MIB = 1 << 20
#: 1 MiB to 128 TiB: the alignments that ``pbus_size_mem`` counts.
ORDERS = 28


def align_up(value: int, step: int) -> int:
    """``ALIGN``: the next multiple of a power of two."""
    return (value + step - 1) & -step


def calculate_mem_align(aligns: list[int], max_order: int) -> int:
    """The smallest window alignment that still lets everything be packed: often half of the biggest BAR or less.

    ``aligns[n]`` sums the sizes of the BARs aligned to 2^n MiB.

    >>> memory_sum((size, size) for size in (256 * MIB, 16 * MIB, 4096))
    (285216768, 134217728)
    """
    align = least = 0
    for order in range(max_order + 1):
        here = MIB << order
        if not align:
            least = here
        elif align_up(align + least, least) < here:
            least = here >> 1
        align += aligns[order]
    return least


def calculate_head_align(aligns: list[int], max_order: int) -> int:
    """The same for 7.3: the biggest alignment, halved for as long as smaller BARs fill the head of the window."""
    head, remainder = MIB << max_order, 0
    for order in range(max_order - 1, -1, -1):
        remainder += aligns[order]
        while head > MIB << order and remainder >= head // 2:
            head //= 2
            remainder -= head
    return head


def calculate_memsize(size: int, least: int, add: int, children_add: int, old: int, align: int) -> int:
    """``calculate_memsize``: the sum, or what is wished for if that is more, rounded up; ``least`` is a must."""
    return align_up(max(max(size, least, add) + children_add, 0 if old == 1 else old), align)


def calculate_iosize(small: int, large: int, least: int, add: int, children_add: int, old: int, align: int) -> int:
    """``calculate_iosize``: ports below 1 KiB may have to dodge ISA aliases, so they count four times per 256."""
    small = max(small, least)
    size = max((small & 0xFF) + ((small & ~0xFF) << 2) + large, 0 if old == 1 else old)
    return align_up(max(size, add) + children_add, align)


def memory_sum(
    wanted: Iterable[tuple[int, int]], window_align: Callable[[list[int], int], int] = calculate_mem_align
) -> tuple[int, int]:
    """(size, alignment) of a window for (size, alignment) of each range in it, before rounding up (``pbus_size_mem``)."""
    total, max_order, aligns = 0, 0, [0] * ORDERS
    for size, align in wanted:
        order = min(max((align & -align).bit_length() - MIB.bit_length(), 0), ORDERS - 1)
        total += max(size, align)
        if size <= align:
            aligns[order] += align
        max_order = max(max_order, order)
    return total, max(window_align(aligns, max_order), MIB)
