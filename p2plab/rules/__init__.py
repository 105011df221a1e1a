"""The promises: small predicates over the event log, each with the mail or kernel line that it comes from.

>>> from p2plab.rules import RULES
>>> RULES["obedience"].promise
'before a notifier callback returns, nothing of the range is mapped, translated or in flight'
"""

from collections.abc import Iterable, Mapping

from p2plab.rules.aperture import NoOverlap
from p2plab.rules.base import Board, Finding, Rule, judge
from p2plab.rules.callbacks import (
    GivesUpForCause,
    InsideOneVma,
    NeverSleeps,
    RefusesRightly,
    StaysOutOfMm,
    VmaAlive,
)
from p2plab.rules.exporter import AddressWorks, InsideBar, NoMapWhileMoving, RightWhenGiven, ToldBeforeMoved
from p2plab.rules.goals import GOALS, Goal, reached
from p2plab.rules.health import LockOrderKept, NoCrash, NoDeadlock
from p2plab.rules.importer import BalancedUnmap, NoStaleDma, Obedience
from p2plab.rules.lending import AskedEachTime, ContentKept, GoneMeansNobody, RefusalKeepsNothing, ReturnsZero
from p2plab.rules.looking import ComesToAnEnd, OwnAddress, ProgramsOnlyValid, ReadOnlyVma, WritesAsAsked
from p2plab.rules.platform import HmmComplete, ReaperSparesDevices
from p2plab.rules.predictability import Predictability
from p2plab.rules.prices import EverybodyServed, NeedlessInvalidation, PeerToPeer


class _Rules(dict[str, type[Rule]]):
    """The rules of this room, and by name also those that a room above told of: they are found, and not listed."""

    def __init__(self, rules: Iterable[type[Rule]]) -> None:
        super().__init__((rule.name, rule) for rule in rules)
        self.more: dict[str, type[Rule]] = {}

    def __missing__(self, name: str) -> type[Rule]:
        return self.more[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.more


#: Every rule by its name, in the order of the board: the importer's, the exporter's, the core's, everybody's; prices.
RULES = _Rules(
    (
        Obedience,
        NoStaleDma,
        BalancedUnmap,
        ProgramsOnlyValid,
        OwnAddress,
        WritesAsAsked,
        ReadOnlyVma,
        StaysOutOfMm,
        NeverSleeps,
        RefusesRightly,
        GivesUpForCause,
        VmaAlive,
        ComesToAnEnd,
        NoOverlap,
        Predictability,
        ToldBeforeMoved,
        NoMapWhileMoving,
        RightWhenGiven,
        InsideBar,
        AddressWorks,
        AskedEachTime,
        RefusalKeepsNothing,
        ReturnsZero,
        GoneMeansNobody,
        ContentKept,
        InsideOneVma,
        HmmComplete,
        ReaperSparesDevices,
        NoDeadlock,
        LockOrderKept,
        NoCrash,
        NeedlessInvalidation,
        PeerToPeer,
        EverybodyServed,
    )
)


def also_known(rules: Mapping[str, type[Rule]]) -> None:
    """Let scenarios of a room above name its own rules, too."""
    RULES.more.update(rules)


#: The rules that no driver may break.
PROMISES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "promise")
#: What a right driver may cost.
PRICES: tuple[str, ...] = tuple(name for name, rule in RULES.items() if rule.kind == "price")

__all__ = ["GOALS", "PRICES", "PROMISES", "RULES", "Board", "Finding", "Goal", "Rule", "also_known", "judge", "reached"]
