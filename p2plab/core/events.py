"""The event log: frozen, typed entries with exact integers, and their JSON lines.

An :class:`Event` is a frozen dataclass; each room of p2plab declares its own. ``emit`` puts one into the log of the
world that is running. Everything people see (rules, text, pictures, traces) is a reading of the log.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from p2plab.core.errors import BadInput
from p2plab.core.running import current_world

#: A 64-bit address. Exact in Python, hex text in JSON: a reader that uses doubles would round it.
Addr = Annotated[int, "address"]


class Event:
    """Base of all events. The class's name is its ``kind`` in JSON; ``str`` of it is one short phrase, or empty.

    Fields may be ``int``, ``str``, ``bool``, ``bytes``, :data:`Addr`, an optional of these, or a tuple of one of these.
    """

    __slots__ = ()

    @property
    def kind(self) -> str:
        """The name of this kind of event."""
        return type(self).__name__

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: which event, in which step (0 is set-up), at which time (ticks), by which actor."""

    index: int
    step: int
    time: int
    actor: str
    event: Event


def emit(event: Event) -> None:
    """Put an event into the log of the running world, as part of the running actor's step."""
    current_world().note(event)


def to_json(entry: Entry) -> dict[str, Any]:
    """An entry as one flat JSON object."""
    event = entry.event
    line: dict[str, Any] = {"step": entry.step, "time": entry.time, "actor": entry.actor, "kind": event.kind}
    kind: Any = type(event)
    for name, hint in _fields(kind).items():
        line[name] = _encode(getattr(event, name), hint)
    return line


def from_json(index: int, line: Any, kinds: Mapping[str, type[Event]]) -> Entry:
    """The inverse of :func:`to_json`, for events of these ``kinds``. :exc:`BadInput` names what is wrong with the line."""
    if not isinstance(line, dict):
        raise BadInput(f"log line {index + 1}: an object was expected, not {type(line).__name__}")
    kind = line.get("kind")
    cls: Any = kinds.get(kind) if isinstance(kind, str) else None
    if cls is None:
        said = repr(kind[:40]) if isinstance(kind, str) else f"of type {type(kind).__name__}"
        raise BadInput(f"log line {index + 1}: unknown kind of event {said}")
    hints = _fields(cls)
    expected = {"step", "time", "actor", "kind", *hints}
    if set(line) != expected:
        odd = ", ".join(sorted(set(line) ^ expected))[:80]
        raise BadInput(f"log line {index + 1}: {cls.__name__} has other fields (missing or unknown: {odd})")
    try:
        event = cls(**{name: _decode(line[name], hint) for name, hint in hints.items()})
        step, time = _decode(line["step"], int), _decode(line["time"], int)
        return Entry(index, step, time, _decode(line["actor"], str), event)
    except ValueError as error:
        raise BadInput(f"log line {index + 1}: {cls.__name__}: {error}") from None


@functools.cache
def _fields(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _encode(value: Any, hint: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return hex(value) if _is_address(hint) else value
    inner = _inner(hint)
    return [_encode(item, inner) for item in value]


def _decode(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return None if value is None else _decode(value, _inner(hint))
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"a list was expected, not {_said(value)}")
        inner = _inner(hint)
        return tuple(_decode(item, inner) for item in value)
    if hint is bytes and isinstance(value, str):
        return bytes.fromhex(value)
    if _is_address(hint) and isinstance(value, str):
        return _unhex(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise ValueError(f"{_said(value)} is not of the right type")


def _said(value: Any) -> str:
    """A value in an error's sentence; what may be nested or long only by its type."""
    simple = value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and value.bit_length() < 128)
    return repr(value[:40]) if isinstance(value, str) else repr(value) if simple else f"a {type(value).__name__}"


def _inner(hint: Any) -> Any:
    """``X`` of ``X | None`` and of ``tuple[X, ...]``."""
    return next((a for a in typing.get_args(hint) if a not in (type(None), ...)), hint)


def _is_address(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _is_address(_inner(hint))
    return hint is Addr or getattr(hint, "__metadata__", None) == ("address",)


def _unhex(text: str) -> int:
    if not text.startswith("0x") or len(text) > 18:
        raise ValueError(f"{text[:40]!r} is not a 64-bit address in hex")
    return int(text, 16)
