"""What the stage shows of one moment of a run, as plain values: no pixels, no widgets, no reference into the world.

``step`` is how many steps were taken. Addresses are bytes; pages, slots and frames are counted from 0. Names of frames are
those of the log: ``A[2]`` is page 2 of object A.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: The states of an importer's entry. RIGHT: it leads to the page that the process's vma shows. TAKEN_BACK: it does, but the
#: importer's callback for it has returned, so it must not be used. STALE: it leads to something else, or nowhere.
RIGHT, TAKEN_BACK, STALE, NONE = "right", "taken back", "stale", "none"

#: The states of an actor: it can take its next step; it waits for others; it has nothing to do; its code raised.
NEXT, WAITS, RESTS, CRASHED = "next", "waits", "rests", "crashed"


@dataclass(frozen=True)
class Place:
    """Where an address leads. At most one of ``slot``, ``ram`` and ``link`` (a frame behind a private link) is set."""

    bus: int | None = None  #: the bus address, behind an IOMMU if there is one; None where that faults
    slot: int | None = None
    ram: int | None = None
    link: int | None = None

    @property
    def anywhere(self) -> bool:
        """Whether anything is there."""
        return self.slot is not None or self.ram is not None or self.link is not None


@dataclass(frozen=True)
class Page:
    """One virtual page of a process: what its vma shows there, and whether the CPU has an entry for it."""

    number: int  #: counted from the process's base
    address: int
    shows: str  #: ``A[2]``; ``anonymous`` for memory that is no exporter's; empty without a vma
    present: bool  #: a PTE: without one a touch would fault
    slot: int | None = None
    ram: int | None = None


@dataclass(frozen=True)
class Space:
    """The pages of one process that a scene is about."""

    name: str
    base: int
    pages: tuple[Page, ...]


@dataclass(frozen=True)
class Entry:
    """One line of an importer's table. ``since``: the step from which on the address was stale."""

    importer: str
    page: int
    state: str = NONE
    address: int | None = None  #: what the device sends: a bus address, or an IOVA
    place: Place = Place()
    reaches: str = ""  #: the frame that an access would reach now
    meant: str = ""  #: the frame that the process's vma shows
    since: int | None = None


@dataclass(frozen=True)
class Table:
    """The table of one importer's device. ``iommu``: whether its addresses pass one."""

    importer: str
    space: str
    iommu: bool
    entries: tuple[Entry, ...]

    def states(self) -> tuple[str, ...]:
        """The state of each entry."""
        return tuple(entry.state for entry in self.entries)


@dataclass(frozen=True)
class Slot:
    """One slot of the BAR aperture. ``lent``: the importers, by the exporter's records; ``marks``: ``moving``, ``pinned``."""

    number: int
    address: int
    frame: int | None
    shows: str
    owner: str
    lent: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One frame of a memory. ``lost``: the owner's bytes destroyed by a stray write; ``leaked``: those got by a stray read."""

    number: int
    name: str
    owner: str
    bytes: str
    by_dma: bool = False
    lost: str = ""
    leaked: bool = False
    by: str = ""  #: the importer that did either, and the step
    at: int | None = None


@dataclass(frozen=True)
class Beat:
    """A beat in flight, or one that landed in this step. ``good``: it reaches the intended page."""

    importer: str
    page: int
    address: int
    place: Place
    write: bool
    landed: bool
    good: bool
    faulted: bool = False


@dataclass(frozen=True)
class Invalidation:
    """An announced invalidation that is not over: pages ``first`` to ``last`` of a process."""

    space: str
    event: str
    first: int
    last: int
    actor: str
    blockable: bool


@dataclass(frozen=True)
class Call:
    """A call from one lane to another in the thread of ``actor``; ``end`` is None while it is under way."""

    actor: str
    source: str
    target: str
    function: str
    start: int
    end: int | None
    via: str = ""  #: the part of the kernel in between, which has no lane
    result: str = ""


@dataclass(frozen=True)
class Now:
    """One actor: what it does next, or what it waits for and who can end that."""

    name: str
    role: str
    state: str
    words: str
    waits_for: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    inside: str = ""


@dataclass(frozen=True)
class Said:
    """What this step did, and its meaning. ``tone``: good, bad, wait or plain."""

    what: str
    means: str = ""
    tone: str = "plain"

    def __str__(self) -> str:
        return f"{self.what} {self.means}".rstrip()


@dataclass(frozen=True)
class Chip:
    """The state of one rule: ``broken``, ``price`` (paid), ``kept`` or ``idle`` (nothing could have broken it yet)."""

    rule: str
    state: str
    step: int | None = None
    what: str = ""


@dataclass(frozen=True)
class Button:
    """One action of the scene: why it makes no sense now (empty if it does)."""

    name: str
    why_not: str = ""


@dataclass(frozen=True)
class Attribute:
    """One attribute of a driver. ``was``: its value before this step, if different; else None."""

    name: str
    value: str
    was: str | None = None


@dataclass(frozen=True)
class Driver:
    """A driver at this moment: the line where this step began (``lit``), the line where its code waits now, its attributes.

    A place is (section, line): the part of the driver's source, and the line's number in its file.
    """

    name: str
    lit: tuple[tuple[int, int], ...] = ()
    waits: tuple[tuple[int, int], ...] = ()
    attributes: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class Moment:
    """Everything of one step. ``changed`` holds the keys of what this step changed, ``destroyed`` of what it destroyed."""

    step: int
    spaces: tuple[Space, ...]
    tables: tuple[Table, ...]
    slots: tuple[Slot, ...]
    frames: tuple[Frame, ...]
    ram: tuple[Frame, ...] | None
    beats: tuple[Beat, ...]
    invalidations: tuple[Invalidation, ...]
    calls: tuple[Call, ...]  #: those under way, and those that began in this step
    now: tuple[Now, ...]
    said: Said = Said("")
    chips: tuple[Chip, ...] = ()
    buttons: tuple[Button, ...] = ()
    natural: str = (
        ""  #: the button that comes next in the natural course of the scene; ``step``, ``check`` or an action
    )
    drivers: tuple[Driver, ...] = ()
    changed: frozenset[str] = field(default_factory=frozenset)
    destroyed: frozenset[str] = field(default_factory=frozenset)

    def table(self, importer: str) -> Table:
        """The table of one importer."""
        return next(table for table in self.tables if table.importer == importer)

    def space(self, name: str) -> Space:
        """One process."""
        return next(space for space in self.spaces if space.name == name)


def page_key(space: str, number: int) -> str:
    """The key of a process's page on the stage."""
    return f"{space}:page{number}"


def entry_key(importer: str, number: int) -> str:
    """The name of an importer's entry."""
    return f"{importer}:entry{number}"


def slot_key(number: int) -> str:
    """The name of a slot."""
    return f"slot{number}"


def frame_key(number: int) -> str:
    """The name of a frame of the exporter's memory."""
    return f"frame{number}"


def ram_key(number: int) -> str:
    """The name of a frame of main memory."""
    return f"ram{number}"
