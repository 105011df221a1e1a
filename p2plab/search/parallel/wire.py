"""What goes between processes of one machine: messages through pipes, and large arrays through files without a name.

A message is numbers, words and arrays of integers by name. No pickle. The files are in memory where there is room;
they have no name, so nothing is left behind, however a process ends.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from p2plab.search.parallel.team import Message

_LENGTH = 8
#: Maximum length of a header.
_LONGEST = 1 << 20
_KINDS = frozenset("biu")


class Ended(Exception):
    """The other side has gone."""


def send(stream: BinaryIO, message: Message) -> None:
    """Write a message: the length of a JSON header, the header, and the arrays' bytes. :exc:`Ended`."""
    arrays = {name: np.ascontiguousarray(value) for name, value in message.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in message.items() if name not in arrays}
    layout = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    header = json.dumps({"plain": plain, "arrays": layout}).encode()
    try:
        stream.write(len(header).to_bytes(_LENGTH, "little") + header)
        for array in arrays.values():
            stream.write(array.data.cast("B") if array.size else b"")
        stream.flush()
    except (OSError, ValueError):
        raise Ended from None


def receive(stream: BinaryIO) -> Message:
    """Read a message. :exc:`Ended` where there is none, or half of one."""
    length = int.from_bytes(_exactly(stream, _LENGTH), "little")
    if length > _LONGEST:
        raise Ended
    header = json.loads(_exactly(stream, length))
    message: Message = dict(header["plain"])
    for name, kind, shape in header["arrays"]:
        dtype = np.dtype(kind)
        if dtype.kind not in _KINDS:
            raise Ended
        array = np.empty(shape, dtype)
        if array.size:
            _fill(stream, array.data.cast("B"))
        message[name] = array
    return message


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = bytearray(count)
    _fill(stream, memoryview(data))
    return bytes(data)


def _fill(stream: BinaryIO, room: memoryview) -> None:
    while room:
        try:
            count = stream.readinto(room)  # type: ignore[attr-defined]
        except (OSError, ValueError):
            count = 0
        if not count:
            raise Ended
        room = room[count:]


# -- arrays that one process leaves for another ---------------------------------------------------------------------------

Ints = npt.NDArray[Any]
#: The place of an array: offset, type, shape.
Place = list[Any]

_IN_MEMORY = Path("/dev/shm")


def boxes(count: int) -> list[BinaryIO]:
    """New files, one for each sending process."""
    folder = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    return [tempfile.TemporaryFile(dir=folder) for _ in range(count)]


def leave(box: int, arrays: Sequence[Ints]) -> list[Place]:
    """Overwrite a box with arrays; returns the place of each. OSError if there is no room."""
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
