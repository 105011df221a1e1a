"""Two threads of one process, as recorded: *window* cases and *race* cases, compared with all outcomes of the model.

In a window case thread A sleeps in each ``invalidate_range_start`` of its operation; B begins when A sleeps for the first
time, and works as far as it can. Only that is fixed: after it any ready thread may go first, and every order is tried.
In a race case nothing is fixed. A recorded outcome agrees if some order of the steps gives it.

Three things are the recorder's and not the kernel's operation: B may have been scheduled too late for its window (its
mark says so: then it is a race that B does not begin before the window is over); B writes to its own stack, which a fork
by A makes copy-on-write; and before 6.4 any page fault, of either thread, holds mmap_lock for reading for a moment.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from p2plab.conform.mm_read import Pair, Recording
from p2plab.conform.mm_replay import COMPARED, KINDS, Replay
from p2plab.conform.report import NotModelled
from p2plab.core.actors import idle, run_alone, step
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.running import running
from p2plab.core.world import World
from p2plab.mm.flags import MAP_FIXED, MAP_PRIVATE, MREMAP_FIXED, MREMAP_MAYMOVE, PAGE_SHIFT, PAGE_SIZE
from p2plab.mm.interval import mmu_interval_notifier_insert
from p2plab.mm.notifier import MmuNotifierRange
from p2plab.mm.recorder import Note, NotifierRecorder, ToPage
from p2plab.mm.sys_madvise import ADVICE, FLAG_ADVICE, OTHER_ADVICE
from p2plab.mm.touch import Signal
from p2plab.mm.zap import unmap_mapping_range

#: A search with more states than this is abandoned: the case counts as not modelled.
MOST_STATES = 20_000
#: where B's stack lies, when it is below the observed memory: fork has copied it by then
STACK = 0x5666_6666_4000
#: marks of the recordings: B begins, B is done (A is done: 3, which nobody waits for, is not compared)
B_BEGINS, B_DONE = 1, 2


@dataclass(frozen=True)
class PairOutcome:
    """What is observable: both results, the events and marks in order, and the memory at the end."""

    a: str
    b: str
    events: tuple[str, ...]
    memory: str


class _Sleepy(NotifierRecorder):
    """A listener in whose start callback thread A sleeps, if ``sleep`` is set, until it is woken."""

    def __init__(self, note: Note, page: ToPage, sleep: Callable[[MmuNotifierRange], Awaitable[None]]) -> None:
        super().__init__(note, page)
        self.sleep = sleep

    async def invalidate_range_start(self, range: MmuNotifierRange) -> int:
        """Record the call, then sleep."""
        await super().invalidate_range_start(range)
        await self.sleep(range)
        return 0


class _Stage:
    """One pair in one world: both results, the notifier calls, whether A sleeps."""

    def __init__(self, pair: Pair, stack: bool) -> None:
        self.pair = pair
        self.stack = stack
        self.window = False
        self.asleep = False
        self.woken = False
        self.answers: dict[str, dict[str, Any]] = {}
        self.replay: Replay
        self.world = World(self._build)

    def _build(self, world: World) -> None:
        pair = self.pair
        case = Recording(pair.where, pair.name, pair.kernel, pair.kind, pair.pages, False, False, ({"op": "mmap"},))

        async def sleep(range: MmuNotifierRange) -> None:
            if running.actor == "A" and self.window and self._sees(range):
                self.asleep = True
                await idle(lambda: not self.asleep, "the callback sleeps")

        async def set_up() -> None:
            self.replay = replay = Replay(case)
            await replay.map_elsewhere()
            await replay.mm.mmap(STACK, PAGE_SIZE, flags=MAP_PRIVATE | MAP_FIXED)
            await replay.mm.touch(STACK, STACK + PAGE_SIZE, True)
            await replay.map(replay.kind, 0, pair.pages)
            await replay.mm.mmu_notifier_register(_Sleepy(replay.note_in(replay.heard), replay.page, sleep))
            length = pair.pages << PAGE_SHIFT
            await mmu_interval_notifier_insert(replay.interval, replay.mm, replay.base, length)
            for text in pair.prep.split(";"):
                await perform(replay, text)
            replay.heard.clear()

        run_alone(set_up)
        self.window = pair.window

        async def a() -> None:
            await step("A begins")
            self.answers["A"] = await perform(self.replay, pair.a["op"])

        async def b() -> None:
            if pair.window:
                await idle(self._begins, "waits for A to sleep")
            else:
                await step("B begins")
            self.replay.heard.append({"cb": "mark", "n": B_BEGINS})
            if self.stack:
                await self.replay.mm.touch(STACK, STACK + PAGE_SIZE, True)
            self.answers["B"] = await perform(self.replay, pair.b["op"])
            self.replay.heard.append({"cb": "mark", "n": B_DONE})

        world.actor("A", a)
        world.actor("B", b)

    def _begins(self) -> bool:
        if "A" in self.answers:
            return True
        return self.woken if self.pair.late else self.asleep

    def _sees(self, range: MmuNotifierRange) -> bool:
        """Whether an event is about memory that the recording looks at."""
        page = self.replay.page
        return self.replay.in_window({"start": page(range.start), "end": page(range.end)}) or range.start == 0

    def choices(self) -> list[str]:
        """The threads that may go next. While A sleeps it is B's turn; A wakes when B can do no more."""
        enabled = self.world.enabled()
        if self.asleep and "B" not in enabled:
            self.asleep, self.woken = False, True
            enabled = self.world.enabled()
        return enabled

    def key(self) -> object:
        """Equal for two moments with the same past observations and the same possible futures."""
        heard = tuple(json.dumps(call) for call in self.replay.heard)
        state = self.world.state()
        cells = frozenset((k, repr(v)) for k, v in state.items())
        return (cells, heard, json.dumps(self.answers), self.asleep, self.woken)

    def outcome(self) -> PairOutcome:
        """What happened, once no thread can go on; one that hangs or crashed has no result."""
        crashed = [repr(actor.crash) for actor in self.world.actors.values() if actor.crash]
        look = self.replay.look()
        events = [call for call in self.replay.heard if call["cb"] == "mark" or self.replay.in_window(call)]
        a, b = (self.answers.get(name, {"hangs": crashed}) for name in "AB")
        return _outcome(self.pair, a, b, events, look)


def _outcome(
    pair: Pair, a: dict[str, Any], b: dict[str, Any], events: list[dict[str, Any]], look: dict[str, Any]
) -> PairOutcome:
    told = []
    for call in events:
        if call.get("cb") == "mark":
            if pair.window and call.get("n") in (B_BEGINS, B_DONE):
                told.append(f"mark {call['n']}")
        elif call.get("cb") in COMPARED:
            lock = [call.get("mmap_lock")] if pair.window else []
            if not pair.kernel.per_vma_lock and lock == ["read"]:
                lock = ["none"]
            told.append(" ".join(map(str, [call["cb"], call.get("event"), call["start"], call["end"], *lock])))
    memory = {name: look.get(name, []) for name in ("pop", "dev_writable", "swapped", "vmas")}
    return PairOutcome(_answer(a), _answer(b), tuple(told), json.dumps(memory))


def _answer(answer: dict[str, Any]) -> str:
    return json.dumps({key: answer[key] for key in ("ret", "errno", "signal", "at", "hangs") if key in answer})


def recorded_outcome(pair: Pair) -> PairOutcome:
    """The outcome that a case recorded."""
    return _outcome(pair, pair.a, pair.b, list(pair.events), pair.memory)


def outcomes(pair: Pair) -> set[PairOutcome] | None:
    """Every outcome of a pair that some order of the steps gives; None if there are too many states."""
    for text in (*pair.prep.split(";"), pair.a["op"], pair.b["op"]):
        understand(text, pair.kind)
    found = _outcomes(pair, stack=False)
    if pair.a["op"] == "fx" and found is not None:  # where B's stack lies is not recorded: both are possible
        other = _outcomes(pair, stack=True)
        return found | other if other is not None else None
    return found


def _outcomes(pair: Pair, *, stack: bool) -> set[PairOutcome] | None:
    found: set[PairOutcome] = set()
    seen: set[object] = set()
    todo: list[tuple[str, ...]] = [()]
    while todo:
        taken = todo.pop()
        stage = _Stage(pair, stack)
        for choice in taken:
            stage.choices()
            stage.world.take(choice)
        while True:
            choices = stage.choices()
            if not choices:
                found.add(stage.outcome())
                break
            if len(choices) > 1:
                key = (stage.key(), taken.count("A"))
                if key in seen:
                    break
                seen.add(key)
                if len(seen) > MOST_STATES:
                    return None
                todo += [(*taken, other) for other in choices[1:]]
            taken = (*taken, choices[0])
            stage.world.take(choices[0])
    return found


# -- the operations, as the recordings write them -------------------------------------------------------------------------


async def perform(replay: Replay, text: str) -> dict[str, Any]:
    """Do one operation written as text (``mp 4 12 1``); what it answered."""
    try:
        await _do(replay, text)
    except KernelError as error:
        return {"ret": -1, "errno": error.name}
    except Signal as signal:
        return {"ret": -1, "signal": signal.name, "at": replay.page(signal.address)}
    return {"ret": 0}


def understand(text: str, kind: str) -> tuple[str, int, int, str]:
    """The parts of an operation: name, first and last page, the rest. NotModelled, or BadInput for a wrong number."""
    name, *rest = text.split() or [""]
    if name not in _TAKES or len(rest) != _TAKES[name]:
        raise NotModelled(f"{name} of two threads")
    if name == "fx":
        return name, 0, 0, ""
    first, last, more = _number(rest[0]), _number(rest[1]), "".join(rest[2:])
    if last < first:
        raise BadInput(f"{text[:40]!r}: the end lies before the start")
    if name in ("mp", "mv", "mg"):
        _number(more)
    if name == "ma" and more not in (*ADVICE, *FLAG_ADVICE, *OTHER_ADVICE):
        raise NotModelled(f"madvise {more}")
    if name == "mf" and more not in KINDS:
        raise NotModelled(f"mmap of {more}")
    if name == "eu" and kind in ("anon", "thp", "anon_shared"):
        raise NotModelled("unmap_mapping_range of anonymous memory")
    return name, first, last, more


async def _do(replay: Replay, text: str) -> None:
    name, first, last, more = understand(text, replay.kind)
    mm = replay.mm
    if name == "fx":
        await (await mm.fork("child")).exit()
        return
    start, length = replay.address(first), (last - first) << PAGE_SHIFT
    if name in ("tr", "tw"):
        await mm.touch(start, start + length, name == "tw")
    elif name == "um":
        await mm.munmap(start, length)
    elif name == "mp":
        await mm.mprotect(start, length, int(more))
    elif name == "ma":
        await mm.madvise(start, length, more)
    elif name == "mv":
        to = replay.address(int(more))
        await mm.mremap(start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to)
    elif name == "mg":
        await mm.mremap(start, length, int(more) << PAGE_SHIFT, 0, 0)
    elif name == "mf":
        await replay.map(more, first, last)
    elif name == "ml":
        await mm.mlock(start, length)
    else:
        file = replay.file(replay.kind)
        assert file is not None
        await unmap_mapping_range(file.f_mapping, first, last - 1)


#: operations, and how many words follow
_TAKES = {"fx": 0, "tr": 2, "tw": 2, "um": 2, "eu": 2, "ml": 2, "mp": 3, "ma": 3, "mv": 3, "mg": 3, "mf": 3}
#: no recorded number is larger
_FARTHEST = 1 << 16


def _number(word: str) -> int:
    if not word.isdecimal() or not word.isascii() or len(word) > 6 or int(word) > _FARTHEST:
        raise BadInput(f"{word[:20]!r} is not a page number up to {_FARTHEST}")
    return int(word)


def differences(pair: Pair, possible: set[PairOutcome]) -> Iterator[tuple[str, Any, Any]]:
    """What differs from the nearest of the possible outcomes; nothing if the recorded one is among them."""
    recorded = recorded_outcome(pair)
    if recorded in possible:
        return
    fields = ("a", "b", "events", "memory")
    near = max(possible, key=lambda o: sum(getattr(o, field) == getattr(recorded, field) for field in fields))
    for field in fields:
        if getattr(near, field) != getattr(recorded, field):
            yield field, getattr(recorded, field), getattr(near, field)
