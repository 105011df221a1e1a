"""Before and after: which pairs, groups and windows change, as text and as plain values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from p2plab.pci import Machine
from p2plab.pci.groups import Membership
from p2plab.pci.matrix import Reachability
from p2plab.pci.whatif import Seen, WhatIf
from p2plab.views.pci_json import resource_json
from p2plab.views.pci_text import WIDTH

#: More changed pairs than this are counted.
PAIRS_MOST = 60


def what_if_text(found: WhatIf) -> list[str]:
    """The changes in order: places, reachability, IOMMU groups, windows and refusals."""
    lines = [f"{found.before.machine.name}: before and after, by the rules of Linux {found.after.reach.kernel}"]
    for old, new in found.places.items():
        lines.append(f"  {old} is at {new} now")
    pairs = list(changed_pairs(found))
    lines += ["", f"reachability: {len(pairs)} of {len(found.before.reach.bdfs) ** 2} pairs change"]
    lines += [f"  memory of {a} for {b}: {_words(was)} -> {_words(now)}" for a, b, was, now in pairs[:PAIRS_MOST]]
    lines += [f"  and {len(pairs) - PAIRS_MOST} more"] if len(pairs) > PAIRS_MOST else []
    was, now = groups_lines(found.before.groups), groups_lines(found.after.groups)
    if was == now:
        lines += ["", "IOMMU groups, before and after the same", *now]
    else:
        lines += ["", "IOMMU groups, before", *was, "", "IOMMU groups, after", *now]
    lines += ["", "windows at the next boot, after a firmware that gives no addresses"]
    lines += [f"  {line}" for line in _windows(found)]
    return [part for line in lines for part in (_wrap_line(line) or [""])]


def what_if_headline(found: WhatIf, provider: str, client: str) -> str:
    """What changed, in a line: the answer for one pair (named as it is now), then how many pairs, groups, windows."""
    old = {new: name for name, new in found.places.items()}
    pair = (old.get(provider, provider), old.get(client, client))
    pairs = {(a, b): (was, now) for a, b, was, now in changed_pairs(found)}
    mine = " -> ".join(_words(one) for one in pairs[pair]) if pair in pairs else "as before"
    groups = "unchanged" if found.before.groups == found.after.groups else "changed"
    first = next(_windows(found))
    windows = {"the same": "unchanged"}.get(first, "not known" if first.startswith("not known") else "changed")
    all_pairs = f"{len(pairs)} of {len(found.before.reach.bdfs) ** 2} pairs changed"
    return f"Since the change: this pair {mine}; {all_pairs}; IOMMU groups {groups}; bridge windows {windows}."


def groups_lines(groups: tuple[Membership, ...]) -> list[str]:
    """A line a group, and below it a line a function with the reason; what is not known last."""
    lines = []
    for group in dict.fromkeys(member.group for member in groups if member.group is not None):
        inside = [member for member in groups if member.group == group]
        name = f"group {inside[0].number}" if inside[0].number is not None else f"group of {group}"
        lines.append(f"  {name}")
        lines += [part for m in inside for part in _wrapped(f"{m.bdf}: {m.why}")]
    unknown = [member for member in groups if member.group is None]
    lines += ["  not known"] if unknown else []
    lines += [part for m in unknown for part in _wrapped(f"{m.bdf}: missing {'; '.join(m.missing)}")]
    return lines


def changed_pairs(found: WhatIf) -> Iterator[tuple[str, str, Reachability, Reachability]]:
    """(provider, client, before, after) of every pair whose answer changes, named as before."""
    before, after = found.before.reach, found.after.reach
    for a, (old_row, new_row) in zip(before.bdfs, zip(before.rows, after.rows, strict=True), strict=True):
        for b, was, now in zip(before.bdfs, old_row, new_row, strict=True):
            if was != now:
                yield a, b, was, now


def what_if_json(found: WhatIf) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "machine": found.before.machine.name,
        "kernel": found.after.reach.kernel,
        "moved": dict(found.places),
        "pairs": [
            {"provider": a, "client": b, "before": _cell(was), "after": _cell(now)}
            for a, b, was, now in changed_pairs(found)
        ],
        "before": _seen_json(found.before),
        "after": _seen_json(found.after),
    }


def _seen_json(seen: Seen) -> dict[str, Any]:
    groups = [
        {"bdf": m.bdf, "group": m.group, "number": m.number, "why": m.why, "missing": list(m.missing)}
        for m in seen.groups
    ]
    if seen.windows is None:
        return {"groups": groups, "windows": None, "refused": None}
    windows = {d.bdf: [resource_json(r) for r in d.resources] for d in seen.windows.machine if d.resources}
    return {"groups": groups, "windows": windows, "refused": [str(refusal) for refusal in seen.windows.refused]}


def _cell(cell: Reachability) -> list[Any]:
    return [None if cell.map_type is None else str(cell.map_type), cell.distance]


def _words(cell: Reachability) -> str:
    distance = "?" if cell.distance is None else cell.distance
    return f"{cell.map_type or 'distance'} {distance}"


def _windows(found: WhatIf) -> Iterator[str]:
    before, after = found.before.windows, found.after.windows
    if before is None or after is None:
        yield "not known: the address ranges of the host bridges (--dmesg, --iomem or --host-window)"
        return
    was, now = (dict(_ranges(done.machine)) for done in (before, after))
    names = {(new, name): old for old, new in found.places.items() for name in _names(after.machine, new)}
    same = True
    for key in dict.fromkeys([*was, *((names.get(key, key[0]), key[1]) for key in now)]):
        there = (found.places.get(key[0], key[0]), key[1])
        if was.get(key) != now.get(there):
            same = False
            yield f"{key[0]} {key[1]}: {was.get(key, 'none')} -> {now.get(there, 'none')}"
    if same:
        yield "the same"
    for when, done in (("before", before), ("after", after)):
        for refusal in done.refused:
            yield f"{when}, refused: {refusal}"


def _names(machine: Machine, bdf: str) -> list[str]:
    return [r.name for r in machine[bdf].resources]


def _ranges(machine: Machine) -> Iterator[tuple[tuple[str, str], str]]:
    for device in machine:
        for found in device.resources:
            if found.mem and not found.unset:
                yield (device.bdf, found.name), str(found)


def _wrap_line(text: str) -> list[str]:
    indent = len(text) - len(text.lstrip(" "))
    return textwrap.wrap(text.strip(), WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ")
