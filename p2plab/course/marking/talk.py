"""The conversation about one driver of one world: its calls, the model's objects by number, and what it may do to them."""

from __future__ import annotations

import functools
import inspect
import itertools
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2plab.core import actors
from p2plab.core.errors import KernelError, P2PError
from p2plab.core.tracked import TRACKED_CONTAINERS, Tracked, name_of
from p2plab.course import kit
from p2plab.course.marking.offered import BASES, FUNCTIONS, methods_of
from p2plab.course.marking.process import CHILDREN, Child, Gone
from p2plab.mm import AddressSpace
from p2plab.mm.file import Mapping as FileMapping
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.fabric import Fabric
from p2plab.p2p.memory import DeviceMemory
from p2plab.search.freeze import Freezer, Unfreezable
from p2plab.search.watchdog import StepTooLong

#: A driver's own attributes: its identity, and what only the model's methods change.
FIXED = frozenset(
    {
        "name",
        "peer",
        "mm",
        "engine",
        "second",
        "fabric",
        "aperture",
        "memory",
        "machine",
        "held",
        "lent",
        "files",
        "timer",
    }
)
#: What a driver may ask of the address space that it mirrors; calling back is for the kernel to do and to stop.
_OF_MM = frozenset({"name", "mmap_lock", "find_vma", "find_vma_intersection", "vmas", "mmu_notifier_register"})
#: What lends to an importer, and what lies behind: an importer calls it through the contract, and sees nothing of it.
_OF_EXPORTERS = (Exporter, Aperture, DeviceMemory, Fabric)
PLAIN = (bool, int, str, float, type(None))
_MUTABLE = (list, dict, set, *TRACKED_CONTAINERS)
_CHANGES = frozenset(
    {
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "sort",
        "reverse",
        "update",
        "setdefault",
        "popitem",
        "add",
        "discard",
    }
    | {"__setitem__", "__delitem__", "difference_update", "intersection_update", "symmetric_difference_update"}
)
_OPERATORS = frozenset(
    f"__{name}__"
    for name in (
        *(
            "len",
            "contains",
            "getitem",
            "setitem",
            "delitem",
            "lt",
            "le",
            "gt",
            "ge",
            "add",
            "radd",
            "sub",
            "rsub",
            "and",
            "or",
        ),
        *("rand", "ror", "xor", "int", "index", "str", "eq"),
    )
)


class NotAllowed(P2PError):
    """What a hand-in may not do to the model; it is raised in its code."""


@dataclass(frozen=True)
class Turn:
    """Where a coroutine of the driver is: a description, and (not part of the state) how to go on."""

    state: str
    owner: Any
    operation: Callable[[], Any] | None = field(compare=False, repr=False)
    number: int = field(compare=False)
    talk: Any = field(compare=False, repr=False)
    value: Any = field(default=None, compare=False, repr=False)

    error: BaseException | None = field(default=None, compare=False, repr=False)

    def result(self) -> Any:
        """What the driver's method returned; what it raised is raised."""
        if self.error is not None:
            raise self.error
        return self.value


def resumed(turn: Turn, value: Any) -> Turn:
    """The coroutine goes on with a value."""
    return turn.talk.resume(turn.number, value)  # type: ignore[no-any-return]


def thrown(turn: Turn, error: Exception) -> Turn:
    """What it waited for raised."""
    return turn.talk.throw(turn.number, error)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class RemoteFunction:
    """A condition or an effect of the driver: called here, answered there."""

    state: str
    owner: Any
    number: int = field(compare=False)
    talk: Any = field(compare=False, repr=False)

    def __call__(self, *args: Any) -> Any:
        """Its answer; it raises what it raises."""
        return self.talk.function(self.number, args)


_NUMBERS = itertools.count(1)


class Talk:
    """For one driver of one world: the objects that the other side knows, by number, and the coroutines under way."""

    def __init__(self, owner: Any, child: Child) -> None:
        self._owner = weakref.ref(owner)
        self.child = child
        self.number = next(_NUMBERS)
        self._things: list[Any] = []
        self._by_id: dict[int, int] = {}
        self._turns = itertools.count(1)
        self._errors: list[BaseException] = []

    # -- from the world ---------------------------------------------------------------------------------------------

    def call(self, name: str, this: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Turn:
        """Begin a method."""
        number = next(self._turns)
        given = [[key, self.encoded(value)] for key, value in kwargs.items()]
        return self._exchange(
            number, "call", number, name, self.encoded(this), self.encoded(list(args), whole=True), given
        )

    def resume(self, number: int, value: Any) -> Turn:
        """What was awaited has come."""
        return self._exchange(number, "resume", number, self.encoded(value))

    def throw(self, number: int, error: BaseException) -> Turn:
        """What was awaited has failed."""
        return self._exchange(number, "throw", number, *self._said(error))

    def function(self, number: int, args: Sequence[Any]) -> Any:
        """Call a condition or an effect."""
        return self._exchange(0, "function", number, self.encoded(list(args), whole=True)).result()

    def _exchange(self, number: int, kind: str, *message: Any) -> Turn:
        self.child.send(kind, self.number, *message)
        while True:
            reply = self.child.receive()
            try:
                said = self._of_a_turn(number, reply)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, P2PError) as error:
                self.child.close()
                raise Gone(f"its process wrote something that is not an answer ({type(error).__name__})") from None
            if isinstance(said, BaseException):
                raise said
            if said is not None:
                return said
            self._answer(*reply)

    def _of_a_turn(self, number: int, reply: list[Any]) -> Turn | BaseException | None:
        """The message that ends a turn; None for a question."""
        kind, *rest = reply
        if kind == "return":
            return Turn("", self._owner(), None, number, self, self.decoded(rest[0]))
        if kind == "raise":
            return Turn("", self._owner(), None, number, self, error=self._error(rest))
        if kind == "endless":
            return StepTooLong()
        if kind == "odd":
            crash = actors.Crash(f"a driver awaited {str(rest[0])[:60]}, which is not a step of p2plab")
            return Turn("", self._owner(), None, number, self, error=crash)
        if kind == "await":
            request, state = list(rest[0]), str(rest[1])
            return Turn(f"{request[0]} {state}", self._owner(), self._operation(request), number, self)
        return None

    def _answer(self, kind: Any, *rest: Any) -> None:
        try:
            answer = self._served(str(kind), *rest)
        except Exception as error:  # noqa: BLE001  raised in the hand-in's code, which asked
            self.child.send("no", *self._said(error))
        else:
            self.child.send("ok", answer)

    # -- immediate requests -----------------------------------------------------------------------------------

    def _served(self, kind: str, _world: Any, number: Any, *words: Any) -> Any:
        thing = self._thing(number)
        if kind == "get":
            return self.encoded(self._get(thing, str(words[0])))
        if kind == "set":
            return self._set(thing, str(words[0]), self.decoded(words[1]))
        if kind == "op":
            return self._operate(thing, str(words[0]), [self.decoded(word) for word in words[1]])
        name = str(words[0])
        if kind == "kit":
            return self._by_the_kit(name, thing, [self.decoded(word) for word in words[1]])
        args, kwargs = self.decoded(words[1]), self.decoded(words[2])
        if kind == "base":
            return self.encoded(self._inherited(name)(thing, *args, **kwargs))
        if kind == "do":
            return self.encoded(self._callable(thing, name)(*args, **kwargs))
        raise NotAllowed(f"a hand-in asked for {kind[:20]!r}, which is unknown")

    def _by_the_kit(self, name: str, thing: Any, args: list[Any]) -> Any:
        if name not in FUNCTIONS or thing is not self._owner() or not isinstance(thing, kit.Gpu):
            raise NotAllowed(f"{name[:40]} is for a Gpu itself")
        return getattr(kit, name)(thing, *map(str, args))

    def _get(self, thing: Any, name: str) -> Any:
        if name.startswith("_"):
            raise NotAllowed(f"names with an underscore are not for drivers: {name[:40]}")
        if isinstance(thing, AddressSpace) and name not in _OF_MM:
            raise NotAllowed(f"an importer may not ask {name[:40]!r} of the address space")
        exports = isinstance(self._owner(), Exporter)
        if name == "vm_ops" or (not exports and (name in ("fabric", "bus") or isinstance(thing, _OF_EXPORTERS))):
            raise NotAllowed(f"a driver calls others only through the contract, not {name[:40]}")
        if isinstance(thing, FileMapping):
            raise NotAllowed(f"which vmas map a file is the kernel's business: {name[:40]}")
        value = getattr(thing, name)
        if isinstance(value, types.MethodType) and value.__self__ is thing:
            return _Bound(thing, name, inspect.iscoroutinefunction(value))
        return value

    def _set(self, thing: Any, name: str, value: Any) -> None:
        if thing is not self._owner():
            raise NotAllowed(f"a driver sets attributes of itself only, not {name[:40]!r} of a {type(thing).__name__}")
        if name.startswith("_") or name in FIXED or inspect.isfunction(getattr(type(thing), name, None)):
            raise NotAllowed(f"a driver may not set its {name[:40]!r}")
        setattr(thing, name, value)

    def _callable(self, thing: Any, name: str) -> Any:
        if name == "__call__":
            if not isinstance(thing, (types.FunctionType, types.MethodType, RemoteFunction)):
                raise TypeError(f"a {type(thing).__name__} cannot be called")
            return thing
        if isinstance(thing, _MUTABLE):
            if name in _CHANGES and not self._is_its_own(thing):
                raise NotAllowed(f"only the model changes this {type(thing).__name__.removeprefix('Tracked').lower()}")
            if name.startswith("_"):
                raise NotAllowed(f"names with an underscore are not for drivers: {name[:40]}")
            return getattr(thing, name)
        found = self._get(thing, name)
        if not isinstance(found, (_Bound, types.FunctionType, types.MethodType)):
            raise TypeError(f"{name[:40]} cannot be called")
        return getattr(thing, name)

    def _is_its_own(self, container: Any) -> bool:
        cell = getattr(container, "cell", None) if isinstance(container, TRACKED_CONTAINERS) else None
        return cell is None or (cell[0] is self._owner() and cell[1] not in FIXED)

    def _operate(self, thing: Any, name: str, args: list[Any]) -> Any:
        if name == "__bool__":
            return bool(thing)
        if name == "__iter__":
            if not isinstance(thing, (*_MUTABLE, tuple, frozenset)) and not hasattr(type(thing), "__iter__"):
                raise TypeError(f"a {type(thing).__name__} cannot be iterated over")
            return {"list": [self.encoded(item) for item in itertools.islice(thing, 100_000)]}
        if name not in _OPERATORS:
            raise NotAllowed(f"a hand-in asked for {name[:20]!r}, which is unknown")
        if name in _CHANGES and not self._is_its_own(thing):
            raise NotAllowed(f"only the model changes this {type(thing).__name__.removeprefix('Tracked').lower()}")
        operate = getattr(type(thing), name, None)
        if operate is None:
            raise TypeError(f"a {type(thing).__name__} has no {name}")
        result = operate(thing, *args)
        return self.encoded(False if result is NotImplemented else result)

    def _inherited(self, name: str) -> Any:
        base = next(base for base in type(self._owner()).__mro__ if base in BASES.values())
        if name not in methods_of(base):
            raise NotAllowed(f"{base.__name__} has no {name[:40]!r}")
        return getattr(base, name)

    # -- what it awaits ---------------------------------------------------------------------------------------------

    def _operation(self, request: list[Any]) -> Callable[[], Any]:
        """What begins it. Called where it is awaited, so that what it raises is raised there."""
        kind, _world, *rest = request
        if kind == "step":
            label, effect, duration = rest
            return functools.partial(
                actors.step, str(label)[:200], self.decoded(effect), duration=min(max(int(duration), 0), 10_000)
            )
        if kind in ("wait_event", "idle"):
            label, condition = rest
            if not isinstance(condition, dict) or "f" not in condition:
                raise ValueError("a condition is a function")
            return functools.partial(getattr(actors, kind), self.decoded(condition), str(label)[:200])
        if kind in ("enter", "exit"):
            return functools.partial(self._context, rest[0], kind)
        return functools.partial(self._begin, kind, *rest)

    def _begin(self, kind: str, number: Any, name: str, args: Any, kwargs: Any) -> Any:
        thing = self._thing(number)
        call = self._inherited(name) if kind == "base" else self._callable(thing, name)
        given = (thing, *self.decoded(args)) if kind == "base" else self.decoded(args)
        return call(*given, **self.decoded(kwargs))

    def _context(self, number: Any, kind: str) -> Any:
        thing = self._thing(number)
        method = getattr(type(thing), f"__a{kind}__", None)
        if method is None:
            raise NotAllowed(f"a {type(thing).__name__} cannot be entered with `async with`")
        return method(thing) if kind == "enter" else method(thing, None, None, None)

    # -- values -----------------------------------------------------------------------------------------------------

    def _thing(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self._things):
            raise NotAllowed("a hand-in named something that it was never given")
        return self._things[number]

    def encoded(self, value: Any, whole: bool = False) -> Any:
        """A value for the other side; objects that are not plain go by number. ``whole``: one of our lists, item by item."""
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, _Bound):
            return {"m": [self._number(value.thing), value.name, value.is_async]}
        if type(value) is tuple:
            return {"tuple": [self.encoded(item) for item in value]}
        if whole and type(value) is list:
            return {"list": [self.encoded(item) for item in value]}
        is_driver = type(value) in CHILDREN
        if isinstance(value, (Iterator, MappingView, range, frozenset)):
            items: Iterable[Any] = value  # type: ignore[assignment]
            return {"list": [self.encoded(item) for item in itertools.islice(items, 100_000)]}
        goes = is_driver or isinstance(value, (*_MUTABLE, types.FunctionType, types.MethodType))
        if not goes and not type(value).__module__.startswith("p2plab."):
            raise NotAllowed(f"a {type(value).__name__} is not for drivers")
        return {"r": [self._number(value), _said_of(value), is_driver]}

    def _number(self, value: Any) -> int:
        known = self._by_id.get(id(value))
        if known is None:
            known = self._by_id[id(value)] = len(self._things)
            self._things.append(value)
        return known

    def decoded(self, value: Any, depth: int = 0) -> Any:
        """A value from the other side. ValueError and its like where it is none."""
        if isinstance(value, PLAIN):
            return value
        if depth > 20 or not isinstance(value, dict) or len(value) != 1:
            raise ValueError("no value")
        ((kind, inside),) = value.items()
        if kind == "r":
            return self._thing(inside)
        if kind == "f":
            return RemoteFunction(str(inside[1]), self._owner(), int(inside[0]), self)
        if kind == "m":
            return self._callable(self._thing(inside[0]), str(inside[1]))
        if kind == "bytes":
            return bytes.fromhex(inside)
        if kind == "dict":
            return {self.decoded(key, depth + 1): self.decoded(item, depth + 1) for key, item in inside}
        make = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}[kind]
        return make(self.decoded(item, depth + 1) for item in inside)

    # -- errors -----------------------------------------------------------------------------------------------------

    def _said(self, error: BaseException) -> list[Any]:
        if isinstance(error, KernelError):
            return ["kernel", error.name, error.sentence]
        self._errors.append(error)
        return ["model", type(error).__name__, str(error)[:300], len(self._errors) - 1]

    def _error(self, words: list[Any]) -> BaseException:
        kind, *rest = words
        if kind == "kernel":
            return KernelError(str(rest[0]), str(rest[1])[:300])
        if kind == "again":
            known: BaseException = self._errors[int(rest[0])]
            return known
        name, text = str(rest[0]), str(rest[1])[:300]
        made: BaseException = type(name if name.isidentifier() else "Error", (Exception,), {"__module__": "answer"})(
            text
        )
        return made


@dataclass(frozen=True)
class _Bound:
    thing: Any
    name: str
    is_async: bool


def _said_of(value: Any) -> str:
    """The name of a thing: the same in every world that is in the same state."""
    if isinstance(value, Tracked):
        return name_of(value)
    if isinstance(value, _MUTABLE):
        cell = getattr(value, "cell", None)
        return f"{name_of(cell[0])}.{cell[1]}" if cell else type(value).__name__
    try:
        return repr(Freezer().whole(value))[:2000]
    except Unfreezable:
        return type(value).__name__
