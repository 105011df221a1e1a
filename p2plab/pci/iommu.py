"""Whether there is an IOMMU that asks for ACS, and whether it translates: two questions with two answers.

When the kernel finds an IOMMU, it asks for ACS at every port, whatever happens afterwards: ``pci_request_acs`` is called by
``detect_intel_iommu`` (drivers/iommu/intel/dmar.c) and ``detect_ivrs`` (drivers/iommu/amd/init.c), the latter before
``amd_iommu=off`` is looked at. Whether addresses are translated depends on the default domain type:
``iommu=pt`` (arch/x86/kernel/pci-dma.c) and ``iommu.passthrough=1`` (drivers/iommu/iommu.c) are the same. Sources: v6.12, v7.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from p2plab.pci.device import Device

INTEL, AMD, VIRTIO = "intel-iommu", "amd-iommu", "virtio-iommu"
_DOMAIN = "iommu: Default domain type: "


@dataclass(frozen=True)
class IommuState:
    """What is known of a machine's IOMMU; each is ``None`` where nothing is shown."""

    requests_acs: bool | None  #: it was found, and asked for ACS at every port
    translates: bool | None  #: devices get IOVAs; false also where it maps one to one


@dataclass(frozen=True)
class Options:
    """What a kernel command line says of IOMMUs; each is ``None`` where it says nothing. The last word counts."""

    off: bool = False  #: ``iommu=off``
    intel: bool | None = None  #: ``intel_iommu=on`` or ``off``
    amd_off: bool = False  #: ``amd_iommu=off``
    passthrough: bool | None = None

    @property
    def said(self) -> bool:
        """There is a word about IOMMUs."""
        return self != Options()


def iommu_options(cmdline: str) -> Options:
    """Read ``iommu=``, ``intel_iommu=``, ``amd_iommu=`` and ``iommu.passthrough=``."""
    found = Options()
    for word in cmdline.split():
        name, _, value = word.partition("=")
        for part in value.split(","):
            if name == "iommu" and part.startswith(("off", "pt", "nopt")):
                found = replace(found, off=True) if part[:3] == "off" else replace(found, passthrough=part[:2] == "pt")
            elif name == "intel_iommu" and part.startswith(("on", "off")):
                found = replace(found, intel=part[:2] == "on")
            elif name == "amd_iommu" and part.startswith("off"):
                found = replace(found, amd_off=True)
        if name == "iommu.passthrough" and (on := _strtobool(value)) is not None:
            found = replace(found, passthrough=on)
    return found


def iommu_state(
    cmdline: str,
    devices: Sequence[Device] = (),
    qemu_args: object = None,
    messages: Iterable[str] = (),
) -> IommuState:
    """What boot options, IOMMU groups, emulated hardware and boot messages show.

    A group means that an IOMMU is on, whatever the options say: Intel's needs no ``intel_iommu=on`` where the kernel was
    built so (CONFIG_INTEL_IOMMU_DEFAULT_ON, or Debian's CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF).
    """
    options = iommu_options(cmdline)
    grouped = any(device.iommu_group is not None for device in devices)
    emulated = " ".join(map(str, qemu_args)) if isinstance(qemu_args, list) else None
    if not (grouped or emulated is not None or cmdline):
        return IommuState(None, None)
    intel = options.intel is True and (emulated is None or INTEL in emulated)
    other = emulated is not None and (AMD in emulated or VIRTIO in emulated)
    found = grouped or ((intel or other) and not options.off)
    on = grouped or intel or (other and not options.amd_off)
    told = next((line.partition(_DOMAIN)[2] for line in messages if _DOMAIN in line), "")
    passthrough = told.startswith("Passthrough") if told else bool(options.passthrough)
    return IommuState(found, found and on and not passthrough)


def after_options(before: IommuState, cmdline: str, cpu: str | None) -> IommuState:
    """The same machine booted with these options. ``intel_iommu=on`` says that there is an IOMMU."""
    options = iommu_options(cmdline)
    intel, amd = cpu != "zen", cpu != "intel"
    there = bool(before.requests_acs or before.translates) or options.intel is True
    found = there and not options.off and not (intel and options.intel is False)
    return IommuState(found, found and not (amd and options.amd_off) and not options.passthrough)


def _strtobool(text: str) -> bool | None:
    """``kstrtobool``: the first letter decides, after an o the second."""
    low = text.lower()
    if low[:1] in ("y", "t", "1") or low[:2] == "on":
        return True
    return False if low[:1] in ("n", "f", "0") or low[:2] == "of" else None
