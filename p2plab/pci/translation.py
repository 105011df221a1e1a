"""Bus addresses: what a device sends differs from the CPU's address where a host bridge translates (ARM, POWER).

``pci_bus_address`` and ``pcibios_resource_to_bus`` (drivers/pci/host-bridge.c): each window of a host bridge has an offset.
"""

from __future__ import annotations

from p2plab.core.errors import NotKnown
from p2plab.pci.hostids import x86
from p2plab.pci.machine import Machine
from p2plab.pci.resource import Resource


def bus_offset(machine: Machine, bdf: str, resource: Resource) -> int:
    """Bus address minus CPU address of one range of a function. Raises NotKnown where the source does not show it.

    It is read from the function's registers, from the windows of its host bridge, or from another function below the same
    host bridge; on x86 it is 0.
    """
    device = machine[bdf]
    if device.bus_offset is not None:
        return device.bus_offset
    bridge = machine.host_bridge_of(bdf)
    for window, offset in zip(bridge.windows, bridge.offsets, strict=False):
        if window.contains(resource):
            return offset
    if machine.cpu in ("intel", "zen") or x86(machine.devices):
        return 0
    same = {d.bus_offset for d in machine if d.host_bridge == device.host_bridge and d.bus_offset is not None}
    if len(same) == 1:
        return same.pop()
    raise NotKnown(
        f"the bus address of {device.bdf} {resource.name}",
        (f"how {device.host_bridge} translates: lspci -x beside -v, sysfs, or the boot messages (bus address [...])",),
    )
