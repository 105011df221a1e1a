"""Where Python has no threads (in a browser): somebody who looks at the clock from inside, at loops and calls.

It needs ``sys.monitoring``, of Python 3.12. What never leaves a single call into C cannot be stopped this way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_TOOL = 4  # one of the two ids that sys.monitoring leaves to anybody
_EVERY = 256


class Interrupter:
    """Calls ``look`` at every 256th turn of a loop or call of a function, from :meth:`start` to :meth:`stop`.

    What ``look`` raises comes out of the code that was running.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._count = 0
        self._mine = False

    def start(self) -> None:
        """Begin. Where Python is too old, or another tool has the place, nobody looks."""
        watch: Any = getattr(sys, "monitoring", None)
        if watch is None or watch.get_tool(_TOOL) is not None:
            return
        self._mine = True
        watch.use_tool_id(_TOOL, "p2plab")
        for event in (watch.events.JUMP, watch.events.PY_START):
            watch.register_callback(_TOOL, event, self._turn)
        watch.set_events(_TOOL, watch.events.JUMP | watch.events.PY_START)

    def stop(self) -> None:
        """End it, and leave nothing behind."""
        if self._mine:
            self._mine = False
            watch: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
            watch.set_events(_TOOL, 0)
            watch.free_tool_id(_TOOL)

    def _turn(self, *_where: object) -> None:
        self._count += 1
        if self._count % _EVERY == 0:
            self._look()
