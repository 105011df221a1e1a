"""Somebody's own code in a process apart: one call that never comes back, or an exit, still ends in a sentence."""

from __future__ import annotations

import faulthandler
import os
import re
import select
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from p2plab.cli.frame import MISTAKE, NOT_DECIDED, copied, is_own_output, say

#: Seconds that an interrupted copy has for saying what it found so far.
_LAST_WORDS = 3.0
#: A line of faulthandler's: ``File "/home/me/mine.py", line 3 in map``. Those of Python's and of ours say nothing.
_WHERE = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')
_NOT_YOURS = (str(Path(__file__).parents[1]), str(Path(os.__file__).parent), "<")


def apart(work: Callable[[], int], seconds: float | None) -> int:
    """The exit status of ``work``, which runs in a copy of this process for at most ``seconds`` (None: as long as it likes).

    Where there is no ``fork``, or where output does not go to the terminal or a file, it runs here.
    """
    if not hasattr(os, "fork") or not is_own_output():
        return work()
    print(end="", flush=True)
    heard, told = os.pipe()
    with tempfile.TemporaryFile("w+") as notes:
        child = os.fork()
        if not child:
            os.close(heard)
            _work_and_end(work, seconds, notes)
        os.close(told)
        interrupted = False
        try:
            ended = _wait(heard, seconds)
        except KeyboardInterrupt:
            interrupted = True
            ended = _last_words(child, heard)
        finally:
            os.close(heard)
        if not ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if interrupted and not ended:
            raise KeyboardInterrupt
        notes.seek(0)
        return _said(status, ended, notes.read())


def _wait(heard: int, seconds: float | None) -> bool:
    return bool(select.select([heard], [], [], seconds)[0])


def _last_words(child: int, heard: int) -> bool:
    """Ctrl-C: the copy is told, if the terminal did not tell it, and says what it found. Whether it came to its end."""
    try:
        os.kill(child, signal.SIGINT)
        return _wait(heard, _LAST_WORDS)
    except (ProcessLookupError, KeyboardInterrupt):  # once more: at once, then
        return False


def _once(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second time that the same Ctrl-C is heard
    raise KeyboardInterrupt


def _work_and_end(work: Callable[[], int], seconds: float | None, notes: IO[str]) -> None:
    """In the copy: it never returns."""
    if seconds is not None:
        # Shortly before this process is ended, note where it is: a thread of C's, which needs no lock.
        faulthandler.dump_traceback_later(max(0.1, seconds - 1), file=notes)
    status = MISTAKE
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _once)
        status = copied(work)
        notes.write("ended\n")
        notes.flush()
    finally:
        os._exit(status)


def _said(status: int, ended: bool, notes: str) -> int:
    if ended and notes.endswith("ended\n"):
        return status
    yours = [found for found in _WHERE.findall(notes) if not found[0].startswith(_NOT_YOURS)]
    at = f" (it was in {yours[0][2]}, line {yours[0][1]} of {Path(yours[0][0]).name})" if yours else ""
    if not ended:
        say(f"a step of your code does not come back and cannot be interrupted{at}: given up")
    elif status < 0:
        say(f"your code brought the process down ({signal.Signals(-status).name})")
    else:
        say(f"your code ended the process (exit {status}) in the middle of the search")
    return NOT_DECIDED
