"""Small scenes whose reports are pinned: they change only when somebody changes them."""

from collections.abc import Mapping

from p2plab.core.actors import step
from p2plab.core.locks import Mutex
from p2plab.core.scenario import Role, Scenario
from p2plab.core.tracked import Tracked
from p2plab.p2p.importer import IMPORTERS, Importer

HEALTH = ("no-deadlock", "no-crash")


class Counter(Tracked):
    """Counts to two."""

    def __init__(self):
        self.value = 0


class Careful(Importer):
    """Adds in one step. It is an importer only in name: the scene gives it no device."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    async def map(self, start: int, end: int) -> None:
        """Nobody asks for it."""

    async def add(self) -> None:
        await step("adds", lambda: setattr(self.counter, "value", self.counter.value + 1))


class Hasty(Careful):
    """Reads in one step and writes in another."""

    async def add(self) -> None:
        seen = await step("reads", lambda: self.counter.value)
        await step("writes", lambda: setattr(self.counter, "value", seen + 1))


DRIVERS = {"Careful": Careful, "Hasty": Hasty}


def _abba(world, _knobs: Mapping[str, object]) -> None:
    a, b = Mutex("a"), Mutex("b")

    def taking(first, second):
        async def take():
            async with first, second:
                await step("has both")

        return take

    world.actor("ab", taking(a, b))
    world.actor("ba", taking(b, a))


def _turns(world, _knobs: Mapping[str, object]) -> None:
    counter = Counter()
    one, two = (world.role("importer", Careful)(counter) for _ in range(2))

    async def count_up() -> None:
        await one.add()
        await step("rests")

    async def add_and_look() -> None:
        await two.add()
        await step("looks")
        assert counter.value, "nothing was added"
        if counter.value == 1:
            await step("waits for the other")
            assert counter.value != 1 or not done.value, "an addition was lost"

    done = Counter()

    async def first() -> None:
        await count_up()
        done.value = 1

    world.actor("one", first)
    world.actor("two", add_and_look)


SMALL = Scenario("abba", "two locks, two orders", _abba, rules=HEALTH)
_SCENES = {
    "turns": Scenario(
        "turns", "two that add", _turns, rules=HEALTH, roles={"importer": Role(IMPORTERS)}, must=("maps",)
    )
}


def find_small(name: str) -> Scenario:
    """One of them."""
    return _SCENES[name]
