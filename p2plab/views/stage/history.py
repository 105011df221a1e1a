"""What a moment needs to know of the steps before it, gathered in one pass along the run.

Since when an address is stale, which rules were exercised, and where each driver's code waited. The passes of the last few
runs are kept, and extended when a run grows: a step in the lab costs a step, not the whole run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from p2plab.core.monitor import Finding
from p2plab.core.run import Run
from p2plab.core.world import World
from p2plab.p2p.things import things_of
from p2plab.rules import watched_by
from p2plab.views.stage.chain import meant_and_reached
from p2plab.views.stage.source import Pending, pending

#: How many runs' passes are kept, and how many moments of each.
KEPT, MOMENTS = 8, 4

_recent: list[History] = []


class History:
    """One pass along one run, as far as requested."""

    def __init__(self, run: Run) -> None:
        self.scenario, self.settings = run.scenario, dict(run.settings)
        self.schedule: list[str] = []
        self.world: World = run.scenario.world(**run.settings)
        self.rules = tuple(rule() for rule in watched_by(run.scenario))
        self.findings: list[Finding] = []
        self.exercised: list[frozenset[str]] = []  #: at each step
        self.pending: list[Pending] = []  #: at each step
        self.objects: dict[str, None] = {}  #: all objects that ever existed, in the order in which they were made
        self._since: list[dict[tuple[str, int], tuple[int, int]]] = []
        self._moments: dict[int, Any] = {}
        self._read = 0
        self._note()

    def follows(self, run: Run) -> bool:
        """Whether this pass is along a prefix of a run."""
        return (
            run.scenario is self.scenario
            and run.settings == self.settings
            and len(self.schedule) <= len(run)
            and list(run.schedule[: len(self.schedule)]) == self.schedule
        )

    def go_on(self, run: Run) -> History:
        """To the end of the run."""
        for choice in run.schedule[len(self.schedule) :]:
            self.world.take(choice)
            self.schedule.append(choice)
            self._note()
        return self

    def kept(self, step: int) -> Any:
        """What :meth:`keep` was last given for a step; None if that is not kept any more.

        A step of a pass has one way to it, and no later step changes what it was: what is kept for it cannot become wrong.
        """
        return self._moments.get(step)

    def keep(self, step: int, made: Any) -> None:
        """Keep what was made for a step, and of earlier ones the latest few."""
        self._moments.pop(step, None)
        self._moments[step] = made
        if len(self._moments) > MOMENTS:
            del self._moments[next(iter(self._moments))]

    def since(self, step: int, importer: str, page: int, address: int) -> int | None:
        """The step from which on an importer's address for a page (in bytes) was stale; None if it is not."""
        found = self._since[step].get((importer, page))
        return found[1] if found is not None and found[0] == address else None

    def is_promise(self, rule: str) -> bool:
        """Whether a rule must never be broken; else it is a price."""
        return next(watched.kind for watched in self.rules if watched.name == rule) != "price"

    def findings_at(self, step: int) -> list[Finding]:
        """What had broken by then, in order."""
        return [finding for finding in self.findings if finding.step <= step]

    def _note(self) -> None:
        world = self.world
        for entry in world.log[self._read :]:
            self.findings += [finding for rule in self.rules for finding in rule.see(entry)]
        self._read = len(world.log)
        self.exercised.append(frozenset(rule.name for rule in self.rules if rule.exercised))
        self.pending.append(pending(world))
        self.objects |= dict.fromkeys(_objects(world))
        before = self._since[-1] if self._since else {}
        now = {}
        for importer, page, address in _stale(world):
            old = before.get((importer, page))
            now[importer, page] = old if old is not None and old[0] == address else (address, world.steps)
        self._since.append(now)


def history_of(run: Run) -> History:
    """The pass along a run; a kept one is extended if possible."""
    found = max((h for h in _recent if h.follows(run)), key=lambda h: len(h.schedule), default=None)
    if found is None:
        found = next((h for h in _recent if _longer(h, run)), None)
    else:
        found.go_on(run)
    if found is None:
        found = History(run).go_on(run)
    else:
        _recent.remove(found)
    _recent.append(found)
    del _recent[:-KEPT]
    return found


def _longer(history: History, run: Run) -> bool:
    """Whether a run is a prefix of a pass, which then has everything about it."""
    return (
        run.scenario is history.scenario
        and run.settings == history.settings
        and history.schedule[: len(run)] == list(run.schedule)
    )


def _objects(world: World) -> Iterator[str]:
    memories = [exporter.memory for exporter in things_of(world).exporters]
    rams = [importer.engine.fabric.ram for importer in things_of(world).importers]
    for memory in (*memories, *(ram for ram in rams if ram is not None)):
        yield from memory.objects


def _stale(world: World) -> Iterator[tuple[str, int, int]]:
    importer: Any
    for importer in things_of(world).importers:
        for page, address in importer.engine.table.items():
            meant, reached = meant_and_reached(importer, page, address)
            if not meant or meant != reached:
                yield importer.name, page, address
