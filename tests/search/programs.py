"""Random small programs of drivers, as source text: locks, conditions, callbacks, exceptions, changes in place."""

import collections
import contextvars
import dataclasses
import enum
import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from p2plab.core.actors import idle, step, wait_event
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import Event, emit
from p2plab.core.locks import Mutex, RWLock
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.rules.base import Rule
from tests.search.places import Place


@dataclass(frozen=True, slots=True)
class Said(Event):
    """A driver of a random program says a number."""

    value: int


class NeverTwice(Rule):
    """Breaks where somebody says a number above 2 that another said last."""

    name = "never-twice"
    promise = "nobody repeats another"
    source = "these tests"
    stated = False

    def __init__(self):
        super().__init__()
        self.last: dict[int, str] = {}

    def see(self, entry):
        if isinstance(entry.event, Said):
            value = entry.event.value
            if value > 2 and self.last.get(value, entry.actor) != entry.actor:
                yield self.broken(entry, entry.actor, f"{entry.actor} repeats {value}")
            self.last = {value: entry.actor}


class Shared(Tracked):
    """What all drivers of a program share."""

    def __init__(self):
        self.x, self.y, self.z, self.ok = 0, 1, None, False
        self.list: list[int] = []
        self.dict: dict[str, int] = {}
        self.set: set[int] = set()
        self.mutexes = (Mutex("m0"), Mutex("m1"))
        self.rw = RWLock("rw")
        self.listeners: list[Tracked] = []


CONDITIONS = (
    "g.x == 0", "g.x < g.y", "g.z is None", "len(g.list) > 1", "g.ok", "v > 1", "v == g.y", "s.mine > 0",
    "'a' in g.dict", "v in g.list", "v in g.set", "not g.list",
)  # fmt: skip
VALUES = (
    "v", "g.x", "g.y", "(g.x + 1) % 3", "(v + g.y) % 3", "s.number", "s.mine", "1", "0", "len(g.list)", "sum(g.set)",
    "g.dict.get('a', 2)",
)  # fmt: skip


class Writer:
    """Writes one program."""

    def __init__(self, seed: int, place: Place | None = None) -> None:
        """``place``: where the program keeps a bit, besides all else."""
        self.random = random.Random(seed)
        self.place = place
        self.drivers = self.one_of([2, 2, 2, 3])
        self.in_callback = False

    def one_of(self, choices):
        return choices[int(self.random.random() * len(choices))]

    def source(self) -> str:
        text = f"{self.place.module if self.place else ''}class Driver(Tracked):\n    mine = 0\n"
        text += "    def __init__(s, g, number):\n        s.g, s.number, s.history = g, number, []\n"
        if self.place is not None:
            text += f"        {self.place.begin or 'pass'}\n{self.place.methods()}"
        text += "    async def helper(s, v):\n        g = s.g\n        await step('helper 1')\n"
        text += f"        v = await step('helper 2', lambda: {self.one_of(VALUES)} + v)\n        return v % 3\n"
        self.in_callback = True  # and so calls no other: the two would call each other for ever
        text += "    async def callback(s, v):\n        g = s.g\n" + "".join(self.statements(2, 1))
        text += "        return v\n"
        self.in_callback = False
        length = self.one_of([2, 3, 4]) if self.drivers == 2 else self.one_of([1, 2, 3])
        for number in range(self.drivers):
            text += f"    async def run{number}(s):\n        g, v = s.g, {self.one_of([0, 1, 2])}\n"
            if self.random.random() < 0.25:
                text += "        try:\n" + "".join(self.statements(3, length))
                text += "        except (ZeroDivisionError, IndexError, KernelError):\n            g.x = 2\n"
                text += "            await step('handles')\n        finally:\n            g.ok = True\n"
            else:
                text += "".join(self.statements(2, length))
        return text

    def statements(self, depth: int, count: int) -> Iterator[str]:
        for _ in range(count):
            yield self.statement(depth)

    def statement(self, depth: int) -> str:
        i = "    " * depth
        one = self.one_of
        value, other, condition = one(VALUES), one(VALUES), one(CONDITIONS)
        if self.place is not None:
            value, condition = one([value, value, "s.get()"]), one([condition, condition, "s.get() == 1"])
        target = f"g.{one('xy')}"
        simple = [
            f"{i}v = await step('reads', lambda: {value})\n",
            f"{i}v = await step('reads', lambda: {value})\n",
            f"{i}{target} = {value}\n{i}await step('wrote')\n",
            f"{i}await step('writes', lambda v=v: setattr(g, '{target[-1]}', {value}))\n",
            f"{i}await wait_event(lambda: {condition}, 'waits')\n",
            f"{i}{target} = {other} + await s.helper(v)\n",
            f"{i}await step('appends', lambda: g.list.append({value}) if len(g.list) < 3 else None)\n",
            f"{i}s.mine = (s.mine + 1) % 3\n{i}s.history.append(v)\n{i}del s.history[:-1]\n{i}await step('own')\n",
            f"{i}g.dict['a'] = {value}\n{i}await step('dict')\n",
            f"{i}g.set ^= {{v % 3}}\n{i}await step('set')\n",
            f"{i}g.z = s.number\n{i}await step('z')\n",
            f"{i}local = [v]\n{i}local.append(await step('local', lambda: g.x))\n{i}v = sum(local) % 3\n{i}del local\n",
            f"{i}v = [w + v for w in (await step('list', lambda: list(g.list)))][-1:] == [2]\n{i}v = int(v)\n",
            f"{i}emit(Said({value} + 2))\n{i}await step('said')\n",
            f"{i}v = 3 // {value}\n{i}await step('divided')\n",
            f"{i}v = g.list[{one([0, 1])}]\n{i}await step('indexed')\n",
            f"{i}if v == 2:\n{i}    raise KernelError('EBUSY', 'two')\n{i}await step('not two')\n",
        ]
        if self.place is not None:
            simple += 3 * [f"{i}s.put(int({value}) % 2)\n{i}await step('puts')\n"]
        if depth >= 5:
            return one(simple)
        inner = "".join(self.statements(depth + 1, 1))
        nested = [
            f"{i}if {condition}:\n{inner}{i}else:\n{''.join(self.statements(depth + 1, 1))}",
            f"{i}async with g.mutexes[{one([0, 1])}]:\n{inner}",
            f"{i}async with g.mutexes[{one([0, 1])}]:\n{inner}",
            f"{i}async with g.rw.{one(['read', 'write'])}():\n{inner}",
            f"{i}for v in {one(['(1, 1)', '(0, 1, 0)', 'range(2)', '[2, 2]'])}:\n{inner}",
            f"{i}for v in g.{one(['list', 'set', 'dict.values()'])}:\n{inner}",
            f"{i}while v < 2:\n{i}    v = v + 1\n{inner}",
        ]
        if not self.in_callback:
            nested.append(
                f"{i}for driver in list(g.listeners):\n{i}    if driver is not s:\n"
                f"{i}        with called('d', 'callback'):\n{i}            v = await driver.callback(v)\n"
            )
        return one(simple + nested + nested) if depth < 4 else one(simple)


def program(seed: int, place: Place | None = None) -> Callable[[World], None]:
    """The build function of random program number ``seed``, which has a bit in a ``place``."""
    names = {
        "collections": collections, "contextvars": contextvars, "dataclasses": dataclasses, "enum": enum,
        "functools": functools,
        "Tracked": Tracked, "step": step, "wait_event": wait_event, "idle": idle, "emit": emit, "Said": Said,
        "KernelError": KernelError, "called": called, "__name__": f"program{seed}",
    }  # fmt: skip
    exec(compile(source(seed, place), f"<program {seed}>", "exec"), names)  # noqa: S102  the text is this module's own
    driver = names["Driver"]
    count = Writer(seed).drivers

    def build(world: World) -> None:
        shared = Shared()
        drivers = [driver(shared, number) for number in range(count)]
        shared.listeners = list(drivers)
        for number, each in enumerate(drivers):
            world.actor(f"d{number}", getattr(each, f"run{number}"))

    build.driver = driver
    return build


def source(seed: int, place: Place | None = None) -> str:
    """Its text, for a person who looks into a difference."""
    return Writer(seed, place).source()
