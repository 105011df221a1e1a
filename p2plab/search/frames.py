"""The content of a suspended coroutine: its position, its locals, its cells and the half-evaluated rest of its stack.

A local variable that is not read again before it is assigned has no effect: two coroutines that differ only in such
variables behave alike, and are one state. That is computed from the bytecode, which differs by Python version; in a
version that was not tested (3.11 to 3.14 were) every local counts.
"""

from __future__ import annotations

import ctypes
import dis
import gc
import os
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

from p2plab.core.tracked import TRACKED_CONTAINERS, Tracked

Suspended = types.CoroutineType | types.GeneratorType | types.AsyncGeneratorType  # type: ignore[type-arg]

#: The versions whose bytecode is understood well enough to compute which locals are read again.
UNDERSTOOD = frozenset({(3, 11), (3, 12), (3, 13), (3, 14)})
#: Whether locals that are not read again are left out of a state.
drop_dead = sys.version_info[:2] in UNDERSTOOD

_EVERYTHING = -1
#: Code that uses one of these may look at its locals without naming them.
_REFLECTIVE = frozenset({"locals", "vars", "dir", "eval", "exec", "super", "_getframe", "currentframe", "globals"})
_ENDS = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"})
_JUMPS = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_READS = frozenset({
    "LOAD_FAST", "DELETE_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_AND_CLEAR", "LOAD_FAST_BORROW", "LOAD_FAST_LOAD_FAST",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
})  # fmt: skip
#: Two in one, since Python 3.13.
_STORES_TWO, _STORES_THEN_READS = "STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST"


class Parts(NamedTuple):
    """A suspended frame: ``names`` of the locals that count and are bound; ``parts`` in slot order, locals first.

    ``own``: the ids of iterators that only this frame refers to.
    """

    code: int
    position: int
    names: tuple[str, ...]
    parts: list[Any]
    own: frozenset[int]


def parts_of(value: Suspended) -> Parts:
    """What is in a coroutine or generator; its position is -2 once it has finished."""
    if isinstance(value, types.CoroutineType):
        frame, code = value.cr_frame, value.cr_code
    elif isinstance(value, types.GeneratorType):
        frame, code = value.gi_frame, value.gi_code
    else:
        frame, code = value.ag_frame, value.ag_code
    if frame is None:
        return Parts(number_of(code), -2, (), [], frozenset())
    known = frame.f_locals
    # CPython lists the object's own parts first, then its locals, cells and value stack in slot order.
    parts: list[Any] = []
    head = True
    for part in gc.get_referents(value):
        if part is known or part is frame:
            continue
        if head and (part is code or part is value.__name__ or part is value.__qualname__ or _runs(part, code)):
            continue
        head = False
        parts.append(part)
    if parts and parts[-1] is None and _remembers_none(value):
        parts.pop()
    position, names = frame.f_lasti, tuple(sorted(known))
    if drop_dead and position >= 0 and code.co_nlocals:
        live = _live_at(code, position)
        if live != _EVERYTHING:
            names, parts = _without_dead(code, live, known, names, parts)
    own = _own_iterators(parts)
    return Parts(number_of(code), position, names, parts, own)


@contextmanager
def every_local() -> Iterator[None]:
    """Inside, every local counts: the soundness gate compares both ways."""
    global drop_dead
    before, drop_dead = drop_dead, False
    try:
        yield
    finally:
        drop_dead = before


def number_of(code: types.CodeType) -> int:
    """A number for a code object, the same as long as this process lives: hashing the code itself would be slow."""
    known = _CODES.get(id(code))
    if known is None:
        known = _CODES[id(code)] = (code, len(_CODES))
        if _assigns_outer_variable(code):
            _REBINDING.add(code)
    return known[1]


def rebinding() -> bool:
    """Whether any code seen so far assigns variables of an enclosing function: then everything is within reach."""
    return bool(_REBINDING)


def line_of(value: Any) -> str:
    """``line N of file (function)``: the line of the innermost coroutine under one, library code left out."""
    found = ""
    while value is not None:
        frame = getattr(value, "cr_frame", None) or getattr(value, "gi_frame", None) or getattr(value, "ag_frame", None)
        if frame is None:
            break
        code = frame.f_code
        if f"{os.sep}p2plab{os.sep}core{os.sep}" not in code.co_filename:
            found = f"line {frame.f_lineno} of {os.path.basename(code.co_filename)} ({code.co_qualname})"
        value = getattr(value, "cr_await", None) or getattr(value, "gi_yieldfrom", None)
    return found


# -- locals that are not read again ---------------------------------------------------------------------------------------


def _without_dead(
    code: types.CodeType, live: int, known: dict[str, Any], names: tuple[str, ...], parts: list[Any]
) -> tuple[tuple[str, ...], list[Any]]:
    """The names and parts that count; all of them if a slot is uncertain."""
    dead: set[int] = set()
    dropped: set[str] = set()
    at = 0
    for slot, name in enumerate(code.co_varnames):
        if name in code.co_cellvars:  # an argument also used by an inner function: the slot has its cell
            at += 1
        elif name in known:
            if at >= len(parts) or parts[at] is not known[name]:
                return names, parts
            if not live >> slot & 1 and _leaves_no_trace(parts[at]):
                dead.add(at)
                dropped.add(name)
            at += 1
    if not dead:
        return names, parts
    return (
        tuple(name for name in names if name not in dropped),
        [part for at, part in enumerate(parts) if at not in dead],
    )


def _leaves_no_trace(value: Any, depth: int = 3) -> bool:
    """Whether dropping a value has no effect: nothing in it has a finaliser."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, (Tracked, Enum, type, *TRACKED_CONTAINERS)):
        return True
    if kind in (tuple, list, set, frozenset):
        return depth > 0 and all(_leaves_no_trace(item, depth - 1) for item in value)
    return kind is dict and depth > 0 and all(_leaves_no_trace(item, depth - 1) for item in _items(value))


def _items(value: dict[Any, Any]) -> Iterable[Any]:
    yield from value
    yield from value.values()


def _live_at(code: types.CodeType, position: int) -> int:
    """The slots of the locals that may be read before they are assigned, as bits, at an instruction's offset."""
    known = _LIVE.get(id(code))
    if known is None:
        known = _LIVE[id(code)] = (code, _liveness(code))
    return known[1].get(position, _EVERYTHING)


def _liveness(code: types.CodeType) -> dict[int, int]:
    """For each offset the locals that are live there, as bits; empty if the code may access them in other ways."""
    if not _REFLECTIVE.isdisjoint(code.co_names):
        return {}
    instructions = list(dis.get_instructions(code))
    slots = {name: slot for slot, name in enumerate(code.co_varnames)}
    after: list[list[int]] = []
    index = {one.offset: at for at, one in enumerate(instructions)}
    for at, one in enumerate(instructions):
        follows = [] if one.opname in _ENDS or one.opname in _JUMPS else [at + 1]
        if one.opcode in dis.hasjrel or one.opcode in dis.hasjabs:
            follows.append(index[one.argval])
        after.append([follower for follower in follows if follower < len(instructions)])
    for start, end, target, *_ in dis.Bytecode(code).exception_entries:  # type: ignore[attr-defined]
        for at, one in enumerate(instructions):
            if start <= one.offset < end:
                after[at].append(index[target])
    handled = [len(follows) for follows in after]
    live = [0] * len(instructions)
    changed = True
    while changed:
        changed = False
        for at in range(len(instructions) - 1, -1, -1):
            one = instructions[at]
            now = 0
            for follower in after[at][: handled[at]]:
                now |= live[follower]
            reads, stores = _reads_and_stores(one)
            for name in stores:
                if name in slots:
                    now &= ~(1 << slots[name])
            for name in reads:
                if name in slots:
                    now |= 1 << slots[name]
            if now != live[at]:
                live[at], changed = now, True
    return {one.offset: live[at] for at, one in enumerate(instructions)}


def _reads_and_stores(one: dis.Instruction) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The locals that an instruction reads, and those that it stores: of ``x = …; y`` in one, ``y`` and ``x``."""
    names: tuple[str, ...] = one.argval if isinstance(one.argval, tuple) else (one.argval,)
    if one.opname in _READS:
        return names, ()
    if one.opname == "STORE_FAST" or one.opname == _STORES_TWO:
        return (), names
    if one.opname == _STORES_THEN_READS:  # stored first: a name in both is not read before that
        return tuple(name for name in names[1:] if name != names[0]), names[:1]
    return (), ()


# -- inside ---------------------------------------------------------------------------------------------------------------


def _own_iterators(parts: list[Any]) -> frozenset[int]:
    """Iterators of a ``for`` loop are on the stack of one frame; if nothing else refers to one, no other actor can reach it."""
    own = [id(part) for part in parts if type(part) in _LOOPING and sys.getrefcount(part) == _ALONE]
    return frozenset(own) if own else _NONE


def _assigns_outer_variable(code: types.CodeType) -> bool:
    """Whether a function, or one inside it, has a ``nonlocal`` variable that it assigns."""
    if code.co_freevars and any(
        op.opname in ("STORE_DEREF", "DELETE_DEREF") and op.argval in code.co_freevars
        for op in dis.get_instructions(code)
    ):
        return True
    return any(_assigns_outer_variable(part) for part in code.co_consts if isinstance(part, types.CodeType))


def _runs(part: Any, code: types.CodeType) -> bool:
    return type(part) is types.FunctionType and part.__code__ is code


def _remembers_none(value: Suspended) -> bool:
    """Whether the exception that a coroutine is handling is None: one was caught in it earlier.

    Before that it has no such entry, and ``gc.get_referents`` shows the difference: a caught exception would split
    states for good, although the code's behaviour does not depend on it.
    """
    if _HANDLED_AT is None:
        return True  # a missing part is missing in all states alike: position and names determine the number
    return ctypes.c_void_p.from_address(id(value) + _HANDLED_AT).value == id(None)


def _handled_at() -> int | None:
    """Where in a suspended frame's object CPython keeps the exception that is being handled; None if it is not found."""

    def handling() -> Any:
        try:
            raise KeyError
        except KeyError as error:
            yield error

    suspended = handling()
    error = next(suspended)
    words = range(object.__basicsize__, types.GeneratorType.__basicsize__, ctypes.sizeof(ctypes.c_void_p))
    found = [at for at in words if ctypes.c_void_p.from_address(id(suspended) + at).value == id(error)]
    suspended.close()
    return found[0] if found else None


_HANDLED_AT = _handled_at()
_NONE: frozenset[int] = frozenset()
_PLAIN = frozenset({int, str, bytes, bool, float, complex, type(None), range, slice})
_LOOPING = frozenset(map(type, (iter(()), iter(range(0)), iter(range(1 << 70)))))
_CODES: dict[int, tuple[types.CodeType, int]] = {}
#: Code seen so far that assigns variables of an enclosing function.
_REBINDING: set[types.CodeType] = set()
_LIVE: dict[int, tuple[types.CodeType, dict[int, int]]] = {}


def _count_of_one() -> int:
    """What ``sys.getrefcount`` says in :func:`_own_iterators` of an iterator that only a frame refers to."""

    def looping() -> Any:
        for _ in range(2):
            yield

    suspended = looping()
    next(suspended)
    parts = [part for part in gc.get_referents(suspended) if type(part) in _LOOPING]
    return next(iter([sys.getrefcount(part) for part in parts]))


_ALONE = _count_of_one()
