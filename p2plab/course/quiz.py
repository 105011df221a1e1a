"""A run a day: a story of the catalogue cut off before its break, and three questions about what comes next.

>>> quiz(738000) == quiz(738000)
True
"""

from __future__ import annotations

from dataclasses import dataclass

from p2plab.catalog import CASES, Case
from p2plab.catalog.verdict import board, story_run
from p2plab.core.errors import BadInput
from p2plab.core.monitor import Finding
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.course.predict import SeededChoices
from p2plab.p2p.things import things_of
from p2plab.rules import RULES
from p2plab.rules.damage import damage
from p2plab.views.text import columns

#: Maximum number of steps of the story before the cut.
SHOWN = 40
NOBODY = "nobody's"
_RULES = 4


@dataclass(frozen=True)
class QuizPart:
    """One question of a quiz: its text, its choices, and the right one."""

    asks: str
    choices: tuple[str, ...]
    right: str


@dataclass(frozen=True)
class Quiz:
    """A cut story, its three questions, and what happened; ``token`` opens the run that is shown."""

    seed: int
    story: tuple[str, ...]
    parts: tuple[QuizPart, ...]
    why: tuple[str, ...]
    token: str

    def points(self, answers: tuple[str, ...]) -> int:
        """Number of right answers. BadInput for a wrong number of answers, or one that is not a choice."""
        if len(answers) != len(self.parts):
            raise BadInput(f"{len(answers)} answers: there are {len(self.parts)} questions")
        for part, answer in zip(self.parts, answers, strict=True):
            if answer not in part.choices:
                raise BadInput(f"{answer[:40]!r} is no choice for: {part.asks} There are {'; '.join(part.choices)}")
        return sum(answer == part.right for part, answer in zip(self.parts, answers, strict=True))


def quiz(seed: int) -> Quiz:
    """The quiz of a number, such as a day's ordinal. BadInput outside 0 to 999999999."""
    if not 0 <= seed < 10**9:
        raise BadInput(f"{seed}: allowed are 0 to 999999999")
    chance = SeededChoices(f"quiz {seed}")
    case, run, first = _broken(chance)
    cut = Run(run.scenario, run.settings, run.schedule[: first.step - 1])
    rows = list(columns(cut, lines=False))
    return Quiz(seed, tuple(rows), _parts(chance, run, first), _why(case, run, first), token_of(cut))


def _broken(chance: SeededChoices) -> tuple[Case, Run, Finding]:
    while True:
        case = CASES[chance.pick(CASES)]
        run = story_run(case)
        found = [one for one in board(run).findings if RULES[one.rule].kind == "promise"]
        if found and 1 < found[0].step <= SHOWN:
            return case, run, found[0]


def _parts(chance: SeededChoices, run: Run, first: Finding) -> tuple[QuizPart, ...]:
    others = [name for name in run.scenario.rules if name != first.rule and RULES[name].kind == "promise"]
    rules = chance.shuffled([first.rule, *chance.shuffled(others)[: _RULES - 1]])
    actors = tuple(run.world.actors)
    owners = {made.owner for thing in things_of(run.world).exporters for made in thing.memory.objects.values()}
    hurt = damage(run.log)
    whose = (hurt[0].owner if hurt else "") or NOBODY
    return (
        QuizPart(
            "Whose step breaks a promise next?",
            actors if first.actor in actors else (*actors, first.actor),
            first.actor,
        ),
        QuizPart("Which promise?", rules, first.rule),
        QuizPart("Whose bytes are damaged in the end?", (*sorted(owners | ({whose} - {NOBODY})), NOBODY), whose),
    )


def _why(case: Case, run: Run, first: Finding) -> tuple[str, ...]:
    rule = RULES[first.rule]
    return (
        f"Step {first.step} is {first.actor}'s: {first.rule} breaks, by {first.culprit}: {first.what}.",
        f"Promised: {rule.promise} ({rule.source}, {rule.basis()}).",
        *(str(hit) for hit in damage(run.log)[:3]),
        f"This is {case.code}, {run.scenario.name}: {case.scenario.about}",
    )
