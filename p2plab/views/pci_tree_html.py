"""The PCI tree as HTML: a line a function, the way between exporter and importer marked by shape, colour and word."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from p2plab.pci import Machine
from p2plab.views.pci_tree import BETWEEN, BOTH, CLIENT, COMMON, PROVIDER, TreeRow, tree_rows

#: What a function is to the pair: the class of its line, and its word. What p2pdma calls provider and client are these two.
ROLES = {
    PROVIDER: ("exporter", "exporter"),
    CLIENT: ("importer", "importer"),
    BOTH: ("exporter", "exporter and importer"),
    COMMON: ("meet", "they meet here"),
    BETWEEN: ("between", "on the way"),
}


def tree_html(
    machine: Machine, provider: str | None = None, client: str | None = None, names: Mapping[str, str] | None = None
) -> str:
    """``names``: what to call the two besides (``{"0000:03:00.0": "gpu"}``). BadInput for a function that is not there."""
    rows = tree_rows(machine, provider, client)
    lines = "".join(_line(row, (names or {}).get(row.bdf, "")) for row in rows)
    words = escape(tree_words(machine, provider, client))
    name = f"PCI tree of {escape(machine.name)}"
    return (
        f'<p class="p2plab-words" data-view="way" role="status">{words}</p>'
        f'<ol class="p2plab-tree" data-view="pci-tree" tabindex="0" aria-label="{name}">{lines}</ol>'
    )


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
