"""A hand-in's driver as the world sees it: a class whose methods run elsewhere, in a sandboxed process.

World, rules and log are here. The driver's state is in cells of the world, which the other side asks to read and to
write; its coroutines are described in words, by which the search distinguishes states. The description need not be true:
a pass is confirmed without it.
"""

from __future__ import annotations

import inspect
import weakref
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.core.tracked import Tracked
from p2plab.course.marking.offered import BASES
from p2plab.course.marking.process import CHILDREN, Child, Gone
from p2plab.course.marking.talk import FIXED, PLAIN, NotAllowed, Talk, resumed, thrown


def driver(child: Child) -> type:
    """The class that represents the child's in the world. BadInput; :exc:`Gone` for what no child of ours says of a class."""
    try:
        return _described(child, child.said)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
        raise Gone("its process wrote something that is not an answer") from None


def _described(child: Child, said: dict[str, Any]) -> type:
    base = BASES.get(str(said.get("base")))
    name = str(said.get("name"))[:60]
    inside: dict[str, Any] = {}
    for attribute, value in dict(said.get("values", {})).items():
        if isinstance(value, PLAIN) and not str(attribute).startswith("_") and attribute not in FIXED:
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
    CHILDREN[made] = child
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
                turn = resumed(turn, await turn.operation())
            except Exception as error:  # noqa: BLE001  the driver's own `await` raises it
                turn = thrown(turn, error)
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
    """BadInput where a method of the model would be called with wrong arguments."""
    wanted = getattr(base, method, None)
    if not inspect.iscoroutinefunction(wanted):
        return
    wants = list(inspect.signature(wanted).parameters)
    if not len(names) - defaults <= len(wants) or (len(wants) > len(names) and not rest):
        raise BadInput(f"{name}.{method} takes ({', '.join(names[1:])}); it is called with ({', '.join(wants[1:])})")


_SLOTS: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()


def _talk(owner: Any) -> Talk:
    """The conversation about one driver of one world. It lives as long as the driver, in a slot, which is no cell."""
    slot = _SLOTS[type(owner)]
    found: Talk | None = slot.__get__(owner)
    if found is None:
        found = Talk(owner, CHILDREN[type(owner)])
        slot.__set__(owner, found)
        weakref.finalize(owner, found.child.dropped.append, found.number)
    return found
