"""A machine laid out for giving addresses: buses, the ranges each offers, and the functions on them, all mutable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from p2plab.pci.device import Device
from p2plab.pci.draft import SUBTRACTIVE
from p2plab.pci.machine import Machine
from p2plab.pci.resource import (
    IO_WINDOW,
    IORESOURCE_PCI_FIXED,
    IORESOURCE_STARTALIGN,
    MEM_WINDOW,
    PREF_WINDOW,
    Resource,
)
from p2plab.pci.space import Range
from p2plab.pci.sriov import place_virtual_functions, vf_bar_unit

WINDOWS = (IO_WINDOW, MEM_WINDOW, PREF_WINDOW)


@dataclass(eq=False)
class BusNode:
    """One function; ``bus`` offers room for its BARs, ``below`` is the bus behind a bridge."""

    device: Device
    bus: Bus
    ranges: list[Range]
    below: Bus | None = None


@dataclass(eq=False)
class Bus:
    """A bus: the ranges it offers in the kernel's order, and the functions on it.

    A bridge's io, mem and pref window come first; behind one that passes everything on, what the bus above offers too.
    """

    bridge: BusNode | None
    offers: list[Range]
    nodes: list[BusNode] = field(default_factory=list)

    def buses_below(self) -> list[Bus]:
        """The bus behind each bridge on this one, in order."""
        return [node.below for node in self.nodes if node.below is not None]


def bus_tree(machine: Machine) -> list[Bus]:
    """One root bus per host bridge, everything hung below; functions of a bus in the order the kernel found them."""
    roots = []
    for bridge in machine.host_bridges:
        root = Bus(None, [Range.of(bridge.name, window) for window in bridge.windows])
        roots.append(root)
        todo = [(root, machine.on_root_bus(bridge.name))]
        while todo:
            bus, devices = todo.pop()
            for device in devices:
                node = BusNode(device, bus, list(_ranges(device)))
                bus.nodes.append(node)
                if device.is_bridge:
                    node.below = _below(node)
                    inside = machine.children(device.bdf)
                    todo.append((node.below, tuple(sorted(inside, key=lambda d: (d.slot, d.function)))))
    return roots


def alignment(found: Range) -> int:
    """``pci_resource_alignment``: a window's is in its start while it waits for a place, a BAR's is its size.

    A VF BAR's is the size of one virtual function's share.
    """
    return found.start if found.flags & IORESOURCE_STARTALIGN else found.unit or found.size


def with_ranges(machine: Machine, roots: list[Bus]) -> Machine:
    """The machine with the ranges that have a place; the others are gone. Virtual functions follow their VF BARs."""
    placed: dict[str, tuple[Resource, ...]] = {}
    todo = list(roots)
    while todo:
        bus = todo.pop()
        for node in bus.nodes:
            kept = [r for r in node.ranges if r.parent is not None or r.flags & IORESOURCE_PCI_FIXED]
            placed[node.device.bdf] = tuple(sorted(r.frozen() for r in kept))
        todo += bus.buses_below()
    devices = (replace(d, resources=placed.get(d.bdf, d.resources)) for d in machine.devices)
    return replace(machine, devices=tuple(place_virtual_functions(devices)))


def _ranges(device: Device) -> Iterator[Range]:
    """The resources of a function that need a place: none of a virtual one, whose BARs are shares of a VF BAR."""
    for found in device.resources if device.physfn is None else ():
        if found.sized:
            wanted = Range.of(device.bdf, found)
            wanted.unit = vf_bar_unit(device, found) if found.iov else 0
            yield wanted


def _below(node: BusNode) -> Bus:
    have = {r.index: r for r in node.ranges}
    for index in WINDOWS:
        if index not in have:
            have[index] = Range(node.device.bdf, index, 0, 0, 0)
            node.ranges.append(have[index])
    passes_on = node.device.class_code is not None and node.device.class_code & 0xFF == SUBTRACTIVE
    offers = [have[index] for index in WINDOWS] + (node.bus.offers if passes_on else [])
    return Bus(node, offers)
