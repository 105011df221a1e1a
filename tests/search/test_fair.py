"""Leads-to under fair schedules: a lasso is shown, a run at rest without it too, and what only an unfair one avoids holds."""

from dataclasses import dataclass

from p2plab.core.actors import step, wait_event
from p2plab.core.events import Event, emit
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import schedule_text
from p2plab.core.tracked import Tracked
from p2plab.rules import leads_to
from p2plab.search import Pass, Violation, breaks, check
from p2plab.views.report import text


@dataclass(frozen=True, slots=True)
class Asked(Event):
    """Somebody wants something."""


@dataclass(frozen=True, slots=True)
class Served(Event):
    """And gets it."""


class Box(Tracked):
    def __init__(self):
        self.open = self.stop = False


SERVED = leads_to(
    "who asks is served", lambda entry: entry.event.kind == "Asked", lambda entry: entry.event.kind == "Served"
)
SERVED.name = "served"


def scene(server, spins=True) -> Scenario:
    """One actor opens and closes a door until it is stopped; another one asks, and is served by ``server``."""

    def build(world, _settings):
        box = Box()

        async def door():
            while spins and not box.stop:
                await step("opens", lambda: setattr(box, "open", True))
                await step("closes", lambda: setattr(box, "open", False))

        async def asks():
            await step("asks", lambda: emit(Asked()))
            await server(box)

        world.actor("door", door)
        world.actor("asks", asks)

    return Scenario("door", "a door", build, rules=("served",), own={"served": SERVED})


async def through_the_door(box):
    await wait_event(lambda: box.open, "the door is open")
    box.stop = True
    emit(Served())


async def at_once(box):
    await step("serves", lambda: emit(Served()))
    box.stop = True


async def never(box):
    box.stop = True


def test_a_fair_lasso_is_found():
    """The door is closed again and again, so waiting for it may starve although no step is refused for ever."""
    answer = check(scene(through_the_door))
    assert isinstance(answer, Violation)
    assert answer.rule == "served"
    assert "of door, go round for ever, and are fair" in answer.what
    assert "BROKEN: served" in text(answer)
    assert answer.run.schedule[-2:] == ("door", "door")
    assert breaks("served", scene(through_the_door), schedule_text(answer.run.schedule))
    assert not breaks("served", scene(at_once), schedule_text(answer.run.schedule))


def test_what_only_an_unfair_schedule_avoids_holds():
    """Who can always go on does, some day."""
    answer = check(scene(at_once))
    assert isinstance(answer, Pass)
    assert answer.complete


def test_rest_without_it_is_found():
    """A run that ends, with somebody unserved."""
    answer = check(scene(never, spins=False))
    assert isinstance(answer, Violation)
    assert "comes to rest without it" in answer.what
