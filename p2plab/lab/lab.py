"""The lab: buttons for what people can do, and the views of one run at one step."""

from __future__ import annotations

import ipywidgets as widgets

from p2plab.core.run import Run
from p2plab.core.scenario import Knob
from p2plab.core.schedule import Schedule, by_clock, by_seed, straight
from p2plab.lab.board import board_html, damage_html, text_html, verdict_html
from p2plab.lab.checker import Checker
from p2plab.lab.frame import SNUG, Frame, row
from p2plab.lab.more import More
from p2plab.lab.panes import Panes
from p2plab.lab.session import RUN_ON, Session
from p2plab.lab.share import Share
from p2plab.p2p.things import things_of
from p2plab.views.text import board_of, story

ANYBODY = "whoever is next"

#: A dropdown cannot hold None.
NO_PAGE = ("no page", -1)

#: In which order everybody runs on.
FEWEST, RANDOM, CLOCK = "few switches", "random, by seed", "by clock"
ORDERS = (FEWEST, RANDOM, CLOCK)

#: The knobs that a first look needs; the others are folded away.
FIRST_KNOBS = ("driver", "importer", "exporter", "wiring", "policy", "nic", "dma", "iommu")


class Lab(Frame):
    """``Lab("workbench")`` as the last line of a cell shows the explorer. Knobs are keywords: ``importer="ignorant"``."""

    def __init__(self, scene: str = "workbench", token: str = "", **knobs: int | str) -> None:
        """BadInput for an unknown scene, knob or token, shown by the notebook as any error is."""
        super().__init__()
        self.session = Session(scene, knobs)
        if token:
            self.session.open(token)
            self.session.forked = None  # nobody had seen the run that it replaced
        self.views = Panes(self, self.session)
        self.panes = self.views.panes
        self._set_up()
        self.refresh()

    def as_text(self) -> str:
        """The run as columns of text."""
        return story(self.session.run)

    # -- what a person can do ---------------------------------------------------------------------------------------

    def press(self, action: str) -> None:
        """As the action's button."""
        self.session.press(action, self.run_on.value)

    def take(self) -> None:
        """As *step*."""
        self.session.take("" if self.who.value == ANYBODY else self.who.value)

    def run_to_rest(self) -> None:
        """As *run on*: in the order that is chosen."""
        orders: dict[str, Schedule] = {FEWEST: straight, RANDOM: by_seed(self.seed.value), CLOCK: by_clock}
        self.session.run_to_rest(orders[self.order.value])

    def back(self) -> None:
        """As *back*."""
        self.session.look_at(self.session.step - 1)

    # -- controls ---------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        """Make the controls of the scene that is shown, and put everything into its place."""
        self._scene = self.session.run.scenario.name
        self._written: Run | None = None
        self._make_controls()
        self.lay_out(
            self.title,
            self.knob_row,
            self.action_row,
            self.step_row,
            self.look_row,
            self.checker.box,
            self.guard.strip,
            self.verdict,
            *self.panes.values(),
            self.damage,
            self.board,
            self.more.box,
            self.share.box,
            self.text,
        )

    def _make_controls(self) -> None:
        session = self.session
        self.title = widgets.HTML()
        self.knobs = {knob.name: self._knob(knob) for knob in session.run.scenario.knobs}
        first = [self.knobs[name] for name in FIRST_KNOBS if name in self.knobs]
        more = widgets.Accordion([row(*(self.knobs[name] for name in self.knobs if name not in FIRST_KNOBS))])
        more.titles = ("more knobs (each change begins again)",)
        self.knob_row = widgets.VBox([row(*first), more])
        self.buttons = {
            name: self.button(action.label, action.help, lambda name=name: self.press(name))
            for name, action in session.run.world.actions.items()
        }
        self.run_on = widgets.Dropdown(options=RUN_ON, description="then runs", layout={"width": "200px"}, **SNUG)
        self.action_row = row(*self.buttons.values(), self.run_on)
        self.reset = self.button("reset", "begin again", session.reset, "undo")
        self.backward = self.button("back", "look at the step before", self.back, "step-backward")
        self.forward = self.button("step", "let one actor take one step", self.take, "step-forward")
        self.rest = self.button("run on", "everybody, until nobody can go on", self.run_to_rest, "fast-forward")
        self.order = widgets.Dropdown(options=ORDERS, description="in order", layout={"width": "230px"}, **SNUG)
        self.order.observe(self.handler(lambda _change: None), "value")  # the seed shows where it matters
        self.seed = widgets.BoundedIntText(
            value=1, min=0, max=10**9, description="seed", layout={"width": "130px"}, **SNUG
        )
        self.follow = self.choice("follow", [NO_PAGE], NO_PAGE[1], session.follow, "190px")
        self.who = widgets.Dropdown(options=[ANYBODY], description="who", layout={"width": "190px"}, **SNUG)
        self.slider = widgets.IntSlider(description="step", min=0, max=1, layout={"width": "360px"}, **SNUG)
        self.slider.observe(self.handler(lambda change: session.look_at(change["new"])), "value")
        self.step_row = row(self.reset, self.backward, self.forward, self.who, self.rest, self.order, self.seed)
        self.look_row = row(self.slider, self.follow)
        self.verdict, self.damage, self.board = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.text = widgets.HTML()
        self.share = Share(self, session)
        self.checker = Checker(self, session)
        self.more = More(session)

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
        """Show the session as it is; another scene (its token was opened) has other buttons and knobs."""
        if self.session.run.scenario.name != self._scene:
            self._set_up()
        self._refresh_views()
        self._refresh_controls()

    def _refresh_views(self) -> None:
        run, step = self.session.run, self.session.step
        self.views.refresh()
        self.more.refresh()
        board = board_of(run, step)
        self.verdict.value = verdict_html(board)
        self.board.value = board_html(board)
        self.damage.value = damage_html(run, step)
        if run is not self._written:  # a look at another step of it changes neither its token nor its text
            self.share.refresh()
            self.text.value = text_html(run)
            self._written = run

    def _refresh_controls(self) -> None:
        session = self.session
        enabled = session.enabled()
        scene = session.run.scenario
        forked = session.forked
        kept = f"<br>The run you left at step {forked.step} is kept: <code>{forked.token}</code>" if forked else ""
        self.title.value = f"<b>{scene.title}</b><br>{scene.about}{kept}"
        for name, button in self.buttons.items():
            why = session.why_not(f"!{name}")
            button.disabled = bool(why)
            button.tooltip = f"not now: {why}" if why else session.run.world.actions[name].help
        chosen = self.who.value
        self.who.options = [ANYBODY, *enabled]
        self.who.value = chosen if chosen in self.who.options else ANYBODY
        self.forward.disabled = self.rest.disabled = not enabled
        self.backward.disabled = session.step == 0
        self.seed.layout.display = "" if self.order.value == RANDOM else "none"
        width = things_of(session.run.world).width
        self.follow.options = [NO_PAGE, *((f"page {number}", number) for number in range(width))]
        self.follow.value = NO_PAGE[1] if session.page is None else session.page
        self.slider.max = max(1, len(session.run))
        self.slider.value = session.step
        for name, control in self.knobs.items():
            control.value = session.run.settings[name]
