"""Reader of the tree that ``lspci -t`` draws with ASCII lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from p2plab.core.errors import BadInput
from p2plab.pci.paste import TREE

_ROOT = re.compile(r"\[(?:([0-9a-f]{4,8}):)?([0-9a-f]{2})\]")
_BUSES = re.compile(r"\[([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]")
_FUNCTION = re.compile(r"([0-1][0-9a-f])\.([0-7])(?![0-9a-f])")
_IDS = re.compile(r"\[([0-9a-f]{4}):([0-9a-f]{4})\]$|^([0-9a-f]{4}):([0-9a-f]{4})$")

Bus = tuple[int, int]


@dataclass
class TreeFunction:
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
    """Reads the lines one by one; ``nodes`` and ``firsts`` grow. Raises BadInput naming the line.

    A column with a ``+`` belongs to one bus until its ``\\`` ends it: that is how the drawing shows what is below what.
    Markdown eats backslashes, so a ``-`` where a column goes on ends it too. ``firsts`` holds each root bus with the
    first function on it, if the same line shows one.
    """

    nodes: list[TreeFunction] = field(default_factory=list)
    firsts: dict[Bus, str] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)  #: lines before which some of the drawing is missing
    _columns: dict[int, Bus | None] = field(default_factory=dict)

    @property
    def roots(self) -> list[Bus]:
        """The root buses in the order in which they are drawn."""
        return list(self.firsts)

    def takes(self, text: str) -> bool:
        """The line is one of the tree."""
        if text[0] != " " and text[0] not in "-|+\\":
            return False
        if TREE.match(text):
            return True
        at = len(text) - len(text.lstrip(" |"))
        return (
            bool(at) and text[at : at + 1] == "-" and at in self._columns and _FUNCTION.match(text, at + 1) is not None
        )

    def read(self, text: str, number: int) -> None:
        """One line; ``number`` counts from 1."""
        if text.startswith("-"):
            self._end(number)
        here: Bus | None = None
        last: TreeFunction | None = None
        at = 0
        drawn = False
        while at < len(text):
            mark = text[at]
            if mark == "-" and not drawn and at in self._columns:
                here, last, drawn = self._branch(at, here, last, number, True), None, True
                at += 1
            elif mark in " |-":
                drawn = drawn or mark == "-"
                at += 1
            elif mark in "+\\":
                here, last, drawn = self._branch(at, here, last, number, mark == "\\"), None, True
                at += 1
            elif mark == "[":
                here, at = self._bracket(text, at, here, last, number)
                last = None
            elif found := _FUNCTION.match(text, at):
                last = self._function(found, here, number)
                at = found.end()
                if text.startswith("  ", at):
                    _name(last, text[at:].strip())
                    return
            elif text.startswith("...", at):  # lspci cuts a line at 1,024 characters
                self.lost.append(number)
                return
            else:
                raise BadInput(
                    f"line {number}: not a tree as lspci -t draws it, at column {at + 1}: {text[at:][:40]!r}"
                )

    def _end(self, number: int) -> None:
        """A new drawing begins; columns that nothing has ended lost their last lines."""
        if self._columns:
            self.lost.append(number)
        self._columns = {}

    def _branch(self, column: int, here: Bus | None, last: TreeFunction | None, number: int, ends: bool) -> Bus | None:
        if last is not None and last.secondary is None:
            raise BadInput(f"line {number}: {last.bdf} branches at column {column + 1}, but shows no bus below it")
        if here is None and column not in self._columns and self.nodes:
            raise BadInput(f"line {number}: column {column + 1} continues nothing drawn above it")
        bus = self._columns.get(column) if here is None else here
        if here is None and any(c > column for c in self._columns):
            self.lost.append(number)
        self._columns = {c: b for c, b in self._columns.items() if c < column}
        if not ends:
            self._columns[column] = bus
        return bus

    def _bracket(self, text: str, at: int, here: Bus | None, last: TreeFunction | None, number: int) -> tuple[Bus, int]:
        if last is not None and (found := _BUSES.match(text, at)):
            last.secondary = int(found[1], 16)
            last.subordinate = int(found[2] or found[1], 16)
            if last.secondary <= last.bus[1] or last.subordinate < last.secondary:
                raise BadInput(f"line {number}: bus {found[0]} cannot be below {last.bdf}")
            return (last.bus[0], last.secondary), found.end()
        if last is None and (found := _ROOT.match(text, at)):
            bus = int(found[1] or "0", 16), int(found[2], 16)
            if here is None:  # below a bridge it is one of its buses that no other bridge leads to
                self.firsts.setdefault(bus, "")
            return bus, found.end()
        raise BadInput(f"line {number}: expected a bus in brackets at column {at + 1}: {text[at:][:40]!r}")

    def _function(self, found: re.Match[str], here: Bus | None, number: int) -> TreeFunction:
        if here is None:
            raise BadInput(f"line {number}: function {found[0]} hangs from nothing")
        node = TreeFunction(here, int(found[1], 16), int(found[2]), number)
        if self.firsts.get(here) == "" and not any(n.bus == here for n in self.nodes):
            self.firsts[here] = node.bdf
        self.nodes.append(node)
        return node


def _name(node: TreeFunction, text: str) -> None:
    node.name = text
    if found := _IDS.search(text):
        vendor, device = found[1] or found[3], found[2] or found[4]
        node.ids = int(vendor, 16), int(device, 16)
        node.name = text[: found.start()].strip()
