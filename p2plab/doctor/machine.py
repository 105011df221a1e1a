"""What the machine lets p2plab do: where it runs, memory, limits, disk, the journal, a browser for the tests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from p2plab.core.places import DRIVE, journal_file
from p2plab.doctor.check import BAD, NOTE, OK, Check, short

#: A kernel with a lab in it takes some 120 MB, a search of a scene some hundred more; in bytes.
LEAST_MEMORY, GOOD_MEMORY = 250 << 20, 500 << 20
#: A journal is small, a course's answers too; in bytes.
LEAST_DISK = 20 << 20
#: A kernel has some 30 files open and some 20 threads.
LEAST_FILES, LEAST_PROCESSES = 128, 64

#: Environment variables that show on whose service Python runs.
PLACES = {
    "BINDER_SERVICE_HOST": "Binder: what you do here is gone when you leave; copy tokens, download notebooks",
    "JUPYTERHUB_USER": "a JupyterHub",
    "COLAB_RELEASE_TAG": "Colab",
    "VSCODE_PID": "Visual Studio Code",
    "JPY_PARENT_PID": "a Jupyter kernel on this machine",
}


def place(environ: Mapping[str, str] | None = None) -> Check:
    """Where this Python runs."""
    if sys.platform == "emscripten":
        return Check("runs in", OK, "this browser: no threads, no processes; large searches end early and say so")
    variables = os.environ if environ is None else environ
    said = next((said for name, said in PLACES.items() if name in variables), "a terminal")
    if said == "a JupyterHub":
        said += f", as {variables['JUPYTERHUB_USER'][:40]}"
    return Check("runs in", OK, said)


def memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Check:
    """What is free, of the machine or of the share that this process was given."""
    free = [value for value in (_available(proc / "meminfo"), _share(cgroup)) if value is not None]
    if not free:
        return Check("memory", OK, "not known here")
    found = f"{min(free) >> 20:,} MB free"
    if min(free) < LEAST_MEMORY:
        return Check("memory", BAD, found, "close other notebooks and kernels: a lab needs some 250 MB")
    if min(free) < GOOD_MEMORY:
        return Check("memory", NOTE, found, "enough for a lab; a search may have to stop early")
    return Check("memory", OK, found)


def limits() -> Check:
    """Open files, processes, processors."""
    try:
        import resource
    except ImportError:  # Windows
        return Check("limits", OK, "none known here")
    if not hasattr(resource, "getrlimit"):  # a browser, whose kernel has an empty module of that name
        return Check("limits", OK, "none known here")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    many = {"files": files, "processes": processes}
    said = ", ".join(
        "no limit on " + what if n in (-1, resource.RLIM_INFINITY) else f"{n:,} {what}" for what, n in many.items()
    )
    found = f"{said}, {cores} processor{'s' * (cores != 1)}"
    if 0 <= files < LEAST_FILES:
        return Check("limits", BAD, found, f"ulimit -n {4 * LEAST_FILES} before Jupyter is started")
    if 0 <= processes < LEAST_PROCESSES:
        return Check("limits", BAD, found, f"ulimit -u {8 * LEAST_PROCESSES} before Jupyter is started")
    return Check("limits", OK, found)


def journal() -> Check:
    """The file that makes *resume* possible: can it be written, and is there room?"""
    path = journal_file()
    if path is None:
        return Check("journal", NOTE, "switched off: a lab cannot offer its last run again")
    home = str(Path.home())
    if sys.platform == "emscripten":  # its drive belongs to another thread and has no unnamed files
        return Check(
            "journal", OK, f"{path}, kept in this browser" if path.parent == DRIVE else "until this page is closed"
        )
    folder = next((place for place in path.parents if place.exists()), Path("/"))
    cure = f"make {short(folder, home)} writable, or set P2PLAB_JOURNAL to a file that can be written"
    try:
        if path.exists():
            with path.open("a", encoding="utf-8"):
                pass
        else:
            with tempfile.TemporaryFile(dir=folder):  # this also finds a file where the folder should be
                pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("journal", BAD, f"{short(path, home)} cannot be written: {error.strerror}", cure)
    found = f"{short(path, home)}, {free / 1e9:,.1f} GB free"
    if free < LEAST_DISK:
        return Check(
            "journal", BAD, f"{short(path, home)}, {free >> 20} MB free", "make room on this disk: runs get lost"
        )
    return Check("journal", OK, found)


def browser() -> Check:
    """Only this project's tests need a browser that they can drive."""
    if sys.platform == "emscripten":
        return Check("browser", OK, "this one")
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if found:
        return Check("browser", OK, f"{found} (for the project's tests)")
    return Check("browser", NOTE, "no Chromium; only the project's browser tests need it")


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _share(cgroup: Path) -> int | None:
    """What a container may still allocate (control groups, version 2 and 1)."""
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit = (cgroup / most).read_text(encoding="ascii").strip()
            return None if limit == "max" else int(limit) - int((cgroup / used).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return None
