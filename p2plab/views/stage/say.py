"""One step in two half-sentences: what happened, and its meaning. Computed from the log and the chain, not scripted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from p2plab.core.events import Entry, Event
from p2plab.core.monitor import Finding
from p2plab.core.number_of import number_of
from p2plab.core.world import PERSON
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.rules.damage import damage
from p2plab.views.stage.chain import Chain
from p2plab.views.stage.model import NONE, STALE, Call, Now, Said
from p2plab.views.stage.now import plain

GOOD, BAD, WAIT, PLAIN = "good", "bad", "wait", "plain"

#: Jobs in words, where the name alone would not do.
JOBS = {
    "mmap": "begins to map its object with mmap",
    "munmap": "begins to unmap it",
    "map": "begins to map the range for DMA",
    "dma": "rings the doorbell: a DMA transfer over the whole range is queued",
    "unmap": "begins to give the range back, as its user asks",
    "defrag": "begins to defragment its aperture",
    "invalidate": "begins to take its object back, without moving it",
    "render": "begins to render, and needs slots of its own",
}

#: Labels of waits: a step with such a label is the end of a wait.
WAITED = re.compile(r"has settled|valid|completion|granted$|empty$|have unmapped|pages put|fences of|lent any more")

#: Characters of a finding that fit beside the step's own sentence on the stage.
LONG = 100


@dataclass(frozen=True)
class Scene:
    """The material of a sentence: the step's log entries, and the state after it."""

    log: Sequence[Entry]
    here: Sequence[Entry]
    step: int
    chain: Chain
    calls: Sequence[Call]
    now: Sequence[Now]
    broke: Sequence[Finding]
    bases: dict[str, int]
    roles: dict[str, str]
    helps: dict[str, str]  #: what each job is, by its name
    labels: dict[str, str]  #: what the button of each action says

    @property
    def actor(self) -> str:
        """The actor of the step."""
        return next((entry.actor for entry in self.here if entry.actor), "")

    def all(self, kind: str) -> list[Any]:
        """The step's events of a kind, or of kinds derived from it."""
        return [e.event for e in self.here if any(kind == c.__name__ for c in type(e.event).__mro__)]

    def first(self, kind: str) -> Any:
        """The first of them, or None."""
        return next(iter(self.all(kind)), None)

    @property
    def base(self) -> int:
        """Where the pages of the first process are counted from."""
        return next(iter(self.bases.values()))

    def plain(self, text: str) -> str:
        """A text of the log with pages instead of addresses."""
        return plain(text, *self.bases.values())

    def sentence(self, text: str) -> str:
        """A phrase of the log as the beginning of a sentence: an actor by its role, else a capital letter."""
        text = self.plain(text)
        first, _, rest = text.partition(" ")
        if first.rstrip(":,") in self.roles:
            return f"{self.people(first)} {rest}"
        return text if "_" in first else text[:1].upper() + text[1:]

    def base_of(self, importer: str) -> int:
        """Where an importer's pages are counted from."""
        space = next((t.space for t in self.chain.tables if t.importer == importer), "")
        return self.bases.get(space, self.base)

    def pages(self, start: int, end: int, base: int | None = None) -> str:
        """``[start, end)`` as pages; a range beyond the scene's pages in words."""
        base = self.base if base is None else base
        first, last = (start - base) // PAGE_SIZE, (end - base) // PAGE_SIZE - 1
        if not -1024 < first < 4096 or last - first > 4096:
            return "the whole address space"
        return f"page {first}" if first == last else f"pages {first} to {last}"

    def people(self, name: str) -> str:
        """An actor as the subject of a sentence: ``nic_dma`` is the NIC at work, ``gpu`` the GPU's driver."""
        known = {"gpu": "The GPU", "nic": "The NIC", "nic2": "The second NIC", PERSON: "You"}
        plain_name = name.removesuffix("_dma")
        if self.roles.get(name) == "process":
            return "The process"
        return known.get(plain_name, plain_name)

    def low(self, name: str) -> str:
        """The same inside a sentence."""
        said = self.people(name)
        return said[0].lower() + said[1:] if said.startswith(("The ", "You")) else said


def said_of(scene: Scene) -> Said:
    """The sentence of the step: by its most telling event, in a fixed order. A step that breaks a promise says so."""
    if scene.step == 0 or not scene.actor:
        return Said("Everything is in place, and nothing has happened yet.")
    said = _by_event(scene)
    if scene.broke and not (said.tone == BAD and said.means):
        return Said(said.what, _broken(scene), BAD)
    return said


def _by_event(scene: Scene) -> Said:
    for kind, tell in TELL.items():
        event = scene.first(kind)
        if event is not None:
            told = tell(scene, event)
            if told is not None:
                return told
    return _label(scene)


def _place(scene: Scene, importer: str, address: int) -> str:
    for beat in scene.chain.beats:
        if (beat.importer, beat.address) == (importer, address):
            place = beat.place
            if place.slot is not None:
                return f"slot {place.slot}"
            if place.link is not None:
                return f"frame {place.link}, over the private link"
            if place.ram is not None:
                return f"main memory at {place.bus:#x}"
    return f"{address:#x}"


def _crashed(scene: Scene, event: Any) -> Said:
    return Said(
        f"{scene.people(scene.actor)} crashes: {event.error}.", f"In {event.where}. What it held stays held.", BAD
    )


def _deadlock(scene: Scene, event: Any) -> Said:
    waits = []
    for wait in event.waits:
        name, _, label = wait.partition(": ")
        row = next((r for r in scene.now if r.name == name), None)
        waits.append(f"{name} waits {row.words if row is not None else scene.plain(label)}")
    if not event.cycle:
        return Said("Deadlock: nobody is left who could go on.", f"{'; '.join(waits)}.", BAD)
    if len(event.cycle) == 1:
        return Said("Deadlock.", f"{waits[0][0].upper()}{waits[0][1:]}.", BAD)
    return Said(f"Deadlock: {' waits for '.join((*event.cycle, event.cycle[0]))}.", f"{'; '.join(waits)}.", BAD)


def _landed(scene: Scene, event: Any) -> Said:
    who = scene.people(event.importer)
    number = (event.page - scene.base_of(event.importer)) // PAGE_SIZE
    noun = "beat" if event.write else "read"
    if scene.first("IommuFault"):
        return Said(
            f"{who}'s {noun} for page {number} goes to IOVA {event.address:#x}, which the IOMMU no longer knows.",
            "The access faults and is logged: nobody loses a byte.",
            WAIT,
        )
    where = _place(scene, event.importer, event.address)
    hit = next((h for h in damage(scene.log) if h.step == scene.step), None)
    if hit is None:
        means = f"That is {event.frame}{f' of {event.owner}' if event.owner else ''}, as it should be."
        return Said(f"{who}'s {noun} for page {number} lands in {where}.", means, GOOD)
    went = f"{who}'s {noun} for page {number} goes to {where}."
    if not event.frame:
        lost = "the write is lost" if event.write else "the read returns all ones"
        return Said(went, f"Nothing answers there any more: {lost}.", BAD)
    if not event.write:
        means = f"{scene.low(event.importer)} reads what is not for it"
        return Said(went, f"That is {event.frame} of {event.owner} now: {means}.", BAD)
    if hit.meant.partition("[")[0] == event.frame.partition("[")[0]:
        means = f"the wrong page of {event.owner} is overwritten"
        return Said(went, f"That is {event.frame} now, not {hit.meant}: {means}.", BAD)
    return Said(went, f"That is {event.frame} of {event.owner} now: {event.owner} loses its bytes.", BAD)


def _issued(scene: Scene, event: Any) -> Said:
    who, number = scene.people(event.importer), (event.page - scene.base_of(event.importer)) // PAGE_SIZE
    where = _place(scene, event.importer, event.address)
    what = f"{who} looks page {number} up in its own table and sends a beat to {where}."
    beat = next((b for b in scene.chain.beats if b.importer == event.importer and not b.landed), None)
    if beat is not None and not beat.good:
        entries = next(t.entries for t in scene.chain.tables if t.importer == event.importer)
        reaches = next((e.reaches for e in entries if e.page == number), "")
        there = f"it leads to {reaches} now" if reaches else "it leads nowhere"
        return Said(what, f"The entry is stale: {there}. Nothing can call the beat back.", BAD)
    return Said(what, "From here on nothing can call it back.")


def _notified(scene: Scene, event: Any) -> Said:
    calls = [c for c in scene.calls if c.start == scene.step and c.function in ("invalidate_range_start", "invalidate")]
    told = list(dict.fromkeys(c.target for c in calls))
    pages = scene.pages(event.start, event.end, scene.bases.get(event.mm))
    what = f"{scene.people(scene.actor)} takes {pages} away ({event.event})"
    what += f": the kernel calls {' and '.join(told)} back." if told else ": no listener is called."
    if not told:
        held = sum(e.state != NONE for t in scene.chain.tables for e in t.entries)
        return Said(
            what, f"Importers still translate {number_of(held, 'page')}." if held else "", BAD if held else PLAIN
        )
    at_once = [c.target for c in calls if c.end == scene.step]
    if at_once:
        return Said(what, f"{' and '.join(at_once)} returns at once.")
    return Said(what, "Before the callback returns, nothing of the range may be in use.")


def _broken(scene: Scene) -> str:
    found = scene.broke[0]
    if any(str(entry.event) == found.what for entry in scene.here):  # the step's sentence says it already
        return f"That breaks {found.rule}."
    if len(found.what) > LONG:  # the rule's chip tells it
        return f"This step breaks {found.rule}."
    return f"{scene.sentence(found.what)}: {found.rule} is broken."


def _stale_users(scene: Scene) -> list[str]:
    return [t.importer for t in scene.chain.tables if any(e.state == STALE for e in t.entries)]


def _moved(scene: Scene, event: Any) -> Said:
    taken, freed, who = scene.all("SlotTaken"), scene.all("SlotFreed"), scene.people(scene.actor)
    stale = _stale_users(scene)
    means, tone = ("Nobody holds an old address: the move is safe.", GOOD)
    if stale:
        means, tone = f"{scene.people(stale[0])}'s table still has the old addresses.", BAD
    if taken:
        return Said(f"{who} moves {event.object}: {_slots(taken)} now.", means, tone)
    if freed:
        return Said(
            f"{who} takes {event.object} out of the aperture: {number_of(len(freed), 'slot is', 'slots are')} free.",
            means,
            tone,
        )
    return Said(f"{who} has moved {event.object}.", means if stale else "", tone if stale else PLAIN)


def _slots(events: Sequence[Any]) -> str:
    numbers = [event.slot for event in events]
    return f"slots {min(numbers)} to {max(numbers)} show it" if len(numbers) > 1 else f"slot {numbers[0]} shows it"


def _placed(scene: Scene, event: Any) -> Said:
    events = scene.all("SlotTaken")
    name = event.frame.partition("[")[0]
    numbers = {e.slot for e in events}
    where = f"slots {min(numbers)} to {max(numbers)}" if len(numbers) > 1 else f"slot {event.slot}"
    users = [
        t.importer for t in scene.chain.tables if any(e.place.slot in numbers and e.state == STALE for e in t.entries)
    ]
    what = f"{scene.people(scene.actor)} puts {name} into {where}."
    if users:
        which = "one of these" if len(numbers) > 1 else "that slot"
        return Said(what, f"To {which} {scene.low(users[0])} still has an address.", BAD)
    return Said(what)


def _freed(scene: Scene, _event: Any) -> Said:
    events = scene.all("SlotFreed")
    numbers = [e.slot for e in events]
    where = f"slots {min(numbers)} to {max(numbers)}" if len(numbers) > 1 else f"slot {numbers[0]}"
    stale = _stale_users(scene)
    what = f"{scene.people(scene.actor)} frees {where}."
    return Said(
        what, f"{scene.people(stale[0])} still has addresses of them." if stale else "", BAD if stale else PLAIN
    )


def _ended(scene: Scene, event: Any) -> Said:
    left = sum(e.state != NONE for t in scene.chain.tables for e in t.entries)
    label = scene.plain(str(scene.first("Stepped") or ""))
    zapped = label.removeprefix("zap ")
    also = f" {zapped} {'is' if zapped.startswith('page ') else 'are'} zapped, and" if zapped != label else ""
    what = f"The invalidation ({event.event}) is over:{also} {scene.low(scene.actor)} goes on."
    gone = [t for t in scene.chain.tables if any(e.state in (STALE, "taken back") for e in t.entries)]
    if gone:
        count = sum(e.state in (STALE, "taken back") for e in gone[0].entries)
        return Said(what, f"{scene.people(gone[0].importer)} still translates {count} of the pages.", BAD)
    return Said(what, "" if left else "No importer translates any of the pages.")


def _cleared(scene: Scene, event: Any) -> Said:
    pages = scene.pages(event.start, event.end, scene.base_of(event.importer))
    what = f"{scene.people(event.importer)}'s translations of {pages} are cleared."
    flying = [b for b in scene.chain.beats if not b.landed and b.importer == event.importer]
    if flying:
        return Said(
            what, f"The beat for page {flying[0].page} is already under way, and lands where it was sent.", WAIT
        )
    return Said(what, "No beat is under way.", GOOD)


def _set(scene: Scene, event: Any) -> Said:
    addresses = number_of(len(event.addresses), "address", "addresses")
    what = f"{scene.people(event.importer)} writes {addresses} into its own table."
    entries = next((t.entries for t in scene.chain.tables if t.importer == event.importer), ())
    if any(e.state == STALE for e in entries):
        return Said(what, "They are not those of the pages: what it sends goes astray.", BAD)
    return Said(what, "From now on its DMA goes there.", GOOD)


def _unmapped(scene: Scene, event: Any) -> Said:
    drained = str(scene.first("Stepped") or "") == "DMA drained"
    why = "The last beat has landed: " if drained else ""
    who = scene.low(event.importer) if why else scene.people(event.importer)
    what = f"{why}{who} gives {number_of(len(event.addresses), 'page')} back."
    return Said(what, "Now the exporter may move them.", GOOD)


def _mapped(scene: Scene, event: Any) -> Said:
    kind = "IOVA" if any(t.iommu for t in scene.chain.tables) else "DMA address"
    count = number_of(len(event.addresses), kind, f"{kind}{'s' if kind == 'IOVA' else 'es'}")
    what = f"{scene.people(event.importer)} is given {count}"
    return Said(f"{what}, from {event.addresses[0]:#x} on.", "Its device does not know them yet.", GOOD)


def _failed_map(scene: Scene, event: Any) -> Said:
    what = f"p2p_map says no to {scene.low(event.importer)}: -{event.errno}."
    return Said(what, "It has no address, and nothing is lent.", WAIT)


def _lent(scene: Scene, event: Any) -> Said:
    kinds = {
        "bar": "slots of the BAR",
        "iova": "the BAR, behind an IOMMU",
        "ram": "main memory",
        "link": "the private link",
    }
    where = " and ".join(kinds.get(kind, kind) for kind in dict.fromkeys(event.places))
    pages = number_of(len(event.addresses), "page", "pages")
    what = f"{scene.people(event.exporter)} lends {pages} of {event.object} to {event.importer}: {where}."
    return Said(what, "It records which importer has them.")


def _struck(scene: Scene, event: Any) -> Said:
    pages = scene.pages(event.start, event.end, scene.base_of(event.importer))
    return Said(f"{scene.people(event.exporter)} strikes {pages} of {event.importer} out of its books.")


def _moving(scene: Scene, event: Any) -> Said:
    what = f"{scene.people(scene.actor)} is about to move {event.object}."
    return Said(what, "From now on p2p_map has to wait for the end of the move.")


def _asked(scene: Scene, event: Any) -> Said:
    pages = scene.pages(event.start, event.end, scene.base_of(event.importer))
    return Said(f"{scene.people(event.importer)} asks for {pages}, and the exporter's p2p_map is called.")


def _vma(scene: Scene, event: Any) -> Said:
    base = next((s.base for s in scene.chain.spaces if s.name == event.mm), scene.base)
    pages = scene.pages(event.start, event.end, base)
    what = f"The process maps {event.file.partition(':')[2] or event.file or 'anonymous memory'} with mmap: {pages}."
    return Said(what, "No CPU entry yet: the first touch would bring it in.", GOOD)


def _job(scene: Scene, event: Any) -> Said:
    if event.job in JOBS:
        return Said(f"{scene.people(scene.actor)} {JOBS[event.job]}.")
    return Said(f"{scene.people(scene.actor)} begins its job {event.job}.", scene.helps.get(event.job, ""))


def _locked(scene: Scene, event: Any) -> Said | None:
    if len([e for e in scene.here if str(e.event)]) > 1 and scene.first("Called") is None:
        others = [
            e.event for e in scene.here if type(e.event).__name__ not in ("Stepped", "LockAcquired", "LockReleased")
        ]
        if any(str(e) for e in others):
            return None
    mode = {"read": " for reading", "write": " for writing"}.get(event.mode, "")
    return Said(f"{scene.people(scene.actor)} holds {event.lock} now{mode}{_inside(scene)}.")


def _inside(scene: Scene) -> str:
    mine = [c for c in scene.calls if c.actor == scene.actor and c.end is None and c.target != scene.actor]
    return f", inside {mine[-1].target}'s {mine[-1].function}" if mine else ""


def _as_it_says(tone: str) -> Callable[[Scene, Event], Said]:
    def tell(scene: Scene, event: Event) -> Said:
        return Said(f"{scene.sentence(str(event))}.", "", tone)

    return tell


def _pressed(scene: Scene, event: Any) -> Said:
    return Said(f"You press {scene.labels.get(event.action, event.action)}.", "Whoever was asked can go on now.")


def _failed_job(scene: Scene, event: Any) -> Said:
    return Said(f"{scene.people(scene.actor)}'s {event.job} fails: {scene.plain(event.error)}.", "", WAIT)


#: What to say of a step, by the kinds of its events: the most telling kind first.
TELL: dict[str, Callable[[Scene, Any], Said | None]] = {
    "Crashed": _crashed,
    "Deadlock": _deadlock,
    "BeatLanded": _landed,
    "BeatIssued": _issued,
    "UseAfterFree": _as_it_says(BAD),
    "NotifierWarned": _as_it_says(BAD),
    "NotifierStart": _notified,
    "Disaster": _as_it_says(BAD),
    "DeviceGone": _as_it_says(BAD),
    "ContentLost": _as_it_says(BAD),
    "ObjectDestroyed": _as_it_says(WAIT),
    "MoveEnded": _moved,
    "SlotTaken": _placed,
    "SlotFreed": _freed,
    "JobFailed": _failed_job,
    "P2PMapFailed": _failed_map,
    "TranslationCleared": _cleared,
    "TranslationSet": _set,
    "P2PUnmapped": _unmapped,
    "P2PMapped": _mapped,
    "NotifierEnd": _ended,
    "Lent": _lent,
    "LendingEnded": _struck,
    "MoveBegun": _moving,
    "PermissionChanged": _as_it_says(WAIT),
    "RevokedNow": _as_it_says(WAIT),
    "PageMoved": _as_it_says(WAIT),
    "WaitTimedOut": _as_it_says(WAIT),
    "MapRetried": _as_it_says(WAIT),
    "MapAsked": _asked,
    "VmaMoved": _as_it_says(PLAIN),
    "VmaSplit": _as_it_says(PLAIN),
    "ProtectionChanged": _as_it_says(PLAIN),
    "VmaUnmapped": _as_it_says(PLAIN),
    "VmaMapped": _vma,
    "PageFault": _as_it_says(PLAIN),
    "Pinned": _as_it_says(PLAIN),
    "TopologyChecked": _as_it_says(PLAIN),
    "HmmRangeMapped": _as_it_says(PLAIN),
    "HmmRangeUnmapped": _as_it_says(PLAIN),
    "LockInversion": _as_it_says(WAIT),
    "JobBegun": _job,
    "Pressed": _pressed,
    "LockAcquired": _locked,
}


def _label(scene: Scene) -> Said:
    """A step described by its label alone."""
    label = scene.plain(str(scene.first("Stepped") or ""))
    who = scene.people(scene.actor)
    told = [str(e.event) for e in scene.here if type(e.event).__name__ in ("StepBegun", "StepEnded") and str(e.event)]
    if told:
        return Said(f"{who}: {told[-1].strip('= ')}.")
    if label.startswith("go on after "):
        return Said(f"{who} has let go of {label.removeprefix('go on after ')}, and goes on{_inside(scene)}.")
    if label == "DMA drained":
        return Said("The last beat to the range has landed.", "Nothing of it is in flight.")
    if WAITED.search(label):
        return Said(f"{who} can go on{_inside(scene)}: {label}.")
    return Said(f"{who}: {label or 'goes on'}{_inside(scene)}.")
