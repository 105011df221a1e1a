"""Arrays that one process of this machine leaves for another: files without a name, in memory where there is room for them.

They have no name, so nothing stays behind, however a process ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]
#: Where an array lies: offset, type, shape.
Place = list[Any]

_IN_MEMORY = Path("/dev/shm")


def boxes(count: int) -> list[BinaryIO]:
    """New files, one for each process that leaves something."""
    folder = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    return [tempfile.TemporaryFile(dir=folder) for _ in range(count)]


def leave(box: int, arrays: Sequence[Ints]) -> list[Place]:
    """Write arrays over whatever was in a box; where each lies. OSError where there is no room."""
    places: list[Place] = []
    at = 0
    for array in arrays:
        places.append([at, array.dtype.str, list(array.shape)])
        view = np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
        while view:
            written = os.pwrite(box, view, at)
            at, view = at + written, view[written:]
    return places


def fetch(box: int, place: Place) -> Ints:
    """Read one of them."""
    at, kind, shape = place
    array: Ints = np.empty(shape, np.dtype(kind))
    view = array.data.cast("B") if array.size else memoryview(b"")
    while view:
        count = os.preadv(box, [view], at)
        if not count:
            raise OSError("a box holds less than was left in it")
        at, view = at + count, view[count:]
    return array
