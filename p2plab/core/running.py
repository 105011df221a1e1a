"""What is running now: the world being built or stepped, the actor whose step it is, and the step's footprint.

One step runs at a time, so this is a single object and not a thread-local. Everything else in ``core`` reads it, so
that a driver can write ``Mutex("nic")`` or ``await step("…")`` and never has to hand a world around.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2plab.core.tracked import Footprint
    from p2plab.core.world import World


class _Running:
    __slots__ = ("actor", "footprint", "raised", "watch", "world")

    def __init__(self) -> None:
        self.world: World | None = None
        self.actor: str = ""  #: the actor's name; empty while a world is being built
        self.footprint: Footprint | None = None  #: None while nothing is recorded
        #: In this step: an exception that came out of a call into a driver, and the driver.
        self.raised: tuple[BaseException, str] | None = None
        #: Gives a context in which driver code runs while it is watched; None while it is not.
        self.watch: Callable[[], AbstractContextManager[None]] | None = None


running = _Running()


def watched() -> AbstractContextManager[None]:
    """``with watched():`` driver code runs, whether or not its time is watched."""
    return _UNWATCHED if running.watch is None else running.watch()


_UNWATCHED: AbstractContextManager[None] = nullcontext()


def current_world() -> World:
    """The world being built or stepped; RuntimeError outside of both."""
    if running.world is None:
        raise RuntimeError("no world is running: do this in a scenario's build function or in an actor's step")
    return running.world
