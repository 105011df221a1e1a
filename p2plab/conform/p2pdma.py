"""``conform p2pdma``: every recorded verdict of pci_p2pdma, computed again from the topology and the ACS registers.

Taken from a recording: the tree, ids, BARs, PCI Express types, ACS registers, CPU, boot options, and the state's label
if it says which ids were put on the host bridges (``wl2030``). Compared: map type, distance, what dma_map_sgtable
answers with a 64-bit and a 32-bit mask, the messages, and whether each BAR could be offered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from p2plab.conform.report import Comparison, Difference
from p2plab.core.errors import BadInput, KernelError, NotKnown
from p2plab.pci.acs_boot import UnreadOption, acs_at_boot
from p2plab.pci.dma import DmaAddress, dma_map, pci_p2pdma_add_resource
from p2plab.pci.kernel import INTEL, PciKernel
from p2plab.pci.machine import Machine
from p2plab.pci.reach import ReachVerdict, reach_verdict, with_ids
from p2plab.pci.recording import load_json, read_recording, recorded_kernel, with_ports
from p2plab.pci.resource import Resource

#: The columns of a recorded pair, in the recordings' order.
FIELDS: tuple[str, ...] = (
    *("provider", "client", "distance", "map_type", "dma_map_err", "phys", "dma_addr", "sg_dma_is_bus_address"),
    *("dma32_map_err", "dma32_addr"),
)
_LISTED = re.compile(r"(?:^|_)wl([0-9a-f]{4})(?:_|$)")
_ADDED = re.compile(r"nvme ([0-9a-f:.]+): added peer-to-peer DMA memory 0x([0-9a-f]+)-0x([0-9a-f]+)")


def conform(paths: Iterable[Path], kernel: PciKernel | None = None) -> Comparison:
    """Compare every file with the kernel that it says, or with ``kernel``. Raises BadInput naming the file."""
    report = Comparison("p2pdma")
    for path in paths:
        data = load_json(path)
        try:
            if "runs" in data:
                _topology(report, path.name, data, kernel or recorded_kernel(data))
            elif "log" in data:
                _nvme(report, path.name, data)
            else:
                raise BadInput("neither `runs` nor `log`: not a p2pdma recording")
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
    return report


def _topology(report: Comparison, source: str, data: Mapping[str, Any], kernel: PciKernel) -> None:
    machine = read_recording(data)
    offered: dict[str, int] = {}
    for row in _list(data, "register"):
        offered[_text(row, "dev")] = _number(row, "bar")
        report.cases += 1
        _compare(report, source, "register", f"{row['dev']} BAR {row['bar']}", row, _register(machine, row))
    for line in _list(data, "p2pmem") if "p2pmem" in data else []:
        bdf = str(line).split(" ")[0]
        _compare(report, source, "p2pmem", bdf, {"line": line}, {"line": _p2pmem(machine, bdf, offered)})
    _boot(report, source, machine, data, kernel)
    fields = [str(name) for name in _list(data, "pair_fields")] if "pair_fields" in data else list(FIELDS)
    runs = data["runs"]
    if not isinstance(runs, Mapping):
        raise BadInput("`runs` is not an object")
    for state, run in runs.items():
        report.cases += 1
        here = _in_state(machine, state, run, data.get("state_changes", []))
        _pairs(report, f"{source}: {state}", here, run, fields, offered, kernel)


def _boot(report: Comparison, source: str, machine: Machine, data: Mapping[str, Any], kernel: PciKernel) -> None:
    """Each ACS register after boot, before the first state's stimuli."""
    header = data.get("header")
    cmdline = str(header.get("cmdline", "")) if isinstance(header, Mapping) else ""
    for port in machine:
        if port.acs is not None:
            try:
                model = acs_at_boot(port, cmdline, bool(machine.acs_requested), kernel=kernel)
            except UnreadOption:
                report.not_modelled["boot options for ACS in a form that is not read"] += 1
                continue
            _compare(report, source, "acs at boot", port.bdf, {"ctrl": f"{port.acs.ctrl:#x}"}, {"ctrl": f"{model:#x}"})


def _in_state(machine: Machine, state: str, run: Any, changes: Any) -> Machine:
    """The machine as the state's stimuli left it: ACS registers as read back, ids as the label says."""
    machine = with_ports(machine, _list(run, "acs"))
    label = _LISTED.search(state)
    if not label:
        return machine
    firsts = [first[0].bdf for bridge in machine.host_bridges if (first := machine.on_root_bus(bridge.name))]
    return with_ids(machine, _written_ids(changes, label[1]) or dict.fromkeys(firsts, (INTEL, int(label[1], 16))))


def _written_ids(changes: Any, device: str) -> dict[str, tuple[int, int]]:
    """The ids that the recorder wrote over a function's, with this device id."""
    found = {}
    for change in changes if isinstance(changes, list) else []:
        if isinstance(change, Mapping) and change.get("op") == "spoof":
            ids = re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{4})", str(change.get("to")))
            if ids and ids[2] == device:
                found[_text(change, "dev")] = int(ids[1], 16), int(ids[2], 16)
    return found


def _pairs(
    report: Comparison,
    case: str,
    machine: Machine,
    run: Any,
    fields: list[str],
    offered: Mapping[str, int],
    kernel: PciKernel,
) -> None:
    told = run.get("messages", {})
    if not isinstance(told, Mapping):
        raise BadInput(f"{case}: `messages` is not an object")
    unread = dict(told)
    source, _, state = case.partition(": ")
    for values in _list(run, "pairs"):
        if not isinstance(values, list) or len(values) != len(fields):
            raise BadInput(f"{case}: a pair has not {len(fields)} values")
        recorded = dict(zip(fields, values, strict=True))
        pair = f"{recorded.get('provider')}>{recorded.get('client')}"
        texts = _list(unread, pair) if pair in unread else []
        unread.pop(pair, None)
        recorded["messages"] = sorted(_without_driver(text) for text in texts)  # the recorder sorted
        model = _pair(machine, str(recorded.get("provider")), str(recorded.get("client")), offered, kernel)
        _compare(report, source, state, pair, recorded, model)
    for pair, texts in unread.items():
        report.differs(Difference(source, state, pair, "messages", texts, "no such pair was asked"))


def _pair(
    machine: Machine, provider: str, client: str, offered: Mapping[str, int], kernel: PciKernel
) -> dict[str, Any]:
    """One row as the kernel module would have written it."""
    verdict = reach_verdict(machine, provider, client, kernel)
    row: dict[str, Any] = dict.fromkeys(FIELDS)
    row |= {"provider": provider, "client": client, "distance": verdict.distance, "map_type": str(verdict.map_type)}
    row["messages"] = sorted(verdict.messages)
    bar = offered.get(provider)
    if bar is None:
        return row
    try:
        row["phys"] = f"{pci_p2pdma_add_resource(machine[provider], bar).start:#x}"
    except KernelError:
        return row
    wide, narrow = (_map(machine, verdict, bar, mask_bits, kernel) for mask_bits in (64, 32))
    row["dma_map_err"], row["dma_addr"] = _error_and_address(wide)
    row["dma32_map_err"], row["dma32_addr"] = _error_and_address(narrow)
    row["sg_dma_is_bus_address"] = wide.kind == "bus" if isinstance(wide, DmaAddress) else None
    return row


def _map(
    machine: Machine, verdict: ReachVerdict, bar: int, mask_bits: int, kernel: PciKernel
) -> DmaAddress | KernelError:
    pair = verdict.provider, verdict.client
    try:
        return dma_map(machine, *pair, bar=bar, mask_bits=mask_bits, kernel=kernel, verdict=verdict)
    except KernelError as error:
        return error
    except NotKnown as error:
        raise BadInput(str(error)) from error


def _error_and_address(got: DmaAddress | KernelError) -> tuple[int, str | None]:
    return (-got.errno, None) if isinstance(got, KernelError) else (0, f"{got.address:#x}")


def _register(machine: Machine, row: Mapping[str, Any]) -> dict[str, Any]:
    device = machine[_text(row, "dev")]
    bar = device.resource(_number(row, "bar")) or Resource(0, 0, -1, 0)
    model = {"dev": device.bdf, "bar": bar.index, "start": f"{bar.start:#x}", "size": bar.size, "err": 0}
    try:
        pci_p2pdma_add_resource(device, bar.index)
    except KernelError as error:
        model["err"] = -error.errno
    return model


def _p2pmem(machine: Machine, bdf: str, offered: Mapping[str, int]) -> str:
    """What /sys/…/p2pmem says: all of what could be offered is there, and nothing is published."""
    try:
        size = pci_p2pdma_add_resource(machine[bdf], offered.get(bdf, -1)).size
    except KernelError:
        size = 0
    return f"{bdf} size={size} available={size} published=0"


def _nvme(report: Comparison, source: str, data: Mapping[str, Any]) -> None:
    """The NVMe driver's offer of its controller memory: the part decided by the rule for a BAR."""
    lines = [str(line) for line in _list(data, "log")]
    report.cases += 1
    for added in filter(None, map(_ADDED.search, lines)):
        bdf, start, end = added[1], int(added[2], 16), int(added[3], 16)
        size = end - start + 1
        model = "offered" if start % (2 << 20) == 0 and size % (2 << 20) == 0 else "EINVAL"
        _compare(report, source, "add_resource", bdf, {"result": "offered"}, {"result": model})
        if any(line.startswith(f"{bdf} size=") for line in lines):
            report.not_modelled["what the NVMe driver takes for itself"] += 1


def _compare(
    report: Comparison, source: str, case: str, operation: str, recorded: Mapping[str, Any], model: Mapping[str, Any]
) -> None:
    found = [
        Difference(source, case, operation, what, recorded.get(what), value)
        for what, value in model.items()
        if recorded.get(what) != value
    ]
    if found:
        report.differs(*found)
    else:
        report.agree += 1


def _without_driver(text: str) -> str:
    """A message without the word in front of the device, which names the driver bound to it."""
    return str(text).partition(" ")[2]


def _list(holder: Any, key: str) -> list[Any]:
    value = holder.get(key) if isinstance(holder, Mapping) else None
    if not isinstance(value, list):
        raise BadInput(f"no list `{key}`")
    return value


def _text(row: Any, key: str) -> str:
    value = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(value, str):
        raise BadInput(f"{str(row)[:60]} has no text `{key}`")
    return value


def _number(row: Any, key: str) -> int:
    value = row.get(key) if isinstance(row, Mapping) else None
    if not isinstance(value, int):
        raise BadInput(f"{str(row)[:60]} has no number `{key}`")
    return value
