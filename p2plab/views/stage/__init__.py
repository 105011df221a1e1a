"""The stage: one picture of one moment of a run, for every place that shows a run.

:func:`moment` says in plain words and states what is true after a step, without a pixel: process pages, importers' tables, BAR
slots, frames and whose bytes they hold, beats on their way, who does what next and who waits for whom, what just happened and
what it means. ``wire`` turns it into JSON for ``stage.js``, which lays it out; ``text`` is the same as lines of text.
"""

from p2plab.views.stage.moment import moment, moments

__all__ = ["moment", "moments"]
