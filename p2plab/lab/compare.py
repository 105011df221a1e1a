"""Two runs side by side at the same step: obedient beside ignorant, one scene beside another."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import ipywidgets as widgets

from p2plab.core.errors import NotEnabled
from p2plab.lab.board import verdict_html
from p2plab.lab.frame import SNUG, Frame, row
from p2plab.lab.panes import Panes
from p2plab.lab.session import DRIVER, Session
from p2plab.views.text import board_of, story


class Side:
    """One of the two: a session, its pictures, and what it says."""

    def __init__(self, frame: Frame, scene: str, knobs: Mapping[str, object]) -> None:
        self.session = Session(scene, knobs)
        self.views = Panes(frame, self.session)
        self.title, self.verdict = widgets.HTML(), widgets.HTML()
        layout = {"width": "49%", "min_width": "340px", "padding": "0 6px"}
        self.box = widgets.VBox([self.title, self.verdict, *self.views.panes.values()], layout=layout)
        self.said = ""

    def refresh(self) -> None:
        """Show the session as it is, and what it refused, if it did."""
        run, step = self.session.run, self.session.step
        knobs = ", ".join(f"{name}={value}" for name, value in run.settings.items() if name in ("importer", "exporter"))
        refused = f"<br>{escape(self.said)}" if self.said else ""
        title = f"{run.scenario.title}{f' ({knobs})' if knobs else ''}"
        self.title.value = f"<b>{escape(title)}</b><br>step {step} of {len(run)}{refused}"
        self.verdict.value = verdict_html(board_of(run, step))
        self.views.refresh()


class CompareLab(Frame):
    """``CompareLab("workbench", left={"importer": "obedient"}, right={"importer": "ignorant"})``.

    Every press goes to both; where one cannot do it, it says why and the other goes on. ``scene`` may be two names.
    """

    def __init__(
        self,
        scene: str | tuple[str, str] = "workbench",
        left: Mapping[str, object] | None = None,
        right: Mapping[str, object] | None = None,
    ) -> None:
        """BadInput for an unknown scene or knob."""
        super().__init__()
        names = (scene, scene) if isinstance(scene, str) else scene
        if isinstance(scene, str) and left is None and right is None:
            left, right = {"importer": "obedient"}, {"importer": "ignorant"}
        self.sides = (Side(self, names[0], left or {}), Side(self, names[1], right or {}))
        actions = {name: a for side in self.sides for name, a in side.session.run.world.actions.items()}
        self.buttons = {
            name: self.button(action.label, action.help, lambda name=name: self.both(lambda s: s.press(name, DRIVER)))
            for name, action in actions.items()
        }
        self.back = self.button("back", "both look at the step before", lambda: self.look_at(self._step() - 1))
        self.forward = self.button("step", "one step of each", lambda: self.both(lambda s: s.take()))
        self.rest = self.button("run on", "each until nobody can go on", lambda: self.both(lambda s: s.run_to_rest()))
        self.slider = widgets.IntSlider(description="step", min=0, max=1, layout={"width": "420px"}, **SNUG)
        self.slider.observe(self.handler(lambda change: self.look_at(change["new"])), "value")
        self.box.children = (
            row(*self.buttons.values()),
            row(self.back, self.forward, self.rest, self.slider),
            self.guard.strip,
            widgets.HBox([side.box for side in self.sides], layout={"flex_flow": "row wrap"}),
        )
        self.refresh()

    def as_text(self) -> str:
        """Both runs, one after the other."""
        return "\n".join(story(side.session.run) for side in self.sides)

    def both(self, do: object) -> None:
        """The same to both; a refusal of one is said at its side. NotEnabled only if both refuse."""
        assert callable(do)
        for side in self.sides:
            side.said = ""
            try:
                do(side.session)
            except NotEnabled as refused:
                side.said = str(refused)
        if all(side.said for side in self.sides):
            raise NotEnabled(self.sides[0].said)

    def look_at(self, step: int) -> None:
        """Both at the same step, or at their last."""
        for side in self.sides:
            side.said = ""
            side.session.look_at(step)

    def refresh_all(self) -> None:
        """Show both as they are."""
        for side in self.sides:
            side.refresh()
        self.slider.max = max(1, *(len(side.session.run) for side in self.sides))
        self.slider.value = self._step()
        for name, button in self.buttons.items():
            button.disabled = all(side.session.why_not(f"!{name}") for side in self.sides)
        idle = not any(side.session.enabled() for side in self.sides)
        self.forward.disabled = self.rest.disabled = idle

    def _step(self) -> int:
        return max(side.session.step for side in self.sides)
