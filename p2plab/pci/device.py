"""One PCI function: what it is, what it claims, which bridge it is below."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum

from p2plab.core.errors import BadInput
from p2plab.pci.acs import Acs
from p2plab.pci.rebar import ResizableBar
from p2plab.pci.resource import ROM, Resource

_BDF = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7])")
CLASS_HOST_BRIDGE, CLASS_PCI_BRIDGE = 0x0600, 0x0604


class FunctionKind(StrEnum):
    """What a function is, by its PCI Express type (kernel: ``pci_pcie_type``) or, failing that, by its header."""

    ENDPOINT = "endpoint"
    LEGACY_ENDPOINT = "legacy endpoint"
    ROOT_PORT = "root port"
    UPSTREAM = "upstream port"
    DOWNSTREAM = "downstream port"
    PCIE_TO_PCI = "PCIe to PCI bridge"
    PCI_TO_PCIE = "PCI to PCIe bridge"
    RC_ENDPOINT = "root complex endpoint"
    RC_EVENT_COLLECTOR = "root complex event collector"
    CONVENTIONAL = "conventional function"
    CONVENTIONAL_BRIDGE = "conventional bridge"
    FUNCTION = "function"  #: the source does not show whether it speaks PCI Express
    BRIDGE = "bridge"  #: likewise


#: PCI_EXP_TYPE_* of include/uapi/linux/pci_regs.h.
PCIE_TYPES = {
    0: FunctionKind.ENDPOINT,
    1: FunctionKind.LEGACY_ENDPOINT,
    4: FunctionKind.ROOT_PORT,
    5: FunctionKind.UPSTREAM,
    6: FunctionKind.DOWNSTREAM,
    7: FunctionKind.PCIE_TO_PCI,
    8: FunctionKind.PCI_TO_PCIE,
    9: FunctionKind.RC_ENDPOINT,
    10: FunctionKind.RC_EVENT_COLLECTOR,
}


@dataclass(frozen=True)
class Device:
    """One function at ``bdf``; ids and class are ``None`` where the source does not show them.

    ``parent`` is the bdf of the bridge above, ``None`` on a root bus; ``path`` is the sysfs directory, empty when the
    source has none; ``secondary``/``subordinate`` are the buses below a bridge; ``memory_decode`` is the command
    register's bit, ``hotplug`` whether the slot below a port can be hot-plugged; each ``None`` where not shown.

    ``acs`` ``None`` means "no ACS capability" only while ``acs_shown``; ``gap`` is set where there are bridges between
    ``parent`` and this function that the source does not show. ``rebar`` are its own resizable BARs, ``vf_rebar`` those of
    its virtual functions; ``bus_offset`` is the address in its registers minus the CPU's, where both are shown.

    ``physfn`` is the bdf of the physical function whose virtual function this is (SR-IOV); ``vfs`` is how many virtual
    functions this one can have (TotalVFs), 0 for none or where not shown.
    """

    bdf: str
    kind: FunctionKind = FunctionKind.FUNCTION
    vendor: int | None = None
    device: int | None = None
    class_code: int | None = None
    revision: int | None = None
    subsystem: tuple[int, int] | None = None
    parent: str | None = None
    host_bridge: str = ""
    resources: tuple[Resource, ...] = ()
    secondary: int | None = None
    subordinate: int | None = None
    acs: Acs | None = None
    name: str = ""
    driver: str = ""
    path: str = ""
    iommu_group: int | None = None
    memory_decode: bool | None = None
    hotplug: bool | None = None
    rebar: tuple[ResizableBar, ...] = ()
    vf_rebar: tuple[ResizableBar, ...] = ()
    acs_shown: bool = True
    gap: bool = False
    physfn: str | None = None
    vfs: int = 0
    bus_offset: int | None = None

    def __str__(self) -> str:
        return f"{self.bdf} {self.kind}" + (f" [{self.ids}]" if self.ids else "")

    @property
    def domain(self) -> int:
        """PCI domain (segment)."""
        return split_bdf(self.bdf)[0]

    @property
    def bus(self) -> int:
        """Bus number."""
        return split_bdf(self.bdf)[1]

    @property
    def slot(self) -> int:
        """Device number on its bus, 0–31."""
        return split_bdf(self.bdf)[2]

    @property
    def function(self) -> int:
        """Function number, 0–7."""
        return split_bdf(self.bdf)[3]

    @property
    def ids(self) -> str:
        """``vendor:device`` in hex as lspci prints them; empty where not known."""
        return "" if self.vendor is None or self.device is None else f"{self.vendor:04x}:{self.device:04x}"

    @property
    def is_bridge(self) -> bool:
        """Has a bus below it."""
        return self.secondary is not None or (self.class_code is not None and self.class_code >> 8 == CLASS_PCI_BRIDGE)

    @property
    def is_host_bridge(self) -> bool:
        """The function that represents the host bridge in config space (class 0600)."""
        return self.class_code is not None and self.class_code >> 8 == CLASS_HOST_BRIDGE

    @property
    def bars(self) -> tuple[Resource, ...]:
        """BARs 0–5 in use."""
        return tuple(r for r in self.resources if r.bar)

    @property
    def rom(self) -> Resource | None:
        """The expansion ROM."""
        return self.resource(ROM)

    @property
    def windows(self) -> tuple[Resource, ...]:
        """A bridge's open windows."""
        return tuple(r for r in self.resources if r.window)

    def resource(self, index: int) -> Resource | None:
        """The resource with the kernel's index."""
        return next((r for r in self.resources if r.index == index), None)


@functools.lru_cache(maxsize=1 << 17)
def split_bdf(bdf: str) -> tuple[int, int, int, int]:
    """Domain, bus, device, function of ``0000:03:00.0`` or ``03:00.0``. Raises BadInput.

    >>> split_bdf("0000:41:1f.3")
    (0, 65, 31, 3)
    """
    match = _BDF.fullmatch(bdf)
    if not match or int(match[3], 16) > 0x1F:
        raise BadInput(
            f"{bdf[:40]!r} is not a PCI address; allowed: 0000:03:00.0 or 03:00.0, device 00-1f, function 0-7"
        )
    domain, bus, slot, function = match.groups()
    return int(domain or "0", 16), int(bus, 16), int(slot, 16), int(function)


def canonical(bdf: str) -> str:
    """The full form of a PCI address, as sysfs names it.

    >>> canonical("3:00.0".rjust(7, "0"))
    '0000:03:00.0'
    """
    domain, bus, slot, function = split_bdf(bdf)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function}"
