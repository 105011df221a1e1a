"""What several rules have to remember: the grants of each importer, and the notifier calls under way. Plain values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from p2plab.core.calls import Called, Returned
from p2plab.core.events import Entry, Event
from p2plab.mm.log import NotifierEnd, NotifierStart
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import DmaMapped, Lent, MapAsked, P2PMapFailed, P2PMapped, P2PUnmapped
from p2plab.rules.base import Rule

#: The notifier's callbacks into an importer by whose return everything must have been released.
CALLBACKS = ("invalidate_range_start", "invalidate")


class Granted(NamedTuple):
    """One page that ``p2p_map`` gave: where, of what, to whom; ``ended`` says how it ended, empty while it is good."""

    address: int
    frame: str
    mm: str
    exporter: str
    write: bool
    ended: str = ""


class Asking(NamedTuple):
    """One call of ``p2p_map`` that has not returned: by whom, for which pages of which process."""

    importer: str
    mm: str
    start: int
    end: int
    invalidated: frozenset[int] = frozenset()  #: pages over which an invalidation was announced meanwhile


def answers(event: P2PMapped) -> Iterator[tuple[int, str, str]]:
    """For each page of an answer: the address, the requested frame, and the frame shown."""
    return zip(event.addresses, event.frames, event.shows, strict=False)


def object_of(frame: str) -> str:
    """The object of a frame: ``A`` of ``A[2]``."""
    return frame.partition("[")[0]


class AskingRule(Rule):
    """A rule that knows which calls of ``p2p_map`` are under way, by the actor that makes them.

    An exporter decides under its lock and answers later. What was invalidated since the call may be stale when it
    arrives, and the exporter is not to blame: the importer notices that when it checks again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, Asking] = {}

    def answered(self, entry: Entry) -> Asking | None:
        """Take an entry into account; returns the call that it answers successfully, if any."""
        event = entry.event
        if isinstance(event, MapAsked):
            self.calls[entry.actor] = Asking(event.importer, event.mm, event.start, event.end)
        elif isinstance(event, NotifierStart):
            for actor, call in self.calls.items():
                if call.mm in ("", event.mm):
                    pages = range(max(call.start, event.start), min(call.end, event.end), PAGE_SIZE)
                    self.calls[actor] = call._replace(invalidated=call.invalidated | frozenset(pages))
        elif isinstance(event, P2PMapFailed):
            self.calls.pop(entry.actor, None)
        elif isinstance(event, P2PMapped):
            return self.calls.pop(entry.actor, Asking(event.importer, event.mm, event.start, event.end))
        return None


class GrantRule(Rule):
    """A rule that knows the grants: (importer, page) -> the last one.

    A grant dates from the exporter's answer and not from its arrival: what is invalidated in between arrives stale, and
    the importer must notice that when it checks again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.grants: dict[tuple[str, int], Granted] = {}
        #: (importer, process, page) -> how an answer ended that is still on its way; empty while it is good
        self.on_the_way: dict[tuple[str, str, int], str] = {}
        self.asking: dict[str, str] = {}  #: importer -> the process whose vma it is asking about

    def track(self, event: Event) -> None:
        """Take an event into account: mapped, given back, or taken back by a notifier that ended."""
        if isinstance(event, MapAsked):
            self.asking[event.importer] = event.mm
        elif isinstance(event, Lent):
            mm = self.asking.get(event.importer, "")
            for number in range(len(event.addresses)):
                self.on_the_way[event.importer, mm, event.start + number * PAGE_SIZE] = ""
        elif isinstance(event, P2PMapped):
            for number, (address, frame) in enumerate(zip(event.addresses, event.frames, strict=True)):
                page = event.start + number * PAGE_SIZE
                ended = self.on_the_way.pop((event.importer, event.mm, page), "")
                self.grants[event.importer, page] = Granted(
                    address, frame, event.mm, event.exporter, event.write, ended
                )
        elif isinstance(event, P2PUnmapped):
            self._end(event.start, event.end, "given back", importer=event.importer)
        elif isinstance(event, NotifierEnd):
            how = f"taken back ({event.event})"
            self._end(event.start, event.end, how, mm=event.mm)
            for who, mm, page in self.on_the_way:
                if mm == event.mm and event.start <= page < event.end:
                    self.on_the_way[who, mm, page] = how

    def live(self, frame: str = "", exporter: str = "") -> list[tuple[str, int]]:
        """The (importer, page) of good grants of that frame or that exporter."""
        return [
            key
            for key, grant in self.grants.items()
            if not grant.ended and frame in ("", grant.frame) and exporter in ("", grant.exporter)
        ]

    def _end(self, start: int, end: int, how: str, importer: str = "", mm: str = "") -> None:
        for (who, page), grant in self.grants.items():
            mine = importer == who if importer else grant.mm in ("", mm)
            if mine and start <= page < end and not grant.ended:
                self.grants[who, page] = grant._replace(ended=how)


class MovingRule(GrantRule):
    """A rule that also knows what was lent in the middle of a move, judged by what memory did.

    An exporter that takes pages back, lends one of them again and then frees its slot without taking it back once more has
    answered in the middle of its own move.
    """

    def __init__(self) -> None:
        super().__init__()
        #: (actor, process, start, end) that was taken back by an actor who has not changed a slot since
        self.taken_back: frozenset[tuple[str, str, int, int]] = frozenset()
        self.meanwhile: dict[
            tuple[str, int], str
        ] = {}  #: (importer, page) granted -> the actor that had taken the page back

    def follow(self, entry: Entry) -> None:
        """Take an entry into account."""
        event = entry.event
        self.track(event)
        if isinstance(event, P2PMapped):
            for page in range(event.start, event.end, PAGE_SIZE):
                by = [who for who, mm, start, end in self.taken_back if mm == event.mm and start <= page < end]
                self.meanwhile[event.importer, page] = min(by, default="")
        elif isinstance(event, NotifierEnd) and event.event == "CLEAR":
            self.taken_back |= {(entry.actor, event.mm, event.start, event.end)}

    def moved(self, entry: Entry, frame: str) -> None:
        """The actor of the entry changed the slot of that frame: its move is done."""
        self.taken_back = frozenset(took for took in self.taken_back if took[0] != entry.actor)
        for key, grant in self.grants.items():
            if grant.frame == frame:
                self.meanwhile.pop(key, None)


class CallbackRule(Rule):
    """A rule that knows which notifier calls each actor is in: the ranges announced, and the callbacks it is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.announced: dict[str, tuple[tuple[int, int, bool], ...]] = {}
        self.inside: dict[str, tuple[str, ...]] = {}

    def follow(self, entry: Entry) -> None:
        """Take an entry into account."""
        event, actor = entry.event, entry.actor
        if isinstance(event, NotifierStart):
            under_way = self.announced.get(actor, ())
            if under_way and not under_way[-1][2]:
                under_way = under_way[:-1]  # it was refused: a refused call has no end
            self.announced[actor] = (*under_way, (event.start, event.end, event.blockable))
        elif isinstance(event, NotifierEnd):
            self.announced[actor] = self.announced.get(actor, ())[:-1]
        elif isinstance(event, Called) and event.function in CALLBACKS:
            self.inside[actor] = (*self.inside.get(actor, ()), event.target)
        elif isinstance(event, Returned) and event.function in CALLBACKS:
            self.inside[actor] = self.inside.get(actor, ())[:-1]

    def range_of(self, actor: str) -> tuple[int, int, bool] | None:
        """The innermost range that the actor announced, and whether the call may block."""
        under_way = self.announced.get(actor, ())
        return under_way[-1] if under_way else None


class AnswerRule(CallbackRule):
    """A rule that knows, per importer and page, the exporter's last answer and whether a callback over it returned since.

    The answer dates from the exporter's decision if that is in the log, else from the call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[
            tuple[str, int], tuple[int, bool]
        ] = {}  #: address (0: on its way), and whether it is still valid

    def follow(self, entry: Entry) -> None:
        """Take an entry into account."""
        event = entry.event
        if isinstance(event, MapAsked):
            for asked in range(event.start, event.end, PAGE_SIZE):
                self.answers[event.importer, asked] = (0, True)
        elif isinstance(event, (Lent, DmaMapped)):  # the latter is called and returns within one step
            for number, address in enumerate(event.addresses):
                self.answers[event.importer, event.start + number * PAGE_SIZE] = (address, True)
        elif isinstance(event, P2PMapped):
            for number, address in enumerate(event.addresses):
                page = event.importer, event.start + number * PAGE_SIZE
                self.answers[page] = (address, self.answers.get(page, (address, True))[1])
        elif isinstance(event, Returned) and event.function in CALLBACKS:
            self._invalidate(entry, event.target)
        super().follow(entry)

    def _invalidate(self, entry: Entry, importer: str) -> None:
        under_way = self.range_of(entry.actor)
        if under_way is None:
            return
        for (who, page), (address, _) in self.answers.items():
            if who == importer and under_way[0] <= page < under_way[1]:
                self.answers[who, page] = (address, False)
