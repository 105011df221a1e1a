"""The walk from two functions up to where they meet, and the ACS ports met on the way: the same in 2019 and today.

``upstream_bridge_distance`` (v5.0) and ``calc_map_type_and_dist`` (v6.12), drivers/pci/p2pdma.c: the provider's side
is walked up to and with the common function, the client's side up to but without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.pci.device import Device
from p2plab.pci.machine import Machine


@dataclass(frozen=True)
class Walk:
    """What the kernel sees between ``provider`` and ``client``; ``common`` is ``None`` if only a host bridge joins."""

    provider: Device
    client: Device
    common: Device | None
    provider_side: tuple[Device, ...]  #: looked at for ACS, from the provider up, the common function included
    client_side: tuple[Device, ...]  #: looked at for ACS, from the client up, without the common function
    steps: int  #: hops provider→common plus client→common; without a common function, hops off the top on both sides

    @property
    def looked_at(self) -> tuple[Device, ...]:
        """Every function whose ACS register counts. Without a common function ACS decides nothing."""
        return self.provider_side + self.client_side if self.common else ()

    @property
    def redirecting(self) -> tuple[Device, ...]:
        """Those with a redirect bit set, in the order in which the kernel names them."""
        return tuple(d for d in self.looked_at if d.acs and d.acs.redirects)


def walk(machine: Machine, provider: str, client: str) -> Walk:
    """Walk up from both functions. Raises BadInput for a function that is not there.

    Both walks end at a root bus, so two functions that only share a host bridge, or nothing, have no common function.
    """
    up_a, up_b = machine.path_up(provider), machine.path_up(client)
    height = {device.bdf: steps for steps, device in enumerate(up_b)}
    for steps, device in enumerate(up_a):
        if device.bdf in height:
            down = height[device.bdf]
            return Walk(up_a[0], up_b[0], device, up_a[: steps + 1], up_b[:down], steps + down)
    return Walk(up_a[0], up_b[0], None, up_a, up_b, len(up_a) + len(up_b))
