"""Reader of what ``lspci`` prints: with any of -v -vv -vvv -n -nn -x -xxx -xxxx -t -k -D -PP -vmm, one output or several.

Each line is understood, known to say nothing that matters here, or counted and shown (``Machine.unread``).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from p2plab.core.errors import BadInput
from p2plab.pci import lspci_fields as fields
from p2plab.pci import lspci_sriov, paste
from p2plab.pci.beside import boot_drafts, iomem_drafts, with_boot_log
from p2plab.pci.device import FunctionKind, canonical
from p2plab.pci.draft import Draft, assemble
from p2plab.pci.dump import decode_header
from p2plab.pci.lspci_tree import TreeFunction, TreeReader
from p2plab.pci.machine import MAX_DEVICES, Machine, Unread
from p2plab.pci.topo import read_topo

#: Bounds on what is read: a machine with 1,000 functions prints some 4 MB with -vvv -xxxx (inferred).
MAX_CHARACTERS, MAX_LINE = 64 << 20, 4096

_IDS = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\]")
_NUMERIC = re.compile(r"([0-9a-f]{4}): ([0-9a-f]{4}):([0-9a-f]{4})(.*)")
_REVISION = re.compile(r"\(rev ([0-9a-f]{2})\)")
_PROG_IF = re.compile(r"\(prog-if ([0-9a-f]{2})")
_CLASS = re.compile(r"\[([0-9a-f]{4})\]$")
_VMM_ID = re.compile(r"(.*?) ?\[([0-9a-f]{4})\]$|([0-9a-f]{4})$")
_SUBSYSTEM = re.compile(r"Subsystem: (?:.*\[)?([0-9a-f]{4}):([0-9a-f]{4})\]?$")
_CAPABILITY = re.compile(r"Capabilities: \[([0-9a-f]{2,3})(?: v\d+)?\] ?(.*)")
_GROUP = re.compile(r"IOMMU group:? (\d{1,6})\b")
_EXPRESS_DETAIL = re.compile(r"(?:Dev|Lnk|Slt|Root)(?:Cap|Ctl|Sta)2?:")
#: Details of capabilities that are recognized at any depth.
_DETAIL = re.compile(
    r"ACSC(?:ap|tl):|SltCap:|BAR \d: current|IOV(?:Cap|Ctl|Sta):|Initial VFs:|VF (?:offset|Migration):|Supported Page Size:"
)
_PORTS = (
    FunctionKind.ROOT_PORT,
    FunctionKind.UPSTREAM,
    FunctionKind.DOWNSTREAM,
    FunctionKind.PCIE_TO_PCI,
    FunctionKind.PCI_TO_PCIE,
)
#: The order in which lspci prints a function's fields. One that comes too late belongs to a function whose first line is lost.
_ORDER = re.compile(
    r"(DeviceName:)|(Subsystem:)|(!!! |Physical Slot:|Device tree node:)|(Control:|Flags:)|(Status:)|(Latency:)|(Interrupt:)|"
    r"(NUMA node:)|(IOMMU group:)|(BIST)|(Region \d: |(?:\[virtual\] )?Memory at|I/O ports at)|(Bus:)|(I/O behind)|"
    r"(Memory behind)|(Prefetchable memory behind)|(Secondary status:)|(Expansion ROM)|(BridgeCtl:)|(Capabilities:)|"
    r"(Kernel driver in use:)|(Kernel modules:)"
)
_MANY = re.compile(r"Region|\[virtual\]|Memory at|I/O ports at|Capabilities:|!!! |Physical|Device tree")
#: Fields of a function that say nothing that is used here.
_IRRELEVANT = re.compile(
    r"(?:Latency|Interrupt|NUMA node|Physical Slot|DeviceName|Device tree node|Secondary status|BridgeCtl|Kernel modules|"
    r"BIST|Driver in use|(?:Memory|I/O) window \d|16-bit legacy interface ports|Subsystem|Product Name|Expansion ROM at <|"
    r"!!! (?:Invalid class|Unknown (?:I/O|memory|prefetchable memory) range types))"
)
_ACS_WORDS = re.compile(r"(?:(?:SrcValid|TransBlk|ReqRedir|CmpltRedir|UpstreamFwd|EgressCtrl|DirectTrans)[+-] ?)+")


def read_lspci(text: str, name: str = "lspci") -> Machine:
    """The machine that lspci's text shows; several outputs may follow each other. Raises BadInput naming the line.

    What the text does not show is left out and said in ``lacks``; nothing is guessed. Mail quotes, fences, prompts, lost
    indentation, wrapping and the like are undone first (:mod:`p2plab.pci.paste`). Boot messages, ``/proc/iomem``, lists
    of IOMMU groups in the same text are read too.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadInput(f"{len(text)} characters; allowed: {MAX_CHARACTERS}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, raw in enumerate(text.split("\n"), 1):
        if len(raw) > MAX_LINE:
            raise BadInput(f"line {number}: {len(raw)} characters; allowed: {MAX_LINE}")
    reader = _Reader()
    for number, line in paste.lines_of(text):
        try:
            reader.line(line, number)
        except ValueError as error:
            raise BadInput(f"line {number}: {error}") from None
    return reader.finish(name)


class _Reader:
    """The state while reading: the function whose block this is, the capability in it, and the tree being drawn."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.tree = TreeReader()
        self.now: Draft | None = None
        self.last: Draft | None = None  #: the function whose block has ended
        self.bytes: dict[str, bytearray] = {}
        self.indent = 0
        self.rank = 0  #: how far down its block the last field was
        self.capability = ""
        self.offset = 0  #: where the last capability is
        self.acs = ""  #: an ACS register some of whose bits are on a later line
        self.group: int | None = None
        self.groups: dict[str, int] = {}
        self.roots: dict[tuple[int, int], str] = {}
        self.boot: list[str] = []
        self.iomem: list[str] = []
        self.topo: list[str] = []
        self.unread = Unread()
        self.slots = False

    def line(self, text: str, number: int) -> None:
        """One line, tabs expanded: the first kind that fits takes it."""
        stripped = text.lstrip(" ")
        if not text:
            self._close()
            self.now, self.last = None, self.now or self.last
            self.group, self.acs, self.slots = None, "", False
        elif found := paste.HEADER.fullmatch(stripped):
            self._header(found, number)
        elif found := paste.HEX.fullmatch(stripped):
            self._hex(int(found[1], 16), bytes.fromhex(found[2]), number)
        elif self.tree.takes(text):
            self._close()
            self.now = None
            self.tree.read(text, number)
        elif (self.slots and (found := paste.VMM.match(_tabbed(text)))) or text.startswith("Slot:"):
            self._vmm(*_key(text), number)
        elif paste.DMESG.match(text):
            self.boot.append(text)
        elif paste.IOMEM.match(stripped):
            self.iomem.append(text)
        elif found := paste.GROUP_PATH.fullmatch(text):
            self.groups[canonical(found[2])] = int(found[1])
        elif (found := paste.GROUP.match(text)) and not (self.now is not None and _GROUP.fullmatch(text)):
            self._group(found, number)
        elif self.now is not None and (text.startswith(" ") or paste.FIELD.match(text)) and not paste.TOPO.match(text):
            if not self._body(self.now, text, stripped):
                self._not_understood(text, number)
        elif paste.CUT.fullmatch(stripped):
            if left := self.now or self.last:
                left.cut = left.cut_inside = True
            self.unread = self.unread.with_line(number, stripped)
        elif paste.FENCE.match(stripped):
            self._close()
        elif paste.TOPO.match(text):
            self.topo.append(text)
        elif not (paste.PROMPT.match(text) or paste.NOISE.match(text)):
            self._not_understood(text, number)

    def _close(self) -> None:
        """The block of the function has come to its end; what it did not list is not there."""
        if self.now is not None:
            self.now.cut = self.now.cut_inside

    def _not_understood(self, text: str, number: int) -> None:
        self.unread = self.unread.with_line(number, text.strip())
        if self.now is not None and self.now.cut:
            self.now.cut_inside = True

    def _group(self, found: re.Match[str], number: int) -> None:
        self.group = int(found[1])
        if header := paste.HEADER.fullmatch(found[2]):
            group = self.group
            self._header(header, number)
            self.group = None
            self.groups[self.now.bdf if self.now else ""] = group
        elif found[2]:
            self.group = None
            self._not_understood(found[0], number)

    def _draft(self, bdf: str, number: int) -> Draft:
        if len(self.drafts) >= MAX_DEVICES and bdf not in self.drafts:
            raise ValueError(f"more than {MAX_DEVICES} functions")
        return self.drafts.setdefault(bdf, Draft(bdf, number))

    def _header(self, found: re.Match[str], number: int) -> None:
        bdf, text = found[1], found[3]
        if text.startswith('"'):
            raise ValueError(
                "this is lspci -mm, a form for scripts that shows no tree, BARs or ACS: use lspci -nnvvv, as root"
            )
        if found[2]:
            bdf = self._path(bdf, found[2], number)
        self._close()
        draft = self._draft(canonical(bdf), number)
        self.now, self.indent, self.capability, self.acs = draft, 0, "", ""
        self.rank = self.offset = 0
        draft.header_again = draft.verbose
        draft.cut = True  # until its block has come to its end
        if self.group is not None:
            self.groups[draft.bdf] = self.group
        if numeric := _NUMERIC.match(text):
            class_code, vendor, device = (int(group, 16) for group in numeric.groups()[:3])
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

    def _path(self, first: str, rest: str, number: int) -> str:
        """The function at the end of a path of bridges (lspci -PP); the bridges get the bus below them."""
        parts = rest.strip("/").split("/")
        if any(":" not in part for part in parts):
            raise ValueError("lspci -P leaves the bus numbers out of its paths: use -PP")
        domain = first.rpartition(":")[0].rpartition(":")[0]
        chain = [canonical(first), *(canonical(f"{domain}:{part}" if domain else part) for part in parts)]
        head = self._draft(chain[0], number)
        self.roots.setdefault(head.bus, "")
        for above, below in itertools.pairwise(chain):
            bridge, inside = self._draft(above, number), self._draft(below, number)
            if inside.bus[1] <= bridge.bus[1]:
                raise ValueError(f"{below} cannot be below {above}")
            if bridge.secondary is None or inside.bus[1] < bridge.secondary:
                bridge.secondary = inside.bus[1]
            bridge.subordinate = max(bridge.subordinate or 0, bridge.secondary, Draft(chain[-1], number).bus[1])
        return chain[-1]

    def _hex(self, offset: int, data: bytes, number: int) -> None:
        if self.now is None:
            raise ValueError("bytes of a config space without a function above them")
        kept = self.bytes.setdefault(self.now.bdf, bytearray())
        if offset == 0:
            kept.clear()
        if offset != len(kept) or offset + len(data) > 4096:
            raise ValueError(f"bytes at {offset:#x}, expected at {len(kept):#x}")
        kept += data

    def _vmm(self, key: str, value: str, number: int) -> None:
        """``Slot:`` begins a function of lspci -vmm; the keys after it are about that one."""
        if key == "Slot":
            if not re.fullmatch(paste.BDF, value):
                raise ValueError(f"Slot: {value[:40]!r} is not a PCI address")
            self.now, self.slots = self._draft(canonical(value), number), True
            return
        draft = self.now
        if draft is None:
            return
        found = _VMM_ID.fullmatch(value)
        name, code = (found[1] or "", int(found[2] or found[3], 16)) if found else (value, -1)
        if key == "Class":
            code = code if code >= 0 else fields.CLASSES.get(name.lower(), -1)
            draft.class_code = code << 8 if code >= 0 and draft.class_code is None else draft.class_code
        elif key == "Vendor":
            _same(draft, "vendor", code)
            draft.name = draft.name or name
        elif key == "Device":
            _same(draft, "device", code)
            draft.name = f"{draft.name} {name}".strip() if name not in draft.name else draft.name
        elif key in ("Rev", "ProgIf") and re.fullmatch(r"[0-9a-f]{2}", value):
            if key == "Rev":
                draft.revision = int(value, 16)
            elif draft.class_code is not None:
                draft.class_code |= int(value, 16)
        elif key == "IOMMUGroup" and value.isdecimal():
            self.groups[draft.bdf] = int(value[:9])
        elif key == "Driver":
            draft.driver = value

    def _body(self, draft: Draft, text: str, stripped: str) -> bool:
        depth = len(text) - len(stripped)
        if 0 < depth < 16:
            self.indent = self.indent or depth
        of_virtual = self.capability.startswith(lspci_sriov.TITLE) and lspci_sriov.REGION.fullmatch(stripped)
        if depth > (self.indent or 15) or of_virtual or _DETAIL.match(stripped):
            return self._nested(draft, stripped)
        self.acs = ""
        if self._too_late(draft, stripped):
            draft.cut = draft.cut_inside = True
            self.now = None
            return False
        draft.verbose = True
        return self._field(draft, stripped)

    def _too_late(self, draft: Draft, text: str) -> bool:
        """The field cannot be this function's: it is out of order, or contradicts what is known of the function."""
        found = _ORDER.match(text)
        if not found or found.lastindex is None:
            return False
        rank, before = found.lastindex, self.rank
        self.rank = rank
        if rank < before or (rank == before and not _MANY.match(text)):
            return True
        if text.startswith("Region ") and any(
            bar.bar and bar.index >= int(text[7]) for bar in draft.resources.values()
        ):
            return not draft.header_again
        if capability := _CAPABILITY.match(text):
            offset, self.offset = int(capability[1], 16), max(self.offset, int(capability[1], 16))
            port = fields.express_kind(text) in _PORTS
            return (offset < 0x100 <= self.offset) or (
                port and draft.class_code is not None and draft.class_code >> 16 != 6
            )
        if text.startswith("Bus: primary="):
            return text[13:15] not in ("00", f"{draft.bus[1]:02x}") or (draft.class_code or 0x060400) >> 16 != 0x06
        return False

    def _field(self, draft: Draft, text: str) -> bool:
        if (bar := fields.region(text, _next_index(draft))) or (bar := fields.rom(text)):
            draft.numbered = draft.numbered or text.startswith("Region ")
            draft.resources[bar.index] = bar
        elif found := fields.window(text):
            index, window = found
            draft.resources.pop(index, None)
            if window:
                draft.resources[index] = window
        elif shown := fields.buses(text):
            draft.secondary, draft.subordinate = shown
        elif text.startswith(("Capabilities: <", "<access denied")):
            draft.denied = True
        elif capability := _CAPABILITY.match(text):
            self._capability(draft, int(capability[1], 16), capability[2], text)
        elif text.startswith("Control: "):
            draft.memory_decode = "Mem+" in text.split() if "Mem+" in text or "Mem-" in text else None
        elif text.startswith("Status: "):
            draft.has_caps = {"Cap+": True, "Cap-": False}.get(text.split()[1])
        elif text.startswith("Flags: "):
            if group := _GROUP.search(text):
                draft.iommu_group = int(group[1])
        elif sub := _SUBSYSTEM.match(text):
            draft.subsystem = int(sub[1], 16), int(sub[2], 16)
        elif text.startswith("Kernel driver in use: "):
            draft.driver = text.removeprefix("Kernel driver in use: ")
            draft.cut = draft.cut_inside
        elif group := _GROUP.match(text):
            draft.iommu_group = int(group[1])
        elif text.startswith("!!! Unknown header type"):
            draft.silent = True
        elif text.startswith("Kernel modules:"):
            draft.cut = draft.cut_inside
        else:
            return _IRRELEVANT.match(text) is not None
        return True

    def _capability(self, draft: Draft, offset: int, title: str, text: str) -> None:
        self.capability = title
        draft.caps_listed = True
        draft.ext_listed = draft.ext_listed or offset >= 0x100
        draft.acs_listed = draft.acs_listed or title.startswith("Access Control Services")
        draft.kind = fields.express_kind(text) or draft.kind

    def _nested(self, draft: Draft, text: str) -> bool:
        if self.acs and _ACS_WORDS.fullmatch(text):
            text = f"{self.acs} {text}"
        self.acs = ""
        if text.startswith("ACSC"):
            if not self._acs_register(draft, text):
                self.acs = text
        elif text.startswith("SltCap:"):
            draft.hotplug = "HotPlug+" in text.split() if "HotPlug" in text else None
        elif entry := fields.rebar(text):
            virtual = self.capability.startswith("Virtual")
            (draft.vf_rebar if virtual else draft.rebar)[entry.index] = entry
        elif _EXPRESS_DETAIL.match(text):
            draft.express_seen = True
        else:
            lspci_sriov.takes(draft, text)
        return True  # whatever is deeper is a detail of a capability or of BridgeCtl

    def _acs_register(self, draft: Draft, text: str) -> bool:
        """Take over a register of ACS; False if some of its bits are not there."""
        for register in ("ACSCap:", "ACSCtl:"):
            bits = fields.acs_bits(text, register)
            if bits is not None:
                if register == "ACSCap:":
                    draft.acs_cap = bits
                else:
                    draft.acs_ctrl = bits
                return True
        draft.acs_listed = True
        return False

    def finish(self, name: str) -> Machine:
        """Put everything together. Raises BadInput if there was no function at all."""
        for node in self.tree.nodes:
            self._add_node(node)
        alone: tuple[dict[str, Draft], dict[tuple[int, int], str]] = ({}, {})
        if not self.drafts:
            alone = boot_drafts(self.boot) if self.boot else iomem_drafts(self.iomem)
            self.drafts = alone[0]
        if not self.drafts:
            raise BadInput("line 1: no line starts with a PCI address, and none draws a tree: not lspci's output")
        for bdf, data in self.bytes.items():
            draft, header = self.drafts[bdf], decode_header(bytes(data))
            if header is not None:
                draft.add_header(header)
            elif data[:4] == b"\xff" * 4:
                draft.silent = True
        for bdf, group in self.groups.items():
            if bdf in self.drafts:
                self.drafts[bdf].iommu_group = group
        lspci_sriov.conclude(self.drafts)
        for draft in self.drafts.values():
            draft.conclude_kind()
        roots = {**alone[1], **self.roots, **self.tree.firsts}
        machine = assemble(name, self.drafts, roots, self._lacks(), unread=self.unread)
        machine = replace(machine, topo=read_topo(self.topo)) if self.topo else machine
        return with_boot_log(machine, self.boot, self.iomem) if self.boot or self.iomem else machine

    def _add_node(self, node: TreeFunction) -> None:
        draft = self._draft(node.bdf, node.line)
        if draft.secondary is not None and node.secondary not in (None, draft.secondary):
            raise BadInput(
                f"line {node.line}: {node.bdf} has bus {node.secondary:02x} here, {draft.secondary:02x} above"
            )
        if node.secondary is not None:
            draft.secondary, draft.subordinate = node.secondary, node.subordinate
        draft.name = draft.name or node.name
        if node.ids and draft.vendor is None:
            draft.vendor, draft.device = node.ids

    def _lacks(self) -> list[str]:
        drafts = self.drafts.values()
        bridges = [draft for draft in drafts if draft.bridge]
        lacks = []
        if bridges and all(draft.secondary is None for draft in bridges):
            lacks.append("the tree: which function is below which bridge (-v, -t or -x show it)")
        if any(draft.vendor is None for draft in drafts):
            lacks.append("vendor and device ids (-nn shows them)")
        if not any(draft.verbose for draft in drafts) and not self.bytes:
            lacks.append("BARs and windows (-v shows them)")
        if any(not (r.sized or r.unset or r.iov) for draft in drafts for r in draft.resources.values()):
            lacks.append("the size of some BARs (-v shows it)")
        if unsized := lspci_sriov.unsized(self.drafts):
            lacks.append(
                f"the size of the VF BARs of {', '.join(unsized[:8])}: lspci shows it only by virtual functions that are"
                " enabled, sysfs always"
            )
        counted = [draft for draft in drafts if draft.verbose and not draft.numbered and not draft.header_seen]
        if any(r.bar for draft in counted for r in draft.resources.values()):
            lacks.append("the number of each BAR: counted from 0 in order (-vv shows it)")
        if any(draft.kind is None and not draft.silent for draft in drafts):
            lacks.append("the PCI Express type of some functions (-v as root shows it)")
        silent = [draft.bdf for draft in drafts if draft.silent]
        if silent:
            lacks.append(f"everything about {', '.join(silent[:8])}: config space reads all ones")
        return lacks


def _tabbed(text: str) -> str:
    key, _, value = text.partition(":")
    return f"{key}:\t{value.strip()}"


def _key(text: str) -> tuple[str, str]:
    key, _, value = text.partition(":")
    return key, value.strip()


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
