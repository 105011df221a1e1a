"""Actors, steps and the world that takes them."""

import gc
from dataclasses import dataclass

import pytest

from p2plab.core.actors import idle, run_alone, step, wait_event
from p2plab.core.errors import KernelError, NotEnabled
from p2plab.core.events import Event, emit
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import follow, straight
from p2plab.core.tracked import Tracked
from p2plab.core.world import Crashed, World


@dataclass(frozen=True, slots=True)
class Remarked(Event):
    text: str

    def __str__(self):
        return self.text


class Counter(Tracked):
    def __init__(self):
        self.value = 0


def texts(world: World) -> list[tuple[int, str, str]]:
    return [(entry.step, entry.actor, str(entry.event)) for entry in world.log if str(entry.event)]


def race(world: World) -> None:
    """Two actors that each read, wait, and write back one more."""
    counter = Counter()
    world.things = {"counter": counter}

    def adder():
        async def add() -> None:
            seen = await step("reads", lambda: counter.value)
            await step("writes", lambda: setattr(counter, "value", seen + 1))

        return add()

    world.actor("one", adder)
    world.actor("two", adder)


def test_between_two_awaits_anything_else_may_happen():
    """The lost update appears when the second actor reads between the first one's two steps, and only then."""
    world = World(race)
    for choice in ("one", "one", "two", "two"):
        world.take(choice)
    assert world.things["counter"].value == 2
    world = World(race)
    for choice in ("one", "two", "one", "two"):
        world.take(choice)
    assert world.things["counter"].value == 1
    assert texts(world) == [(1, "one", "reads"), (2, "two", "reads"), (3, "one", "writes"), (4, "two", "writes")]


def test_a_choice_that_cannot_be_taken_says_why_and_changes_nothing():
    """Blocked, idle, finished, unknown: each refusal has its sentence, and the state and the log stay as they were."""

    def build(world: World) -> None:
        counter = Counter()

        async def waits() -> None:
            await wait_event(lambda: counter.value > 0, "the counter to move", waits_for=lambda: ("ends",))

        async def ends() -> None:
            await step("only step")

        async def rests() -> None:
            await idle(lambda: counter.value > 9)

        world.actor("waits", waits)
        world.actor("ends", ends)
        world.actor("rests", rests)
        world.action("go", "starts it", lambda: None, lambda: "the lights are red")

    world = World(build)
    world.take("ends")
    before = (world.state(), list(world.log), world.steps, world.now, world.footprint)
    said = {}
    for choice in ("waits", "ends", "rests", "nobody", "!go", "!gone"):
        with pytest.raises(NotEnabled) as refusal:
            world.take(choice)
        said[choice] = str(refusal.value)
    assert (world.state(), list(world.log), world.steps, world.now, world.footprint) == before
    assert said == {
        "waits": "waits waits: the counter to move (for ends)",
        "ends": "ends has finished",
        "rests": "rests has nothing to do",
        "nobody": "there is no actor 'nobody'; there are waits, ends, rests",
        "!go": "the lights are red",
        "!gone": "there is no action 'gone'; there are go",
    }


def test_an_effect_that_refuses_raises_at_the_await():
    """A KernelError of an effect arrives in the driver's own line, which may handle it."""

    def build(world: World) -> None:
        def refuse() -> None:
            raise KernelError("ENOSPC", "no slot is free")

        async def driver() -> None:
            try:
                await step("asks", refuse)
            except KernelError as error:
                emit(Remarked(f"got {error} ({error.errno})"))

        world.actor("driver", driver)

    world = World(build)
    follow(world, straight)
    assert texts(world) == [(1, "driver", "asks"), (1, "driver", "got -ENOSPC: no slot is free (28)")]


def test_a_driver_that_raises_is_a_finding_with_its_line():
    """The crash is in the log, names the function and the line, and the others go on."""

    def build(world: World) -> None:
        async def bad() -> None:
            await step("first")
            raise ZeroDivisionError("by nothing")

        async def good() -> None:
            await step("a")
            await step("b")

        world.actor("bad", bad)
        world.actor("good", good)

    world = World(build)
    follow(world, straight)
    crash = next(entry.event for entry in world.log if isinstance(entry.event, Crashed))
    assert crash.error == "ZeroDivisionError: by nothing"
    assert crash.where.startswith("test_a_driver_that_raises_is_a_finding_with_its_line.<locals>.build.<locals>.bad:")
    assert world.why_not("bad") == "bad crashed"
    assert texts(world)[-2:] == [(2, "good", "a"), (3, "good", "b")]


def test_awaiting_something_foreign_is_named():
    """A driver that awaits an asyncio future is told what can be awaited."""
    import types

    @types.coroutine
    def foreign():
        yield "a future"

    def build(world: World) -> None:
        async def driver() -> None:
            await step("first")
            await foreign()

        world.actor("driver", driver)

    world = World(build)
    follow(world, straight)
    crash = next(entry.event for entry in world.log if isinstance(entry.event, Crashed))
    assert crash.error == (
        "Crash: driver awaited str, which is not a step of p2plab: await step(…), a lock, or another driver's coroutine"
    )


def test_a_person_s_press_is_a_step_like_any_other():
    """The press is in the log under the person's name, and wakes who was idle."""

    def build(world: World) -> None:
        counter = Counter()

        async def worker() -> None:
            while True:
                await idle(lambda: counter.value, "works")
                counter.value = 0

        world.actor("worker", worker)
        world.action("work", "gives it work", lambda: setattr(counter, "value", 1))

    world = World(build)
    assert world.enabled() == []
    world.take("!work")
    assert world.enabled() == ["worker"]
    world.take("worker")
    assert texts(world) == [(1, "you", "presses work"), (2, "worker", "works")]


def test_time_flows_by_the_durations_of_steps():
    """A step starts when its actor is ready, and never before the step that was logged ahead of it."""

    def build(world: World) -> None:
        async def slow() -> None:
            await step("long", duration=10)
            await step("after")

        async def fast() -> None:
            await step("short", duration=2)
            await step("again", duration=2)

        world.actor("slow", slow)
        world.actor("fast", fast)

    world = World(build)
    for choice in ("slow", "fast", "fast", "slow"):
        world.take(choice)
    assert [(e.time, str(e.event)) for e in world.log] == [(0, "long"), (0, "short"), (2, "again"), (10, "after")]


def test_run_alone_needs_nobody_else():
    """One coroutine to its end, with effects and refusals; a wait that nobody can end is an error."""

    class Thing(Event):
        __slots__ = ()

    def refuse() -> None:
        raise KernelError("EBUSY", "taken")

    async def job() -> str:
        first = await step("one", lambda: 1)
        try:
            await step("two", refuse)
        except KernelError as error:
            return f"{first} {error.name}"
        return "never"

    assert run_alone(job) == "1 EBUSY"
    with pytest.raises(RuntimeError, match="alone, and waiting for ever: pigs fly"):
        run_alone(lambda: wait_event(lambda: False, "pigs fly"))


def test_a_condition_that_raises_does_so_in_the_driver_s_own_await():
    """The actor may step; its step is a crash like any other, or is handled."""

    def build(world: World) -> None:
        async def careless() -> None:
            await wait_event(lambda: 1 / 0, "never")

        async def careful() -> None:
            try:
                await wait_event(lambda: 1 / 0, "never")
            except ZeroDivisionError:
                await step("copes")

        world.actor("careless", careless)
        world.actor("careful", careful)

    world = World(build)
    assert world.enabled() == ["careless", "careful"]
    assert follow(world, straight) == ("careless", "careful", "careful")
    assert [str(e.event) for e in world.log if isinstance(e.event, Crashed)] == [
        "crashed: ZeroDivisionError: division by zero (in "
        "test_a_condition_that_raises_does_so_in_the_driver_s_own_await.<locals>.build.<locals>.careless.<locals>."
        f"<lambda>:{build.__code__.co_firstlineno + 2})"
    ]


def test_a_driver_that_leaves_the_program_only_crashes_itself():
    """``sys.exit()`` in a driver ends the driver."""

    def build(world: World) -> None:
        async def leaves() -> None:
            await step("first")
            raise SystemExit(3)

        world.actor("leaves", leaves)

    world = World(build)
    follow(world, straight)
    assert [e.event.error for e in world.log if isinstance(e.event, Crashed)] == ["SystemExit: 3"]


def test_a_world_that_is_buried_in_the_middle_of_another_s_step_leaves_no_trace_in_it():
    """The collector may run at any allocation; what it buries has coroutines, and these have ``finally`` blocks."""
    busy = [False]

    class Box(Tracked):
        def __init__(self) -> None:
            self.closed = 0

    def build(world, _settings):
        box = Box()

        async def worker():
            try:
                await step("begins")
                if busy[0]:
                    garbage = [[number] for number in range(20_000)]
                    assert len(garbage) == 20_000
                await step("goes on")
            finally:
                box.closed += 1

        world.actor("worker", worker)
        world.things = {"itself": world}

    scene = Scenario("buried", "buried", build)
    thresholds = gc.get_threshold()
    gc.set_threshold(50, 1, 1)
    try:
        for _ in range(20):
            Run(scene).world.take("worker")  # nobody keeps it
        busy[0] = True
        world = Run(scene).world
        world.take("worker")
    finally:
        gc.set_threshold(*thresholds)
    assert world.footprint.names() == ((), ())
    assert gc.isenabled()
