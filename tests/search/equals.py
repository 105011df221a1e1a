"""Random small programs of equals: two or three drivers with one text, one set-up, and shared objects to choose from."""

from collections.abc import Callable

from p2plab.core.actors import idle, step, wait_event
from p2plab.core.calls import called
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from tests.search.programs import Said, Shared, Writer


class Place(Tracked):
    """Somewhere to be: whoever is there says so."""

    def __init__(self):
        self.taken = None


class EqualsWriter(Writer):
    """Drivers that do not know their number, and that also take and leave places."""

    def source(self) -> str:
        text = "class Driver(Tracked):\n    mine, number, at = 0, 0, None\n"
        text += "    def __init__(s, g):\n        s.g, s.history = g, []\n"
        text += (
            "    async def helper(s, v):\n        g = s.g\n        await step('helper')\n        return (v + g.x) % 3\n"
        )
        text += "    async def callback(s, v):\n        g = s.g\n        await step('callback')\n        return v\n"
        length = self.one_of([2, 3]) if self.drivers == 2 else self.one_of([1, 2])
        text += f"    async def run(s):\n        g, v = s.g, {self.one_of([0, 1])}\n"
        self.in_callback = self.random.random() < 0.8  # a loop over all drivers has an order: not too often
        return text + "".join(self.statements(2, length))

    def statement(self, depth: int) -> str:
        i = "    " * depth
        if self.random.random() < 0.3:
            free = "[p for p in g.places if p.taken is None]"
            return self.one_of(
                [
                    f"{i}for p in g.places:\n{i}    if p.taken is None and s.at is None:\n"
                    f"{i}        s.at, p.taken = p, s\n{i}await step('takes the first')\n",
                    f"{i}if s.at is not None:\n{i}    s.at.taken = None\n{i}    s.at = None\n{i}await step('leaves')\n",
                    f"{i}await wait_event(lambda: len({free}) > {self.one_of([0, 1])}, 'some are free')\n",
                    f"{i}g.leader = s\n{i}await step('leads')\n",
                    f"{i}v = 2 if g.leader is s else 1\n{i}await step('looks who leads')\n",
                    f"{i}g.queue.append(s)\n{i}await step('queues')\n",
                    f"{i}await wait_event(lambda: not g.queue or g.queue[0] is s, 'is first')\n",
                ]
            )
        return super().statement(depth)


def equals(seed: int) -> Callable[[World], None]:
    """The build function of random program number ``seed``."""
    writer = EqualsWriter(seed)
    text = writer.source()
    names = {
        "Tracked": Tracked, "step": step, "wait_event": wait_event, "idle": idle, "emit": emit, "Said": Said,
        "KernelError": KernelError, "called": called, "__name__": f"equals{seed}",
    }  # fmt: skip
    exec(compile(text, f"<equals {seed}>", "exec"), names)  # noqa: S102  the text is this module's own
    driver = names["Driver"]

    def build(world: World) -> None:
        shared = Shared()
        shared.places = tuple(Place() for _ in range(2))
        shared.leader, shared.queue = None, []
        drivers = [driver(shared) for _ in range(writer.drivers)]
        shared.listeners = list(drivers)
        for number, each in enumerate(drivers):
            world.actor(f"d{number}", each.run)

    return build


def text_of(seed: int) -> str:
    """Its text, for a person who looks into a difference."""
    return EqualsWriter(seed).source()
