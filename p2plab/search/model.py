"""What is searched: the initial state, what an actor's step does and breaks, and where a run ends.

A graph of states (:mod:`p2plab.search.graph`) asks only this, in whatever way it keeps its states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from p2plab.core.lockdep import any_waiting_cycle
from p2plab.search.monitors import Broken, Monitors
from p2plab.search.recorder import Recorder
from p2plab.search.steps import Leaf, Row


class Model:
    """A scene's transition system: steps are looked up in a table, and run by the recorder when not known yet."""

    def __init__(self, recorder: Recorder, monitors: Monitors) -> None:
        self.recorder, self.monitors = recorder, monitors
        self.table, self.columns = recorder.table, recorder.columns
        self.actors: tuple[str, ...] = recorder.columns.actors
        self._judged: dict[tuple[int, int], tuple[int, tuple[Broken, ...]]] = {}
        self._cycles: dict[tuple[tuple[str, ...], ...], tuple[str, ...]] = {}
        events = recorder.setup_events
        self._memory, self.setup_broke = monitors.after(0, self.table.number_of(events), events)

    def fresh(self) -> Model:
        """The same scene with an empty step table."""
        before = self.recorder
        return Model(Recorder(before.make, before.dog, before.closed), self.monitors.fresh())

    @property
    def initial(self) -> Row:
        """The state after set-up."""
        row = [0] * len(self.columns)
        row[self.columns.memory] = self._memory
        return tuple(row)

    def whole(self, row: Row) -> Row:
        """A state extended by columns added later, with their values after set-up."""
        more = len(self.columns) - len(row)
        return (*row, *(0,) * more) if more else row

    def leaf(self, row: Row, actor: int, path: Callable[[], Sequence[str]]) -> Leaf:
        """What an actor does in a state; driver code runs if the step is not known. ``path`` leads to the state."""
        while (leaf := self.table.look_up(row := self.whole(row), actor)) is None:
            self.recorder.record(row, actor, path)
        return leaf

    def judge(self, memory: int, leaf: Leaf) -> tuple[int, tuple[Broken, ...]]:
        """The monitors' state after a step taken in monitor state ``memory``, and what the step broke."""
        known = self._judged.get((memory, leaf.events))
        if known is None:
            known = self.monitors.after(memory, leaf.events, self.table.events[leaf.events])
            self._judged[memory, leaf.events] = known
        return known

    def after(self, row: Row, leaf: Leaf, memory: int) -> Row:
        """The state after a step; ``memory`` is the monitors' state then."""
        new = list(self.whole(row))
        for column, value in leaf.writes:
            new[column] = value
        new[self.columns.memory] = memory
        return tuple(new)

    def deadlock(self, waiting: Sequence[tuple[str, Leaf]], able: bool) -> Broken | None:
        """The deadlock among blocked actors: a cycle, or no actor is ``able`` to step; else None."""
        edges = tuple((name, *leaf.waits) for name, leaf in waiting)
        if edges not in self._cycles:
            after = {name: others for name, *others in edges}
            self._cycles[edges] = any_waiting_cycle(after, lambda name: tuple(after.get(name, ())))
        cycle = self._cycles[edges]
        if not cycle and able:
            return None
        labels = {name: leaf.label for name, leaf in waiting}
        who = cycle or tuple(labels)
        what = "; ".join(f"{name}: {labels[name]}" for name in who)
        ring = " -> ".join((*cycle, cycle[0])) if cycle else "all wait"
        return Broken("no-deadlock", who[0], f"deadlock: {ring} ({what})")

    def left_open(self, memory: int) -> list[Broken]:
        """The callbacks in which an actor is stuck in a terminal state."""
        return [
            Broken("calls-return", calls[-1].partition(".")[0], f"{actor} rests for ever inside {calls[-1]}")
            for actor, calls in self.monitors.left_open(memory).items()
        ]
