"""What if: a machine with cards moved, ACS registers set, BARs resized, booted otherwise, held against the machine as it is.

Windows are those that Linux would give at the next boot after a firmware that gave none; a firmware may place things otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from p2plab.core.errors import BadInput
from p2plab.pci.acs import Acs
from p2plab.pci.acs_boot import WITH_IOMMU, with_boot_options
from p2plab.pci.allocate import Allocation, assign_resources, without_addresses
from p2plab.pci.device import Device, canonical, split_bdf
from p2plab.pci.groups import Membership, iommu_groups
from p2plab.pci.kernel import LINUX_6_12, RFC2019, TODAY, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.matrix import Matrix, reach_matrix
from p2plab.pci.rebar import size_code
from p2plab.pci.resize import rebar_of
from p2plab.pci.resource import Resource

#: What ``--iommu`` means at boot.
IOMMU_BOOT = {"on": "intel_iommu=on iommu.passthrough=0", "pt": "intel_iommu=on iommu=pt", "off": "iommu=off"}


@dataclass(frozen=True)
class Seen:
    """One of the two machines: which device reaches which, the groups, and the addresses (``None``: ranges not shown)."""

    machine: Machine
    reach: Matrix
    groups: tuple[Membership, ...]
    windows: Allocation | None


@dataclass(frozen=True)
class WhatIf:
    """Before and after, and where each function of before is after (``places``: only those that moved)."""

    before: Seen
    after: Seen
    places: Mapping[str, str]


def what_if(before: Machine, after: Machine, places: Mapping[str, str], kernel: PciKernel = TODAY) -> WhatIf:
    """The two machines, seen by a kernel's rules. Pairs are those of the endpoints."""
    ends = [device.bdf for device in before.endpoints]
    return WhatIf(_seen(before, ends, kernel), _seen(after, [places.get(bdf, bdf) for bdf in ends], kernel), places)


def _seen(machine: Machine, ends: Sequence[str], kernel: PciKernel) -> Seen:
    placing = LINUX_6_12 if kernel is RFC2019 else kernel  # how Linux 5.0 gave addresses is not modelled
    windows = assign_resources(without_addresses(machine), kernel=placing) if ranges_shown(machine) else None
    return Seen(machine, reach_matrix(machine, ends, kernel), iommu_groups(machine), windows)


def ranges_shown(machine: Machine) -> bool:
    """The address ranges of every host bridge with functions below it are shown."""
    used = {device.host_bridge for device in machine}
    return all(any(w.mem for w in bridge.windows) for bridge in machine.host_bridges if bridge.name in used)


def moved(machine: Machine, source: str, target: str) -> tuple[Machine, dict[str, str]]:
    """The machine with the card at ``source`` in the slot ``target``; a card that is there takes its place.

    A card is all functions of a slot, with everything below them. Returns where each function went. Raises BadInput for a
    place without a bus, a card that would be below itself, or a function soldered to a root bus.
    """
    here, there = (_slot(bdf) for bdf in (source, target))
    cards = [d for d in machine if _slot(d.bdf) == here]
    others = [d for d in machine if _slot(d.bdf) == there]
    if not cards:
        _ = machine[source]  # BadInput that names those there are
    if here == there:
        raise BadInput(f"{source} is in slot {target} already")
    if cards[0].parent is None:
        raise BadInput(f"{source} is on a root bus and not a card; allowed: functions below a port")
    port = next((d for d in machine if d.is_bridge and (d.domain, d.secondary) == there[:2]), None)
    if port is None:
        buses = ", ".join(f"{d.secondary:02x}" for d in machine if d.secondary) or "none"
        raise BadInput(f"no port leads to bus {there[1]:02x}; there are {buses}")
    if any(above.bdf in {d.bdf for d in cards} for above in machine.path_up(port.bdf)):
        raise BadInput(f"{target} is below {source}")
    if others and any(d.bdf in {o.bdf for o in others} for d in machine.path_up(cards[0].bdf)):
        raise BadInput(f"{source} is below {target}")
    places = {d.bdf: _at(there, d.function) for d in cards} | {d.bdf: _at(here, d.function) for d in others}
    new_parent = dict.fromkeys((d.bdf for d in cards), port.bdf) | dict.fromkeys(
        (d.bdf for d in others), cards[0].parent
    )
    hosts = {d.bdf: machine[new_parent[d.bdf] or ""].host_bridge for d in (*cards, *others)}
    changed: dict[str, Device] = {}
    for device in machine:
        top = next((above.bdf for above in machine.path_up(device.bdf) if above.bdf in places), None)
        if top is None:
            continue
        parent = new_parent[device.bdf] if device.bdf in places else places.get(device.parent or "", device.parent)
        bdf = places.get(device.bdf, device.bdf)
        changed[device.bdf] = replace(device, bdf=bdf, parent=parent, host_bridge=hosts[top], path="", iommu_group=None)
    devices = tuple(changed.get(d.bdf, d) for d in machine)
    return replace(machine, devices=devices), places


def with_acs_words(machine: Machine, bdf: str, word: str) -> Machine:
    """The machine with a port's ACS control register set: ``off``, ``on`` (as with an IOMMU), or two hex digits."""
    device = machine[bdf]
    if word == "off":
        ctrl = 0
    elif word == "on":
        if device.acs is None and device.acs_shown:
            raise BadInput(f"{device.bdf} has no ACS capability to switch on")
        ctrl = (device.acs.cap if device.acs else WITH_IOMMU) & WITH_IOMMU
    else:
        try:
            ctrl = int(word, 16)
        except ValueError:
            ctrl = -1
        if not 0 <= ctrl <= 0x7F:
            raise BadInput(f"ACS {word[:20]!r} for {bdf}; allowed: off, on, or hex from 0 to 7f")
    acs = (
        None
        if device.acs is None and device.acs_shown and not ctrl
        else Acs((device.acs.cap if device.acs else 0) | ctrl, ctrl)
    )
    return machine.with_device(replace(device, acs=acs, acs_shown=True))


def with_rebar(machine: Machine, bdf: str, index: int, size: int) -> Machine:
    """The machine with a resizable BAR of another size, its address to be given at boot. Raises KernelError, NotKnown."""
    device = machine[bdf]
    entry = rebar_of(device, index)
    if size not in entry.bytes_offered:
        offered = ", ".join(f"{n >> 20} MiB" for n in entry.bytes_offered)
        raise BadInput(f"BAR {index} of {device.bdf} is not offered with {size:#x} bytes; offered: {offered}")
    old = device.resource(index)
    if old is None:
        raise BadInput(f"BAR {index} of {device.bdf} is not in use")
    new = Resource(index, 0, size - 1, old.flags | 0x2000_0000)
    resources = tuple(new if r.index == index else r for r in device.resources)
    rebar = tuple(replace(e, current=size_code(size)) if e.index == index else e for e in device.rebar)
    return machine.with_device(replace(device, resources=resources, rebar=rebar))


def with_iommu(machine: Machine, word: str, kernel: PciKernel = TODAY) -> Machine:
    """The machine booted with an IOMMU ``on``, ``pt`` (one to one) or ``off``: ACS registers, and what is translated."""
    if word not in IOMMU_BOOT:
        raise BadInput(f"IOMMU {word!r}; allowed: {', '.join(IOMMU_BOOT)}")
    return with_boot_options(machine, IOMMU_BOOT[word], kernel)


def _slot(bdf: str) -> tuple[int, int, int]:
    return split_bdf(canonical(bdf))[:3]


def _at(slot: tuple[int, int, int], function: int) -> str:
    return f"{slot[0]:04x}:{slot[1]:02x}:{slot[2]:02x}.{function}"
