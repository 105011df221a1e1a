"""Servers start one after the other, in the order in which they were asked for."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from ways.classroom import in_turn
from ways.classroom.in_turn import InTurn, Turns


class Slow:
    """A spawner whose server listens some time after it was started."""

    http_timeout = 5
    log: ClassVar[list[str]] = []
    listening: ClassVar[dict[str, asyncio.Server]] = {}

    def __init__(self, name: str, dies: bool = False) -> None:
        self.name, self.dies, self.dead = name, dies, False

    async def start(self) -> tuple[str, int]:
        self.log.append(f"{self.name} starts")
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, start_serving=False)
        port: int = server.sockets[0].getsockname()[1]
        server.close()

        async def later() -> None:
            await asyncio.sleep(0.2)
            self.dead = self.dies
            if not self.dies:
                self.listening[self.name] = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
                self.log.append(f"{self.name} listens")

        self.task = asyncio.create_task(later())
        return "127.0.0.1", port

    async def poll(self) -> int | None:
        return 1 if self.dead else None


class SlowInTurn(InTurn, Slow):
    """As the class's spawners."""


def started(monkeypatch: pytest.MonkeyPatch, width: int, *spawners: SlowInTurn) -> list[str]:
    """What happened, in order, when all were asked for at once; and what the last one's waiting page said."""
    monkeypatch.setattr(in_turn, "TURNS", Turns(width))
    monkeypatch.setattr(Slow, "log", [])

    async def whole() -> None:
        jobs = [asyncio.create_task(each.start()) for each in spawners]
        await asyncio.sleep(0)
        said: dict[str, Any] = await anext(spawners[-1].progress())
        Slow.log.append(f"said: {said['message']}")
        await asyncio.gather(*jobs)
        for server in Slow.listening.values():
            server.close()

    asyncio.run(whole())
    return Slow.log


def test_the_second_server_starts_when_the_first_one_answers(monkeypatch):
    """And whoever waits is told how many come first."""
    a, b, c = (SlowInTurn(name) for name in "abc")
    assert started(monkeypatch, 1, a, b, c) == [
        "a starts", "said: 1 before you", "a listens", "b starts", "b listens", "c starts", "c listens",
    ]  # fmt: skip


def test_as_many_at_a_time_as_there_are_processors(monkeypatch):
    """Two turns, three servers."""
    log = started(monkeypatch, 2, *(SlowInTurn(name) for name in "abc"))
    assert log[:3] == ["a starts", "b starts", "said: Your server starts"] or log[:2] == ["a starts", "b starts"]
    assert log.index("c starts") > min(log.index("a listens"), log.index("b listens"))


def test_a_server_that_dies_gives_its_turn_away(monkeypatch):
    """The next one does not wait until the time is over."""
    log = started(monkeypatch, 1, SlowInTurn("a", dies=True), SlowInTurn("b"))
    assert [line for line in log if "said" not in line] == ["a starts", "b starts", "b listens"]
