"""An exercise whose answer is an order of events, in words: the one that breaks a given driver."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_text
from p2plab.search.confirm import finding_of
from p2plab.search.drivers import cast

#: Maximum number of characters of an order, and of steps of its run.
LONGEST, STEPS = 2_000, 2_000


@dataclass(frozen=True)
class ToFind:
    """The driver with the bug, the rule that it breaks, and the actors that an order must mention."""

    rule: str
    driver: type
    actors: tuple[str, ...]


@dataclass(frozen=True)
class Named:
    """The result of an answer that is not a driver: whether it is right, a sentence, and the run whose end shows it."""

    run: Run | None
    right: bool
    said: str
    cause: str = ""  #: what led to it
    where: str = ""  #: the answer's line, with its values
    recipe: str = ""


def try_order(scene: Scenario, role: str, broken: ToFind, order: str) -> Named:
    """Play an order with the broken driver, then run on to the end. BadInput for an order that cannot be read or played."""
    if len(order) > LONGEST:
        raise BadInput(f"an order of {len(order):,} characters; the longest allowed has {LONGEST:,}")
    words = re.findall(r"[A-Za-z_]\w*", order)
    if missing := [name for name in broken.actors if name not in words]:
        raise BadInput(f"your order does not say when {' and '.join(missing)} goes: name {' and '.join(broken.actors)}")
    played: dict[str, type | None] = {role: broken.driver}
    text = order.strip().removesuffix("...").strip()
    scene = cast(scene, **played)
    named = Run(scene).driven(by_text(text), STEPS).schedule
    if idle := [name for name in broken.actors if name not in named]:
        raise BadInput(f"{' and '.join(idle)} can do nothing yet where your order names it: who has to go before?")
    run = Run(scene).driven(by_text(f"{text} ..."), STEPS)
    finding = finding_of(run, broken.rule)
    if finding is not None:
        return Named(run, True, f"this order breaks {broken.rule} at step {finding.step}: {finding.what}")
    said = f"nothing breaks in this order: after {len(run)} steps every actor is at its end"
    return Named(run, False, f"{said}. Who came first, and what did that leave for the other?")


def order_in(source: str) -> str:
    """The order in a source text, which is not executed. BadInput if there is none."""
    try:
        for node in ast.parse(source).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                return node.value.value
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    raise BadInput("it is no order: a text such as 'app*2 gpu fate' was expected")
