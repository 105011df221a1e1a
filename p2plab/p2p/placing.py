"""Where an object's pages are right now: slots of the aperture, or main memory. How a GPU places, moves and evicts."""

from __future__ import annotations

from p2plab.core.actors import step
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.p2p.events import MoveBegun, MoveEnded
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.memory import BufferObject

#: What to do where the aperture has no room: the predictability policies of the thread.
POLICIES = {
    "refuse": "say -ENOSPC, even to an importer that was lent the object before",
    "reserve": "keep the slots of an object that was ever lent: it is never evicted",
    "ram": "migrate the object to main memory and lend that",
    "cap": "lend at most `cap` slots in all; what comes on top is lent from main memory",
}


class Placing(Exporter):
    """The part of a GPU's driver that knows places. All of it happens within the running step, under the BAR lock."""

    policy = "refuse"
    cap = 0
    recent: tuple[str, ...] = ()  #: objects in order of use, the least recently used first
    reserved: tuple[str, ...] = ()  #: objects that the policy ``reserve`` keeps in the aperture

    def place_of(self, thing: BufferObject, first: int, count: int) -> list[tuple[int, str]]:
        """The bus addresses of ``count`` pages from page ``first`` on, each with its kind; places the object if need be.

        -ENOSPC, -ENOMEM or -ENODEV where the policy leads to no place.
        """
        if not 0 <= first <= first + count <= len(thing.frames):
            raise KernelError("ENXIO", f"{thing.name} has {len(thing.frames)} pages, not {first}..{first + count}")
        self.recent = (*(name for name in self.recent if name != thing.name), thing.name)
        if not thing.ram_frames and None in self.aperture.slots_of(thing):
            self._bring_in(thing)
        if self.policy == "reserve" and thing.name not in self.reserved:
            self.reserved = (*self.reserved, thing.name)
        return [self.place_of_page(thing, first + number) for number in range(count)]

    def place_of_page(self, thing: BufferObject, page: int) -> tuple[int, str]:
        """The bus address of one page now, and ``bar`` or ``ram``; (0, ``nowhere``) if it has none."""
        if thing.ram_frames and self.fabric is not None and self.fabric.ram is not None:
            return self.fabric.ram.address(thing.ram_frames[page]), "ram"
        slot = self.aperture.slots_of(thing)[page]
        return (self.aperture.address(slot), "bar") if slot is not None else (0, "nowhere")

    def _bring_in(self, thing: BufferObject) -> None:
        full = self.policy == "cap" and self._used() + len(thing.frames) > self.cap
        if not full:
            try:
                self.aperture.place(thing)
                return
            except KernelError:
                if self.policy not in ("ram", "cap"):
                    raise
        self.move_to_ram(thing)

    def _used(self) -> int:
        return sum(
            1 for name in self.files for slot in self.aperture.slots_of(self.files[name].thing) if slot is not None
        )

    def move_to_ram(self, thing: BufferObject) -> None:
        """Bring the bytes to main memory and free the slots; -ENODEV without main memory, -ENOMEM without room."""
        ram = self.fabric.ram if self.fabric is not None else None
        if ram is None:
            raise KernelError("ENODEV", f"{self.name} has no main memory to fall back to")
        ram.adopt(thing, self.memory)
        self.take_out(thing)

    def take_out(self, thing: BufferObject) -> None:
        """Free the slots of an object; its bytes stay in device memory."""
        self.revoke(thing)
        for slot in self.aperture.slots_of(thing):
            if slot is not None:
                self.aperture.free(slot)

    async def place(self, thing: BufferObject) -> None:
        """Show an object in the aperture; -ENOSPC if there is no run of slots that is long enough."""
        async with self.lock:
            await step(f"places {thing.name}", lambda: self.aperture.place(thing))

    def least_recent(self) -> BufferObject | None:
        """The object to evict: the one whose last use is longest ago, among those shown and not reserved."""
        shown = [t for t in self.memory.objects.values() if t.name not in self.reserved and self._is_shown(t)]
        order = {name: number for number, name in enumerate(self.recent)}
        return min(shown, key=lambda thing: order.get(thing.name, -1), default=None)

    def _is_shown(self, thing: BufferObject) -> bool:
        return any(slot is not None for slot in self.aperture.slots_of(thing))

    def in_the_way(self) -> list[BufferObject]:
        """The objects that a compaction moves, those nearest to the start of the BAR first."""
        moving = [slot for slot, place in self.aperture.compacted().items() if slot != place]
        names = [self.memory.owners[frame] for slot in moving if (frame := self.aperture.shows[slot]) is not None]
        return [self.memory.objects[name] for name in dict.fromkeys(owner[0] for owner in names if owner)]

    def pull_down(self, thing: BufferObject) -> None:
        """Move an object to the first hole that holds it, its own place counted as free.

        The hole is chosen now, not when the defragmentation began: ``p2p_map`` may have placed something since.
        """
        self.revoke(thing)
        mine = [slot for slot in self.aperture.slots_of(thing) if slot is not None]
        frames = [self.aperture.shows[slot] for slot in mine]
        for slot in mine:
            self.aperture.free(slot)
        first = next((first for first, length in self.aperture.free_runs() if length >= len(mine)), None)
        places = mine if first is None else range(first, first + len(mine))
        for slot, frame in zip(places, frames, strict=True):
            if frame is not None:
                self.aperture.take(slot, frame)
        self.finish_move(thing)

    def mark_moving(self, thing: BufferObject) -> None:
        """From here on ``p2p_map`` waits for the end of the move. Under the BAR lock."""
        thing.moving = True
        emit(MoveBegun(self.name, thing.name))

    def finish_move(self, thing: BufferObject) -> None:
        """The object is at its new place: ``p2p_map`` may answer again."""
        thing.moving = False
        emit(MoveEnded(self.name, thing.name))
