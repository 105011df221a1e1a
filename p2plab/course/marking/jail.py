"""The command that runs a hand-in's process, sandboxed by bubblewrap if that works."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from p2plab.core.errors import BadInput

_CHILD = Path(__file__).with_name("child.py")
_HERE = Path(__file__).resolve().parents[2]  #: p2plab itself, with its solutions
_INSIDE = "/child.py"
HOW_TO = "install bubblewrap (Debian, Ubuntu: apt install bubblewrap)"


@dataclass(frozen=True)
class Protection:
    """How hand-ins are sandboxed: ``means`` in words; ``missing`` says what is not available, or is empty."""

    means: str
    missing: str = ""
    bubblewrap: bool = False

    def command(self, seconds: int, megabytes: int, hidden: Sequence[Path] = ()) -> list[str]:
        """What starts a hand-in's process; ``hidden``: folders that it must not see, even inside visible ones."""
        python = [os.path.realpath(sys.executable), "-I", "-S"]
        words = [str(seconds), str(megabytes)]
        if not self.bubblewrap:
            return [*python, str(_CHILD), *words]
        return [*_bubblewrap((_HERE, *hidden)), *python, _INSIDE, *words]


def _bubblewrap(hidden: Sequence[Path]) -> list[str]:
    """No network, no other processes or users; Python and the system's libraries are readable, nothing is writable."""
    program = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    program += ["--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "hand-in"]
    seen = [Path("/usr")]
    program += ["--ro-bind", "/usr", "/usr"]
    for name in ("/lib", "/lib64", "/lib32", "/bin"):
        if os.path.islink(name):
            program += ["--symlink", os.readlink(name), name]
        elif name != "/bin" and os.path.isdir(name):
            program += ["--ro-bind", name, name]
            seen.append(Path(name))
    for name in ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"):
        program += ["--ro-bind-try", name, name]
    home = Path(os.path.realpath(sys.base_prefix))
    if not home.is_relative_to("/usr"):
        program += ["--ro-bind", str(home), str(home)]
        seen.append(home)
    for path in dict.fromkeys(path.resolve() for path in hidden):
        if any(path.is_relative_to(root) for root in seen) and path not in seen:
            program += ["--tmpfs", str(path), "--remount-ro", str(path)]
    return [*program, "--dev-bind", "/dev/null", "/dev/null", "--ro-bind", str(_CHILD), _INSIDE, "--chdir", "/"]


@functools.cache
def protection() -> Protection:
    """What this machine has, tried out once."""
    if not sys.platform.startswith("linux"):
        return Protection("UNPROTECTED: limits only", "this is no Linux")
    filtered, why = (
        _try(Protection("", bubblewrap=True)) if shutil.which("bwrap") else (False, "there is no bubblewrap here")
    )
    if filtered:
        return Protection("bubblewrap, seccomp", bubblewrap=True)
    alone, _ = _try(Protection(""))
    if not alone:
        return Protection("UNPROTECTED: limits only", why)
    return Protection("UNPROTECTED: seccomp and limits only, it can read what you can", why)


def _try(candidate: Protection) -> tuple[bool, str]:
    """Whether a process starts in it and is filtered; else what is wrong."""
    from p2plab.course.marking.offered import hello
    from p2plab.course.marking.process import Child, Gone

    try:
        child = Child(candidate.command(10, 1024), hello("class Nothing:\n    pass\n", "Nothing", "probe.py"), 10.0)
    except (Gone, OSError, BadInput) as error:
        return False, f"bubblewrap does not work here ({error})" if candidate.bubblewrap else str(error)
    child.close()
    return child.filtered is True, "the kernel takes no seccomp filter for this processor"
