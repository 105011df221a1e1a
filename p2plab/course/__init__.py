"""The course: driver exercises marked by the search, questions with computed answers, and marking a class's hand-ins.

>>> from p2plab.course import EXERCISES
>>> list(EXERCISES)[:3]
['obey', 'obey-in-flight', 'no-stale-map']
"""

from p2plab.course.exercises import EXERCISES, exercise, find_scene
from p2plab.course.keep import hand_in, progress

__all__ = ["EXERCISES", "exercise", "find_scene", "hand_in", "progress"]
