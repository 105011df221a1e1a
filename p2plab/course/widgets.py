"""The course's widgets: a question whose answer is hidden until you tried, a story, and a counterexample in the lab."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.course.beat import StoryBeat
from p2plab.course.exercises.task import Outcome
from p2plab.course.predict import LIST, OnStage, question
from p2plab.course.stories import story_of
from p2plab.lab import Lab, MachineLab
from p2plab.lab.explorer import Explorer, row
from p2plab.lab.stage import StagePane

#: Height of a question's stage in pixels: with question and buttons it fits into a notebook window of 720.
STAGE_HEIGHT = 500
LANE = 24  #: of each actor after the fourth
STORY_HEIGHT = 620

#: The machine shown if the computer shows no PCI devices.
STANDS_IN = "q35_rootports"


class Predict(Explorer):
    """Shown as the last line of a cell: ``Predict("stale", seed=3)``.

    ``stale``, ``waits``, ``breaks``: answered on the stage, which then plays on; ``rule``, ``events``, ``reach``: in a list.
    """

    def __init__(self, kind: str, seed: int = 1) -> None:
        """BadInput for an unknown kind or seed."""
        super().__init__()
        self.question = question(kind, seed)
        self.tried = self.right = 0
        self.said = ""
        self.picked: list[str] = []
        self._read: Run | None = None  #: the run as far as it may be read before the answer
        self.prompt, self.answer = widgets.HTML(), widgets.HTML()
        self.prompt.add_class("p2plab-question")
        self.stage = StagePane(self.handler(self.heard), saved=True, height=STAGE_HEIGHT)
        self.machine = widgets.HTML()
        self.options = widgets.VBox()
        self.reveal = self.button("answer", "shows whether that is right, and why", self.try_it, "check")
        self.another = self.button("another one", "a new question of the kind, by the next seed", self.next, "forward")
        self.score = widgets.HTML()
        self._lay_out()
        self.refresh()

    @property
    def chosen(self) -> list[str]:
        """The current choices."""
        if self.on_stage:
            return [choice for choice in self.question.choices if choice in self.picked]
        picked = self.options.children[0].value
        return [] if picked is None else [picked]

    @property
    def on_stage(self) -> bool:
        """Whether the answer is given on the stage."""
        return self.question.stage is not None and self.question.stage.sort != LIST

    def choose(self, *choices: str) -> None:
        """Like clicking exactly these."""
        if self.on_stage:
            self.picked = []
            for choice in choices:
                self.pick(choice)
            self.refresh()
        else:
            self.options.children[0].value = choices[0]

    def pick(self, choice: str) -> None:
        """Like clicking one on the stage: choose it, or undo the choice. BadInput if it is not among the choices."""
        if choice not in self.question.choices:
            raise BadInput(f"{choice[:40]!r} is not a choice; there are {'; '.join(self.question.choices)}")
        if self.said:
            raise BadInput("the answer is given: press another one")
        others = self.picked if self.question.multiple else []
        self.picked = [one for one in self.picked if one != choice] if choice in self.picked else [*others, choice]

    def heard(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the stage: look at a step, choose, unfold a block. BadInput for an unknown one."""
        if isinstance(step := message.get("look"), int):
            on = self.question.stage
            assert on is not None
            self.step = max(0, min(step, len(on.run) if self.said else on.at))
        elif "choose" in message:
            self.pick(str(message["choose"]))
        elif "unfold" in message:
            self.stage.unfold(str(message["unfold"]))
        else:
            raise BadInput(f"a question does not know what {', '.join(map(str, message))[:60] or 'nothing'} is")

    def try_it(self) -> None:
        """Like *answer*: give feedback and play the run on. BadInput if nothing is chosen and something must be."""
        self.said = self.question.feedback(self.chosen)
        self.tried += 1
        self.right += self.said.startswith("Right")

    def next(self) -> None:
        """Like *another one*."""
        self.question = question(self.question.kind, self.question.seed + 1)
        self.said, self.picked = "", []
        self._lay_out()

    def as_text(self) -> str:
        """The question, and the feedback once it was answered."""
        return f"{self.question.text()}\n\n{self.said}".rstrip() + "\n"

    def refresh_all(self) -> None:
        """Show the question and the feedback."""
        asked = self.question
        first, _, more = asked.prompt.partition("\n")
        how = "Choose on the picture: any number, also none." if asked.multiple else "Choose on the picture."
        point = f"<div>{how}</div>" if self.on_stage else ""
        run = f"<pre>{escape(more.strip(chr(10)))}</pre>" if more else ""
        text = f"<details><summary>the run so far as text</summary>{run}</details>" if run and asked.stage else run
        self.prompt.value = f"<b>{escape(first)}</b> <small>(seed {asked.seed})</small>{point}{text}"
        token = f'<div>token: <span class="p2plab-token">{escape(asked.token)}</span></div>' if asked.token else ""
        self.answer.value = f'<div role="status"><pre>{escape(self.said)}</pre>{token}</div>' if self.said else ""
        self.score.value = f"{self.right} of {self.tried}" if self.tried else ""
        self.reveal.disabled = bool(self.said)
        self.machine.value = asked.machine
        if asked.stage is not None:
            self._show(asked.stage)

    def _show(self, on: OnStage) -> None:
        asked = self.question
        if self._read is None:
            self._read = on.asked
        run = on.run if self.said else self._read
        self.stage.asked = {
            "id": f"{asked.kind} {asked.seed}",
            "sort": on.sort,
            "places": [[choice, on.places[choice]] for choice in asked.choices if choice in on.places],
            "several": asked.multiple,
            "chosen": self.chosen,
            "verdicts": asked.verdicts(self.chosen) if self.said else None,
            "to": on.to,
        }
        self.stage.show(run, self.step, unsaid=None if self.said else on.at)

    def _lay_out(self) -> None:
        asked = self.question
        self.step = asked.stage.at if asked.stage else 0
        self._read = None
        if asked.stage is not None:
            more = max(len(asked.stage.run.world.actors) - 4, 0)  # four lanes fit beside everything else
            self.stage.options = {**self.stage.options, "height": STAGE_HEIGHT + LANE * more}
        made = widgets.RadioButtons(options=asked.choices, value=None, layout={"width": "max-content"})
        self.options.children = [made]
        picture = [self.stage] if asked.stage else [self.machine] if asked.machine else []
        choices = [] if self.on_stage else [self.options]
        buttons = row(self.reveal, self.another, self.score)
        self.lay_out(self.prompt, *picture, *choices, buttons, self.guard.strip, self.answer)


class StoryLab(Explorer):
    """A notebook's five-minute story, beat by beat on the stage: ``StoryLab("06")`` as the last line of a cell."""

    def __init__(self, number: str | int) -> None:
        """BadInput for a notebook without a story."""
        super().__init__()
        self.story = story_of(number)
        self.stage = StagePane(self.handler(self.heard), reach=2, saved=True, height=STORY_HEIGHT)
        self.lay_out(self.stage, self.guard.strip)
        self.turn_to(1)
        self.refresh()

    @property
    def beat(self) -> StoryBeat:
        """The current beat."""
        return self.story.beats[self.at - 1]

    def turn_to(self, number: int) -> None:
        """Like *next* and *previous*: go to a beat, counted from 1. BadInput if it does not exist."""
        if not 1 <= number <= len(self.story.beats):
            raise BadInput(f"story {self.story.number} has beats 1 to {len(self.story.beats)}, not {number}")
        self.at = number
        self.step = self.beat.step

    def heard(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the stage: look at a step, go to a beat, unfold a block. BadInput for an unknown one."""
        if isinstance(step := message.get("look"), int):
            self.step = max(0, min(step, len(self.beat.run)))
        elif isinstance(number := message.get("beat"), int):
            self.turn_to(number)
        elif "unfold" in message:
            self.stage.unfold(str(message["unfold"]))
        else:
            raise BadInput(f"a story does not know what {', '.join(map(str, message))[:60] or 'nothing'} is")

    def as_text(self) -> str:
        """All beats in words."""
        return self.story.text()

    def refresh_all(self) -> None:
        """Show the beat and the current step."""
        beat = {
            "title": f"{self.story.number} · {self.story.title}",
            "at": self.at,
            "of": len(self.story.beats),
            "words": self.beat.words,
            "picture": self.beat.picture,
        }
        self.stage.options = {**self.stage.options, "beat": beat}
        self.stage.show(self.beat.run, self.step)


class Attempt(Explorer):
    """The result of a failed check: the end of the counterexample, and help, one layer per press."""

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
        """Like pressing ``hint``, ``where`` or ``recipe``."""
        self.said[layer] = repr(getattr(self.outcome, layer)())

    def as_text(self) -> str:
        """The report, and the help that was asked for."""
        return "\n\n".join([self.outcome.text(), *(f"{layer}: {said}" for layer, said in self.said.items())]) + "\n"

    def refresh_all(self) -> None:
        """Show the help so far, and below it the report without the story."""
        parts = [f"<b>{layer}</b><pre>{escape(said)}</pre>" for layer, said in self.said.items()]
        parts.append(f"<pre>{escape(self.outcome.summary())}</pre>")
        self.answer.value = f'<div role="status">{"".join(parts)}</div>'


def open_run(run: Run) -> Lab:
    """The lab at the end of a run; also of one with a user's driver, which a token cannot carry."""
    lab = Lab("workbench")
    lab.session.show(run)
    lab.session.forked = None  # the empty run that it replaced was never shown
    lab.refresh()
    lab.share.journal.path = None  # without a token it cannot be resumed
    lab.share.left = ""
    lab.refresh()
    return lab


def this_machine() -> MachineLab:
    """This machine as its sysfs shows it; a recorded one, and a note, if there is nothing to read.

    ``P2PLAB_SYSFS`` names another folder to read instead of ``/sys/bus/pci/devices``, such as a copy.
    """
    here = Path(os.environ.get("P2PLAB_SYSFS") or "/sys/bus/pci/devices")
    try:
        if not here.is_dir() or not any(here.iterdir()):
            raise BadInput(f"{here} shows no PCI device")
        return MachineLab(str(here))
    except (BadInput, OSError) as why:
        print(f"{why}. The recorded machine {STANDS_IN} is shown instead.")
        return MachineLab(STANDS_IN)
