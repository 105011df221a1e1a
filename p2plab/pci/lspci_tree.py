"""Reader of the tree that ``lspci -t`` draws with ASCII lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from p2plab.core.errors import BadInput

_ROOT = re.compile(r"\[(?:([0-9a-f]{4,8}):)?([0-9a-f]{2})\]")
_BUSES = re.compile(r"\[([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]")
_FUNCTION = re.compile(r"([0-1][0-9a-f])\.([0-7])(?![0-9a-f])")
_IDS = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\]$|^([0-9a-f]{4}):([0-9a-f]{4})$")

#: A line of the tree starts with its lines: ``-[0000:00]-``, `` +-``, `` |  \\-``.
LINE = re.compile(r"(?:-\[|-\+-|[ |]*[+\\]-)")
Bus = tuple[int, int]


@dataclass
class Node:
    """One function of the tree: where it is, the bus it is on, the buses below it, and its text."""

    bus: Bus
    slot: int
    function: int
    line: int
    secondary: int | None = None
    subordinate: int | None = None
    name: str = ""
    ids: tuple[int, int] | None = None

    @property
    def bdf(self) -> str:
        """The full address."""
        return f"{self.bus[0]:04x}:{self.bus[1]:02x}:{self.slot:02x}.{self.function}"


@dataclass
class TreeReader:
    """Reads the lines one after the other; ``nodes`` and ``roots`` grow. Raises BadInput naming the line.

    A column with a ``+`` belongs to one bus until a line shows something further left: that is how the drawing says
    what hangs from where.
    """

    nodes: list[Node] = field(default_factory=list)
    roots: list[Bus] = field(default_factory=list)
    _columns: dict[int, Bus | None] = field(default_factory=dict)

    def read(self, text: str, number: int) -> None:
        """One line; ``number`` counts from 1."""
        here: Bus | None = None
        last: Node | None = None
        at = 0
        while at < len(text):
            mark = text[at]
            if mark in " |-":
                at += 1
            elif mark in "+\\":
                here = self._branch(at, here, last, number)
                last = None
                at += 1
            elif mark == "[":
                here, at = self._bracket(text, at, last, number)
                last = None
            elif found := _FUNCTION.match(text, at):
                last = self._function(found, here, number)
                at = found.end()
                if text.startswith("  ", at):
                    _name(last, text[at:].strip())
                    return
            else:
                raise BadInput(
                    f"line {number}: not a tree as lspci -t draws it, at column {at + 1}: {text[at:][:40]!r}"
                )

    def _branch(self, column: int, here: Bus | None, last: Node | None, number: int) -> Bus | None:
        if last is not None and last.secondary is None:
            raise BadInput(f"line {number}: {last.bdf} branches at column {column + 1}, but shows no bus below it")
        if here is None and column not in self._columns and self.nodes:
            raise BadInput(f"line {number}: column {column + 1} continues nothing drawn above it")
        bus = self._columns.get(column) if here is None else here
        self._columns = {c: b for c, b in self._columns.items() if c < column}
        self._columns[column] = bus
        return bus

    def _bracket(self, text: str, at: int, last: Node | None, number: int) -> tuple[Bus, int]:
        if last is not None and (found := _BUSES.match(text, at)):
            last.secondary = int(found[1], 16)
            last.subordinate = int(found[2] or found[1], 16)
            if last.secondary <= last.bus[1] or last.subordinate < last.secondary:
                raise BadInput(f"line {number}: bus {found[0]} cannot be below {last.bdf}")
            return (last.bus[0], last.secondary), found.end()
        if last is None and (found := _ROOT.match(text, at)):
            root = int(found[1] or "0", 16), int(found[2], 16)
            if root not in self.roots:
                self.roots.append(root)
            return root, found.end()
        raise BadInput(f"line {number}: expected a bus in brackets at column {at + 1}: {text[at:][:40]!r}")

    def _function(self, found: re.Match[str], here: Bus | None, number: int) -> Node:
        if here is None:
            raise BadInput(f"line {number}: function {found[0]} hangs from nothing")
        node = Node(here, int(found[1], 16), int(found[2]), number)
        self.nodes.append(node)
        return node


def _name(node: Node, text: str) -> None:
    node.name = text
    if found := _IDS.search(text):
        vendor, device = found[1] or found[3], found[2] or found[4]
        node.ids = int(vendor, 16), int(device, 16)
        node.name = text[: found.start()].strip()
