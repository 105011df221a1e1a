"""Resizing a BAR: release, re-assign the windows above, or have everything back as it was (drivers/pci/rebar.c)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2plab.core.errors import KernelError, NotKnown
from p2plab.pci.allocate import assign_resources
from p2plab.pci.device import Device
from p2plab.pci.machine import HostBridge, Machine
from p2plab.pci.reach import ACS_MISSING
from p2plab.pci.rebar import ResizableBar, size_code
from p2plab.pci.resource import IORESOURCE_UNSET, IORESOURCE_WINDOW, Resource

RANGES_MISSING = "the boot messages (--dmesg) or /proc/iomem read by root (--iomem)"


def rebar_of(device: Device, index: int) -> ResizableBar:
    """The control register of a BAR (``pci_rebar_find_pos``). Raises KernelError ENOTSUPP, ENOENT; NotKnown."""
    if not device.rebar and not device.acs_shown:
        raise NotKnown(f"whether BARs of {device.bdf} can be resized", (f"its capabilities: {ACS_MISSING}",))
    if not device.rebar:
        raise KernelError("ENOTSUPP", f"{device.bdf} has no Resizable BAR capability")
    found = next((entry for entry in device.rebar if entry.index == index), None)
    if found is None:
        able = ", ".join(str(entry.index) for entry in device.rebar)
        raise KernelError("ENOENT", f"BAR {index} of {device.bdf} cannot be resized; those that can: {able}")
    return found


def with_decode(machine: Machine, bdf: str, on: bool) -> Machine:
    """The same machine with the memory decode bit of a function's command register on or off."""
    return machine.with_device(replace(machine[bdf], memory_decode=on))


def resize_bar(machine: Machine, bdf: str, index: int, size: int, release: tuple[int, ...] = ()) -> Machine:
    """``pci_resize_resource``: the machine with BAR ``index`` of ``size`` bytes; BARs in ``release`` may move too.

    Windows above grow only while nothing else is in them; a smaller BAR always has room, where the larger one was. Raises
    KernelError EBUSY (decode is on), ENOTSUPP, ENOENT, EINVAL (size not offered), ENOSPC (no room); NotKnown where that
    depends on ranges of the host bridge that are not shown. The machine given is a value: after an error it is the old
    one, whole.
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
    asked = machine.with_device(replace(device, resources=(*moved, *device.windows), rebar=rebar))
    for bridge, window in _free_windows(asked, device, old):
        kept = tuple(r for r in bridge.resources if r != window)
        asked = asked.with_device(replace(bridge, resources=kept))
    bridge_known = any(w.mem for w in machine.host_bridge_of(device.bdf).windows)
    if bridge_known:
        done = assign_resources(asked).machine
        if not _lost(machine, done, device, index):
            return done
    if old.start and not old.unset and size <= old.size:
        return machine.with_device(_smaller(device, old, size, rebar))
    if not bridge_known:
        inside = _inside_what_is_open(machine, device, index, moved, rebar)
        if inside is not None:
            return inside
        raise NotKnown(
            f"whether {size >> 20} MiB fit for BAR {index} of {device.bdf}",
            (f"the address ranges of {device.host_bridge}: {RANGES_MISSING}",),
        )
    raise KernelError("ENOSPC", f"no room for {size >> 20} MiB of BAR {index} of {device.bdf}; the old size is back")


def _smaller(device: Device, old: Resource, size: int, rebar: tuple[ResizableBar, ...]) -> Device:
    kept = tuple(replace(r, end=old.start + size - 1) if r == old else r for r in device.resources)
    return replace(device, resources=kept, rebar=rebar)


def _inside_what_is_open(
    machine: Machine, device: Device, index: int, moved: tuple[Resource, ...], rebar: tuple[ResizableBar, ...]
) -> Machine | None:
    """The machine with the BAR in a window of the bridge above as it is, if it fits there; host bridges are not asked."""
    above = machine.parent(device.bdf)
    if above is None:
        return None
    offers = tuple(replace(w, index=16 + n, flags=w.flags | IORESOURCE_WINDOW) for n, w in enumerate(above.windows))
    inside = machine.children(above.bdf)
    bus = tuple(
        replace(
            d, parent=None, host_bridge="pci0000:00", resources=(*moved, *d.windows) if d is device else d.resources
        )
        for d in inside
        if not d.is_bridge
    )
    if len(bus) < len(inside):
        return None
    done = assign_resources(Machine("one bus", bus, (HostBridge("pci0000:00", offers),))).machine
    if _lost(Machine("before", bus), done, device, index):
        return None
    return machine.with_device(replace(device, resources=done[device.bdf].resources, rebar=rebar))


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


def _lost(before: Machine, after: Machine, resized: Device, index: int) -> bool:
    """Some memory range that had a place has none any more, or the BAR has none."""
    for device in before:
        placed = {r.index for r in after[device.bdf].resources if not r.unset}
        had = {r.index for r in device.resources if r.mem and not r.unset and r.sized}
        if had - placed or (device.bdf == resized.bdf and index not in placed):
            return True
    return False
