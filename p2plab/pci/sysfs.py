"""Reader of a sysfs tree: /sys/bus/pci/devices of this machine, or a copy of another's."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from p2plab.core.errors import BadInput
from p2plab.pci.cpu import cpu_of
from p2plab.pci.device import canonical
from p2plab.pci.draft import Draft, assemble
from p2plab.pci.dump import decode_header
from p2plab.pci.iommu import iommu_state
from p2plab.pci.machine import MAX_DEVICES, Machine
from p2plab.pci.resource import IO_WINDOW, Resource

LIVE = Path("/sys/bus/pci/devices")
#: Bounds: directories looked at, bytes of one file, lines of `resource` (17 with SR-IOV, kernel: resource_show).
MAX_DIRECTORIES, MAX_BYTES, MAX_LINES = 200_000, 64 << 10, 32

_BDF = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
_ROW = re.compile(r"0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16})")
#: Lines of `resource` without SR-IOV in the kernel: a function has 7, a bridge 11; then windows start at 7, not 13.
_WITHOUT_IOV = (7, 11)


def read_sysfs(path: str | Path = LIVE) -> Machine:
    """The machine of a sysfs directory, live or copied. Raises BadInput naming the directory, or file and line.

    Links are not followed out of a copy. Files that may not be read (``config`` beyond 64 bytes needs root) are said in
    ``lacks``.
    """
    root = Path(path)
    if not root.is_dir():
        raise BadInput(f"{root}: not a directory")
    live = root.resolve().is_relative_to("/sys")
    folders, unseen = _functions(LIVE if live and root.resolve() == Path("/sys") else root, live)
    if not folders:
        raise BadInput(f"{root}: no PCI functions in it; expected directories named like 0000:00:1f.2")
    drafts = {bdf: _draft(bdf, folder) for bdf, folder in sorted(folders.items())}
    lacks = ["the address ranges of the host bridges"]
    if unseen:
        lacks.append(
            f"what is in {len(unseen)} of its directories, which cannot be listed (such as {_short(unseen[0])})"
        )
    if any(draft.denied for draft in drafts.values()):
        lacks += ["the PCI Express type of some functions (root may read it)", "ACS (root may read it)"]
    machine = assemble(root.name or "sysfs", drafts, lacks=lacks, whole=True)
    proc = Path("/proc") if live else root / "proc"
    cpu = cpu_of(_text(proc / "cpuinfo")) or machine.cpu
    if cpu is None:
        lacks.append("the CPU")
    iommu = iommu_state(_text(proc / "cmdline"), machine.devices)
    return replace(machine, cpu=cpu, iommu=iommu.translates, acs_requested=iommu.requests_acs, lacks=tuple(lacks))


def _functions(root: Path, live: bool) -> tuple[dict[str, Path], list[str]]:
    """Every function's directory, and the directories that could not be listed.

    In a live tree the links of /sys/bus/pci/devices are followed, in a copy none.
    """
    found: dict[str, Path] = {}
    unseen: list[str] = []
    if live:
        for entry in root.iterdir():
            if _BDF.fullmatch(entry.name):
                found[canonical(entry.name)] = entry.resolve()
        if found:
            return found, unseen
    to_see, seen = [str(root)], 0
    while to_see:  # no recursion: a copy may be as deep as a path can be long
        folder, seen = to_see.pop(), seen + 1
        if seen > MAX_DIRECTORIES or len(found) > MAX_DEVICES:
            raise BadInput(f"{root}: more than {MAX_DIRECTORIES} directories or {MAX_DEVICES} functions")
        try:
            with os.scandir(folder) as entries:
                kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError:
            unseen.append(folder)
            continue
        below = [entry for entry, is_folder in kinds.items() if is_folder]
        name = os.path.basename(folder)
        if _BDF.fullmatch(name) and any(kinds.get(file) is False for file in ("resource", "config", "class", "vendor")):
            found[canonical(name)] = Path(folder)
            below = [entry for entry in below if _BDF.fullmatch(entry) or entry.startswith("pci")]
        to_see += [os.path.join(folder, entry) for entry in reversed(below)]
    return found, unseen


def _short(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:40]}…{path[-39:]}"


def _draft(bdf: str, folder: Path) -> Draft:
    draft = Draft(bdf, 0, path=str(folder) if str(folder).startswith("/sys/") else "", verbose=True)
    config = _bytes(folder / "config", 4096)
    header = decode_header(config)
    draft.denied = len(config) < 256
    for found in _resources(folder / "resource"):
        draft.resources[found.index] = found
    if header is not None:
        draft.add_header(header)
    elif config[:4] == b"\xff" * 4:
        draft.silent = True
    _ids(draft, folder)
    draft.driver = _link(folder / "driver")
    group = _link(folder / "iommu_group")
    draft.iommu_group = int(group[:9]) if group.isdecimal() else None
    draft.conclude_kind()
    return draft


def _ids(draft: Draft, folder: Path) -> None:
    """What the kernel says goes before what the registers say: it may have corrected them."""
    values = {name: _number(folder / name, 16) for name in ("class", "vendor", "device", "revision")}
    draft.class_code = draft.class_code if values["class"] is None else values["class"]
    draft.vendor = draft.vendor if values["vendor"] is None else values["vendor"]
    draft.device = draft.device if values["device"] is None else values["device"]
    draft.revision = draft.revision if values["revision"] is None else values["revision"]
    subsystem = _number(folder / "subsystem_vendor", 16), _number(folder / "subsystem_device", 16)
    if any(subsystem):
        draft.subsystem = subsystem[0] or 0, subsystem[1] or 0
    secondary = _number(folder / "secondary_bus_number", 10)
    if secondary is not None:
        draft.secondary, draft.subordinate = secondary, _number(folder / "subordinate_bus_number", 10)


def _resources(path: Path) -> list[Resource]:
    lines = _text(path).splitlines()
    if len(lines) > MAX_LINES:
        raise BadInput(f"{path}: {len(lines)} lines; allowed: {MAX_LINES}")
    found = []
    for number, line in enumerate(lines):
        row = _ROW.fullmatch(line.strip())
        if not row:
            raise BadInput(f"{path}: line {number + 1}: expected three hexadecimal numbers, got {line[:60]!r}")
        start, end, flags = (int(text, 16) for text in row.groups())
        index = number + IO_WINDOW - 7 if number >= 7 and len(lines) in _WITHOUT_IOV else number
        if flags and end >= start:
            found.append(Resource(index, start, end, flags))
    return found


def _bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Up to ``most`` bytes of a plain file; none if it is a link, is not there or may not be read."""
    try:
        if path.is_symlink() or not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return b""


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _number(path: Path, base: int) -> int | None:
    text = _text(path).strip()
    try:
        return int(text[:32], base) if text else None
    except ValueError:
        raise BadInput(f"{path}: line 1: {text[:40]!r} is not a number") from None


def _link(path: Path) -> str:
    """The last part of where a link points; empty if there is none."""
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return ""
