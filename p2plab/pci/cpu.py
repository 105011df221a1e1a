"""What is known of the CPU, which decides whether a host bridge may be crossed.

The ids of a host bridge tell it, too: since memory controllers moved into the CPU, the host bridge is a part of it.

Sources: ``amd_root_ids`` in arch/x86/kernel/amd_nb.c and drivers/hwmon/k10temp.c (v6.12), pci.ids.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2plab.pci.device import Device
from p2plab.pci.kernel import INTEL


def cpu_kind(text: str) -> str | None:
    """``intel``, ``zen`` or ``other`` from a CPU's model name or a recording's key; ``None`` for an empty text.

    Only AMD of family 0x17 (Zen) or later counts as ``zen`` (drivers/pci/p2pdma.c, cpu_supports_p2pdma); the model
    names of that family and its successors are EPYC, Ryzen, and Threadripper (inferred from AMD's naming).
    """
    low = text.lower()
    if not low.strip():
        return None
    if "intel" in low:
        return "intel"
    return "zen" if any(word in low for word in ("zen", "epyc", "ryzen", "threadripper")) else "other"


def cpu_of(cpuinfo: str) -> str | None:
    """``intel``, ``zen`` (AMD, family 0x17 or later) or ``other`` from /proc/cpuinfo; ``None`` if it does not say.

    >>> cpu_of("vendor_id : AuthenticAMD\\ncpu family : 25")
    'zen'
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines()[:40]:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    vendor, family = fields.get("vendor_id"), fields.get("cpu family", "")
    if not cpuinfo.strip():
        return None
    if vendor == "GenuineIntel":
        return "intel"
    return "zen" if vendor == "AuthenticAMD" and family.isdecimal() and int(family[:6]) >= 0x17 else "other"


AMD = 0x1022
#: Root complexes of AMD's families 0x17 (Zen) and later; all of these CPUs pass ``cpu_supports_p2pdma``.
ZEN_ROOTS = frozenset(
    {
        *(0x1450, 0x1480, 0x15D0, 0x1630, 0x1645),  # family 17h: Zeppelin, Starship/Matisse, Raven, Renoir, Van Gogh
        *(0x14A4, 0x14B5, 0x14D8, 0x14E8, 0x14BB, 0x14F8),  # 19h: Genoa, Rembrandt, Raphael, Phoenix, MI200, MI300
        *(0x153A, 0x1507, 0x1122),  # 1Ah: Turin, Strix, Krackan
    }
)
#: Host bridges of chipsets that hypervisors emulate: a guest's CPU may be any.
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


#: Host bridges of Intel's client CPUs, Sandy Bridge to Lunar Lake, by ranges of ids (pci.ids, "Host Bridge/DRAM Registers").
_CLIENT = (
    *((0x0100, 0x010C), (0x0150, 0x015C), (0x0A00, 0x0A0C), (0x0C00, 0x0C0C), (0x1600, 0x161F), (0x1900, 0x191F)),
    *((0x3E00, 0x3EDF), (0x4600, 0x467F), (0x4C40, 0x4C5F), (0x5900, 0x591F), (0x6400, 0x640F), (0x7D00, 0x7D3F)),
    *((0x9A00, 0x9A7F), (0x9B00, 0x9B7F), (0xA700, 0xA77F), (0xAE00, 0xAE3F)),
)


def intel_client(device: Device) -> bool:
    """The host bridge of a client CPU of Intel."""
    if device.vendor != INTEL or device.device is None or not device.is_host_bridge:
        return False
    return any(first <= device.device <= last for first, last in _CLIENT)
