"""The front door: what ``import p2plab`` offers, as a person in a notebook uses it."""

import pytest

import p2plab
from p2plab.core.actors import step
from p2plab.core.errors import BadInput
from p2plab.core.locks import Mutex, RWLock
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.worker import Worker
from p2plab.core.world import World
from p2plab.drivers.nic import ObedientNic
from p2plab.p2p.things import things_of
from p2plab.search import Pass, Violation


def test_a_run_shows_its_verdict():
    """Its repr is which promise broke; in a notebook it shows the whole story; its token runs again."""
    run = p2plab.run("defrag-ignorant", pages=2)
    assert "BROKEN: obedience (invariant 20)" in repr(run)
    assert "token:" not in repr(run)
    assert "gpu.bar released" in run._repr_html_()
    assert p2plab.replay(run.token) == run
    assert type(run.fork(3).then("app")) is type(run)


def test_the_order_of_events_is_chosen_in_one_way():
    """A seed, a schedule, the clock, or the scene's own story."""
    seeded = p2plab.run("defrag-ignorant", pages=2, seed=7)
    assert (len(seeded), seeded.settings["pages"]) == (32, 2)
    assert p2plab.run("workbench", schedule="!mmap app*2").schedule == ("!mmap", "app", "app")
    with pytest.raises(BadInput, match="give only one of them"):
        p2plab.run("workbench", seed=1, timed=True)
    with pytest.raises(BadInput, match="has no knob 'colour'"):
        p2plab.run("workbench", colour="red")


def test_a_role_takes_a_class_or_the_value_of_its_knob():
    """importer=MyNic is a class, importer="ignorant" the scene's own choice."""
    assert p2plab.run("defrag-obedient", importer="ignorant").board.first("obedience")

    class MyNic(ObedientNic):
        pass

    run = p2plab.run("defrag-obedient", importer=MyNic)
    assert isinstance(things_of(run.world).importers[0], MyNic)


def test_a_verdict_shows_its_report():
    """Pass and Violation alike have repr, HTML, run, token and table."""
    holds, breaks = p2plab.check("defrag-obedient"), p2plab.check("defrag-ignorant", pages=1)
    assert isinstance(holds, Pass)
    assert "defrag-obedient HOLDS in every order of events" in repr(holds)
    assert (holds.run, holds.token, holds.table) == (None, None, (("defrag-obedient", "HOLDS"),))
    assert isinstance(breaks, Violation)
    assert "defrag-ignorant with pages=1 BREAKS" in breaks._repr_html_()
    assert p2plab.replay(breaks.token) == breaks.run
    assert breaks.table == (("defrag-ignorant", f"BREAKS {breaks.rule}"),)


def test_a_machine_is_asked_who_reaches_whom():
    """By address; the answer is true or false and says why."""
    machine = p2plab.machine("q35_switch2")
    near, far = machine.reach("03:00.0", "04:00.0"), machine.reach("03:00.0", "08:00.0")
    assert near
    assert not far
    assert "BUS_ADDR, distance 4" in repr(near)
    assert repr(machine).startswith("q35_switch2: 17 functions")
    with pytest.raises(BadInput, match="has no function"):
        machine.reach("03:00.0", "ff:00.0")


def test_a_scene_is_found_by_name_code_or_itself():
    """Those of the designs too; a name that is nearly right gets a hint."""
    assert p2plab.find("F1") is p2plab.scenes()["f1-ignores-clear"]
    assert p2plab.find(p2plab.find("F1")) is p2plab.find("f1")
    with pytest.raises(BadInput, match="did you mean design-rfc-vma"):
        p2plab.find("design-rfc-vna")


def test_a_world_its_actors_and_locks_show_their_state():
    """Who goes next, who waits for what, who holds what."""

    locks: list[Mutex | RWLock] = []

    def build(world: World) -> None:
        mutex, rwlock = locks[:] = Mutex("bar"), RWLock("mmap_lock")

        async def takes() -> None:
            async with mutex, rwlock.write():
                await step("works")

        for name in ("one", "two"):
            world.actor(name, takes)
        Worker(world, "idler", {})

    world = World(build)
    assert repr(world) == "<World at step 0, time 0: one next: lock bar; two next: lock bar; idler idle>"
    world.take("one")
    world.take("one")
    assert repr(world.actors["two"]) == "<Actor two: waits, lock bar>"
    assert [repr(lock) for lock in locks] == ["<Mutex bar: held by one>", "<RWLock mmap_lock: written by one>"]
    run = Run(Scenario("two", "", lambda world, _: build(world)))
    assert repr(run) == "<Run two: 0 steps, next: one or two>"
