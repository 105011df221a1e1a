"""The states of each part once more, on disk: what a worker that died had is given to the one that takes its place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]


class Spool:
    """States as words, in the order in which they were added. Files without a name: they go when this process does."""

    def __init__(self, parts: int) -> None:
        self._files: list[BinaryIO] = [tempfile.TemporaryFile() for _ in range(parts)]  # noqa: SIM115
        self._shapes: list[list[tuple[int, int]]] = [[] for _ in range(parts)]

    def add(self, part: int, words: Ints) -> None:
        """Some more states of a part, each a column."""
        if words.shape[1]:
            self._shapes[part].append((words.shape[0], words.shape[1]))
            self._files[part].write(np.ascontiguousarray(words).data)

    def read(self, part: int) -> Iterator[Ints]:
        """All states of a part, in pieces."""
        file = self._files[part]
        file.flush()
        file.seek(0)
        for rows, columns in self._shapes[part]:
            yield np.frombuffer(file.read(rows * columns * 8), np.uint64).reshape(rows, columns)
        file.seek(0, 2)

    def close(self) -> None:
        """Give the room back."""
        for file in self._files:
            file.close()
