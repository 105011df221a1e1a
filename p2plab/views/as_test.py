"""A run as a test to paste: it opens the token, and asserts which rules broke at which steps.

It pins a run, so that its meaning cannot change unnoticed. The test that a search hands out
(:func:`p2plab.views.report.pytest_of`) is of the other kind: it fails until the driver is repaired.
"""

from __future__ import annotations

import re
import textwrap

from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import token_of
from p2plab.rules.damage import damage
from p2plab.views.text import board_of

#: How long a piece of a token may be on one line of the test.
PIECE = 88


def as_test(run: Run) -> str:
    """A whole file for pytest. :exc:`BadInput` for a run with somebody's own classes, which no token can carry."""
    if run.scenario.cast:
        roles = ", ".join(f"{role}={given.__name__}" for role, given in run.scenario.cast.items())
        raise BadInput(f"this run uses your own classes ({roles}); a test of its token alone would run without them")
    board = board_of(run)
    broken = {rule.name: finding.step for rule in board.rules if (finding := board.first(rule.name))}
    token = token_of(run)
    pieces = "".join(f'\n    "{token[i : i + PIECE]}"' for i in range(0, len(token), PIECE))
    name = re.sub(r"\W+", "_", run.scenario.name)
    expected = "".join(f'\n        "{rule}": {step},' for rule, step in broken.items())
    said = _sentence(broken, run.scenario.title)
    return f'''"""{said}"""

from p2plab.everything import find
from p2plab.core.token import open_token
from p2plab.rules.damage import damage
from p2plab.views.text import board_of

TOKEN = ({pieces}
)


def test_{name}_breaks_{"_and_".join(re.sub(r"[^a-z0-9]+", "_", rule) for rule in broken) or "nothing"}():
    """Each rule that breaks, and the step at which it first does."""
    run = open_token(TOKEN, find)
    board = board_of(run)
    broken = {{rule.name: found.step for rule in board.rules if (found := board.first(rule.name))}}
    assert broken == {{{expected}{chr(10) + "    " if broken else ""}}}
    assert len(damage(run.log)) == {len(damage(run.log))}
'''


def _sentence(broken: dict[str, int], title: str) -> str:
    what = ", ".join(f"{rule} breaks at step {step}" for rule, step in broken.items()) or "nothing breaks"
    safe = re.sub(r'["\\]', "'", f"{title}: {what}.")
    lines = textwrap.wrap(safe, 110)
    return lines[0] if len(lines) == 1 else "\n".join([*lines, ""])
