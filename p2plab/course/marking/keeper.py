"""Runs one hand-in's process, passes its marks on, and kills it and whatever it left behind when its time is over.

Called as ``keeper SECONDS COMMAND…``. Where the kernel lets it, the hand-in gets namespaces of its own: it sees no process but
its own ones (so it cannot signal this one), no network, and all that it started ends with it. Elsewhere its orphans become
this process's children. ``NAMESPACES`` in the environment of the hand-in says which.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_SUBREAPER = 36
_NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
#: No hand-in's marks are longer than this.
LONGEST_MARKS = 100_000


def main(arguments: list[str]) -> None:
    """Exit 0 where the process ended by itself in time, 3 where it was killed."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    deadline = time.monotonic() + float(arguments[0])
    said = {**os.environ, "NAMESPACES": "namespaces" if _apart() else ""}
    # what is read from standard input is the hand-in's process's to read
    child = subprocess.Popen(arguments[1:], stdout=subprocess.PIPE, start_new_session=True, env=said)
    assert child.stdout is not None
    pipe, left = child.stdout.fileno(), LONGEST_MARKS
    while left and (wait := deadline - time.monotonic()) > 0 and select.select([pipe], [], [], wait)[0]:
        text = os.read(pipe, min(left, 65536))
        if not text:
            break
        left -= len(text)
        os.write(1, text)
    in_time = time.monotonic() < deadline
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=0.5 if in_time else 0.01)
    _end_all()
    sys.exit(0 if in_time else 3)


def _apart() -> bool:
    """Whether what this process starts from here on lives in namespaces of its own; as root without a new user, else with."""
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(_NEW_PID | _NEW_NET | _NEW_IPC | user) == 0 for user in (0, _NEW_USER))


def _end_all() -> None:
    """Kill every child, and every orphan that becomes one when its parent goes; only what this process started."""
    until = time.monotonic() + 5
    while (mine := _children()) and time.monotonic() < until:
        for pid in mine:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children() -> list[int]:
    found, me = [], os.getpid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == me:
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
