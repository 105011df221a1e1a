"""Reader of what ``lspci`` prints: with any of -v -vv -vvv -n -nn -x -xxx -xxxx -t -k -D, one output or several."""

from __future__ import annotations

import re

from p2plab.core.errors import BadInput
from p2plab.pci import lspci_fields as fields
from p2plab.pci.device import canonical
from p2plab.pci.draft import Draft, assemble
from p2plab.pci.dump import decode_header
from p2plab.pci.lspci_tree import LINE as TREE_LINE
from p2plab.pci.lspci_tree import Node, TreeReader
from p2plab.pci.machine import MAX_DEVICES, Machine

#: Bounds on what is read: a machine with 1,000 functions prints some 4 MB with -vvv -xxxx (inferred).
MAX_CHARACTERS, MAX_LINE = 64 << 20, 4096

_HEADER = re.compile(r"((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]) (\S.*)")
_HEX = re.compile(r"([0-9a-f]{2,3}):((?: [0-9a-f]{2}){1,16})\s*")
_IDS = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\]")
_NUMERIC = re.compile(r"([0-9a-f]{4}): ([0-9a-f]{4}):([0-9a-f]{4})(.*)")
_REVISION = re.compile(r"\(rev ([0-9a-f]{2})\)")
_PROG_IF = re.compile(r"\(prog-if ([0-9a-f]{2})")
_CLASS = re.compile(r"\[([0-9a-f]{4})\]$")
_SUBSYSTEM = re.compile(r"Subsystem: (?:.*\[)?([0-9a-f]{4}):([0-9a-f]{4})\]?$")


def read_lspci(text: str, name: str = "lspci") -> Machine:
    """The machine that lspci's text shows; several outputs may follow each other. Raises BadInput naming the line.

    What the text does not show is left out and said in ``lacks``; nothing is guessed.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"{len(text)} characters; allowed: {MAX_CHARACTERS}")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            raise BadInput(f"line {number}: {len(line)} characters; allowed: {MAX_LINE}")
        try:
            reader.line(line.rstrip("\r \t").expandtabs(8), number)
        except ValueError as error:
            raise BadInput(f"line {number}: {error}") from None
    return reader.finish(name)


class _Reader:
    """The state while reading: the function whose block this is, and the tree being drawn."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.tree = TreeReader()
        self.now: Draft | None = None
        self.bytes: dict[str, bytearray] = {}
        self.indent = 0
        self.verbose = self.numbered = False

    def line(self, text: str, number: int) -> None:
        """One line, tabs expanded."""
        if found := _HEADER.fullmatch(text):
            self._header(found[1], found[2], number)
        elif found := _HEX.fullmatch(text):
            self._hex(int(found[1], 16), bytes.fromhex(found[2]), number)
        elif TREE_LINE.match(text) and (text[0] in "-" or self.now is None or not self.drafts):
            self._tree(text, number)
        elif text.startswith(" ") and self.now is not None:
            self._body(self.now, text, number)
        elif not text:
            self.now = None

    def _tree(self, text: str, number: int) -> None:
        self.now = None
        self.tree.read(text, number)

    def _header(self, bdf: str, text: str, number: int) -> None:
        bdf = canonical(bdf)
        if len(self.drafts) >= MAX_DEVICES and bdf not in self.drafts:
            raise ValueError(f"more than {MAX_DEVICES} functions")
        draft = self.drafts.setdefault(bdf, Draft(bdf, number))
        self.now, self.indent = draft, 0
        if found := _NUMERIC.match(text):
            class_code, vendor, device = (int(group, 16) for group in found.groups()[:3])
        else:
            what, _, name = text.partition(": ")
            draft.name = draft.name or _IDS.split(name)[0].split(" (rev ")[0].split(" (prog-if ")[0].strip()
            shown = _CLASS.search(what)
            class_code = int(shown[1], 16) if shown else fields.CLASSES.get(what.strip().lower(), -1)
            ids = _IDS.search(name)
            vendor, device = (int(ids[1], 16), int(ids[2], 16)) if ids else (-1, -1)
        _same(draft, "vendor", vendor)
        _same(draft, "device", device)
        prog_if = _PROG_IF.search(text)
        if class_code >= 0 and (draft.class_code is None or prog_if):
            draft.class_code = class_code << 8 | (int(prog_if[1], 16) if prog_if else 0)
        revision = _REVISION.search(text)
        draft.silent = bool(revision and revision[1] == "ff" and prog_if and prog_if[1] == "ff")
        # lspci leaves out "(rev 00)", so a missing one means 0 wherever ids are shown
        if vendor >= 0 or revision:
            draft.revision = int(revision[1], 16) if revision else 0

    def _hex(self, offset: int, data: bytes, number: int) -> None:
        if self.now is None:
            raise ValueError("bytes of a config space without a function above them")
        kept = self.bytes.setdefault(self.now.bdf, bytearray())
        if offset == 0:
            kept.clear()
        if offset != len(kept) or offset + len(data) > 4096:
            raise ValueError(f"bytes at {offset:#x}, expected at {len(kept):#x}")
        kept += data

    def _body(self, draft: Draft, text: str, number: int) -> None:
        stripped = text.lstrip(" ")
        depth = len(text) - len(stripped)
        self.indent = self.indent or depth
        if depth > self.indent:
            self._nested(draft, stripped)
        else:
            self.verbose = draft.verbose = True
            self._field(draft, stripped)

    def _field(self, draft: Draft, text: str) -> None:
        if (bar := fields.region(text, _next_index(draft))) or (bar := fields.rom(text)):
            self.numbered = self.numbered or text.startswith("Region ")
            draft.resources[bar.index] = bar
        elif found := fields.window(text):
            index, window = found
            draft.resources.pop(index, None)
            if window:
                draft.resources[index] = window
        elif shown := fields.buses(text):
            draft.secondary, draft.subordinate = shown
        elif text.startswith("Capabilities: <access denied>"):
            draft.denied = True
        elif text.startswith("Capabilities: ["):
            if text.endswith("Access Control Services") and draft.acs_ctrl is None:
                draft.acs_shown = False
            draft.kind = fields.express_kind(text) or draft.kind
        elif text.startswith("Control: "):
            draft.memory_decode = "Mem+" in text.split()
        elif sub := _SUBSYSTEM.match(text):
            draft.subsystem = int(sub[1], 16), int(sub[2], 16)
        elif text.startswith("Kernel driver in use: "):
            draft.driver = text.removeprefix("Kernel driver in use: ")
        elif text.startswith("IOMMU group: ") and text.removeprefix("IOMMU group: ").isdecimal():
            draft.iommu_group = int(text.removeprefix("IOMMU group: ")[:9])
        elif text.startswith("!!! Unknown header type"):
            draft.silent = True

    def _nested(self, draft: Draft, text: str) -> None:
        if (bits := fields.acs_bits(text, "ACSCap:")) is not None:
            draft.acs_cap = bits
        elif (bits := fields.acs_bits(text, "ACSCtl:")) is not None:
            draft.acs_ctrl, draft.acs_shown = bits, True
        elif text.startswith("SltCap:"):
            draft.hotplug = "HotPlug+" in text.split()
        elif entry := fields.rebar(text):
            draft.rebar[entry.index] = entry

    def finish(self, name: str) -> Machine:
        """Put everything together. Raises BadInput if there was no function at all."""
        for node in self.tree.nodes:
            self._add_node(node)
        if not self.drafts:
            raise BadInput("line 1: no line starts with a PCI address, and none draws a tree: not lspci's output")
        for bdf, data in self.bytes.items():
            draft, header = self.drafts[bdf], decode_header(bytes(data))
            if header is not None:
                draft.add_header(header)
            elif data[:4] == b"\xff" * 4:
                draft.silent = True
        for draft in self.drafts.values():
            draft.conclude_kind()
        return assemble(name, self.drafts, self.tree.roots, self._lacks())

    def _add_node(self, node: Node) -> None:
        draft = self.drafts.setdefault(node.bdf, Draft(node.bdf, node.line))
        if draft.secondary is not None and node.secondary not in (None, draft.secondary):
            raise BadInput(
                f"line {node.line}: {node.bdf} has bus {node.secondary:02x} here, {draft.secondary:02x} above"
            )
        if node.secondary is not None:
            draft.secondary, draft.subordinate = node.secondary, node.subordinate
        draft.name = draft.name or node.name
        if node.ids and draft.vendor is None:
            draft.vendor, draft.device = node.ids

    def _extended(self) -> bool:
        return any(len(data) == 4096 for data in self.bytes.values())

    def _lacks(self) -> list[str]:
        drafts = self.drafts.values()
        bridges = [draft for draft in drafts if draft.bridge]
        lacks = ["the CPU", "the address ranges of the host bridges"]
        if bridges and all(draft.secondary is None for draft in bridges):
            lacks.append("the tree: which function is below which bridge (-v, -t or -x show it)")
        if any(draft.vendor is None for draft in drafts):
            lacks.append("vendor and device ids (-nn shows them)")
        if not self.verbose and not self.bytes:
            lacks.append("BARs and windows (-v shows them)")
        if any(not r.sized and not r.unset for draft in drafts for r in draft.resources.values()):
            lacks.append("the size of some BARs (-v shows it)")
        if self.verbose and not self.numbered and any(r.bar for d in drafts for r in d.resources.values()):
            lacks.append("the number of each BAR: counted from 0 in order (-vv shows it)")
        if any(draft.denied or not (draft.verbose or draft.kind) for draft in drafts):
            lacks.append("the PCI Express type of some functions (-v as root shows it)")
        if any(draft.denied or not draft.acs_shown for draft in drafts) or not (self.verbose or self._extended()):
            lacks.append("ACS (-vv as root shows it)")
        silent = [draft.bdf for draft in drafts if draft.silent]
        if silent:
            lacks.append(f"everything about {', '.join(silent[:8])}: config space reads all ones")
        return lacks


def _same(draft: Draft, what: str, value: int) -> None:
    """Take over an id; ``-1`` is none. Raises ValueError if an earlier line said otherwise."""
    known = getattr(draft, what)
    if value < 0:
        return
    if known is not None and known != value:
        raise ValueError(f"{draft.bdf} has {what} {value:04x} here, {known:04x} above")
    setattr(draft, what, value)


def _next_index(draft: Draft) -> int:
    """The number after the last BAR seen, a 64-bit one counting twice."""
    bars = [bar for bar in draft.resources.values() if bar.bar]
    if not bars:
        return 0
    last = max(bars)
    return last.index + (2 if last.mem64 else 1)
