"""Every reader of things from outside, fed with broken input: what came out, how long the worst took, what was touched.

    python benchmarks/fuzz_readers.py [COUNT] [--json]

COUNT inputs (100,000 unless said) for the reader of tokens, and for that of scenes, knobs and schedules; a tenth of it for
logs, journals and hand-ins. The interpreter itself is asked (``sys.addaudithook``) whether reading compiled, executed,
imported, opened or started anything. A reader may read or refuse (``BadInput``); anything else ends this script.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from p2plab.core.errors import BadInput, NotEnabled  # noqa: E402
from p2plab.core.events import _fields  # noqa: E402
from p2plab.core.logfile import load  # noqa: E402
from p2plab.core.run import Run  # noqa: E402
from p2plab.core.schedule import LONGEST, by_text  # noqa: E402
from p2plab.core.token import LONGEST_TOKEN, StaleToken, open_token, parse  # noqa: E402
from p2plab.course.keep import _progress  # noqa: E402
from p2plab.course.marking.reading import read_hand_in  # noqa: E402
from p2plab.everything import EVENTS, SCENES, find  # noqa: E402
from p2plab.lab.journal import Journal  # noqa: E402
from tests.core import fuzz  # noqa: E402

#: Beginnings of audit events: running, loading, or touching anything outside.
TOUCHES = (
    "exec",
    "compile",
    "import",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "shutil.",
    "urllib.",
    "marshal.",
    "pickle.",
)
#: Steps that one spoiled schedule may take here: the world is bounded by LONGEST, this script's patience is shorter.
STEPS = 300


class Watch:
    """Notes audit events between ``begin`` and ``end``; a hook can never be taken away, so it is switched."""

    def __init__(self) -> None:
        self.on = False
        self.seen: Counter[str] = Counter()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _arguments: Any) -> None:
        if self.on and event.startswith(TOUCHES):
            self.seen[event] += 1


def token(text: str) -> None:
    """Take it apart, and replay it."""
    parse(text)
    open_token(text, find)


def scene(given: tuple[str, dict[str, object]]) -> None:
    """Find it, set its knobs, build its world."""
    name, knobs = given
    Run(find(name), knobs)


def schedule(text: str) -> None:
    """Let it drive a scene for a while."""
    Run(SCENES["workbench"]).driven(by_text(text), STEPS)


def log(lines: list[str]) -> None:
    """Read it back."""
    load(lines)


def journal(path: Path) -> None:
    """The last run in it."""
    book = Journal("workbench")
    book.path = path
    book.last()


def hand_in(path: Path) -> None:
    """Who, and which exercises."""
    if skipped := read_hand_in(path, path.name).skipped:
        raise BadInput(skipped)


def progress(path: Path) -> None:
    """What a learner has done."""
    _progress(path.parent)


def as_files(contents: Iterable[bytes], name: str) -> Iterator[Path]:
    """Each as a file, one after the other at the same place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        for content in contents:
            path.write_bytes(content)
            yield path


def bombs() -> dict[str, tuple[Callable[[Any], None], Any]]:
    """What is small to send and might be large, or slow, to read."""

    def made(name: str, knobs: str, coded: str) -> str:
        body = f"p2p1.{name}~{SCENES[name].version}.{knobs}.{coded}.AAAAAAAA"
        return f"{body}.{fuzz.check_of(body)}"

    long = LONGEST_TOKEN - 200
    header = '{"p2plab_log": 1, "scenario": "x", "token": "y"}'
    return {
        "token: 99,999 steps in 6 letters": (token, made("workbench", "-", "a99999")),
        "token: as long as possible, all z": (token, made("workbench", "-", "z" * long)),
        "token: as long as possible, z and digits": (token, made("workbench", "-", "z9" * (long // 2))),
        "token: every letter another switch": (token, made("workbench", "-", "ab" * (long // 2))),
        "token: a knob of 19,000 digits": (token, made("workbench", f"pages={'9' * 19_000}", "a")),
        "token: 5,000 knobs": (token, made("workbench", ",".join(["a=1"] * 5000), "a")),
        "token: 50 MB of text": (token, "p2p1." + "a" * 50_000_000),
        "token: 50 MB of blanks": (token, " " * 50_000_000),
        "scene: a name of 5 MB": (scene, ("x" * 5_000_000, {})),
        "scene: a knob of 30,000 digits": (scene, ("workbench", {"pages": 10**30_000})),
        "schedule: 1 MB of words": (schedule, "gpu*999999 " * 90_000),
        "schedule: one word of 5 MB": (schedule, "g" * 5_000_000),
        "log: brackets": (log, [header, "[" * 99_000]),
        "log: nested kinds": (log, [header, '{"kind":' + "[" * 900 + "]" * 900 + "}"]),
        "log: an integer of 99,000 digits": (log, [header, '{"step":' + "9" * 99_000 + "}"]),
        "log: one line of 50 MB": (log, [header, "x" * 50_000_000]),
        "log: 300,000 lines": (log, [header, *["{}"] * 300_000]),
    }


def judge(reader: Callable[[Any], None], given: Any, watch: Watch) -> tuple[str, float]:
    """``read``, ``stale`` or ``refused``, and the seconds; anything else comes out of here."""
    began = time.perf_counter()
    watch.on = True
    try:
        reader(given)
        outcome = "read"
    except StaleToken:
        outcome = "stale"
    except (BadInput, NotEnabled):
        outcome = "refused"
    finally:
        watch.on = False
    return outcome, time.perf_counter() - began


def campaign(count: int, seed: int, watch: Watch) -> Iterator[dict[str, Any]]:
    """One row a reader."""
    few = max(1, count // 10)
    readers: tuple[tuple[str, Callable[[Any], None], Iterable[Any], int], ...] = (
        ("tokens", token, fuzz.broken_tokens(count, seed), count),
        ("scenes and knobs", scene, fuzz.settings(count, seed), count),
        ("schedules", schedule, fuzz.broken_schedules(count, seed), count),
        ("logs", log, fuzz.broken_logs(few, seed), few),
        ("journals", journal, as_files(fuzz.journals(few, seed), "journal.jsonl"), few),
        ("progress", progress, as_files(fuzz.hand_ins(few, seed), "progress.json"), few),
        ("hand-ins", hand_in, as_files(fuzz.hand_ins(few, seed), "ada.json"), few),
    )
    for name, reader, inputs, number in readers:
        outcomes: Counter[str] = Counter()
        worst, total = 0.0, 0.0
        watch.seen.clear()
        for given in inputs:
            outcome, seconds = judge(reader, given, watch)
            outcomes[outcome] += 1
            worst, total = max(worst, seconds), total + seconds
        touched = dict(watch.seen)
        if name in ("journals", "progress", "hand-ins"):  # these are files: reading one opens it, and nothing else
            touched.pop("open", None)
        yield {"reader": name, "inputs": number, **outcomes, "seconds": total, "worst": worst, "touched": touched}


def explode(watch: Watch) -> Iterator[dict[str, Any]]:
    """One row a bomb, with the most memory that was taken at once."""
    for name, (reader, given) in bombs().items():
        outcome, seconds = judge(reader, given, watch)
        tracemalloc.start()
        judge(reader, given, watch)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        yield {"reader": name, "outcome": outcome, "seconds": seconds, "megabytes": peak / 1e6}


def warm_up() -> None:
    """What is imported, and which of our own annotations are evaluated, on first use, is so before anybody listens."""
    for kind in EVENTS.values():
        _fields(kind)
    for text in fuzz.tokens():
        token(text)
    for name, knobs in fuzz.settings(300, 1):
        judge(scene, (name, knobs), Watch.__new__(Watch))
    schedule("... !map ...")
    log(fuzz.logs()[0].splitlines())
    for path in as_files([b"{}"], "x.json"):
        judge(hand_in, path, Watch.__new__(Watch))


def main() -> None:
    """Print a table, or JSON."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("count", nargs="?", type=int, default=100_000)
    words.add_argument("--seed", type=int, default=2019)
    words.add_argument("--json", action="store_true")
    given = words.parse_args()
    warm_up()
    watch = Watch()
    rows = []
    for row in (*campaign(given.count, given.seed, watch), *explode(watch)):
        rows.append(row)
        if not given.json:
            said = {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()}
            print(
                "  ".join(f"{key} {value}" if key != "reader" else f"{value:<42}" for key, value in said.items()),
                flush=True,
            )
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    if given.json:
        print(json.dumps({"rows": rows, "megabytes": rss}))
    else:
        print(f"the whole process: {rss:.0f} MB at most; a token is replayed for at most {LONGEST:,} steps")


if __name__ == "__main__":
    main()
