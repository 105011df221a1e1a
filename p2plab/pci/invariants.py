"""What must hold for every layout of addresses: the model's own check of a machine, read or allocated."""

from __future__ import annotations

from collections.abc import Iterator

from p2plab.pci.allocate import Allocation, find_room
from p2plab.pci.bustree import Bus, bus_tree
from p2plab.pci.claim import claim_all
from p2plab.pci.kernel import LINUX_6_12, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.resource import IOV_FIRST, PREF_WINDOW, Resource
from p2plab.pci.space import Range
from p2plab.pci.windows import IO_STEP, MEM_STEP

FOUR_GIB = 1 << 32


def broken(machine: Machine) -> tuple[str, ...]:
    """Every broken promise as a sentence; empty for a sound layout.

    A BAR's size is a power of two and its address a multiple of it; windows start and end on their step; a BAR lies in
    a window of every bridge above it; no two BARs overlap, but a virtual function's lies in its VF BAR; behind a bridge a
    BAR that is not prefetchable lies below 4 GiB (drivers/pci/probe.c, setup-bus.c, iov.c). Ranges without address or size
    are left out.
    """
    return (*_aligned(machine), *_inside_windows(machine), *_apart(machine), *_inside_vf_bars(machine))


def unjust(allocation: Allocation, kernel: PciKernel = LINUX_6_12) -> tuple[str, ...]:
    """Refusals for which the finished layout has room after all; empty, as room only shrinks while addresses are given."""
    roots = bus_tree(allocation.machine)
    claim_all(roots, [])
    bus_of: dict[str, Bus] = {}
    todo = roots
    while todo:
        bus_of |= {node.device.bdf: bus for bus in todo for node in bus.nodes}
        todo = [below for bus in todo for below in bus.buses_below()]
    found = []
    for refusal in allocation.refused:
        wanted = Range(refusal.bdf, refusal.index, 0, refusal.size - 1, refusal.flags)
        if room := find_room(bus_of[refusal.bdf], wanted, refusal.size, refusal.align, kernel):
            found.append(f"{refusal}, yet {room[1]:#x} is free")
    return tuple(found)


def placed(resources: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """The resources with a known address and size that the device itself decodes."""
    return tuple(r for r in resources if r.sized and not r.unset and not r.shadow)


def _aligned(machine: Machine) -> Iterator[str]:
    for device in machine.devices:
        for found in placed(device.resources):
            if found.window:
                step = IO_STEP if found.io else MEM_STEP
                if found.start % step or (found.end + 1) % step:
                    yield f"{device.bdf}: {found} does not start and end on a step of {step:#x}"
            elif not (found.fixed or found.iov) and (found.size & (found.size - 1) or found.start % found.size):
                yield f"{device.bdf}: {found.name} {found} is not a power of two aligned to itself"


def _inside_windows(machine: Machine) -> Iterator[str]:
    for device in machine.devices:
        above = machine.parent(device.bdf)
        offers = placed(above.windows) if above else machine.host_bridge_of(device.bdf).windows
        if (above is None and not offers) or (
            above is not None and above.class_code is not None and above.class_code & 1
        ):
            continue
        where = above.bdf if above else device.host_bridge
        for found in placed(device.resources):
            if not any(_may_hold(offer, found) for offer in offers):
                yield f"{device.bdf}: {found.name} {found} lies in no window of {where}"
            if above and found.mem and not found.prefetchable and found.end >= FOUR_GIB:
                yield f"{device.bdf}: {found.name} {found} is not prefetchable, yet above 4 GiB behind a bridge"


def _may_hold(offer: Resource, found: Resource) -> bool:
    return offer.contains(found) and (found.prefetchable or offer.index != PREF_WINDOW)


def _apart(machine: Machine) -> Iterator[str]:
    """Neighbours in the order of addresses are enough: an overlap always shows between two of them."""
    for io in (False, True):
        for virtual in (False, True):  # a virtual function's BAR lies in the VF BAR of its physical function
            found = sorted(
                (r.start, r.end, device.bdf, r)
                for device in machine.devices
                for r in placed(device.resources)
                if not r.window and r.io is io and (device.physfn is not None) is virtual
            )
            reached, who = -1, ""
            for start, end, bdf, resource in found:
                if start <= reached:
                    yield f"{bdf}: {resource.name} {resource} overlaps {who}"
                if end > reached:
                    reached, who = end, f"{bdf} {resource.name}"


def _inside_vf_bars(machine: Machine) -> Iterator[str]:
    for device in machine.devices:
        physical = machine[device.physfn] if device.physfn is not None else None
        for found in placed(device.resources) if physical else ():
            whole = physical.resource(IOV_FIRST + found.index) if physical else None
            if whole is None or not whole.contains(found):
                yield f"{device.bdf}: {found.name} {found} does not lie in VF BAR {found.index} of {device.physfn}"
