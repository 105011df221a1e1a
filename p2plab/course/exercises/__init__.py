"""The driver exercises: ``exercise("obey").check(MyNic)`` tries a class in every order of events; the search is the marker."""

from __future__ import annotations

from p2plab.core.errors import BadInput
from p2plab.core.names import unknown
from p2plab.course.exercises import exporters, importers, repairs
from p2plab.course.exercises.scenes import find_scene
from p2plab.course.exercises.task import Exercise, Outcome

#: Every exercise by its name, in the order of the course.
EXERCISES: dict[str, Exercise] = {task.name: task for task in (*importers.TASKS, *exporters.TASKS, *repairs.TASKS)}


def exercise(name: str) -> Exercise:
    """The exercise of that name; BadInput says which there are."""
    if name not in EXERCISES:
        raise BadInput(unknown("exercise", name, list(EXERCISES)))
    return EXERCISES[name]


__all__ = ["EXERCISES", "Exercise", "Outcome", "exercise", "find_scene"]
