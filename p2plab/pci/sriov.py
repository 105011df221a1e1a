"""Virtual functions (SR-IOV): each has a share of the VF BARs of its physical function, and no BAR registers.

``sriov_init`` sizes a VF BAR for all the VFs that there can be, ``pci_iov_add_virtfn`` gives VF number n the n-th part of it as
its BAR, a child of the VF BAR (drivers/pci/iov.c, v6.12).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from p2plab.pci.device import Device, split_bdf
from p2plab.pci.resource import IOV_FIRST, Resource


def with_virtual_functions(devices: tuple[Device, ...], totals: Mapping[str, int] | None = None) -> tuple[Device, ...]:
    """The functions with ``physfn`` set on virtual ones, whose BAR lies in the VF BAR of another function.

    ``totals`` are the numbers of VFs that physical functions can have, by bdf, where they are shown; elsewhere they follow from
    the sizes of a VF BAR and of a VF's BAR.
    """
    totals = totals or {}
    vf_bars = [(d.bdf, r) for d in devices for r in d.resources if r.iov and r.sized and not r.unset]
    owner: dict[str, str] = {}
    counted: dict[str, int] = {}
    for device in devices if vf_bars else ():
        for bar in device.bars:
            physical = next((bdf for bdf, r in vf_bars if bdf != device.bdf and _part_of(bar, r)), None)
            if physical is not None:
                owner[device.bdf] = physical
                whole = next(r for bdf, r in vf_bars if bdf == physical and _part_of(bar, r))
                counted.setdefault(physical, whole.size // bar.size)
    if not (owner or totals):
        return devices
    return tuple(replace(d, physfn=owner.get(d.bdf), vfs=totals.get(d.bdf, counted.get(d.bdf, d.vfs))) for d in devices)


def place_virtual_functions(devices: Iterable[Device]) -> Iterator[Device]:
    """The functions with the BARs of virtual ones where the VF BARs of their physical functions put them."""
    known = {device.bdf: device for device in devices}
    below: dict[str, list[Device]] = {}
    for device in known.values():
        if device.physfn is not None and device.physfn in known:
            below.setdefault(device.physfn, []).append(device)
    for physical, virtual in below.items():
        virtual.sort(key=lambda device: split_bdf(device.bdf))
        for number, device in enumerate(virtual):
            known[device.bdf] = replace(device, resources=tuple(_share(known[physical], number)))
    return iter(known.values())


def vf_bar_unit(device: Device, resource: Resource) -> int:
    """Bytes of one VF's share of a VF BAR, which is also its alignment (``pci_iov_resource_size``)."""
    return resource.size // device.vfs if device.vfs else resource.size


def _share(physical: Device, number: int) -> Iterator[Resource]:
    for found in physical.resources:
        if found.iov and found.sized and not found.unset:
            unit = vf_bar_unit(physical, found)
            start = found.start + number * unit
            if start + unit - 1 <= found.end:
                yield Resource(found.index - IOV_FIRST, start, start + unit - 1, found.flags)


def _part_of(bar: Resource, vf_bar: Resource) -> bool:
    return bar.index == vf_bar.index - IOV_FIRST and bar.sized and vf_bar.contains(bar)
