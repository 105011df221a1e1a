"""What each simulated student does in the first lab, and what must be on the page afterwards, computed by the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from classroom.front_end import words_of
from p2plab.lab.board import verdict_html
from p2plab.lab.session import Session
from p2plab.views.timeline import timeline

#: The first lesson's notebook, inside a student's home, and what its lab shows.
NOTEBOOK = "notebooks/00-start-here.ipynb"
SCENE, KNOBS = "workbench", {"importer": "ignorant"}
PICTURES = ("address-space", "bar-map", "timeline")

#: The buttons' words and the actions of the scene behind them.
ACTIONS = {"map": "map", "start DMA": "dma", "defrag": "defrag"}


@dataclass(frozen=True)
class Click:
    """One press, and what must be on the page after it: the token, the verdict and the words below the timeline."""

    button: str
    token: str
    verdict: str
    timeline: str


def lesson(number: int) -> list[Click]:
    """The presses of student ``number`` (0 to 59): the notebook's own, with as many steps between as nobody else takes."""
    before, after = 1 + number % 6, number // 6 % 10
    return told(["map", "start DMA", *["step"] * before, "defrag", *["step"] * after, "run on"])


def told(presses: Sequence[str]) -> list[Click]:
    """What the model makes of presses, one after the other."""
    session = Session(SCENE, KNOBS)
    clicks = []
    for button in presses:
        if button == "step":
            session.take()
        elif button == "run on":
            session.run_to_rest()
        else:
            session.press(ACTIONS[button])
        verdict = words_of(verdict_html(session.board))
        clicks.append(Click(button, session.token, verdict, timeline(session.run, session.step, session.board).alt))
    return clicks
