"""Sets of text whose order decides something: it differs from process to process, with PYTHONHASHSEED.

Found in the bytecode, as far as one function says by itself that its set has text in it. A set of numbers has the same order
everywhere, and one in an attribute keeps the order of insertion.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable, Sequence

_SKIPPED = frozenset({"CACHE", "PUSH_NULL", "PRECALL", "NOT_TAKEN", "EXTENDED_ARG", "RESUME"})
_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF"})
_STORES = frozenset({"STORE_FAST", "STORE_DEREF"})
_MAKES_TEXT = frozenset({"FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "BUILD_STRING"})
_IN_ORDER = frozenset({"iter", "list", "tuple", "enumerate"})


def gone_through(code: types.CodeType) -> dis.Instruction | None:
    """The instruction that takes the elements of a set of text in their order, or None."""
    return _Function(code).gone_through()


class _Function:
    def __init__(self, code: types.CodeType) -> None:
        self.ops = _without_ends(op for op in dis.get_instructions(code) if op.opname not in _SKIPPED)
        self.text: set[str] = set()  #: local variables that hold text
        self.sets: set[str] = set()  #: and those that hold a set with text in it

    def gone_through(self) -> dis.Instruction | None:
        made = False  #: whether the last instruction left a new set of text
        for at, op in enumerate(self.ops):
            after = self.ops[at + 1 : at + 3]
            if op.opname in _STORES:
                self._store(str(op.argval), made, at)
            if op.argval == "add" and at and self.ops[at - 1].opname in _LOADS and self._is_text(at + 1):
                self.sets.add(str(self.ops[at - 1].argval))
            here = self._makes(at) or (op.opname in _LOADS and op.argval in self.sets)
            if here and after and (self._takes_in_order(at, after)):
                return after[0]
            made = self._makes(at)
        return None

    def _store(self, name: str, made: bool, at: int) -> None:
        kept, other = (self.sets, self.text) if made else (self.text, self.sets)
        if made or self._is_text(at - 1) or self._takes_from_texts(at - 1):
            kept.add(name)
            other.discard(name)

    def _makes(self, at: int) -> bool:
        op = self.ops[at]
        if op.opname == "END_FOR":
            return at > 2 and self.ops[at - 2].opname == "SET_ADD" and self._is_text(at - 3)
        if op.opname == "BUILD_SET" and op.arg is not None and op.arg > 1:
            return any(map(self._is_text, range(at - op.arg, at)))
        if op.opname == "SET_UPDATE":
            return _has_text(self.ops[at - 1].argval)
        if op.opname.startswith("CALL") and at > 1:
            maker = self.ops[at - 2]
            if str(maker.argval) in ("set", "frozenset") and maker.opname.startswith("LOAD_GLOBAL"):
                return _has_text(self.ops[at - 1].argval)
            inner = next((one.argval for one in self.ops[max(0, at - 8) : at] if _is_code(one, "<setcomp>")), None)
            return inner is not None and self._comprehends(at) and _Function(inner).adds_text()
        return False

    def _comprehends(self, at: int) -> bool:
        return self.ops[at - 1].opname == "GET_ITER"

    def adds_text(self) -> bool:
        """Whether a comprehension's elements are text."""
        return any(op.opname == "SET_ADD" and self._is_text(at - 1) for at, op in enumerate(self.ops))

    def _takes_in_order(self, at: int, after: Sequence[dis.Instruction]) -> bool:
        op, then = after[0], after[1] if len(after) > 1 else None
        if op.opname == "GET_ITER":
            return then is not None and then.opname == "FOR_ITER"
        if op.opname in ("LIST_EXTEND", "UNPACK_SEQUENCE", "UNPACK_EX"):
            return True
        if op.opname in ("LOAD_METHOD", "LOAD_ATTR"):
            return bool(op.argval == "pop")
        asked = self.ops[at - 1] if self.ops[at].opname in _LOADS and at else None
        return asked is not None and asked.opname.startswith("LOAD_GLOBAL") and asked.argval in _IN_ORDER

    def _is_text(self, at: int) -> bool:
        if not 0 <= at < len(self.ops):
            return False
        op = self.ops[at]
        if op.opname in _MAKES_TEXT or (op.opname in _LOADS and op.argval in self.text):
            return True
        if op.opname == "BINARY_OP":
            return self._is_text(at - 1) or self._is_text(at - 2)
        return op.opname == "LOAD_CONST" and isinstance(op.argval, (str, bytes))

    def _takes_from_texts(self, at: int) -> bool:
        """Whether what is stored comes from a loop over a constant tuple of text."""
        before = self.ops[max(0, at - 2) : at + 1]
        return (
            len(before) == 3
            and [op.opname for op in before[1:]] == ["GET_ITER", "FOR_ITER"]
            and _has_text(before[0].argval)
        )


def _without_ends(ops: Iterable[dis.Instruction]) -> list[dis.Instruction]:
    """Without what ends a set comprehension that stands in its function, as from Python 3.12 on: its set is left by END_FOR."""
    kept: list[dis.Instruction] = []
    ends = swapped = False
    for op in ops:
        if ends and op.opname in ("POP_TOP", "POP_ITER", "SWAP"):
            swapped = op.opname == "SWAP"
            continue
        if swapped and op.opname in _STORES:  # the loop's variable gets its old value back
            ends = swapped = False
            continue
        kept.append(op)
        ends = op.opname == "END_FOR" and len(kept) > 2 and kept[-3].opname == "SET_ADD"
        swapped = False
    return kept


def _is_code(op: dis.Instruction, name: str) -> bool:
    return isinstance(op.argval, types.CodeType) and op.argval.co_name == name


def _has_text(constant: object) -> bool:
    return isinstance(constant, (tuple, frozenset)) and any(isinstance(item, (str, bytes)) for item in constant)
