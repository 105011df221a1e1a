"""What goes between processes: a message is numbers, words and arrays of integers by name. No pickle."""

from __future__ import annotations

import json
from typing import BinaryIO

import numpy as np

from p2plab.search.parallel.team import Message

_LENGTH = 8
#: A header longer than this is no header.
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
