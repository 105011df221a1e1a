"""What a press led to, in the sentence of its most telling step: a press runs a driver on for many steps, and the last of them
is often only the release of a lock.
"""

from __future__ import annotations

from p2plab.core.run import Run
from p2plab.views.stage.history import history_of
from p2plab.views.stage.model import Said
from p2plab.views.stage.moment import moment

#: Kinds of events that a press is about. Of the steps with one, the last is told; where a promise broke, that step.
TELLING = {
    *("Crashed", "Deadlock", "BeatLanded", "NotifierStart", "NotifierEnd", "MoveEnded", "JobFailed", "P2PMapFailed"),
    *("TranslationSet", "TranslationCleared", "P2PUnmapped", "Disaster", "DeviceGone"),
}


def said_of_press(run: Run, first: int) -> Said:
    """The sentence for the steps after ``first``, up to the run's end, with the number of the step that it is about."""
    last = len(run)
    history = history_of(run)
    broke = [found.step for found in history.findings_at(last) if found.step > first and history.is_promise(found.rule)]
    told = [entry.step for entry in run.log if entry.step > first and type(entry.event).__name__ in TELLING]
    moves = [entry.step for entry in run.log if entry.step > first and type(entry.event).__name__ == "MoveEnded"]
    step = min(broke) if broke else moves[-1] if moves else max(told, default=last)
    said = moment(run, step).said
    return said if step == last else Said(f"Step {step}: {said.what}", said.means, said.tone)
