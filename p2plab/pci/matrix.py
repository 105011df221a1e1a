"""The verdict of every pair at once, in time proportional to the number of pairs whatever the depth of the tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from p2plab.pci.kernel import TODAY, Kernel
from p2plab.pci.machine import Machine
from p2plab.pci.reach import MapType
from p2plab.pci.whitelist import cpu_allows, listed


class Cell(NamedTuple):
    """One pair: the map type (``None`` in 2019) and the distance the caller gets."""

    map_type: MapType | None
    distance: int


class Matrix(NamedTuple):
    """Rows are providers, columns clients, both in the order of ``bdfs``."""

    kernel: str
    bdfs: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def cell(self, provider: str, client: str) -> Cell:
        """One pair. Raises ValueError for a function that is not in ``bdfs``."""
        return self.rows[self.bdfs.index(provider)][self.bdfs.index(client)]


def reach_matrix(machine: Machine, bdfs: Sequence[str] | None = None, kernel: Kernel = TODAY) -> Matrix:
    """Every pair of ``bdfs`` (default: all endpoints) by the rules of a kernel; agrees with the single verdicts.

    One sweep over the tree per provider finds where each client's way up meets the provider's. Raises BadInput.
    """
    wanted = tuple(machine[bdf].bdf for bdf in (bdfs if bdfs is not None else [d.bdf for d in machine.endpoints]))
    tree = _Tree(machine)
    at = [tree.number[bdf] for bdf in wanted]
    host = _HostBridges(machine, kernel)
    cells: dict[Cell, Cell] = {}
    rows = []
    for provider in at:
        meets = tree.meets(provider)
        row = []
        for client in at:
            cell = _cell(tree, host, provider, client, meets[client])
            row.append(cells.setdefault(cell, cell))
        rows.append(tuple(row))
    return Matrix(kernel.name, wanted, tuple(rows))


class _Tree:
    """The tree as arrays, parents before children: depth, and redirecting ports counted from the root down."""

    def __init__(self, machine: Machine) -> None:
        order = list(machine.roots)
        for device in order:  # grows while it is walked
            order.extend(machine.children(device.bdf))
        self.number = {device.bdf: n for n, device in enumerate(order)}
        self.above = [-1 if d.parent is None else self.number[d.parent] for d in order]
        self.host = [d.host_bridge for d in order]
        self.depth = [0] * len(order)
        self.redirects = [0] * len(order)
        for n, device in enumerate(order):
            up = self.above[n]
            own = 1 if device.acs is not None and device.acs.redirects else 0
            self.depth[n] = 1 if up < 0 else self.depth[up] + 1
            self.redirects[n] = own if up < 0 else self.redirects[up] + own

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

    def __init__(self, machine: Machine, kernel: Kernel) -> None:
        self.machine, self.kernel = machine, kernel
        self.map_types = kernel.host_bridges is not None
        self.known: dict[tuple[str, str], bool] = {}

    def allow(self, a: str, b: str) -> bool:
        known = self.known.get((a, b))
        if known is None:
            known = cpu_allows(self.machine.cpu) or all(
                listed(self.machine, bridge, a == b, self.kernel)[0] for bridge in (a, b)
            )
            self.known[a, b] = known
        return known


def _cell(tree: _Tree, host: _HostBridges, provider: int, client: int, common: int) -> Cell:
    depth, redirects = tree.depth, tree.redirects
    steps, redirected = depth[provider] + depth[client], False
    if common >= 0:
        steps -= 2 * depth[common]
        above = tree.above[common]
        seen = redirects[provider] - (redirects[above] if above >= 0 else 0) + redirects[client] - redirects[common]
        redirected = seen > 0
        if not redirected:
            return Cell(MapType.BUS_ADDR if host.map_types else None, steps)
    if not host.map_types:
        return Cell(None, -2 if redirected else -1)
    if host.allow(tree.host[provider], tree.host[client]):
        return Cell(MapType.THRU_HOST_BRIDGE, steps)
    return Cell(MapType.NOT_SUPPORTED, -1)
