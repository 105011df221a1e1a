"""Synthetic pictures of any size for bench_views.py: the lab's own figures and pane, and the plain way beside them."""

from __future__ import annotations

import resource
from types import SimpleNamespace
from typing import Any

import ipywidgets as widgets
from bokeh.io import show
from bokeh.layouts import column

from p2plab.core.actors import step
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.world import World
from p2plab.lab.pane import BokehPane
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.things import Things
from p2plab.pci import Machine
from p2plab.views.picture import GREY, OBJECTS, PALE, ColumnBuilder, Picture
from p2plab.views.pictures.bar_map import bar_map_figure
from p2plab.views.pictures.timeline import EDGED, timeline_figure

ACTORS = ("app", "gpu", "nic", "nic_dma")
BAR = 0x38_0000_0000_0000


class Large:
    """An aperture of ``blocks`` slots and a history of ``events`` steps, at any of its steps."""

    def __init__(self, blocks: int, events: int) -> None:
        self.blocks, self.events = blocks, events
        self.run: Any = _stand_in(blocks)

    def bar_map(self, at: int) -> Picture:
        """Every block belongs to somebody; at each step some have moved on."""
        slots = ColumnBuilder("x", "y", "label", "colour", "hatch", "edge", "hover")
        for slot in range(self.blocks):
            owner = (slot // 3 + (at if slot % 7 == 0 else 0)) % len(OBJECTS)
            name = f"{'ABCDEF'[owner]}[{slot % 3}]"
            slots.row(
                x=slot, y=1, label=name, colour=OBJECTS[owner], hatch=" ", edge=1,
                hover=f"slot {slot} at {BAR + slot * PAGE_SIZE:#x}: {name}",
            )  # fmt: skip
        return Picture(f"Step {at}: {self.blocks} blocks.", {"slots": slots.columns})

    def timeline(self, at: int) -> Picture:
        """A bar for every event, a twentieth of them, moving on, in another colour."""
        bars = ColumnBuilder("left", "right", "bottom", "top", "kind", "colour", "edge", "hover")
        for number in range(self.events):
            lane, now = number % len(ACTORS), number * 20 // self.events == at % 20
            bars.row(
                edge=0.5 if self.events <= EDGED else 0,
                left=number - 0.5, right=number + 0.5, bottom=lane + 0.1, top=lane + 0.9,
                kind="this step" if now else "step", colour=GREY if now else PALE,
                hover=f"{ACTORS[lane]}, step {number}: beat lands",
            )  # fmt: skip
        marks = {name: [] for name in ("x", "y", "label", "colour", "align", "dx")}
        return Picture(
            f"Step {at} of {self.events}.",
            {"bars": bars.columns, "marks": marks, "cursor": {"x": [at], "label": [f"step {at}"]}},
        )

    def figures(self) -> dict[str, Any]:
        """The lab's own."""
        return {"bar-map": bar_map_figure(self.run), "timeline": timeline_figure(self.run)}

    def pictures(self, at: int) -> dict[str, Picture]:
        """Both at a step."""
        return {"bar-map": self.bar_map(at), "timeline": self.timeline(at)}


def ours(large: Large) -> widgets.VBox:
    """Panes that are fed: a press shows the next step."""
    drawn, now = large.figures(), large.pictures(0)
    panes = {name: BokehPane(name, drawn[name], now[name]) for name in drawn}

    def press(at: int) -> None:
        for name, picture in large.pictures(at).items():
            panes[name].show(picture)

    return _box("ours", press, *panes.values())


def plain(large: Large) -> widgets.VBox:
    """The whole figure drawn again into an Output, as a notebook's author would without a pane."""
    output = widgets.Output()

    def press(at: int) -> None:
        drawn = large.figures()
        for name, picture in large.pictures(at).items():
            for source, columns in picture.data.items():
                drawn[name].select_one({"name": source}).data = columns
        with output:
            output.clear_output(wait=True)
            show(column(*drawn.values(), sizing_mode="stretch_width"))

    return _box("plain", press, output)


def memory() -> float:
    """The largest size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _box(name: str, press: Any, *children: Any) -> widgets.VBox:
    button = widgets.Button(description=f"step {name}")
    at = iter(range(1, 1_000_000))
    button.on_click(lambda _button: press(next(at)))
    box = widgets.VBox([button, *children])
    box.add_class("p2plab-lab" if name == "ours" else "plain-lab")
    return box


def _stand_in(blocks: int) -> Any:
    """As much of a run as the figures ask for."""

    async def go() -> None:
        await step("nothing")

    def build(world: World, _settings: Any) -> None:
        for name in ACTORS:
            world.actor(name, go)

    aperture = _Aperture(blocks)
    world = Run(Scenario("large", "large", build)).world
    exporter: Any = SimpleNamespace(aperture=aperture)
    things = Things((), (exporter,), (), 0, 0, Machine("none", ()))
    return SimpleNamespace(world=SimpleNamespace(actors=world.actors, things=things))


class _Aperture:
    def __init__(self, blocks: int) -> None:
        self.blocks = blocks

    def __len__(self) -> int:
        return self.blocks

    def address(self, slot: int) -> int:
        return BAR + slot * PAGE_SIZE
