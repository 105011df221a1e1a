"""A whole machine: the functions, the tree they form, and which function decodes an address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from p2plab.core.errors import BadInput
from p2plab.pci.device import Device, canonical
from p2plab.pci.resource import Resource

#: More functions than any machine has; above it an input is refused (inferred; 256 buses of 256 functions = 65,536).
MAX_DEVICES = 65_536
#: A bus number has eight bits, and every bridge needs one more bus.
MAX_DEPTH = 256


@dataclass(frozen=True)
class HostBridge:
    """A root bus, ``pci0000:00`` in sysfs, and the address ranges that the firmware routes to it.

    ``shown``: the source shows that this is a root bus; otherwise bridges above it may be missing. ``first_shown``: the
    lowest function listed on it is the lowest there is. ``offsets`` holds, per window, bus address minus CPU address; it is
    empty where that is not shown.
    """

    name: str
    windows: tuple[Resource, ...] = ()
    offsets: tuple[int, ...] = ()
    shown: bool = True
    first_shown: bool = True

    @property
    def domain(self) -> int:
        """PCI domain (segment)."""
        return int(self.name.removeprefix("pci").rpartition(":")[0] or "0", 16)

    @property
    def bus(self) -> int:
        """Number of the root bus."""
        return int(self.name.rpartition(":")[2], 16)


@dataclass(frozen=True)
class Decode:
    """Who answers at an address: the windows passed on the way down, and the function that decodes it, if any."""

    address: int
    windows: tuple[tuple[str, Resource], ...]
    device: Device | None
    resource: Resource | None


@dataclass(frozen=True)
class Unread:
    """Lines of a text that were not understood: how many, and the first few with their numbers."""

    count: int = 0
    first: tuple[tuple[int, str], ...] = ()

    def with_line(self, number: int, text: str) -> Unread:
        """One more."""
        kept = self.first if len(self.first) >= 3 else (*self.first, (number, text[:120]))
        return Unread(self.count + 1, kept)

    def __str__(self) -> str:
        """One sentence; empty if there are none.

        >>> str(Unread(14, ((12, "Sent from my phone"),)))
        '14 lines not understood, first: line 12: Sent from my phone'
        """
        if not self.count:
            return ""
        number, text = self.first[0]
        return f"{self.count} line{'s' if self.count > 1 else ''} not understood, first: line {number}: {text}"


@dataclass(frozen=True)
class Machine:
    """Functions in the source's order, host bridges, and what is known of CPU and IOMMU (``None``: not shown).

    ``iommu``: it translates. ``acs_requested``: one was found, and asked for ACS at every port, also if it maps one to one.

    ``lacks`` says in words what the source does not show, ``unread`` which of its lines were not understood; ``boot`` are
    the kernel's boot messages of PCI, ``topo`` the pairs of ``nvidia-smi topo -m``, as far as the source holds them. Raises
    BadInput for a function listed twice, a parent that is not there, or a bridge below itself.
    """

    name: str
    devices: tuple[Device, ...]
    host_bridges: tuple[HostBridge, ...] = ()
    cpu: str | None = None
    iommu: bool | None = None
    lacks: tuple[str, ...] = ()
    acs_requested: bool | None = None
    unread: Unread = Unread()
    boot: tuple[str, ...] = field(default=(), repr=False)
    topo: tuple[tuple[str, str, str], ...] = ()
    _by_bdf: dict[str, Device] = field(init=False, repr=False, compare=False)
    _children: dict[str | None, tuple[Device, ...]] = field(init=False, repr=False, compare=False)
    _on_root: dict[str, tuple[Device, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.devices) > MAX_DEVICES:
            raise BadInput(f"{len(self.devices)} functions; allowed: at most {MAX_DEVICES}")
        by_bdf: dict[str, Device] = {}
        children: dict[str | None, list[Device]] = {}
        for device in self.devices:
            if device.bdf in by_bdf:
                raise BadInput(f"{device.bdf} is listed twice")
            by_bdf[device.bdf] = device
            children.setdefault(device.parent, []).append(device)
        object.__setattr__(self, "_by_bdf", by_bdf)
        object.__setattr__(self, "_children", {parent: tuple(below) for parent, below in children.items()})
        on_root: dict[str, list[Device]] = {}
        for device in sorted(children.get(None, ()), key=lambda d: (d.slot, d.function)):
            on_root.setdefault(device.host_bridge, []).append(device)
        object.__setattr__(self, "_on_root", {name: tuple(found) for name, found in on_root.items()})
        _check_tree(self)

    def __len__(self) -> int:
        return len(self.devices)

    def __iter__(self) -> Iterator[Device]:
        return iter(self.devices)

    def __contains__(self, bdf: str) -> bool:
        return bdf in self._by_bdf

    def __getitem__(self, bdf: str) -> Device:
        """The function at ``bdf`` (``03:00.0`` or ``0000:03:00.0``). Raises BadInput naming those there are."""
        found = self._by_bdf.get(bdf) or self._by_bdf.get(canonical(bdf))
        if found is None:
            known = ", ".join(self._by_bdf) if len(self) <= 24 else f"{', '.join(list(self._by_bdf)[:24])}, …"
            raise BadInput(f"{self.name} has no function {bdf}; it has {known or 'none'}")
        return found

    @property
    def acs_shown(self) -> bool:
        """The source shows the ACS registers of every function that has them."""
        return all(device.acs_shown for device in self.devices)

    @property
    def roots(self) -> tuple[Device, ...]:
        """The functions on the root buses."""
        return self._children.get(None, ())

    @property
    def endpoints(self) -> tuple[Device, ...]:
        """Every function that neither is nor represents a bridge."""
        return tuple(d for d in self.devices if not d.is_bridge and (d.class_code is None or d.class_code >> 16 != 6))

    def children(self, bdf: str | None) -> tuple[Device, ...]:
        """The functions directly below a bridge; with ``None`` those on the root buses."""
        return self._children.get(bdf, ())

    def on_root_bus(self, host_bridge: str) -> tuple[Device, ...]:
        """The functions on one root bus, lowest first: the order in which the kernel found them."""
        return self._on_root.get(host_bridge, ())

    def parent(self, bdf: str) -> Device | None:
        """The bridge above (kernel: ``pci_upstream_bridge``); ``None`` on a root bus."""
        above = self[bdf].parent
        return None if above is None else self._by_bdf[above]

    def path_up(self, bdf: str) -> tuple[Device, ...]:
        """The function itself, the bridge above it, and so on; the last one is on a root bus."""
        device = self[bdf]
        path = [device]
        while device.parent is not None:
            device = self._by_bdf[device.parent]
            path.append(device)
        return tuple(path)

    def common_bridge(self, a: str, b: str) -> Device | None:
        """The lowest function on both paths up, itself included; ``None`` if only a host bridge joins them."""
        above = {device.bdf for device in self.path_up(b)}
        return next((device for device in self.path_up(a) if device.bdf in above), None)

    def host_bridge_of(self, bdf: str) -> HostBridge:
        """The host bridge above a function."""
        name = self[bdf].host_bridge
        return next((bridge for bridge in self.host_bridges if bridge.name == name), HostBridge(name))

    def decode(self, address: int, io: bool = False) -> Decode:
        """Who answers at ``address`` (a port number when ``io``), following windows from the root bus down."""
        passed: list[tuple[str, Resource]] = [
            (bridge.name, w) for bridge in self.host_bridges for w in bridge.windows if w.holds(address, io)
        ]
        level = self.roots
        while True:
            below: tuple[Device, ...] = ()
            for device in level:
                off = device.memory_decode is False and device.physfn is None  # a VF has no such bit
                for resource in device.resources:
                    if not resource.holds(address, io) or (off and resource.mem) or resource.iov:
                        continue  # of a VF BAR, each virtual function that is there answers for its share
                    if resource.window:
                        passed.append((device.bdf, resource))
                        below = self.children(device.bdf)
                    elif not resource.rom or resource.enabled_rom:
                        return Decode(address, tuple(passed), device, resource)
            if not below:
                return Decode(address, tuple(passed), None, None)
            level = below

    def with_device(self, changed: Device) -> Machine:
        """The same machine with another value for the function at that address."""
        return replace(self, devices=tuple(changed if d.bdf == changed.bdf else d for d in self.devices))


def _check_tree(machine: Machine) -> None:
    """Every parent exists, every chain of parents ends on a root bus, and none is longer than bus numbers allow."""
    depth: dict[str, int] = {}
    for device in machine.devices:
        chain: list[str] = []
        here: Device | None = device
        while here is not None and here.bdf not in depth:
            chain.append(here.bdf)
            if len(chain) > MAX_DEPTH:
                raise BadInput(f"{device.bdf} is below itself, or below more than {MAX_DEPTH} bridges")
            if here.parent is not None and here.parent not in machine:
                raise BadInput(f"{here.bdf} hangs from {here.parent}, which is not listed")
            here = None if here.parent is None else machine[here.parent]
        known = 0 if here is None else depth[here.bdf]
        for number, bdf in enumerate(reversed(chain), 1):
            depth[bdf] = known + number
        if depth[device.bdf] > MAX_DEPTH:
            raise BadInput(f"{device.bdf} is below more than {MAX_DEPTH} bridges")
