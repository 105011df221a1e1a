"""The BAR aperture: a row of page-sized slots through which a bus address reaches a frame of device memory.

The aperture is smaller than the memory behind it, and any slot may show any frame (Jérôme Glisse, 30 January 2019,
<20190130192234.GD5061@redhat.com>: a 256 MiB window on 16 GiB, re-programmed all the time).
"""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.mm import PAGE_SIZE
from p2plab.p2p.events import ApertureMade, SlotFreed, SlotTaken
from p2plab.p2p.memory import BufferObject, DeviceMemory

__all__ = ["PAGE_SIZE", "Aperture"]


class Aperture(Tracked):
    """``slots`` slots at bus address ``base``; ``shows[slot]`` is a frame number or None."""

    def __init__(self, exporter: str, base: int, slots: int, memory: DeviceMemory) -> None:
        self.exporter = exporter
        self.base = base
        self.memory = memory
        self.shows: list[int | None] = [None] * slots
        self.powered = True  #: whether anything answers here at all
        emit(ApertureMade(exporter, base, base + slots * PAGE_SIZE))

    def __len__(self) -> int:
        return len(self.shows)

    def address(self, slot: int) -> int:
        """The bus address of a slot."""
        return int(self.base) + slot * PAGE_SIZE

    def slot_at(self, address: int) -> int | None:
        """The slot that an address falls into; None outside of the aperture."""
        slot = (address - int(self.base)) // PAGE_SIZE
        return slot if 0 <= slot < len(self) else None

    def slots_of(self, thing: BufferObject) -> tuple[int | None, ...]:
        """For each page of an object, the slot that shows it, or None."""
        shown = {frame: slot for slot, frame in enumerate(self.shows) if frame is not None}
        return tuple(shown.get(frame) for frame in thing.frames)

    def free_runs(self) -> list[tuple[int, int]]:
        """The holes, as (first slot, length), in order."""
        runs: list[tuple[int, int]] = []
        for slot, frame in enumerate(self.shows):
            if frame is not None:
                continue
            if runs and sum(runs[-1]) == slot:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((slot, 1))
        return runs

    def take(self, slot: int, frame: int) -> None:
        """Let a free slot show a frame."""
        there = self.shows[slot]
        if there is not None:
            raise KernelError("EBUSY", f"slot {slot} shows {self.memory.who(there)[0]} already")
        self.shows[slot] = frame
        emit(SlotTaken(self.exporter, slot, self.memory.who(frame)[0], self.address(slot)))

    def free(self, slot: int) -> None:
        """Let a slot show nothing."""
        frame = self.shows[slot]
        if frame is not None:
            self.shows[slot] = None
            emit(SlotFreed(self.exporter, slot, self.memory.who(frame)[0], self.address(slot)))

    def place(self, thing: BufferObject, at: int = 0) -> None:
        """Show a whole object in the first free run of slots from ``at`` on; -ENOSPC if none is long enough."""
        wanted = len(thing.frames)
        for first, length in self.free_runs():
            if length >= wanted and first + length >= at + wanted:
                first = max(first, at)
                for page, frame in enumerate(thing.frames):
                    self.take(first + page, frame)
                return
        runs = [length for _, length in self.free_runs()]
        raise KernelError(
            "ENOSPC",
            f"{thing.name} needs {wanted} slots in a row; {sum(runs)} are free, at most {max(runs, default=0)} in a row",
        )

    def compacted(self) -> dict[int, int]:
        """The plan of a defragmentation: for each slot in use where its frame goes, so that all holes end up last."""
        used = [slot for slot, frame in enumerate(self.shows) if frame is not None]
        return {slot: place for place, slot in enumerate(used)}

    def _check(self) -> None:
        shown = [frame for frame in self.shows if frame is not None]
        assert len(shown) == len(set(shown)), "two slots show one frame"
