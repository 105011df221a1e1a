"""What a driver's code may use: a search sees attributes and local variables, so nothing else may hold state.

The code is examined before anything runs: every function that the class can reach, by its bytecode. Each name must refer
to a constant, to a class or function that is examined too, or to a pure function of the standard library; else it is
refused with its line. What remains outside of attributes and local variables (:mod:`p2plab.search.outside`) is watched
while the search runs.
"""

from __future__ import annotations

import builtins
import dis
import enum
import importlib
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.tracked import Tracked, is_exact_number
from p2plab.search.admitted import BUILTINS, HINTS, MODULES, NOT_OF, OF_CODE, OUTPUT, REFLECTIVE, VALUES
from p2plab.search.outside import LOGGING, Outside
from p2plab.search.set_order import gone_through
from p2plab.search.sources import OURS, Place, codes_in, is_ours, is_yours, is_yours_class, line_of_op


class Refused(BadInput):
    """A driver with state that a search does not see; the text has the line and what to write instead."""


_LOADS_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_LOADS_LOCAL = frozenset({
    "LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"
})  # fmt: skip
_LOADS_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_WRITES_GLOBAL = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME"})
_ASKS_A_MODULE = (
    _LOADS_ATTRIBUTE | _STORES | {"IMPORT_FROM", "IMPORT_NAME", "POP_TOP", "COPY", "SWAP", "STORE_ATTR", "DELETE_ATTR"}
)
_BETWEEN = frozenset({"CACHE", "PUSH_NULL", "PRECALL", "NOT_TAKEN", "EXTENDED_ARG", "RESUME"})
_MADE_BY_THE_LIBRARY = frozenset({"<string>", "<attrs generated>"})
_UNKNOWN = object()


class Closed:
    """The code that some classes and functions can reach. :exc:`Refused` if any of it may hide state."""

    def __init__(self, roots: Sequence[Any]) -> None:
        self.outside = Outside()
        self.functions: list[types.FunctionType] = []
        self._roots = [root for root in roots if isinstance(root, type)]
        self._codes: set[int] = set()
        self._seen: dict[int, Any] = {}
        self._names: set[str] = set()
        self._in_classes: list[tuple[type, str, Any]] = []
        for root in roots:
            self._visit(root, None)
        for kind, name, value in self._in_classes:  # unused names may refer to anything
            if name in self._names or name[:2] == "__":
                at = self._place_of(name) or Place(kind.__qualname__, 0, kind.__module__)
                self._visit(value, at, f"{kind.__qualname__}.{name}")
        self.outside.begin()
        self.ours = Outside()
        self._looks = 0
        if self.functions:
            self._watch_ours()
            self.ours.begin()

    def _watch_ours(self) -> None:
        for name, module in list(sys.modules.items()):
            if module is None or not is_ours(name) or name.startswith(("p2plab.search.", "p2plab.core.running")):
                continue
            for kind in vars(module).values():
                if isinstance(kind, type) and kind.__module__ == name and not isinstance(kind, enum.EnumMeta):
                    self.ours.watch_class(kind)

    def look(self, doing: str, everywhere: bool = False) -> None:
        """:exc:`Refused` if anything outside has changed since the beginning; ``doing`` says what just ran.

        ``everywhere``: in p2plab's own classes and modules too, which are checked now and then and at the end.
        """
        self._looks += 1
        changed = self.outside.changed()
        if not changed and (everywhere or self._looks % _NOW_AND_THEN == 0):
            changed = self.ours.changed()
        if changed:
            self.outside.begin()
            self.ours.begin()
            place = self._place_of_change(changed)
            raise Refused(
                f"{place or doing} changes {changed}, which is neither an attribute of a driver nor a local variable: a search "
                "would not see it. Keep it in an attribute (self.…)"
            )

    def _place_of_change(self, changed: str) -> Place | None:
        if changed == LOGGING:
            found = (self._place_of(name) for name in _SETS_LOGGING_UP)
            return next((place for place in found if place is not None), None)
        owner, _, name = changed.partition(DEFAULT)[0].rpartition(".")
        if changed.endswith(DEFAULT):
            codes = (code for function in self.functions for code in codes_in(function.__code__))
            code = next((code for code in codes if code.co_qualname == f"{owner}.{name}".lstrip(".")), None)
            return None if code is None else Place(code.co_qualname, code.co_firstlineno, Path(code.co_filename).name)
        return self._place_of(name, writes=True) or self._place_of(name) or self._place_of(owner.rpartition(".")[2])

    # -- values -----------------------------------------------------------------------------------------------------

    def _visit(self, value: Any, at: Place | None, name: str = "") -> None:
        """Examine what a name refers to."""
        kind = type(value)
        if kind in VALUES or is_exact_number(kind) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, types.FunctionType):
            self._function(value, at)
        elif isinstance(value, type):
            self._class(value, at)
        elif isinstance(value, types.ModuleType):
            return  # its uses are examined where they occur
        elif isinstance(value, (types.MethodType, types.MethodWrapperType)):
            self._visit(value.__self__, at, name)
            self._visit(getattr(value, "__func__", None), at, name)
        elif isinstance(value, types.BuiltinFunctionType):
            self._builtin(value, at, name)
        elif isinstance(value, (staticmethod, classmethod)):
            self._visit(value.__func__, at)
        elif isinstance(value, property):
            for part in (value.fget, value.fset, value.fdel):
                self._visit(part, at)
        elif isinstance(value, enum.Enum):
            self._visit(kind, at)
        elif isinstance(value, Tracked):
            self.outside.watch(name or kind.__name__, vars(value))
        elif kind.__module__ == "functools" and (wrapped := getattr(value, "__wrapped__", None)) is not None:
            self._cached(value, wrapped, at)
        elif kind.__module__ == "functools" and hasattr(value, "func"):  # partial, cached_property, partialmethod
            for part in (value.func, *getattr(value, "args", ()), *(getattr(value, "keywords", None) or {}).values()):
                self._visit(part, at, name)
        elif isinstance(value, (tuple, frozenset)) and kind.__module__ == "builtins":
            for part in value:
                self._visit(part, at, name)
        else:
            self._instance(kind, value, at, name)

    def _instance(self, kind: type, value: Any, at: Place | None, name: str) -> None:
        """An object in a global or a class attribute: watched if it can be looked into, else refused."""
        root = kind.__module__.partition(".")[0]
        if (
            isinstance(value, _DESCRIPTORS)
            or kind.__name__ == "_tuplegetter"
            or root
            in (
                "typing",
                "types",
                "re",
                "_abc",
                "dataclasses",
                "abc",
                "__future__",
                "annotationlib",
                "_collections",
            )
        ):
            return
        if kind.__module__ == "p2plab.core.running" and at is not None:
            self._refuse(at, name, "world")
        if root == "logging":
            self.outside.watch_logging()
            return
        if self.outside.can_watch(value):
            for part in self.outside.watch(name or kind.__name__, value):
                self._visit(part, at, name)
            if is_yours_class(kind):
                self._visit(kind, at)
        elif at is not None:
            self._refuse(at, f"{name or 'a value'}, a {kind.__module__}.{kind.__qualname__}", name)

    def _builtin(self, value: types.BuiltinFunctionType, at: Place | None, name: str) -> None:
        owner = value.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            module = getattr(owner, "__name__", None) or value.__module__ or "builtins"
            self._check_library(module, value.__name__, at)
        elif isinstance(owner, type):
            if owner.__module__ != "builtins":
                self._check_library(owner.__module__, owner.__qualname__, at)
        else:
            self._visit(owner, at, name)

    def _class(self, kind: type, at: Place | None) -> None:
        if not is_yours_class(kind):
            module = kind.__module__
            if module != "builtins" and not is_ours(module):
                self._check_library(module, kind.__qualname__.partition(".")[0], at)
                if can_be_assigned_to(kind):
                    self.outside.watch_class(kind)
            return
        for base in kind.__mro__[:-1]:
            if is_yours_class(base) or is_ours(base.__module__):
                self.outside.watch_class(base)
        for base in kind.__mro__[1:-1]:
            self._visit(base, at)
        if isinstance(kind, enum.EnumMeta):
            member: enum.Enum
            for member in kind.__members__.values():
                self.outside.watch_member(f"{kind.__qualname__}.{member.name}", member)
                for name, part in vars(member).items():
                    if name[:1] != "_":
                        self._visit(part, at, f"{kind.__qualname__}.{member.name}.{name}")
        if type(kind) is not type and is_yours_class(type(kind)):
            self._visit(type(kind), at)
        if "__del__" in vars(kind):
            code = getattr(vars(kind)["__del__"], "__code__", None)
            line, file = (code.co_firstlineno, Path(code.co_filename).name) if code else (0, kind.__module__)
            self._refuse(Place(f"{kind.__qualname__}.__del__", line, file), "a finaliser", "__del__")
        for name, member in vars(kind).items():
            if name == "__annotate_func__":  # the compiler's (3.14): it evaluates annotations, never in a step
                continue
            if isinstance(member, (types.FunctionType, staticmethod, classmethod, property)):
                self._visit(member, at)
            elif not isinstance(member, enum.Enum) and name not in _OF_CLASSES:
                self._in_classes.append((kind, name, member))

    def _cached(self, value: Any, wrapped: Any, at: Place | None) -> None:
        self._visit(wrapped, at)
        self.outside.watch(getattr(wrapped, "__qualname__", "a cached function"), vars(value))
        code = getattr(wrapped, "__code__", None)
        if code is not None and any(op.opname in _LOADS_ATTRIBUTE for op in dis.get_instructions(code)):
            place = Place(code.co_qualname, code.co_firstlineno, Path(code.co_filename).name)
            raise Refused(
                f"{place} is cached, and looks at attributes: what it gave once would be given again although they have "
                "changed. Leave the cache out"
            )

    # -- code -------------------------------------------------------------------------------------------------------

    def _function(self, function: types.FunctionType, at: Place | None) -> None:
        code = function.__code__
        if not is_yours(code.co_filename):
            if code.co_filename.startswith(OURS):
                self._check_ours(function, at)
                self.outside.watch(function.__qualname__, function)
            else:
                module = function.__globals__.get("__name__", "")
                if function.__module__ == module:  # else a decorator of the library made it
                    self._check_library(module, function.__qualname__.partition(".")[0], at)
                self.outside.watch(function.__qualname__, function)
                for cell in function.__closure__ or ():  # a decorator of the library around your function
                    if isinstance(held := _content_of(cell), types.FunctionType) and is_yours(
                        held.__code__.co_filename
                    ):
                        self._visit(held, at)
            return
        if code.co_filename in _MADE_BY_THE_LIBRARY and function.__name__[:2] == "__":
            return  # a dataclass's or a named tuple's
        self.functions.append(function)
        self.outside.watch_function(function)
        place = Place(code.co_qualname, code.co_firstlineno, Path(code.co_filename).name)
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._visit(default, place, f"{function.__qualname__}{DEFAULT}")
        free: dict[str, Any] = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
            self._visit(free.setdefault(name, _content_of(cell)), place, name)
        self._code(code, function.__globals__, free)

    def _code(self, code: types.CodeType, namespace: dict[str, Any], known: dict[str, Any]) -> None:
        """Each instruction: what it loads, resolved as far as attributes of modules and classes go."""
        if id(code) in self._codes:
            return
        self._codes.add(id(code))
        self._names.update(code.co_names)
        known = dict(known)
        line = code.co_firstlineno
        ordered = gone_through(code)
        value, dotted = _UNKNOWN, ""
        came: Any = _UNKNOWN
        constant: Any = None
        for op in dis.get_instructions(code):
            line = line_of_op(op) or line
            if op.opname in _BETWEEN:
                continue
            place = Place(code.co_qualname, line, Path(code.co_filename).name)
            name = str(op.argval)
            if isinstance(value, types.ModuleType) and op.opname not in _ASKS_A_MODULE:
                self._module_as_value(value, dotted, place)
            if ordered is not None and op.offset == ordered.offset:
                self._refuse(place, "the order of a set of text", "set")
            if op.opname == "LOAD_CONST" and type(op.argval) is str and op.argval in REFLECTIVE:
                self._refuse(place, f"the name {op.argval} as text", "reflection")
            if op.opname == "GET_ITER" and isinstance(constant, frozenset) and not _in_fixed_order(constant):
                self._refuse(place, "the order of a set of text", "set")
            constant = op.argval if op.opname == "LOAD_CONST" else None
            if op.opname in _WRITES_GLOBAL:
                raise Refused(
                    f"{place} assigns the global {name}: a search would not see it. What a driver remembers must be in an "
                    f"attribute (self.{name})"
                )
            if op.opname in _LOADS_GLOBAL:
                asked = value is getattr
                value, dotted = self._global(name, namespace, place, code), name
                if asked and value is object:
                    self._refuse(place, "getattr(object, …)", "reflection")
            elif op.opname in _LOADS_LOCAL:
                value, dotted = known.get(name, _UNKNOWN), name
            elif op.opname in _LOADS_ATTRIBUTE:
                self._check_reflection(name, place, code)
                value, dotted = self._attribute(value, name, place), f"{dotted}.{name}"
                if value is not _UNKNOWN and tuple(dotted.rpartition(".")[::2]) not in OUTPUT:
                    self._visit(value, place, dotted)
            elif op.opname in ("STORE_ATTR", "DELETE_ATTR"):
                if value is not _UNKNOWN or name in OF_CODE:
                    raise Refused(
                        f"{place} assigns {dotted or '…'}.{name}: a search would not see it. Keep it in an attribute (self.…)"
                    )
                value = _UNKNOWN
            elif op.opname == "IMPORT_NAME":
                came, value = _imported(name, namespace), sys.modules.get(name.partition(".")[0], _UNKNOWN)
            elif op.opname == "IMPORT_FROM":
                value = self._attribute(came, name, place)
                if value is not _UNKNOWN:
                    self._visit(value, place, f"{came.__name__}.{name}")
            elif op.opname in _STORES:
                if value is not _UNKNOWN:
                    known[name] = value
                elif name in known and op.opname == "STORE_FAST":
                    del known[name]
                value = _UNKNOWN
            else:
                value = _UNKNOWN
        for part in code.co_consts:
            if isinstance(part, types.CodeType):
                self._code(part, namespace, known)

    def _global(self, name: str, namespace: dict[str, Any], place: Place, code: types.CodeType) -> Any:
        if not name.isidentifier():  # generated by pytest, in an assertion
            return _UNKNOWN
        if name in namespace:
            value = namespace[name]
            self.outside.watch_name(namespace, name)
            self._visit(value, place, name)
            return value
        value = vars(builtins).get(name, _UNKNOWN)
        if value is _UNKNOWN or (isinstance(value, type) and issubclass(value, BaseException)):
            return value
        if name not in BUILTINS and not (name == "hash" and code.co_name == "__hash__"):
            self._refuse(place, f"{name}()", name)
        return value

    def _attribute(self, value: Any, name: str, place: Place) -> Any:
        """The value of a module's or a class's attribute; for anything else it is not known before the code runs."""
        if isinstance(value, types.ModuleType):
            if is_yours(getattr(value, "__file__", None) or "<frozen"):
                self.outside.watch_name(vars(value), name)
            elif is_ours(value.__name__):
                if value.__name__ == "p2plab.core.running" or (value.__name__, name) in _NOT_FOR_DRIVERS:
                    self._refuse(place, name, "world")
            else:
                self._check_library(value.__name__, name, place)
                if name[:1] == "_" or name in NOT_OF.get(value.__name__, ()):
                    self._refuse(place, f"{value.__name__}.{name}", "private" if name[:1] == "_" else "else")
            return getattr(value, name, _UNKNOWN)
        if isinstance(value, type) and not is_yours_class(value):
            if value is object and name == "__getattribute__":
                self._refuse(place, "object.__getattribute__", name)
            return _UNKNOWN
        return _UNKNOWN

    def _module_as_value(self, module: types.ModuleType, name: str, place: Place) -> None:
        """A module used as a value gives access to anything, by names not known before the code runs."""
        if MODULES.get(module.__name__) != frozenset() and not is_ours(module.__name__):
            self._refuse(place, f"the module {name} as a value", "module")
        self.outside.watch(module.__name__, vars(module))

    # -- refusing ---------------------------------------------------------------------------------------------------

    def _check_library(self, module: str, name: str, at: Place | None) -> None:
        if at is None or (module, name) in OUTPUT:
            return
        if module.partition(".")[0] == "logging":
            self.outside.watch_logging()
        for known in (module, module.partition(".")[0]):
            admitted = MODULES.get(known.removeprefix("_") if known not in MODULES else known)
            if admitted is not None:
                if not admitted or name in admitted:
                    return
                break
        self._refuse(at, f"{module}.{name}", module.partition(".")[0])

    def _check_ours(self, function: types.FunctionType, at: Place | None) -> None:
        module, name = function.__module__, function.__name__
        if at is not None and (module == "p2plab.core.running" or (module, name) in _NOT_FOR_DRIVERS):
            self._refuse(at, f"{name}()", "world")

    def _check_reflection(self, name: str, place: Place, code: types.CodeType) -> None:
        if name in REFLECTIVE and name != code.co_name:
            self._refuse(place, f".{name}", "reflection")

    def _refuse(self, at: Place, what: str, why: str) -> None:
        hint = HINTS.get(why) or HINTS["else"]
        raise Refused(f"{at} uses {what}: {hint}")

    def _is_overridden(self, function: types.FunctionType) -> bool:
        for root in self._roots:
            if any(function in vars(base).values() for base in root.__mro__):
                return getattr(root, function.__name__, None) is not function
        return False

    def _place_of(self, name: str, writes: bool = False) -> Place | None:
        """The first line that names something, or that assigns it; lines of overridden methods only if there is no other."""
        for function in sorted(self.functions, key=self._is_overridden):
            for code in codes_in(function.__code__):
                if name not in (*code.co_names, *code.co_freevars, *code.co_cellvars):
                    continue
                line = code.co_firstlineno
                for op in dis.get_instructions(code):
                    line = line_of_op(op) or line
                    if op.argval == name and (not writes or op.opname.startswith(("STORE_", "DELETE_"))):
                        return Place(code.co_qualname, line, Path(code.co_filename).name)
        return None


#: Number of steps after which p2plab's own classes are checked as well.
_NOW_AND_THEN = 200
DEFAULT = ", a default argument"
_SETS_LOGGING_UP = ("setLevel", "disable", "disabled", "propagate", "addHandler", "setattr")
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8  #: bits of a type's flags, the same from Python 3.11 to 3.14


def _imported(name: str, namespace: dict[str, Any]) -> Any:
    """The module that an ``import`` in a function gives: imported now, so that a step finds it imported."""
    try:
        importlib.import_module(name, namespace.get("__package__"))
    except Exception:  # noqa: BLE001  it fails in the run as well, and there it is shown
        return _UNKNOWN
    return sys.modules.get(name, _UNKNOWN)


def can_be_assigned_to(kind: type) -> bool:
    """Whether a class's attributes can be assigned: those of a class written in C cannot."""
    return bool(kind.__flags__ & _HEAP_TYPE) and not kind.__flags__ & _IMMUTABLE_TYPE


def _in_fixed_order(items: frozenset[Any]) -> bool:
    return all(item is None or type(item) in (int, bool, float) for item in items)


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
_OF_CLASSES = frozenset({
    "__module__", "__qualname__", "__doc__", "__annotations__", "__dict__", "__weakref__", "__dataclass_fields__",
    "__dataclass_params__", "__match_args__", "__slots__", "__abstractmethods__", "_abc_impl", "__orig_bases__",
    "__parameters__", "__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__",
    "_generate_next_value_", "_member_names_", "_member_map_", "_value2member_map_", "_unhashable_values_",
    "_member_type_", "_value_repr_", "_use_args_", "_new_member_", "__new_member__", "_hashable_values_",
    "_unhashable_values_map_", "_flag_mask_", "_singles_mask_", "_all_bits_", "_boundary_", "_inverted_",
})  # fmt: skip
_NOT_FOR_DRIVERS = frozenset({
    ("p2plab.core.tracked", "cells_of"), ("p2plab.core.tracked", "name_of"), ("p2plab.core.tracked", "freeze"),
})  # fmt: skip
