"""Whether a child process is stuck in a step: seen from outside, as nothing inside can end one call into C."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

from p2plab.search import watchdog


class Heartbeat:
    """The child's progress in shared memory: the step it is in, and how long that may take."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)
        #: a step, and when it was first seen: processor time, wall time
        self._last: tuple[int, float, float] = 0, 0.0, 0.0
        self.never_ends = False

    def begin(self, number: int, budget: float) -> None:
        """In the child: the next step, or 0 between two."""
        struct.pack_into("=Qd", self._memory, 0, number, budget)

    def stuck(self, child: int) -> bool:
        """Whether the child has been in one step for so long that its own watchdog must have failed."""
        number, budget = struct.unpack_from("=Qd", self._memory, 0)
        computed, now = _computed(child), time.monotonic()
        if not number or number != self._last[0]:
            self._last = number, computed, now
            return False
        _, began, since = self._last
        self.never_ends = computed - began > 2 * budget + 0.3 or now - since > 2 * watchdog.PATIENCE * budget
        return self.never_ends


def _computed(child: int) -> float:
    """A process's processor time in seconds; 0 where the system does not give it in this way."""
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
