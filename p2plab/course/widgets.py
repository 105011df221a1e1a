"""The course's widgets: a question whose answer is hidden until it was tried, and a counterexample opened in the lab."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path

import ipywidgets as widgets

from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.course.exercises.task import Outcome
from p2plab.course.predict import question
from p2plab.lab import Lab, MachineLab
from p2plab.lab.explorer import Explorer, row

#: Shown where the computer shows no PCI devices of its own.
STANDS_IN = "q35_rootports"


class Predict(Explorer):
    """``Predict("stale", seed=3)`` as the last line of a cell. Kinds: ``stale``, ``events``, ``reach``, ``rule``."""

    def __init__(self, kind: str, seed: int = 1) -> None:
        """BadInput for an unknown kind or seed."""
        super().__init__()
        self.question = question(kind, seed)
        self.tried = self.right = 0
        self.said = ""
        self.prompt, self.answer = widgets.HTML(), widgets.HTML()
        self.prompt.add_class("p2plab-question")
        self.options = widgets.VBox()
        self.reveal = self.button("answer", "shows whether that is right, and why", self.try_it, "check")
        self.another = self.button("another one", "a new question of the kind, by the next seed", self.next, "forward")
        self.score = widgets.HTML()
        self.lay_out(
            self.prompt,
            self.options,
            row(self.reveal, self.another, self.score),
            self.guard.strip,
            self.answer,
        )
        self._lay_out()
        self.refresh()

    @property
    def chosen(self) -> list[str]:
        """What is chosen now."""
        if self.question.multiple:
            return [box.description for box in self.options.children if box.value]
        picked = self.options.children[0].value
        return [] if picked is None else [picked]

    def choose(self, *choices: str) -> None:
        """As clicking them."""
        if self.question.multiple:
            for box in self.options.children:
                box.value = box.description in choices
        else:
            self.options.children[0].value = choices[0]

    def try_it(self) -> None:
        """As *answer*: the feedback, with the run. BadInput if nothing is chosen where something must be."""
        self.said = self.question.feedback(self.chosen)
        self.tried += 1
        self.right += self.said.startswith("Right")

    def next(self) -> None:
        """As *another one*."""
        self.question = question(self.question.kind, self.question.seed + 1)
        self.said = ""
        self._lay_out()

    def as_text(self) -> str:
        """The question, and the answer once it was tried."""
        return f"{self.question.text()}\n\n{self.said}".rstrip() + "\n"

    def refresh_all(self) -> None:
        """Show the question, and what was said to the answer."""
        asked = self.question
        first, _, more = asked.prompt.partition("\n")
        run = f"<pre>{escape(more.strip(chr(10)))}</pre>" if more else ""
        self.prompt.value = f"<b>{escape(first)}</b> <small>(seed {asked.seed})</small>{run}"
        token = f'<div>token: <span class="p2plab-token">{escape(asked.token)}</span></div>' if asked.token else ""
        self.answer.value = f'<div role="status"><pre>{escape(self.said)}</pre>{token}</div>' if self.said else ""
        self.score.value = f"{self.right} of {self.tried}" if self.tried else ""
        self.reveal.disabled = bool(self.said)

    def _lay_out(self) -> None:
        choices = self.question.choices
        if self.question.multiple:
            made = [widgets.Checkbox(value=False, description=choice, indent=False) for choice in choices]
        else:
            made = [widgets.RadioButtons(options=choices, value=None, layout={"width": "max-content"})]
        self.options.children = made


class Attempt(Explorer):
    """The answer to a check that failed: the counterexample at its end, then help, a layer at each press."""

    def __init__(self, outcome: Outcome) -> None:
        """BadInput if there is no counterexample."""
        super().__init__()
        self.outcome = outcome
        self.lab = outcome.lab()
        self.said: dict[str, str] = {}
        self.answer = widgets.HTML()
        buttons = [
            self.button("hint", "what led to the break, as this run shows it", lambda: self.ask("hint"), "lightbulb-o"),
            self.button("where", "the line of your driver, with its values", lambda: self.ask("where"), "map-marker"),
            self.button("recipe", "what to write", lambda: self.ask("recipe"), "book"),
        ]
        self.lay_out(self.lab.box, row(*buttons), self.guard.strip, self.answer)
        self.refresh()

    def ask(self, layer: str) -> None:
        """As pressing a button: ``hint``, ``where`` or ``recipe``."""
        self.said[layer] = repr(getattr(self.outcome, layer)())

    def as_text(self) -> str:
        """The report, and the help that was asked for."""
        return "\n\n".join([self.outcome.text(), *(f"{layer}: {said}" for layer, said in self.said.items())]) + "\n"

    def refresh_all(self) -> None:
        """Show what was said, and below it what there is to know besides the picture."""
        parts = [f"<b>{layer}</b><pre>{escape(said)}</pre>" for layer, said in self.said.items()]
        parts.append(f"<pre>{escape(self.outcome.summary())}</pre>")
        self.answer.value = f'<div role="status">{"".join(parts)}</div>'


def open_run(run: Run) -> Lab:
    """The lab at the end of a run, also of one with a driver of somebody's own, which no token can carry."""
    lab = Lab("workbench")
    lab.session.show(run)
    lab.session.forked = None  # the empty bench that was there for a moment is nobody's run
    lab.refresh()
    lab.share.journal.path = None  # what no token can carry cannot be resumed from one
    lab.share.left = ""
    lab.refresh()
    return lab


def this_machine() -> MachineLab:
    """The machine that the kernel runs on, by its sysfs; a recorded one where there is nothing to read, and it says so.

    ``P2PLAB_SYSFS`` names another folder than ``/sys/bus/pci/devices``: of a copy, or of nothing at all.
    """
    here = Path(os.environ.get("P2PLAB_SYSFS") or "/sys/bus/pci/devices")
    try:
        if not here.is_dir() or not any(here.iterdir()):
            raise BadInput(f"{here} shows no PCI device")
        return MachineLab(str(here))
    except (BadInput, OSError) as why:
        print(f"{why}. The recorded machine {STANDS_IN} stands in.")
        return MachineLab(STANDS_IN)
