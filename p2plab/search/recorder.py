"""Running driver code for the step table: on a miss a real world, in that state, takes that step.

Three checks guard it. A world rebuilt by replay must be in the state that the table predicts. A step may change
its own actor's configuration and the cells that it was seen to write, and nothing else. And equal reads must lead to
equal steps (the table's own check).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from p2plab.core.tracked import TRACKED_CONTAINERS, Footprint, Tracked, Untrackable, cells_of, name_of
from p2plab.search.closed import Closed, Refused
from p2plab.search.frames import rebinding
from p2plab.search.freeze import Unfreezable
from p2plab.search.monitors import Broken
from p2plab.search.objects import CellName, refers_to
from p2plab.search.steps import ABSENT, Columns, Leaf, Reading, Row, StepTable
from p2plab.search.watchdog import StepTooLong, Watchdog, where
from p2plab.search.world import FrozenActor, SearchWorld
from p2plab.search.worlds import Worlds

#: Cells as they are, not frozen, by object and attribute.
Cells = Mapping[str, Mapping[str, Any]]
_PLAIN = frozenset({int, str, bytes, bool, float, type(None), range})  #: in these nothing can change
_NOTHING = object()
_NO_CELLS: Mapping[str, Any] = {}


class Recorder:
    """Resolves misses. ``make`` builds the scene's world."""

    def __init__(self, make: Callable[[], SearchWorld], dog: Watchdog, closed: Closed | None = None) -> None:
        """``closed``: what must not change in a reader's own code; None if the code is p2plab's."""
        self.make = make
        self.dog = dog
        self.closed = closed if closed is not None and closed.functions else None
        with dog.step():
            first = make()
        if self.closed is not None:
            self.closed.look("setting up")
        self.setup_events = tuple(first.events)
        locals_ = [first.frozen_actor(name) for name in first.actors]
        self.columns = Columns(tuple(first.actors), [local.value for local in locals_], first.frozen_cells())
        self.table = StepTable(self.columns)
        self.misses = 0
        self.worlds = Worlds(make, dog, self.columns)
        self.worlds.note_setup(first.cells_as_they_are())
        self._plain = first.plain  #: whether objects without cells were found in cells
        self._refers_to: dict[
            int, tuple[Any, tuple[CellName, ...]]
        ] = {}  #: frozen values by id, and the cells they name
        self._held: set[CellName] = set()  #: cells whose container some actor kept across an await
        self._bound_anew: set[CellName] = set()  #: cells to which some step assigned another container
        #: Per actor and local configuration, the cells that hold objects to which it refers.
        self._inside: list[dict[int, tuple[CellName, ...]]] = [{} for _ in locals_]
        self._sealed: list[set[int]] = [set() for _ in locals_]  #: local configurations that other actors cannot reach
        #: Per actor the local configurations from which it can always step, since no condition guards the step.
        self.free: list[set[int]] = [set() for _ in locals_]
        for actor, local in enumerate(locals_):
            self._note_local(first, actor, local, 0)
        self.worlds.keep(first, (0,) * len(self.columns))

    def record(self, row: Row, actor: int, path: Callable[[], Sequence[str]]) -> bool:
        """Let the actor step (or find it blocked) in that state, for the table. Whether columns were added.

        ``path`` gives the choices that lead to the state, if a replay is needed.
        """
        self.misses += 1
        world, row = self.worlds.take(row, actor, path)
        self._plain |= world.plain
        before = len(self.columns)
        op = world.actors[self.columns.actors[actor]].op
        label = op.label if op is not None else ""
        # Only driver code is watched: an exception in the middle of the bookkeeping would leave half of it done.
        try:
            with self.dog.step():
                enabled, waits, looked = world.probe(self.columns.actors[actor])
            if enabled:
                cells = {name_of(thing): cells_of(thing).copy() for thing in world.objects}
                with self.dog.step():
                    looked = world.go(self.columns.actors[actor])
        except StepTooLong as error:
            self._record_endless(world, row, actor, error)
        else:
            if enabled:
                self._record_step(world, row, actor, label, cells, looked)
            else:
                self._record_blocked(world, row, actor, waits, looked)
        return len(self.columns) > before

    def add_column(self, cell: CellName) -> None:
        """Make a cell a column before any step changed it."""
        self.worlds.note_column(cell, self.columns.add(cell))
        self.table.ask_for({cell})

    def audit(self, rows: Sequence[Row], path: Sequence[str]) -> None:
        """Replay from scratch, comparing each step's actor on the way (``rows`` are the states passed) and all at the end.

        :exc:`NotDeterministic` names the first thing that differs.
        """
        self.worlds.keep(self.worlds.replay(rows[-1], path, rows=rows), rows[-1])

    # -- one step ---------------------------------------------------------------------------------------------------

    def _record_blocked(
        self, world: SearchWorld, row: Row, actor: int, waits: tuple[str, ...], looked: Footprint
    ) -> None:
        op = world.actors[self.columns.actors[actor]].op
        assert op is not None
        changed = looked.names()[1] or self._changed_inside(world, row)
        if changed:
            raise Unfreezable(f"the condition of {op.label!r} changes {changed[0]}: a condition may only look")
        leaf = Leaf(False, waits=waits, idle=op.idle, label=op.label)
        self.table.add(actor, row[actor], Reading(self._reads(looked, row, actor), leaf))
        self.worlds.keep(world, row)

    def _record_step(
        self, world: SearchWorld, row: Row, actor: int, label: str, before: Cells, footprint: Footprint
    ) -> None:
        name = self.columns.actors[actor]
        if self.closed is not None:
            self.closed.look(f"the step {label!r} of {name}")
            self._check_untrackable(world, name)
        written = {(name_of(thing), attribute) for thing, attribute in footprint.writes}
        self._plain |= world.plain
        reads = self._reads(footprint, row, actor)
        written |= self._check_cells(world, name, row, before, written, label, {cell for cell, _ in reads})
        self._check_others(world, row, actor, label)
        after = {
            (name_of(thing), attribute): cells_of(thing)[attribute]
            for thing, attribute in footprint.writes
            if attribute in cells_of(thing)
        }
        if len(written) > len(footprint.writes):  # objects inside of them have changed
            now = world.cells_as_they_are()
            after |= {cell: now[cell] for cell in written if cell in now}
        self._note_bindings(before, after, written)
        frozen = world.frozen_actor(name)
        local = self.columns.number(actor, frozen.value)
        self._note_local(world, actor, frozen, local)
        writes = ((actor, local), *self._writes(world, after, written))
        leaf = Leaf(True, writes, self.table.number_of(tuple(world.events)), label=label)
        self.table.add(actor, row[actor], Reading(reads, leaf, tuple(sorted(written))))
        self.worlds.keep(world, _applied(row, leaf, len(self.columns)))

    def _record_endless(self, world: SearchWorld, row: Row, actor: int, error: StepTooLong) -> None:
        name = self.columns.actors[actor]
        self.dog.note_endless(error)
        op = world.actors[name].op
        broken = Broken("endless-step", name, f"a step of {name} never comes to its next await: {where(error)}")
        reads = self._reads(world.footprint, row, actor)  # in a loop: it has read all that it will ever read
        leaf = Leaf(True, broken=(broken,), label=op.label if op is not None else "")
        self.table.add(actor, row[actor], Reading(reads, leaf))

    def _reads(self, footprint: Footprint, row: Row, actor: int) -> tuple[tuple[CellName, int], ...]:
        """The cells that a step read, with their values. An actor that has an object held in a cell may have read that cell."""
        names: Iterable[CellName] = [(name_of(thing), attribute) for thing, attribute in footprint.reads]
        if not self._plain:
            return tuple((cell, self.columns.of_row(row, cell)) for cell in names)
        inside = self._inside[actor].get(row[actor], ())
        names = self._with_homes([*inside, *names], row)
        return tuple((cell, self.columns.of_row(row, cell)) for cell in names)

    def _with_homes(self, cells: Sequence[CellName], row: Row) -> Iterable[CellName]:
        """Cells, each followed by those that hold objects to which it refers."""
        found: dict[CellName, None] = {}
        todo = list(reversed(cells))
        while todo:
            cell = todo.pop()
            if cell in found:
                continue
            found[cell] = None
            column = self.columns.of.get(cell)
            value = self.columns.at_setup.get(cell) if column is None else self.columns.frozen(column, row[column])
            if type(value) is tuple:
                known = self._refers_to.get(id(value))
                if known is None:
                    known = self._refers_to[id(value)] = value, refers_to(value)
                todo += reversed(known[1])
        return found

    def _changed_inside(self, world: SearchWorld, row: Row) -> list[str]:
        """The first cell in which an object is not as the state has it."""
        homes = {cell for cell, _, _ in world.homes.values()}
        return [
            ".".join(cell)
            for cell, value in world.cells_as_they_are().items()
            if cell in homes and self.columns.known(cell, world.frozen(cell, value)) != self.columns.of_row(row, cell)
        ][:1]

    def _writes(
        self, world: SearchWorld, after: Mapping[CellName, Any], written: set[CellName]
    ) -> list[tuple[int, int]]:
        """The new values of the cells written; a cell becomes a column when it first changes."""
        writes: list[tuple[int, int]] = []
        added: set[CellName] = set()
        for cell in sorted(written):
            frozen = world.frozen(cell, after[cell]) if cell in after else ABSENT
            column = self.columns.of.get(cell)
            if column is None:
                if self.columns.at_setup.get(cell, ABSENT) == frozen:
                    continue
                column = self.columns.add(cell)
                self.worlds.note_column(cell, column)
                added.add(cell)
            value = self.columns.number(column, frozen)
            if cell in after:
                self.worlds.note_value(column, value, after[cell])
            writes.append((column, value))
        if added:
            self.table.ask_for(added)
        return writes

    def _check_untrackable(self, world: SearchWorld, name: str) -> None:
        """A value that cannot be state is no crash of the driver; the driver cannot be searched."""
        crash = world.actors[name].crash
        if isinstance(crash, Untrackable):
            raise Refused(f"{crash} ({where(crash)})")

    # -- nothing else may change ------------------------------------------------------------------------------------

    def _check_cells(
        self,
        world: SearchWorld,
        name: str,
        row: Row,
        before: Cells,
        written: set[CellName],
        label: str,
        read: set[CellName],
    ) -> set[CellName]:
        """The read cells whose contents were changed in place. :exc:`Unfreezable` for any other such cell."""
        changed: set[CellName] = set()
        for thing in world.objects:
            owner = name_of(thing)
            was = before.get(owner, _NO_CELLS)
            for attribute, value in cells_of(thing).items():
                same = was.get(attribute, _NOTHING) is value
                if (same and type(value) in _PLAIN) or (cell := (owner, attribute)) in written:
                    continue
                if not same or (
                    not isinstance(value, Tracked)
                    and self.columns.known(cell, world.frozen(cell, value)) != self.columns.of_row(row, cell)
                ):
                    if not same or cell not in read:
                        raise _unseen(name, label, ".".join(cell))
                    changed.add(cell)
        return changed

    def _check_others(self, world: SearchWorld, row: Row, actor: int, label: str) -> None:
        name = self.columns.actors[actor]
        if len(world.actors) != len(self.columns.actors):
            raise Unfreezable(f"the step {label!r} starts an actor; all actors must be there when the scene is built")
        sealed = not rebinding()
        for other, other_name in enumerate(self.columns.actors):
            if other == actor or (sealed and row[other] in self._sealed[other]):
                continue
            frozen = world.frozen_actor(other_name)
            self._note_held(frozen.held)
            if self.columns.values[other].get(frozen.value) != row[other]:
                raise _unseen(name, label, f"what {other_name} has in its local variables")

    def _note_bindings(self, before: Cells, after: Mapping[CellName, Any], written: set[CellName]) -> None:
        for cell in written:
            was = before.get(cell[0], _NO_CELLS).get(cell[1])
            if isinstance(was, TRACKED_CONTAINERS) and after.get(cell) is not was:
                self._bound_anew.add(cell)
        self._refuse_old_containers()

    def _note_held(self, held: frozenset[CellName]) -> None:
        if held - self._held:
            self._held |= held
            self._refuse_old_containers()

    def _refuse_old_containers(self) -> None:
        # An actor that kept the old container would go on using it, which a look-up by the cell's content cannot see.
        for cell in sorted(self._held & self._bound_anew):
            raise Unfreezable(
                f"one step keeps the list, dict or set of {'.'.join(cell)} across an await and another assigns a new one"
            )

    def _note_local(self, world: SearchWorld, actor: int, frozen: FrozenActor, local: int) -> None:
        self._note_held(frozen.held)
        op = world.actors[self.columns.actors[actor]].op
        if frozen.inside:
            self._inside[actor][local] = tuple(sorted(frozen.inside))
        if op is not None and op.guard is None:
            self.free[actor].add(local)
        if frozen.sealed:
            self._sealed[actor].add(local)
        if frozen.value is None or frozen.value[0] == "crashed":
            self.table.gone(actor, local)


def _unseen(name: str, label: str, what: str) -> Unfreezable:
    return Unfreezable(
        f"the step {label!r} of {name} changed {what} unseen: state that actors share must live in attributes of their "
        "drivers, not in a closure, a global or a plain object"
    )


def _applied(row: Row, leaf: Leaf, width: int) -> Row:
    new = [*row, *(0,) * (width - len(row))]
    for column, value in leaf.writes:
        new[column] = value
    return tuple(new)
