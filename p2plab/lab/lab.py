"""The lab: the stage, with all that every step needs, and a drawer over it with the rest."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as widgets

from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario
from p2plab.core.schedule import Schedule, by_clock, by_seed, straight
from p2plab.everything import SCENES
from p2plab.lab.checker import Checker
from p2plab.lab.explorer import SNUG, Explorer, row
from p2plab.lab.more import More
from p2plab.lab.session import RUN_ON, Session
from p2plab.lab.share import Share
from p2plab.lab.stage import StagePane
from p2plab.p2p.things import things_of
from p2plab.views.leaves_out import LEAVES_OUT
from p2plab.views.stage import moment
from p2plab.views.stage.model import Said
from p2plab.views.stage.moment import COURSE
from p2plab.views.stage.press import said_of_press
from p2plab.views.text import story

ANYBODY = "whoever is next"

#: The orders in which *run on* lets the actors go on.
FEWEST, RANDOM, CLOCK = "few switches", "random, by seed", "by clock"
ORDERS = (FEWEST, RANDOM, CLOCK)

#: The parts of the drawer.
PARTS = ("actions, knobs", "token, files", "pictures", "text")


class Lab(Explorer):
    """Shown as the last line of a cell: ``Lab("workbench")``. Knobs are keywords: ``importer="ignorant"``."""

    def __init__(self, scene: str | Scenario = "workbench", token: str = "", **knobs: int | str) -> None:
        """BadInput for an unknown scene, knob or token; the notebook shows it like any error."""
        super().__init__()
        self.session = Session(scene, knobs)
        if token:
            self.session.open(token)
            self.session.forked = None  # the run that it replaced was never shown
        #: In how many views the drawer is open: the run is written out as text only where that is seen.
        self.drawn = 0
        self.stage = StagePane(self.handler(self.heard), reach=4, scenes=list(SCENES), check=True, drawer=True)
        self._set_up()
        self.refresh()

    def as_text(self) -> str:
        """The run as columns of text."""
        return story(self.session.run)

    # -- what a person can do ---------------------------------------------------------------------------------------

    def press(self, action: str) -> None:
        """Like the action's button."""
        self.session.press(action, self.run_on.value)

    def step_on(self) -> None:
        """Like *step* in the bar: show the run's next step; at its end, let the next actor take one."""
        if self.session.step < len(self.session.run):
            self.session.look_at(self.session.step + 1)
        else:
            self.session.take()

    def run_on_from_here(self) -> None:
        """Like *run on* in the bar: go to the end of the run; from there run all actors until none can go on."""
        if self.session.step < len(self.session.run):
            self.session.look_at(len(self.session.run))
        else:
            self.run_to_rest()

    def take(self) -> None:
        """Like *step* in the drawer: from an earlier step it starts another run."""
        self.session.take("" if self.who.value == ANYBODY else self.who.value)

    def run_to_rest(self) -> None:
        """Like *run on* in the drawer: in the chosen order, also from an earlier step."""
        orders: dict[str, Schedule] = {FEWEST: straight, RANDOM: by_seed(self.seed.value), CLOCK: by_clock}
        self.session.run_to_rest(orders[self.order.value])

    def back(self) -> None:
        """Like *back*."""
        self.session.look_at(self.session.step - 1)

    def heard(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the stage (:class:`~p2plab.lab.stage.StagePane`). BadInput for an unknown one."""
        do = {
            "step": self.step_on,
            "run on": self.run_on_from_here,
            "check": self.checker.begin,
            "cancel": self.checker.cancel,
            "close": self.checker.close,
        }
        if isinstance(step := message.get("look"), int):
            self.session.look_at(step)
        elif "press" in message:
            self.session.look_at(int(message["step"]))
            self.press(str(message["press"]))
        elif message.get("do") in do:
            do[message["do"]]()
        elif "knob" in message:
            name, value = message["knob"]
            self.session.reset({name: value})
        elif "scene" in message:
            self.session.show(Session(str(message["scene"])).run)
        elif "unfold" in message:
            self.stage.unfold(str(message["unfold"]))
        elif "drawer" in message:
            self.drawn = max(0, self.drawn + (1 if message["drawer"] else -1))
        else:
            raise BadInput(f"the lab does not know what {', '.join(map(str, message))[:60] or 'nothing'} is")

    # -- controls ---------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        """Make the controls for the current scene and lay everything out."""
        self._scene = self.session.run.scenario.name
        self._kept: Run | None = None  # the run whose token is in the journal
        self._written: Run | None = None  # the run whose text is in the drawer
        self._make_controls()
        self.drawer = widgets.Tab(
            [
                widgets.VBox([self.title, self.action_row, self.step_row, *self.knob_rows]),
                self.share.box,
                self.more.box,
                self.text,
            ]
        )
        self.drawer.titles = PARTS
        self.drawer.add_class("p2plab-drawer")
        self.guard.strip.add_class("p2plab-said")
        self.lay_out(self.stage, self.guard.strip, self.drawer)

    def _make_controls(self) -> None:
        session = self.session
        self.title = widgets.HTML()
        self.knobs = {knob.name: self._knob(knob) for knob in session.run.scenario.knobs}
        words = widgets.Label("each change of a knob begins again:")
        self.knob_rows = [words, row(*self.knobs.values())] if self.knobs else []
        self.buttons = {
            name: self.button(action.label, action.help, lambda name=name: self.press(name))
            for name, action in session.run.world.actions.items()
        }
        self.run_on = widgets.Dropdown(options=RUN_ON, description="then runs", layout={"width": "200px"}, **SNUG)
        self.action_row = row(*self.buttons.values(), self.run_on)
        self.reset = self.button("reset", "begin again", session.reset, "undo")
        self.forward = self.button("step", "let this actor take one step", self.take, "step-forward")
        self.rest = self.button("run on", "everybody, until nobody can go on", self.run_to_rest, "fast-forward")
        self.order = widgets.Dropdown(options=ORDERS, description="in order", layout={"width": "230px"}, **SNUG)
        self.order.observe(self.handler(lambda _change: None), "value")  # the seed shows where it matters
        self.seed = widgets.BoundedIntText(
            value=1, min=0, max=10**9, description="seed", layout={"width": "130px"}, **SNUG
        )
        self.who = widgets.Dropdown(options=[ANYBODY], description="who", layout={"width": "190px"}, **SNUG)
        self.step_row = row(self.reset, self.who, self.forward, self.order, self.seed, self.rest)
        self.text = widgets.HTML()
        self.share = Share(self, session)
        self.checker = Checker(self, session)
        self.more = More(self, session, self.checker)

    def _knob(self, knob: Knob) -> widgets.Widget:
        value = self.session.run.settings[knob.name]
        if knob.choices:
            made: widgets.Widget = widgets.Dropdown(options=knob.choices, value=value, description=knob.name, **SNUG)
        else:
            made = widgets.BoundedIntText(value=value, min=knob.low, max=knob.high, description=knob.name, **SNUG)
        made.tooltip = knob.help
        made.layout.width = "190px"
        made.observe(self.handler(lambda change: self.session.reset({knob.name: change["new"]})), "value")
        return made

    # -- views ------------------------------------------------------------------------------------------------------

    def refresh_all(self) -> None:
        """Show the session as it is. After the token of another scene was opened, buttons and knobs are made anew."""
        if self.session.run.scenario.name != self._scene:
            self._set_up()
        self.stage.show(self.session.run, self.session.step, self.checker.said, said=self._said())
        self._refresh_controls()
        run = self.session.run
        if run is not self._kept:  # looking at another step changes no token
            self.share.refresh()
            self._kept = run
        self.more.refresh()
        if self.drawn and run is not self._written:
            self.text.value = text_html(run)
            self._written = run

    def _said(self) -> Said | None:
        """A sentence that replaces the step's own: at first what to press and watch, later what a press led to."""
        session = self.session
        if (at := session.pressed_at) is not None:
            return said_of_press(session.run, at)
        if session.touched or session.step < len(session.run):
            return None
        best = moment(session.run, session.step).natural
        if best not in COURSE or len({entry.actor for entry in session.run.log} - {""}) > 1:
            return None  # a story was played: its own sentence is what matters
        importer = things_of(session.run.world).importers[0].name
        return Said(
            f"Press the blue button, {session.run.world.actions[best].label}, then the next blue one.",
            f"Watch {importer}'s own table: which entries may it still use?",
        )

    def _refresh_controls(self) -> None:
        session = self.session
        enabled = session.enabled()
        said = session.run.scenario.words_with(session.run.settings)
        forked = session.forked
        kept = f"<br>The run you left at step {forked.step} is kept: <code>{forked.token}</code>" if forked else ""
        self.title.value = f"<b>{said.title}</b><br>{said.about}{kept}"
        for name, button in self.buttons.items():
            why = session.why_not(f"!{name}")
            button.disabled = bool(why)
            button.tooltip = f"not now: {why}" if why else session.run.world.actions[name].help
        chosen = self.who.value
        self.who.options = [ANYBODY, *enabled]
        self.who.value = chosen if chosen in self.who.options else ANYBODY
        self.forward.disabled = self.rest.disabled = not enabled
        self.seed.layout.display = "" if self.order.value == RANDOM else "none"
        for name, control in self.knobs.items():
            control.value = session.run.settings[name]


def text_html(run: Run) -> str:
    """The run as 72 columns of text, and what the model leaves out."""
    left_out = "".join(f"<li><b>{escape(name)}</b>: {escape(what)}</li>" for name, what in LEAVES_OUT)
    return (
        f'<pre class="p2plab-text" data-view="text" tabindex="0">{escape(story(run))}</pre>'
        f"<details><summary>What this model leaves out</summary><ul>{left_out}</ul></details>"
    )
