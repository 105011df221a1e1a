"""The step list, written once, and the scenario that runs it under a design.

``app`` sets up, maps, lets the device write, and unmaps; ``gpu`` is the exporter's own thread, which wants its memory
back or is unplugged as soon as everything is set up: from there on in any order. ``nic`` is the importer's own thread,
which maps again what was lost.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from p2plab.core.actors import idle
from p2plab.core.errors import KernelError
from p2plab.core.events import emit
from p2plab.core.scenario import Knob, Scenario
from p2plab.core.tracked import Tracked
from p2plab.core.world import World
from p2plab.designs.design import Cast, Design, Play
from p2plab.designs.events import StepBegun, StepEnded
from p2plab.designs.stage import PAGES, START, Stage
from p2plab.p2p.importer import kernel_for
from p2plab.p2p.things import Things

SET_UP, MAP, DMA, WANTS_BACK, WANTS_PART = "set up", "map", "DMA", "wants its memory back", "wants one page back"
STARTS, UNMAP, UNPLUG, EXIT, AGAIN = "starts DMA", "unmap", "unplug", "process exits", "map again"

#: What ``app`` and the exporter's thread do in each choice of the knob ``steps``.
LISTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "move": ((SET_UP, MAP, DMA, UNMAP), (WANTS_BACK,)),
    "part": ((SET_UP, MAP, DMA, UNMAP), (WANTS_PART,)),
    "unplug": ((SET_UP, MAP, DMA, UNMAP), (UNPLUG,)),
    "exit": ((SET_UP, MAP, STARTS, EXIT), ()),
    "all": ((SET_UP, MAP, DMA, UNMAP), (WANTS_BACK, UNPLUG)),
    "by-hand": ((SET_UP,), ()),
}
#: What may go wrong for reasons of the exporter or of the machine.
TROUBLES = {
    "none": "nothing",
    "no-room": "the exporter has nothing to lend from the beginning",
    "later": "once it has its memory back, the exporter has nothing to lend",
    "unreachable": "the importer is below another root port, which nobody vouches for",
    "no-pages": "the exporter's memory has no struct page",
}
#: The order that shows what a design does: everybody as far as he can, the device in the middle of its transfer.
STORY = "app nic_dma*1 gpu nic_dma gpu nic ..."


class Player(Tracked):
    """Does the lines of the list for one actor, and notes how each ended."""

    def __init__(
        self, world: World, name: str, do: Mapping[str, Callable[[], Awaitable[None]]], lines: tuple[str, ...]
    ):
        self.name = name
        self.do = dict(do)
        self.inbox = list(lines)
        world.actor(name, self.run)

    def post(self, line: str) -> None:
        """Put a line on the list, within the running step; once is enough."""
        if line not in self.inbox:
            self.inbox.append(line)

    async def run(self) -> None:
        """For ever: the next line. A user whose map failed gives up, and only cleans up."""
        while True:
            await idle(lambda: self.inbox, "")
            line = self.inbox.pop(0)
            emit(StepBegun(line))
            try:
                await self.do[line]()
            except KernelError as error:
                keep = [UNMAP] if line in (MAP, DMA) and UNMAP in self.inbox else []
                self.inbox = keep if self.name == "app" else list(self.inbox)
                emit(StepEnded(line, error.name, error.sentence))
            else:
                emit(StepEnded(line, "", ""))


class Show(Tracked):
    """A design, the stage and the three players."""

    def __init__(self, world: World, design: Design, settings: Mapping[str, Any]) -> None:
        importer = world.role("importer", design.play.importers[str(settings.get("importer", "good"))])
        exporter = world.role("exporter", design.play.exporters[str(settings.get("exporter", "good"))])
        cast = Cast(importer, exporter, str(settings["trouble"]))
        self.stage = Stage(kernel_for(design.play.kernel, importer), reachable=cast.trouble != "unreachable")
        lines, self.owner_lines = LISTS[str(settings["steps"])]
        self.play: Play = design.play(world, self.stage, cast)
        play = self.play
        self.app = Player(
            world,
            "app",
            {
                SET_UP: self.set_up,
                MAP: play.map,
                DMA: self.dma,
                STARTS: play.submit,
                UNMAP: play.unmap,
                EXIT: play.exit,
            },
            lines,
        )
        self.owner = Player(
            world,
            "gpu",
            {WANTS_BACK: self.take_back, WANTS_PART: self.take_part, UNPLUG: play.unplug},
            (),
        )
        self.nic = Player(world, "nic", {AGAIN: self.again}, ())
        play.importer.map_again = self.map_again
        self.show(world)

    async def set_up(self) -> None:
        """The design's set-up; from here on the exporter does as it likes."""
        await self.play.set_up()
        self.owner.inbox.extend(self.owner_lines)

    async def take_back(self) -> None:
        """All of it."""
        await self.play.take_back(0, PAGES - 1)

    async def take_part(self) -> None:
        """The last page only."""
        await self.play.take_back(PAGES - 1, PAGES - 1)

    async def again(self) -> None:
        """The importer maps anew; where it is refused, its device completes what is queued with an error."""
        try:
            await self.play.map()
        except KernelError:
            self.play.importer.dead = True
            self.play.importer.engine.abort()
            raise

    async def dma(self) -> None:
        """The user's transfer. -EIO where the driver has given up on the mapping."""
        if self.play.importer.dead:
            raise KernelError("EIO", "the mapping is lost: the transfer completes with an error")
        await self.play.dma()
        if self.play.importer.dead:
            raise KernelError("EIO", "the mapping was lost: the transfer completed with an error")

    def map_again(self) -> None:
        """The device met a page that it has no translation for: its driver maps again."""
        self.nic.post(AGAIN)

    def show(self, world: World) -> None:
        """What the views look for, and a button for each line."""
        play = self.play
        parties = (play.exporter,), (play.importer,)
        world.things = Things((self.stage.mm,), *parties, START, PAGES, self.stage.machine)
        for player in (self.app, self.owner):
            for line in player.do:
                self._button(world, player, line)

    def _button(self, world: World, player: Player, line: str) -> None:
        name = line.replace(" ", "-").lower()
        world.action(name, f"{player.name}: {line}", lambda: player.post(line), lambda: "", line)


def scene_of(design: Design) -> Scenario:
    """The step list under one design, as a scenario."""
    return Scenario(
        name=design.scene,
        title=f"the step list under {design.title}",
        build=functools.partial(_build, design),
        version=design.version,
        knobs=(
            Knob("steps", "move", "what the process and the exporter do", choices=tuple(LISTS)),
            Knob("importer", "good", "who imports", choices=tuple(design.play.importers)),
            Knob("exporter", "good", "who exports", choices=tuple(design.play.exporters)),
            Knob("trouble", "none", "what goes wrong: " + "; ".join(TROUBLES), choices=tuple(TROUBLES)),
        ),
        story=STORY,
        rules=design.rules,
        roles=design.play.roles,
        about=f"{design.title} ({design.years}). Simplified: {design.simplified}",
    )


def _build(design: Design, world: World, settings: Mapping[str, Any]) -> None:
    Show(world, design, settings)
