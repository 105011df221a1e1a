"""Resizing a BAR: release, re-assign the windows above, or have everything back as it was (drivers/pci/rebar.c)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2plab.core.errors import KernelError
from p2plab.pci.allocate import assign_resources
from p2plab.pci.device import Device
from p2plab.pci.machine import Machine
from p2plab.pci.rebar import ResizableBar, size_code
from p2plab.pci.resource import IORESOURCE_IO, IORESOURCE_UNSET, Resource


def rebar_of(device: Device, index: int) -> ResizableBar:
    """The control register of a BAR (``pci_rebar_find_pos``). Raises KernelError ENOTSUPP, ENOENT."""
    if not device.rebar:
        raise KernelError("ENOTSUPP", f"{device.bdf} has no Resizable BAR capability")
    found = next((entry for entry in device.rebar if entry.index == index), None)
    if found is None:
        able = ", ".join(str(entry.index) for entry in device.rebar)
        raise KernelError("ENOENT", f"BAR {index} of {device.bdf} cannot be resized; those that can: {able}")
    return found


def with_decode(machine: Machine, bdf: str, on: bool) -> Machine:
    """The same machine with the memory decode bit of a function's command register on or off."""
    return _with(machine, replace(machine[bdf], memory_decode=on))


def resize_bar(machine: Machine, bdf: str, index: int, size: int, release: tuple[int, ...] = ()) -> Machine:
    """``pci_resize_resource``: the machine with BAR ``index`` of ``size`` bytes; BARs in ``release`` may move too.

    Windows above grow only while nothing else is in them. Raises KernelError EBUSY (decode is on), ENOTSUPP, ENOENT,
    EINVAL (size not offered), ENOSPC (no room). The machine given is a value: after an error it is the old one, whole.
    """
    device = machine[bdf]
    if device.memory_decode:
        raise KernelError("EBUSY", f"memory decode of {device.bdf} is on; switch it off first")
    entry = rebar_of(device, index)
    if size <= 0 or size not in entry.bytes_offered:
        offered = ", ".join(f"{n >> 20} MiB" for n in entry.bytes_offered)
        raise KernelError("EINVAL", f"{size:#x} bytes for BAR {index} of {device.bdf}; offered: {offered}")
    old = device.resource(index)
    if old is None:
        raise KernelError("ENOENT", f"BAR {index} of {device.bdf} is not in use")
    code = size_code(size)
    moved = tuple(
        _unplaced(r, size if r.index == index else r.size) if r.index in (index, *release) else r
        for r in device.resources
        if not r.window
    )
    rebar = tuple(replace(e, current=code) if e.index == index else e for e in device.rebar)
    asked = _with(machine, replace(device, resources=(*moved, *device.windows), rebar=rebar))
    for bridge, window in _free_windows(asked, device, old):
        kept = tuple(r for r in bridge.resources if r != window)
        asked = _with(asked, replace(bridge, resources=kept))
    done = assign_resources(asked).machine
    if {r.index for r in done[bdf].resources} != {r.index for r in device.resources} or _lost(machine, done):
        raise KernelError(
            "ENOSPC", f"no room for {size >> 20} MiB of BAR {index} of {device.bdf}; the old size is back"
        )
    return done


def _unplaced(found: Resource, size: int) -> Resource:
    return Resource(found.index, 0, size - 1, found.flags | IORESOURCE_UNSET)


def _free_windows(machine: Machine, device: Device, bar: Resource) -> Iterator[tuple[Device, Resource]]:
    """The windows the BAR lay in, from the nearest up, as long as nothing else lies in them."""
    inner = bar
    below = device.bdf
    for bridge in machine.path_up(device.bdf)[1:]:
        window = next((w for w in bridge.windows if w.contains(inner)), None)
        if window is None:
            return
        others = (
            r for child in machine.children(bridge.bdf) for r in child.resources if (child.bdf, r) != (below, inner)
        )
        if any(window.contains(r) for r in others if not r.unset):
            return
        yield bridge, window
        inner, below = window, bridge.bdf


def _lost(before: Machine, after: Machine) -> bool:
    """Some memory range of before has no place any more."""
    return any(
        {r.index for r in device.resources if not r.flags & IORESOURCE_IO}
        - {r.index for r in after[device.bdf].resources}
        for device in before
    )


def _with(machine: Machine, changed: Device) -> Machine:
    return replace(machine, devices=tuple(changed if d.bdf == changed.bdf else d for d in machine.devices))
