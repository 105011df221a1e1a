"""``check``: what it answers for scenes, for wrong drivers, and where it cannot answer."""

import dataclasses
import random
import time

import pytest

from p2plab import find
from p2plab.core.actors import idle, step, wait_event
from p2plab.core.calls import called
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.locks import Mutex
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import schedule_text
from p2plab.core.tracked import Tracked
from p2plab.designs.hmm_interval import Migration
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.nic import ObedientNic
from p2plab.rules import PROMISES, RULES
from p2plab.search import Incomplete, Pass, Search, Violation, breaks, check
from p2plab.search.closed import Refused
from p2plab.views.text import board_of

SCENE = find("defrag-obedient")
HEALTH = ("no-deadlock", "lock-order", "no-crash")


def scene_of(build, rules=HEALTH) -> Scenario:
    """A small scene of one's own."""
    return Scenario("small", "a small scene", lambda world, _knobs: build(world), rules=rules)


class Box(Tracked):
    def __init__(self):
        self.value = 0
        self.flag = False
        self.items = []


class NoDrain(ObedientNic):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0


class NoLook(ObedientNic):
    async def map(self, start, end):
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            async with self.lock:
                await self.engine.program(start, addresses)


class TakesMmapLock(ObedientNic):
    async def invalidate_range_start(self, range):
        async with self.mm.mmap_lock.write():
            pass
        return await super().invalidate_range_start(range)


class Raises(ObedientNic):
    async def map(self, start, end):
        raise KeyError("oops")


class SpinsForEver(ObedientNic):
    async def map(self, start, end):
        while True:
            print("still here")


class Random(ObedientNic):
    async def map(self, start, end):
        if random.random() < 0.5:
            await step("sometimes")
        await super().map(start, end)


CALLS = []


class Counts(ObedientNic):
    async def map(self, start, end):
        CALLS.append(start)
        await step(f"call {len(CALLS)}")
        await super().map(start, end)


def test_a_good_pair_holds_in_every_order():
    """And the answer says in how many: they are counted, not run."""
    answer = check(SCENE)
    assert isinstance(answer, Pass)
    assert (answer.complete, answer.bound) == (True, None)
    assert not {"obedience", "no-stale-dma", "balanced-unmap", "predictability"} & set(answer.not_tested)
    assert answer.orders > 10**9


def test_a_bound_is_said():
    """With at most so many switches, others not tried."""
    answer = check(SCENE, bound=2)
    assert isinstance(answer, Pass)
    assert (answer.complete, answer.bound, answer.orders) == (False, 2, None)


@pytest.mark.parametrize(
    ("driver", "rule", "switches", "what"),
    [
        (NoDrain, "obedience", 3, "nic returned from its callback with a beat in flight"),
        (NoLook, "programs-only-valid", None, "nic "),
        (TakesMmapLock, "lock-order", None, "lock order: takes app.mmap_lock under gpu:A.i_mmap_rwsem"),
        (Raises, "no-crash", 1, "nic crashed: KeyError: 'oops' (in Raises.map:"),
        (SpinsForEver, "endless-step", 1, "a step of nic never comes to its next await: SpinsForEver.map, line "),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_wrong_driver_is_answered_with_the_smallest_story(driver, rule, switches, what):
    """The rule, the switches, the sentence; and the story breaks the rule when it is told again."""
    answer = check(SCENE, importer=driver, step_seconds=0.3)
    assert isinstance(answer, Violation), answer
    assert answer.rule == rule
    assert answer.what.startswith(what)
    assert switches in (None, answer.switches)
    if rule in RULES:
        assert board_of(answer.run).findings[0].step == len(answer.run)
    order = schedule_text((*answer.run.schedule, answer.then) if answer.then else answer.run.schedule)
    knobs = answer.run.settings
    assert breaks(rule, SCENE, order, importer=driver, knobs=knobs)
    assert not breaks(rule, SCENE, order, importer=ObedientNic, knobs=knobs)


def test_no_order_with_fewer_switches_breaks_the_rule():
    """What is called smallest is: the bound below it holds."""
    answer = check(SCENE, importer=NoDrain)
    assert isinstance(check(SCENE, importer=NoDrain, bound=answer.switches - 1), Pass)


@pytest.mark.parametrize(("driver", "what"), [(Random, "uses random.random"), (Counts, "changes CALLS")])
def test_a_driver_that_does_not_always_do_the_same_is_refused(driver, what):
    """Never a proof and never a story that cannot be told again."""
    with pytest.raises(Refused, match=rf"line \d+ of test_verdicts.py \({driver.__name__}.map\) {what}"):
        check(SCENE, importer=driver)


def test_a_deadlock_is_told_with_its_cycle():
    """Who waits for whom, and in what."""

    def build(world):
        a, b = Mutex("a"), Mutex("b")

        def taking(first, second):
            async def take():
                async with first, second:
                    await step("both")

            return take

        world.actor("ab", taking(a, b))
        world.actor("ba", taking(b, a))

    answer = check(scene_of(build, ("no-deadlock",)))
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.switches, answer.run.schedule) == ("no-deadlock", 1, ("ab", "ba"))
    assert answer.what == "deadlock: ba -> ab -> ba (ba: lock a; ab: lock b)"


def test_a_callback_that_never_returns_is_found():
    """Sleeping until there is work is no deadlock; doing so inside a call is a promise broken."""

    def build(world):
        async def calls():
            with called("driver", "callback"):
                await idle(lambda: False)

        world.actor("caller", calls)

    answer = check(scene_of(build))
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.what) == ("calls-return", "caller rests for ever inside driver.callback")


def test_two_lock_orders_are_found_where_they_do_not_bite():
    """The order of locks is history: it is part of the state as long as the rule is watched."""

    def build(world):
        a, b, gate = Mutex("a"), Mutex("b"), Mutex("gate")

        def taking(first, second):
            async def take():
                async with gate, first, second:
                    await step("both")

            return take

        world.actor("ab", taking(a, b))
        world.actor("ba", taking(b, a))

    assert isinstance(check(scene_of(build, ("no-deadlock",))), Pass)
    answer = check(scene_of(build, ("lock-order",)))
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.switches) == ("lock-order", 1)


def test_retrying_for_ever_is_found_although_every_state_repeats():
    """No order comes to rest: the loop is shown once around."""

    def build(world):
        box = Box()

        async def polls():
            while not box.flag:
                await step("looks")

        world.actor("poller", polls)

    answer = check(scene_of(build))
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.run.schedule) == ("retry-for-ever", ("poller",))
    assert breaks("retry-for-ever", scene_of(build), "poller*1")


def test_a_loop_that_somebody_can_end_is_no_violation():
    """Polling until another sets the flag is endless in some orders, and rests in others."""

    def build(world):
        box = Box()

        async def polls():
            while not box.flag:
                await step("looks")

        world.actor("poller", polls)
        world.actor("setter", lambda: step("sets", lambda: setattr(box, "flag", True)))

    answer = check(scene_of(build))
    assert isinstance(answer, Pass)
    assert answer.orders is None


def test_a_counter_without_end_is_incomplete():
    """New states for ever: the answer says that they were too many."""

    def build(world):
        box = Box()

        async def counts():
            while True:
                box.value += 1
                await step("counts")

        world.actor("counter", counts)

    answer = check(scene_of(build), states=500)
    assert isinstance(answer, Incomplete)
    assert answer.why == "there are more than 500 states"


def test_what_must_be_reached_is_missed():
    """A driver that does nothing breaks no promise, and reaches nothing either."""

    class Lazy(ObedientNic):
        async def map(self, start, end):
            await step("does nothing")

    assert isinstance(check(SCENE, must_reach=["TransferEnded"]), Pass)
    answer = check(SCENE, importer=Lazy, must_reach=["TransferEnded"])
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.what) == ("must-reach", "no order of events ever reaches TransferEnded")


def test_time_is_no_part_of_a_state():
    """Other durations, and another time at which the GPU is ready: the very same states."""
    answers = [check(SCENE, knobs={"beat": beat, "defrag_at": at}, budget=None) for beat in (1, 7) for at in (0, 99)]
    assert len({answer.effort.states for answer in answers}) == 1


def test_state_that_cannot_be_frozen_is_searched_by_plain_replay():
    """Something with nothing but its identity: every run is replayed, and the answer says why."""

    def build(world):
        box = Box()

        async def writes():
            mark = object()
            seen = await step("reads", lambda: box.value)
            await step("writes", lambda: setattr(box, "value", seen + 1))
            assert mark is not None
            assert box.value == 1

        world.actor("one", writes)
        world.actor("two", lambda: step("also", lambda: setattr(box, "value", 5)))

    answer = check(scene_of(build))
    assert isinstance(answer, Violation)
    assert (answer.rule, answer.switches) == ("no-crash", 1)


def test_a_plain_search_that_finds_nothing_in_time_says_why_it_was_plain():
    """Not silently bounded."""

    def build(world):
        async def writes():
            mark = object()
            while mark:
                await step("goes on")

        world.actor("one", writes)
        world.actor("two", writes)

    answer = check(scene_of(build), budget=0.3)
    assert isinstance(answer, Incomplete)
    assert "every run was replayed, because a object with nothing but its identity" in answer.why


def test_a_closure_that_two_actors_share_is_refused_and_replayed():
    """State outside of drivers' attributes is seen by the frame check."""

    def build(world):
        shared = [0]

        def adding():
            async def add():
                seen = shared[0]
                await step("between")
                shared[0] = seen + 1
                await step("added")

            return add()

        async def looks():
            await step("first")
            await step("second")
            assert shared[0] != 1

        world.actor("one", adding)
        world.actor("two", looks)

    answer = check(scene_of(build))
    assert isinstance(answer, Violation)
    assert answer.rule == "no-crash"


@pytest.mark.timed
def test_a_search_goes_on_in_slices_and_can_be_cancelled():
    """A slice is short, progress grows, and a cancelled search says that it was."""
    search = Search(SCENE)
    began = time.perf_counter()
    assert search.advance(0.02) is None
    assert time.perf_counter() - began < 0.5
    first = search.progress
    search.advance(0.02)
    assert search.progress.states >= first.states > 0
    assert search.progress.frontier > 0
    answer = search.cancel()
    assert isinstance(answer, Incomplete)
    assert answer.why == "it was cancelled"
    assert search.advance(1.0) is answer


def test_slices_do_not_change_the_answer():
    """However the time is cut up."""
    whole, sliced = check(SCENE, importer=NoDrain, shrink=False), Search(SCENE, importer=NoDrain)
    while sliced.advance(0.005) is None:
        pass
    assert dataclasses.replace(sliced.verdict) == whole


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"importer": Box},
            "Box cannot be the importer of defrag-obedient: derive it from p2plab.p2p.importer.Importer",
        ),
        ({"importer": 3}, "3 cannot be the importer"),
        ({"rules": ["nonsense"]}, "there is no rule 'nonsense'"),
        ({"must_reach": ["Nonsense"]}, "there is no kind of event 'Nonsense'"),
        ({"bound": -1}, "bound=-1 is not possible"),
        ({"bound": 10**4000 // 10**3950}, "is not possible; allowed: 0 to 1000000 switches"),
        ({"budget": 0}, "budget=0 is not possible"),
        ({"knobs": {"pages": 999}}, "pages=999 is not possible"),
    ],
)
def test_bad_arguments_get_a_sentence(options, sentence):
    """Before anything runs."""
    with pytest.raises(BadInput) as bad:
        Search(SCENE, **options)
    assert sentence in str(bad.value)


def test_a_callback_must_be_async_and_take_what_it_is_given():
    """A class is looked at before it is cast."""

    class NotAsync(ObedientNic):
        def invalidate_range_start(self, range):
            return 0

    class TakesNothing(ObedientNic):
        async def map(self):
            pass

    with pytest.raises(BadInput, match=r"NotAsync.invalidate_range_start is not async: write `async def"):
        Search(SCENE, importer=NotAsync)
    with pytest.raises(BadInput, match=r"TakesNothing.map takes \(\); it is called with \(start, end\)"):
        Search(SCENE, importer=TakesNothing)


def test_drivers_that_fail_in_odd_ways_are_findings():
    """A condition that raises, a recursion, an exit, a huge number: each a crash with its run."""

    class Condition(ObedientNic):
        async def map(self, start, end):
            await wait_event(lambda: self.nothing, "never")

    class Recursion(ObedientNic):
        async def map(self, start, end):
            await self.map(start, end)

    class Exit(ObedientNic):
        async def map(self, start, end):
            raise SystemExit

    class Huge(ObedientNic):
        async def map(self, start, end):
            await step("a long number", lambda: str(10**5000))

    for driver, error in (
        (Condition, "AttributeError"),
        (Recursion, "RecursionError"),
        (Exit, "SystemExit"),
        (Huge, "ValueError: Exceeds the limit"),
    ):
        answer = check(SCENE, importer=driver)
        assert isinstance(answer, Violation), (driver, answer)
        assert answer.rule == "no-crash"
        assert answer.what.startswith(f"nic crashed: {error}")


def test_a_recursion_that_awaits_ends_in_a_sentence():
    """Deeper and deeper, a step at a time: it cannot be frozen for ever, and is not followed for ever."""

    class Deeper(ObedientNic):
        async def map(self, start, end):
            await step("one deeper")
            await self.map(start, end)

    answer = check(SCENE, importer=Deeper, budget=3.0)
    assert not isinstance(answer, Pass)


def test_the_story_of_what_is_never_reached_has_an_end():
    """A map that goes round and round for ever: some of it is told, and not a hundred thousand steps."""

    class GoesRound(ObedientNic):
        async def map(self, start, end):
            while True:
                await step("tries again")

    answer = check(SCENE, importer=GoesRound, budget=60)
    assert (answer.word, answer.steps) == ("BREAKS must-reach", 200)


class NeverBuilt(ObedientNic):
    def __init__(self, *arguments, **keywords):
        raise SystemExit("no more of these")


class GpuNeverBuilt(Gpu):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        raise OSError("no more of these")


@pytest.mark.parametrize("cast", [{"importer": NeverBuilt}, {"exporter": GpuNeverBuilt}], ids=["importer", "exporter"])
def test_what_a_constructor_raises_is_a_crash(cast):
    """A driver's code may raise nowhere, its set-up included: the story has no step, and says where."""
    answer = check(SCENE, **cast)
    (given,) = cast.values()
    assert (answer.word, answer.steps, answer.culprit) == ("BREAKS no-crash", 0, given.__name__)
    assert f"no more of these (in {given.__qualname__}.__init__:" in answer.what
    assert breaks("no-crash", SCENE, "", **cast) is not None
    assert "promised: no driver's code ends in an unhandled exception" in repr(answer)


def test_what_p2plab_raises_when_it_builds_a_class_is_bad_input():
    """A constructor that cannot be called as a scene calls it: the sentence says what and where."""

    class TakesLess(ObedientNic):
        def __init__(self, world):
            raise AssertionError("nobody gets here")

    with pytest.raises(BadInput, match=r"the scene cannot be built: TypeError: .*TakesLess.__init__\(\) takes 2"):
        check(SCENE, importer=TakesLess)


class DoesNothing(ObedientNic):
    async def map(self, start, end):
        return None


@pytest.mark.parametrize("scene", ["defrag-obedient", "disasters", "wirings", "f2-no-drain", "e1-moves-first"])
@pytest.mark.parametrize("driver", [DoesNothing, Raises])
def test_a_driver_that_does_nothing_or_raises_holds_nowhere(scene, driver):
    """What never maps proves nothing: the scene says what must happen at least once."""
    answer = check(find(scene), importer=driver, shrink=False)
    assert isinstance(answer, Violation)
    assert answer.rule == ("must-reach" if driver is DoesNothing else "no-crash")


def test_every_promise_is_watched_when_the_driver_is_yours():
    """Unless rules are named; the verdict says how many, and which were not put to the test."""
    own, named = check(SCENE, importer=ObedientNic), check(SCENE, importer=ObedientNic, rules=["obedience"])
    assert set(PROMISES) <= set(own.watched)
    assert "reaper-spares-devices" in own.not_tested
    assert (named.watched, named.not_tested) == (("obedience",), ())
    assert "31 promises" in repr(own)


def test_a_misspelt_option_is_no_role():
    """What is no option of a search must be a role of its scene, with a class or without one."""
    with pytest.raises(TypeError, match="budegt is no option of a search, and no role"):
        check(SCENE, budegt=None)
    with pytest.raises(BadInput, match="cannot be the budegt of defrag-obedient: there is no such role"):
        check(SCENE, budegt=ObedientNic)


class MapsAndFails(ObedientNic):
    """It asks, and then gives up with an errno: its device never gets an address."""

    async def map(self, start, end):
        """Ask, and fail."""
        await self.wait_until_valid()
        async with self.mm.mmap_lock.read():
            await self.p2p_map(start, end)
            raise KernelError("ENOSPC", "no room in the device's table")


class MapsAndIsIdle(ObedientNic):
    """Its doorbell is connected to nothing."""

    async def submit(self, transfer):
        """Nothing."""


@pytest.mark.parametrize(
    ("driver", "never"),
    [(MapsAndFails, "a device that is given a translation"), (MapsAndIsIdle, "a beat that lands")],
)
def test_a_driver_whose_device_never_does_anything_does_not_hold(driver, never):
    """It keeps every promise, and nothing that the promises are about ever happens."""
    answer = check(SCENE, importer=driver)
    assert answer.word == "BREAKS must-reach"
    assert f"no order of events ever reaches {never}" in answer.what


class NeverMoves(Gpu):
    """Asked to close its holes, it does nothing."""

    async def defrag(self):
        """Nothing."""


class NeverMigrates(Migration):
    """Asked to move a page, it does nothing."""

    async def migrate(self, mm, page):
        """Nothing."""


@pytest.mark.parametrize(("scene", "driver"), [("defrag-obedient", NeverMoves), ("design-hmm-interval", NeverMigrates)])
def test_an_exporter_that_never_takes_its_memory_back_does_not_hold(scene, driver):
    """Whatever is promised about moves was never put to the test; where the shipped exporter does not move, it may hold."""
    answer = check(find(scene), exporter=driver)
    assert answer.word == "BREAKS must-reach"
    assert "the end of a move or of a revocation" in answer.what


def test_where_nothing_moves_an_exporter_need_not_move():
    """The scene has no move then, and the shipped exporter makes none either."""
    answer = check(find("defrag-obedient"), exporter=NeverMoves, knobs={"moves": 0, "pages": 1})
    assert answer.word == "HOLDS"
