"""Defragmenting a large aperture as arrays: the plan of :meth:`Aperture.compacted`, and the move of its bytes, in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
#: Blocks gathered at a time: few enough that their bytes stay in the cache between reading and writing.
CHUNK = 4096


@dataclass(frozen=True)
class Compaction:
    """Block ``used[n]`` goes to slot n; those below ``first`` are in their place already. ``owners`` must be notified first."""

    used: Ints
    first: int
    owners: Ints

    @property
    def moved(self) -> int:
        """How many blocks change their slot."""
        return len(self.used) - self.first


def plan(shows: Ints, owner: Ints | None = None) -> Compaction:
    """Where everything goes so that all holes end up last, keeping its order. ``shows`` is -1 in a free slot.

    ``owner`` gives an object's number a slot; then the plan names the objects whose importers must be notified.
    """
    taken = shows >= 0
    used = np.flatnonzero(taken)
    first = len(shows) if len(used) == len(shows) else int(taken.argmin())
    told = _named(owner[used[first:]]) if owner is not None else np.empty(0, dtype=np.int64)
    return Compaction(used, first, told)


def compact(shows: Ints, content: npt.NDArray[np.uint8], done: Compaction | None = None) -> Compaction:
    """Move all blocks down, in place: ``content`` has one row of bytes a slot. Returns the plan that was carried out.

    A block never moves up, so a chunk that is written never covers a block that is still to be read. ValueError where
    the two arrays are not of one length.
    """
    if len(shows) != len(content):
        raise ValueError(f"{len(shows)} slots and {len(content)} rows of bytes: the numbers must be equal")
    made = plan(shows) if done is None else done
    rows = content.reshape(len(content), -1).view(f"V{content[0].nbytes}").reshape(-1) if len(content) else content
    scratch = np.empty(CHUNK, dtype=rows.dtype)
    start = made.first
    while start < len(made.used):
        gap = int(made.used[start]) - start  # blocks that can be written before the first that is still to be read
        source = made.used[start : start + max(gap, CHUNK)]
        target = rows[start : start + len(source)]
        if gap >= len(source):
            np.take(rows[source[0] :], source - source[0], out=target, mode="clip")
        else:
            np.take(rows, source, out=scratch[: len(source)], mode="clip")
            target[:] = scratch[: len(source)]
        start += len(source)
    shows[: len(made.used)] = shows[made.used]
    shows[len(made.used) :] = -1
    return made


def _named(owners: Ints) -> Ints:
    """The distinct numbers, in order; marking them is quicker than sorting."""
    marks = np.zeros(int(owners.max(initial=-1)) + 1, dtype=bool)
    marks[owners] = True
    return np.flatnonzero(marks)
