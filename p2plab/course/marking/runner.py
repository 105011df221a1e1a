"""The process of one hand-in: shut in, it loads each answer, searches every order, and writes one line a mark.

Called as ``runner HAND-IN SCRATCH SECONDS MEGABYTES``; marks go to standard output, which the hand-in itself does not get.
Each begins with a word that is read from standard input: a line that the hand-in finds a way to write itself lacks it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from p2plab.core.errors import BadInput
from p2plab.course.exercises import EXERCISES
from p2plab.course.keep import LONGEST_SOURCE
from p2plab.course.marking.jail import shut
from p2plab.search.drivers import load
from p2plab.search.watchdog import Watchdog

#: Seconds that an answer's top level may take.
LOADING = 2.0


def main(arguments: list[str]) -> None:
    """Mark what the file holds."""
    file, scratch, seconds, megabytes = Path(arguments[0]), Path(arguments[1]), int(arguments[2]), int(arguments[3])
    word = sys.stdin.readline().strip()
    marks = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sources = json.loads(file.read_text(encoding="utf-8"))["sources"]
    for needed in ("numpy", "p2plab.search.widesearch", "p2plab.course.kit", "asyncio", "difflib"):
        importlib.import_module(needed)
    apart = os.environ.pop("NAMESPACES", "")
    means = ", ".join(part for part in (apart, shut(scratch, seconds, megabytes)) if part)
    _say(marks, word, {"means": means})
    for name, answer in sources.items():
        if name in EXERCISES:
            _say(marks, word, {"exercise": name, **_mark(name, answer, scratch)})
    _say(marks, word, {"end": True})
    os._exit(0)  # whatever a hand-in left behind for the interpreter's end does not run


def _mark(name: str, answer: Any, scratch: Path) -> dict[str, Any]:
    try:
        source, wanted = str(answer["source"]), str(answer["class"])
        if len(source) > LONGEST_SOURCE:
            raise BadInput(f"more than {LONGEST_SOURCE:,} characters")
        path = scratch / f"{name.replace('-', '_')}.py"
        path.write_text(source, encoding="utf-8")
        with Watchdog(LOADING) as dog:
            driver = load(f"{path}:{wanted}", dog)
        outcome = EXERCISES[name].check(driver, scratch / "kept")
    except BadInput as error:
        return {"passed": False, "rule": "", "said": str(error)[:300]}
    except (Exception, SystemExit) as error:  # noqa: BLE001  a hand-in may raise anything; the next answer is marked all the same
        return {"passed": False, "rule": "", "said": f"{type(error).__name__}: {str(error)[:200]}"}
    return {"passed": outcome.passed, "rule": outcome.rule, "said": outcome.said[:300]}


def _say(marks: int, word: str, what: dict[str, Any]) -> None:
    os.write(marks, f"\n{word} {json.dumps(what)}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
