"""The PCI tree: every function, how deep it is, and what it is to the way between two chosen functions.

As rows, and as HTML, where the way is marked by shape, colour and word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from p2plab.pci import Device, Machine, reach_verdict

#: What a function is to a chosen pair.
PROVIDER, CLIENT, BOTH, COMMON, BETWEEN, ASIDE = "provider", "client", "both", "common", "between", ""


#: So many functions aside of the way share a line.
FOLDED = 2


@dataclass(frozen=True)
class TreeRow:
    """One line of the tree; ``last`` says for each level, outermost first, whether this branch is the last."""

    bdf: str
    depth: int
    last: tuple[bool, ...]
    text: str
    role: str
    acs: str  #: the ACS control bits, ``none`` if all are off, empty without the capability
    redirects: bool
    looked_at: bool  #: the kernel reads its ACS register for this pair
    acs_shown: bool = True  #: false: whether it has ACS, or what its register holds, is not shown


def tree_rows(machine: Machine, provider: str | None = None, client: str | None = None) -> tuple[TreeRow, ...]:
    """Every host bridge and function, parents first; with a pair also the way between them. Raises BadInput."""
    roles, looked_at = _roles(machine, provider, client)
    rows: list[TreeRow] = []
    for bridge in machine.host_bridges:
        what = (
            f"{bridge.name} (host bridge)" if bridge.shown else f"bus {bridge.name[3:]} (what is above it is not shown)"
        )
        rows.append(TreeRow(bridge.name, 0, (), what, ASIDE, "", False, False))
        on_root = _with_last(machine.on_root_bus(bridge.name))
        todo: list[tuple[Device, tuple[bool, ...]]] = [(d, (last,)) for d, last in reversed(on_root)]
        while todo:
            device, lasts = todo.pop()
            rows.append(_row(device, lasts, roles.get(device.bdf, ASIDE), device.bdf in looked_at))
            inside = sorted(machine.children(device.bdf), key=lambda d: (d.bus, d.slot, d.function))
            todo += [(d, (*lasts, last)) for d, last in reversed(_with_last(tuple(inside)))]
    return tuple(rows)


def describe(device: Device) -> str:
    """Kind, ids, buses below and name, in one line."""
    parts = [str(device.kind), f"[{device.ids}]" if device.ids else ""]
    if device.secondary is not None:
        last = device.subordinate if device.subordinate not in (None, device.secondary) else None
        parts.append(f"to bus {device.secondary:02x}" + (f"-{last:02x}" if last is not None else ""))
    parts += [f"VF of {device.physfn}" if device.physfn else "", device.name]
    parts.append("(bridges above it are not shown)" if device.gap else "")
    return " ".join(part for part in parts if part)


def _with_last(devices: tuple[Device, ...]) -> list[tuple[Device, bool]]:
    return [(device, number == len(devices) - 1) for number, device in enumerate(devices)]


def _roles(machine: Machine, provider: str | None, client: str | None) -> tuple[dict[str, str], set[str]]:
    if provider is None or client is None:
        return {}, set()
    verdict = reach_verdict(machine, provider, client)
    roles = dict.fromkeys(verdict.path, BETWEEN)
    if verdict.common is not None:
        roles[verdict.common] = COMMON
    roles[verdict.provider], roles[verdict.client] = PROVIDER, CLIENT
    if verdict.provider == verdict.client:
        roles[verdict.provider] = BOTH
    return roles, set(verdict.path) if verdict.common is not None else set()


def _row(device: Device, lasts: tuple[bool, ...], role: str, looked_at: bool) -> TreeRow:
    acs = str(device.acs) if device.acs else ""
    redirects = bool(device.acs and device.acs.redirects)
    return TreeRow(device.bdf, len(lasts), lasts, describe(device), role, acs, redirects, looked_at, device.acs_shown)


#: What a function is to the pair: the class of its line, and its word. p2pdma calls the two provider and client.
ROLES = {
    PROVIDER: ("exporter", "exporter"),
    CLIENT: ("importer", "importer"),
    BOTH: ("exporter", "exporter and importer"),
    COMMON: ("meet", "they meet here"),
    BETWEEN: ("between", "on the way"),
}


def tree_html(
    machine: Machine,
    provider: str | None = None,
    client: str | None = None,
    names: Mapping[str, str] | None = None,
    folded: bool = False,
) -> str:
    """``names``: further names of the two (``{"0000:03:00.0": "gpu"}``). BadInput for a function that is not there.

    ``folded``: functions that are neither on the way between the two nor above it are shown as a count that unfolds.
    """
    rows = tree_rows(machine, provider, client)
    parts: list[str] = []
    for aside, of in groupby(zip(rows, _kept(rows, folded), strict=True), lambda pair: not pair[1]):
        lines = [_line(row, (names or {}).get(row.bdf, "")) for row, _ in of]
        if aside and len(lines) >= FOLDED:
            summary = f"<summary>{len(lines)} other functions</summary>"
            parts.append(f'<li class="fold"><details>{summary}<ol>{"".join(lines)}</ol></details></li>')
        else:
            parts += lines
    words = escape(tree_words(machine, provider, client))
    name = f"PCI tree of {escape(machine.name)}"
    return (
        f'<p class="p2plab-words" data-view="way" role="status">{words}</p>'
        f'<ol class="p2plab-tree" data-view="pci-tree" tabindex="0" aria-label="{name}">{"".join(parts)}</ol>'
    )


def _kept(rows: Sequence[TreeRow], folded: bool) -> list[bool]:
    """Whether each row keeps its line: it is a host bridge, has a role, or is above one that has."""
    if not folded or not any(row.role for row in rows):
        return [True] * len(rows)
    kept = []
    depth = 0  # rows less deep than this are above one that was kept
    for row in reversed(rows):
        kept.append(bool(row.role) or row.depth < depth)
        if kept[-1]:
            depth = row.depth
    return kept[::-1]


def tree_words(machine: Machine, provider: str | None = None, client: str | None = None) -> str:
    """The way between the two in one sentence."""
    words = f"{machine.name}: {len(machine)} functions."
    if provider is None or client is None:
        return words
    rows = tree_rows(machine, provider, client)
    named = {role: next((row.bdf for row in rows if row.role == role), "") for role in ROLES}
    between = [row.bdf for row in rows if row.role == BETWEEN]
    meet = f"they meet at {named[COMMON]}" if named[COMMON] else "no bridge joins them"
    redirects = [row.bdf for row in rows if row.looked_at and row.redirects]
    said = f"Way from {named[PROVIDER] or named[BOTH]} to {named[CLIENT] or named[BOTH]}: {meet}"
    said += f", by {', '.join(between)}" if between else ""
    return f"{words} {said}" + (f". ACS redirects at {', '.join(redirects)}." if redirects else ".")


def _line(row: TreeRow, name: str) -> str:
    style, word = ROLES.get(row.role, ("", ""))
    branches = "".join(f'<i class="{"gap" if last else "on"}"></i>' for last in row.last[:-1])
    if row.last:
        branches += f'<i class="{"end" if row.last[-1] else "tee"}"></i>'
    acs = f"ACS {row.acs}" if row.acs else "ACS not shown" if row.looked_at and not row.acs_shown else ""
    redirects = " <b>redirects</b>" if row.redirects else ""
    what = row.text.removeprefix(row.bdf).strip()
    said = f": {escape(name)}" if name else ""
    return (
        f'<li class="{style}" title="{escape(f"{row.bdf} {what}")}"><span class="branch" aria-hidden="true">{branches}</span>'
        f'<span class="dot" aria-hidden="true"></span><code>{escape(row.bdf)}</code><span class="what">{escape(what)}</span>'
        + (f'<span class="acs">{escape(acs)}{redirects}</span>' if acs else "")
        + (f'<strong class="role">{word}{said}</strong>' if word else "")
        + "</li>"
    )
