"""Who can reach whom: the verdict of a kernel, 2019's or a later one's, with its reasons step by step.

Sources: drivers/pci/p2pdma.c of v5.0 (``upstream_bridge_distance``), v6.12 and v7.3 (``calc_map_type_and_dist``,
``pci_p2pdma_distance_many``); ``pci_test_p2p`` from patch 1/5 of 29 January 2019
(20190129174728.6430-2-jglisse@redhat.com).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from p2plab.core.errors import BadInput
from p2plab.pci.acs import Acs, names
from p2plab.pci.device import Device
from p2plab.pci.kernel import RFC2019, TODAY, Kernel
from p2plab.pci.machine import Machine
from p2plab.pci.walk import Walk, walk
from p2plab.pci.whitelist import CPUS, cpu_allows, listed

#: The kernel collects the names of the redirecting ports in ``char buf[128]``, whose last byte ends the string.
ACS_LIST_CHARACTERS = 127


class MapType(StrEnum):
    """``enum pci_p2pdma_map_type`` (PCI_P2PDMA_MAP_*)."""

    BUS_ADDR = "BUS_ADDR"
    THRU_HOST_BRIDGE = "THRU_HOST_BRIDGE"
    NOT_SUPPORTED = "NOT_SUPPORTED"


@dataclass(frozen=True)
class Verdict:
    """One pair's answer by the rules of ``kernel``, a name.

    ``distance`` is what the caller gets: hops, −1 not reachable, in 2019 also −2 for ACS.

    ``map_type`` is ``None`` in 2019, which knew none. ``messages`` are the kernel's warnings, without the driver's
    name in front. ``reasons`` is the explanation, one sentence a step.
    """

    kernel: str
    provider: str
    client: str
    map_type: MapType | None
    distance: int
    steps: int
    common: str | None
    path: tuple[str, ...]
    acs_ports: tuple[str, ...]
    messages: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def reachable(self) -> bool:
        """The kernel would let the two talk."""
        return self.distance >= 0


def reach_verdict(machine: Machine, provider: str, client: str, kernel: Kernel = TODAY) -> Verdict:
    """A kernel's verdict for memory of ``provider`` used by ``client``. Raises BadInput for an unknown function."""
    if kernel.host_bridges is None:
        return _upstream_bridge_distance(machine, provider, client, kernel)
    return _calc_map_type_and_dist(machine, provider, client, kernel)


def _calc_map_type_and_dist(machine: Machine, provider: str, client: str, kernel: Kernel) -> Verdict:
    """The verdict of a kernel that knows map types.

    An unknown CPU counts as one that is not trusted, and the reasons say so.
    """
    seen = walk(machine, provider, client)
    reasons = [*_path_reasons(seen), *_acs_reasons(seen, machine.acs_shown)]
    if seen.common and not seen.redirecting:
        reasons.append("no redirect on the way: the request turns around at the common function, BUS_ADDR")
        return _verdict(kernel, seen, MapType.BUS_ADDR, seen.steps, (), reasons)
    redirected = bool(seen.redirecting)
    messages = list(_acs_messages(seen)) if redirected else []
    allowed, why, unlisted = _host_bridge_allows(machine, seen, kernel)
    reasons += why
    if allowed:
        reasons.append(f"so it goes through the host bridge: THRU_HOST_BRIDGE, distance {seen.steps}")
        return _verdict(kernel, seen, MapType.THRU_HOST_BRIDGE, seen.steps, messages, reasons)
    if redirected:
        messages += [f"{bdf}: Host bridge not in P2PDMA whitelist: {machine[bdf].ids}" for bdf in unlisted]
    messages.append(
        f"{seen.client.bdf}: cannot be used for peer-to-peer DMA as the client and provider ({seen.provider.bdf}) "
        "do not share an upstream bridge or whitelisted host bridge"
    )
    reasons.append(f"nobody vouches for the host bridge: NOT_SUPPORTED, the caller gets -1 (inside: {seen.steps})")
    return _verdict(kernel, seen, MapType.NOT_SUPPORTED, -1, messages, reasons)


def _upstream_bridge_distance(machine: Machine, provider: str, client: str, kernel: Kernel) -> Verdict:
    """The verdict of January 2019 (v5.0): hops below a common bridge, −1 without one, −2 with an ACS redirect."""
    seen = walk(machine, provider, client)
    reasons = [*_path_reasons(seen), *_acs_reasons(seen, machine.acs_shown)]
    if seen.common is None:
        reasons.append("2019 knows no list of host bridges: no common bridge means -1")
        return _verdict(kernel, seen, None, -1, (), reasons)
    if seen.redirecting:
        reasons.append("an ACS redirect on the way: -2")
        return _verdict(kernel, seen, None, -2, _acs_messages(seen), reasons)
    reasons.append(f"common bridge, no redirect: distance {seen.steps}")
    return _verdict(kernel, seen, None, seen.steps, (), reasons)


def pci_test_p2p(machine: Machine, a: str, b: str, mode: str = "as intended") -> bool:
    """Patch 1/5's question. ``as posted`` it answers False on every path; ``as intended``: is the 2019 distance ≥ 0?

    Raises BadInput for another mode or an unknown function. Said in review; see the mail in this module's docstring.
    """
    if mode not in ("as posted", "as intended"):
        raise BadInput(f"mode {mode!r}; allowed: 'as posted', 'as intended'")
    distance = reach_verdict(machine, a, b, RFC2019).distance
    return mode == "as intended" and distance >= 0


def distance_many(machine: Machine, provider: str, clients: Sequence[str], kernel: Kernel = TODAY) -> int:
    """``pci_p2pdma_distance_many``: the sum over all clients; −1 for no client or as soon as one is not supported."""
    verdicts = [reach_verdict(machine, provider, client, kernel) for client in clients]
    if not verdicts or not all(verdict.reachable for verdict in verdicts):
        return -1
    return sum(verdict.distance for verdict in verdicts)


def nearest(
    machine: Machine, providers: Iterable[str], clients: Sequence[str], kernel: Kernel = TODAY
) -> tuple[str, ...]:
    """``pci_p2pmem_find_many``: the nearest providers. Of several as near the kernel takes a random one; here: all."""
    found = {p: d for p in providers if (d := distance_many(machine, p, clients, kernel)) >= 0}
    best = min(found.values(), default=-1)
    return tuple(p for p, d in found.items() if d == best)


def with_acs(machine: Machine, ctrl: Mapping[str, int]) -> Machine:
    """The same machine with the ACS control register of some functions set, capability added where there was none."""
    named = {machine[bdf]: value for bdf, value in ctrl.items()}
    return _with(machine, {d.bdf: replace(d, acs=Acs(_cap(d) | value, value)) for d, value in named.items()})


def with_ids(machine: Machine, ids: Mapping[str, tuple[int, int]]) -> Machine:
    """The same machine with vendor and device of some functions replaced: "what if this were the host bridge?"."""
    named = {machine[bdf]: pair for bdf, pair in ids.items()}
    return _with(machine, {d.bdf: replace(d, vendor=pair[0], device=pair[1]) for d, pair in named.items()})


def with_cpu(machine: Machine, cpu: str | None) -> Machine:
    """The same machine with another CPU: ``intel``, ``zen`` or ``other``. Raises BadInput for anything else."""
    if cpu is not None and cpu not in CPUS:
        raise BadInput(f"CPU {cpu!r}; allowed: {', '.join(CPUS)}")
    return replace(machine, cpu=cpu)


def _with(machine: Machine, changed: Mapping[str, Device]) -> Machine:
    return replace(machine, devices=tuple(changed.get(d.bdf, d) for d in machine.devices))


def _cap(device: Device) -> int:
    return device.acs.cap if device.acs else 0


def _verdict(
    kernel: Kernel, seen: Walk, kind: MapType | None, distance: int, messages: Iterable[str], reasons: Iterable[str]
) -> Verdict:
    down = tuple(d.bdf for d in reversed(seen.client_side))
    return Verdict(
        kernel=kernel.name,
        provider=seen.provider.bdf,
        client=seen.client.bdf,
        map_type=kind,
        distance=distance,
        steps=seen.steps,
        common=seen.common.bdf if seen.common else None,
        path=tuple(d.bdf for d in seen.provider_side) + down,
        acs_ports=tuple(d.bdf for d in seen.redirecting),
        messages=tuple(messages),
        reasons=tuple(reasons),
    )


def _acs_messages(seen: Walk) -> tuple[str, ...]:
    ports = ";".join(d.bdf for d in seen.redirecting)[:ACS_LIST_CHARACTERS]
    return (
        f"{seen.client.bdf}: ACS redirect is set between the client and provider ({seen.provider.bdf})",
        f"{seen.client.bdf}: to disable ACS redirect for this path, add the kernel parameter: "
        f"pci=disable_acs_redir={ports}",
    )


def _path_reasons(seen: Walk) -> list[str]:
    if seen.provider.bdf == seen.client.bdf:
        return [f"provider and client are the same function, {seen.provider.bdf}: distance 0"]
    lines = []
    for who, start, side in (
        ("provider", seen.provider, seen.provider_side),
        ("client", seen.client, seen.client_side + ((seen.common,) if seen.common else ())),
    ):
        above = [d for d in side if d.bdf != start.bdf]
        lines.append(
            f"up from the {who} {start.bdf}: " + (", ".join(map(str, above)) or "nothing, it is on a root bus")
        )
    if seen.common is None:
        same = seen.provider.host_bridge == seen.client.host_bridge
        where = f"only {seen.provider.host_bridge}" if same else "two different host bridges"
        lines.append(f"no common function above them, {where}: {seen.steps} steps off the top, both sides together")
    else:
        up, down = len(seen.provider_side) - 1, len(seen.client_side)
        lines.append(f"they meet at {seen.common}: {up} + {down} = {seen.steps} steps")
    return lines


def _acs_reasons(seen: Walk, shown: bool) -> list[str]:
    unseen = "no ACS capability, so no redirect" if shown else "not shown by the source, taken as off"
    lines = []
    for device in seen.looked_at:
        if device.acs is None:
            if device.is_bridge:
                lines.append(f"ACS at {device.bdf}: {unseen}")
            continue
        effect = "redirects to the host bridge" if device.acs.redirects else "no redirect bit (RR, CR, EC) set"
        on = names(device.acs.ctrl) or "nothing on"
        lines.append(f"ACS at {device.bdf}: control {device.acs.ctrl:#06x} ({on}), {effect}")
    return lines


def _host_bridge_allows(machine: Machine, seen: Walk, kernel: Kernel) -> tuple[bool, list[str], tuple[str, ...]]:
    """Whether the host bridge may be crossed, why, and the bridges the kernel would name as not listed."""
    if cpu_allows(machine.cpu):
        return True, ["the CPU is an AMD Zen or later: trusted to carry it"], ()
    why = [f"the CPU is {machine.cpu or 'not known'}: not an AMD Zen or later, so the host bridge must be listed"]
    a, b = seen.provider.host_bridge, seen.client.host_bridge
    for bridge in dict.fromkeys((a, b)):
        ok, reason, unlisted = listed(machine, bridge, a == b, kernel)
        why.append(reason)
        if not ok:
            return False, why, (unlisted,) if unlisted else ()
    return True, why, ()
