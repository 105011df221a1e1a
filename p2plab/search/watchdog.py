"""A budget for one step: driver code that never gets to its next ``await`` is stopped, with the line that it was on."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType

from p2plab.core.errors import BadInput
from p2plab.search.interrupt import Interrupter

#: Seconds of computing that one step may take. The longest honest step of the catalogue takes some thousandths of one.
STEP_SECONDS = 1.0
#: A step that sleeps instead of computing may take so many times that; on a busy machine an honest one may have to wait.
PATIENCE = 20
_POLL = 0.05
_OURS = tuple(str(Path(__file__).parent.parent / room) for room in ("core", "search"))


class StepTooLong(BaseException):
    """Raised into a step that goes on and on. Not an ``Exception``, so that a driver's own handlers let it pass."""


class Watchdog:
    """Watches the thread that entered it, while ``with watchdog:`` lasts."""

    def __init__(self, seconds: float = STEP_SECONDS) -> None:
        self.seconds = seconds
        self._deadline: tuple[float, float] | None = None  #: in seconds of computing, and by the clock on the wall
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        self._fired = False
        self._lock = threading.Lock()
        self._inside = Interrupter(self._look)

    def __enter__(self) -> Watchdog:
        self._thread_id = threading.get_ident()
        self._stop = threading.Event()
        try:
            threading.Thread(target=self._watch, args=(self._stop,), daemon=True).start()
        except RuntimeError:  # Python in a browser has no threads
            self._inside.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._stop.set()
        self._inside.stop()

    def step(self) -> _Step:
        """:exc:`StepTooLong` comes out of a body that takes longer than the budget."""
        return _Step(self)

    def begin(self) -> None:
        """A step begins."""
        self._deadline = time.process_time() + self.seconds, time.monotonic() + PATIENCE * self.seconds

    def end(self) -> None:
        """It is over: an exception that was raised but has not arrived is taken back."""
        with self._lock:
            self._deadline = None
            if self._fired:
                self._fired = False
                self._raise(None)

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(_POLL):
            with self._lock:
                if self._deadline is not None and self._is_over(*self._deadline):
                    self._fired = True  # and again at the next poll: a bare `except:` may have swallowed it
                    self._raise(StepTooLong)

    def _look(self) -> None:
        """As one turn of :meth:`_watch`, from inside the step itself."""
        if self._deadline is not None and self._is_over(*self._deadline):
            raise StepTooLong

    def _is_over(self, computing: float, wall: float) -> bool:
        return time.process_time() > computing or time.monotonic() > wall

    def _raise(self, error: type[BaseException] | None) -> None:
        target = ctypes.py_object(error) if error is not None else None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), target)


class _Step:
    """``with`` this, driver code runs."""

    __slots__ = ("collects", "dog", "forks", "process_id")

    def __init__(self, dog: Watchdog) -> None:
        self.dog = dog

    def __enter__(self) -> None:
        # A collection in a large process takes longer than a step may: it waits, or the step would be blamed for it, and
        # the exception could land in a finaliser, which swallows it.
        self.collects = gc.isenabled()
        gc.disable()
        self.process_id, self.forks = os.getpid(), _forks.count
        self.dog.begin()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if os.getpid() != self.process_id:  # a driver has forked: its copy of the search must not go on beside this one
            os._exit(0)
        try:
            self.dog.end()
        finally:
            if self.collects:
                gc.enable()
        if kind is None and _forks.count != self.forks:
            raise BadInput("a step of your code forks: a driver has no processes of its own")


class _Forks:
    """How often this process was copied by ``os.fork``."""

    def __init__(self) -> None:
        self.count = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._another)

    def _another(self) -> None:
        self.count += 1


_forks = _Forks()


def where(error: BaseException) -> str:
    """``function, line N of file`` where the driver's own code was when this was raised."""
    frames = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(_OURS)
    ]
    if not frames:
        return "an unknown place"
    code, line = frames[-1]
    return f"{code.co_qualname}, line {line} of {code.co_filename.rpartition('/')[2]}"
