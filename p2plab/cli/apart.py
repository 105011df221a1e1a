"""Run user code in a forked child, so that a call that hangs, or an exit, still ends in a sentence."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from p2plab.cli.frame import BROKEN, MISTAKE, NOT_DECIDED, copied, is_own_output, say, write_to
from p2plab.search import watchdog
from p2plab.search.stuck import Heartbeat

#: Seconds that an interrupted child has to report what it found so far.
_LAST_WORDS = 3.0
#: How often the child is checked (seconds).
_LOOK = 0.1
#: A line of faulthandler's: ``File "/home/me/mine.py", line 3 in map``. Lines in Python and in p2plab are of no use.
_WHERE = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')
_NOT_YOURS = (str(Path(__file__).parents[1]), str(Path(os.__file__).parent), "<")


def apart(work: Callable[[], int], seconds: float | None) -> int:
    """The exit status of ``work``, which runs in a fork of this process for at most ``seconds`` (None: no limit).

    Without ``fork``, or if output does not go to a terminal or a file, it runs in this process.
    """
    if not hasattr(os, "fork") or not is_own_output():
        return work()
    print(end="", flush=True)
    heard, told = os.pipe()
    steps = Heartbeat()
    with tempfile.TemporaryFile("w+") as notes:
        child = os.fork()
        if not child:
            os.close(heard)
            watchdog.heartbeat = steps.begin
            _work_and_end(work, seconds, notes)
        os.close(told)
        interrupted = False
        try:
            ended = _wait(heard, seconds, lambda: steps.stuck(child))
        except KeyboardInterrupt:
            interrupted = True
            ended = _last_words(child, heard)
        finally:
            os.close(heard)
        if not ended:
            if steps.never_ends:
                _note_where(child)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if interrupted and not ended:
            raise KeyboardInterrupt
        notes.seek(0)
        return _said(status, ended, notes.read(), steps.never_ends)


def _note_where(child: int) -> None:
    """Have the child write down where it is; faulthandler does so even inside a C call."""
    os.kill(child, signal.SIGUSR1)
    time.sleep(0.2)


def _wait(heard: int, seconds: float | None, stuck: Callable[[], bool] = lambda: False) -> bool:
    """Whether the child ended in that time without getting stuck."""
    until = None if seconds is None else time.monotonic() + seconds
    while not select.select([heard], [], [], _LOOK)[0]:
        if stuck() or (until is not None and time.monotonic() > until):
            return False
    return True


def _last_words(child: int, heard: int) -> bool:
    """Ctrl-C: pass it to the child unless the terminal did, and let it report what it found. Whether it ended."""
    try:
        os.kill(child, signal.SIGINT)
        return _wait(heard, _LAST_WORDS)
    except (ProcessLookupError, KeyboardInterrupt):  # once more: at once, then
        return False


def _once(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the same Ctrl-C, received a second time
    raise KeyboardInterrupt


def _work_and_end(work: Callable[[], int], seconds: float | None, notes: IO[str]) -> None:
    """In the child; never returns."""
    if seconds is not None:
        # Shortly before this process is ended, write down where it is: a C thread, which needs no lock.
        faulthandler.dump_traceback_later(max(0.1, seconds - 1), file=notes)
    faulthandler.register(signal.SIGUSR1, notes, all_threads=False)
    status = MISTAKE
    try:
        _keep_output_clean()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _once)
        status = copied(work)
        notes.write("ended\n")
        notes.flush()
    finally:
        os._exit(status)


def _keep_output_clean() -> None:
    """Discard what is written to file descriptors 1 and 2 by number: standard output and error get new ones."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        write_to(os.dup(1))
        os.dup2(nowhere, 1)
        encoding = sys.stderr.encoding
        sys.stderr.flush()
        sys.stderr = open(os.dup(2), "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.dup2(nowhere, 2)
    sys.unraisablehook = lambda _unraisable: None  # a user's finaliser that raises


def _said(status: int, ended: bool, notes: str, never_ends: bool = False) -> int:
    if ended and notes.endswith("ended\n"):
        return status
    yours = [found for found in _WHERE.findall(notes) if not found[0].startswith(_NOT_YOURS)]
    at = f" (it was in {yours[0][2]}, line {yours[0][1]} of {Path(yours[0][0]).name})" if yours else ""
    if not ended:
        say(f"a step of your code does not come back and cannot be interrupted{at}: given up")
        return BROKEN if never_ends else NOT_DECIDED
    if status < 0:
        say(f"your code brought the process down ({signal.Signals(-status).name})")
    else:
        say(f"your code ended the process (exit {status}) in the middle of the search")
    return NOT_DECIDED
