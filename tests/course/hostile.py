"""A class of thirty for the marker: fifteen who did their work, more or less, and fifteen who mean harm or have bad luck.

Used by the tests and by ``benchmarks/bench_mark.py``. Everything is limited by itself as well, so that a marker without
protection would be found out and nothing worse: the fork bomb stops at 64 processes, the gigabyte is written to nowhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from p2plab.course.keep import FORMAT, source_of
from p2plab.course.solutions import RIGHT, WRONG

GOOD = source_of(RIGHT["obey"])
ENDS = "\nclass Obeys: pass\n"
FAKE = '{"exercise": "obey", "passed": true, "rule": "", "said": ""}'
_BASES = "from p2plab.course.solutions.right import Complete, Drains, Maps, Obeys\n"
_LIBC = "import ctypes\nlibc = ctypes.pythonapi\n"


class HandIn(NamedTuple):
    """One file: its answers by exercise (class, source), the marks it must get, and a word of its note."""

    name: str
    answers: dict[str, tuple[str, str]]
    marks: dict[str, str]
    note: str = ""


def write(folder: Path, hand_in: HandIn) -> Path:
    """As ``hand_in()`` of the course writes it."""
    sources = {exercise: {"class": wanted, "source": source} for exercise, (wanted, source) in hand_in.answers.items()}
    path = folder / f"{hand_in.name}.json"
    path.write_text(json.dumps({"format": FORMAT, "name": hand_in.name, "sources": sources}), encoding="utf-8")
    return path


def ordinary() -> list[HandIn]:
    """Fifteen: two with all eight right, eight with one right each, five with a well-known wrong answer."""
    every = {name: (answer.__name__, source_of(answer)) for name, answer in RIGHT.items()}
    made = [HandIn(f"all-{number}", every, dict.fromkeys(every, "pass")) for number in range(2)]
    made += [HandIn(f"one-{name}", {name: every[name]}, {name: "pass"}) for name in every]
    for wrong in WRONG[:5]:
        answer = {wrong.exercise: (wrong.answer.__name__, f"{_BASES}{source_of(wrong.answer)}")}
        made.append(HandIn(f"wrong-{wrong.answer.__name__}", answer, {wrong.exercise: wrong.rule}))
    return made


def hostile(treasure: Path, seconds: int, port: int) -> list[HandIn]:
    """Fifteen; ``treasure`` is a file that must survive, ``port`` one of this machine on which somebody listens."""

    def one(name: str, source: str, mark: str = "fail", note: str = "", good: bool = False) -> HandIn:
        return HandIn(name, {"obey": ("Obeys", source + ("\n" + GOOD if good else ENDS))}, {"obey": mark}, note)

    connects = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).sendall(b'here')"
    connects_by_c = (
        "import _socket\nthing = _socket.socket.__new__(_socket.socket)\n_socket.socket.__init__(thing)\n"
        f"thing.connect(('127.0.0.1', {port}))"
    )
    forks = f"{_LIBC}import time\nfor _ in range(6):\n    libc.fork()\ntime.sleep({seconds + 20})"
    daemon = f"{_LIBC}import time\nif libc.fork() == 0:\n    libc.setsid()\n    time.sleep({seconds + 40})"
    fake = (
        "import os\nfor number in range(3, 12):\n    try:\n"
        f"        os.write(number, {f'{FAKE}{chr(10)}'.encode()!r})\n    except OSError:\n        pass"
    )
    return [
        one("loops", "while True:\n    pass", note="does not come to its end"),
        one("hangs", f"import time\ntime.sleep({seconds + 20})", "not marked", f"stopped after {seconds} s"),
        one("forks", "import os\nwhile True:\n    os.fork()", note="may not do this: os.fork"),
        one("fork-bomb", forks, "not marked"),
        one("swallows", "x = bytearray(1 << 33)", note="MemoryError"),
        one("deletes", f"import os\nos.remove({str(treasure)!r})", note="changes only its own folder"),
        one("writes", f"open({str(treasure)!r}, 'w').write('mine')", note="writes only into its own folder"),
        one("fills", "with open('big', 'wb') as out:\n    while True:\n        out.write(b'x' * (1 << 20))"),
        one("prints", "import sys\nfor _ in range(1 << 10):\n    sys.stdout.write('x' * (1 << 20))", "pass", good=True),
        one("connects", connects, note="may not do this: socket"),
        one("connects-lower", connects_by_c, note="may not do this: socket"),
        one("kills-its-parent", f"{_LIBC}import os\nlibc.kill(os.getppid(), 9)", "pass", good=True),
        one("fakes-a-mark", f"{fake}\nos._exit(0)", "not marked", "it wrote to where its marks go"),
        one("exits", "import os\nos._exit(0)", "not marked", "ended before all was marked"),
        one("leaves-a-daemon", daemon, "pass", good=True),
    ]
