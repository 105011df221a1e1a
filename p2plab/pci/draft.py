"""From what single lines and registers said to a machine: drafts of functions, put together into a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from p2plab.core.errors import BadInput
from p2plab.pci.acs import Acs
from p2plab.pci.device import CLASS_PCI_BRIDGE, PCIE_TYPES, Device, Kind, split_bdf
from p2plab.pci.dump import Header, legacy_ide
from p2plab.pci.machine import HostBridge, Machine
from p2plab.pci.rebar import ResizableBar
from p2plab.pci.resource import IORESOURCE_UNSET, Resource

Bus = tuple[int, int]
#: The programming interface of a PCI bridge that passes on what nobody else claims.
SUBTRACTIVE = 0x01


@dataclass
class Draft:
    """What is known so far of one function; ``line`` is where the source first names it."""

    bdf: str
    line: int
    vendor: int | None = None
    device: int | None = None
    class_code: int | None = None
    revision: int | None = None
    subsystem: tuple[int, int] | None = None
    kind: Kind | None = None
    secondary: int | None = None
    subordinate: int | None = None
    resources: dict[int, Resource] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    acs_cap: int | None = None
    acs_ctrl: int | None = None
    name: str = ""
    driver: str = ""
    path: str = ""
    iommu_group: int | None = None
    memory_decode: bool | None = None
    hotplug: bool | None = None
    rebar: dict[int, ResizableBar] = field(default_factory=dict)
    silent: bool = False
    verbose: bool = False  #: lspci -v has listed its BARs
    denied: bool = False  #: lspci was not allowed to read its capabilities
    header_seen: bool = False  #: its registers are shown
    acs_shown: bool = True  #: false: it has ACS, but the control bits are not shown

    @property
    def bus(self) -> Bus:
        """Domain and bus."""
        return split_bdf(self.bdf)[:2]

    @property
    def bridge(self) -> bool:
        """Looks like a bridge."""
        return self.secondary is not None or (self.class_code is not None and self.class_code >> 8 == CLASS_PCI_BRIDGE)

    def conclude_kind(self) -> None:
        """A function whose capabilities were listed, PCI Express not among them, is a conventional one."""
        if self.verbose and not self.denied and self.kind is None and not self.silent:
            self.kind = Kind.CONVENTIONAL_BRIDGE if self.bridge else Kind.CONVENTIONAL

    def add_header(self, header: Header) -> None:
        """Take over what the config space says. Where text gave an address and size, the register adds its flags."""
        self.vendor, self.device, self.revision = header.vendor, header.device, header.revision
        self.class_code, self.header_seen = header.class_code, True
        self.subsystem = self.subsystem or header.subsystem
        self.memory_decode = header.memory_decode
        if header.bridge:
            self.secondary, self.subordinate = header.secondary, header.subordinate
        if header.whole:
            conventional = Kind.CONVENTIONAL_BRIDGE if header.bridge else Kind.CONVENTIONAL
            self.kind = conventional if header.pcie_type is None else PCIE_TYPES.get(header.pcie_type, self.kind)
            self.hotplug = header.hotplug if self.hotplug is None else self.hotplug
        if header.extended:
            self.acs_shown, self.denied = True, False
            self.acs_cap = header.acs.cap if header.acs else None
            self.acs_ctrl = header.acs.ctrl if header.acs else None
            self.rebar = {entry.index: entry for entry in header.rebar}
        for found in header.resources:
            self._add_register(found)

    def _add_register(self, found: Resource) -> None:
        known = self.resources.get(found.index)
        if known is None and self.verbose and not found.window:  # the register holds what the kernel has given up
            self.resources[found.index] = replace(found, start=0, end=0, flags=found.flags | IORESOURCE_UNSET)
        elif known is None:
            self.resources[found.index] = found
        elif known.window and known.start == found.start:
            self.resources[found.index] = replace(known, flags=found.flags)

    def finish(self, parent: str | None, host_bridge: str) -> Device:
        """The function, hung where it belongs."""
        legacy = {r.index: r for r in legacy_ide(self.class_code)}
        resources = {**self.resources, **legacy} if self.resources else {}
        acs = None if self.acs_ctrl is None else Acs(self.acs_cap or 0, self.acs_ctrl)
        return Device(
            bdf=self.bdf,
            kind=self.kind or (Kind.BRIDGE if self.bridge else Kind.FUNCTION),
            vendor=self.vendor,
            device=self.device,
            class_code=self.class_code,
            revision=self.revision,
            subsystem=self.subsystem,
            parent=parent,
            host_bridge=host_bridge,
            resources=tuple(resources[index] for index in sorted(resources)),
            secondary=self.secondary,
            subordinate=self.subordinate,
            acs=acs,
            name=self.name,
            driver=self.driver,
            path=self.path,
            iommu_group=self.iommu_group,
            memory_decode=self.memory_decode,
            hotplug=self.hotplug,
            rebar=tuple(self.rebar[index] for index in sorted(self.rebar)),
        )


def assemble(name: str, drafts: Mapping[str, Draft], roots: Iterable[Bus] = (), lacks: Iterable[str] = ()) -> Machine:
    """Hang every draft from the bridge that owns its bus. Raises BadInput naming the line of an impossible bridge.

    A bus that no bridge owns but one bridge's range covers (SR-IOV functions) hangs from the innermost such bridge;
    any other is a root bus.
    """
    owners = _owners(drafts.values())
    above: dict[Bus, str | None] = {}
    for draft in drafts.values():
        if draft.bus not in above:
            above[draft.bus] = _owner_of(draft.bus, owners)
    hosts: dict[str, str] = {}
    ordered = sorted(drafts.values(), key=lambda draft: split_bdf(draft.bdf))
    for draft in ordered:  # a bridge sits on a lower bus than what is below it, so parents come first
        parent = above[draft.bus]
        hosts[draft.bdf] = f"pci{draft.bus[0]:04x}:{draft.bus[1]:02x}" if parent is None else hosts[parent]
    named = [f"pci{domain:04x}:{bus:02x}" for domain, bus in roots]
    bridges = tuple(HostBridge(host) for host in sorted({*named, *hosts.values()}))
    for draft in drafts.values():
        parent = above[draft.bus]
        if parent is not None:
            _give_up_unreachable(draft, drafts[parent])
    devices = tuple(draft.finish(above[draft.bus], hosts[draft.bdf]) for draft in drafts.values())
    groups = any(draft.iommu_group is not None for draft in drafts.values())
    tree_known = bool(owners) or not any(draft.bridge for draft in drafts.values())
    return Machine(name, devices, bridges, None, True if groups else None, tuple(lacks), tree_known)


def _give_up_unreachable(draft: Draft, bridge: Draft) -> None:
    """A register that no window of the bridge above covers decodes nothing: the kernel has given that BAR up.

    Only registers tell so little; a bridge that passes everything on (prog-if 01) covers all.
    """
    if not bridge.header_seen or bridge.class_code is None or bridge.class_code & 0xFF == SUBTRACTIVE:
        return
    windows = [r for r in bridge.resources.values() if r.window]
    for index, found in draft.resources.items():
        if found.sized or found.unset or any(window.contains(found) for window in windows):
            continue
        draft.resources[index] = replace(found, start=0, end=0, flags=found.flags | IORESOURCE_UNSET)


def _owners(drafts: Iterable[Draft]) -> dict[int, list[tuple[int, int, str]]]:
    """Per domain, (secondary, subordinate, bdf) of each bridge that has been given buses."""
    owners: dict[int, list[tuple[int, int, str]]] = {}
    for draft in drafts:
        if not draft.secondary:  # 0: firmware and kernel left it unconfigured
            continue
        domain, bus = draft.bus
        last = draft.subordinate or draft.secondary
        if draft.secondary <= bus or last < draft.secondary:
            where = f"line {draft.line}: " if draft.line else ""
            raise BadInput(f"{where}{draft.bdf} cannot have buses {draft.secondary:02x}-{last:02x} below bus {bus:02x}")
        owners.setdefault(domain, []).append((draft.secondary, last, draft.bdf))
    for found in owners.values():
        found.sort()
    return owners


def _owner_of(bus: Bus, owners: Mapping[int, list[tuple[int, int, str]]]) -> str | None:
    covering = [
        (secondary, bdf)
        for secondary, last, bdf in owners.get(bus[0], ())
        if secondary <= bus[1] <= last and split_bdf(bdf)[1] < bus[1]
    ]
    exact = [bdf for secondary, bdf in covering if secondary == bus[1]]
    if exact:
        return exact[0]
    return max(covering)[1] if covering else None
