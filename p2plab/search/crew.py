"""The workers of a search over many scenes: this process, or forks of it that share the scenes.

A fork needs no name for a class from a notebook's cell. It sends its verdicts as JSON, and a story as its choices, which
this process executes again. If a fork dies or gets stuck in a step, this process takes over its task: the same happens
here, where the command watches it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import select
import signal
import socket
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from p2plab.core.errors import BadInput, P2PError
from p2plab.core.scenario import Scenario
from p2plab.search import watchdog
from p2plab.search.checking import Checking
from p2plab.search.rounds import Task
from p2plab.search.search import Progress
from p2plab.search.sent import packed, unpacked
from p2plab.search.stuck import Heartbeat
from p2plab.search.verdict import Effort, Incomplete, Verdict
from p2plab.search.watchdog import Watchdog, silence

#: Maximum number of forks by default: in the end only a few large scenes are left.
MOST = 4
#: Seconds that a fork works between two looks for messages.
_SLICE = 0.05
#: Seconds between two reports of how far a search is.
_REPORT = 0.2
#: Seconds that forks have to report their findings after a cancel.
_LAST_WORDS = 1.5
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Work(NamedTuple):
    """A task with its limit in states or seconds; ``at_random``: seconds for random orders instead."""

    task: Task
    states: int
    seconds: float
    at_random: float | None = None


class News(NamedTuple):
    """The result of a task: its answer, or None when its states or seconds are used up."""

    task: Task
    answer: Verdict | None


@dataclass
class Searches:
    """The searches of one process. ``make`` begins the search of a task."""

    make: Callable[[Task], Checking]
    asked: int | None  #: the bound that was asked for
    why: str  #: tasks whose search must end, for its verdict

    def __post_init__(self) -> None:
        self.begun: dict[Task, Checking] = {}
        self._used: dict[Task, float] = {}

    def begin(self, task: Task) -> Checking:
        """The search of a task."""
        if task not in self.begun:
            self.begun[task] = self.make(task)
        return self.begun[task]

    def advance(self, work: Work, seconds: float) -> News | None:
        """Go on for about that long; None if there is nothing new yet."""
        task, checking = work.task, self.begin(work.task)
        if work.at_random is not None and not checking.search.at_random and checking.verdict is None:
            checking.search.try_at_random(self.why, work.at_random)
        began = time.perf_counter()
        answer = checking.advance(max(0.001, min(seconds, work.seconds - self._used.get(task, 0.0))))
        if answer is None and checking.search.at_random and task.bound != self.asked:
            answer = checking.cancel()  # random orders find no smaller story than the present one
        self._used[task] = self._used.get(task, 0.0) + time.perf_counter() - began
        if answer is not None:
            self.forget(task)
            return News(task, answer)
        if checking.search.at_random or (checking.progress.states <= work.states and self._used[task] < work.seconds):
            return None
        self._used.pop(task)
        return News(task, None)

    def forget(self, task: Task) -> None:
        """Drop a search."""
        self.begun.pop(task, None)
        self._used.pop(task, None)

    def cancel(self) -> dict[Task, Verdict]:
        """What each search has found so far."""
        return {task: checking.cancel() for task, checking in self.begun.items()}


class Here:
    """One process does all: the most urgent first."""

    def __init__(self, searches: Searches) -> None:
        self.searches = searches
        self._last: Task | None = None

    def advance(self, works: Mapping[Task, Work], seconds: float) -> list[News]:
        """Work for about that long."""
        self._last = next(iter(works))
        news = self.searches.advance(works[self._last], seconds)
        return [] if news is None else [news]

    @property
    def at_work(self) -> dict[Task, Progress]:
        """The task at work, and how far it is."""
        return {} if self._last is None or self._last not in self.searches.begun else {
            self._last: self.searches.begun[self._last].progress
        }  # fmt: skip

    def cancel(self) -> dict[Task, Verdict]:
        """See :meth:`Searches.cancel`."""
        return self.searches.cancel()

    def close(self) -> None:
        """Nothing to end."""


class Copies:
    """Forks of this process, each with its own searches; ``scene_of`` gives the scene for a task's story."""

    def __init__(self, searches: Searches, workers: int, scene_of: Callable[[Task], Scenario]) -> None:
        self.here = Here(searches)
        self._scene_of = scene_of
        self._copies: list[_Copy] = []
        self._lost: set[Task] = set()  #: a fork died of them, or got stuck
        for _ in range(workers):
            self._copies.append(_Copy(searches, self._copies))

    def advance(self, works: Mapping[Task, Work], seconds: float) -> list[News]:
        """Give every fork a task, and listen for about that long."""
        self._bury()
        self._forget(works)
        mine = {task: work for task, work in works.items() if not self._copies or task in self._lost}
        news = self.here.advance(mine, min(seconds, 2 * _SLICE)) if mine else []
        for copy in self._copies:
            work = self._next(copy, works) if copy.work is None else works[copy.work.task]
            if work is not None and work != copy.work:
                copy.tell(work)
        sockets = {copy.socket: copy for copy in self._copies}
        for ready in select.select(list(sockets), [], [], 0.0 if mine else seconds)[0]:
            news += [self._news(sockets[ready], said) for said in sockets[ready].hear() if "task" in said]
        return news

    @property
    def at_work(self) -> dict[Task, Progress]:
        """The tasks at work, and how far each is."""
        return self.here.at_work | {copy.work.task: copy.progress for copy in self._copies if copy.work is not None}

    def cancel(self) -> dict[Task, Verdict]:
        """What each search has found so far; of a fork that does not answer in time, only the number of states."""
        found = self.here.cancel()
        for copy in self._copies:
            copy.say({"cancel": True})
        until = time.monotonic() + _LAST_WORDS
        silent = {copy.socket: copy for copy in self._copies if not copy.ended}
        while silent and (left := until - time.monotonic()) > 0:
            for ready in select.select(list(silent), [], [], left)[0]:
                copy = silent[ready]
                for said in copy.hear():
                    if "task" in said:
                        news = self._news(copy, said)
                        found |= {} if news.answer is None else {news.task: news.answer}
                    if "cancelled" in said:
                        copy.ended = True
                if copy.ended:
                    silent.pop(ready)
        for copy in self._copies:
            for task in copy.begun - set(found):
                effort = Effort(copy.progress.states) if copy.work is not None and copy.work.task == task else Effort()
                found[task] = Incomplete(self._scene_of(task).name, self.here.searches.why, None, effort)
        self.close()
        return found

    def close(self) -> None:
        """End all copies."""
        for copy in self._copies:
            copy.close()
        self._copies = []

    def _bury(self) -> None:
        for copy in tuple(self._copies):
            if copy.ended or copy.steps.stuck(copy.process_id):
                copy.close()
                self._copies.remove(copy)
                self._lost |= set() if copy.work is None else {copy.work.task}

    def _forget(self, works: Mapping[Task, Work]) -> None:
        """Drop tasks that are no longer wanted, because a smaller story was found."""
        for copy in self._copies:
            for task in copy.begun - set(works):
                copy.forget(task)

    def _next(self, copy: _Copy, works: Mapping[Task, Work]) -> Work | None:
        """The most urgent task that is this fork's or free; else the least urgent one waiting for another, begun again."""
        owner = {task: other for other in self._copies for task in other.begun}
        free = [work for task, work in works.items() if task not in self._lost]
        for work in free:
            if owner.get(work.task, copy) is copy:
                return work
        for work in reversed(free):
            other = owner[work.task]
            if other.work is None or other.work.task != work.task:
                other.forget(work.task)
                return work
        return None

    def _news(self, copy: _Copy, said: Mapping[str, Any]) -> News:
        task = Task(*said["task"])
        if copy.work is not None and copy.work.task == task:
            copy.work = None
        if said["answer"] is None:
            return News(task, None)
        copy.begun.discard(task)
        with Watchdog(), silence():  # a story runs the driver's code
            return News(task, unpacked(said["answer"], self._scene_of(task)))


class _Copy:
    """One fork, seen from this process."""

    def __init__(self, searches: Searches, others: Iterable[_Copy]) -> None:
        self.work: Work | None = None
        self.begun: set[Task] = set()
        self.steps = Heartbeat()
        self.ended = False
        self.progress = Progress(0, 0.0, 0, 0, 0.0)
        self._heard = b""
        self.socket, its = socket.socketpair()
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about threads beside a fork: the fork only computes
            self.process_id = os.fork()
        if not self.process_id:
            try:
                for other in (*others, self):
                    other.socket.close()
                _die_with(parent)
                watchdog.heartbeat = self.steps.begin
                _Serving(searches, its).run()
            finally:
                os._exit(0)
        its.close()

    def tell(self, work: Work) -> None:
        """What to do from now on."""
        self.work = work
        self.begun.add(work.task)
        self.progress = Progress(0, 0.0, 0, 0, 0.0)
        self.say({"work": work})

    def forget(self, task: Task) -> None:
        """Take a task away from it."""
        self.begun.discard(task)
        if self.work is not None and self.work.task == task:
            self.work = None
        self.say({"forget": task})

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message; a dead fork is noticed later."""
        try:
            self.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.ended = True

    def hear(self) -> list[dict[str, Any]]:
        """The messages that have arrived. :exc:`BadInput` for a driver that was refused."""
        try:
            some = self.socket.recv(1 << 20)
        except OSError:
            some = b""
        self.ended |= not some
        *lines, self._heard = (self._heard + some).split(b"\n")
        messages: list[dict[str, Any]] = [json.loads(line) for line in lines]
        for said in messages:
            if "refused" in said:
                raise BadInput(said["refused"])
            if "failed" in said:
                raise RuntimeError(said["failed"])
            if "at" in said and self.work is not None and self.work.task == Task(*said["at"]):
                self.progress = Progress(**said["progress"])
        return messages

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process_id, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process_id, 0)
        self.socket.close()


class _Serving:
    """In the fork: a loop that ends when cancelled, or together with its parent process."""

    def __init__(self, searches: Searches, socket: socket.socket) -> None:
        self.searches, self.socket = searches, socket
        self._heard = b""
        self._work: Work | None = None
        self._told = 0.0

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
        try:
            while self._listen():
                if self._work is not None:
                    self._go_on(self._work)
        except P2PError as error:
            self._say({"refused": str(error)})
        except OSError:  # the parent is gone
            pass
        except BaseException:  # noqa: BLE001 - whatever it is, the process that asked must know
            self._say({"failed": traceback.format_exc()})

    def _go_on(self, work: Work) -> None:
        news = self.searches.advance(work, _SLICE)
        if news is not None:
            self._work = None
            self._say({"task": work.task, "answer": None if news.answer is None else packed(news.answer)})
        elif time.monotonic() - self._told > _REPORT:
            self._told = time.monotonic()
            now = self.searches.begun[work.task].progress
            self._say({"at": work.task, "progress": dataclasses.asdict(now)})

    def _listen(self) -> bool:
        """Handle a message; whether to go on."""
        while select.select([self.socket], [], [], 0.0 if self._work is not None else None)[0]:
            some = self.socket.recv(1 << 16)
            if not some:
                return False
            *lines, self._heard = (self._heard + some).split(b"\n")
            for said in map(json.loads, lines):
                if "work" in said:
                    task, *rest = said["work"]
                    self._work = Work(Task(*task), *rest)
                elif "forget" in said:
                    self._forget(Task(*said["forget"]))
                else:
                    for task, answer in self.searches.cancel().items():
                        self._say({"task": task, "answer": packed(answer)})
                    self._say({"cancelled": True})
                    return False
        return True

    def _forget(self, task: Task) -> None:
        self.searches.forget(task)
        if self._work is not None and self._work.task == task:
            self._work = None

    def _say(self, message: Mapping[str, Any]) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")


def processors() -> int:
    """The useful number of processes: one for each processor, four at most; one without ``fork``."""
    if not hasattr(os, "fork"):
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST, usable)


def _die_with(parent: int) -> None:
    """Have the system end this fork when its parent goes, even in a call that never ends."""
    with contextlib.suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
