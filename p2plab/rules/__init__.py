"""The promises: small predicates over the event log, each with the mail or kernel line that it comes from.

>>> from p2plab.rules import RULES
>>> RULES["obedience"].promise
'before a notifier callback returns, nothing of the range is mapped, translated or in flight'

A rule's module is imported when the rule is first asked for: a search that watches two rules does not wait for the
memory model behind the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from p2plab.rules.base import Board, Finding, Rule, judge

if TYPE_CHECKING:
    from p2plab.rules.goals import GOALS, Goal, reached

#: The rules that no driver may break, in the order of the board, and where each is: the importer's, the exporter's, the
#: core's, everybody's.
_PROMISES = {
    "obedience": "importer.Obedience",
    "no-stale-dma": "importer.NoStaleDma",
    "balanced-unmap": "importer.BalancedUnmap",
    "programs-only-valid": "looking.ProgramsOnlyValid",
    "own-address": "looking.OwnAddress",
    "writes-as-asked": "looking.WritesAsAsked",
    "read-only-vma": "looking.ReadOnlyVma",
    "stays-out-of-mm": "callbacks.StaysOutOfMm",
    "never-sleeps": "callbacks.NeverSleeps",
    "refuses-rightly": "callbacks.RefusesRightly",
    "gives-up-for-cause": "callbacks.GivesUpForCause",
    "vma-alive": "callbacks.VmaAlive",
    "comes-to-an-end": "looking.ComesToAnEnd",
    "no-overlap": "aperture.NoOverlap",
    "predictability": "predictability.Predictability",
    "told-before-moved": "exporter.ToldBeforeMoved",
    "no-map-while-moving": "exporter.NoMapWhileMoving",
    "right-when-given": "exporter.RightWhenGiven",
    "inside-bar": "exporter.InsideBar",
    "address-works": "exporter.AddressWorks",
    "asked-each-time": "lending.AskedEachTime",
    "refusal-keeps-nothing": "lending.RefusalKeepsNothing",
    "returns-zero": "lending.ReturnsZero",
    "gone-means-nobody": "lending.GoneMeansNobody",
    "content-kept": "lending.ContentKept",
    "inside-one-vma": "callbacks.InsideOneVma",
    "hmm-complete": "platform.HmmComplete",
    "reaper-spares-devices": "platform.ReaperSparesDevices",
    "no-deadlock": "health.NoDeadlock",
    "lock-order": "health.LockOrderKept",
    "no-crash": "health.NoCrash",
}
#: What a right driver may cost, and where each is.
_PRICES = {
    "needless-invalidation": "prices.NeedlessInvalidation",
    "peer-to-peer": "prices.PeerToPeer",
    "everybody-served": "prices.EverybodyServed",
}


class _Rules(Mapping[str, type[Rule]]):
    """The rules of this room, and by name also those that a room above told of: they are found, and not listed."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._known: dict[str, type[Rule]] = {}
        self.more: dict[str, type[Rule]] = {}

    def __getitem__(self, name: str) -> type[Rule]:
        if name not in self._places:
            return self.more[name]
        if name not in self._known:
            module, _, rule = self._places[name].partition(".")
            self._known[name] = getattr(importlib.import_module(f"{__name__}.{module}"), rule)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self.more

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


#: Every rule by its name, in the order of the board.
RULES = _Rules(_PROMISES | _PRICES)
#: The rules that no driver may break.
PROMISES: tuple[str, ...] = tuple(_PROMISES)
#: What a right driver may cost.
PRICES: tuple[str, ...] = tuple(_PRICES)


def also_known(rules: Mapping[str, type[Rule]]) -> None:
    """Let scenarios of a room above name its own rules, too."""
    RULES.more.update(rules)


def __getattr__(name: str) -> Any:
    if name in ("GOALS", "Goal", "reached"):
        return getattr(importlib.import_module(f"{__name__}.goals"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["GOALS", "PRICES", "PROMISES", "RULES", "Board", "Finding", "Goal", "Rule", "also_known", "judge", "reached"]
