"""Reads and writes apart: what a platform is known to carry of each, where the kernel asks one question only.

The kernel's verdict is about both. A read needs an answer that finds its way back, and some platforms carry writes only:

- Intel's client CPUs between root ports: NVIDIA's maintainer, 21 July 2026
  (https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1253); so were other non-Xeon chipsets, Stephen Bates,
  5 June 2017 (https://github.com/sbates130272/io_peer_mem/issues/1).
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.pci.cpu import intel_client
from p2plab.pci.machine import Machine
from p2plab.pci.reach import MapType, ReachVerdict
from p2plab.pci.whitelist import host_bridge_device

SOURCE = "https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1253"


@dataclass(frozen=True)
class Directions:
    """Whether the client's writes and reads arrive; ``None`` where neither kernel nor platform is known to say."""

    writes: bool | None
    reads: bool | None
    why: str
    source: str


def directions(machine: Machine, verdict: ReachVerdict) -> Directions:
    """For one pair. Where a kernel refuses the pair, the answer is about a driver that sends anyway."""
    if verdict.map_type is MapType.BUS_ADDR or (verdict.map_type is None and (verdict.distance or -1) >= 0):
        why = "the bridge turns both around: below a common bridge PCI forwards peer requests"
        return Directions(True, True, why, "PCI Express 4.0, 1.3.1")
    if verdict.map_type is MapType.THRU_HOST_BRIDGE:
        why = "the kernel trusts this host bridge, and does not tell reads from writes"
        return Directions(True, True, why, "drivers/pci/p2pdma.c")
    if verdict.map_type in (MapType.NOT_SUPPORTED, None) and _intel_client(machine, verdict):
        why = "the kernel refuses; Intel's client CPUs are known to carry writes between root ports and no reads"
        return Directions(True, False, why, SOURCE)
    return Directions(None, None, "not known for this platform", "")


def _intel_client(machine: Machine, verdict: ReachVerdict) -> bool:
    """Both are below the host bridge of a client CPU of Intel."""
    bridges = {machine[verdict.provider].host_bridge, machine[verdict.client].host_bridge}
    device = host_bridge_device(machine, next(iter(bridges)))
    return len(bridges) == 1 and device is not None and intel_client(device)
