"""The answer of a search as a value: everything holds, something breaks, or it is not decided."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from p2plab.core import known
from p2plab.core.run import Run
from p2plab.core.scenario import Value


@dataclass(frozen=True)
class Effort:
    """The cost of a search: states, transitions, seconds, and how often driver code actually ran (memo misses)."""

    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    misses: int = 0


@dataclass(frozen=True)
class Orbits:
    """How symmetry was used: states that differ only by a permutation of interchangeable objects were searched once.

    ``members``: each kind of interchangeable object, and how many there are. ``compared``: number of steps that were run
    a second time with the objects permuted, and did the same.
    """

    count: int
    members: tuple[tuple[str, int], ...]
    compared: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Net:
    """The second net: of the ``steps`` that were memoised, how many were run ``again`` along other paths; none differed."""

    again: int
    steps: int
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class RandomOrders:
    """Random orders (PCT) that were tried after a search had to stop: how many ``orders``, from the first depth to the last.

    ``steps``: length of the longest. ``switches``: the search had shown before that all orders with up to this many hold
    (None: it had shown nothing). ``broke``: depth of the order that broke a promise, 0 if none did.
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
        from html import escape

        return f'<pre style="line-height: 1.2">{escape(repr(self))}</pre>'

    @property
    def named(self) -> str:
        """The scene and what was changed in it: ``f10-no-second-look's good twin``, ``… with importer=MyNic, pages=1``."""
        run: Run | None = getattr(self, "run", None)
        given = dict(getattr(self, "knobs", {}) if run is None else run.scenario.given(run.settings))
        twin = "'s good twin" if given.get("driver") == "good" and given.pop("driver") else ""
        words = ", ".join(f"{name}={value}" for name, value in given.items())
        return f"{self.scene}{twin}{f' with {words}' if words else ''}"

    @property
    def token(self) -> str | None:
        """The counterexample as one line of text; None if there is none, or if it needs a class of yours."""
        run: Run | None = getattr(self, "run", None)
        from p2plab.core.token import token_of  # where it is needed: hashing takes a while to import

        return None if run is None or run.scenario.cast else token_of(run)

    @property
    def table(self) -> tuple[tuple[str, str], ...]:
        """One row per scene: its name, and ``HOLDS``, ``BREAKS rule`` or ``NOT DECIDED``."""
        return ((self.scene, self.word),)

    @property
    def word(self) -> str:
        """``HOLDS``, ``BREAKS rule`` or ``NOT DECIDED``."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Pass(Verdict):
    """No order breaks a promise: of all orders if ``complete``, else of those with at most ``bound`` switches.

    ``orders``: number of orders (None: not counted, or infinite because of loops). ``orbits``: how symmetry was used, if it
    was; ``effort`` then counts all states that the orbits represent. ``net``: how many steps were run again along other
    paths.
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
        """``HOLDS``, or up to how many switches it holds."""
        return "HOLDS" if self.complete else f"holds up to {self.bound} switches"


@dataclass(frozen=True)
class Shrunk:
    """The counterexample before it was shrunk: its ``settings``, ``switches`` and ``steps``; ``tries``: number of attempts.

    ``finished``: whether every reduction was tried; otherwise the time was up.
    """

    settings: Mapping[str, Value]
    switches: int
    steps: int
    tries: int
    finished: bool


@dataclass(frozen=True, repr=False)
class Violation(Verdict):
    """A promise breaks in ``run``, which was replayed from its start before it is shown.

    It has the fewest switches possible and, among those, the fewest steps. ``then``: the actor whose next step, after the
    run, never ends. ``shrunk``: the counterexample before shrinking; None if it was not tried. ``also``: a shorter
    counterexample to another promise than the scene's own. ``chance``: it was found by a random order, after a search
    that had to stop; then it is short only because it was shrunk.
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
        """Number of steps of the counterexample."""
        return len(self.run) + bool(self.then)


@dataclass(frozen=True, repr=False)
class Incomplete(Verdict):
    """Nothing broke as far as the search got: ``why`` it stopped, and up to how many ``switches`` all orders were tried.

    ``grows``: the cell or actor with the most distinct values, and how many; ``busiest``: the actor with the most distinct
    positions; ``advice``: what to try next. ``chance``: the random orders tried afterwards, none of which broke a promise.
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
    """Number of times that another actor takes over."""
    return sum(1 for before, after in itertools.pairwise(schedule) if before != after)
