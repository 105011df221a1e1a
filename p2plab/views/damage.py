"""Device memory as bytes: each frame's owner, generation and content, where it is shown, and what stray DMA did to it."""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.core.run import Run
from p2plab.core.world import World
from p2plab.p2p.memory import DeviceMemory
from p2plab.p2p.things import things_of
from p2plab.rules.damage import Damage, damage


@dataclass(frozen=True)
class FrameRow:
    """One frame: its owner, how often it changed hands, its bytes, where it is shown, and the stray hits on it."""

    memory: str
    frame: int
    page: str
    owner: str
    generation: int
    content: bytes
    shown: str
    hits: tuple[Damage, ...]

    @property
    def text(self) -> str:
        """The bytes as a person reads them: printable ones as they are, others as dots."""
        return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in self.content)

    @property
    def destroyed(self) -> bool:
        """Whether a stray write changed it."""
        return any(hit.write for hit in self.hits)


@dataclass(frozen=True)
class MemoryPicture:
    """All frames that have an owner or were ever used, and the damage so far in order."""

    rows: tuple[FrameRow, ...]
    damage: tuple[Damage, ...]
    alt: str


def memory_picture(run: Run, step: int | None = None) -> MemoryPicture:
    """The memory of the first exporter, and main memory if there is any, after ``step`` steps (None: at the end)."""
    at = len(run) if step is None else step
    world = run.at(at)
    hits = damage(entry for entry in run.log if entry.step <= at)
    gpu = things_of(world).exporters[0]
    rows = [*_rows(gpu.name, gpu.memory, hits, gpu)]
    ram = _main_memory(world)
    if ram is not None:
        rows += _rows("main memory", ram, hits, None)
    return MemoryPicture(tuple(rows), hits, _alt(rows, hits))


def memory_text(picture: MemoryPicture) -> str:
    """One line a frame, then one a stray access: the text twin."""
    lines = [
        f"{row.memory} {row.frame:>3}  {row.page or '-':<6} {row.owner or '-':<6} gen {row.generation}  "
        f"{row.shown:<10} {row.text}{'  DAMAGED' if row.destroyed else ''}"
        for row in picture.rows
    ]
    return "\n".join([*lines, *(str(hit) for hit in picture.damage)])


def _rows(name: str, memory: DeviceMemory, hits: tuple[Damage, ...], gpu: object) -> list[FrameRow]:
    shows = list(gpu.aperture.shows) if gpu is not None else []  # type: ignore[attr-defined]
    rows = []
    for frame, generation in enumerate(memory.generation):
        if not generation:
            continue
        page, owner = memory.who(frame)
        shown = f"slot {shows.index(frame)}" if frame in shows else "not shown" if gpu is not None else "main memory"
        mine = tuple(hit for hit in hits if page and hit.frame == page)
        rows.append(FrameRow(name, frame, page, owner, generation, memory.content[frame], shown, mine))
    return rows


def _main_memory(world: World) -> DeviceMemory | None:
    fabric = things_of(world).exporters[0].fabric
    return fabric.ram if fabric is not None else None


def _alt(rows: list[FrameRow], hits: tuple[Damage, ...]) -> str:
    spoiled = [f"{row.page} of {row.owner}" for row in rows if row.destroyed]
    leaked = sorted({f"{hit.frame} of {hit.owner}" for hit in hits if not hit.write and hit.frame})
    lost = sum(1 for hit in hits if not hit.frame)
    said = [f"{len(rows)} frames in use"]
    said.append(f"overwritten by stray DMA: {', '.join(spoiled)}" if spoiled else "none overwritten by stray DMA")
    if leaked:
        said.append(f"read by stray DMA: {', '.join(leaked)}")
    if lost:
        said.append(f"{lost} accesses reached nobody")
    return f"Device memory: {'; '.join(said)}."
