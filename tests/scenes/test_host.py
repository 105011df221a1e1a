"""The model's numbers are Linux's, so a run is the same on every system."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from p2plab.catalog.case import BROKEN, GOOD
from p2plab.catalog.verdict import story_run
from p2plab.core import errno
from p2plab.core.logfile import dump
from p2plab.core.token import open_token, token_of
from p2plab.everything import CASES, find

PACKAGE = Path(__file__).parents[2] / "p2plab"
#: The rooms that make up a run, and the modules that hold constants of the host's system calls.
MODEL = ("core", "mm", "pci", "p2p", "drivers", "rules", "catalog", "designs", "conform", "sweeps")
OF_THE_HOST = {"errno", "signal", "mmap", "resource", "fcntl", "socket", "select", "platform", "ctypes"}
#: Another system's errnos: every number moved, and one name missing, as on macOS.
DOCTORED = """
import errno, json, pathlib, sys, types  # Python's own modules keep the numbers of this system
names = [name for name in vars(errno) if name[0] == "E" and name != "EREMOTEIO"]
doctored = types.ModuleType("errno")
vars(doctored).update({name: 500 + at for at, name in enumerate(names)})
doctored.errorcode = {500 + at: name for at, name in enumerate(names)}
sys.modules["errno"] = doctored
from tests.scenes.test_host import stories
print(json.dumps(stories(json.load(sys.stdin))))
"""


def stories(tokens=None):
    """Every story with its two drivers, or what ``tokens`` say: the token and the log of each."""
    if tokens is not None:
        runs = [open_token(token, find) for token in tokens]
    else:
        runs = [story_run(case, driver) for case in CASES.values() for driver in (BROKEN, GOOD)]
    return [[token_of(run), "\n".join(dump(run))] for run in runs]


def on_another_system(tokens):
    words = [sys.executable, "-c", DOCTORED]
    done = subprocess.run(
        words, input=json.dumps(tokens), capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here():
    return stories()


def test_a_system_with_other_errnos_tells_the_same_stories(here):
    """The same tokens and the same logs, to the byte, where each errno has another number and one does not exist."""
    assert on_another_system(None) == here


def test_a_token_made_elsewhere_opens(here):
    """On that system, tokens made on this one give their log again."""
    assert on_another_system([token for token, _ in here]) == here


def test_no_room_of_the_model_reads_a_constant_of_the_host():
    """Neither errnos nor signals, page sizes or anything else that another system counts in its own way."""
    found = []
    for room in MODEL:
        for file in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found += [(str(file), name) for name in names if name.partition(".")[0] in OF_THE_HOST]
    assert not found


def test_the_errnos_are_those_of_linux():
    """The generic values, the kernel's own among them; of two names for one number the kernel's main one is told."""
    assert (errno.EAGAIN, errno.EREMOTEIO, errno.EHWPOISON, errno.ENOTSUPP) == (11, 121, 133, 524)
    assert errno.EWOULDBLOCK == errno.EAGAIN
    assert (errno.errorcode[11], errno.errorcode[35]) == ("EAGAIN", "EDEADLK")
    if sys.platform == "linux":
        import errno as host

        assert {
            name: getattr(host, name) for name in errno.NUMBERS if hasattr(host, name)
        }.items() <= errno.NUMBERS.items()
