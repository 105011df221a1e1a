"""The answer of a search, as a value: everything holds, something breaks, or it could not be told."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from p2plab.core import known
from p2plab.core.run import Run
from p2plab.core.scenario import Value
from p2plab.core.token import token_of


@dataclass(frozen=True)
class Effort:
    """What a search did: states, steps between them, seconds, and how often driver code really ran (misses)."""

    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    misses: int = 0


@dataclass(frozen=True)
class Orbits:
    """How a search by symmetry was done: states that differ only in who is in whose place were searched once.

    ``members``: each kind of object that is interchangeable, and how many there are. ``compared``: the steps that were
    run a second time with members in other places, and did the same.
    """

    count: int
    members: tuple[tuple[str, int], ...]
    compared: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Net:
    """The second net: how many ``steps`` that the search looked up were run ``again`` along other paths; none differed."""

    again: int
    steps: int
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class RandomOrders:
    """What was tried by chance once a search had to end: so many ``orders`` by PCT, of depths from the first to the last.

    ``steps``: of the longest. ``switches``: all orders with up to so many hold, which the search had found before (None:
    nothing). ``broke``: the depth of the order that broke a promise, 0 if none did.
    """

    orders: int
    depths: tuple[int, int]
    steps: int
    switches: int | None = None
    broke: int = 0


class Verdict:
    """The answer of a search: a :class:`Pass`, a :class:`Violation` or an :class:`Incomplete`. Its repr is the report.

    ``run`` is the counterexample, or None; ``token`` is that run as one line of text, where a token can carry it.
    """

    scene: str
    effort: Effort
    watched: tuple[str, ...]  #: the rules that were watched, by name
    not_tested: tuple[str, ...]  #: those that no order put to the test (before it ended)

    def __repr__(self) -> str:
        return known.report(self).rstrip()

    def _repr_html_(self) -> str:
        return f'<pre style="line-height: 1.2">{escape(repr(self))}</pre>'

    @property
    def named(self) -> str:
        """The scene, and what is not as it comes: ``f10-no-second-look's good twin``, ``… with importer=MyNic, pages=1``."""
        run: Run | None = getattr(self, "run", None)
        given = dict(getattr(self, "knobs", {}) if run is None else run.scenario.given(run.settings))
        twin = "'s good twin" if given.get("driver") == "good" and given.pop("driver") else ""
        words = ", ".join(f"{name}={value}" for name, value in given.items())
        return f"{self.scene}{twin}{f' with {words}' if words else ''}"

    @property
    def token(self) -> str | None:
        """The counterexample as one line of text; None without one, and where it needs a class of your own."""
        run: Run | None = getattr(self, "run", None)
        return None if run is None or run.scenario.cast else token_of(run)

    @property
    def table(self) -> tuple[tuple[str, str], ...]:
        """A row a scene: its name, and ``HOLDS``, ``BREAKS rule`` or ``NOT DECIDED``."""
        return ((self.scene, self.word),)

    @property
    def word(self) -> str:
        """``HOLDS``, ``BREAKS rule`` or ``NOT DECIDED``."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Pass(Verdict):
    """No order breaks a promise: of all orders if ``complete``, else of those with at most ``bound`` switches.

    ``orders`` is how many orders there are (None: not counted, or endless because of loops). ``orbits`` says that, and
    how, it was searched by symmetry; ``effort`` then has all states that the orbits stand for. ``net`` says how many steps
    were run again along other paths.
    """

    scene: str
    bound: int | None
    complete: bool
    orders: int | None
    not_tested: tuple[str, ...]
    effort: Effort = field(compare=False)
    orbits: Orbits | None = None
    net: Net | None = field(default=None, compare=False)
    watched: tuple[str, ...] = field(default=(), compare=False)
    knobs: Mapping[str, Value] = field(default_factory=dict, compare=False)  #: see :meth:`Scenario.given`
    run: None = field(default=None, init=False, compare=False)

    @property
    def word(self) -> str:
        """``HOLDS``, or up to how many switches."""
        return "HOLDS" if self.complete else f"holds up to {self.bound} switches"


@dataclass(frozen=True)
class Shrunk:
    """What a story was before it was made smaller: ``settings``, ``switches`` and ``steps``; how many ``tries`` were run.

    ``finished``: whether every reduction was tried, or the time for it was up.
    """

    settings: Mapping[str, Value]
    switches: int
    steps: int
    tries: int
    finished: bool


@dataclass(frozen=True, repr=False)
class Violation(Verdict):
    """A promise breaks in ``run``, which was executed again from its start before it is shown.

    It has the fewest switches possible and, of those, the fewest steps. ``then`` names the actor whose next step, after
    the run, never ends. ``shrunk`` says what the story was before it was made smaller; None if nobody tried. ``also``
    has a shorter story that breaks another promise, where a scene is about this one. ``chance``: it was found by a random
    order, after a search that had to end; then only shortening made it small.
    """

    scene: str
    rule: str
    culprit: str
    what: str
    run: Run
    switches: int
    then: str = ""
    effort: Effort = field(default_factory=Effort, compare=False)
    shrunk: Shrunk | None = field(default=None, compare=False)
    also: Violation | None = field(default=None, compare=False)
    watched: tuple[str, ...] = field(default=(), compare=False)
    not_tested: tuple[str, ...] = field(default=(), compare=False)
    chance: RandomOrders | None = field(default=None, compare=False)

    @property
    def word(self) -> str:
        """``BREAKS`` and the rule."""
        return f"BREAKS {self.rule}"

    @property
    def steps(self) -> int:
        """How many steps the story has."""
        return len(self.run) + bool(self.then)


@dataclass(frozen=True, repr=False)
class Incomplete(Verdict):
    """Nothing broke as far as the search came: ``why`` it ended, and up to how many switches all orders were tried.

    ``grows``: the cell or the actor with the most different values met, and how many; ``busiest``: the actor with the most
    different places to be in; ``advice``: what to try next. ``chance``: the random orders that were tried besides, none of
    which broke a promise.
    """

    scene: str
    why: str
    switches: int | None
    effort: Effort = field(compare=False)
    watched: tuple[str, ...] = field(default=(), compare=False)
    not_tested: tuple[str, ...] = field(default=(), compare=False)
    grows: tuple[str, int] | None = field(default=None, compare=False)
    busiest: tuple[str, int] | None = field(default=None, compare=False)
    advice: tuple[str, ...] = field(default=(), compare=False)
    chance: RandomOrders | None = field(default=None, compare=False)
    knobs: Mapping[str, Value] = field(default_factory=dict, compare=False)  #: see :meth:`Scenario.given`
    run: None = field(default=None, init=False, compare=False)

    @property
    def word(self) -> str:
        """``NOT DECIDED``."""
        return "NOT DECIDED"


def switches_of(schedule: tuple[str, ...]) -> int:
    """How often another actor takes over."""
    return sum(1 for before, after in itertools.pairwise(schedule) if before != after)
