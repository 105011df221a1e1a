"""A hand-in's process, and lines of JSON to and from it. Nothing that it says is trusted."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from p2plab.core.errors import BadInput
from p2plab.course.marking.child import LONGEST_LINE


class Gone(BaseException):
    """The hand-in's process ended, or sent nonsense. No ``Exception``, so that driver code cannot catch it."""


class Child:
    """The process, and lines to and from it."""

    def __init__(self, command: Sequence[str], hello: Mapping[str, object], patience: float) -> None:
        self.patience = patience
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            bufsize=0,
            cwd="/",
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to: BinaryIO = self.process.stdin  # type: ignore[assignment]
        self._from = self.process.stdout.fileno()
        self._rest = b""
        self.dropped: list[int] = []
        self.send("hello", hello)
        kind, said, self.filtered = self.receive(2 * patience)
        if kind == "bad":
            raise BadInput(str(said)[:500])
        self.said: dict[str, Any] = said

    def send(self, *message: object) -> None:
        """A message. :exc:`Gone`."""
        if self.dropped and message[0] != "hello":
            dropped, self.dropped = self.dropped, []
            self.send("forget", dropped)
        data = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while data:
                data = data[self._to.write(data) :]
        except (OSError, ValueError):
            raise Gone(self.ended()) from None

    def receive(self, patience: float = 0.0) -> list[Any]:
        """The next message. :exc:`Gone`."""
        until = time.monotonic() + (patience or self.patience)
        while b"\n" not in self._rest:
            if not select.select([self._from], [], [], max(0.0, until - time.monotonic()))[0]:
                self.close()
                raise Gone("its process does not answer")
            more = os.read(self._from, 1 << 16)
            self._rest += more
            if not more or len(self._rest) > LONGEST_LINE:
                raise Gone(self.ended())
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, list) or not message:
            self.close()
            raise Gone("its process wrote something that is not an answer")
        return message

    def ended(self) -> str:
        """How it ended, as a sentence."""
        self.close()
        status = self.process.returncode
        return f"its process ended (signal {-status})" if status < 0 else f"its process ended by itself (exit {status})"

    def close(self) -> None:
        """End it."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


#: The child, by the class that represents its class in the world.
CHILDREN: weakref.WeakKeyDictionary[type, Child] = weakref.WeakKeyDictionary()
