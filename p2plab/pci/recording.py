"""Reader of recorded machines: the JSON files that hold what a real kernel's sysfs, dmesg and lspci said."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.pci.acs import Acs
from p2plab.pci.bootlog import KINDS, MAX_LINE, given_up, root_windows, virtual_functions
from p2plab.pci.cpu import cpu_kind
from p2plab.pci.device import CLASS_PCI_BRIDGE, PCIE_TYPES, Device, FunctionKind, canonical
from p2plab.pci.iommu import iommu_state
from p2plab.pci.kernel import KERNELS, TODAY, PciKernel
from p2plab.pci.lspci import read_lspci
from p2plab.pci.machine import HostBridge, Machine
from p2plab.pci.resource import Resource
from p2plab.pci.sriov import with_virtual_functions

#: A recording is a few hundred kB; more than this is not one of ours (inferred bound).
MAX_BYTES = 64 << 20

_TYPE = re.compile(r"pci ([0-9a-f:.]+): \[[0-9a-f]{4}:[0-9a-f]{4}\] type [0-9a-f]{2} class 0x[0-9a-f]{6} (.+)")
_VERSION = re.compile(r"\b(\d{1,3}\.\d{1,3})(?:\.\d|[-+ ]|$)")
HOST_BRIDGE = re.compile(r"pci[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}")


def load_json(path: Path) -> dict[str, Any]:
    """One JSON object from a file. Raises BadInput naming the file and, for broken JSON, the line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path}: larger than {MAX_BYTES >> 20} MiB, the most that is read")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 text at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise BadInput(f"{path}: not usable as JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path}: holds no JSON object")
    return value


def read_recording(source: str | Path | Mapping[str, Any]) -> Machine:
    """The machine of a recorded JSON file, or of the object in it. Raises BadInput naming what is missing or odd."""
    if isinstance(source, Mapping):
        return _machine(source, str(source.get("topology", "recording")))
    path = Path(source)
    try:
        return _machine(load_json(path), path.stem)
    except BadInput as error:
        raise error if str(path) in str(error) else BadInput(f"{path}: {error}") from error


def recorded_kernel(data: Mapping[str, Any]) -> PciKernel:
    """The kernel that was recorded, by what its header says (``uname``); today's if it says nothing.

    Raises BadInput for one that is not known.
    """
    header = data.get("header")
    told = str(header.get("kernel", "")) if isinstance(header, Mapping) else ""
    version = _VERSION.search(told)
    if version is None:
        return TODAY
    if version[1] not in KERNELS:
        raise BadInput(f"recorded on Linux {version[1]}, which is not known; {', '.join(KERNELS)} can be given")
    return KERNELS[version[1]]


def _machine(data: Mapping[str, Any], name: str) -> Machine:
    dmesg = _text_lines(data.get("dmesg_pci"))
    kinds = {found[1]: found[2] for line in dmesg if len(line) <= MAX_LINE and (found := _TYPE.search(line))}
    rows = data.get("devices")
    if not isinstance(rows, list):
        raise BadInput("no list `devices`")
    devices = tuple(_device(row, f"devices[{number}]", kinds) for number, row in enumerate(rows))
    windows, lost = root_windows(dmesg), given_up(dmesg)
    devices = tuple(_with_lost(device, lost.get(device.bdf, ())) for device in devices)
    listed = [name for name in _text_lines(data.get("host_bridges")) if HOST_BRIDGE.fullmatch(name)]
    names = list(dict.fromkeys([*listed, *(d.host_bridge for d in devices)]))
    bridges = tuple(HostBridge(n, tuple(windows.get(n.removeprefix("pci"), ()))) for n in names)
    header = data.get("header")
    header = header if isinstance(header, Mapping) else {}
    iommu = iommu_state(str(header.get("cmdline", "")), devices, data.get("qemu_args"), dmesg)
    machine = Machine(
        name=name,
        devices=with_virtual_functions(_with_capabilities(devices, data), virtual_functions(dmesg)),
        host_bridges=bridges,
        cpu=cpu_kind(f"{data.get('cpu_key', '')} {header.get('cpu', '')}"),
        iommu=iommu.translates,
        lacks=_lacks(data, dmesg),
        acs_requested=iommu.requests_acs,
    )
    runs = data.get("runs")
    base = runs.get("base") if isinstance(runs, Mapping) else None
    return with_ports(machine, base.get("acs")) if isinstance(base, Mapping) else machine


def _lacks(data: Mapping[str, Any], dmesg: list[str]) -> tuple[str, ...]:
    lacks = [] if dmesg else ["the address ranges of the host bridges"]
    if not (data.get("lspci_vvv") or data.get("runs")):
        lacks.append("ACS (recorded with lspci -vvv)")
    return tuple(lacks)


def with_ports(machine: Machine, rows: Any) -> Machine:
    """The machine with the PCI Express types and ACS registers of a recorded state. Raises BadInput."""
    if not isinstance(rows, list):
        raise BadInput("no list `acs`")
    ports: dict[str, Device] = {}
    for number, row in enumerate(rows):
        where = f"acs[{number}]"
        if not isinstance(row, Mapping) or not isinstance(row.get("dev"), str):
            raise BadInput(f"{where}: no `dev`")
        device = machine[row["dev"]]
        offset, cap, ctrl, kind = (
            _number(row, key, where) for key in ("acs_cap_offset", "acs_cap", "acs_ctrl", "pcie_type")
        )
        acs = Acs(cap or 0, ctrl or 0) if offset else None
        ports[device.bdf] = replace(
            device, acs=acs, acs_shown=True, kind=PCIE_TYPES.get(-1 if kind is None else kind, device.kind)
        )
    return replace(machine, devices=tuple(ports.get(d.bdf, d) for d in machine.devices))


def _with_lost(device: Device, lost: tuple[Resource, ...]) -> Device:
    """sysfs shows nothing of a BAR that the kernel gave up; its boot messages do."""
    missing = [r for r in lost if device.resource(r.index) is None]
    return replace(device, resources=tuple(sorted((*device.resources, *missing)))) if missing else device


def _with_capabilities(devices: tuple[Device, ...], data: Mapping[str, Any]) -> tuple[Device, ...]:
    """Names, ACS, slots and resizable BARs, which sysfs does not show, from the recorded lspci text."""
    text = _text_lines(data.get("lspci_vvv")) + _text_lines(data.get("lspci_xxx"))
    if not text:  # a recording of verdicts holds the ACS registers of all ports, and no text
        return devices if data.get("runs") else tuple(replace(device, acs_shown=False) for device in devices)
    try:
        seen = read_lspci("\n".join(text))
    except BadInput as error:
        raise BadInput(f"lspci_vvv and lspci_xxx together: {error}") from error
    return tuple(_merge(device, seen[device.bdf]) if device.bdf in seen else device for device in devices)


def _merge(device: Device, shown: Device) -> Device:
    return replace(
        device,
        name=shown.name,
        acs=shown.acs,
        hotplug=shown.hotplug,
        rebar=shown.rebar,
        vf_rebar=shown.vf_rebar,
        acs_shown=shown.acs_shown,
        memory_decode=shown.memory_decode,
        kind=shown.kind if device.kind in (FunctionKind.BRIDGE, FunctionKind.FUNCTION) else device.kind,
    )


def _device(row: Any, where: str, kinds: Mapping[str, str]) -> Device:
    if not isinstance(row, Mapping) or not isinstance(row.get("bdf"), str):
        raise BadInput(f"{where}: no `bdf`")
    bdf = canonical(row["bdf"])
    where = f"{where} ({bdf})"
    path = str(row.get("path", ""))
    host_bridge, parent = place(path, bdf, where)
    class_code = _number(row, "class", where)
    secondary = _number(row, "secondary_bus_number", where, 10)
    kind = KINDS.get(kinds.get(bdf, ""))
    if kind is None:
        bridge = secondary is not None or (class_code is not None and class_code >> 8 == CLASS_PCI_BRIDGE)
        kind = FunctionKind.BRIDGE if bridge else FunctionKind.FUNCTION
    subsystem = _number(row, "subsystem_vendor", where), _number(row, "subsystem_device", where)
    resources = row.get("resource", [])
    if not isinstance(resources, list):
        raise BadInput(f"{where}: `resource` is not a list")
    return Device(
        bdf=bdf,
        kind=kind,
        vendor=_number(row, "vendor", where),
        device=_number(row, "device", where),
        class_code=class_code,
        revision=_number(row, "revision", where),
        subsystem=(subsystem[0] or 0, subsystem[1] or 0) if any(subsystem) else None,
        parent=parent,
        host_bridge=host_bridge,
        resources=tuple(_resource(r, where) for r in resources),
        secondary=secondary,
        subordinate=_number(row, "subordinate_bus_number", where, 10),
        driver=str(row.get("driver", "")),
        path=path,
        iommu_group=_number(row, "iommu_group", where, 10),
    )


def place(path: str, bdf: str, where: str) -> tuple[str, str | None]:
    """Host bridge and parent's bdf from a sysfs path like ``/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0``."""
    parts = path.strip("/").split("/")
    roots = [number for number, part in enumerate(parts) if HOST_BRIDGE.fullmatch(part)]
    if not roots or parts[-1] != bdf:
        raise BadInput(f"{where}: `path` {path[:80]!r} is not …/pciDDDD:BB/…/{bdf}")
    chain = parts[roots[-1] + 1 : -1]
    return parts[roots[-1]], canonical(chain[-1]) if chain else None


def _resource(row: Any, where: str) -> Resource:
    if not isinstance(row, Mapping):
        raise BadInput(f"{where}: a resource is not an object")
    values = [_number(row, key, f"{where}.resource") for key in ("i", "start", "end", "flags")]
    index, start, end, flags = (-1 if value is None else value for value in values)
    if min(index, start, end, flags) < 0 or max(start, end) >= 1 << 64 or end < start or index > 64:
        raise BadInput(f"{where}: a resource needs i, start <= end, flags; got {str(dict(row))[:80]}")
    return Resource(index, start, end, flags)


def _number(row: Mapping[str, Any], key: str, where: str, base: int = 16) -> int | None:
    value = row.get(key)
    if value is None or isinstance(value, int):
        return value
    try:
        return int(str(value)[:32], base)
    except ValueError:
        raise BadInput(f"{where}: `{key}` is {str(value)[:40]!r}, not a number") from None


def _text_lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    return [str(line) for line in value] if isinstance(value, list) else []
