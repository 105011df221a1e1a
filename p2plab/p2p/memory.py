"""Device memory: frames of real bytes, each with an owner, grouped into objects (buffer objects)."""

from __future__ import annotations

from p2plab.core.errors import KernelError
from p2plab.core.tracked import Tracked

#: Bytes kept of each 4 KiB frame. Damage is as visible in 16 bytes as in 4096, and a state stays small.
BYTES = 16


class BufferObject(Tracked):
    """An object in device memory: ``frames`` (its places, in order), its ``owner``, and whether it is being moved."""

    def __init__(self, name: str, owner: str, frames: tuple[int, ...]) -> None:
        self.name = name
        self.owner = owner
        self.frames = frames
        self.moving = False

    def frame_name(self, page: int) -> str:
        """``A[2]`` for page 2 of object A."""
        return f"{self.name}[{page}]"


class DeviceMemory(Tracked):
    """``size`` frames of device memory and the objects in them. A frame belongs to one object or to none."""

    def __init__(self, size: int) -> None:
        self.content = [bytes(BYTES)] * size
        self.owners: list[tuple[str, int] | None] = [None] * size
        self.objects: dict[str, BufferObject] = {}

    def create(self, name: str, owner: str, pages: int) -> BufferObject:
        """A new object of ``pages`` frames, filled with its own name; -ENOMEM if there is no room, -EEXIST if known."""
        if name in self.objects:
            raise KernelError("EEXIST", f"there is an object {name} already")
        free = [frame for frame, who in enumerate(self.owners) if who is None]
        if pages < 1 or len(free) < pages:
            raise KernelError("ENOMEM", f"{name} needs {pages} frames of device memory; {len(free)} are free")
        made = BufferObject(name, owner, tuple(free[:pages]))
        for page, frame in enumerate(made.frames):
            self.owners[frame] = (name, page)
            self.content[frame] = f"{made.frame_name(page)} of {owner}".encode()[:BYTES].ljust(BYTES, b".")
        self.objects[name] = made
        return made

    def who(self, frame: int) -> tuple[str, str]:
        """(``A[2]``, owner) of a frame; two empty texts if it belongs to nobody."""
        owner = self.owners[frame]
        if owner is None:
            return "", ""
        thing = self.objects[owner[0]]
        return thing.frame_name(owner[1]), thing.owner

    def _check(self) -> None:
        seen: set[int] = set()
        for thing in self.objects.values():
            for page, frame in enumerate(thing.frames):
                assert self.owners[frame] == (thing.name, page), f"frame {frame} is not {thing.frame_name(page)}"
                assert frame not in seen, f"frame {frame} belongs to two pages"
                seen.add(frame)
        assert all(who is None or frame in seen for frame, who in enumerate(self.owners)), "a frame without its object"
