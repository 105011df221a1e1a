"""Use every control of every explorer that a kernel holds, as a person would who tries everything once. Runs in that kernel."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets

from p2plab.core.errors import P2PError
from p2plab.lab.explorer import Explorer

#: Of a long list of choices so many are tried: the first, the last, and some between.
CHOICES = 4


def explorers() -> list[Explorer]:
    """All that there are, oldest first."""
    return [thing for thing in gc.get_objects() if isinstance(thing, Explorer)]


async def press_everything() -> dict[str, int]:
    """How many controls each kind of explorer has; raises what a callback raised, with the control's name."""
    used: dict[str, int] = {}
    for frame in explorers():
        _calm(frame, "nothing yet")
        for control in list(_controls(frame.box)):
            for act in _actions(control):
                act()
                await asyncio.sleep(0)
                _calm(frame, f"{type(control).__name__} {getattr(control, 'description', '')!r}")
            used[type(frame).__name__] = used.get(type(frame).__name__, 0) + 1
        for _ in range(200):  # a search goes on in slices of the kernel's own loop
            if not _busy(frame):
                break
            await asyncio.sleep(0.02)
        _calm(frame, "its search")
    return used


def _calm(frame: Explorer, after: str) -> None:
    if frame.guard.last is not None and not isinstance(frame.guard.last, P2PError):
        raise AssertionError(f"{type(frame).__name__}, after {after}: {frame.guard.last!r}") from frame.guard.last


def _busy(frame: Any) -> bool:
    checker = getattr(frame, "checker", None)
    return getattr(checker, "task", None) is not None and not checker.task.done()


def _controls(box: Any) -> Iterator[Any]:
    words = (widgets.HTML, widgets.Label)
    for child in getattr(box, "children", ()):
        takes = hasattr(child, "value") and hasattr(child, "description") and not isinstance(child, words)
        if takes or isinstance(child, (widgets.Button, widgets.Accordion)):
            yield child
        yield from _controls(child)


def _actions(control: Any) -> Iterator[Callable[[], None]]:
    def set_to(value: Any) -> Callable[[], None]:
        return lambda: setattr(control, "value", value)

    if isinstance(control, widgets.Button):
        yield lambda: None if control.disabled else control.click()
    elif isinstance(control, widgets.Accordion):
        yield lambda: setattr(control, "selected_index", 0)
    elif hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        step = max(1, len(values) // CHOICES)
        yield from (set_to(value) for value in dict.fromkeys([*values[::step], *values[-1:], *values[:1]]))
    elif isinstance(control, widgets.Checkbox):
        yield from (set_to(not control.value), set_to(control.value))
    elif hasattr(control, "min") and hasattr(control, "max"):
        yield from (set_to(control.min), set_to((control.min + control.max) // 2), set_to(control.max))
    elif isinstance(control, widgets.Text):
        yield set_to("no token")
