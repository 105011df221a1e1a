"""What boot options make of a port's ACS register: an IOMMU switches redirects on, options may undo that.

Sources: ``pci_enable_acs``, ``__pci_config_acs``, ``pci_dev_str_match`` in drivers/pci/pci.c (6.1, 6.12, 7.3), and recordings.
"""

from __future__ import annotations

from dataclasses import replace

from p2plab.core.errors import BadInput
from p2plab.pci.acs import PCI_ACS_CR, PCI_ACS_RR, PCI_ACS_SV, PCI_ACS_TB, PCI_ACS_UF, REDIRECT, Acs
from p2plab.pci.device import Device, canonical
from p2plab.pci.iommu import IommuState, after_options
from p2plab.pci.kernel import TODAY, PciKernel
from p2plab.pci.machine import Machine

#: What the kernel switches on at every port when an IOMMU is there (``pci_std_enable_acs``).
WITH_IOMMU = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF
ALL_BITS = 0x7F


class UnreadOption(BadInput):
    """A form of a boot option that is not read: a path of device numbers, say."""


def acs_at_boot(device: Device, cmdline: str, iommu: bool, firmware: int = 0, kernel: PciKernel = TODAY) -> int:
    """The control register of one port after boot, ``firmware`` being what it held before. Raises UnreadOption.

    Since 6.11 an option for a port starts again from the firmware's value: ``disable_acs_redir`` also drops what the
    IOMMU set. Before that there is no ``config_acs``, and it is an UnreadOption. ``pci=noats`` adds translation blocking.
    """
    if device.acs is None:
        return 0
    asked = WITH_IOMMU | (PCI_ACS_TB if "noats" in _pci_options(cmdline) else 0)
    ctrl = firmware | (device.acs.cap & asked if iommu else 0)
    disable, config = _options(cmdline)
    if any(_matches(device, name) for name in _split(disable)):
        ctrl = (firmware if kernel.config_acs else ctrl) & ~REDIRECT
    if config and not kernel.config_acs:
        raise UnreadOption(f"pci=config_acs: Linux {kernel} does not know it; it came with 6.11")
    for entry in _split(config):
        flags, at, name = entry.partition("@")
        if not at:
            raise UnreadOption(f"pci=config_acs={entry[:40]!r}: allowed: FLAGS@DEVICE")
        if _matches(device, name):
            mask, value = _flags(flags)
            return firmware & ~mask | value & mask & device.acs.cap
    return ctrl


def with_boot_options(machine: Machine, cmdline: str, kernel: PciKernel = TODAY) -> Machine:
    """The machine booted with these options: every port's ACS register from the firmware's 0 on. Raises BadInput."""
    iommu = after_options(IommuState(machine.acs_requested, machine.iommu), cmdline, machine.cpu)
    devices = tuple(
        d
        if d.acs is None
        else replace(d, acs=Acs(d.acs.cap, acs_at_boot(d, cmdline, bool(iommu.requests_acs), kernel=kernel)))
        for d in machine.devices
    )
    return replace(machine, devices=devices, iommu=iommu.translates, acs_requested=iommu.requests_acs)


def _options(cmdline: str) -> tuple[str, str]:
    """The values of pci=disable_acs_redir= and pci=config_acs=; a later one wins."""
    disable = config = ""
    for part in _pci_options(cmdline):
        name, _, value = part.partition("=")
        disable = value if name == "disable_acs_redir" else disable
        config = value if name == "config_acs" else config
    return disable, config


def _pci_options(cmdline: str) -> list[str]:
    """The parts of every ``pci=``."""
    words = (word.removeprefix("pci=") for word in cmdline.split() if word.startswith("pci="))
    return [part for word in words for part in word.split(",")]


def _split(value: str) -> list[str]:
    return [part for part in value.split(";") if part]


def _matches(device: Device, name: str) -> bool:
    """``pci_dev_str_match``: an address, or ``pci:vendor:device[:subvendor:subdevice]`` with 0 for any."""
    if name.startswith("pci:"):
        subsystem = device.subsystem or (0, 0)
        try:
            wanted = [int(part[:8], 16) for part in name.removeprefix("pci:").split(":")]
        except ValueError:
            raise UnreadOption(f"{name[:40]!r}: allowed: pci:VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE]") from None
        return all(
            not want or want == have
            for want, have in zip(wanted, (device.vendor, device.device, *subsystem), strict=False)
        )
    if "/" in name:
        raise UnreadOption(f"{name[:40]!r}: a path of device numbers is not read; allowed: 0000:02:00.0")
    return canonical(name) == device.bdf


def _flags(text: str) -> tuple[int, int]:
    """(bits to set or clear, their values) of flags such as ``11101`` or ``1x0``; the last character is bit 0."""
    mask = value = 0
    for bit, character in enumerate(reversed(text)):
        if character not in "01xX" or (character in "01" and not ALL_BITS >> bit & 1):
            raise UnreadOption(f"ACS flags {text[:40]!r}; allowed: up to seven of 0, 1, x")
        mask |= 0 if character in "xX" else 1 << bit
        value |= 1 << bit if character == "1" else 0
    return mask, value
