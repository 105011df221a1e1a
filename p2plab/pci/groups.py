"""IOMMU groups as the kernel makes them: what one cannot keep apart is in one group, and why.

``pci_device_group`` (drivers/iommu/iommu.c), ``pci_for_each_dma_alias`` (drivers/pci/search.c), ``pci_acs_enabled``
(drivers/pci/pci.c), v6.12; the quirks that vouch for parts without ACS are in :mod:`p2plab.pci.acs_quirks`. Not modelled: DMA
aliases by quirk. That a function shares its slot is taken from the functions listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p2plab.pci.acs import PCI_ACS_CR, PCI_ACS_EC, PCI_ACS_RR, PCI_ACS_SV, PCI_ACS_UF, names
from p2plab.pci.acs_quirks import Quirk, acs_quirk
from p2plab.pci.device import Device, FunctionKind
from p2plab.pci.machine import Machine
from p2plab.pci.reach import ACS_MISSING, GAP_MISSING

#: ``REQ_ACS_FLAGS``: what a port must do so that what is below it is kept apart.
REQUIRED = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF
_PORTS = (FunctionKind.ROOT_PORT, FunctionKind.DOWNSTREAM)
_SINGLE = (FunctionKind.ENDPOINT, FunctionKind.LEGACY_ENDPOINT, FunctionKind.UPSTREAM, FunctionKind.RC_ENDPOINT)
_CONVENTIONAL = (FunctionKind.CONVENTIONAL, FunctionKind.CONVENTIONAL_BRIDGE)


@dataclass(frozen=True)
class Membership:
    """One function's group, and ``why``.

    ``group`` is the address of the first function in it, ``None`` where ``missing`` decides; ``number`` is the kernel's,
    ``None`` where a group before it is not known.
    """

    bdf: str
    group: str | None
    why: str
    number: int | None = None
    missing: tuple[str, ...] = ()


class _Unknown(Exception):
    """A fact that decides is not shown."""


def iommu_groups(machine: Machine) -> tuple[Membership, ...]:
    """The group of every function, with the reason, in the order in which the kernel finds them."""
    return _Groups(machine).all()


class _Groups:
    """One boot: functions are added one by one, and join existing groups."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.found: dict[str, Membership] = {}
        self.count: int | None = 0
        self.vouched: dict[str, str] = {}  #: functions on the way up that are kept apart by a quirk, and which
        slots: dict[tuple[int, int, int], int] = {}
        for device in machine:
            place = (device.domain, device.bus, device.slot)
            slots[place] = slots.get(place, 0) + 1
        self.slots = slots

    def all(self) -> tuple[Membership, ...]:
        for device in _order(self.machine):
            try:
                joins, why = self._group(device)
            except _Unknown as unknown:
                self.count = None
                self.found[device.bdf] = Membership(device.bdf, None, "not known", None, (str(unknown),))
                continue
            if joins is None:
                self.found[device.bdf] = Membership(device.bdf, device.bdf, why, self.count)
                self.count = None if self.count is None else self.count + 1
            else:
                self.found[device.bdf] = Membership(device.bdf, joins, why, self.found[joins].number)
        return tuple(self.found.values())

    def _group(self, device: Device) -> tuple[str | None, str]:
        """``pci_device_group``: the group to join, ``None`` for a new one, and why."""
        at, why = device, ""
        self.vouched = {}
        for alias in self._aliases(device):
            at, why = alias, f"its requests look as if they came from {alias.bdf}, a bridge to conventional PCI"
            if (group := self._of(alias)) is not None:
                return group, why
        while (above := self._above(at)) is not None:
            fault = self._path_fault(above)
            if not fault:
                break
            at, why = above, fault
            if (group := self._of(above)) is not None:
                return group, fault
        together = self._same_slot(at)
        if together is not None:
            return together
        return None, why or (
            "on a root bus" if self._above(at) is None else f"every port above it keeps it apart{self._by()}"
        )

    def _by(self) -> str:
        """Which ports do so by a quirk alone."""
        told = ", ".join(
            f"{bdf} by {function}" for bdf, function in self.vouched.items() if self.machine[bdf].is_bridge
        )
        return f" ({told})" if told else ""

    def _aliases(self, device: Device) -> Iterator[Device]:
        """``pci_for_each_dma_alias``: the bridges whose requester ID is seen above them."""
        here = self._above(device)
        while here is not None:
            if here.kind in (FunctionKind.BRIDGE, FunctionKind.FUNCTION):
                raise _Unknown(f"the PCI Express type of {here.bdf}: run lspci as root with -vv")
            if here.kind not in (*_PORTS, FunctionKind.UPSTREAM):
                yield here
            here = self._above(here)

    def _path_fault(self, start: Device) -> str:
        """``pci_acs_path_enabled`` up to the root: the first port that keeps nothing apart; empty if all do."""
        here: Device | None = start
        while here is not None:
            fault = self._fault(here)
            if fault:
                return fault
            here = self._above(here)
        return ""

    def _fault(self, device: Device) -> str:
        """``pci_acs_enabled``: what is missing at one function; empty if it keeps apart what it must."""
        quirk = self._quirk(device)
        if quirk is not None and quirk.apart is not None:
            self.vouched |= {device.bdf: quirk.function} if quirk.apart else {}
            return "" if quirk.apart else f"{device.bdf} keeps nothing apart, by {quirk.function}"
        if device.kind in (FunctionKind.BRIDGE, FunctionKind.FUNCTION):
            raise _Unknown(f"the PCI Express type of {device.bdf}: run lspci as root with -vv")
        if quirk is not None:
            raise _Unknown(quirk.missing)
        if device.kind in _CONVENTIONAL or device.kind in (FunctionKind.PCIE_TO_PCI, FunctionKind.PCI_TO_PCIE):
            return f"{device.bdf} is no PCI Express port or function that could have ACS"
        if device.kind in _SINGLE and not self._multifunction(device):
            return ""
        if device.kind not in (*_PORTS, *_SINGLE):
            return ""
        if device.acs is None:
            if not device.acs_shown:
                raise _Unknown(f"ACS of {device.bdf}: {ACS_MISSING}")
            return f"{device.bdf} has no ACS capability"
        lacking = REQUIRED & (device.acs.cap | PCI_ACS_EC) & ~device.acs.ctrl
        return f"{device.bdf} has {names(lacking)} off" if lacking else ""

    def _quirk(self, device: Device) -> Quirk | None:
        on_root_bus = self.machine.parent(device.bdf) is None
        machine = self.machine
        return acs_quirk(device, self._multifunction(device), on_root_bus, machine.acs_requested, machine.boot)

    def _same_slot(self, device: Device) -> tuple[str, str] | None:
        """``get_pci_function_alias_group``: functions of one slot that could talk without any port seeing it."""
        if not self._multifunction(device):
            return None
        fault = self._fault(device)
        if not fault:
            return None
        for other in self.machine:
            if other.bdf[:-1] != device.bdf[:-1] or other is device or not self._fault(other):
                continue
            if (group := self._of(other)) is not None:
                return group, f"it shares its slot with {other.bdf}, and {fault}"
        return None

    def _multifunction(self, device: Device) -> bool:
        return device.function > 0 or self.slots[device.domain, device.bus, device.slot] > 1

    def _above(self, device: Device) -> Device | None:
        if device.gap:
            raise _Unknown(f"the bridges between {device.parent} and {device.bdf}: {GAP_MISSING}")
        above = self.machine.parent(device.bdf)
        if above is None and not self.machine.host_bridge_of(device.bdf).shown:
            raise _Unknown(f"whether bus {device.host_bridge[3:]} is a root bus: {GAP_MISSING}")
        return above

    def _of(self, device: Device) -> str | None:
        known = self.found.get(device.bdf)
        if known is not None and known.group is None:
            raise _Unknown(known.missing[0])
        return None if known is None else known.group


def _order(machine: Machine) -> Iterator[Device]:
    """All functions of a bus, then the buses below its bridges, each with all below it (``pci_scan_child_bus``)."""
    todo = [machine.on_root_bus(bridge.name) for bridge in reversed(machine.host_bridges)]
    while todo:
        bus = todo.pop()
        yield from bus
        below = [tuple(sorted(machine.children(d.bdf), key=lambda c: (c.bus, c.slot, c.function))) for d in bus]
        todo += [inside for inside in reversed(below) if inside]
