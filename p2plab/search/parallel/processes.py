"""Workers that are processes of this machine, reached by pipes. When this process ends, in whatever way, so do they."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from p2plab.search.parallel.team import LATE, Lost, Message, NoWorkers
from p2plab.search.parallel.wire import Ended, Place, boxes, receive, send

#: The size of a pipe in bytes, where it can be set: fewer switches between processes.
_PIPE = 1 << 20


class Processes:
    """A :class:`~p2plab.search.parallel.team.Team`."""

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self._boxes = boxes(parts)
        self._workers = [_Worker(self._boxes) for _ in range(parts)]
        self._mail: dict[int, list[Place]] = {}  #: by sender: the states for each part
        self._timer: threading.Timer | None = None
        self._late = False

    @property
    def process_ids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.process.pid for worker in self._workers]

    def ask(self, kind: str, messages: Mapping[int, Message]) -> dict[int, Message]:
        """All are asked before the first answer is read, so that they work at the same time."""
        lost: set[int] = set()
        answers: dict[int, Message] = {}
        for part, message in messages.items():
            if not self._workers[part].tell(kind, message):
                lost.add(part)
        for part in messages:
            if part not in lost:
                answer = self._workers[part].hear()
                if answer is None:
                    lost.add(part)
                else:
                    answers[part] = answer
        if lost:
            raise NoWorkers(LATE) if self._late else Lost(sorted(lost))
        if kind == "expand":
            self._mail |= {part: answer.pop("mail") for part, answer in answers.items() if "mail" in answer}
        return answers

    def exchange(self, messages: Mapping[int, Message]) -> dict[int, Message]:
        """See :meth:`~p2plab.search.parallel.team.Team.exchange`."""
        mail = {
            part: [(source, its[part]) for source, its in self._mail.items() if source != part] for part in messages
        }
        return self.ask("insert", {part: {**message, "mail": mail[part]} for part, message in messages.items()})

    def replace(self, parts: list[int]) -> None:
        """New processes for those that died."""
        for part in parts:
            self._workers[part].close()
            self._workers[part] = _Worker(self._boxes)

    def limit(self, seconds: float | None) -> None:
        """A stopped worker neither reads nor writes; killing it releases all that wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = threading.Timer(seconds, self._give_up)
            self._timer.daemon = True
            self._timer.start()

    def _give_up(self) -> None:
        self._late = True
        for worker in self._workers:
            worker.process.kill()

    def close(self) -> None:
        """End all of them."""
        self.limit(None)
        for worker in self._workers:
            worker.close()
        for box in self._boxes:
            box.close()


class _Worker:
    def __init__(self, boxes: Sequence[BinaryIO]) -> None:
        home = str(Path(__file__).parents[3])
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.worker", *(str(box.fileno()) for box in boxes)],
            pass_fds=[box.fileno() for box in boxes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            bufsize=0,
            start_new_session=True,  # Ctrl-C in a terminal is for the coordinator
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to: BinaryIO = os.fdopen(os.dup(self.process.stdin.fileno()), "wb", buffering=1 << 16)
        self._from = self.process.stdout
        self.process.stdin.close()
        for stream in (self._to, self._from):
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)

    def tell(self, kind: str, message: Message) -> bool:
        try:
            send(self._to, {"kind": kind, **message})
        except Ended:
            return False
        return True

    def hear(self) -> Message | None:
        try:
            return receive(self._from)  # type: ignore[arg-type]
        except Ended:
            return None

    def close(self) -> None:
        for stream in (self._to, self._from):
            with contextlib.suppress(OSError):
                stream.close()
        self.process.kill()
        self.process.wait()
