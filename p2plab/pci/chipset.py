"""What is known of the parts around PCI: which CPU it is, and whether an IOMMU translates."""

from __future__ import annotations

from typing import Any

from p2plab.pci.device import Device


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


def iommu_in_use(cmdline: str, devices: tuple[Device, ...] = (), qemu_args: Any = None) -> bool | None:
    """Whether an IOMMU translates, by boot options, emulated hardware and iommu groups; ``None`` if nothing is shown.

    Intel's must be asked for (``intel_iommu=on``), AMD's is on by default; ``iommu=pt`` maps one to one
    (Documentation/admin-guide/kernel-parameters.txt).
    """
    options = [word.partition("=") for word in cmdline.split()]
    said = {name: value.split(",") for name, _, value in options}
    emulated = " ".join(map(str, qemu_args)) if isinstance(qemu_args, list) else None
    if "pt" in said.get("iommu", []) or "off" in said.get("amd_iommu", []) or "off" in said.get("iommu", []):
        return False
    if emulated is not None:
        asked = "on" in said.get("intel_iommu", []) and "intel-iommu" in emulated
        return asked or "amd-iommu" in emulated or "virtio-iommu" in emulated
    if "on" in said.get("intel_iommu", []) or any(device.iommu_group is not None for device in devices):
        return True
    return False if cmdline else None


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
