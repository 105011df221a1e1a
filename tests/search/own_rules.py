"""A driver with rules beside it: no registration, a line each."""

from dataclasses import dataclass

from p2plab.core.events import Event, emit
from p2plab.drivers.nic import ObedientNic
from p2plab.rules import always, must_reach, never
from p2plab.rules.base import Rule


@dataclass(frozen=True, slots=True)
class FastPath(Event):
    """The NIC maps a second time."""

    who: str


class Mine(ObedientNic):
    """Obedient, with an event of its own."""

    async def map(self, start, end):
        if self.sequence:
            emit(FastPath(self.name))
        await super().map(start, end)


one_map = never("the NIC takes its fast path", lambda entry: entry.event.kind == "FastPath")
few_held = always("the NIC holds at most one page", lambda things: len(things.importers[0].held) <= 1)
slow_path = must_reach("the slow path", lambda event: event.kind == "SlowPath")


class OneBeat(Rule):
    """A memory of its own: how many beats have landed."""

    name = "one-beat"
    promise = "at most one beat lands"

    def __init__(self) -> None:
        super().__init__()
        self.beats = 0

    def see(self, entry):
        if entry.event.kind == "BeatLanded":
            self.exercised = True
            self.beats += 1
            if self.beats > 1:
                yield self.broken(entry, entry.actor, "a second beat landed")
