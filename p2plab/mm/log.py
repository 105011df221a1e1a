"""What address spaces write into the log. Addresses are bytes; ``mm`` is the address space's name."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.events import Addr, Event
from p2plab.core.number_of import number_of
from p2plab.mm.flags import ULONG_MAX


def span(start: int, end: int) -> str:
    """A range as text: hex, or words for the whole address space.

    >>> span(0x1000, 0x3000), span(0, 2**64 - 1)
    ('[0x1000, 0x3000)', 'everything')
    """
    return "everything" if (start, end) == (0, ULONG_MAX) else f"[{start:#x}, {end:#x})"


#: The locks of memory by their short names.
LOCK_NAMES = {
    "mmap": "mmap_lock",
    "vma": "the VMA's own lock",
    "i_mmap": "i_mmap_rwsem",
    "anon_vma": "anon_vma's rwsem",
}


def held_text(mmap_lock: str, locks: tuple[tuple[str, str], ...]) -> str:
    """The locks held at an event, in words.

    >>> held_text("none", (("vma", "read"),)), held_text("none", ())
    ("mmap_lock not held; the VMA's own lock held for reading", 'no lock of the memory held')
    """
    held = {"write": "held for writing", "read": "held for reading", "none": "not held"}
    others = [f"{LOCK_NAMES[lock]} {held[mode]}" for lock, mode in locks if lock != "mmap"]
    if mmap_lock == "none" and not others:
        return "no lock of the memory held"
    return "; ".join([f"mmap_lock {held[mmap_lock]}", *others])


@dataclass(frozen=True, slots=True)
class NotifierStart(Event):
    """The kernel announces an invalidation; ``mmap_lock`` is how it is held then, by any task: write, read or none.

    ``locks``: what the announcing actor itself holds of this memory, (lock, mode), the outermost first.
    """

    mm: str
    event: str
    start: Addr
    end: Addr
    blockable: bool
    mmap_lock: str
    locks: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        may = "" if self.blockable else ", must not block"
        return f"{self.event} {span(self.start, self.end)}{may} ({held_text(self.mmap_lock, self.locks)})"


@dataclass(frozen=True, slots=True)
class NotifierEnd(Event):
    """The announced invalidation is over."""

    mm: str
    event: str
    start: Addr
    end: Addr

    def __str__(self) -> str:
        return f"{self.event} {span(self.start, self.end)} is over"


@dataclass(frozen=True, slots=True)
class NotifierRelease(Event):
    """The address space dies: its listeners are called (``release``) and removed."""

    mm: str

    def __str__(self) -> str:
        return f"{self.mm} is released"


@dataclass(frozen=True, slots=True)
class NotifierWarned(Event):
    """The kernel printed a WARN about a listener that breaks the notifier's rules."""

    mm: str
    listener: str
    why: str

    def __str__(self) -> str:
        return f"WARN: {self.listener} {self.why}"


@dataclass(frozen=True, slots=True)
class VmaMapped(Event):
    """A range of an address space is mapped: ``pgoff`` pages into ``file`` (empty for anonymous memory)."""

    mm: str
    start: Addr
    end: Addr
    perms: str
    file: str
    pgoff: int

    def __str__(self) -> str:
        return f"{span(self.start, self.end)} {self.perms} {self.file or 'anonymous'} +{self.pgoff}"


@dataclass(frozen=True, slots=True)
class VmaUnmapped(Event):
    """A range of an address space is mapped no more: its VMAs are out of the tree."""

    mm: str
    start: Addr
    end: Addr

    def __str__(self) -> str:
        return f"{span(self.start, self.end)} out of the tree"


@dataclass(frozen=True, slots=True)
class VmaSplit(Event):
    """One VMA became two, at ``at``."""

    mm: str
    start: Addr
    at: Addr
    end: Addr

    def __str__(self) -> str:
        return f"{span(self.start, self.end)} split at {self.at:#x}"


@dataclass(frozen=True, slots=True)
class VmaMoved(Event):
    """``mremap`` made a copy of a VMA elsewhere."""

    mm: str
    start: Addr
    end: Addr
    new_start: Addr

    def __str__(self) -> str:
        return f"{span(self.start, self.end)} moves to {self.new_start:#x}"


@dataclass(frozen=True, slots=True)
class PtesZapped(Event):
    """Page-table entries were removed: ``count`` of them were present."""

    mm: str
    start: Addr
    end: Addr
    count: int

    def __str__(self) -> str:
        return f"{number_of(self.count, 'page')} zapped in {span(self.start, self.end)}"


@dataclass(frozen=True, slots=True)
class PageFault(Event):
    """A page was brought in, or made writable: ``how`` says by which path of mm/memory.c."""

    mm: str
    address: Addr
    write: bool
    how: str

    def __str__(self) -> str:
        return f"{'write' if self.write else 'read'} fault at {self.address:#x}: {self.how}"
