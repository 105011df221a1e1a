"""The driver exercises: ``exercise("obey").check(MyNic)`` tries a class in every order of events; the search is the marker."""

from __future__ import annotations

import difflib

from p2plab.core.errors import BadInput
from p2plab.course.exercises import exporters, importers
from p2plab.course.exercises.scenes import find_scene
from p2plab.course.exercises.task import Exercise, Outcome

#: Every exercise by its name, in the order of the course.
EXERCISES: dict[str, Exercise] = {task.name: task for task in (*importers.TASKS, *exporters.TASKS)}


def exercise(name: str) -> Exercise:
    """The exercise of that name; BadInput says which there are."""
    if name not in EXERCISES:
        near = difflib.get_close_matches(name, EXERCISES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise BadInput(f"there is no exercise {name[:60]!r}; there are {', '.join(EXERCISES)}{hint}")
    return EXERCISES[name]


__all__ = ["EXERCISES", "Exercise", "Outcome", "exercise", "find_scene"]
