"""The verdict of every pair at once, in time proportional to the number of pairs, independent of the tree's depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from p2plab.pci.carry import carried
from p2plab.pci.kernel import TODAY, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.reach import MapType, reach_verdict


class Reachability(NamedTuple):
    """One pair: the map type (``None`` in 2019, ``NOT_KNOWN`` in both) and the distance the caller gets, if known."""

    map_type: MapType | None
    distance: int | None


class Matrix(NamedTuple):
    """Rows are providers, columns clients, both in the order of ``bdfs``."""

    kernel: str
    bdfs: tuple[str, ...]
    rows: tuple[tuple[Reachability, ...], ...]

    def cell(self, provider: str, client: str) -> Reachability:
        """One pair. Raises ValueError for a function that is not in ``bdfs``."""
        return self.rows[self.bdfs.index(provider)][self.bdfs.index(client)]


def reach_matrix(machine: Machine, bdfs: Sequence[str] | None = None, kernel: PciKernel = TODAY) -> Matrix:
    """Every pair of ``bdfs`` (default: all endpoints) by the rules of a kernel; agrees with the single verdicts.

    One sweep over the tree per provider finds where each client's way up meets the provider's. Raises BadInput.
    Pairs for which something may not be shown are judged one by one.
    """
    wanted = tuple(machine[bdf].bdf for bdf in (bdfs if bdfs is not None else [d.bdf for d in machine.endpoints]))
    tree = _Tree(machine)
    at = [tree.number[bdf] for bdf in wanted]
    host = _HostBridges(machine, kernel)
    cells: dict[Reachability, Reachability] = {}
    rows = []
    for provider in at:
        meets = tree.meets(provider)
        row = []
        for client in at:
            cell = _cell(tree, host, provider, client, meets[client])
            if cell is None:
                cell = _one(machine, kernel, tree.bdfs[provider], tree.bdfs[client])
            row.append(cells.setdefault(cell, cell))
        rows.append(tuple(row))
    return Matrix(kernel.name, wanted, tuple(rows))


class _Tree:
    """The tree as arrays, parents before children: depth, and ports that redirect or are unknown, from the root down."""

    def __init__(self, machine: Machine) -> None:
        order = list(machine.roots)
        for device in order:  # grows while it is walked
            order.extend(machine.children(device.bdf))
        self.number = {device.bdf: n for n, device in enumerate(order)}
        self.above = [-1 if d.parent is None else self.number[d.parent] for d in order]
        self.bdfs = [d.bdf for d in order]
        self.host = [d.host_bridge for d in order]
        shown = {bridge.name: bridge.shown for bridge in machine.host_bridges}
        self.rooted = [shown.get(d.host_bridge, True) for d in order]
        self.depth = [0] * len(order)
        self.redirects = [0] * len(order)
        self.unknown = [0] * len(order)
        self.gaps = [0] * len(order)
        for n, device in enumerate(order):
            up = self.above[n]
            own = 1 if device.acs is not None and device.acs.redirects else 0
            self.depth[n] = 1 if up < 0 else self.depth[up] + 1
            self.redirects[n] = own if up < 0 else self.redirects[up] + own
            unknown = 1 if device.acs is None and not device.acs_shown else 0
            self.unknown[n] = unknown if up < 0 else self.unknown[up] + unknown
            self.gaps[n] = int(device.gap) + (0 if up < 0 else self.gaps[up])

    def meets(self, provider: int) -> list[int]:
        """For every function, the lowest one that is above it, or it, and above the provider; −1 if there is none."""
        found = [-1] * len(self.above)
        here = provider
        while here >= 0:
            found[here] = here
            here = self.above[here]
        for n, up in enumerate(self.above):
            if found[n] < 0 <= up:
                found[n] = found[up]
        return found


class _HostBridges:
    """What a pair gets that must cross a host bridge, looked up once for each two of them."""

    def __init__(self, machine: Machine, kernel: PciKernel) -> None:
        self.machine, self.kernel = machine, kernel
        self.map_types = kernel.host_bridges is not None
        self.known: dict[tuple[str, str], bool | None] = {}

    def allow(self, a: str, b: str) -> bool | None:
        if (a, b) not in self.known:
            self.known[a, b] = carried(self.machine, a, b, self.kernel).allowed
        return self.known[a, b]


def _one(machine: Machine, kernel: PciKernel, provider: str, client: str) -> Reachability:
    verdict = reach_verdict(machine, provider, client, kernel)
    return Reachability(verdict.map_type, verdict.distance)


def _cell(tree: _Tree, host: _HostBridges, provider: int, client: int, common: int) -> Reachability | None:
    """One pair, or ``None`` where something on the way is not shown."""
    depth, redirects = tree.depth, tree.redirects
    steps, redirected = depth[provider] + depth[client], False
    if common >= 0:
        steps -= 2 * depth[common]
        above = tree.above[common]
        if tree.gaps[provider] + tree.gaps[client] - 2 * tree.gaps[common]:
            return None
        seen = redirects[provider] - (redirects[above] if above >= 0 else 0) + redirects[client] - redirects[common]
        redirected = seen > 0
        unknown = tree.unknown
        if unknown[provider] - (unknown[above] if above >= 0 else 0) + unknown[client] - unknown[common]:
            return None
        if not redirected:
            return Reachability(MapType.BUS_ADDR if host.map_types else None, steps)
    elif tree.gaps[provider] or tree.gaps[client] or not (tree.rooted[provider] and tree.rooted[client]):
        return None
    if not host.map_types:
        return Reachability(None, -2 if redirected else -1)
    allowed = host.allow(tree.host[provider], tree.host[client])
    if allowed is None:
        return Reachability(MapType.NOT_KNOWN, None)
    return Reachability(MapType.THRU_HOST_BRIDGE, steps) if allowed else Reachability(MapType.NOT_SUPPORTED, -1)
