"""``nvidia-smi topo -m`` beside the tree: another tool's word for each pair of GPUs, to compare with.

PIX: at most one bridge between the two; PXB: several, but no host bridge; PHB: a host bridge; NODE: host bridges of one NUMA
node; SYS: between NUMA nodes (its own legend). GPUs are numbered by bus address; NVLink (NV#) is no PCI.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from p2plab.pci.kernel import NVIDIA
from p2plab.pci.machine import Machine
from p2plab.pci.walk import walk

#: (row, column, word) of the table.
Topo = tuple[tuple[str, str, str], ...]
_ROW = re.compile(r"(GPU\d+)((?: +(?:X|SYS|NODE|PHB|PXB|PIX|NV\d+))+)")
_WORDS = ("PIX", "PXB", "PHB", "NODE", "SYS")


def read_topo(lines: Sequence[str]) -> Topo:
    """The pairs of GPUs of the table; columns are in the order of its first line."""
    columns: list[str] = []
    found = []
    for line in lines:
        words = line.split()
        if words and words[0] == "GPU0" and "X" not in words:
            columns = [word for word in words if re.fullmatch(r"(?:GPU|NIC|mlx)\w+", word)]
        elif row := _ROW.match(line.strip()):
            for column, word in zip(columns, row[2].split(), strict=False):
                if column.startswith("GPU") and word in _WORDS:
                    found.append((row[1], column, word))
    return tuple(found)


def compared(machine: Machine) -> list[str]:
    """A sentence for each pair of GPUs where the tree disagrees or that cannot be compared; one if all agree."""
    if not machine.topo:
        return []
    gpus = sorted(d.bdf for d in machine if d.vendor == NVIDIA and d.class_code is not None and d.class_code >> 16 == 3)
    named = sorted({name for row in machine.topo for name in row[:2]}, key=lambda name: int(name[3:]))
    if len(gpus) != len(named):
        return [f"nvidia-smi shows {len(named)} GPUs, the tree {len(gpus)} with Nvidia's id: not compared"]
    at = dict(zip(named, gpus, strict=True))
    lines = []
    for a, b, word in machine.topo:
        if int(a[3:]) < int(b[3:]):
            allowed = _by_tree(machine, at[a], at[b])
            if word not in allowed:
                said = " or ".join(allowed) or "not shown"
                lines.append(f"{a} {at[a]} and {b} {at[b]}: nvidia-smi says {word}, the tree {said}")
    return lines or ["every pair of GPUs as the tree has it"]


def _by_tree(machine: Machine, a: str, b: str) -> tuple[str, ...]:
    seen = walk(machine, a, b)
    if seen.gaps:
        return ()
    if seen.common is not None:
        return ("PIX",) if seen.steps <= 4 else ("PXB",)
    return ("PHB", "NODE") if seen.provider.host_bridge == seen.client.host_bridge else ("NODE", "SYS")
