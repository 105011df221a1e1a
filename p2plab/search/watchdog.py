"""A time limit for one step: driver code that never gets to its next ``await`` is stopped, with the line that it was on.

While a watchdog is active, ``core`` notifies it of all driver code that it runs: steps, conditions, set-up, and ``finally``
blocks of a discarded world. So replays that confirm, shorten or draw a story are watched as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from p2plab.core.errors import BadInput, Stopped
from p2plab.core.running import running
from p2plab.search.sources import is_yours

#: Processor time in seconds that one step may take. The longest real step of the catalogue takes a few milliseconds.
STEP_SECONDS = 0.5
#: A step that sleeps, using no processor time, may take this many times that.
SLEEPING = 3
#: On a busy machine a real step may have to wait: this many times that in wall-clock time.
PATIENCE = 40
#: A step on a line where another one never ended may take this share of it.
KNOWN = 0.1
_POLL = 0.05
_TOOL = 4  # one of the two ids that sys.monitoring does not reserve
_EVERY = 256
_OURS = tuple(str(Path(__file__).parent.parent / room) for room in ("core", "search"))
#: Called with a new number and the budget at the beginning of each step, and with 0 at its end: a watcher outside of this
#: process can end what cannot be ended from inside.
heartbeat: Callable[[int, float], None] | None = None


class StepTooLong(Stopped):
    """Raised into a step that does not end. Not an ``Exception``, so that a driver's own handlers let it pass."""


class Watchdog:
    """Watches the thread that entered it, while ``with watchdog:`` lasts."""

    def __init__(self, seconds: float = STEP_SECONDS) -> None:
        self.seconds = seconds
        self._began: tuple[float, float] | None = None  #: in processor time, and in wall-clock time
        self._depth = 0
        self._beats = 0
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._fired = False
        self._lock = threading.Lock()
        self._inside = Interrupter(self._look)
        self._endless: set[tuple[CodeType, int]] = set()  #: lines on which a step never ended
        self._before: tuple[object, object] | None = None

    def __enter__(self) -> Watchdog:
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._collects = gc.isenabled()
        self._before = running.watch, self._handle()
        running.watch = self._inner_step
        try:
            threading.Thread(target=self._watch, args=(self._stop,), daemon=True).start()
        except RuntimeError:  # Python in a browser has no threads
            self._inside.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._stop.set()
        self._inside.stop()
        if self._collects:  # an exception may have come between a step's end and its own gc.enable()
            gc.enable()
        if self._before is not None:
            running.watch, handler = self._before  # type: ignore[assignment]
            if handler is not None:
                signal.signal(signal.SIGUSR2, handler)  # type: ignore[arg-type]
            self._before = None

    def step(self) -> _Step:
        """:exc:`StepTooLong` comes out of a body that takes longer than the budget."""
        return _Step(self)

    def _inner_step(self) -> AbstractContextManager[None]:
        return _INSIDE if self._depth else _Step(self)

    def begin(self) -> bool:
        """A step begins; False inside of another one, whose budget it shares."""
        self._depth += 1
        if self._depth > 1:
            return False
        self._began = time.process_time(), time.monotonic()
        if heartbeat is not None:
            self._beats += 1
            heartbeat(self._beats, self.seconds)
        return True

    def end(self) -> None:
        """The step is over: cancel an exception that was raised but has not arrived."""
        self._depth -= 1
        if self._depth:
            return
        if heartbeat is not None:
            heartbeat(0, 0.0)
        with self._lock:
            self._began = None
            if self._fired:
                self._fired = False
                self._raise(None)

    def note_endless(self, error: StepTooLong) -> None:
        """Remember the line: another step that stays there for a while will not end either."""
        frames = _yours(error)
        if frames:
            self._endless.add(frames[-1])

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(_POLL):
            with self._lock:
                if self._began is not None and self._is_over(*self._began):
                    self._fired = True  # again at the next poll: a bare `except:` may have swallowed it
                    self._raise(StepTooLong)

    def _look(self) -> None:
        """As one turn of :meth:`_watch`, from inside the step itself."""
        if self._began is not None and self._is_over(*self._began):
            raise StepTooLong

    def _is_over(self, computing: float, wall: float) -> bool:
        computed, waited = time.process_time() - computing, time.monotonic() - wall
        if computed > self.seconds or waited > PATIENCE * self.seconds:
            return True
        if waited > SLEEPING * self.seconds and computed < waited * 0.03:
            return True
        return bool(self._endless) and computed > KNOWN * self.seconds and self._is_where_none_ended()

    def _is_where_none_ended(self) -> bool:
        frame: FrameType | None = sys._current_frames().get(self._thread_id)
        while frame is not None:
            if (frame.f_code, frame.f_lineno) in self._endless:
                return True
            frame = frame.f_back
        return False

    # -- raising ----------------------------------------------------------------------------------------------------

    def _handle(self) -> object:
        """Make a signal raise the exception, which also ends a ``sleep``. Returns the former handler; None if not possible."""
        self._by_signal = (
            hasattr(signal, "SIGUSR2")
            and hasattr(signal, "pthread_kill")
            and threading.current_thread() is threading.main_thread()
        )
        return signal.signal(signal.SIGUSR2, self._arrived) if self._by_signal else None

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if self._fired and self._began is not None:
            raise StepTooLong

    def _raise(self, error: type[BaseException] | None) -> None:
        if not self._by_signal:
            target = ctypes.py_object(error) if error is not None else None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), target)
        elif error is not None:
            signal.pthread_kill(self._thread_id, signal.SIGUSR2)


class _Step:
    """``with`` this, driver code runs."""

    __slots__ = ("collects", "dog", "first", "forks", "process_id")

    def __init__(self, dog: Watchdog) -> None:
        self.dog = dog

    def __enter__(self) -> None:
        # A collection in a large process takes longer than a step may: it is delayed, or the step would be blamed for it, and
        # the exception could land in a finaliser, which swallows it.
        self.collects = gc.isenabled()
        gc.disable()
        self.process_id, self.forks = os.getpid(), _forks.count
        self.first = self.dog.begin()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if os.getpid() != self.process_id:  # a driver has forked: the fork's search must not go on beside this one
            os._exit(0)
        try:
            self.dog.end()
        finally:
            if self.collects:
                gc.enable()
        if kind is None and self.first and _forks.count != self.forks:
            raise BadInput("a step of your code forks: a driver has no processes of its own")


_INSIDE: AbstractContextManager[None] = nullcontext()


class _Forks:
    """How often this process was forked."""

    def __init__(self) -> None:
        self.count = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._another)

    def _another(self) -> None:
        self.count += 1


_forks = _Forks()


def where(error: BaseException) -> str:
    """``function, line N of file`` where the driver's own code was when this was raised."""
    frames = _yours(error)
    if not frames:
        return "an unknown place"
    code, line = next((frame for frame in reversed(frames) if is_yours(frame[0].co_filename)), frames[-1])
    return f"{code.co_qualname}, line {line} of {code.co_filename.rpartition('/')[2]}"


def _yours(error: BaseException) -> list[tuple[CodeType, int]]:
    return [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(_OURS)
    ]


class Interrupter:
    """Where Python has no threads (in a browser): checks the clock from inside, at loops and calls.

    It needs ``sys.monitoring``, of Python 3.12. A single endless C call cannot be stopped this way.

    Calls ``look`` at every 256th turn of a loop or call of a function, from :meth:`start` to :meth:`stop`.

    An exception from ``look`` is raised in the running code.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._count = 0
        self._mine = False

    def start(self) -> None:
        """Begin. Does nothing where Python is too old or another tool has the place."""
        watch: Any = getattr(sys, "monitoring", None)
        if watch is None or watch.get_tool(_TOOL) is not None:
            return
        self._mine = True
        watch.use_tool_id(_TOOL, "p2plab")
        for event in (watch.events.JUMP, watch.events.PY_START):
            watch.register_callback(_TOOL, event, self._turn)
        watch.set_events(_TOOL, watch.events.JUMP | watch.events.PY_START)

    def stop(self) -> None:
        """End it, and leave nothing behind."""
        if self._mine:
            self._mine = False
            watch: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
            watch.set_events(_TOOL, 0)
            watch.free_tool_id(_TOOL)

    def _turn(self, *_where: object) -> None:
        self._count += 1
        if self._count % _EVERY == 0:
            self._look()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Discards what is printed inside: a search runs a driver thousands of times."""
    with contextlib.redirect_stdout(_Nowhere()), contextlib.redirect_stderr(_Nowhere()):
        yield


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)
