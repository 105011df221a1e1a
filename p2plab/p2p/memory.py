"""Device memory: frames of real bytes, each with an owner and a generation, grouped into objects; and main memory."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.core.tracked import Tracked
from p2plab.mm import PAGE_SIZE

#: Bytes kept of each 4 KiB frame. Damage is as visible in 16 bytes as in 4096, and a state stays small.
BYTES = 16
#: Where the main memory that exporters fall back to begins: above 4 GiB, where no BAR of the scenes is (illustrative).
RAM_BASE = 0x1_0000_0000


class BufferObject(Tracked):
    """An object in device memory: ``frames`` (its places, in order), its ``owner``, and whether it is being moved."""

    def __init__(self, name: str, owner: str, frames: tuple[int, ...]) -> None:
        self.name = name
        self.owner = owner
        self.frames = frames
        self.ram_frames: tuple[int, ...] = ()  #: its places in main memory, once it was migrated there
        self.moving = False
        self.allowed = True  #: whether other devices may be lent it; may change after mmap
        self.state = (
            "there"  #: or ``destroyed``, or ``lost`` (its bytes are gone, and its owner has not filled it again)
        )

    def frame_name(self, page: int) -> str:
        """``A[2]`` for page 2 of object A."""
        return f"{self.name}[{page}]"


class DeviceMemory(Tracked):
    """``size`` frames of memory and the objects in them. A frame belongs to one object or to none.

    ``generation`` counts, for each frame, how often it got a new owner or lost its content.
    """

    def __init__(self, size: int) -> None:
        self.content = [bytes(BYTES)] * size
        self.owners: list[tuple[str, int] | None] = [None] * size
        self.generation = [0] * size
        self.objects: dict[str, BufferObject] = {}

    def create(self, name: str, owner: str, pages: int) -> BufferObject:
        """A new object of ``pages`` frames, filled with its name; -ENOMEM if there is no room, -EEXIST if known."""
        if name in self.objects:
            raise KernelError("EEXIST", f"there is an object {name} already")
        made = BufferObject(name, owner, self._free_frames(name, pages))
        for page, frame in enumerate(made.frames):
            self.owners[frame] = (name, page)
            self.generation[frame] += 1
            self.content[frame] = f"{made.frame_name(page)} of {owner}".encode()[:BYTES].ljust(BYTES, b".")
        self.objects[name] = made
        return made

    def destroy(self, name: str) -> None:
        """Free an object's frames; their bytes stay until they are reused. -ENOENT if it is not known."""
        if name not in self.objects:
            raise KernelError("ENOENT", f"there is no object {name}; there are {', '.join(self.objects) or 'none'}")
        thing = self.objects.pop(name)
        thing.state = "destroyed"
        for frame in thing.frames:
            self.owners[frame] = None

    def lose(self, thing: BufferObject) -> None:
        """The bytes of an object are gone: a reset, a power cycle."""
        thing.state = "lost"
        for frame in thing.frames:
            self.content[frame] = bytes(BYTES)
            self.generation[frame] += 1

    def who(self, frame: int) -> tuple[str, str]:
        """(``A[2]``, owner) of a frame; two empty texts if it has no owner."""
        owner = self.owners[frame]
        if owner is None:
            return "", ""
        thing = self.objects[owner[0]]
        return thing.frame_name(owner[1]), thing.owner

    def _free_frames(self, name: str, pages: int) -> tuple[int, ...]:
        free = [frame for frame, who in enumerate(self.owners) if who is None]
        if pages < 1 or len(free) < pages:
            raise KernelError("ENOMEM", f"{name} needs {pages} frames of device memory; {len(free)} are free")
        return tuple(free[:pages])

    def _check(self) -> None:
        seen: set[int] = set()
        for thing in self.objects.values():
            for page, frame in enumerate(self._frames_of(thing)):
                assert self.owners[frame] == (thing.name, page), f"frame {frame} is not {thing.frame_name(page)}"
                assert frame not in seen, f"frame {frame} belongs to two pages"
                seen.add(frame)
        assert all(who is None or frame in seen for frame, who in enumerate(self.owners)), "a frame without its object"

    def _frames_of(self, thing: BufferObject) -> tuple[int, ...]:
        return thing.frames


class MainMemory(DeviceMemory):
    """The part of main memory that exporters fall back to: bus addresses from :data:`RAM_BASE`."""

    def address(self, frame: int) -> int:
        """The bus address of a frame."""
        return RAM_BASE + frame * PAGE_SIZE

    def frame_at(self, address: int) -> int | None:
        """The frame that an address falls into; None outside of this memory."""
        frame = (address - RAM_BASE) // PAGE_SIZE
        return frame if 0 <= frame < len(self.owners) else None

    def adopt(self, thing: BufferObject, memory: DeviceMemory) -> None:
        """Bring an object's bytes here from device memory; -ENOMEM if there is no room. Nothing if it is here already."""
        if thing.ram_frames:
            return
        frames = self._free_frames(thing.name, len(thing.frames))
        for page, (frame, source) in enumerate(zip(frames, thing.frames, strict=True)):
            self.owners[frame] = (thing.name, page)
            self.generation[frame] += 1
            self.content[frame] = memory.content[source]
        thing.ram_frames = frames
        self.objects[thing.name] = thing

    def _frames_of(self, thing: BufferObject) -> tuple[int, ...]:
        return thing.ram_frames
