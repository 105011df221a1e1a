"""The promises: small predicates over the event log, each with the mail or kernel line that it comes from.

>>> from p2plab.rules import RULES
>>> RULES["obedience"].promise
'before a notifier callback returns, nothing of the range is mapped, translated or in flight'

A rule is a class in a module of this room; nothing else names it. ``RULES`` has them all, by name.
"""

from __future__ import annotations

import sys

from p2plab.core.collect import classes
from p2plab.core.monitor import Finding, Goal
from p2plab.core.scenario import Scenario
from p2plab.rules.base import Board, Rule, judge
from p2plab.rules.goals import GOALS, reached
from p2plab.rules.own import always, leads_to, must_reach, never

#: The order of the board. A rule that is not listed comes last.
_BOARD = (
    "obedience",
    "no-stale-dma",
    "balanced-unmap",
    "programs-only-valid",
    "own-address",
    "writes-as-asked",
    "read-only-vma",
    "stays-out-of-mm",
    "never-sleeps",
    "refuses-rightly",
    "gives-up-for-cause",
    "vma-alive",
    "comes-to-an-end",
    "no-overlap",
    "predictability",
    "told-before-moved",
    "no-map-while-moving",
    "right-when-given",
    "inside-bar",
    "address-works",
    "asked-each-time",
    "returns-zero",
    "refusal-keeps-nothing",
    "gone-means-nobody",
    "content-kept",
    "inside-one-vma",
    "hmm-complete",
    "reaper-spares-devices",
    "no-deadlock",
    "lock-order",
    "no-crash",
    "needless-invalidation",
    "peer-to-peer",
    "everybody-served",
    "no-overlapping-map",
    "told-first",
    "nothing-set-between",
    "references",
    "fences-waited",
    "resv-held",
    "silent-after-revoke",
    "bounded-unmap",
    "reads-only",
    "cpu-silent-after-revoke",
    "all-ones-are-no-data",
    "flag-after-data",
    "atc-dropped",
    "iotlb-flushed",
)


def _place(rule: type[Rule]) -> tuple[int, str]:
    return (_BOARD.index(rule.name) if rule.name in _BOARD else len(_BOARD)), rule.name


#: Every rule by its name, in the order of the board.
RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in sorted((rule for rule in classes(sys.modules[__name__], Rule) if getattr(rule, "name", "")), key=_place)
}
#: The rules that no driver may break, under the contract of 2019.
PROMISES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "promise")
#: What the designs of today promise besides.
DESIGN_PROMISES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "design")
#: What devices and the IOMMU promise on the bus: watched in scenes about it.
HARDWARE: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "hardware")
#: What a right driver may still cost.
PRICES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "price")


def watched_by(scene: Scenario) -> list[type[Rule]]:
    """The rules that a scene watches."""
    return [scene.own[name] if name in scene.own else RULES[name] for name in scene.rules]


__all__ = [
    "DESIGN_PROMISES",
    "GOALS",
    "HARDWARE",
    "PRICES",
    "PROMISES",
    "RULES",
    "Board",
    "Finding",
    "Goal",
    "Rule",
    "always",
    "judge",
    "leads_to",
    "must_reach",
    "never",
    "reached",
    "watched_by",
]
