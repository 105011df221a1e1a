"""Whose bytes a run damaged: every beat that did not land where its grant said it would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from p2plab.core.events import Entry
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.events import BeatLanded, P2PMapped


@dataclass(frozen=True)
class Damage:
    """One beat that hit another frame than the one granted. ``meant`` and ``frame`` are names such as ``A[2]``.

    For a write, ``before`` was lost; for a read, it is what leaked. An empty ``frame``: nothing answered there.
    """

    step: int
    importer: str
    address: int
    write: bool
    meant: str
    frame: str
    owner: str
    before: bytes
    after: bytes
    decoder: str = ""  #: the BAR that took it, if no frame is there

    def __str__(self) -> str:
        old, new = (text.decode("ascii", "replace").rstrip(".#") for text in (self.before, self.after))
        if self.decoder:
            what = "wrote" if self.write else "read"
            return (
                f"step {self.step}: {self.importer} meant {self.meant} and {what} {self.decoder} at {self.address:#x}"
            )
        if not self.frame:
            what = "its write is lost" if self.write else "it reads all ones"
            return f"step {self.step}: {self.importer} meant {self.meant}; nothing is at {self.address:#x}, {what}"
        where = f"{self.frame} of {self.owner} at {self.address:#x}"
        if self.write:
            return f'step {self.step}: {self.importer} meant {self.meant} and overwrote {where}: "{old}" is now "{new}"'
        return f'step {self.step}: {self.importer} meant {self.meant} and read {where}: "{old}"'


def landings(log: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Each :class:`BeatLanded` of a log with the frame that it was meant for.

    That is the frame lent to its importer for the page; for an importer that never asked, the frame lent to another.
    """
    meant: dict[tuple[str, int], str] = {}
    shown: dict[int, str] = {}
    for entry in log:
        event = entry.event
        if isinstance(event, P2PMapped):
            for number, frame in enumerate(event.frames):
                page = event.start + number * PAGE_SIZE
                meant[event.importer, page] = shown[page] = frame
        elif isinstance(event, BeatLanded):
            yield entry, meant.get((event.importer, event.page), shown.get(event.page, ""))


def damage(log: Iterable[Entry]) -> tuple[Damage, ...]:
    """All damage in a log, in order. The right bytes at the right place are no damage, even for a device without a grant."""
    found = []
    for entry, frame in landings(log):
        event = entry.event
        assert isinstance(event, BeatLanded)
        if frame != event.frame:
            found.append(
                Damage(
                    entry.step,
                    event.importer,
                    event.address,
                    event.write,
                    frame,
                    event.frame,
                    event.owner,
                    event.before,
                    event.after,
                    event.decoder,
                )
            )
    return tuple(found)
