"""A machine and verdicts as plain JSON values; addresses are hex text, because JSON numbers are doubles to many readers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from p2plab.core.errors import KernelError, NotKnown
from p2plab.pci import (
    RFC2019,
    TODAY,
    Device,
    Machine,
    Matrix,
    PciKernel,
    ReachVerdict,
    Resource,
    dma_map,
    pci_test_p2p,
    reach_verdict,
)
from p2plab.pci.directions import directions


def machine_json(machine: Machine) -> dict[str, Any]:
    """The whole machine."""
    return {
        "name": machine.name,
        "cpu": machine.cpu,
        "iommu": machine.iommu,
        "acs_requested": machine.acs_requested,
        "not_shown": list(machine.lacks),
        "not_understood": unread_json(machine),
        "host_bridges": [
            {"name": bridge.name, "shown": bridge.shown, "windows": [resource_json(w) for w in bridge.windows]}
            for bridge in machine.host_bridges
        ],
        "devices": [device_json(device) for device in machine],
    }


def unread_json(machine: Machine) -> dict[str, Any]:
    """How many lines of the source were not understood, and the first of them."""
    return {"lines": machine.unread.count, "first": [list(line) for line in machine.unread.first]}


def device_json(device: Device) -> dict[str, Any]:
    """One function."""
    return {
        "bdf": device.bdf,
        "kind": str(device.kind),
        "ids": device.ids or None,
        "class": None if device.class_code is None else f"{device.class_code:06x}",
        "name": device.name or None,
        "parent": device.parent,
        "bridges_above_shown": not device.gap,
        "host_bridge": device.host_bridge,
        "buses": None if device.secondary is None else [device.secondary, device.subordinate],
        "acs_shown": device.acs_shown,
        "physfn": device.physfn,
        "acs": None if device.acs is None else {"cap": f"{device.acs.cap:#x}", "ctrl": f"{device.acs.ctrl:#x}"},
        "iommu_group": device.iommu_group,
        "resources": [resource_json(r) for r in device.resources],
    }


def resource_json(found: Resource) -> dict[str, Any]:
    """One range; ``size`` is ``None`` where it is not shown, ``start`` where there is no address."""
    return {
        "index": found.index,
        "name": found.name,
        "start": None if found.unset else f"{found.start:#x}",
        "end": None if found.unset or not found.sized else f"{found.end:#x}",
        "size": found.size if found.sized else None,
        "space": "io" if found.io else "mem",
        "mem64": found.mem64,
        "prefetchable": found.prefetchable,
    }


def verdict_json(verdict: ReachVerdict) -> dict[str, Any]:
    """One verdict with its reasons."""
    return {
        "kernel": verdict.kernel,
        "provider": verdict.provider,
        "client": verdict.client,
        "map_type": None if verdict.map_type is None else str(verdict.map_type),
        "distance": verdict.distance,
        "steps": verdict.steps,
        "common": verdict.common,
        "path": list(verdict.path),
        "acs_ports": list(verdict.acs_ports),
        "messages": list(verdict.messages),
        "reasons": list(verdict.reasons),
        "known": verdict.known,
        "missing": list(verdict.missing),
        "possible": list(verdict.possible),
    }


def reach_json(
    machine: Machine, provider: str, client: str, mask_bits: int = 64, kernel: PciKernel = TODAY
) -> dict[str, Any]:
    """One pair by the rules of 2019 and of a later kernel, with the DMA address or the error."""
    try:
        got = dma_map(machine, provider, client, mask_bits=mask_bits, kernel=kernel)
        dma: dict[str, Any] = {"address": f"{got.address:#x}", "kind": got.kind, "error": None}
    except (KernelError, NotKnown) as error:
        dma = {"address": None, "kind": None, "error": str(error)}
    return {
        "machine": machine.name,
        "cpu": machine.cpu,
        "not_shown": list(machine.lacks),
        "kernel": kernel.name,
        **{k.name: verdict_json(reach_verdict(machine, provider, client, k)) for k in (RFC2019, kernel)},
        "pci_test_p2p": {mode: _test(machine, provider, client, mode) for mode in ("as posted", "as intended")},
        "dma": dma,
        "directions": asdict(directions(machine, reach_verdict(machine, provider, client, kernel))),
    }


def matrix_json(machine: Machine, old: Matrix, new: Matrix) -> dict[str, Any]:
    """Every pair: rows are providers, columns clients."""
    return {
        "machine": machine.name,
        "cpu": machine.cpu,
        "not_shown": list(machine.lacks),
        "functions": list(new.bdfs),
        "kernel": new.kernel,
        new.kernel: [[[str(cell.map_type), cell.distance] for cell in row] for row in new.rows],
        old.kernel: [[cell.distance for cell in row] for row in old.rows],
    }


def _test(machine: Machine, provider: str, client: str, mode: str) -> bool | None:
    try:
        return pci_test_p2p(machine, provider, client, mode)
    except NotKnown:
        return None
