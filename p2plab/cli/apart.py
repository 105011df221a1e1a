"""Somebody's own code in a process apart: one call that never comes back, or an exit, still ends in a sentence."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import select
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from p2plab.core.errors import P2PError

#: The exit status where the search could not be brought to its end.
GIVEN_UP = 3
_BAD_INPUT = 2
#: A line of faulthandler's: ``File "/home/me/mine.py", line 3 in map``. Those of Python's and of ours say nothing.
_WHERE = re.compile(r'File "([^"]+)", line (\d+) in (\S+)')
_NOT_YOURS = (str(Path(__file__).parents[1]), str(Path(os.__file__).parent), "<")


def apart(work: Callable[[], int], seconds: float | None) -> int:
    """The exit status of ``work``, which runs in a copy of this process for at most ``seconds`` (None: as long as it likes).

    Where there is no ``fork``, or where output does not go to the terminal or a file, it runs here.
    """
    if not hasattr(os, "fork") or sys.stdout is not sys.__stdout__:
        return work()
    print(end="", flush=True)
    heard, told = os.pipe()
    with tempfile.TemporaryFile("w+") as notes:
        child = os.fork()
        if not child:
            os.close(heard)
            _work_and_end(work, seconds, notes)
        os.close(told)
        try:
            ended = bool(select.select([heard], [], [], seconds)[0])
        except KeyboardInterrupt:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        finally:
            os.close(heard)
        if not ended:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        notes.seek(0)
        return _said(status, ended, notes.read())


def _work_and_end(work: Callable[[], int], seconds: float | None, notes: IO[str]) -> None:
    """In the copy: it never returns."""
    if (
        seconds is not None
    ):  # shortly before this process is ended, note where it is: a thread of C's, which needs no lock
        faulthandler.dump_traceback_later(max(0.1, seconds - 1), file=notes)
    status = GIVEN_UP
    try:
        status = work()
    except P2PError as error:
        print(f"p2plab: {error}", file=sys.stderr)
        status = _BAD_INPUT
    except (BrokenPipeError, KeyboardInterrupt):  # nobody reads on, or the one who waits says it
        status = 0
    except BaseException:  # noqa: BLE001  as Python does with what nobody handles
        sys.excepthook(*sys.exc_info())
        status = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    notes.write("ended\n")
    notes.flush()
    os._exit(status)


def _said(status: int, ended: bool, notes: str) -> int:
    if ended and notes.endswith("ended\n"):
        return status
    yours = [found for found in _WHERE.findall(notes) if not found[0].startswith(_NOT_YOURS)]
    at = f" (it was in {yours[0][2]}, line {yours[0][1]} of {Path(yours[0][0]).name})" if yours else ""
    if not ended:
        print(
            f"p2plab: a step of your code does not come back and cannot be interrupted{at}: given up", file=sys.stderr
        )
    elif status < 0:
        print(f"p2plab: your code brought the process down ({signal.Signals(-status).name})", file=sys.stderr)
    else:
        print(f"p2plab: your code ended the process (exit {status}) in the middle of the search", file=sys.stderr)
    return GIVEN_UP
