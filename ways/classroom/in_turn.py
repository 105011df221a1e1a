"""Spawners whose servers start one after the other, as many at a time as the machine has processors.

Thirty servers that start at once share the processors: all thirty wait about as long as the last. In turn the first student
has a server soon, where the processors are the hub's own; docs/classroom.md says what was measured, and what was not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner


class Turns:
    """First come, first served, ``width`` at a time; a turn ends when the server answers."""

    def __init__(self, width: int) -> None:
        self.free = asyncio.Semaphore(width)
        self.waiting: list[object] = []

    def before(self, who: object) -> int:
        """How many come first; 0 for who is not waiting."""
        return self.waiting.index(who) if who in self.waiting else 0


#: One queue for the hub's process.
TURNS = Turns(os.cpu_count() or 1)


class InTurn:
    """To be mixed into a spawner whose ``start`` gives (ip, port): ``class Mine(InTurn, SystemdSpawner)``."""

    async def start(self) -> Any:
        """Start when it is this server's turn. The time in the queue counts towards ``start_timeout``."""
        TURNS.waiting.append(self)
        try:
            await TURNS.free.acquire()
        finally:
            TURNS.waiting.remove(self)
        try:
            address = await super().start()
            with suppress(TimeoutError):  # the hub itself asks the server next, and says what is wrong
                async with asyncio.timeout(self.http_timeout):
                    while await self.poll() is None and not await _listens(*address):
                        await asyncio.sleep(0.1)
            return address
        finally:
            TURNS.free.release()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What the waiting page says."""
        said = None
        while True:
            before = TURNS.before(self)
            if before != said:
                words = f"{before} before you" if before else "Your server starts"
                yield {"progress": 10 if before else 50, "message": words}
                said = before
            await asyncio.sleep(0.5)


async def _listens(ip: str, port: int) -> bool:
    """JupyterHub's own way of waiting asks ever more seldom, which would leave processors idle between two turns."""
    try:
        _, writer = await asyncio.open_connection(ip, port)
    except OSError:
        return False
    writer.close()
    return True


class SimpleInTurn(InTurn, SimpleLocalProcessSpawner):
    """For the rehearsal."""
