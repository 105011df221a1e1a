"""A run is a scenario plus a schedule; everything else about it can be computed again.

:class:`Run` is a value: ``then`` and ``fork`` make new runs. Behind it a world is kept at the run's end, so that going
on costs one step and going back costs a replay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from p2plab.core.events import Entry
from p2plab.core.scenario import Scenario, Value
from p2plab.core.schedule import LONGEST, Schedule, by_list, by_text, follow
from p2plab.core.world import World

#: How many worlds of earlier steps a run keeps, so that moving a slider to and fro need not replay each time.
KEPT = 8


class Run:
    """A scenario, its ``settings`` (all knobs), and its ``schedule``: actor names and ``!action``, one a step."""

    def __init__(
        self, scenario: Scenario, knobs: Mapping[str, object] | None = None, schedule: Iterable[str] = ()
    ) -> None:
        """Replay at once: :exc:`BadInput` for a bad knob, :exc:`NotEnabled` for a choice that cannot be taken."""
        self.scenario = scenario
        self.settings: dict[str, Value] = scenario.settings(knobs or {})
        self.schedule: tuple[str, ...] = tuple(schedule)
        self._earlier: dict[int, World] = {}
        self._end: World | None = self._replay(len(self.schedule))

    def __len__(self) -> int:
        return len(self.schedule)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        knobs = "".join(f", {name}={value!r}" for name, value in self.settings.items())
        able = self.world.enabled()
        ahead = f"next: {' or '.join(able)}" if able else "at its end"
        return f"<Run {self.scenario.name}{knobs}: {len(self)} steps, {ahead}>"

    @property
    def world(self) -> World:
        """The world at the run's end. Look at it and let it go: :meth:`then` moves it on."""
        if self._end is None:
            self._end = self._replay(len(self.schedule))
        return self._end

    @property
    def log(self) -> tuple[Entry, ...]:
        """Everything that happened."""
        return tuple(self.world.log)

    def at(self, step: int) -> World:
        """The world after ``step`` steps (0: as built). IndexError outside of the run."""
        self._check(step)
        if step == len(self):
            return self.world
        if step not in self._earlier:
            while len(self._earlier) >= KEPT:
                del self._earlier[next(iter(self._earlier))]
            self._earlier[step] = self._replay(step)
        return self._earlier[step]

    def then(self, *choices: str) -> Self:
        """This run and then the choices. :exc:`NotEnabled` if one cannot be taken; this run stays as it was."""
        return self.driven(by_list(choices))

    def driven(self, schedule: Schedule, limit: int = LONGEST) -> Self:
        """This run, carried on by a schedule for at most ``limit`` steps."""
        # The world moves on into the new run; this one builds another when it is next asked.
        world, self._end = self.world, None
        longer = object.__new__(type(self))
        longer.scenario, longer.settings, longer._earlier = self.scenario, self.settings, dict(self._earlier)
        longer.schedule = self.schedule + follow(world, schedule, limit)
        longer._end = world
        return longer

    def told(self, limit: int = LONGEST) -> Self:
        """This run, carried on in the order of the scene's own story; what cannot happen there is left out."""
        return self.driven(by_text(self.scenario.story, strict=False), limit)

    def fork(self, step: int) -> Self:
        """The run as it was after ``step`` steps, to continue differently from there."""
        self._check(step)
        return type(self)(self.scenario, self.settings, self.schedule[:step])

    def _check(self, step: int) -> None:
        if not 0 <= step <= len(self):
            raise IndexError(f"there is no step {step}: the run has {len(self)}")

    def _key(self) -> tuple[object, ...]:
        return self.scenario.name, self.scenario.version, tuple(self.settings.items()), self.schedule

    def _replay(self, steps: int) -> World:
        world = self.scenario.world(**self.settings)
        for choice in self.schedule[:steps]:
            world.take(choice)
        return world
