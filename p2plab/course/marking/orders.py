"""The orders of events that break the well-known wrong answers: found by the search, once for a marking."""

from __future__ import annotations

import functools

from p2plab.course.exercises import EXERCISES
from p2plab.course.exercises.task import Exercise
from p2plab.course.solutions import WRONG
from p2plab.search import check
from p2plab.search.verdict import Violation


@functools.cache
def orders_of(name: str) -> tuple[tuple[str, ...], ...]:
    """One for each wrong answer of an exercise."""
    exercise = EXERCISES[name]
    found: list[tuple[str, ...]] = []
    if not isinstance(exercise, Exercise):
        return ()
    for wrong in WRONG:
        if wrong.exercise == name:
            role = {exercise.role: wrong.answer}
            answer = check(exercise.scene, must_reach=exercise.must_reach, shrink=False, budget=60.0, **role)
            if isinstance(answer, Violation):
                found.append(answer.run.schedule)
    return tuple(dict.fromkeys(found))
