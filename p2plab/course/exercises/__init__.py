"""The driver exercises: ``exercise("obey").check(MyNic)`` tries a class in every order of events; the search is the marker."""

from __future__ import annotations

from p2plab.core.errors import BadInput
from p2plab.core.names import unknown
from p2plab.course.exercises import exporters, importers, own_rule, own_scene, repairs
from p2plab.course.exercises.own_rule import RuleToWrite
from p2plab.course.exercises.own_scene import SceneToWrite
from p2plab.course.exercises.scenes import find_scene
from p2plab.course.exercises.task import Exercise, Outcome

AnyExercise = Exercise | RuleToWrite | SceneToWrite
#: Every exercise by its name, in the order of the course.
EXERCISES: dict[str, AnyExercise] = {
    task.name: task
    for task in (*importers.TASKS, *exporters.TASKS, *repairs.TASKS, own_rule.RuleToWrite(), own_scene.SceneToWrite())
}


def exercise(name: str) -> AnyExercise:
    """The exercise of that name; BadInput lists the names."""
    if name not in EXERCISES:
        raise BadInput(unknown("exercise", name, list(EXERCISES)))
    return EXERCISES[name]


__all__ = ["EXERCISES", "Exercise", "Outcome", "exercise", "find_scene"]
