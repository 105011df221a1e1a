"""What the lab does on a press, without any widget: a run, a place in it, and how to go on.

Going on from an earlier step forks: the run up to there is kept, the later steps are replaced, and their token is
returned so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from p2plab.core.errors import NotEnabled
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import Schedule, straight
from p2plab.core.token import open_token, token_of
from p2plab.core.world import World
from p2plab.everything import SCENES, find
from p2plab.p2p.things import things_of
from p2plab.rules import Board
from p2plab.views.follow import follow_page
from p2plab.views.text import board_of

#: Which actors run on after a press: none, the driver that was asked, or all until nothing is left to do.
NOBODY, DRIVER, EVERYBODY = "nobody", "the driver", "everybody"
RUN_ON = (DRIVER, EVERYBODY, NOBODY)

#: A press never runs on for longer than this many steps; another press runs the rest.
LIMIT = 5_000


@dataclass(frozen=True)
class Forked:
    """A run, or its later steps, were replaced: the token of the old run, and the step that was shown."""

    token: str
    step: int


class Session:
    """One run of one scene, and the step being looked at."""

    def __init__(self, scene: str | Scenario, knobs: Mapping[str, object] | None = None) -> None:
        """BadInput for an unknown scene or knob."""
        self.run = _told(Run(scene if isinstance(scene, Scenario) else find(scene), knobs))
        self.step = len(self.run)
        self.forked: Forked | None = None
        self.touched = False  #: whether a person has changed the run yet
        self.pressed: tuple[Run, int] | None = None  #: the run after the last press, and the step of the press
        self.page: int | None = None  #: the page of the first process that is followed through all views

    @property
    def board(self) -> Board:
        """The board of the promises at the end of the run."""
        return board_of(self.run)

    @property
    def token(self) -> str:
        """The run so far, in one line."""
        return token_of(self.run)

    @property
    def pressed_at(self) -> int | None:
        """The step at which a button was pressed, if the end of the resulting run is shown."""
        if self.pressed is None or self.pressed[0] is not self.run or self.step < len(self.run):
            return None
        return self.pressed[1]

    def enabled(self) -> list[str]:
        """The actors that can take a step from here."""
        return self.run.at(self.step).enabled()

    def why_not(self, choice: str) -> str:
        """Why a choice makes no sense from here; empty if it does."""
        return self.run.at(self.step).why_not(choice)

    def press(self, action: str, run_on: str = DRIVER) -> None:
        """Press a button of the scene. :exc:`NotEnabled` with the reason if it makes no sense now."""
        idle_before = set(self.run.at(self.step).actors) - set(self.enabled())
        at = self.step
        self._go_on(lambda _world: iter([f"!{action}"]), 1)
        if run_on == EVERYBODY:
            self._go_on(straight, LIMIT)
        elif run_on == DRIVER:
            woken = [name for name in self.run.world.enabled() if name in idle_before]
            self._go_on(_only(woken), LIMIT)
        self.pressed = (self.run, at)

    def take(self, actor: str = "") -> None:
        """One step of ``actor``, or of the actor that acted last and still can."""
        world = self.run.at(self.step)
        if not actor:
            last = self.run.schedule[self.step - 1] if self.step else ""
            enabled = world.enabled()
            if not enabled:
                raise NotEnabled("no actor can take a step now: press an action")
            actor = last if last in enabled else enabled[0]
        self._go_on(lambda _world: iter([actor]), 1)

    def run_to_rest(self, order: Schedule = straight) -> None:
        """All actors, until none can go on, in the order of a schedule."""
        if not self.enabled():
            raise NotEnabled("no actor can take a step now: press an action")
        self._go_on(order, LIMIT)

    def look_at(self, step: int) -> None:
        """Look at another step of the same run."""
        self.step = max(0, min(step, len(self.run)))

    def follow(self, page: int | None) -> None:
        """Follow a page, counted from the views' base, through all views; None follows nothing."""
        width = things_of(self.run.at(self.step)).width
        self.page = page if page is not None and 0 <= page < width else None

    def follow_slot(self, slot: int) -> None:
        """Follow the page that a slot of the aperture shows, or that an importer believes is there."""
        things = things_of(self.run.at(self.step))
        gpu = things.exporters[0]
        ways = [follow_page(self.run, self.step, page) for page in range(things.width)]
        shown = [way.page for way in ways if way.slot == slot]
        sent = {way.page: [use.bus for use in way.uses if use.bus is not None] for way in ways}
        used = [page for page, buses in sent.items() if any(gpu.aperture.slot_at(bus) == slot for bus in buses)]
        self.follow(next(iter(shown + used), None))

    def reset(self, knobs: Mapping[str, object] | None = None) -> None:
        """Begin the scene again, with other knobs if given; the run so far can be restored by its token."""
        run = _told(Run(self.run.scenario, {**self.run.settings, **(knobs or {})}))
        self._keep_token()
        self.run, self.step, self.touched = run, len(run), True

    def open(self, token: str) -> None:
        """Show the run of a token. BadInput, and nothing changed, if it cannot be replayed.

        A scene placed on another machine is found only here: no catalogue knows that machine.
        """
        here = self.run.scenario
        self.show(open_token(token, lambda name: here if name == here.name and name not in SCENES else find(name)))

    def show(self, run: Run) -> None:
        """Show another run, at its end; the previous one is kept as a token."""
        self._keep_token()
        self.run, self.step, self.touched = run, len(run), True

    def _go_on(self, schedule: Schedule, limit: int) -> None:
        if self.step < len(self.run):
            forked = self.run.fork(self.step).driven(schedule, limit)
            self._keep_token()
            self.run = forked
        else:
            self.run = self.run.driven(schedule, limit)
        self.step, self.touched = len(self.run), True

    def _keep_token(self) -> None:
        if len(self.run) and not self.run.scenario.cast:
            self.forked = Forked(self.token, self.step)


def _told(run: Run) -> Run:
    """A scene opens at the end of its story; the workbench's story ends before any request."""
    return run.told()


def _only(actors: list[str]) -> Schedule:
    """These actors, one after another, each as long as it can."""

    def drive(world: World) -> Iterator[str]:
        for actor in actors:
            while world.actors[actor].enabled:
                yield actor

    return drive
