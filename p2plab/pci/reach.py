"""Which device can reach which: the verdict of a kernel, 2019's or a later one's, with its reasons step by step.

Sources: drivers/pci/p2pdma.c of v5.0 (``upstream_bridge_distance``), v6.12 and v7.3 (``calc_map_type_and_dist``,
``pci_p2pdma_distance_many``); ``pci_test_p2p`` from patch 1/5 of 29 January 2019
(20190129174728.6430-2-jglisse@redhat.com).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from p2plab.core.errors import BadInput, NotKnown
from p2plab.pci.acs import Acs, names
from p2plab.pci.carry import Carried, carried
from p2plab.pci.device import Device
from p2plab.pci.kernel import RFC2019, TODAY, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.walk import Walk, walk
from p2plab.pci.whitelist import CPUS

#: The kernel collects the names of the redirecting ports in ``char buf[128]``, whose last byte ends the string.
ACS_LIST_CHARACTERS = 127


class MapType(StrEnum):
    """``enum pci_p2pdma_map_type`` (PCI_P2PDMA_MAP_*), and ``NOT_KNOWN`` where the source does not show enough."""

    BUS_ADDR = "BUS_ADDR"
    THRU_HOST_BRIDGE = "THRU_HOST_BRIDGE"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    NOT_KNOWN = "not known"


#: What a source must show so that a register of ACS is known.
ACS_MISSING = "run lspci as root with -vvv"
GAP_MISSING = "lspci -t, or -vv of the whole machine"


@dataclass(frozen=True)
class ReachVerdict:
    """One pair's answer by the rules of ``kernel``, a name.

    ``distance`` is what the caller gets: hops, −1 not reachable, in 2019 also −2 for ACS; ``None`` if it is not known.
    ``map_type`` is ``None`` in 2019, which knew none, and ``NOT_KNOWN`` where what is not shown decides. ``missing`` then
    says what is missing and how to get it, and ``possible`` which answers are left. An answer is known if every way of
    filling in what is not shown gives the same.

    ``messages`` are the kernel's warnings, without the driver's name in front; none where they are not known.
    ``reasons`` is the explanation, one sentence a step.
    """

    kernel: str
    provider: str
    client: str
    map_type: MapType | None
    distance: int | None
    steps: int
    common: str | None
    path: tuple[str, ...]
    acs_ports: tuple[str, ...]
    messages: tuple[str, ...]
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Map type and distance are known."""
        return self.map_type is not MapType.NOT_KNOWN and self.distance is not None

    @property
    def reachable(self) -> bool:
        """The kernel would let the two talk. Raises NotKnown where what is not shown decides."""
        if self.distance is not None:
            return self.distance >= 0
        if self.map_type in (MapType.BUS_ADDR, MapType.THRU_HOST_BRIDGE):
            return True
        if self.kernel == "rfc2019" and self.possible == (REACHABLE,):
            return True
        raise NotKnown(f"whether {self.client} reaches memory of {self.provider}", self.missing)


#: The answers of 2019 in words, where more than one is left.
REACHABLE, REDIRECTED, NOT_JOINED = "reachable", "ACS redirect (-2)", "no common bridge (-1)"


def reach_verdict(machine: Machine, provider: str, client: str, kernel: PciKernel = TODAY) -> ReachVerdict:
    """A kernel's verdict for memory of ``provider`` used by ``client``. Raises BadInput for an unknown function.

    What the source does not show counts neither way: if it decides, the verdict is ``NOT_KNOWN``.
    """
    if kernel.host_bridges is None:
        return _upstream_bridge_distance(machine, provider, client, kernel)
    return _calc_map_type_and_dist(machine, provider, client, kernel)


def _calc_map_type_and_dist(machine: Machine, provider: str, client: str, kernel: PciKernel) -> ReachVerdict:
    """The verdict of a kernel that knows map types."""
    seen = walk(machine, provider, client)
    reasons = [*_path_reasons(seen), *_acs_reasons(seen)]
    may_turn, may_go_up = _ways(seen)
    over = carried(machine, seen.provider.host_bridge, seen.client.host_bridge, kernel) if may_go_up else None
    left = list(_left(may_turn, over))
    reasons += over.reasons if over else ()
    steps = None if seen.gaps else seen.steps
    missing = [*_way_missing(seen, may_turn and may_go_up), *(over.missing if over and over.allowed is None else ())]
    if len(left) > 1:
        reasons.append(f"what is not shown decides between {' and '.join(left)}: not known")
        arrives = None if MapType.NOT_SUPPORTED in left else steps
        return _verdict(kernel, seen, MapType.NOT_KNOWN, arrives, (), reasons, missing, left)
    kind = left[0]
    hops = "not known" if steps is None else str(steps)
    gaps = [_gap(what) for what in seen.gaps]
    if kind is MapType.BUS_ADDR:
        reasons.append("no redirect on the way: the request turns around at the common function, BUS_ADDR")
        return _verdict(kernel, seen, kind, steps, (), reasons, gaps, left)
    redirected = seen.joined is not False
    messages = list(_acs_messages(seen)) if redirected else []
    if kind is MapType.THRU_HOST_BRIDGE:
        reasons.append(f"so it goes through the host bridge: THRU_HOST_BRIDGE, distance {hops}")
        return _verdict(kernel, seen, kind, steps, messages if _told(seen) else (), reasons, gaps, left)
    if redirected and over:
        messages += [f"{bdf}: Host bridge not in P2PDMA whitelist: {machine[bdf].ids}" for bdf in over.unlisted]
    messages.append(
        f"{seen.client.bdf}: cannot be used for peer-to-peer DMA as the client and provider ({seen.provider.bdf}) "
        "do not share an upstream bridge or whitelisted host bridge"
    )
    reasons.append(f"nobody vouches for the host bridge: NOT_SUPPORTED, the caller gets -1 (inside: {hops})")
    return _verdict(kernel, seen, kind, -1, messages if _told(seen) else (), reasons, (), left)


def _upstream_bridge_distance(machine: Machine, provider: str, client: str, kernel: PciKernel) -> ReachVerdict:
    """The verdict of January 2019 (v5.0): hops below a common bridge, −1 without one, −2 with an ACS redirect."""
    seen = walk(machine, provider, client)
    reasons = [*_path_reasons(seen), *_acs_reasons(seen)]
    may_turn, may_go_up = _ways(seen)
    left = [REACHABLE] if may_turn else []
    left += [REDIRECTED] if may_go_up and seen.joined is not False else []
    left += [NOT_JOINED] if seen.joined is not True else []
    if len(left) > 1:
        reasons.append(f"what is not shown decides between {', '.join(left)}: not known")
        return _verdict(kernel, seen, MapType.NOT_KNOWN, None, (), reasons, _way_missing(seen, True), left)
    if left == [NOT_JOINED]:
        reasons.append("2019 knows no list of host bridges: no common bridge means -1")
        return _verdict(kernel, seen, None, -1, (), reasons, (), left)
    if left == [REDIRECTED]:
        reasons.append("an ACS redirect on the way: -2")
        return _verdict(kernel, seen, None, -2, _acs_messages(seen) if _told(seen) else (), reasons, (), left)
    steps = None if seen.gaps else seen.steps
    reasons.append(f"common bridge, no redirect: distance {'not known' if steps is None else steps}")
    return _verdict(kernel, seen, None, steps, (), reasons, [_gap(what) for what in seen.gaps], left)


def _ways(seen: Walk) -> tuple[bool, bool]:
    """Whether the request may turn around below a bridge, and whether it may have to go up to the host bridge."""
    may_turn = seen.joined is not False and not seen.redirecting
    hidden = bool(seen.unseen or seen.gaps or not seen.common_certain)
    may_go_up = seen.joined is not True or bool(seen.redirecting) or hidden
    return may_turn, may_go_up


def _left(may_turn: bool, over: Carried | None) -> Iterator[MapType]:
    """The map types that are left."""
    if may_turn:
        yield MapType.BUS_ADDR
    if over and over.allowed is not False:
        yield MapType.THRU_HOST_BRIDGE
    if over and not over.allowed:
        yield MapType.NOT_SUPPORTED


def _way_missing(seen: Walk, acs: bool) -> list[str]:
    """What is not shown of the way: bridges, and ACS registers where those decide."""
    missing = [_gap(what) for what in seen.gaps]
    if acs:
        missing += [f"ACS of {device.bdf}: {ACS_MISSING}" for device in seen.unseen]
    return missing


def _gap(what: str) -> str:
    return f"{what}: {GAP_MISSING}"


def _told(seen: Walk) -> bool:
    """Every port that the kernel would name in its messages is shown."""
    return seen.joined is False or not (seen.unseen or seen.gaps)


def pci_test_p2p(machine: Machine, a: str, b: str, mode: str = "as intended") -> bool:
    """Patch 1/5's question. ``as posted`` it answers False on every path; ``as intended``: is the 2019 distance ≥ 0?

    Raises BadInput for another mode or an unknown function, NotKnown where what is not shown decides. Said in review; see
    the mail in this module's docstring.
    """
    if mode not in ("as posted", "as intended"):
        raise BadInput(f"mode {mode!r}; allowed: 'as posted', 'as intended'")
    verdict = reach_verdict(machine, a, b, RFC2019)
    return mode == "as intended" and verdict.reachable


def distance_many(machine: Machine, provider: str, clients: Sequence[str], kernel: PciKernel = TODAY) -> int:
    """``pci_p2pdma_distance_many``: the sum over all clients; −1 for no client or as soon as one is not supported.

    Raises NotKnown where what is not shown decides.
    """
    verdicts = [reach_verdict(machine, provider, client, kernel) for client in clients]
    if not verdicts or any(verdict.distance == -1 for verdict in verdicts):
        return -1
    if any(not verdict.known for verdict in verdicts):
        missing = dict.fromkeys(what for verdict in verdicts for what in verdict.missing)
        raise NotKnown(f"the distance from {provider} to {', '.join(clients)}", tuple(missing))
    return sum(verdict.distance or 0 for verdict in verdicts)


def nearest(
    machine: Machine, providers: Iterable[str], clients: Sequence[str], kernel: PciKernel = TODAY
) -> tuple[str, ...]:
    """``pci_p2pmem_find_many``: the nearest providers. Of several as near the kernel takes a random one; here: all."""
    found = {p: d for p in providers if (d := distance_many(machine, p, clients, kernel)) >= 0}
    best = min(found.values(), default=-1)
    return tuple(p for p, d in found.items() if d == best)


def with_acs(machine: Machine, ctrl: Mapping[str, int]) -> Machine:
    """The same machine with the ACS control register of some functions set, capability added where there was none."""
    named = {machine[bdf]: value for bdf, value in ctrl.items()}
    return _with(
        machine, {d.bdf: replace(d, acs=Acs(_cap(d) | value, value), acs_shown=True) for d, value in named.items()}
    )


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
    kernel: PciKernel,
    seen: Walk,
    kind: MapType | None,
    distance: int | None,
    messages: Iterable[str],
    reasons: Iterable[str],
    missing: Iterable[str],
    possible: Iterable[str],
) -> ReachVerdict:
    down = tuple(d.bdf for d in reversed(seen.client_side))
    return ReachVerdict(
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
        missing=tuple(dict.fromkeys(missing)),
        possible=tuple(str(answer) for answer in possible),
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
        above = [f"bridges not shown, {d}" if below.gap else str(d) for below, d in itertools.pairwise(side)]
        lines.append(f"up from the {who} {start.bdf}: " + (", ".join(above) or _alone(start, seen)))
    lines += [f"not shown: {what}" for what in seen.gaps]
    if seen.common is None:
        if seen.joined is None:
            lines.append("whether a bridge joins them is not shown")
            return lines
        same = seen.provider.host_bridge == seen.client.host_bridge
        where = f"only {seen.provider.host_bridge}" if same else "two different host bridges"
        steps = "steps not known" if seen.gaps else f"{seen.steps} steps off the top, both sides together"
        lines.append(f"no common function above them, {where}: {steps}")
    elif seen.gaps:
        nearer = "" if seen.common_certain else ", or at one below it that is not shown"
        lines.append(f"they meet at {seen.common}{nearer}: steps not known")
    else:
        up, down = len(seen.provider_side) - 1, len(seen.client_side)
        lines.append(f"they meet at {seen.common}: {up} + {down} = {seen.steps} steps")
    return lines


def _alone(start: Device, seen: Walk) -> str:
    known = not any(what.startswith(f"whether bus {start.bdf[:-5]} ") for what in seen.gaps)
    return "nothing, it is on a root bus" if known else "nothing is shown"


def _acs_reasons(seen: Walk) -> list[str]:
    lines = []
    for device in seen.looked_at:
        if device.acs is None and not device.acs_shown:
            lines.append(f"ACS at {device.bdf}: not shown")
        elif device.acs is None:
            if device.is_bridge:
                lines.append(f"ACS at {device.bdf}: no ACS capability, so no redirect")
        else:
            effect = "redirects to the host bridge" if device.acs.redirects else "no redirect bit (RR, CR, EC) set"
            on = names(device.acs.ctrl) or "nothing on"
            lines.append(f"ACS at {device.bdf}: control {device.acs.ctrl:#06x} ({on}), {effect}")
    return lines
