"""The walk from two functions up to where they meet, and the ACS ports met on the way: the same in 2019 and today.

``upstream_bridge_distance`` (v5.0) and ``calc_map_type_and_dist`` (v6.12), drivers/pci/p2pdma.c: the provider's side
is walked up to and with the common function, the client's side up to but without it. Where the source leaves out bridges,
the walk still says what is certain.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.pci.device import Device
from p2plab.pci.machine import Machine


@dataclass(frozen=True)
class Walk:
    """What the kernel sees between ``provider`` and ``client``; ``common`` is ``None`` if only a host bridge joins.

    ``joined`` is whether a bridge is above both, ``None`` if that is not shown; ``gaps`` says in words which bridges are not
    shown; while there are any, ``steps`` counts only those shown, and ``common`` may have a nearer one below it.
    """

    provider: Device
    client: Device
    common: Device | None
    provider_side: tuple[Device, ...]  #: looked at for ACS, from the provider up, the common function included
    client_side: tuple[Device, ...]  #: looked at for ACS, from the client up, without the common function
    steps: int  #: hops provider→common plus client→common; without a common function, hops off the top on both sides
    joined: bool | None = True
    gaps: tuple[str, ...] = ()
    common_certain: bool = True  #: no bridge that is not shown joins them further down

    @property
    def looked_at(self) -> tuple[Device, ...]:
        """Every function whose ACS register counts. Without a common function ACS decides nothing."""
        if self.joined is False or (self.common is None and self.joined is None):
            return ()
        return self.provider_side + self.client_side

    @property
    def certain(self) -> tuple[Device, ...]:
        """Those of ``looked_at`` whose register counts in any case, whatever is not shown."""
        left_out = self.common.bdf if self.common is not None and not self.common_certain else ""
        return tuple(d for d in self.looked_at if d.bdf != left_out) if self.joined else ()

    @property
    def redirecting(self) -> tuple[Device, ...]:
        """Those with a redirect bit set for certain, in the order in which the kernel names them."""
        return tuple(d for d in self.certain if d.acs and d.acs.redirects)

    @property
    def unseen(self) -> tuple[Device, ...]:
        """Those whose ACS register counts and is not shown."""
        return tuple(d for d in self.looked_at if d.acs is None and not d.acs_shown)


def walk(machine: Machine, provider: str, client: str) -> Walk:
    """Walk up from both functions. Raises BadInput for a function that is not there.

    Both walks end at a root bus, so two functions that only share a host bridge, or nothing, have no common function.
    """
    up_a, up_b = machine.path_up(provider), machine.path_up(client)
    height = {device.bdf: steps for steps, device in enumerate(up_b)}
    for steps, device in enumerate(up_a):
        if device.bdf in height:
            down = height[device.bdf]
            below_a, below_b = up_a[:steps], up_b[:down]
            gaps = _gaps(below_a, device) + _gaps(below_b, device)
            nearer = bool(below_a and below_b and below_a[-1].gap and below_b[-1].gap)
            return Walk(
                up_a[0], up_b[0], device, up_a[: steps + 1], below_b, steps + down, True, _once(gaps), not nearer
            )
    gaps = _gaps(up_a, None) + _gaps(up_b, None)
    tops = [machine.host_bridge_of(up[0].bdf) for up in (up_a, up_b)]
    joined: bool | None = False
    for top in tops:
        if not top.shown:
            gaps += (f"whether bus {top.name.removeprefix('pci')} is a root bus, or which bridges are above it",)
    if not tops[0].shown and not tops[1].shown and tops[0].domain == tops[1].domain:
        joined = None  # the same bridge may be above both
    return Walk(up_a[0], up_b[0], None, up_a, up_b, len(up_a) + len(up_b), joined, _once(gaps), joined is False)


def _gaps(chain: tuple[Device, ...], top: Device | None) -> tuple[str, ...]:
    above = (*chain[1:], top)
    return tuple(
        f"the bridges between {bridge.bdf} and {device.bdf}"
        for device, bridge in zip(chain, above, strict=False)
        if device.gap and bridge is not None
    )


def _once(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
