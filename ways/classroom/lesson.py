"""What each simulated student does in the first lab, and what must be on the page afterwards, computed by the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2plab.lab.session import Session
from p2plab.views.stage import moment
from p2plab.views.stage.text import alt_of

#: The first lesson's notebook, inside a student's home, and what its lab is of.
NOTEBOOK = "notebooks/00-start-here.ipynb"
SCENE, KNOBS = "workbench", {"importer": "ignorant"}

#: The buttons' words and the actions of the scene behind them.
ACTIONS = {"map": "map", "start DMA": "dma", "defrag": "defrag"}


@dataclass(frozen=True)
class Click:
    """One press, and what must be on the page after it: the token, and the words of the stage."""

    button: str
    token: str
    stage: str


#: How many steps before and after the defragmentation: from the first to the last that can be taken, each pair another run.
STEPS = [(before, after) for before in range(8) for after in range(9 - before)]


def lesson(number: int) -> list[Click]:
    """The presses of student ``number``, below ``len(STEPS)``: the notebook's own; no two students end with the same run."""
    before, after = STEPS[number]
    return told(["map", "start DMA", *["step"] * before, "defrag", *["step"] * after])


def told(presses: Sequence[str]) -> list[Click]:
    """What the model makes of presses, one after the other."""
    session = Session(SCENE, KNOBS)
    clicks = []
    for button in presses:
        if button == "step":
            session.take()
        else:
            session.press(ACTIONS[button])
        clicks.append(Click(button, session.token, alt_of(moment(session.run, session.step))))
    return clicks
