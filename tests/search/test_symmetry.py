"""Who is interchangeable is searched once: the same answers, and the orbits' sizes add up to all states."""

import numpy as np
import pytest

from p2plab.core.actors import step, wait_event
from p2plab.core.locks import Mutex
from p2plab.core.scenario import Scenario
from p2plab.core.tracked import Tracked
from p2plab.everything import SCENES
from p2plab.rules import RULES as ALL_RULES
from p2plab.search import Pass, Search, Violation, check
from p2plab.search import search as search_module
from p2plab.search.symmetry.graph import SymmetricGraph
from p2plab.search.symmetry.members import NotSymmetric
from p2plab.search.symmetry.orbits import Representatives
from p2plab.views.report import as_json, headline
from tests.search.equals import equals, text_of
from tests.search.gate import by_symmetry

HEALTH = ("no-deadlock", "lock-order", "no-crash")


class Slot(Tracked):
    def __init__(self):
        self.holder = None


class Device(Tracked):
    """Takes a slot, works in it under a lock that all share, gives it back."""

    def __init__(self, shared, careful):
        self.shared, self.careful = shared, careful
        self.slot = None
        self.lock = Mutex("own")

    def taking(self, slot):
        async def take():
            await wait_event(lambda: slot.holder is None and self.slot is None, "takes")
            slot.holder, self.slot = self, slot
            async with self.shared.lock:
                await step("works")
            if self.careful:
                await step("looks again")
            slot.holder = self.slot = None
            await step("gave back")

        return take


class Common(Tracked):
    def __init__(self):
        self.lock = Mutex("common")
        self.slots = ()


def _devices(world, knobs):
    shared = Common()
    slots = shared.slots = tuple(Slot() for _ in range(2))
    for number in range(knobs["devices"]):
        device = Device(shared, careful=number > 0 or not knobs["odd"])
        for place, slot in enumerate(slots):
            world.actor(f"d{number}_{place}", device.taking(slot))


def devices(count, odd=0, build=_devices):
    return Scenario("devices", "equals", lambda world, _: build(world, {"devices": count, "odd": odd}), rules=HEALTH)


def searched(scene, **options):
    search = Search(scene, budget=None, **options)
    while search.advance(1.0) is None:
        pass
    return search


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """Look for symmetry at once, however small the search."""
    monkeypatch.setattr(search_module, "SMALL", 5)


def test_interchangeable_devices_and_slots_are_searched_once():
    """The same verdict, the same number of states, steps counted by orbit, and orders exactly."""
    full, orbits = check(devices(3), symmetry=False), check(devices(3))
    assert isinstance(full, Pass)
    assert isinstance(orbits, Pass)
    assert (orbits.effort.states, orbits.orders, orbits.complete) == (full.effort.states, full.orders, True)
    assert dict(orbits.orbits.members) == {"Device": 3, "Slot": 2}
    assert orbits.orbits.count * 6 < full.effort.states < orbits.orbits.count * 12
    assert orbits.orbits.compared > 50
    assert full.orbits is None


def test_the_answer_says_that_it_was_by_symmetry():
    """In the headline and in JSON, with orbits and states."""
    answer = check(devices(2))
    assert "by symmetry of 2 " in headline(answer)
    assert f"{answer.orbits.count} orbits" in headline(answer)
    assert as_json(answer)["orbits"] == {"count": answer.orbits.count, "members": {"Device": 2, "Slot": 2}}


def test_the_odd_one_out_is_kept_apart():
    """One that does not look again among those that do: only the others are interchangeable."""
    assert dict(check(devices(3, odd=1)).orbits.members) == {"Device": 2, "Slot": 2}
    assert dict(check(devices(2, odd=1)).orbits.members) == {"Slot": 2}


def test_an_order_in_the_code_is_found_out():
    """All set up alike, but whoever comes first in a list is asked first: the search by symmetry is given up."""

    def build(world, knobs):
        _devices(world, knobs)
        common = next(thing for thing in world.objects if isinstance(thing, Common))

        async def looks():
            await step("begins")
            for slot in common.slots:
                await step("looks at one")
                if slot.holder is not None:
                    await step("somebody is there")

        world.actor("guard", looks)

    search = searched(devices(2, build=build))
    assert dict(search.verdict.orbits.members) == {"Device": 2}
    search = searched(devices(1, build=build))
    assert search.verdict.orbits is None
    assert "guard" in search._stages.why_not


def test_something_that_breaks_is_told_with_its_smallest_story():
    """The orbits only say that there is one."""

    def build(world, knobs):
        _devices(world, knobs)
        devices = [thing for thing in world.objects if isinstance(thing, Device)]

        async def watches():
            await wait_event(lambda: all(device.slot is not None for device in devices), "all have one")
            raise ValueError("too many")

        world.actor("watch", watches)

    full, orbits = check(devices(2, build=build), symmetry=False), check(devices(2, build=build))
    assert isinstance(orbits, Violation)
    assert (orbits.rule, orbits.switches, orbits.steps) == (full.rule, full.switches, full.steps) == ("no-crash", 2, 3)


@pytest.mark.parametrize("block", range(8))
def test_random_programs_of_equals_have_the_same_orbits(block):
    """States, sizes, steps, rest and broken promises, against the full search."""
    for seed in range(10 * block, 10 * block + 10):
        assert by_symmetry(equals(seed), limit=400)[0] == "", text_of(seed)


def test_scenes_have_the_same_orbits():
    """No scene has actors that are set up alike, so each is searched as it always was."""
    for name in ("defrag-obedient", "c6-cpu-touches"):
        scene = SCENES[name]
        rules = [ALL_RULES[rule] for rule in scene.rules]
        difference, order, _ = by_symmetry(lambda world, s=scene: s.build(world, s.settings({})), rules, limit=300)
        assert (difference, order) == ("", 0)


def test_steps_that_are_not_compared_are_caught_by_the_gate(monkeypatch):
    """Believe the set-up alone, and orbits come out that are none."""
    monkeypatch.setattr(SymmetricGraph, "_compare", lambda *_: None)
    assert any(fails(seed) for seed in range(40))


def test_orbits_found_twice_are_caught_by_the_gate(monkeypatch):
    """Where members cannot be told apart by their colours, take any instead of trying each."""

    def any_of_them(self, origin, colours, cell):
        colours[np.arange(len(origin)), cell.argmax(axis=1)] += np.uint64(1)
        return origin, colours

    monkeypatch.setattr(Representatives, "_refined", lambda self, rows, active, colours: colours)
    assert not any(fails(seed) for seed in range(10))
    monkeypatch.setattr(Representatives, "_told_apart", any_of_them)
    assert any(fails(seed) for seed in range(10))


def fails(seed):
    try:
        return by_symmetry(equals(seed), limit=300)[0] != ""
    except NotSymmetric:
        return True
