"""A class for the marker: some twenty who did their work, more or less, and others who mean harm or have bad luck.

Used by the tests and by ``benchmarks/bench_mark.py``. Everything is limited by itself as well, so that a marker without
protection would be found out and nothing worse: nobody forks more than twice, and only files of the test are in danger.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import NamedTuple

from p2plab.course.keep import FORMAT, HEAD, source_of
from p2plab.course.solutions import RIGHT, WRONG, right

GOOD = source_of(RIGHT["obey"])
ENDS = "\nclass Obeys: pass\n"
FAKE = '{"exercise": "obey", "passed": true, "rule": "", "said": ""}'
#: What wrong answers derive from: in a hand-in there are no solutions to import.
_BASES = HEAD + "\n\n".join(inspect.getsource(base) for base in (right.Maps, right.Obeys, right.Drains, right.Complete))
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
    """Two with all right, one for each exercise with that one right, five with a well-known wrong answer."""
    every = {name: (answer.__name__, source_of(answer)) for name, answer in RIGHT.items()}
    marks = dict.fromkeys(every, "pass")
    made = [HandIn(f"all-{number}", every, marks) for number in range(2)]
    made += [HandIn(f"one-{name}", {name: every[name]}, {name: marks[name]}) for name in every]
    for wrong in WRONG[:5]:
        text = f"{_BASES}\n\n{inspect.getsource(wrong.answer)}"
        answer = {wrong.exercise: (wrong.answer.__name__, text)}
        made.append(HandIn(f"wrong-{wrong.answer.__name__}", answer, {wrong.exercise: wrong.rule}))
    return made


#: System calls that must be refused, with their arguments; T is a folder of somebody else's.
REFUSED = {
    "changes-modes": "chmod(b'T/treasure.txt', 0)",
    "changes-owners": "chown(b'T/treasure.txt', 12345, 12345)",
    "truncates": "truncate(b'T/treasure.txt', ctypes.c_long(0))",
    "renames": "rename(b'T/treasure.txt', b'T/gone')",
    "opens-for-writing": "open(b'T/treasure.txt', 1)",
    "makes-folders": "mkdir(b'd', 0o777)",
    "forks": "fork()",
    "forks-apart": "syscall(56, 0x10000000, 0, 0, 0, 0)",
    "makes-namespaces": "unshare(0x10000000)",
    "starts-programs": "execve(b'/bin/sh', None, None)",
    "opens-unix-sockets": "socket(1, 1, 0)",
    "opens-sockets": "socket(2, 1, 0)",
    "names-the-host": "sethostname(b'owned', 5)",
    "kills-its-parent": "kill(os.getppid(), 9)",
    "kills-everybody": "kill(-1, 9)",
    "lifts-limits": "setrlimit(9, ctypes.byref((ctypes.c_ulong * 2)(1 << 40, 1 << 40)))",
    "traces": "ptrace(16, os.getppid(), 0, 0)",
    "asks-for-signals": "fcntl(0, 8, os.getppid())",
}


def hostile(treasure: Path, seconds: int, port: int) -> list[HandIn]:
    """``treasure`` is a file that must survive, ``port`` one of this machine on which somebody listens."""

    def one(name: str, source: str, mark: str = "fail", note: str = "", good: bool = False) -> HandIn:
        return HandIn(name, {"obey": ("Obeys", source + ("\n" + GOOD if good else ENDS))}, {"obey": mark}, note)

    def in_map(name: str, line: str, mark: str, note: str = "") -> HandIn:
        source = GOOD.replace("times = 0", f"times = 0\n        {line}", 1)
        return HandIn(name, {"obey": ("Obeys", source)}, {"obey": mark}, note)

    def writes_to_all(text: str) -> str:
        line = f"{text}\n".encode()
        body = f"    try:\n        os.write(n, {line!r})\n    except OSError:\n        pass\n"
        return f"import os\nfor n in range(3, 12):\n{body}"

    folder = str(treasure.parent)
    calls = [
        one(
            name,
            f"{_LIBC}import os\nassert libc.{call.replace('T/', folder + '/')} == -1, 'it works'",
            "pass",
            good=True,
        )
        for name, call in REFUSED.items()
    ]
    claims = '["class", {"name": "Obeys", "base": "Importer", "methods": {}, "values": {}}, true]'
    wrong = f"{_BASES}\n\n{inspect.getsource(WRONG[0].answer)}\n\nclass Obeys(Ignores):\n    pass\n"
    lies = "import sys\nsys.modules['__main__'].digest = lambda value, depth=0: 'as before'\n"
    outcome = "from p2plab.course.exercises.task import Outcome\nOutcome.passed = property(lambda self: True)"
    return [
        *calls,
        one("loops", "while True:\n    pass", note="does not finish"),
        one("hangs", f"import time\ntime.sleep({seconds + 20})", note="does not finish"),
        one(
            "swallows",
            "while True:\n    try:\n        while True:\n            pass\n    except:\n        pass",
            "not marked",
        ),
        in_map("loops-in-a-step", "while True: pass", "endless-step"),
        in_map("sleeps-in-a-step", "import time; time.sleep(60)", "endless-step"),
        in_map("leaves-in-a-step", "import os; os._exit(0)", "no-crash", "ended by itself (exit 0)"),
        in_map("raises-in-a-step", "1 / 0", "no-crash", "ZeroDivisionError"),
        in_map("stops-in-a-step", "raise KeyboardInterrupt", "no-crash"),
        one("grows", "x = bytearray(1 << 33)", note="MemoryError"),
        one("deletes", f"import os\nos.remove({str(treasure)!r})", note="Error"),
        one("writes", f"open({str(treasure)!r}, 'w').write('mine')", note="Error"),
        one("reads", f"raise ValueError(open({str(treasure)!r}).read())", note="FileNotFoundError"),
        one("reads-its-neighbour", f"import os\nraise ValueError(os.listdir({folder!r}))", note="FileNotFoundError"),
        one("reads-processes", "import os\nraise ValueError(os.listdir('/proc'))", note="FileNotFoundError"),
        one("reads-the-environment", "import os\nassert not os.environ.get('SECRET'), 'SECRET'", "pass", good=True),
        one("fills", "with open('/tmp/big', 'wb') as out:\n    out.write(b'x')", note="Error"),
        one("prints", "import sys\nfor _ in range(1 << 10):\n    print('x' * (1 << 20))", "pass", good=True),
        one("connects", f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)", note="Error"),
        one("fakes-a-mark", f"{writes_to_all(FAKE)}os._exit(0)", "not marked", "not an answer"),
        one("claims-a-class", f"{writes_to_all(claims)}import time\ntime.sleep(60)", "fail", note="has no map"),
        one("exits", "import os\nos._exit(0)", "not marked", "ended by itself (exit 0)"),
        one("patches-the-outcome", outcome, good=True, note="No module named"),
        one("imports-the-solution", "from p2plab.course.solutions.right import Obeys", note="No module named"),
        HandIn("lies-about-its-state", {"obey": ("Obeys", lies + wrong)}, {"obey": "obedience"}),
    ]
