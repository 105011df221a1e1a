"""A hand-in's driver as the world sees it: a class whose methods run elsewhere, in a process that is shut in.

World, rules and log are here. The driver's own state is in cells of the world, which the other side asks to read and to
write; of its coroutines there is a description in words, by which the search tells states apart and which need not be
true: what passes is confirmed without it.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import os
import select
import subprocess
import time
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from p2plab.core import actors
from p2plab.core import errno as errnos
from p2plab.core.errors import BadInput, KernelError, P2PError
from p2plab.core.tracked import TRACKED_CONTAINERS, Tracked, name_of
from p2plab.course import kit
from p2plab.course.marking.child import LONGEST_LINE
from p2plab.mm import AddressSpace
from p2plab.p2p.importer import Importer, IntervalImporter
from p2plab.search.freeze import Freezer, Unfreezable
from p2plab.search.watchdog import StepTooLong

#: What a hand-in may derive from, and the modules in which it would look for it.
BASES: dict[str, type] = {"Importer": Importer, "IntervalImporter": IntervalImporter, "Gpu": kit.Gpu}
_FUNCTIONS = ("refuse_maps", "power_off")
_MODULES = {
    "p2plab.p2p.importer": ["Importer", "IntervalImporter"],
    "p2plab.drivers.gpu": ["Gpu"],
    "p2plab.p2p.aperture": ["PAGE_SIZE"],
    "p2plab.core.errors": ["KernelError"],
    "p2plab.core": ["errno"],
}
#: Of a driver itself: who it is, and what only the model's own methods change.
_FIXED = frozenset(
    {"name", "peer", "mm", "engine", "fabric", "aperture", "memory", "machine", "held", "lent", "files", "timer"}
)
#: What a driver may ask of the address space that it mirrors; calling back is for the kernel to do and to stop.
_OF_MM = frozenset({"name", "mmap_lock", "find_vma", "find_vma_intersection", "vmas", "mmu_notifier_register"})
_PLAIN = (bool, int, str, float, type(None))
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


class Gone(BaseException):
    """The hand-in's process ended, or talked nonsense. No ``Exception``: no driver code may catch it."""


class NotAllowed(P2PError):
    """What a hand-in may not do to the model; it is raised in its code."""


class Child:
    """The process, and one line after the other to and from it."""

    def __init__(self, command: Sequence[str], hello: Mapping[str, object], patience: float) -> None:
        self.patience = patience
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            bufsize=0,
            cwd="/",
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to: BinaryIO = self.process.stdin  # type: ignore[assignment]
        self._from = self.process.stdout.fileno()
        self._rest = b""
        self.dropped: list[int] = []
        self.send("hello", hello)
        kind, said, self.filtered = self.receive(2 * patience)
        if kind == "bad":
            raise BadInput(str(said)[:500])
        self.said: dict[str, Any] = said

    def send(self, *message: object) -> None:
        """A message. :exc:`Gone`."""
        if self.dropped and message[0] != "hello":
            dropped, self.dropped = self.dropped, []
            self.send("forget", dropped)
        data = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while data:
                data = data[self._to.write(data) :]
        except (OSError, ValueError):
            raise Gone(self.ended()) from None

    def receive(self, patience: float = 0.0) -> list[Any]:
        """The next message. :exc:`Gone`."""
        until = time.monotonic() + (patience or self.patience)
        while b"\n" not in self._rest:
            if not select.select([self._from], [], [], max(0.0, until - time.monotonic()))[0]:
                self.close()
                raise Gone("its process does not answer")
            more = os.read(self._from, 1 << 16)
            self._rest += more
            if not more or len(self._rest) > LONGEST_LINE:
                raise Gone(self.ended())
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, list) or not message:
            self.close()
            raise Gone("its process wrote something that is not an answer")
        return message

    def ended(self) -> str:
        """How it ended, as a sentence."""
        self.close()
        status = self.process.returncode
        return f"its process ended (signal {-status})" if status < 0 else f"its process ended by itself (exit {status})"

    def close(self) -> None:
        """End it."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def hello(source: str, wanted: str, file: str) -> dict[str, object]:
    """What a child has to know before it loads an answer."""
    return {
        "source": source,
        "class": wanted,
        "file": file,
        "page": kit.PAGE_SIZE,
        "errno": dict(errnos.NUMBERS),
        "functions": list(_FUNCTIONS),
        "names": list(kit.__all__),
        "modules": _MODULES,
        "classes": {name: _methods(base) for name, base in BASES.items()},
    }


@functools.cache
def _methods(base: type) -> dict[str, bool]:
    found = inspect.getmembers(base, inspect.isfunction)
    methods = {name: inspect.iscoroutinefunction(function) for name, function in found if not name.startswith("_")}
    return methods | {"__init__": False}


def driver(child: Child) -> type:
    """The class that represents the child's in the world."""
    said = child.said
    base = BASES.get(str(said.get("base")))
    name = str(said.get("name"))[:60]
    inside: dict[str, Any] = {}
    for attribute, value in dict(said.get("values", {})).items():
        if isinstance(value, _PLAIN) and not str(attribute).startswith("_") and attribute not in _FIXED:
            inside[str(attribute)] = value
    for method, (kind, names, defaults, rest) in dict(said.get("methods", {})).items():
        if method == "__init__" or not method.startswith("_"):
            _look_at_call(base, name, str(method), [str(each) for each in names], int(defaults), bool(rest))
            inside[method] = _method(str(method), str(kind))
        else:
            _refuse_special(method)
    inside |= {"__slots__": ("_talk",), "__module__": "answer"}
    if base is not None:
        inside["__new__"] = _new
    made = type(name if name.isidentifier() else "Driver", (_Keeps, base) if base else (), inside)
    _CHILDREN[made] = child
    return made


class _Keeps:
    """A slot that is no cell: it is taken before :class:`~p2plab.core.tracked.Tracked` makes one of it."""

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        _SLOTS[cls] = vars(cls).get("_talk") or _SLOTS[cls.__mro__[1]]
        super().__init_subclass__(**keywords)


def _new(kind: Any, *args: Any, **kwargs: Any) -> Any:
    made = Tracked.__new__(kind, *args, **kwargs)
    # Set now and made later without a question: an exception that was handled leaves a trace in a coroutine's state.
    _SLOTS[kind].__set__(made, None)
    return made


def _refuse_special(method: str) -> None:
    if method.startswith("__") and method not in ("__module__", "__doc__", "__repr__", "__str__"):
        raise BadInput(f"a driver here cannot define {method[:40]}")


def _method(name: str, kind: str) -> Any:
    # No closures: what a coroutine refers to is part of the state.
    async def waits(self: Any, *args: Any, _name: str = name, **kwargs: Any) -> Any:
        turn = _talk(self).call(_name, self, args, kwargs)
        del args, kwargs, _name
        while turn.operation is not None:
            try:
                turn = _resumed(turn, await turn.operation())
            except Exception as error:  # noqa: BLE001  the driver's own `await` raises it
                turn = _thrown(turn, error)
        return turn.result()

    def at_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn = _talk(self).call(name, self, args, kwargs)
        if turn.operation is not None:
            raise NotAllowed(f"{name} is not async and awaits")
        return turn.result()

    async def yields(self: Any) -> Any:
        yield

    return {"async": waits, "generator": yields}.get(kind, at_once)


def _look_at_call(base: type | None, name: str, method: str, names: list[str], defaults: int, rest: bool) -> None:
    """BadInput where a method of the model's would be called with other arguments than it takes."""
    wanted = getattr(base, method, None)
    if not inspect.iscoroutinefunction(wanted):
        return
    wants = list(inspect.signature(wanted).parameters)
    if not len(names) - defaults <= len(wants) or (len(wants) > len(names) and not rest):
        raise BadInput(f"{name}.{method} takes ({', '.join(names[1:])}); it is called with ({', '.join(wants[1:])})")


#: The child, by the class that represents its class.
_CHILDREN: weakref.WeakKeyDictionary[type, Child] = weakref.WeakKeyDictionary()
_SLOTS: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()


def _talk(owner: Any) -> Talk:
    """What is said about one driver of one world. It lives as long as that: in a slot, which is no cell."""
    slot = _SLOTS[type(owner)]
    found: Talk | None = slot.__get__(owner)
    if found is None:
        found = Talk(owner, _CHILDREN[type(owner)])
        slot.__set__(owner, found)
        weakref.finalize(owner, found.child.dropped.append, found.number)
    return found


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


def _resumed(turn: Turn, value: Any) -> Turn:
    return turn.talk.resume(turn.number, value)  # type: ignore[no-any-return]


def _thrown(turn: Turn, error: Exception) -> Turn:
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
    """About one driver of one world: which things the other side knows, by number, and which coroutines are under way."""

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
        """What the end of a turn says; None for what is no end but a question."""
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

    # -- what it asks for at once -----------------------------------------------------------------------------------

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
        if name not in _FUNCTIONS or thing is not self._owner() or not isinstance(thing, kit.Gpu):
            raise NotAllowed(f"{name[:40]} is for a Gpu itself")
        return getattr(kit, name)(thing, *map(str, args))

    def _get(self, thing: Any, name: str) -> Any:
        if name.startswith("_"):
            raise NotAllowed(f"names with an underscore are not for drivers: {name[:40]}")
        if isinstance(thing, AddressSpace) and name not in _OF_MM:
            raise NotAllowed(f"an importer may not ask {name[:40]!r} of the address space")
        if name == "vm_ops" or (name == "fabric" and not isinstance(self._owner(), kit.Gpu)):
            raise NotAllowed(f"a driver calls others only through the contract, not {name}")
        value = getattr(thing, name)
        if isinstance(value, types.MethodType) and value.__self__ is thing:
            return _Bound(thing, name, inspect.iscoroutinefunction(value))
        return value

    def _set(self, thing: Any, name: str, value: Any) -> None:
        if thing is not self._owner():
            raise NotAllowed(f"a driver sets attributes of itself only, not {name[:40]!r} of a {type(thing).__name__}")
        if name.startswith("_") or name in _FIXED or inspect.isfunction(getattr(type(thing), name, None)):
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
        return cell is None or (cell[0] is self._owner() and cell[1] not in _FIXED)

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
        if name not in _methods(base):
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
        """A value for the other side; what is not plain goes by number. ``whole``: a list of ours, item by item."""
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, _Bound):
            return {"m": [self._number(value.thing), value.name, value.is_async]}
        if type(value) is tuple:
            return {"tuple": [self.encoded(item) for item in value]}
        if whole and type(value) is list:
            return {"list": [self.encoded(item) for item in value]}
        is_driver = type(value) in _CHILDREN
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
        if isinstance(value, _PLAIN):
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
