"""Shut a process in for good: resource limits, Landlock, and an audit hook that says no in words."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from pathlib import Path
from typing import Any

#: ``landlock_create_ruleset`` and the two after it have these numbers on every architecture.
_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVS, _PATH_BENEATH = 38, 1
#: WRITE_FILE, REMOVE_DIR, REMOVE_FILE and every MAKE_…; from the third version on TRUNCATE.
_CHANGES = (1 << 1) | sum(1 << bit for bit in range(4, 13))
_TRUNCATE = 1 << 14

_NEVER = (
    *(
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "subprocess.Popen",
    ),
    *(
        "os.kill",
        "os.killpg",
        "signal.pthread_kill",
        "socket.",
        "resource.setrlimit",
        "resource.prlimit",
        "ctypes.dlopen",
    ),
    *("os.putenv", "os.chown", "os.setxattr", "pty.spawn", "webbrowser.open", "syslog.", "sys.addaudithook"),
)
_PATHS = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.utime", "shutil.rmtree"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile"), 2),
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def shut(scratch: Path, seconds: int, megabytes: int, file_megabytes: int = 4) -> str:
    """Into ``scratch``, for ever: from here on nothing else may be written. Says by what means."""
    os.chdir(scratch)
    _limits(seconds, megabytes, file_megabytes)
    means = "landlock and audit hook" if _landlock(scratch) else "audit hook only"
    sys.addaudithook(_hook(scratch.resolve()))
    return means


def _limits(seconds: int, megabytes: int, file_megabytes: int) -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes << 20),
        (resource.RLIMIT_FSIZE, file_megabytes << 20),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _landlock(scratch: Path) -> bool:
    """Whether the kernel took the rule: changes only beneath ``scratch``."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    changes = _CHANGES | (_TRUNCATE if version >= 3 else 0)
    rules = libc.syscall(_CREATE, struct.pack("=Q", changes), ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    folder = os.open(scratch, os.O_PATH | os.O_CLOEXEC)
    try:
        beneath = struct.pack("=Qi", changes, folder)
        if libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, beneath, 0) != 0:
            return False
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(folder)
        os.close(rules)


def _hook(scratch: Path) -> Any:
    inside = f"{scratch}{os.sep}"

    def outside(path: Any) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False  # a descriptor: it was opened before, and that was looked at
        whole = os.path.realpath(os.fsdecode(path))
        return whole != str(scratch) and not whole.startswith(inside) and whole != os.devnull

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_NEVER):
            raise PermissionError(f"a hand-in may not do this: {event}")
        if event == "open":
            path, _, flags = (*arguments, None, None)[:3]
            if isinstance(flags, int) and flags & _WRITES and outside(path):
                raise PermissionError(f"a hand-in writes only into its own folder, not {path!r}")
        elif event in _PATHS and any(outside(path) for path in arguments[: _PATHS[event]]):
            raise PermissionError(f"a hand-in changes only its own folder: {event}{arguments[: _PATHS[event]]!r}")

    return hook
