"""A third reference: every order is run from its start, in ordinary worlds, and nothing is remembered or frozen.

It shares neither the step table nor the freezing of frames with the search, so it can find an error in either.
"""

from p2plab.core.world import World
from p2plab.rules.base import judge
from p2plab.rules.health import NoDeadlock
from tests.search.gate import RULES

#: What can come of a program: a broken promise (rule, sentence), or the state at rest.
Outcome = tuple[str, object]


def outcomes(build, limit: int) -> set[Outcome] | None:
    """Everything that any order leads to; None if that takes more than ``limit`` steps."""
    found: set[Outcome] = set()
    todo: list[tuple[str, ...]] = [()]
    steps = 0
    while todo:
        path = todo.pop()
        world = World(build)
        for choice in path:
            world.take(choice)
        while True:
            steps += len(path) + 1
            if steps > limit:
                return None
            outcome = outcome_of(world)
            if outcome is not None:
                found.add(outcome)
                break
            first, *others = world.enabled()
            todo += [(*path, other) for other in others]
            path = (*path, first)
            world.take(first)
    return found


def outcome_of(world: World) -> Outcome | None:
    """How a run ends here; None if it goes on."""
    for rule in (*RULES, NoDeadlock):
        for finding in judge(world.log, [rule]).findings:
            what = "all wait" if "all wait" in finding.what else "cycle" if rule is NoDeadlock else finding.what
            return finding.rule, what
    if world.enabled():
        return None
    return "rest", frozenset((cell, value) for cell, value in world.state().items() if cell[1] != "op")
