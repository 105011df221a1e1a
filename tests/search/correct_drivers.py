"""Correct drivers in the styles in which people write them. All hold, and none is refused."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import itertools
import logging
import math
from typing import NamedTuple

import numpy as np

from p2plab.core.actors import step, wait_event
from p2plab.core.locks import Mutex, RWLock
from p2plab.core.tracked import Tracked
from p2plab.drivers.nic import ObedientNic

PAGE = 0x1000
LIMITS = {"pages": 64, "batch": 2}
NAMES = ["idle", "busy"]
LOG = logging.getLogger("nic")
MISSING = object()


class Step(enum.Enum):
    IDLE = 0
    BUSY = 1


class Flags(enum.Flag):
    MAPPED = enum.auto()
    STALE = enum.auto()


class Count(enum.IntFlag):
    ONE = 1
    TWO = 2


def pages_of(start: int, end: int) -> range:
    return range(start, end, PAGE)


def remember(nic: ObedientNic, name: str, value: object) -> None:
    setattr(nic, name, value)


class Nic(ObedientNic):
    """Each style sets something up, notes that an invalidation was under way, and asks again later."""

    def begin(self) -> None:
        self.busy = False

    def note(self, busy: bool) -> None:
        self.busy = busy

    def is_busy(self) -> bool:
        return self.busy

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.begin()

    async def invalidate_range_start(self, range):
        async with self.lock:
            self.note(True)
            self.invalidation_begins(range)
            low, high = self.concerned(range)
            await self.engine.clear(low, high)
            await self.engine.drain(low, high)
            await self.p2p_unmap(low, high)
            if not self.is_busy():
                raise RuntimeError("what was noted is lost")
        return 0

    async def invalidate_range_end(self, range):
        self.note(False)
        self.invalidation_ends(range)


class WithMutex(Nic):
    def begin(self):
        self.own = Mutex("own")
        self.busy = False

    async def map(self, start, end):
        async with self.own:
            await step("looks")
        await super().map(start, end)


class WithRwlock(Nic):
    def begin(self):
        self.rw = RWLock("rw")
        self.busy = False

    async def map(self, start, end):
        async with self.rw.read():
            await step("looks")
        await super().map(start, end)


class SequenceCounter(Nic):
    def begin(self):
        self.seq = 0

    def note(self, busy):
        self.seq = (self.seq + 1) % 2

    def is_busy(self):
        return self.seq == 1


class Refcount(Nic):
    def begin(self):
        self.refs = collections.Counter()

    def note(self, busy):
        self.refs["invalidations"] += 1 if busy else -1

    def is_busy(self):
        return self.refs["invalidations"] > 0


class PerPage(Nic):
    def begin(self):
        self.pages = collections.defaultdict(list)

    def note(self, busy):
        if busy:
            self.pages[0].append(busy)
        else:
            self.pages[0].clear()

    def is_busy(self):
        return bool(self.pages[0])


class WithOrderedDict(Nic):
    def begin(self):
        self.order = collections.OrderedDict(idle=0)

    def note(self, busy):
        if busy:
            self.order["busy"] = 1
            self.order.move_to_end("busy", last=False)
        else:
            self.order.popitem(last=False)

    def is_busy(self):
        return next(iter(self.order)) == "busy"


class WithItertools(Nic):
    async def p2p_unmap(self, start, end):
        pages = sorted(page for page in self.held if start <= page < end)
        for first, last in itertools.pairwise([*pages, end]):
            await step("takes a part out")
            for page in itertools.takewhile(lambda page, last=last: page < last, itertools.count(first, PAGE)):
                await super().p2p_unmap(page, page + PAGE)


class Workqueue(Nic):
    def begin(self):
        self.queue = collections.deque(maxlen=4)

    def note(self, busy):
        if busy:
            self.queue.append("invalidate")
        else:
            self.queue.popleft()

    def is_busy(self):
        return "invalidate" in self.queue

    async def flush(self):
        await wait_event(lambda: not self.queue, "flushed")

    async def map(self, start, end):
        await self.flush()
        await super().map(start, end)


class Completion(Tracked):
    def __init__(self):
        self.done = True

    def complete(self):
        self.done = True

    async def wait(self):
        await wait_event(lambda: self.done, "completion")


class WithCompletion(Nic):
    def begin(self):
        self.completion_ = Completion()

    def note(self, busy):
        self.completion_.done = not busy

    def is_busy(self):
        return not self.completion_.done

    async def map(self, start, end):
        await self.completion_.wait()
        await super().map(start, end)


class Batches(Nic):
    def begin(self):
        self.batch: list[int] = []

    def note(self, busy):
        self.batch = [int(busy)] * LIMITS["batch"]

    def is_busy(self):
        return all(self.batch)


class Slot:
    def __init__(self, number):
        self.number, self.busy = number, False


class OwnClass(Nic):
    def begin(self):
        self.slot = Slot(0)

    def note(self, busy):
        self.slot.busy = busy

    def is_busy(self):
        return self.slot.busy


class TwoEngines(Nic):
    def begin(self):
        self.slots = [Slot(number) for number in range(2)]
        self.current = self.slots[1]

    def note(self, busy):
        self.current.busy = busy

    def is_busy(self):
        return self.slots[1].busy and not self.slots[0].busy


class KeepsSlot(Nic):
    def begin(self):
        self.slots = [Slot(number) for number in range(2)]

    def is_busy(self):
        return self.slots[0].busy

    def note(self, busy):
        self.slots[0].busy = busy

    async def map(self, start, end):
        slot = self.slots[1]
        await step("looks")
        slot.number = 1
        await super().map(start, end)


@dataclasses.dataclass
class State:
    busy: bool = False
    pages: list[int] = dataclasses.field(default_factory=list)


class WithDataclass(Nic):
    def begin(self):
        self.state = State()

    def note(self, busy):
        self.state.busy = busy
        self.state.pages[:] = [1] if busy else []

    def is_busy(self):
        return self.state.busy and self.state.pages == [1]


@dataclasses.dataclass(frozen=True)
class Frozen:
    busy: bool
    comment: str = dataclasses.field(default="", compare=False)


class WithFrozen(Nic):
    def begin(self):
        self.state = Frozen(False)

    def note(self, busy):
        self.state = dataclasses.replace(self.state, busy=busy)

    def is_busy(self):
        return self.state.busy


@dataclasses.dataclass(slots=True)
class Slotted:
    busy: bool = False


class WithSlots(Nic):
    __slots__ = ("mine",)

    def begin(self):
        self.mine = Slotted()

    def note(self, busy):
        self.mine.busy = busy

    def is_busy(self):
        return self.mine.busy


class Record(NamedTuple):
    busy: bool
    when: str


class WithNamedTuple(Nic):
    def begin(self):
        self.record = Record(False, "never")

    def note(self, busy):
        self.record = self.record._replace(busy=busy)

    def is_busy(self):
        return self.record.busy


class WithEnum(Nic):
    def begin(self):
        self.state = Step.IDLE

    def note(self, busy):
        self.state = Step.BUSY if busy else Step.IDLE

    def is_busy(self):
        return self.state is Step.BUSY


class WithFlag(Nic):
    def begin(self):
        self.flags = Flags.MAPPED

    def note(self, busy):
        self.flags = self.flags | Flags.STALE if busy else self.flags & ~Flags.STALE

    def is_busy(self):
        return Flags.STALE in self.flags


class WithIntFlag(Nic):
    def begin(self):
        self.flags = Count.ONE

    def note(self, busy):
        self.flags = Count.ONE | Count.TWO if busy else Count.ONE

    def is_busy(self):
        return bool(self.flags & Count.TWO)


class WithPartial(Nic):
    def begin(self):
        self.mark = functools.partial(remember, self, "busy")
        self.mark(False)

    def note(self, busy):
        self.mark(busy)


class WithClosure(Nic):
    def begin(self):
        busy = [False]

        def put(value):
            busy[0] = value

        self.put, self.get = put, lambda: busy[0]

    def note(self, busy):
        self.put(busy)

    def is_busy(self):
        return self.get()


class WithNonlocal(Nic):
    def begin(self):
        self.busy = False

    async def map(self, start, end):
        times = 0

        async def again():
            nonlocal times
            times += 1
            await step("again")

        await again()
        assert times == 1
        await super().map(start, end)


class WithContextManager(Nic):
    @contextlib.asynccontextmanager
    async def quiet(self):
        await step("quiet")
        try:
            yield self
        finally:
            await step("loud")

    async def map(self, start, end):
        async with self.quiet():
            await step("inside")
        await super().map(start, end)


class WithLazyImport(Nic):
    async def map(self, start, end):
        import textwrap

        self.title = textwrap.shorten("a NIC that maps", 10)
        await super().map(start, end)


class Logs(Nic):
    async def map(self, start, end):
        LOG.info("maps %x", start)
        print("maps", hex(start))
        try:
            await super().map(start, end)
        except ValueError:
            LOG.exception("what?")


class Computes(Nic):
    def begin(self):
        self.width = math.ceil(math.log2(LIMITS["pages"]))
        self.busy = False

    async def map(self, start, end):
        for first, last in itertools.pairwise([*pages_of(start, end), end]):
            self.width = max(self.width, (last - first).bit_length())
        assert NAMES[int(self.busy)] in NAMES
        await super().map(start, end)


class WithNumpy(Nic):
    def begin(self):
        self.count = np.int64(0)

    def note(self, busy):
        self.count = np.int64(int(busy)) + np.int64(0)

    def is_busy(self):
        return bool(self.count)


class WithSentinel(Nic):
    def begin(self):
        self.busy = False

    async def map(self, start, end):
        found = MISSING
        await step("looks")
        if found is MISSING:
            await super().map(start, end)


class WithLocalSet(Nic):
    async def map(self, start, end):
        todo = {"program", "check"}
        await step("looks")
        todo.discard("check")
        if todo == {"program"}:
            await super().map(start, end)


class WithMatch(Nic):
    def begin(self):
        self.state = ("idle", 0)

    def note(self, busy):
        self.state = ("busy", 1) if busy else ("idle", 0)

    def is_busy(self):
        match self.state:
            case ("busy", count):
                return count == 1
            case _:
                return False


class WithProperty(Nic):
    def begin(self):
        self._state = Step.IDLE

    @property
    def busy(self):
        return self._state is Step.BUSY

    @busy.setter
    def busy(self, value):
        self._state = Step.BUSY if value else Step.IDLE

    @functools.cached_property
    def width(self):
        return LIMITS["pages"]

    async def map(self, start, end):
        assert self.width == 64
        assert vars(self)["width"] == 64
        await super().map(start, end)


class LazyUnmap(Nic):
    def begin(self):
        self.later: list[tuple[int, int]] = []
        self.busy = False

    async def unmap(self, start, end):
        self.later.append((start, end))
        await step("puts it off")
        while self.later:
            low, high = self.later.pop()
            await super().unmap(low, high)


STYLES = [
    kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, Nic) and kind is not Nic
]
