"""What the ids of host bridges tell of the CPU: since memory controllers moved into it, the host bridge is a part of it.

Sources: ``amd_root_ids`` in arch/x86/kernel/amd_nb.c and drivers/hwmon/k10temp.c (v6.12), pci.ids.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2plab.pci.device import Device
from p2plab.pci.kernel import INTEL

AMD = 0x1022
#: Root complexes of AMD's families 0x17 (Zen) and later; all of these CPUs pass ``cpu_supports_p2pdma``.
ZEN_ROOTS = frozenset(
    {
        *(0x1450, 0x1480, 0x15D0, 0x1630, 0x1645),  # family 17h: Zeppelin, Starship/Matisse, Raven, Renoir, Van Gogh
        *(0x14A4, 0x14B5, 0x14D8, 0x14E8, 0x14BB, 0x14F8),  # 19h: Genoa, Rembrandt, Raphael, Phoenix, MI200, MI300
        *(0x153A, 0x1507, 0x1122),  # 1Ah: Turin, Strix, Krackan
    }
)
#: Host bridges of chipsets that hypervisors emulate: a guest's CPU may be anybody's.
EMULATED = frozenset({0x1237, 0x29C0, 0x7190, 0x7192, 0x1275, 0x0D57})


def cpu_by_host_bridge(devices: Iterable[Device]) -> str | None:
    """``zen`` or ``intel`` where the host bridges' ids tell; ``None`` where they do not, or contradict each other."""
    found = {told for device in devices if (told := _told(device)) is not None}
    return found.pop() if len(found) == 1 else None


def _told(device: Device) -> str | None:
    if not device.is_host_bridge or (device.bus != 0 and device.parent is not None):
        return None
    if device.vendor == AMD and device.device in ZEN_ROOTS:
        return "zen"
    if device.vendor == INTEL and device.device not in EMULATED and device.device is not None:
        return "intel"
    return None


#: Vendors whose host bridges are found in x86 machines only: Intel, AMD, Hygon, VIA, Zhaoxin, VMware.
X86_VENDORS = frozenset({INTEL, AMD, 0x1D94, 0x1106, 0x1D17, 0x15AD})


def x86(devices: Iterable[Device]) -> bool:
    """A host bridge of an x86 machine is among the functions: there bus addresses are CPU addresses."""
    names = ("Intel Corporation", "Advanced Micro Devices", "VMware")
    return any(d.is_host_bridge and (d.vendor in X86_VENDORS or d.name.startswith(names)) for d in devices)
