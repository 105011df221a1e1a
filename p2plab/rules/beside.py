"""What comes with your own class: its rules, and the watching of every promise."""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from p2plab import rules
from p2plab.core.errors import BadInput
from p2plab.core.events import Entry
from p2plab.core.monitor import Finding, Goal
from p2plab.core.scenario import Scenario
from p2plab.core.world import World
from p2plab.rules.base import Rule
from p2plab.rules.own import YOURS, OwnLeadsTo, OwnRule, StateRule, said


def with_own(scene: Scenario, classes: Mapping[str, type]) -> Scenario:
    """The scene as it is judged with these classes: every promise is watched, and the rules in their files too.

    Where a scene is about a design of today, the promises of those designs are watched as well.

    :exc:`BadInput` for a rule with the name of another, or without a promise.
    """
    if not classes:
        return scene
    own: dict[str, Any] = {}
    for given in classes.values():
        own |= rules_beside(given)
    looks = [rule.watch for rule in own.values() if isinstance(rule, type) and issubclass(rule, StateRule)]
    kinds = {rule.name: rule.kind for rule in rules.watched_by(scene)}
    kept = [name for name, kind in kinds.items() if kind != "price"]  # prices are watched only when named
    today = rules.DESIGN_PROMISES if "design" in kinds.values() else ()
    names = [*kept, *rules.PROMISES, *today, *(name for name, rule in own.items() if isinstance(rule, type))]
    return dataclasses.replace(
        scene,
        rules=tuple(dict.fromkeys(names)),
        own={**scene.own, **own},
        build=functools.partial(_build, scene.build, looks) if looks else scene.build,
    )


def rules_beside(given: type) -> dict[str, Any]:
    """The rules and goals in the file (or notebook) of a class, by name: ``one_map = never(…)`` is ``one-map``."""
    found: dict[str, Any] = {}
    ours = {Rule, OwnRule, StateRule, OwnLeadsTo, *rules.RULES.values()}
    for variable, value in _namespace(given).items():
        if isinstance(value, Goal):
            found[_name(variable)] = dataclasses.replace(value, name=_name(variable))
        elif isinstance(value, type) and issubclass(value, Rule) and value not in ours:
            rule = _named(variable, value)
            found[rule.name] = rule
    for name in found:
        if name in rules.RULES:
            raise BadInput(f"your rule {name} has the name of one of p2plab's: give it another")
    return found


def _named(variable: str, rule: type[Rule]) -> type[Rule]:
    if not getattr(rule, "name", ""):
        rule.name = _name(variable)
    if not getattr(rule, "promise", ""):
        raise BadInput(f"your rule {rule.__name__} has no promise: say in one sentence what must hold")
    see = vars(rule).get("see")
    if isinstance(see, types.FunctionType) and not hasattr(see, "__wrapped__"):
        rule.see = _guarded(see)  # type: ignore[assignment,method-assign]
    rule.source = getattr(rule, "source", YOURS)
    rule.stated = getattr(rule, "stated", False)
    return rule


def _guarded(see: Callable[[Rule, Entry], Iterable[Finding] | None]) -> Callable[[Rule, Entry], Iterator[Finding]]:
    """The same, with :exc:`BadInput` for what it raises: a rule is no driver, and proves nothing about one then."""

    @functools.wraps(see)
    def looked(self: Rule, entry: Entry) -> Iterator[Finding]:
        try:
            yield from see(self, entry) or ()
        except Exception as error:
            raise BadInput(f"the rule {self.name} raised {said(error)} at {entry.event.kind}") from error

    return looked


def _name(variable: str) -> str:
    return variable.strip("_").replace("_", "-").lower()


def _namespace(given: type) -> Mapping[str, Any]:
    """The globals of the file that defines a class."""
    for value in vars(given).values():
        function = getattr(value, "__func__", value)
        if isinstance(function, types.FunctionType) and function.__module__ == given.__module__:
            return function.__globals__
    module = sys.modules.get(given.__module__)
    return vars(module) if module is not None else {}


def _build(
    build: Callable[[World, Mapping[str, Any]], None],
    looks: Sequence[Callable[[World], None]],
    world: World,
    settings: Mapping[str, Any],
) -> None:
    build(world, settings)
    for look in looks:
        look(world)
