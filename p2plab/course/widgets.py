"""The course's widgets: a question whose answer is hidden until it was tried, and a counterexample opened in the lab."""

from __future__ import annotations

from p2plab.core.run import Run
from p2plab.lab import Lab


def open_run(run: Run) -> Lab:
    """The lab at the end of a run, also of one with a driver of somebody's own, which no token can carry."""
    lab = Lab("workbench")
    lab.session.show(run)
    lab.refresh()
    lab.share.journal.path = None  # what no token can carry cannot be resumed from one
    lab.share.left = ""
    lab.refresh()
    return lab
