"""Actors: coroutines in which every ``await`` is one atomic step.

An awaited *operation* is pending until the schedule picks its actor. Then, in one step: its effect happens, its result
becomes the value of the ``await``, and the code runs on to the next ``await``. Between two awaits anything else may
happen; within a step nothing else does.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from p2plab.core.errors import P2PError, comes_from_outside
from p2plab.core.running import watched

T = TypeVar("T")
JobFunction = Callable[[], Coroutine[Any, Any, Any]]


class Op:
    """A pending operation: what a step will do, when it can be done, and whom it waits for until then."""

    __slots__ = ("duration", "effect", "guard", "idle", "label", "waits_for")

    def __init__(
        self,
        label: str,
        effect: Callable[[], Any] | None = None,
        guard: Callable[[], object] | None = None,
        duration: int = 1,
        waits_for: Callable[[], tuple[str, ...]] | None = None,
        idle: bool = False,
    ) -> None:
        if not isinstance(label, str):
            raise TypeError(f"a step is called by a text, not by a {type(label).__name__}")
        self.label = label
        self.effect = effect
        self.guard = guard
        self.duration = duration
        self.waits_for = waits_for
        self.idle = idle

    def __repr__(self) -> str:
        return f"<Op {self.label}>"


@types.coroutine
def _pending(op: Op) -> Generator[Op, Any, Any]:
    return (yield op)


async def step(label: str, effect: Callable[[], T] | None = None, *, duration: int = 1) -> T:
    """One atomic step that lasts ``duration`` ticks: ``effect()`` and the code up to the next ``await``.

    The effect may raise :class:`~p2plab.core.errors.KernelError` before it changes anything; the ``await`` raises it.
    """
    result: T = await _pending(Op(label, effect, duration=duration))
    return result


async def wait_event(
    condition: Callable[[], object],
    label: str,
    *,
    waits_for: Callable[[], tuple[str, ...]] | None = None,
) -> None:
    """Sleep until ``condition()`` holds (the kernel's ``wait_event``). ``waits_for`` names who can end it."""
    await _pending(Op(label, guard=condition, waits_for=waits_for))


async def idle(condition: Callable[[], object], label: str = "idle") -> None:
    """Sleep until there is work. Unlike :func:`wait_event`, sleeping here for ever is no deadlock."""
    await _pending(Op(label, guard=condition, idle=True))


class Crash(P2PError):
    """A driver's code raised an exception, or awaited something that is not a step. ``__cause__`` is the original."""


class Actor:
    """A coroutine, the operation it is about to do, and the time at which it is ready to do it."""

    __slots__ = ("coroutine", "crash", "name", "op", "ready")

    def __init__(self, name: str, coroutine: Coroutine[Op, Any, Any], ready: int = 0) -> None:
        self.name = name
        self.coroutine = coroutine
        self.op: Op | None = None  #: None once the coroutine has returned or crashed
        self.crash: BaseException | None = None
        self.ready = ready

    def __repr__(self) -> str:
        if self.crash is not None:
            return f"<Actor {self.name}: crashed, {type(self.crash).__name__}>"
        if self.op is None:
            return f"<Actor {self.name}: finished>"
        if self.enabled:
            return f"<Actor {self.name}: next, {self.op.label}>"
        return f"<Actor {self.name}: idle>" if self.op.idle else f"<Actor {self.name}: waits, {self.op.label}>"

    def look(self) -> BaseException | None:
        """Evaluate the condition of an actor that steps, so that its reads are seen; what it raised, if it did."""
        if self.op is not None and self.op.guard is not None:
            try:
                self.op.guard()
            except BaseException as error:
                if comes_from_outside(error):
                    raise
                return error
        return None

    def advance(self, refused: BaseException | None = None) -> None:
        """Do the pending operation and run on to the next one (or from the start to the first).

        ``refused`` is what the condition raised: the driver's ``await`` raises it instead.
        """
        try:
            if refused is not None:
                nxt = self.coroutine.throw(refused)
            elif self.op is None or self.op.effect is None:
                nxt = self.coroutine.send(None)
            else:
                try:
                    result = self.op.effect()
                except BaseException as error:
                    if comes_from_outside(error):
                        raise
                    nxt = self.coroutine.throw(error)
                else:
                    nxt = self.coroutine.send(result)
        except StopIteration:
            self.op = None
            return
        except BaseException as error:
            if comes_from_outside(error):
                raise
            self.op, self.crash = None, error
            return
        if not isinstance(nxt, Op):
            self.op = None
            self.crash = Crash(
                f"{self.name} awaited {type(nxt).__name__}, which is not a step of p2plab: "
                "await step(…), a lock, or another driver's coroutine"
            )
            self.close()
            return
        self.op = nxt

    @property
    def enabled(self) -> bool:
        """Whether a schedule may pick this actor now. With a condition that raises it may: its step will show the error."""
        op = self.op
        if op is None or op.guard is None:
            return op is not None
        try:
            with watched():
                return bool(op.guard())
        except BaseException as error:
            if comes_from_outside(error):
                raise
            return True

    def close(self) -> None:
        """Let go of the coroutine; a driver's ``finally`` that awaits again is cut short."""
        try:
            with watched():
                self.coroutine.close()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and comes_from_outside(error):
                raise

    def __del__(self) -> None:
        self.close()


def run_alone(job: JobFunction) -> Any:
    """Run one coroutine to its end as the only actor, in the world that is running; returns its result.

    RuntimeError where it would have to wait, since no other actor could ever wake it.
    """
    coroutine = job()
    result: Any = None
    error: BaseException | None = None
    try:
        while True:
            op = coroutine.send(result) if error is None else coroutine.throw(error)
            result, error = None, None
            if op.guard is not None and not op.guard():
                raise RuntimeError(f"alone, and waiting for ever: {op.label}")
            if op.effect is not None:
                try:
                    result = op.effect()
                except P2PError as refused:
                    error = refused
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
