"""The states of each part once more, on disk: what a worker that died had is given to the one that takes its place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]


class Spool:
    """Rows in the order in which they were added. Files without a name: they go when this process does."""

    def __init__(self, parts: int) -> None:
        self._files: list[BinaryIO] = [tempfile.TemporaryFile() for _ in range(parts)]  # noqa: SIM115
        self._layout: list[list[tuple[str, tuple[int, int]]]] = [[] for _ in range(parts)]

    def add(self, part: int, rows: Ints) -> None:
        """Some more rows of a part."""
        if len(rows):
            rows = np.ascontiguousarray(rows)
            self._layout[part].append((rows.dtype.str, (rows.shape[0], rows.shape[1])))
            self._files[part].write(rows.data)

    def read(self, part: int) -> Iterator[Ints]:
        """All rows of a part, in pieces."""
        file = self._files[part]
        file.flush()
        file.seek(0)
        for kind, shape in self._layout[part]:
            dtype = np.dtype(kind)
            yield np.frombuffer(file.read(shape[0] * shape[1] * dtype.itemsize), dtype).reshape(shape)
        file.seek(0, 2)

    def close(self) -> None:
        """Give the room back."""
        for file in self._files:
            file.close()
