"""A machine, a verdict, a whole matrix as text of at most 100 columns, for a terminal or a mail."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest

from p2plab.core.errors import KernelError, NotKnown
from p2plab.core.number_of import number_of
from p2plab.pci import (
    LINUX_6_12,
    RFC2019,
    TODAY,
    Allocation,
    Device,
    Machine,
    MapType,
    Matrix,
    PciKernel,
    ReachVerdict,
    address_map,
    dma_map,
    kernel_named,
    pci_test_p2p,
    reach_verdict,
)
from p2plab.pci.directions import Directions, directions
from p2plab.pci.dma import largest_memory_bar
from p2plab.pci.rebar import MIB
from p2plab.pci.topo import compared
from p2plab.views.pci_map import human_size
from p2plab.views.pci_tree import PROVIDER, TreeRow, tree_rows

WIDTH, COLUMN = 100, 48
#: A bigger matrix is summed up instead of printed.
MATRIX_MOST = 64
CELLS = {"BUS_ADDR": "b", "THRU_HOST_BRIDGE": "h", "NOT_SUPPORTED": "-", "not known": "?"}


def machine_text(machine: Machine) -> list[str]:
    """The tree, then memory and I/O ports as nested windows down to single BARs, then what has no address."""
    lines = [headline(machine), *_lacks(machine), "", *tree_text(machine), *groups_text(machine)]
    for io, title in ((False, "memory"), (True, "I/O ports")):
        found = map_text(machine, io)
        lines += ["", title, *found] if found else []
    other = compared(machine)
    lines += ["", "nvidia-smi topo -m beside the tree", *(f"  {line}" for line in other)] if other else []
    resizable = [line for device in machine for line in _resizable(device)]
    lines += ["", "resizable BARs", *resizable] if resizable else []
    unplaced = [
        f"  {d.bdf} {r.name}" + (f", {human_size(r.size)}" if r.size else ", size not shown")
        for d in machine
        for r in d.resources
        if r.unset
    ]
    lines += ["", "without an address", *unplaced] if unplaced else []
    unsized = [
        f"  {d.bdf} {r.name} at {r.start:#x}" for d in machine for r in d.resources if not r.sized and not r.unset
    ]
    lines += ["", "size not shown", *unsized] if unsized else []
    return [part for line in lines for part in (_wrap(line, "", "    ") if line.startswith("  0") else [cut(line)])]


def assignment_text(done: Allocation, kernel: PciKernel = LINUX_6_12) -> list[str]:
    """What Linux would print while assigning addresses, and what it would refuse."""
    lines = [f"what Linux {kernel} would print", *(f"  {message}" for message in done.messages)]
    lines += (
        ["", "refused", *(f"  {refusal}" for refusal in done.refused)] if done.refused else ["", "nothing is refused"]
    )
    return [cut(line) for line in lines]


def headline(machine: Machine) -> str:
    """Name, number of functions, CPU and IOMMU."""
    iommu = {None: "IOMMU not shown", True: "IOMMU on", False: "IOMMU off"}[machine.iommu]
    if machine.acs_requested and machine.iommu is False:
        iommu = "IOMMU does not translate, but asked for ACS"
    cpu = f"CPU {machine.cpu}" if machine.cpu else "CPU not shown"
    counts = f"{number_of(len(machine), 'function')}, {number_of(len(machine.host_bridges), 'host bridge')}"
    return f"{machine.name}: {counts}, {cpu}, {iommu}"


def tree_text(machine: Machine, provider: str | None = None, client: str | None = None) -> list[str]:
    """The tree; with a pair, marks in front of the functions on the way between them."""
    rows = tree_rows(machine, provider, client)
    marks = {"provider": "P", "client": "C", "both": "B", "common": "*", "between": "|", "": " "}
    lines = []
    for row in rows:
        mark = f"{marks[row.role]} " if provider is not None else ""
        lines.append(cut(f"{mark}{_branches(row)}{_tree_words(row)}"))
    return lines


def groups_text(machine: Machine) -> list[str]:
    """The IOMMU groups shown by the source, a line each; none if it shows none."""
    groups: dict[int, list[str]] = {}
    for device in machine:
        if device.iommu_group is not None:
            groups.setdefault(device.iommu_group, []).append(device.bdf)
    if not groups:
        return []
    listed = [_wrap(f"group {number}: {', '.join(bdfs)}", "  ", "    ") for number, bdfs in sorted(groups.items())]
    return ["", "IOMMU groups", *(line for lines in listed for line in lines)]


def map_text(machine: Machine, io: bool = False) -> list[str]:
    """Nested windows down to single BARs, lowest address first, exact."""
    digits = 4 if io else 10
    lines = []
    for depth, span in (entry for top in address_map(machine, io) for entry in top.walk()):
        where = f"{span.start:0{digits}x}-{span.end:0{digits}x}"
        marks = " ".join(
            word for on, word in ((span.resource.mem64, "64bit"), (span.resource.prefetchable, "pref")) if on
        )
        what = f"{span.resource.name} to bus {span.bus}" if span.bus else span.resource.name
        lines.append(
            cut(
                f"{where}  {human_size(span.size):>9}  {'  ' * depth}{span.owner} {what}{f' ({marks})' if marks else ''}"
            )
        )
    return lines


def reach_text(
    machine: Machine, provider: str, client: str, mask_bits: int = 64, kernel: PciKernel = TODAY
) -> list[str]:
    """One pair: 2019's and a kernel's verdict side by side, step by step, then what it prints, then the tree."""
    old, new = (reach_verdict(machine, provider, client, rules) for rules in (RFC2019, kernel))
    lines = [f"{machine.name}: memory of {new.provider} (provider) for {new.client} (client)", *_lacks(machine), ""]
    heads = [f"{kernel.title}, CPU {machine.cpu or 'not shown'}", verdict_words(new)]
    heads.append(dma_words(machine, provider, client, mask_bits, kernel))
    posted, intended = (_test(machine, provider, client, mode) for mode in ("as posted", "as intended"))
    test = f"pci_test_p2p: as posted {posted}, as intended {intended}"
    later = kernel is not RFC2019
    for left, right in zip((RFC2019.title, verdict_words(old), test), heads, strict=True):
        lines += _columns([left], [right] if later else [])
    lines += ["", *_columns(_numbered(old.reasons), _numbered(new.reasons) if later else [])]
    lines += ["", *_wrap(directions_words(directions(machine, new)), "", "  ")]
    for verdict in dict.fromkeys((old, new)):
        if verdict.missing:
            lines += ["", f"missing for the verdict of {kernel_named(verdict.kernel).title}"]
            lines += [part for text in verdict.missing for part in _wrap(text, "  ", "    ")]
    if new.messages:
        lines += ["", f"what Linux {kernel} prints"]
        lines += [part for text in new.messages for part in _wrap(text, "  ", "    ")]
    return [
        *lines,
        "",
        "the way: P provider, C client, * where they meet, | between",
        *tree_text(machine, provider, client),
    ]


def reach_words(
    machine: Machine, provider: str, client: str, mask_bits: int = 64, kernel: PciKernel = TODAY
) -> tuple[str, str]:
    """The verdict of a pair in two sentences, and whether that is ``good``, ``bad`` or not known (``wait``)."""
    old, new = (reach_verdict(machine, provider, client, rules) for rules in (RFC2019, kernel))
    tone = "wait" if new.map_type is MapType.NOT_KNOWN else "good" if new.reachable else "bad"
    said = (
        re.sub(r"[:,] [A-Z_]+(, distance -?[0-9]+)?$", "", new.reasons[-1]) if new.reasons else ""
    )  # the verdict says that
    reason = f" ({said.removeprefix('so ')})" if said else ""
    told = dma_words(machine, provider, client, mask_bits, kernel)
    return f"{kernel.title}: {verdict_words(new)}{reason}; {told}. {RFC2019.title}: {verdict_words(old)}.", tone


def directions_words(found: Directions) -> str:
    """Reads and writes in one sentence, with its source."""
    words = {True: "arrive", False: "do not arrive", None: "not known"}
    if found.writes is None and found.reads is None:
        return f"writes and reads: {found.why}"
    both = found.writes == found.reads
    said = (
        f"writes and reads {words[found.writes]}"
        if both
        else f"writes {words[found.writes]}, reads {words[found.reads]}"
    )
    return f"{said}: {found.why} ({found.source})"


def verdict_words(verdict: ReachVerdict) -> str:
    """One verdict in a few words."""
    distance = "distance not known" if verdict.distance is None else f"distance {verdict.distance}"
    if verdict.map_type is MapType.NOT_KNOWN:
        return f"not known: {' or '.join(verdict.possible)}"
    if verdict.map_type is not None:
        return f"{verdict.map_type}, {distance}"
    why = {-1: "no common bridge", -2: "ACS redirect on the way"}.get(verdict.distance or 0, "reachable")
    return f"{distance}: {why}"


def dma_words(machine: Machine, provider: str, client: str, mask_bits: int = 64, kernel: PciKernel = TODAY) -> str:
    """The DMA address of the provider's largest memory BAR, or the error, in a few words."""
    bar = largest_memory_bar(machine[provider])
    if bar is None:
        return "no memory BAR with an address and size is shown"
    try:
        got = dma_map(machine, provider, client, mask_bits=mask_bits, kernel=kernel)
    except (KernelError, NotKnown) as error:
        told = "not known" if isinstance(error, NotKnown) else error
        return f"dma_map of BAR {bar.index}: {told}"
    mask = "" if mask_bits == 64 else f", {mask_bits}-bit mask"
    return f"dma_map of BAR {bar.index}: {got}{mask}"


def matrix_text(old: Matrix, new: Matrix) -> list[str]:
    """Both matrices, 2019's above the later kernel's (only one if they are equal); above 64 functions only the sums."""
    lines = []
    both = (old, new) if new.kernel != old.kernel else (old,)
    for matrix in both if len(new.bdfs) <= MATRIX_MOST else ():
        kernel = kernel_named(matrix.kernel)
        words = "b BUS_ADDR, h THRU_HOST_BRIDGE, with hops; - NOT_SUPPORTED"
        if kernel is RFC2019:
            words = "hops; -1 no common bridge, -2 ACS redirect"
        lines += [f"{kernel.title}: {words}", *_matrix(matrix), ""]
    for matrix in both:
        count = Counter(
            str(cell.map_type or ("not known" if cell.distance is None else min(cell.distance, 0)))
            for row in matrix.rows
            for cell in row
        )
        kinds = {"0": "reachable", "-1": "no common bridge", "-2": "ACS redirect"}
        sums = ", ".join(f"{kinds.get(kind, kind)} {n}" for kind, n in sorted(count.items()))
        lines.append(f"{matrix.kernel}: {len(matrix.bdfs)} functions, {len(matrix.bdfs) ** 2} pairs: {sums}")
    return lines


def cut(line: str, width: int = WIDTH) -> str:
    """The line, cut with an ellipsis if it is too long."""
    return line if len(line) <= width else line[: width - 1] + "…"


def _matrix(matrix: Matrix) -> Iterator[str]:
    labels = [f"{number:>3} {bdf}" for number, bdf in enumerate(matrix.bdfs)]
    margin = max((len(label) for label in labels), default=0)
    per_block = (WIDTH - margin) // 4
    for first in range(0, len(labels), per_block):
        block = range(first, min(first + per_block, len(labels)))
        yield " " * margin + "".join(f"{number:>4}" for number in block)
        for label, row in zip(labels, matrix.rows, strict=True):
            yield f"{label:<{margin}}" + "".join(f"{_short(row[n].map_type, row[n].distance):>4}" for n in block)


def _short(map_type: str | None, distance: int | None) -> str:
    hops = "?" if distance is None else str(distance)
    if map_type is None or map_type == "not known":
        return hops
    return CELLS[map_type] + (hops if hops != "-1" else "")


def _lacks(machine: Machine) -> list[str]:
    lines = _wrap(f"not shown by the source: {'; '.join(machine.lacks)}", "", "  ") if machine.lacks else []
    return lines + (_wrap(str(machine.unread), "", "  ") if machine.unread.count else [])


def _branches(row: TreeRow) -> str:
    if not row.last:
        return ""
    return "".join("   " if last else "|  " for last in row.last[:-1]) + ("`- " if row.last[-1] else "+- ")


def _tree_words(row: TreeRow) -> str:
    acs = f" ACS {row.acs}{' (redirects)' if row.redirects else ''}" if row.acs else ""
    if not row.last:
        return row.text
    kind = f"{row.bdf} {row.text}"
    if row.looked_at and not row.acs and row.role not in (PROVIDER, "client", "both"):
        acs = " no ACS" if row.acs_shown else " ACS not shown"
    return kind if not acs else f"{cut(kind, max(WIDTH - 2 - len(_branches(row)) - len(acs) - 1, 20))},{acs}"


def _columns(left: list[str], right: list[str]) -> list[str]:
    a = [part for text in left for part in textwrap.wrap(text, COLUMN, subsequent_indent="   ") or [""]]
    b = [part for text in right for part in textwrap.wrap(text, COLUMN, subsequent_indent="   ") or [""]]
    return [f"{x:<{COLUMN}}    {y}".rstrip() for x, y in zip_longest(a, b, fillvalue="")]


def _numbered(reasons: tuple[str, ...]) -> list[str]:
    return [f"{number}. {text}" for number, text in enumerate(reasons, 1)]


def _wrap(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def _resizable(device: Device) -> Iterator[str]:
    for what, entries in (("BAR", device.rebar), ("VF BAR", device.vf_rebar)):
        for entry in entries:
            sizes = ", ".join(human_size(size) for size in entry.bytes_offered) or "nothing"
            yield f"  {device.bdf} {what} {entry.index}: now {human_size(MIB << entry.current)}; offered {sizes}"


def _test(machine: Machine, provider: str, client: str, mode: str) -> str:
    try:
        return "true" if pci_test_p2p(machine, provider, client, mode) else "false"
    except NotKnown:
        return "not known"
