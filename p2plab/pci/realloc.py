"""``pci=realloc``, which the kernel also turns on by itself where VF BARs have no address (setup-bus.c, v6.12).

All tries but the last take what would be good to have as a must. After each, what failed is taken back to its size, and the
bridge windows above it are released: first those of leaf bridges only, later of whole subtrees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2plab.pci.bustree import Bus, BusNode
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_MEM_64,
    IORESOURCE_PREFETCH,
)
from p2plab.pci.space import Range

#: ``PCI_RES_TYPE_MASK``, and the low bits of a window's register.
TYPES = IORESOURCE_IO | IORESOURCE_MEM | IORESOURCE_PREFETCH | IORESOURCE_MEM_64
_KEPT = TYPES | 0xF


@dataclass(frozen=True)
class Failure:
    """A range that found no room in one try, as it was before (an entry of ``fail_head``)."""

    node: BusNode
    wanted: Range
    start: int
    end: int
    flags: int


def tries_for(root: Bus, asked: bool = False) -> int:
    """``pci_realloc_detect``: one more than there are levels of buses, if a VF BAR is unassigned; else one."""
    todo = [(root, 0)]
    deepest, unassigned = 0, asked
    while todo:
        bus, depth = todo.pop()
        deepest = max(deepest, depth)
        unassigned = unassigned or any(r.iov and r.flags and not r.start for node in bus.nodes for r in node.ranges)
        todo += [(below, depth + 1) for below in bus.buses_below()]
    return deepest + 1 if unassigned else 1


def prepare_next_try(failed: Iterable[Failure], whole_subtree: bool) -> None:
    """Release the windows above what failed, and give it its size back (``pci_bus_release_bridge_resources``)."""
    for failure in failed:
        _release_windows(failure.node.bus, failure.flags & TYPES, whole_subtree)
    for failure in failed:
        wanted = failure.wanted
        wanted.start, wanted.end = failure.start, failure.end
        wanted.flags = 0 if wanted.index >= IO_WINDOW else failure.flags


def _release_windows(bus: Bus, kind: int, whole_subtree: bool) -> None:
    below = bus.buses_below()
    if whole_subtree:
        for inner in below:
            _release_windows(inner, kind, whole_subtree)
    if bus.bridge is not None and (whole_subtree or not below):
        _release_window(_window_for(bus, kind))


def _window_for(bus: Bus, kind: int) -> Range:
    """``pci_bridge_release_resources``: the window in which a range of that kind would have had its place."""
    io, memory, pref = bus.offers[:3]
    if kind & IORESOURCE_IO:
        return io
    if not kind & IORESOURCE_PREFETCH:
        return memory
    wide = bool(pref.flags & IORESOURCE_MEM_64)
    return pref if (wide and kind & IORESOURCE_MEM_64) or (not wide and pref.flags & IORESOURCE_PREFETCH) else memory


def _release_window(window: Range) -> None:
    """The old size is kept: the window will be at least as big."""
    if window.parent is None:
        return
    _release_children(window)
    window.release()
    window.start, window.end, window.flags = 0, window.size - 1, window.flags & _KEPT


def _release_children(holder: Range) -> None:
    for child in holder.children:
        _release_children(child)
        child.parent = None
        child.start, child.end = 0, child.size - 1
    holder.children.clear()
