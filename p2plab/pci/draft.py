"""From what single lines and registers said to a machine: drafts of functions, put together into a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from p2plab.core.errors import BadInput
from p2plab.pci.acs import Acs
from p2plab.pci.cpu import cpu_by_host_bridge
from p2plab.pci.device import CLASS_HOST_BRIDGE, CLASS_PCI_BRIDGE, PCIE_TYPES, Device, FunctionKind, split_bdf
from p2plab.pci.dump import Header, legacy_ide
from p2plab.pci.machine import HostBridge, Machine, Unread
from p2plab.pci.rebar import ResizableBar
from p2plab.pci.resource import IORESOURCE_UNSET, Resource
from p2plab.pci.sriov import with_virtual_functions

Bus = tuple[int, int]
#: The programming interface of a PCI bridge with subtractive decode: it passes on what no other function claims.
SUBTRACTIVE = 0x01
#: What only sits on a root bus.
ON_ROOT_BUS = (FunctionKind.ROOT_PORT, FunctionKind.RC_ENDPOINT, FunctionKind.RC_EVENT_COLLECTOR)


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
    kind: FunctionKind | None = None
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
    extended: bool = False  #: all 4096 bytes of its config space are shown
    has_caps: bool | None = None  #: the status register says whether it has capabilities
    caps_listed: bool = False  #: lspci has listed some of its capabilities
    ext_listed: bool = False  #: among them one beyond the first 256 bytes
    acs_listed: bool = False  #: among them ACS, which lspci -v names and -vv shows
    cut: bool = False  #: lines of its block were not understood, or the text ends inside it: absence proves nothing
    cut_inside: bool = False  #: lines inside its block were not understood or left out
    express_seen: bool = False  #: details of a PCI Express capability are shown, with or without its first line
    header_again: bool = False  #: a second block of it is being read
    numbered: bool = False  #: lspci -vv numbers its BARs
    vf_rebar: dict[int, ResizableBar] = field(default_factory=dict)
    bus_offset: int | None = None  #: address in its registers minus the address that the kernel shows
    vf_total: int = 0  #: of its SR-IOV capability: how many virtual functions it can have,
    vf_enabled: int = 0  #: has,
    vf_offset: int = 0  #: and where they are
    vf_stride: int = 0
    virtual: bool = False  #: a virtual function (SR-IOV), which may sit on a bus that no bridge leads to

    @property
    def bus(self) -> Bus:
        """Domain and bus."""
        return split_bdf(self.bdf)[:2]

    @property
    def bridge(self) -> bool:
        """Looks like a bridge."""
        return self.secondary is not None or (self.class_code is not None and self.class_code >> 8 == CLASS_PCI_BRIDGE)

    def conclude_kind(self) -> None:
        """A function whose capabilities are all listed, PCI Express not among them, is a conventional one."""
        listed = self.has_caps is False or (self.caps_listed and not (self.ext_listed or self.express_seen))
        if listed and not (self.denied or self.silent or self.cut) and self.kind is None:
            self.kind = FunctionKind.CONVENTIONAL_BRIDGE if self.bridge else FunctionKind.CONVENTIONAL

    def acs_known(self, reachable: bool) -> bool:
        """Its ACS register is shown, or that it has none; ``reachable``: extended config space was, of some function."""
        if self.acs_ctrl is not None or self.extended:
            return True
        if self.acs_listed or self.denied or self.silent or self.cut:
            return False
        if self.kind in (FunctionKind.CONVENTIONAL, FunctionKind.CONVENTIONAL_BRIDGE):
            return True
        return self.kind is not None and self.caps_listed and (self.ext_listed or reachable)

    def add_header(self, header: Header) -> None:
        """Take over what the config space says. Where text gave an address and size, the register adds its flags."""
        if header.vendor is not None:  # those of a virtual function are not in its registers
            self.vendor, self.device = header.vendor, header.device
        self.revision = header.revision
        self.class_code, self.header_seen = header.class_code, True
        self.subsystem = self.subsystem or header.subsystem
        self.memory_decode = header.memory_decode
        if header.secondary is not None:
            self.secondary, self.subordinate = header.secondary, header.subordinate
        if header.whole:
            conventional = FunctionKind.CONVENTIONAL_BRIDGE if header.bridge else FunctionKind.CONVENTIONAL
            self.kind = conventional if header.pcie_type is None else PCIE_TYPES.get(header.pcie_type, self.kind)
            self.hotplug = header.hotplug if self.hotplug is None else self.hotplug
        if header.extended:
            self.extended, self.denied = True, False
            self.acs_cap = header.acs.cap if header.acs else None
            self.acs_ctrl = header.acs.ctrl if header.acs else None
            self.rebar = {entry.index: entry for entry in header.rebar}
        for found in header.resources:
            self._add_register(found)

    def _add_register(self, found: Resource) -> None:
        known = self.resources.get(found.index)
        if (
            known is not None
            and known.mem
            and known.start
            and found.start
            and not (known.unset or known.shadow or found.rom)
        ):
            self.bus_offset = found.start - known.start
        if known is None and self.verbose and not found.window:  # the register holds what the kernel has given up
            self.resources[found.index] = replace(found, start=0, end=0, flags=found.flags | IORESOURCE_UNSET)
        elif known is None:
            self.resources[found.index] = found
        elif known.window and known.start == found.start:
            self.resources[found.index] = replace(known, flags=found.flags)

    def finish(self, parent: str | None, host_bridge: str, gap: bool, acs_shown: bool) -> Device:
        """The function, hung where it belongs."""
        legacy = {r.index: r for r in legacy_ide(self.class_code)}
        resources = {**self.resources, **legacy} if self.resources else {}
        acs = None if self.acs_ctrl is None else Acs(self.acs_cap or 0, self.acs_ctrl)
        return Device(
            bdf=self.bdf,
            kind=self.kind or (FunctionKind.BRIDGE if self.bridge else FunctionKind.FUNCTION),
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
            vf_rebar=tuple(self.vf_rebar[index] for index in sorted(self.vf_rebar)),
            acs_shown=acs_shown,
            gap=gap,
            bus_offset=self.bus_offset,
        )


def assemble(
    name: str,
    drafts: Mapping[str, Draft],
    roots: Mapping[Bus, str] | None = None,
    lacks: Iterable[str] = (),
    whole: bool = False,
    unread: Unread | None = None,
) -> Machine:
    """Hang every draft from the bridge that owns its bus. Raises BadInput naming the line of an impossible bridge.

    A bus that is no bridge's secondary bus but inside one's range is below the innermost such bridge: virtual functions are,
    for others the bridges between are not shown. ``roots`` are the buses that the source shows to be root buses, each with
    its first function (empty if not shown); ``whole``: the source leaves out no function.
    """
    roots = roots or {}
    owners = _owners(drafts.values())
    above: dict[Bus, str | None] = {}
    for draft in drafts.values():
        if draft.bus not in above:
            above[draft.bus] = _owner_of(draft.bus, owners)
    hosts: dict[str, str] = {}
    ordered = sorted(drafts.values(), key=lambda draft: split_bdf(draft.bdf))
    for draft in ordered:  # a bridge sits on a lower bus than what is below it, so parents come first
        parent = above[draft.bus]
        hosts[draft.bdf] = _root_name(draft.bus) if parent is None else hosts[parent]
    known = _shown_roots(drafts.values(), roots, whole)
    first: dict[Bus, Draft] = {}
    for draft in ordered:
        first.setdefault(draft.bus, draft)
    bridges = []
    for host in sorted({*map(_root_name, roots), *hosts.values()}):
        bus = HostBridge(host).domain, HostBridge(host).bus
        lowest = first[bus].bdf if bus in first else ""
        certain = whole or lowest.endswith(":00.0") or (bool(lowest) and roots.get(bus) == lowest)
        bridges.append(HostBridge(host, shown=bus in known, first_shown=certain))
    for draft in drafts.values():
        parent = above[draft.bus]
        if parent is not None:
            _give_up_unreachable(draft, drafts[parent])
    acs = _acs_shown(drafts.values())
    devices = []
    for draft in drafts.values():
        parent = above[draft.bus]
        exact = whole or parent is None or draft.virtual or drafts[parent].secondary == draft.bus[1]
        devices.append(draft.finish(parent, hosts[draft.bdf], not exact, acs[draft.bdf]))
    groups = any(draft.iommu_group is not None for draft in drafts.values())
    cpu = cpu_by_host_bridge(devices)
    said = [
        *([] if cpu or whole else ["the CPU"]),
        *([] if whole else ["the address ranges of the host bridges"]),
        *lacks,
    ]
    if not whole and not all(device.acs_shown for device in devices):
        said.append("ACS of some functions (-vvv as root shows it)")
    return Machine(
        name,
        with_virtual_functions(tuple(devices), {d.bdf: d.vf_total for d in drafts.values() if d.vf_total}),
        tuple(bridges),
        cpu,
        True if groups else None,
        tuple(said),
        acs_requested=True if groups else None,
        unread=unread or Unread(),
    )


def _root_name(bus: Bus) -> str:
    return f"pci{bus[0]:04x}:{bus[1]:02x}"


def _shown_roots(drafts: Iterable[Draft], roots: Iterable[Bus], whole: bool) -> set[Bus]:
    """The buses that can only be root buses: numbered 0, or with a host bridge or a part of a root complex on them."""
    known = set(roots)
    for draft in drafts:
        host = draft.class_code is not None and draft.class_code >> 8 == CLASS_HOST_BRIDGE
        if whole or draft.bus[1] == 0 or host or draft.kind in ON_ROOT_BUS:
            known.add(draft.bus)
    return known


def _acs_shown(drafts: Iterable[Draft]) -> dict[str, bool]:
    """Per function whether its ACS register, or that it has none, is shown.

    lspci says nothing where it could not read extended config space, so some function of the domain must show that it
    could; and where a part of the same ids shows ACS or PCI Express, another's lack of it is taken for lost lines.
    """
    drafts = list(drafts)
    reachable = {draft.bus[0] for draft in drafts if draft.ext_listed}
    shown = {draft.bdf: draft.acs_known(draft.bus[0] in reachable) for draft in drafts}
    same: dict[object, list[Draft]] = {}
    for draft in drafts:
        part = (draft.vendor, draft.device) if draft.vendor is not None else draft.name
        if part:
            same.setdefault((part, draft.bridge), []).append(draft)
    for group in same.values():
        with_acs = {d.kind for d in group if d.acs_ctrl is not None or d.acs_listed}
        express = any(d.kind in PCIE_TYPES.values() for d in group)
        for draft in group:
            lost = draft.kind in with_acs and draft.acs_ctrl is None
            if (
                express
                and draft.kind in (FunctionKind.CONVENTIONAL, FunctionKind.CONVENTIONAL_BRIDGE)
                and not draft.header_seen
            ):
                draft.kind, lost = None, True
            if lost and not draft.extended:
                shown[draft.bdf] = False
    return shown


def _give_up_unreachable(draft: Draft, bridge: Draft) -> None:
    """A register that no window of the bridge above covers decodes nothing: the kernel has given that BAR up.

    Only a register dump shows so little; a subtractive bridge (prog-if 01) covers everything.
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
