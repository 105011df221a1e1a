"""Calls from one party into another (a callback, a driver's method): timelines nest them, graphs count them."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from p2plab.core.errors import P2PError, Stopped, text_of
from p2plab.core.events import Event, emit
from p2plab.core.running import running


@dataclass(frozen=True, slots=True)
class Called(Event):
    """``caller`` called ``function`` of ``target``; ``detail`` is a short phrase with the arguments."""

    caller: str
    target: str
    function: str
    detail: str

    def __str__(self) -> str:
        return f"{self.target}.{self.function}({self.detail})"


@dataclass(frozen=True, slots=True)
class Returned(Event):
    """The call returned; ``result`` is a short phrase, or the exception that came out of it."""

    target: str
    function: str
    result: str

    def __str__(self) -> str:
        return f"{self.function} = {self.result}" if self.result else f"{self.function} returned"


@dataclass(frozen=True, slots=True)
class Raised(Returned):
    """The call ended in an exception that is no errno: it broke off, and nothing can be judged by its return."""


class called:
    """``with called("nic", "invalidate_range_start", "0..8") as call:`` logs the call, its return, ``call.result``."""

    __slots__ = ("caller", "detail", "function", "result", "target")

    def __init__(self, target: str, function: str, detail: str = "", *, caller: str = "") -> None:
        self.caller = caller
        self.target = target
        self.function = function
        self.detail = detail
        self.result = ""

    def __enter__(self) -> called:
        emit(Called(self.caller, self.target, self.function, self.detail))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if kind is GeneratorExit:  # the world is being thrown away
            return
        if kind is not None and issubclass(kind, Stopped):
            return
        if error is not None and not isinstance(error, P2PError):
            if running.raised is None or running.raised[0] is not error:
                running.raised = error, self.target
            emit(Raised(self.target, self.function, text_of(error)))
        else:
            emit(Returned(self.target, self.function, str(error) if error is not None else self.result))
