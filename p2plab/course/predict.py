"""Predict, then reveal: seeded questions whose answer and explanation are computed by running the model.

>>> from p2plab.course.predict import question
>>> question("events", 3).answer == question("events", 3).answer
True
"""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from p2plab.core.errors import BadInput
from p2plab.core.run import Run

T = TypeVar("T")
WIDTH = 72

#: What is pointed at on the stage: a cell, an actor or a step; LIST: nothing, the choices are in a list beside it.
CELL, ACTOR, STEP, LIST = "cell", "actor", "step", "list"


@dataclass(frozen=True)
class OnStage:
    """A question about a run: the stage shows step ``at`` until it is answered, then plays on to step ``to``.

    ``sort``: what is pointed at; ``places``: for each choice the key of a cell, an actor's name or a step.
    ``ahead``: whether the steps after ``at`` and their actors are shown before the answer.
    """

    run: Run
    at: int
    to: int
    sort: str
    places: Mapping[str, str]
    ahead: bool = False

    @property
    def asked(self) -> Run:
        """The part of the run that may be shown before the answer."""
        return self.run if self.ahead else Run(self.run.scenario, self.run.settings, self.run.schedule[: self.at])


@dataclass(frozen=True)
class QuizQuestion:
    """``prompt`` and ``choices`` are shown first, ``answer`` and ``why`` only after a try.

    ``multiple``: any number of choices may be right, also none. ``token`` opens the run behind it, if there is one;
    ``stage`` is the picture on which it is asked, ``machine`` that of the PCI tree, as HTML.
    """

    kind: str
    seed: int
    prompt: str
    choices: tuple[str, ...]
    answer: frozenset[str]
    why: str
    multiple: bool = False
    token: str = ""
    stage: OnStage | None = None
    machine: str = ""

    def verdicts(self, chosen: Iterable[str]) -> dict[str, str]:
        """After a try: each choice that matters is ``right``, ``wrong`` (chosen, and is not) or ``missed``."""
        given = frozenset(chosen)
        words = {True: {True: "right", False: "missed"}, False: {True: "wrong"}}
        both = given | self.answer
        return {choice: words[choice in self.answer][choice in given] for choice in self.choices if choice in both}

    def feedback(self, chosen: Iterable[str]) -> str:
        """Whether it is right, what is right, and why, with the run. BadInput for something that was not a choice."""
        given = frozenset(chosen)
        if foreign := given - set(self.choices):
            raise BadInput(f"{sorted(foreign)[0][:40]!r} is not a choice; there are {'; '.join(self.choices)}")
        if not given and not self.multiple:
            raise BadInput("choose an answer first")
        right = "; ".join(choice for choice in self.choices if choice in self.answer) or "none of them"
        first = "Right" if given == self.answer else "Not quite"
        return f"{first}: {right}.\n\n{self.why}"

    def text(self) -> str:
        """The text that may be shown before a try."""
        rule = "any number may be right, also none" if self.multiple else "one is right"
        lines = [self.prompt, "", *(f"[ ] {choice}" for choice in self.choices), f"({rule})"]
        return "\n".join(lines)


class SeededChoices:
    """Seeded random choices, the same in every version of Python."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def below(self, number: int) -> int:
        """A number from 0 to ``number`` - 1."""
        return int(self._random.random() * number)

    def pick(self, things: Iterable[T]) -> T:
        """One of them."""
        among = list(things)
        return among[self.below(len(among))]

    def shuffled(self, things: Iterable[T]) -> tuple[T, ...]:
        """All of them, in some order."""
        left, order = list(things), []
        while left:
            order.append(left.pop(self.below(len(left))))
        return tuple(order)


def question(kind: str, seed: int) -> QuizQuestion:
    """The question of a kind (``stale``, ``waits``, ``breaks``, ``rule``, ``events``, ``reach``) for a seed."""
    from p2plab.course.questions import KINDS

    if kind not in KINDS:
        raise BadInput(f"there is no kind of question {kind[:40]!r}; there are {', '.join(KINDS)}")
    if not 0 <= seed < 10**9:
        raise BadInput(f"seed {str(seed)[:20]}: allowed are 0 to 999999999")
    make: Callable[[SeededChoices, int], QuizQuestion] = KINDS[kind]
    return make(SeededChoices(f"{kind} {seed}"), seed)


def seed_sheet(seeds: Iterable[int] = range(1, 9), kinds: Iterable[str] = ()) -> str:
    """For the instructor: each question with its answer, in a line or two. ``kinds``: default all."""
    from p2plab.course.questions import KINDS

    lines = []
    for kind in kinds or KINDS:
        lines.append(f"{kind}")
        for seed in seeds:
            asked = question(kind, seed)
            right = "; ".join(choice for choice in asked.choices if choice in asked.answer) or "none of them"
            first = asked.prompt.splitlines()[0]
            lines += textwrap.wrap(f"seed {seed}: {first}", WIDTH, initial_indent="  ", subsequent_indent="    ")
            lines += textwrap.wrap(f"answer: {right}", WIDTH, initial_indent="    ", subsequent_indent="      ")
    return "\n".join(lines) + "\n"
