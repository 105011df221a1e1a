"""``conform pci``: recorded machines compared with the readers, the invariants, the address map and the allocator.

Each function read from each lspci text must equal what sysfs said; each layout must be sound; the nested windows must
be those of /proc/iomem; and the allocator, given what the firmware left, must print the kernel's messages and end
with the kernel's addresses, and on blank devices find room for the same BARs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from p2plab.conform.report import Comparison, Difference
from p2plab.core.errors import BadInput
from p2plab.pci.addressmap import address_map
from p2plab.pci.allocate import assign_resources, without_addresses
from p2plab.pci.bootlog import before_assignment, kernel_messages, old_style
from p2plab.pci.device import Device
from p2plab.pci.invariants import broken, unjust
from p2plab.pci.kernel import PciKernel
from p2plab.pci.lspci import read_lspci
from p2plab.pci.machine import Machine
from p2plab.pci.recording import load_json, read_recording, recorded_kernel
from p2plab.pci.resource import IORESOURCE_MEM_64, Resource

#: Each reading: a name, the texts it is made of, and which fields of a function those texts show.
_ALL = ("kind", "ids", "class_code", "revision", "subsystem", "parent", "host_bridge", "buses", "resources")
_TREE = ("parent", "host_bridge", "buses")
READINGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("lspci -vvv", ("lspci_vvv",), _ALL),
    ("lspci -xxx", ("lspci_xxx",), _ALL),
    ("lspci -tv", ("lspci_tv",), _TREE),
    ("all three", ("lspci_vvv", "lspci_xxx", "lspci_tv"), _ALL),
)
#: Options of pci= under which the kernel assigns addresses in a way that is not modelled.
OTHER_WAYS = frozenset(
    {
        *("realloc", "nocrs", "use_crs", "rom", "norom", "nobar", "assign-busses", "big_root_window"),
        *("resource_alignment", "hpiosize", "hpmemsize", "hpmmiosize", "hpmmioprefsize", "hpbussize"),
        *("skip_isa_align", "use_e820", "no_e820"),
    }
)
#: What a kernel built with CONFIG_PCI_REALLOC_ENABLE_AUTO prints before it tries several times.
_REALLOC = "pci_try_num: "
_IOMEM = re.compile(r"( *)([0-9a-f]+)-([0-9a-f]+) : (PCI Bus [0-9a-f:]+|[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$")


def conform(paths: Iterable[Path], kernel: PciKernel | None = None) -> Comparison:
    """Compare every file with the kernel that it says, or with ``kernel``. Raises BadInput naming the file."""
    report = Comparison("pci")
    for path in paths:
        data = load_json(path)
        try:
            machine = read_recording(data)
            rules = kernel or recorded_kernel(data)
            report.cases += 1
            for reading in READINGS:
                _reading(report, path.name, data, machine, *reading)
            _layout(report, path.name, "recorded layout", machine)
            _iomem(report, path.name, machine, _lines(data, "iomem"), rules)
            _allocator(report, path.name, machine, _lines(data, "dmesg_pci"), _cmdline(data), rules)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
    return report


def _reading(
    report: Comparison,
    source: str,
    data: Mapping[str, Any],
    machine: Machine,
    name: str,
    texts: tuple[str, ...],
    fields: tuple[str, ...],
) -> None:
    """One operation per function: sysfs compared with the text."""
    lines = [_lines(data, text) for text in texts]
    if not all(lines):
        report.not_modelled[f"no text of {name} recorded"] += len(machine)
        return
    try:
        seen = read_lspci("\n".join(line for text in lines for line in text))
    except BadInput as error:
        report.differs(Difference(source, name, "read", "text", "printed by lspci", str(error)))
        return
    for device in machine:
        shown = _without_shadow(seen[device.bdf], device) if device.bdf in seen else None
        model = _shown(shown, fields, name) if shown else {"function": "not seen"}
        _compare(report, source, name, device.bdf, _shown(device, fields, name), model)
    for device in seen:
        if device.bdf not in machine:
            report.differs(Difference(source, name, device.bdf, "function", "not there", str(device)))


def _without_shadow(device: Device, recorded: Device) -> Device:
    """A ROM that the kernel shows as a copy in RAM is no range of the device; its register differs."""
    if not any(r.shadow for r in recorded.resources):
        return device
    return replace(device, resources=tuple(r for r in device.resources if not r.rom))


def _shown(device: Device, fields: tuple[str, ...], reading: str) -> dict[str, Any]:
    """The fields as plain values, cut down to what the text can show; 256 bytes do not show VF BARs."""
    values: dict[str, Any] = {field: getattr(device, field, None) for field in fields}
    values["buses"] = (device.secondary, device.subordinate)
    if "kind" in values:
        values["kind"] = str(device.kind)
    if "resources" in values and reading == "lspci -xxx" and device.physfn is not None:
        values["resources"] = []
    elif "resources" in values:
        values["resources"] = [_range(r, reading) for r in device.resources if not (r.unset or r.iov or r.shadow)]
    return values


def _range(found: Resource, reading: str) -> str:
    """A range as text: registers show no sizes of BARs, -vvv not the width of an open prefetchable window."""
    if reading == "lspci -xxx" and not found.window:
        return f"{found.name} at {found.start:#x} flags {found.flags:#x}"
    if reading == "lspci -vvv" and found.window:
        found = replace(found, flags=found.flags & ~(IORESOURCE_MEM_64 | 0xF))
    return f"{found.name} {found} flags {found.flags:#x}"


def _layout(report: Comparison, source: str, case: str, machine: Machine) -> None:
    """One operation per function: the invariants hold for its ranges."""
    wrong: dict[str, list[str]] = {}
    for sentence in broken(machine):
        wrong.setdefault(sentence[: sentence.index(": ")], []).append(sentence)
    for device in machine:
        _compare(report, source, case, device.bdf, {"broken": []}, {"broken": wrong.get(device.bdf, [])})


def _iomem(report: Comparison, source: str, machine: Machine, lines: list[str], kernel: PciKernel) -> None:
    """One operation per PCI line of /proc/iomem: the same range, under the same range above it."""
    recorded: list[str] = []
    above: list[tuple[int, str]] = []
    for line in lines:
        if found := _IOMEM.fullmatch(line):
            above = [entry for entry in above if entry[0] < len(found[1])]
            text = f"{int(found[2], 16):#x}-{int(found[3], 16):#x} {found[4]}"
            recorded.append(" < ".join([text, *(name for _, name in reversed(above))]))
            above.append((len(found[1]), text))
    if not any(bridge.windows for bridge in machine.host_bridges):
        report.not_modelled["/proc/iomem without the host bridges' ranges"] += len(recorded)
        return
    if not recorded:
        return
    model = []
    chain: list[str] = []
    for depth, span in (entry for top in address_map(machine) for entry in top.walk()):
        del chain[min(depth, kernel.iomem_levels) :]
        text = f"{span.start:#x}-{span.end:#x} {span.label}"
        model.append(" < ".join([text, *reversed(chain)]))
        chain.append(text)
    for one in dict.fromkeys(recorded + model):
        _compare(report, source, "iomem", one, {"there": one in recorded}, {"there": one in model})


def _allocator(
    report: Comparison, source: str, machine: Machine, dmesg: list[str], cmdline: str, kernel: PciKernel
) -> None:
    """The kernel's messages one by one, then each function's addresses, then the same from a blank machine."""
    if not dmesg:
        report.not_modelled["no boot messages recorded"] += len(machine)
        return
    if option := _changes_addresses(cmdline):
        report.not_modelled[f"boot option {option}"] += len(machine)
        return
    found = before_assignment(machine, dmesg)
    auto = any(_REALLOC in line for line in dmesg)
    done = assign_resources(found, auto, kernel)
    if old_style(dmesg):
        report.not_modelled["boot messages worded before Linux 6.9"] += len(kernel_messages(dmesg))
    else:
        for recorded, model in zip_longest(kernel_messages(dmesg), done.messages):
            _compare(report, source, "boot messages", recorded or "one more", {"message": recorded}, {"message": model})
    for device in machine:
        both = (device, _without_shadow(done.machine[device.bdf], device))
        shown = [[str(r) for r in d.resources if not (r.unset or r.shadow)] for d in both]
        _compare(report, source, "boot", device.bdf, {"resources": shown[0]}, {"resources": shown[1]})
    _blank(report, source, machine, found, auto, kernel)


def _blank(report: Comparison, source: str, machine: Machine, found: Machine, auto: bool, kernel: PciKernel) -> None:
    """From blank devices: a sound layout, no refusal without reason, and room for what the kernel had room for."""
    blank = assign_resources(without_addresses(found), auto, kernel)
    wrong = unjust(blank, kernel)
    for device in machine:
        both = (machine[device.bdf].resources, blank.machine[device.bdf].resources)
        had, got = ({r.name for r in rs if not (r.window or r.unset or r.shadow)} for rs in both)
        excuse = [str(r) for r in blank.refused if r.bdf in {above.bdf for above in machine.path_up(device.bdf)}]
        if had <= got or not excuse:
            _compare(report, source, "blank", device.bdf, {"missing": []}, {"missing": sorted(had - got)})
        else:
            report.not_modelled["less room for blank devices than the firmware had found"] += 1
    _compare(report, source, "blank", "refusals", {"with room left": []}, {"with room left": list(wrong)})
    _layout(report, source, "blank layout", blank.machine)


def _compare(
    report: Comparison, source: str, case: str, operation: str, recorded: Mapping[str, Any], model: Mapping[str, Any]
) -> None:
    found = [
        Difference(source, case, operation, what, recorded.get(what), model.get(what))
        for what in dict.fromkeys([*recorded, *model])
        if recorded.get(what) != model.get(what)
    ]
    if found:
        report.differs(*found)
    else:
        report.agree += 1


def _cmdline(data: Mapping[str, Any]) -> str:
    header = data.get("header")
    return str(header.get("cmdline", "")) if isinstance(header, Mapping) else ""


def _changes_addresses(cmdline: str) -> str | None:
    """The boot option that makes the kernel assign addresses in another way, if any."""
    for word in cmdline.split():
        for part in word.removeprefix("pci=").split(",") if word.startswith("pci=") else ():
            if part.partition("=")[0] in OTHER_WAYS:
                return f"pci={part.partition('=')[0]}"
    return None


def _lines(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key, [])
    if isinstance(value, str):
        return value.splitlines()
    if not isinstance(value, list):
        raise BadInput(f"`{key}` is neither text nor a list of lines")
    return [str(line) for line in value]
